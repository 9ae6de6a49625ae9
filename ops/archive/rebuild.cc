#include "ops/archive/rebuild.h"

#include <fmt/format.h>

#include <map>
#include <optional>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "ops/archive/manifest.h"
#include "ops/archive/stage_name.h"
#include "state/archive_store.h"

namespace contimg::ops {
namespace {

// The product's id; it gets a record when it has none.
std::int64_t Record(const ManifestMember& member, const DirectoryRoots& roots, state::ProductStore& products, Os& os,
                    double now, RebuildResult& result) {
  const std::string path = OnDisk(member.place, roots).string();
  if (const auto known = products.FindByPath(path)) return known->id;
  ++result.n_products;
  state::ProductRow row;
  row.kind = member.kind;
  row.path = path;
  row.group_id = member.group;
  row.start_mjd = member.start_mjd;
  row.end_mjd = member.end_mjd;
  row.ra_deg = member.ra_deg;
  row.dec_deg = member.dec_deg;
  row.size_bytes = static_cast<std::int64_t>(member.size_bytes);
  row.checksum = member.checksum;
  if (member.files.size() == 1 && member.files.front().path.empty())
    row.sha256 = member.lossy ? member.lossy->original_sha256 : member.sha256;
  row.qa_json = member.quality.dump();
  row.qa_grade = member.grade;
  row.status = Exists(path, os) ? "present" : member.lossy ? "removed" : "archived";
  return products.Save(row, now);
}

}  // namespace

RebuildResult RebuildArchives(const std::vector<Remote>& remotes, const DirectoryRoots& roots,
                              state::ProductStore& products, bool dry, const RunContext& context) {
  Os& os = OsOr(context.os);
  state::ArchiveStore store(products.database());
  RebuildResult result;
  for (const Remote& remote : remotes) {
    const std::string& name = remote.about().name;
    std::map<std::string, std::uint64_t> sizes;
    remote.Retrying([&] {
      remote.RequireMark();
      for (RemoteFile& file : remote.List()) {
        if (!IsPart(file.path)) sizes[std::move(file.path)] = file.bytes;
      }
    });
    double n_done = 0;
    for (const auto& entry : sizes) {
      const std::string& path = entry.first;
      context.CheckCancelled(kArchiveStage);
      context.reporter->Progress(kArchiveStage, n_done++ / static_cast<double>(sizes.size()));
      constexpr std::string_view kEnd = ".tar.json";
      if (path.size() <= kEnd.size() || path.compare(path.size() - kEnd.size(), kEnd.size(), kEnd) != 0) continue;
      const std::string object = path.substr(0, path.size() - 5);
      if (store.Find(name, object)) continue;
      const std::string subject = name + ": " + path;
      try {
        std::string text;
        remote.Retrying([&] {
          text.clear();
          remote.Read(path, [&](const char* data, std::size_t size) { text.append(data, size); });
        });
        const Manifest manifest = ParseManifest(text, subject);
        const auto there = sizes.find(object);
        if (manifest.object != object || there == sizes.end() || there->second != manifest.bytes) {
          throw Error(
              ErrorKind::kBadInput, kArchiveStage, subject,
              fmt::format("is about {} of {} bytes, found {}", manifest.object, manifest.bytes,
                          there == sizes.end() ? "none" : fmt::format("{} of {} bytes", object, there->second)));
        }
        ++result.n_objects;
        if (dry) {
          for (const ManifestMember& member : manifest.members) {
            result.n_products += products.FindByPath(OnDisk(member.place, roots).string()) ? 0 : 1;
          }
          continue;
        }
        products.database().Write([&] {
          const double now = UtcTime::Now().unix_s();
          state::ArchiveRow row;
          row.remote = name;
          row.object = object;
          row.product_class = manifest.product_class;
          row.group_id = manifest.group;
          row.bytes = static_cast<std::int64_t>(manifest.bytes);
          row.sha256 = manifest.sha256;
          row.lossy = manifest.lossy();
          row.manifest_json = text;
          row.state = state::ArchiveState::kCopied;
          row.made_at = UtcTime::FromIso8601(manifest.created_at).unix_s();
          row.copied_at = now;
          std::vector<state::ArchiveMember> members;
          for (const ManifestMember& member : manifest.members) {
            const std::int64_t id = Record(member, roots, products, os, now, result);
            members.push_back({id, member.place.root + "/" + member.place.path, static_cast<std::int64_t>(member.bytes),
                               member.sha256, member.checksum, member.lossy.has_value()});
          }
          store.Save(row, members);
        });
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kCancelled || error.kind() == ErrorKind::kBusy) throw;
        result.failures.push_back({subject, error.what(), error.kind()});
        context.reporter->Warn(kArchiveStage, error.what());
      }
    }
  }
  if (dry) return result;
  // What each was made of, now that all are on record.
  for (const Remote& remote : remotes) {
    for (const state::ArchiveRow& listed : store.List({remote.about().name, "", "", state::ArchiveState::kCopied, 0})) {
      const auto row = store.Find(listed.id);
      const Manifest manifest = ParseManifest(row->manifest_json, row->remote + ": " + row->object);
      for (const ManifestMember& member : manifest.members) {
        const auto child = products.FindByPath(OnDisk(member.place, roots).string());
        std::vector<std::int64_t> parents;
        for (const TreePath& parent : member.parents) {
          if (const auto known = products.FindByPath(OnDisk(parent, roots).string())) parents.push_back(known->id);
        }
        if (child && !parents.empty() && products.Parents(child->id).empty()) products.Link(child->id, parents);
      }
    }
  }
  context.reporter->Progress(kArchiveStage, 1);
  return result;
}

}  // namespace contimg::ops
