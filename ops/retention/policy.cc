#include "ops/retention/policy.h"

#include "config/archive_remotes.h"

namespace contimg::ops {
namespace {

Require ParseRequire(const std::string& word, const std::string& otherwise) {
  const std::string& said = word == "as_require" ? otherwise : word;
  if (said == "archived") return Require::kArchived;
  return said == "regenerable" ? Require::kRegenerable : Require::kNone;
}

}  // namespace

const ClassPolicy& RetentionPolicy::of(std::string_view product_class) const {
  static const ClassPolicy keep;
  const auto found = classes.find(product_class);
  return found == classes.end() ? keep : found->second;
}

bool IsFolderClass(std::string_view product_class) { return product_class == "quarantine" || product_class == "jobs"; }

RetentionPolicy PolicyOf(const Settings& settings) {
  const RetentionSettings& from = settings.retention;
  RetentionPolicy policy;
  const auto require = [&](const std::string& word) { return ParseRequire(word, from.require); };
  policy.classes = {{"incoming", {from.incoming_days, require(from.require_incoming)}},
                    {"science_ms", {from.science_ms_days, require(from.require_science_ms)}},
                    {"calibrators", {from.calibrators_days, require(from.require_calibrators)}},
                    {"images", {from.images_days, require(from.require_images)}},
                    {"mosaics", {from.mosaics_days, Require::kArchived}},
                    {"qa", {from.qa_days, require(from.require_qa)}},
                    {"failed", {from.failed_days, require(from.require_failed)}},
                    {"caltables", {from.caltables_days, Require::kArchived}},
                    {"quarantine", {from.quarantine_days, Require::kNone}},
                    {"jobs", {from.jobs_days, Require::kNone}}};
  policy.copies = static_cast<int>(settings.archive.copies);
  policy.min_free_bytes = static_cast<std::uint64_t>(from.min_free_bytes);
  policy.pressure_order = ParseProductClasses("retention.pressure_order", from.pressure_order);
  policy.max_share = from.max_share;
  policy.min_age_s = from.min_age_s;
  return policy;
}

}  // namespace contimg::ops
