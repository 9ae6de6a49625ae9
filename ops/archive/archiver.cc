#include "ops/archive/archiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/archive/manifest.h"
#include "ops/archive/object.h"
#include "ops/archive/sender.h"
#include "ops/archive/stage_name.h"
#include "ops/base/host_name.h"
#include "ops/base/version.h"
#include "ops/base/words.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::ArchiveRow;
using state::ArchiveState;

constexpr int kFailuresOfARemote = 2;  // in a row without an answer: it is left alone for the rest of the run
constexpr int kMostNames = 10000;
constexpr double kOneMember = 1536;  // a tar's head and filling at most

double Now() { return UtcTime::Now().unix_s(); }

// The rest of one run, shared by the threads that carry objects.
class Run {
 public:
  Run(const ArchiveWork& work, state::ProductStore& products, state::GroupStore* groups, const ReportDamage& damaged,
      const RunContext& context)
      : work_(work),
        products_(products),
        store_(products.database()),
        groups_(groups),
        damaged_(damaged),
        context_(context),
        os_(OsOr(context.os)),
        sender_(work.owner, context) {}

  // One product that cannot be archived keeps none of the others.
  void Carry(PlannedObject planned) {
    std::vector<const Remote*> remotes;
    for (const std::string& name : planned.remotes) {
      if (Answers(name)) remotes.push_back(&FindRemote(work_.remotes, name));
    }
    if (remotes.empty()) return;
    while (!planned.products.empty()) {
      try {
        const Outgoing staged = Make(planned, remotes);
        for (const Remote* remote : remotes) Send(planned, staged, *remote);
        os_.RemoveAll(staged.file);
        return os_.RemoveAll(staged.manifest_file);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kCancelled) throw;
        if (!LeaveOut(planned, error)) return Fail(error.subject(), error);
      }
    }
  }

  // From remote to remote, under the first name that is free there.
  void Replicate(const PlannedReplica& planned) {
    if (!Answers(planned.to) || !Answers(planned.source.remote)) return;
    const Remote& from = FindRemote(work_.remotes, planned.source.remote);
    const Remote& to = FindRemote(work_.remotes, planned.to);
    const auto source = store_.Find(planned.source.id);
    const auto sources = store_.SourcesFor(planned.to);  // an earlier one may have brought all of it
    const bool wanted =
        std::any_of(sources.begin(), sources.end(), [&](const auto& row) { return row.id == source->id; });
    if (!wanted) return;
    Outgoing staged;
    std::int64_t id = 0;
    try {
      staged.manifest = ParseManifest(source->manifest_json, source->remote + ": " + source->object);
      staged.manifest.object = ReplicaName(*source, planned.to);
      staged.manifest_file = work_.paths.Archive("ms").parent_path() / (staged.manifest.object + ".json");
      os_.CreateDirectories(staged.manifest_file.parent_path());
      WriteFileAtomically(os_, staged.manifest_file, ManifestText(staged.manifest));
      staged.put = [&](const Remote& remote, const std::string& part) { remote.PutFrom(from, source->object, part); };
      ArchiveRow row = *source;
      row.remote = planned.to;
      row.object = staged.manifest.object;
      row.manifest_json = ManifestText(staged.manifest);
      row.state = ArchiveState::kStaged;
      row.attempts = 0;
      row.error.clear();
      row.copied_at = row.verified_at = row.checked_at = std::nullopt;
      id = store_.Save(row, store_.Members(source->id));
      SendTo(to, staged, id);
      Note(planned.to, true);
      ++result_.n_copied;
      ++result_.n_replicas;
      result_.bytes_copied += staged.manifest.bytes;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      if (id != 0) {
        store_.SetAttempt(id, error.what());
        if (error.kind() == ErrorKind::kBadInput) SetState(id, ArchiveState::kRetired, error.what());
      }
      Note(planned.to, error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kTimeout);
      Fail(planned.to + ": " + planned.source.object, error);
      DropParts(staged.manifest.object, id, to);
      CheckSource(from, *source);  // is it the copy here that is bad?
    }
    os_.RemoveAll(staged.manifest_file);
  }

  // Copied by a run that was cut short, or put on record from a manifest.
  void ReadAgain() {
    for (const Remote& remote : work_.remotes) {
      const std::string& name = remote.about().name;
      for (const ArchiveRow& row : store_.List({name, "", "", ArchiveState::kCopied, 0})) {
        context_.CheckCancelled(kArchiveStage);
        if (!Answers(name)) break;
        if (CheckSource(remote, row)) ++result_.n_verified;
      }
    }
  }

  ArchiveResult Finish() {
    const std::vector<ArchiveRow> staged = store_.List({"", "", "", ArchiveState::kStaged, 0});
    result_.n_retired = store_.RetireSuperseded();
    for (const ArchiveRow& row : staged) {
      if (store_.Find(row.id)->state == ArchiveState::kRetired) DropParts(row);
    }
    for (const ArchiveRow& row : given_up_) DropParts(row);
    result_.n_products = static_cast<std::int64_t>(copied_.size());
    return std::move(result_);
  }
  void CheckMarks() {
    for (const Remote& remote : work_.remotes) {
      bool in_use = false;
      for (const ArchiveState each : {ArchiveState::kCopied, ArchiveState::kVerified}) {
        in_use = in_use || !store_.List({remote.about().name, "", "", each, 1}).empty();
      }
      try {
        remote.Retrying([&] { remote.RequireMark(in_use, work_.paths.Archive("ms").parent_path()); });
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kCancelled) throw;
        Fail(remote.about().name, error);
        down_[remote.about().name] = kFailuresOfARemote;
      }
    }
  }

 private:
  // Takes the product that the error is about out of the set. False: it is about none, and the set fails.
  bool LeaveOut(PlannedObject& planned, const Error& error) {
    const auto about =
        std::find_if(planned.products.begin(), planned.products.end(), [&](const state::ProductRow& row) {
          const fs::path below = fs::path(error.subject()).lexically_relative(row.path);
          return !below.empty() && *below.begin() != "..";
        });
    if (about == planned.products.end()) return false;
    if (error.kind() == ErrorKind::kBusy) {  // made anew, or gone: another time
      context_.reporter->Info(kArchiveStage, error.what());
      const std::lock_guard<std::mutex> lock(mutex_);
      ++result_.n_changed;
    } else if (error.kind() == ErrorKind::kBadInput || error.kind() == ErrorKind::kUsage ||
               error.kind() == ErrorKind::kIo) {
      Fail(error.subject(), error);
      const std::lock_guard<std::mutex> lock(mutex_);
      if (error.kind() == ErrorKind::kBadInput) damaged_("local", about->path, error.message());
    } else {
      return false;
    }
    planned.products.erase(about);
    return true;
  }

  // Reads an object: what is whole is verified, what is not is lost.
  bool CheckSource(const Remote& remote, const ArchiveRow& row) {
    const std::string& name = remote.about().name;
    if (!Answers(name)) return false;
    try {
      const std::string detail = remote.DamageOf(row.object, row.sha256, static_cast<std::uint64_t>(row.bytes));
      Note(name, true);
      if (detail.empty()) {
        SetState(row.id, ArchiveState::kVerified);
        return true;
      }
      SetState(row.id, ArchiveState::kLost, detail);
      damaged_("archive", name + ":" + row.object, detail);
      Fail(name, Error(ErrorKind::kBadInput, kArchiveStage, name + ": " + row.object, detail));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      Note(name, false);
      Fail(name, error);
    }
    return false;
  }

  std::string ReplicaName(const ArchiveRow& source, const std::string& to) {
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

  bool Answers(const std::string& remote) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return down_[remote] < kFailuresOfARemote;
  }
  void Note(const std::string& remote, bool answered) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (answered) {
      down_[remote] = 0;
    } else if (++down_[remote] == kFailuresOfARemote) {
      context_.reporter->Warn(kArchiveStage,
                              fmt::format("{} does not answer: what is for it waits for the next run", remote));
    }
  }
  void Fail(const std::string& subject, const Error& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    result_.failures.push_back({subject, error.what()});
    context_.reporter->Warn(kArchiveStage, error.what());
  }

  // The object in the outbox, on record at each of these remotes as staged.
  Outgoing Make(const PlannedObject& planned, const std::vector<const Remote*>& remotes) {
    const fs::path outbox = work_.paths.Archive("ms").parent_path();
    const fs::path first = outbox / ObjectName(planned.product_class, planned.products.front(), 1);
    os_.CreateDirectories(first.parent_path());
    CheckRoom(os_, first.parent_path(),
              planned.bytes() + static_cast<std::uint64_t>(kOneMember * static_cast<double>(planned.products.size())),
              kArchiveStage, first.string());
    Unfinished part(first, os_);
    const MadeObject made = MakeObject(planned.products, work_.paths.roots(), part.path(), context_);

    const std::lock_guard<std::mutex> lock(mutex_);
    CheckUnchanged(planned);
    Outgoing staged;
    staged.manifest.object = NameFor(planned, made.sha256, remotes);
    staged.manifest.product_class = planned.product_class;
    staged.manifest.group = planned.group;
    staged.manifest.bytes = made.bytes;
    staged.manifest.sha256 = made.sha256;
    staged.manifest.created_at = UtcTime::Now().Stamp();
    staged.manifest.program = std::string("contimg ") + kVersion;
    staged.manifest.host = HostName();
    staged.manifest.members = made.members;
    for (ManifestMember& member : staged.manifest.members) {
      for (const state::ProductRow& parent : products_.Parents(member.product)) {
        if (const auto place = InTree(parent.path, work_.paths.roots())) member.parents.push_back(*place);
      }
    }
    staged.file = outbox / staged.manifest.object;
    staged.manifest_file = staged.file.string() + ".json";
    staged.put = [file = staged.file](const Remote& remote, const std::string& name) { remote.Put(file, name); };
    os_.RemoveAll(staged.file);  // of a killed run
    os_.Rename(part.path(), staged.file);
    WriteFileAtomically(os_, staged.manifest_file, ManifestText(staged.manifest));
    os_.SyncDirectory(staged.file.parent_path());
    products_.database().Write([&] {
      for (const ManifestMember& member : staged.manifest.members) {
        products_.SetFirstChecksum(member.product, member.checksum, Now());
        if (member.files.size() == 1 && member.files.front().path.empty()) {
          products_.SetSha256(member.product, member.sha256, Now());
        }
      }
      for (const Remote* remote : remotes) Record(planned, staged, *remote);
    });
    return staged;
  }

  // A product that was made anew while its old files were read is another one.
  void CheckUnchanged(const PlannedObject& planned) {
    for (const state::ProductRow& row : planned.products) {
      const auto now = products_.Find(row.id);
      if (!now || now->checksum != row.checksum || now->status != "present") {
        throw Error(ErrorKind::kBusy, kArchiveStage, row.path,
                    "changed while it was read: it is archived another time");
      }
    }
  }

  // The first name that no other content has had, at any remote.
  std::string NameFor(const PlannedObject& planned, const std::string& sha256,
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
  void GiveUpEarlier(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
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
      store_.SetState(row.id, ArchiveState::kRetired, "made anew under another name", Now());
      given_up_.push_back(row);
    }
  }

  void Record(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
    GiveUpEarlier(planned, staged, remote);
    ArchiveRow row;
    row.remote = remote.about().name;
    row.object = staged.manifest.object;
    row.product_class = planned.product_class;
    row.group_id = planned.group;
    row.bytes = static_cast<std::int64_t>(staged.manifest.bytes);
    row.sha256 = staged.manifest.sha256;
    row.manifest_json = ManifestText(staged.manifest);
    row.made_at = Now();
    if (const auto known = store_.Find(row.remote, row.object)) row.attempts = known->attempts;
    std::vector<state::ArchiveMember> members;
    for (const ManifestMember& member : staged.manifest.members) {
      members.push_back({member.product, member.place.root + "/" + member.place.path,
                         static_cast<std::int64_t>(member.bytes), member.sha256, member.checksum});
    }
    store_.Save(row, members);
  }

  void Send(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
    if (!Answers(remote.about().name)) return;
    std::int64_t id = 0;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      id = store_.Find(remote.about().name, staged.manifest.object)->id;
    }
    try {
      SendTo(remote, staged, id);
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kCancelled) throw;
      Note(remote.about().name, error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kTimeout);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        store_.SetAttempt(id, error.what());
        // A name that others have used at the remote is given up: the next run takes the next one.
        if (error.kind() == ErrorKind::kBadInput) store_.SetState(id, ArchiveState::kRetired, error.what(), Now());
      }
      Fail(remote.about().name + ": " + staged.manifest.object, error);
      DropParts(staged.manifest.object, id, remote);
      return;
    }
    Note(remote.about().name, true);
    const std::lock_guard<std::mutex> lock(mutex_);
    ++result_.n_copied;
    result_.bytes_copied += staged.manifest.bytes;
    for (const state::ProductRow& row : planned.products) copied_.insert(row.id);
    Tell(planned, staged, remote);
  }

  void SendTo(const Remote& remote, const Outgoing& staged, std::int64_t id) {
    remote.Retrying([&] {
      sender_.Send(remote, staged, id, [&] { SetState(id, ArchiveState::kCopied); });
      SetState(id, ArchiveState::kVerified);
    });
  }

  // Of a row that is given up.
  void DropParts(const ArchiveRow& row) {
    for (const Remote& remote : work_.remotes) {
      if (remote.about().name == row.remote) DropParts(row.object, row.id, remote);
    }
  }
  void DropParts(const std::string& object, std::int64_t id, const Remote& remote) {
    if (Answers(remote.about().name)) sender_.DropParts(remote, object, id);
  }

  void SetState(std::int64_t id, ArchiveState to, const std::string& why = "") {
    const std::lock_guard<std::mutex> lock(mutex_);
    store_.SetState(id, to, why, Now());
  }

  // A line in the group's trail; one that cannot be written is no reason to copy again.
  void Tell(const PlannedObject& planned, const Outgoing& staged, const Remote& remote) {
    if (groups_ == nullptr || planned.group.empty()) return;
    state::EventRow event;
    event.at = Now();
    event.group_id = planned.group;
    event.kind = "archive";
    event.actor = "archive";
    event.detail =
        fmt::format("{} of {}, {}, verified as {}: {}",
                    Counted(static_cast<std::int64_t>(planned.products.size()), "product"), planned.product_class,
                    Bytes(static_cast<double>(staged.manifest.bytes)), remote.about().name, staged.manifest.object);
    try {
      groups_->AddEvent(event);
    } catch (const Error& error) {
      context_.reporter->Warn(kArchiveStage, fmt::format("not in the group's trail: {}", error.what()));
    }
  }

  const ArchiveWork& work_;
  state::ProductStore& products_;
  state::ArchiveStore store_;
  state::GroupStore* groups_;
  const ReportDamage& damaged_;
  const RunContext& context_;
  Os& os_;
  Sender sender_;
  std::mutex mutex_;  // the databases, and what follows
  std::map<std::string, int> down_;
  std::set<std::int64_t> copied_;
  std::vector<ArchiveRow> given_up_;
  ArchiveResult result_;
};

}  // namespace

ArchiveResult CarryOut(const ArchivePlan& plan, const ArchiveWork& work, state::ProductStore& products,
                       state::GroupStore* groups, const ReportDamage& damaged, const RunContext& context) {
  Run run(work, products, groups, damaged, context);
  run.CheckMarks();
  std::uint64_t all = 0, done = 0;
  for (const PlannedObject& each : plan.objects) all += each.bytes();
  std::mutex progress;
  ParallelFor(work.transfers, plan.objects.size(), [&](std::size_t i) {
    context.CheckCancelled(kArchiveStage);
    run.Carry(plan.objects[i]);
    const std::lock_guard<std::mutex> lock(progress);
    done += plan.objects[i].bytes();
    context.reporter->Progress(kArchiveStage, all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1);
  });
  for (const PlannedReplica& each : plan.replicas) {
    context.CheckCancelled(kArchiveStage);
    run.Replicate(each);
  }
  run.ReadAgain();
  return run.Finish();
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
