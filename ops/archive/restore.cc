#include "ops/archive/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/archive/manifest.h"
#include "ops/archive/verify.h"
#include "ops/base/checksum.h"
#include "ops/base/sha256.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::ArchiveRow;
using state::ArchiveState;

constexpr const char* kRestoreStage = "restore";

struct Damaged {
  std::string what;
};

const ManifestMember& MemberOf(const Manifest& manifest, const state::ProductRow& product,
                               const std::vector<state::ArchiveMember>& members) {
  // Ids change when records are made anew from manifests; the place in the tree does not.
  for (const state::ArchiveMember& each : members) {
    if (each.product_id != product.id) continue;
    for (const ManifestMember& member : manifest.members) {
      if (member.place.root + "/" + member.place.path == each.member) return member;
    }
  }
  throw Damaged{"its manifest does not name the product"};
}

// Puts a product together from the piece of the object as it comes.
class Assembler {
 public:
  Assembler(const ManifestMember& member, const fs::path& to, Os& os) : member_(member), to_(to), os_(os) {}

  void Take(const char* data, std::size_t size) {
    all_.Add(data, size);
    while (size > 0) {
      if (at_ >= member_.offset + member_.bytes) throw Damaged{"it is longer than it should be"};
      std::size_t n = size;
      if (next_ < member_.files.size()) {
        const ManifestFile& file = member_.files[next_];
        if (at_ < file.offset) {
          n = Least(n, file.offset - at_);  // a tar's head
        } else {
          if (!open_) Open(file);
          n = Least(n, file.offset + file.bytes - at_);
          open_->WriteAt(data, n, at_ - file.offset);
          hash_->Add(data, n);
        }
      }
      data += n;
      size -= n;
      at_ += n;
      CloseComplete();
    }
  }

  void Finish() {
    CloseComplete();
    if (at_ != member_.offset + member_.bytes || next_ != member_.files.size()) {
      throw Damaged{fmt::format("expected {} bytes, found {}", member_.bytes, at_ - member_.offset)};
    }
    if (all_.Hex() != member_.sha256) {
      throw Damaged{fmt::format("expected SHA-256 {}, found {}", member_.sha256, all_.Hex())};
    }
  }
  void Begin() {
    at_ = member_.offset;
    CloseComplete();
  }

 private:
  static std::size_t Least(std::size_t n, std::uint64_t left) {
    return static_cast<std::size_t>(std::min<std::uint64_t>(n, left));
  }
  fs::path PathOf(const ManifestFile& file) const { return file.path.empty() ? to_ : to_ / file.path; }
  void Open(const ManifestFile& file) {
    if (!file.path.empty()) os_.CreateDirectories(PathOf(file).parent_path());
    open_ = os_.Create(PathOf(file));
    hash_ = std::make_unique<Sha256>();
  }
  // Files that are complete, empty ones among them.
  void CloseComplete() {
    while (next_ < member_.files.size()) {
      const ManifestFile& file = member_.files[next_];
      if (at_ < file.offset + file.bytes) return;
      if (!open_) Open(file);
      open_->Sync();
      open_->Close();
      open_.reset();
      if (hash_->Hex() != file.sha256) {
        throw Damaged{fmt::format("expected SHA-256 {} of {}, found {}", file.sha256, PathOf(file).filename().string(),
                                  hash_->Hex())};
      }
      const timespec times[2] = {{file.mtime_s, 0}, {file.mtime_s, 0}};
      (void)!::utimensat(AT_FDCWD, PathOf(file).c_str(), times, AT_SYMLINK_NOFOLLOW);  // as before, where it can be
      ++next_;
    }
  }

  const ManifestMember& member_;
  const fs::path& to_;
  Os& os_;
  std::uint64_t at_ = 0;
  std::size_t next_ = 0;
  std::unique_ptr<OsFile> open_;
  std::unique_ptr<Sha256> hash_;
  Sha256 all_;
};

void RequireFree(const fs::path& path) {
  if (IsTaken(path)) {
    throw Error(ErrorKind::kUsage, kRestoreStage, path.string(), "exists already, and nothing is written over it");
  }
}

using ReadPiece = std::function<void(const Rclone::Sink& sink)>;

// The product under its final name, of what `read` gives.
void PutTogether(const fs::path& to, const ManifestMember& member, const ReadPiece& read, const RunContext& context) {
  Os& os = OsOr(context.os);
  context.CheckCancelled(kRestoreStage);
  const Unfinished part(to, os);
  Assembler assembler(member, part.path(), os);
  assembler.Begin();
  read([&](const char* data, std::size_t size) {
    context.CheckCancelled(kRestoreStage);
    assembler.Take(data, size);
  });
  assembler.Finish();
  RequireFree(to);
  SyncTree(os, part.path());
  os.RenameNew(part.path(), to);
  os.SyncDirectory(to.parent_path());
}

void ReadPieceOf(const fs::path& object, const ManifestMember& member, const Rclone::Sink& sink) {
  std::ifstream file(object, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(member.offset));
  std::vector<char> buffer(std::size_t{1} << 20);
  for (std::uint64_t left = member.bytes; left > 0;) {
    file.read(buffer.data(), static_cast<std::streamsize>(std::min<std::uint64_t>(left, buffer.size())));
    const auto n = static_cast<std::size_t>(file.gcount());
    if (n == 0) return;  // is found out by who takes it
    sink(buffer.data(), n);
    left -= n;
  }
}

// From this copy; from `object` first, if it was brought here.
void Fetch(const fs::path& to, const ArchiveRow& copy, const ManifestMember& member,
           const std::optional<fs::path>& object, const Remote& remote, const RunContext& context) {
  Os& os = OsOr(context.os);
  os.CreateDirectories(to.parent_path());
  CheckRoom(os, to.parent_path(), member.bytes, kRestoreStage, to.string());
  if (object) {
    try {
      return PutTogether(
          to, member, [&](const Rclone::Sink& sink) { ReadPieceOf(*object, member, sink); }, context);
    } catch (const Damaged&) {  // on the way, or there: the remote tells
    }
  }
  remote.Retrying([&] {
    const auto read = [&](const Rclone::Sink& sink) {
      bool there = false;
      try {
        there = remote.ReadPart(copy.object, member.offset, member.bytes, sink);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kBadInput) throw;
        remote.RequireMark();  // which can be decrypted
        throw Damaged{error.message()};
      }
      if (there) return;
      remote.RequireMark();
      throw Damaged{"is not there any more"};
    };
    PutTogether(to, member, read, context);
  });
}

// Tells a copy that is cut off, which may fail to be read, from a remote that does not answer.
void FetchOrSize(const fs::path& to, const ArchiveRow& copy, const ManifestMember& member,
                 const std::optional<fs::path>& object, const Remote& remote, const RunContext& context) {
  try {
    Fetch(to, copy, member, object, remote, context);
  } catch (const Error& error) {
    if (error.stage() != "archive" || (error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kTimeout)) throw;
    const auto size = remote.SizeOf(copy.object);
    if (!size || *size == static_cast<std::uint64_t>(copy.bytes)) throw;
    remote.RequireMark();
    throw Damaged{fmt::format("expected {} bytes, found {}", copy.bytes, *size)};
  }
}

void RecordItself(std::int64_t product, state::ProductStore& products) {
  const double now = UtcTime::Now().unix_s();
  products.database().Write([&] {
    products.SetStatus(product, "present", "", now);
    products.SetChecked(product, now);
    state::ArchiveStore(products.database()).MarkRestored(product, now);
  });
}

// A lossy copy as a product of its own, whose copies are those that are lossy of the other. Returns its id.
std::int64_t RecordLossy(const state::ProductRow& original, const ManifestMember& member, const fs::path& to,
                         state::ProductStore& products, Os& os) {
  const double now = UtcTime::Now().unix_s();
  state::ProductRow row = original;
  row.id = 0;
  row.path = to.string();
  row.size_bytes = static_cast<std::int64_t>(member.bytes);
  row.checksum = ProductChecksum(to, 1, os);
  row.sha256 = member.sha256;
  row.status = "present";
  row.archive_path.clear();
  nlohmann::json quality = nlohmann::json::parse(original.qa_json, nullptr, false);
  if (!quality.is_object()) quality = nlohmann::json::object();
  quality["lossy"] = {
      {"codec", member.lossy->codec}, {"quantum", member.lossy->quantum}, {"largest_step", member.lossy->largest_step}};
  row.qa_json = quality.dump();
  products.database().Write([&] {
    row.id = products.Save(row, now);
    products.Link(row.id, {original.id});
    products.SetChecked(row.id, now);
    state::ArchiveStore store(products.database());
    store.MarkRestored(row.id, now);
    for (const ArchiveRow& copy : store.CopiesOf(original.id)) {
      for (state::ArchiveMember each : store.Members(copy.id)) {
        if (each.product_id != original.id || each.sha256 != member.sha256) continue;
        each.product_id = row.id;
        each.checksum = row.checksum;
        each.lossy = false;
        store.AddMember(copy.id, each);
      }
    }
  });
  return row.id;
}

void Tell(const RestoreItem& item, const std::string& from, state::GroupStore* groups, const RunContext& context) {
  const double now = UtcTime::Now().unix_s();
  if (groups == nullptr || item.product.group_id.empty()) return;
  state::EventRow event;
  event.at = now;
  event.group_id = item.product.group_id;
  event.kind = "archive";
  event.actor = "restore";
  event.detail = fmt::format("{} restored {}", item.product.path, from);
  try {
    groups->AddEvent(event);
  } catch (const Error& error) {
    context.reporter->Warn(kRestoreStage, fmt::format("not in the group's trail: {}", error.what()));
  }
}

}  // namespace

std::vector<RestoreItem> PlanRestore(const RestoreRequest& request, const DirectoryRoots& roots,
                                     state::ProductStore& products) {
  state::ArchiveStore store(products.database());
  std::vector<RestoreItem> items;
  for (const std::int64_t id : request.products) {
    const auto row = products.Find(id);
    if (!row) throw Error(ErrorKind::kUsage, kRestoreStage, fmt::format("product {}", id), "is not on record");
    RestoreItem item;
    item.product = *row;
    item.place = row->path;
    if (!request.to.empty()) {
      const auto place = InTree(row->path, roots);
      if (!place)
        throw Error(ErrorKind::kUsage, kRestoreStage, row->path, "lies outside the directories of this installation");
      item.place = request.to / place->root / place->path;
    }
    item.copies = store.CopiesOf(id);
    if (!request.remote.empty()) {
      std::erase_if(item.copies, [&](const ArchiveRow& copy) { return copy.remote != request.remote; });
    }
    const bool lossy = !item.copies.empty() && item.copies.front().lossy && !IsTaken(item.place);
    item.to = lossy ? LossyName(item.place) : item.place;
    // One that a killed run has given its name, and not yet its record.
    const auto recorded = lossy ? products.FindByPath(item.to.string()) : row;
    item.is_there = request.to.empty() && (!recorded || recorded->status != "present") && IsTaken(item.to);
    if (!item.is_there) RequireFree(item.to);
    if (item.copies.empty() && !item.is_there) {
      throw Error(ErrorKind::kBadInput, kRestoreStage, row->path,
                  fmt::format("no whole copy of it as it was recorded is known{}",
                              request.remote.empty() ? "" : " at " + request.remote));
    }
    for (const ArchiveRow& copy : item.copies) {
      if (item.bytes > 0) break;
      for (const state::ArchiveMember& member : store.Members(copy.id)) {
        if (member.product_id != id) continue;
        item.bytes = static_cast<std::uint64_t>(member.bytes);
      }
    }
    items.push_back(std::move(item));
  }
  return items;
}

RestoredProduct Restore(const RestoreItem& item, bool record, const std::vector<Remote>& remotes,
                        state::ProductStore& products, state::GroupStore* groups, const ReportDamage& damaged,
                        const RunContext& context, const std::optional<fs::path>& object) {
  state::ArchiveStore store(products.database());
  SweepUnfinished(item.to.parent_path(), OsOr(context.os));  // of runs that were killed
  const auto differs = [&](const std::string& difference) {
    return Error(ErrorKind::kUsage, kRestoreStage, item.to.string(),
                 fmt::format("exists already and is something else ({}): move it away first", difference));
  };
  if (item.is_there && !item.lossy()) {
    const ProductFinding found = CompareWithRecord(item.product, OsOr(context.os));
    if (!found.difference.empty()) throw differs(found.difference);
    if (record) {
      RecordItself(item.product.id, products);
      Tell(item, "where it is", groups, context);
    }
    return {item.product.id, item.to, "", "", 0};
  }
  std::optional<Error> last;  // one that could not be reached, if there was one: it may serve another time
  for (const ArchiveRow& copy : item.copies) {
    const std::string subject = copy.remote + ":" + copy.object;
    try {
      const Manifest manifest = ParseManifest(store.Find(copy.id)->manifest_json, copy.remote + ": " + copy.object);
      const ManifestMember& member = MemberOf(manifest, item.product, store.Members(copy.id));
      const fs::path to = copy.lossy ? LossyName(item.place) : item.place;
      if (item.is_there) {
        if (FileSha256(to) != member.sha256) throw differs("expected SHA-256 " + member.sha256);
      } else {
        const Remote& remote = FindRemote(remotes, copy.remote);
        const bool is_first = &copy == &item.copies.front();
        FetchOrSize(to, copy, member, is_first ? object : std::nullopt, remote, context);
      }
      RestoredProduct restored{item.product.id, to, subject, copy.lossy ? LossyWords(*member.lossy) : "", member.bytes};
      if (record && copy.lossy) {
        restored.product = RecordLossy(item.product, member, to, products, OsOr(context.os));
      } else if (record) {
        RecordItself(item.product.id, products);
      }
      if (record)
        Tell(item, fmt::format("from {}{}{}", subject, copy.lossy ? " " : "", restored.lossy), groups, context);
      return restored;
    } catch (const Damaged& found) {
      store.SetState(copy.id, ArchiveState::kLost, found.what, UtcTime::Now().unix_s());
      damaged("archive", subject, found.what);
      context.reporter->Warn(kRestoreStage, fmt::format("{}: {}", subject, found.what));
      if (!last) last = Error(ErrorKind::kBadInput, kRestoreStage, subject, found.what);
    } catch (const Error& error) {
      const bool next = error.kind() == ErrorKind::kIo || error.kind() == ErrorKind::kTimeout ||
                        (error.kind() == ErrorKind::kUsage && error.subject() == copy.remote);
      if (!next || error.stage() != "archive") throw;
      context.reporter->Warn(kRestoreStage, error.what());
      last = Error(ErrorKind::kIo, kRestoreStage, error.subject(), error.message());
    }
  }
  throw Error(last->kind(), kRestoreStage, item.product.path,
              fmt::format("no copy of it could be fetched; the last was {}", last->what()));
}

}  // namespace contimg::ops
