#include "ops/archive/outbox.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <system_error>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/archive/manifest.h"
#include "ops/archive/object.h"
#include "ops/archive/stage_name.h"
#include "ops/base/host_name.h"
#include "ops/base/sha256.h"
#include "ops/base/version.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::ArchiveRow;
using state::ArchiveState;

constexpr int kMostNames = 10000;
constexpr double kOneMember = 1536;  // a tar's head and filling at most

std::string Sha256Of(const std::string& text) {
  Sha256 sha256;
  sha256.Add(text);
  return sha256.Hex();
}

}  // namespace

Outgoing::Outgoing(Manifest of, const Remote* at, const std::string& its) : manifest(std::move(of)) {
  files.push_back({manifest.object, manifest.sha256, at, its});
  mark = {manifest.object + ".json", Sha256Of(ManifestText(manifest)), nullptr, ""};
  // Another run, or another host, may have written one about the same bytes.
  says_the_same = [name = mark.name, sha256 = manifest.sha256](const std::string& text) {
    return ParseManifest(text, name).sha256 == sha256;
  };
}

Outbox::Outbox(const ProductPaths& paths, ImagesAs images, state::ProductStore& products, std::mutex& databases,
               const RunContext& context)
    : paths_(paths),
      images_(images),
      products_(products),
      store_(products.database()),
      mutex_(databases),
      context_(context),
      os_(OsOr(context.os)),
      folder_(paths.Archive("ms").parent_path()) {}

// The object in the outbox, on record at each of these remotes as staged.
Outgoing Outbox::Stage(const PlannedObject& planned, const std::vector<const Remote*>& remotes) {
  const fs::path first = folder_ / ObjectName(planned.product_class, planned.products.front(), 1);
  os_.CreateDirectories(first.parent_path());
  CheckRoom(os_, first.parent_path(),
            planned.bytes() + static_cast<std::uint64_t>(kOneMember * static_cast<double>(planned.products.size())),
            kArchiveStage, first.string());
  Unfinished part(first, os_);
  const MadeObject made = MakeObject(planned.products, paths_.roots(), part.path(), context_, images_);

  const std::lock_guard<std::mutex> lock(mutex_);
  CheckUnchanged(planned);
  Manifest manifest;
  manifest.object = NameFor(planned, made.sha256, remotes);
  manifest.product_class = planned.product_class;
  manifest.group = planned.group;
  manifest.bytes = made.bytes;
  manifest.sha256 = made.sha256;
  manifest.created_at = UtcTime::FromUnix(MadeAt(manifest)).Stamp();
  manifest.program = std::string("contimg ") + kVersion;
  manifest.host = HostName();
  manifest.members = made.members;
  for (ManifestMember& member : manifest.members) {
    for (const state::ProductRow& parent : products_.Parents(member.product)) {
      if (const auto place = InTree(parent.path, paths_.roots())) member.parents.push_back(*place);
    }
  }
  Outgoing staged(std::move(manifest));
  const fs::path file = folder_ / staged.manifest.object;
  os_.RemoveAll(file);  // of a killed run
  os_.Rename(part.path(), file);
  WriteFileAtomically(os_, file.string() + ".json", ManifestText(staged.manifest));
  os_.SyncDirectory(file.parent_path());
  products_.database().Write([&] {
    for (const ManifestMember& member : staged.manifest.members) {
      products_.SetFirstChecksum(member.product, member.checksum, UtcTime::Now().unix_s());
      if (member.files.size() == 1 && member.files.front().path.empty()) {
        products_.SetSha256(member.product, member.lossy ? member.lossy->original_sha256 : member.sha256,
                            UtcTime::Now().unix_s());
      }
    }
    for (const Remote* remote : remotes) Record(planned, staged, *remote);
  });
  return staged;
}

// A product that was made anew while its old files were read is another one.
void Outbox::CheckUnchanged(const PlannedObject& planned) {
  for (const state::ProductRow& row : planned.products) {
    const auto now = products_.Find(row.id);
    if (!now || now->checksum != row.checksum || now->status != "present") {
      throw Error(ErrorKind::kBusy, kArchiveStage, row.path, "changed while it was read: it is archived another time");
    }
  }
}

// The same bytes under the same name, made again, have the same manifest.
double Outbox::MadeAt(const Manifest& manifest) {
  for (const ArchiveRow& row : store_.OfGroup(manifest.group, manifest.product_class)) {
    if (row.object == manifest.object && row.sha256 == manifest.sha256) return row.made_at;
  }
  return std::floor(UtcTime::Now().unix_s());
}

// The first name that no other content has had, at any remote.
std::string Outbox::NameFor(const PlannedObject& planned, const std::string& sha256,
                            const std::vector<const Remote*>& remotes) {
  const std::vector<ArchiveRow> known = store_.OfGroup(planned.group, planned.product_class);
  for (int number = 1; number < kMostNames; ++number) {
    const std::string name = ObjectName(planned.product_class, planned.products.front(), number);
    const bool free = std::all_of(known.begin(), known.end(), [&](const ArchiveRow& row) {
      if (row.object != name) return true;
      const bool ours = std::any_of(remotes.begin(), remotes.end(),
                                    [&](const Remote* remote) { return remote->about().name == row.remote; });
      return row.sha256 == sha256 && (!ours || row.state == ArchiveState::kStaged);
    });
    if (free) return name;
  }
  throw Error(ErrorKind::kBug, kArchiveStage, planned.group, "has used up all names of objects");
}

// What an earlier run staged of these products under another name will never be sent.
void Outbox::GiveUpEarlier(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
  for (const ArchiveRow& row : store_.OfGroup(planned.group, planned.product_class)) {
    if (row.remote != remote.about().name || row.state != ArchiveState::kStaged ||
        row.object == staged.manifest.object) {
      continue;
    }
    const auto members = store_.Members(row.id);
    const bool all_ours = std::all_of(members.begin(), members.end(), [&](const state::ArchiveMember& member) {
      return std::any_of(planned.products.begin(), planned.products.end(),
                         [&](const state::ProductRow& product) { return product.id == member.product_id; });
    });
    if (!all_ours) continue;
    store_.SetState(row.id, ArchiveState::kRetired, "made anew under another name", UtcTime::Now().unix_s());
  }
}

void Outbox::Record(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
  GiveUpEarlier(planned, staged, remote);
  ArchiveRow row;
  row.remote = remote.about().name;
  row.object = staged.manifest.object;
  row.product_class = planned.product_class;
  row.group_id = planned.group;
  row.bytes = static_cast<std::int64_t>(staged.manifest.bytes);
  row.sha256 = staged.manifest.sha256;
  row.lossy = staged.manifest.lossy();
  row.manifest_json = ManifestText(staged.manifest);
  row.made_at = UtcTime::FromIso8601(staged.manifest.created_at).unix_s();
  if (const auto known = store_.Find(row.remote, row.object)) row.attempts = known->attempts;
  std::vector<state::ArchiveMember> members;
  for (const ManifestMember& member : staged.manifest.members) {
    members.push_back({member.product, member.place.root + "/" + member.place.path,
                       static_cast<std::int64_t>(member.bytes), member.sha256, member.checksum,
                       member.lossy.has_value()});
  }
  store_.Save(row, members);
}

std::string Outbox::ReplicaName(const ArchiveRow& source, const std::string& to) {
  const std::vector<ArchiveRow> known = store_.OfGroup(source.group_id, source.product_class);
  const auto free = [&](const std::string& name) {
    return std::all_of(known.begin(), known.end(), [&](const ArchiveRow& row) {
      if (row.object != name) return true;
      return row.sha256 == source.sha256 && (row.remote != to || row.state == ArchiveState::kStaged);
    });
  };
  if (free(source.object)) return source.object;
  for (int number = 1; number < kMostNames; ++number) {
    if (const std::string name = WithNumber(source.object, number); free(name)) return name;
  }
  throw Error(ErrorKind::kBug, kArchiveStage, source.object, "has used up all names of objects");
}

Outgoing Outbox::StageReplica(const ArchiveRow& listed, const Remote& at, const Remote& to) {
  const ArchiveRow source = *store_.Find(listed.id);
  Manifest manifest = ParseManifest(source.manifest_json, source.remote + ": " + source.object);
  manifest.object = ReplicaName(source, to.about().name);
  const Outgoing staged(std::move(manifest), &at, source.object);
  const fs::path file = folder_ / (staged.manifest.object + ".json");
  os_.CreateDirectories(file.parent_path());
  WriteFileAtomically(os_, file, ManifestText(staged.manifest));
  ArchiveRow row = source;
  row.remote = to.about().name;
  row.object = staged.manifest.object;
  row.manifest_json = ManifestText(staged.manifest);
  row.state = ArchiveState::kStaged;
  row.attempts = 0;
  row.error.clear();
  row.copied_at = row.verified_at = row.checked_at = std::nullopt;
  store_.Save(row, store_.Members(source.id));
  return staged;
}

void Outbox::Drop(const Outgoing& sent) {
  if (!sent.is_replica()) os_.RemoveAll(folder_ / sent.manifest.object);
  os_.RemoveAll(folder_ / (sent.manifest.object + ".json"));
}

void SweepOutbox(const ProductPaths& paths, Os& os) {
  const fs::path outbox = paths.Archive("ms").parent_path();
  if (!IsDirectory(outbox, os)) return;
  for (const fs::path& kind : os.List(outbox)) {
    if (!IsDirectory(kind, os)) continue;
    for (const fs::path& day : os.List(kind)) {
      if (!IsDirectory(day, os)) continue;
      SweepUnfinished(day, os);
      for (const fs::path& file : os.List(day)) {
        if (IsObjectName(file.lexically_relative(outbox))) os.RemoveAll(file);
      }
      std::error_code ignored;
      fs::remove(day, ignored);  // when it is empty
    }
  }
}

}  // namespace contimg::ops
