#include "ops/records/failed_set.h"

#include <fmt/format.h>

#include <cstdint>
#include <vector>

#include "config/product_kind.h"
#include "ops/base/checksum.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

// On record already where an earlier run read it.
std::int64_t RecordInput(const state::SubbandFileRow& file, const state::ProductRow& of, state::ProductStore& products,
                         double now) {
  if (const auto known = products.FindByPath(file.path)) return known->id;
  state::ProductRow input;
  input.kind = ToString(ProductKind::kUvh5);
  input.path = file.path;
  input.group_id = of.group_id;
  input.start_mjd = of.start_mjd;
  input.end_mjd = of.end_mjd;
  input.size_bytes = file.size_bytes;
  input.checksum = file.checksum;
  return products.Save(input, now);
}

}  // namespace

fs::path KeepFailedSet(const std::string& group, const ProductPaths& paths, state::GroupStore& groups,
                       state::ProductStore& products, Os& os, std::string_view actor, double now) {
  const auto row = groups.Find(group);
  if (!row || row->state != state::GroupState::kDead) return {};
  const fs::path from = paths.ScienceMs(group), to = paths.FailedMs(group);
  if (!Exists(from, os)) return {};
  const auto known = products.FindByPath(from.string());
  if (known && known->status == "present") return {};

  state::EventRow event;
  event.at = now;
  event.group_id = group;
  event.kind = "product";
  event.actor = actor;
  event.detail = fmt::format("{} {} is kept as {}: the group was given up", ToString(ProductKind::kScienceMs),
                             from.string(), to.string());
  groups.AddEvent(event);
  state::ProductRow kept;
  kept.kind = ToString(ProductKind::kScienceMs);
  kept.path = to.string();
  kept.group_id = group;
  kept.start_mjd = row->data_start_mjd;
  kept.end_mjd = row->data_end_mjd;
  kept.size_bytes = static_cast<std::int64_t>(ProductBytes(from, os));
  kept.status = "missing";
  const std::vector<state::SubbandFileRow> files = groups.Files(group);
  std::int64_t id = 0;
  products.database().Write([&] {
    std::vector<std::int64_t> parents;
    for (const state::SubbandFileRow& file : files) {
      if (file.status == "present") parents.push_back(RecordInput(file, kept, products, now));
    }
    id = products.Save(kept, now);
    products.SetParents(id, parents);
  });

  os.CreateDirectories(to.parent_path());
  os.RemoveAll(to);
  os.RenameNew(from, to);
  os.SyncDirectory(to.parent_path());
  os.SyncDirectory(from.parent_path());
  products.SetStatus(id, "present", "", now);
  return to;
}

}  // namespace contimg::ops
