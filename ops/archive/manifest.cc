#include "ops/archive/manifest.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "config/error.h"
#include "ops/archive/stage_name.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
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

ordered_json PlaceJson(const TreePath& place) { return {{"root", place.root}, {"path", place.path}}; }

TreePath ReadPlace(const json& value) {
  TreePath place{value.at("root"), value.at("path")};
  const auto named = Named(DirectoryRoots{});
  const bool known =
      std::any_of(named.begin(), named.end(), [&](const auto& each) { return each.first == place.root; });
  if (!known || !IsPlain(place.path)) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, "",
                fmt::format("has a path that leads out of its tree: {}:{}", place.root, place.path));
  }
  return place;
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

ManifestMember ReadMember(const json& value, std::uint64_t object_bytes) {
  ManifestMember member;
  member.product = value.at("product");
  member.kind = value.at("kind");
  Require(FindProductKind(member.kind).has_value(), fmt::format("has a product of an unknown kind '{}'", member.kind));
  member.place = ReadPlace(value);
  member.offset = value.at("offset");
  member.bytes = value.at("bytes");
  member.sha256 = value.at("sha256");
  member.checksum = value.at("checksum");
  member.group = value.at("group");
  member.start_mjd = value.at("start_mjd");
  member.end_mjd = value.at("end_mjd");
  if (!value.at("ra_deg").is_null()) member.ra_deg = value.at("ra_deg").get<double>();
  if (!value.at("dec_deg").is_null()) member.dec_deg = value.at("dec_deg").get<double>();
  member.grade = value.at("grade");
  member.quality = value.at("quality");
  member.size_bytes = value.at("size_bytes");
  for (const json& parent : value.at("parents")) member.parents.push_back(ReadPlace(parent));
  Require(Fits(member.offset, member.bytes, 0, object_bytes) && IsSha256(member.sha256),
          fmt::format("has a member that does not fit into the object: {}", member.place.path));
  for (const json& each : value.at("files")) {
    ManifestFile file{each.at("path"), each.at("offset"), each.at("bytes"), each.at("sha256"), each.at("mtime_s")};
    Require(file.path.empty() || IsPlain(file.path),
            fmt::format("has a file that leads out of its product: {}", file.path));
    Require(Fits(file.offset, file.bytes, member.offset, member.offset + member.bytes) && IsSha256(file.sha256),
            fmt::format("has a file that does not fit into its product: {}", file.path));
    // In the order in which they lie there: they are written as they come.
    Require(member.files.empty() ||
                (!file.path.empty() && file.offset >= member.files.back().offset + member.files.back().bytes),
            fmt::format("has files that lie over each other: {}", file.path));
    member.files.push_back(std::move(file));
  }
  Require(!member.files.empty(), fmt::format("has a product without files: {}", member.place.path));
  return member;
}

}  // namespace

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
  ordered_json members = ordered_json::array();
  for (const ManifestMember& member : manifest.members) {
    ordered_json parents = ordered_json::array(), files = ordered_json::array();
    for (const TreePath& parent : member.parents) parents.push_back(PlaceJson(parent));
    for (const ManifestFile& file : member.files) {
      files.push_back({{"path", file.path},
                       {"offset", file.offset},
                       {"bytes", file.bytes},
                       {"sha256", file.sha256},
                       {"mtime_s", file.mtime_s}});
    }
    const auto number = [](const std::optional<double>& value) {
      return value ? ordered_json(*value) : ordered_json();
    };
    members.push_back({{"product", member.product},
                       {"kind", member.kind},
                       {"root", member.place.root},
                       {"path", member.place.path},
                       {"offset", member.offset},
                       {"bytes", member.bytes},
                       {"sha256", member.sha256},
                       {"checksum", member.checksum},
                       {"size_bytes", member.size_bytes},
                       {"group", member.group},
                       {"start_mjd", member.start_mjd},
                       {"end_mjd", member.end_mjd},
                       {"ra_deg", number(member.ra_deg)},
                       {"dec_deg", number(member.dec_deg)},
                       {"grade", member.grade},
                       {"quality", member.quality},
                       {"parents", std::move(parents)},
                       {"files", std::move(files)}});
  }
  const ordered_json value{{"format", kManifestFormat},
                           {"object", manifest.object},
                           {"class", manifest.product_class},
                           {"group", manifest.group},
                           {"container", "tar"},
                           {"bytes", manifest.bytes},
                           {"sha256", manifest.sha256},
                           {"lossy", false},
                           {"created_at", manifest.created_at},
                           {"program", manifest.program},
                           {"host", manifest.host},
                           {"members", std::move(members)}};
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
    if (const json& format = value.at("format"); format != kManifestFormat) {
      throw Error(ErrorKind::kBadInput, kArchiveStage, "",
                  fmt::format("expected a manifest of format {}, found {}", kManifestFormat, format.dump()));
    }
    Require(value.at("container") == "tar", "is the manifest of an object that is no tar");
    Manifest manifest;
    manifest.object = value.at("object");
    Require(IsPlain(manifest.object), "names an object outside the remote");
    manifest.product_class = value.at("class");
    manifest.group = value.at("group");
    manifest.bytes = value.at("bytes");
    manifest.sha256 = value.at("sha256");
    Require(IsSha256(manifest.sha256), "has no SHA-256 of the object");
    manifest.created_at = value.at("created_at");
    manifest.program = value.at("program");
    manifest.host = value.at("host");
    for (const json& member : value.at("members")) manifest.members.push_back(ReadMember(member, manifest.bytes));
    return manifest;
  } catch (const json::exception&) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject,
                fmt::format("expected a manifest of format {}, found something else", kManifestFormat));
  } catch (const Error& error) {
    throw Error(ErrorKind::kBadInput, kArchiveStage, subject, error.message());
  }
}

}  // namespace contimg::ops
