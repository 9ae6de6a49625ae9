#include "ops/archive/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>

#include "config/error.h"
#include "config/time.h"
#include "ops/archive/stage_name.h"
#include "ops/base/json_fields.h"

namespace contimg::ops {

template <>
inline constexpr auto kJsonFields<TreePath> =
    std::tuple{JsonField{"root", &TreePath::root}, JsonField{"path", &TreePath::path}};
template <>
inline constexpr auto kJsonFields<ManifestFile> =
    std::tuple{JsonField{"path", &ManifestFile::path}, JsonField{"offset", &ManifestFile::offset},
               JsonField{"bytes", &ManifestFile::bytes}, JsonField{"sha256", &ManifestFile::sha256},
               JsonField{"mtime_s", &ManifestFile::mtime_s}};
template <>
inline constexpr auto kJsonFields<LossyCopy> = std::tuple{JsonField{"codec", &LossyCopy::codec},
                                                          JsonField{"quantum", &LossyCopy::quantum},
                                                          JsonField{"largest_step", &LossyCopy::largest_step},
                                                          JsonField{"dither_seed", &LossyCopy::dither_seed},
                                                          JsonField{"original_bytes", &LossyCopy::original_bytes},
                                                          JsonField{"original_sha256", &LossyCopy::original_sha256}};
template <>
inline constexpr auto kJsonFields<ManifestMember> =
    std::tuple{JsonField{"product", &ManifestMember::product},
               JsonField{"kind", &ManifestMember::kind},
               JsonField{nullptr, &ManifestMember::place},
               JsonField{"offset", &ManifestMember::offset},
               JsonField{"bytes", &ManifestMember::bytes},
               JsonField{"sha256", &ManifestMember::sha256},
               JsonField{"checksum", &ManifestMember::checksum},
               JsonField{"size_bytes", &ManifestMember::size_bytes},
               JsonField{"group", &ManifestMember::group},
               JsonField{"start_mjd", &ManifestMember::start_mjd},
               JsonField{"end_mjd", &ManifestMember::end_mjd},
               JsonField{"ra_deg", &ManifestMember::ra_deg},
               JsonField{"dec_deg", &ManifestMember::dec_deg},
               JsonField{"grade", &ManifestMember::grade},
               JsonField{"quality", &ManifestMember::quality},
               JsonField{"parents", &ManifestMember::parents},
               JsonField{"files", &ManifestMember::files},
               JsonField{"lossy", &ManifestMember::lossy, JsonPresence::kMayLack}};
template <>
inline constexpr auto kJsonFields<Manifest> =
    std::tuple{JsonField{"object", &Manifest::object},   JsonField{"class", &Manifest::product_class},
               JsonField{"group", &Manifest::group},     JsonField{"bytes", &Manifest::bytes},
               JsonField{"sha256", &Manifest::sha256},   JsonField{"created_at", &Manifest::created_at},
               JsonField{"program", &Manifest::program}, JsonField{"host", &Manifest::host},
               JsonField{"members", &Manifest::members}};

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kMostMjd = 1e6;                             // the year 4596
constexpr std::uint64_t kMostBytes = 1'000'000'000'000'000;  // so that sums of them are numbers, too

using nlohmann::ordered_json;

// The more special roots first: they may lie below scratch.
std::array<std::pair<std::string_view, const fs::path*>, 4> Named(const DirectoryRoots& roots) {
  return {{{"input", &roots.input}, {"output", &roots.output}, {"images", &roots.images}, {"scratch", &roots.scratch}}};
}

bool IsPlain(const fs::path& path) {
  if (path.empty() || path.is_absolute() || path.lexically_normal().native() != path.native()) return false;
  return std::all_of(path.begin(), path.end(), [](const fs::path& part) {
    return !part.empty() && part != "." && part != ".." && part.string().find('\0') == std::string::npos;
  });
}

// Hidden names are those of markers and of what is not finished.
bool IsShown(const fs::path& path) {
  return std::none_of(path.begin(), path.end(), [](const fs::path& part) { return part.native().front() == '.'; });
}

void Require(bool holds, const std::string& why) {
  if (!holds) throw Error(ErrorKind::kBadInput, kArchiveStage, "", why);
}

bool IsSha256(const std::string& text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

bool Fits(std::uint64_t offset, std::uint64_t bytes, std::uint64_t begin, std::uint64_t end) {
  return offset >= begin && offset <= end && bytes <= end - offset;
}

void CheckPlace(const TreePath& place) {
  const auto named = Named(DirectoryRoots{});
  const bool known =
      std::any_of(named.begin(), named.end(), [&](const auto& each) { return each.first == place.root; });
  Require(known && IsPlain(place.path),
          fmt::format("has a path that leads out of its tree: {}:{}", place.root, place.path));
  Require(IsShown(place.path), fmt::format("has a product with a hidden name: {}", place.path));
}

void CheckMember(const ManifestMember& member, std::uint64_t object_bytes) {
  Require(FindProductKind(member.kind).has_value(), fmt::format("has a product of an unknown kind '{}'", member.kind));
  CheckPlace(member.place);
  const bool is_time = std::abs(member.start_mjd) < kMostMjd && std::abs(member.end_mjd) < kMostMjd;
  Require(is_time && member.size_bytes < kMostBytes,
          fmt::format("has a product of impossible time or size: {}", member.place.path));
  for (const TreePath& parent : member.parents) CheckPlace(parent);
  Require(Fits(member.offset, member.bytes, 0, object_bytes) && IsSha256(member.sha256),
          fmt::format("has a member that does not fit into the object: {}", member.place.path));
  const ManifestFile* before = nullptr;
  for (const ManifestFile& file : member.files) {
    Require(file.path.empty() || IsPlain(file.path),
            fmt::format("has a file that leads out of its product: {}", file.path));
    Require(Fits(file.offset, file.bytes, member.offset, member.offset + member.bytes) && IsSha256(file.sha256),
            fmt::format("has a file that does not fit into its product: {}", file.path));
    // In the order in which they lie there: they are written as they come.
    Require(before == nullptr || (!file.path.empty() && file.offset >= before->offset + before->bytes),
            fmt::format("has files that lie over each other: {}", file.path));
    before = &file;
  }
  Require(before != nullptr, fmt::format("has a product without files: {}", member.place.path));
  if (!member.lossy) return;
  Require(member.files.size() == 1 && before->path.empty() && IsSha256(member.lossy->original_sha256),
          fmt::format("has a lossy copy of something that is no file: {}", member.place.path));
}

}  // namespace

bool Manifest::lossy() const {
  return std::any_of(members.begin(), members.end(),
                     [](const ManifestMember& member) { return member.lossy.has_value(); });
}

std::string LossyWords(const LossyCopy& copy) {
  return fmt::format("(lossy: Rice, steps of 1/{} of the noise, at most {:.2g})", copy.quantum, copy.largest_step);
}

fs::path LossyName(const fs::path& path) { return path.string() + ".fz"; }

std::optional<TreePath> InTree(const fs::path& path, const DirectoryRoots& roots) {
  for (const auto& [name, root] : Named(roots)) {
    if (root->empty()) continue;
    const fs::path below = path.lexically_normal().lexically_relative(root->lexically_normal());
    if (IsPlain(below)) return TreePath{std::string(name), below.string()};
  }
  return std::nullopt;
}

fs::path OnDisk(const TreePath& path, const DirectoryRoots& roots) {
  for (const auto& [name, root] : Named(roots)) {
    if (name != path.root) continue;
    if (root->empty()) break;
    return *root / path.path;
  }
  throw Error(ErrorKind::kUsage, kArchiveStage, path.root, "is the root of an archived product and is not set here");
}

std::string ManifestText(const Manifest& manifest) {
  const bool lossy = manifest.lossy();
  ordered_json value{
      {"format", lossy ? kLossyManifestFormat : kManifestFormat}, {"container", "tar"}, {"lossy", lossy}};
  value.update(RecordToJson<ordered_json>(manifest));
  for (ordered_json& member : value["members"]) {
    if (member["lossy"].is_null()) member.erase("lossy");
  }
  try {
    return value.dump(1) + "\n";
  } catch (const json::exception&) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, manifest.object,
                "has a member whose name is no UTF-8 and cannot be archived: rename it");
  }
}

Manifest ParseManifest(const std::string& text, const std::string& subject) {
  try {
    const json value = json::parse(text);
    if (const json& format = value.at("format"); format != kManifestFormat && format != kLossyManifestFormat) {
      throw Error(ErrorKind::kBadInput, kArchiveStage, "",
                  fmt::format("expected a manifest of format {} or {}, found {}", kManifestFormat, kLossyManifestFormat,
                              format.dump()));
    }
    Require(value.at("container") == "tar", "is the manifest of an object that is no tar");
    Manifest manifest = RecordFromJson<Manifest>(value);
    Require(IsPlain(manifest.object), "names an object outside the remote");
    Require(IsSha256(manifest.sha256), "has no SHA-256 of the object");
    Require(value.at("lossy").get<bool>() == manifest.lossy(), "contradicts itself about lossy copies");
    (void)UtcTime::FromIso8601(manifest.created_at);
    std::set<std::pair<std::string, std::string>> places;
    for (const ManifestMember& member : manifest.members) {
      CheckMember(member, manifest.bytes);
      Require(places.emplace(member.place.root, member.place.path).second,
              fmt::format("has a product twice: {}", member.place.path));
    }
    return manifest;
  } catch (const json::exception&) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject,
                fmt::format("expected a manifest of format {} or {}, found something else", kManifestFormat,
                            kLossyManifestFormat));
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject, error.message());
  }
}

}  // namespace contimg::ops
