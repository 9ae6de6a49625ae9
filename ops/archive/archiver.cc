#include "ops/archive/archiver.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <mutex>
#include <optional>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/manifest.h"
#include "ops/archive/outbox.h"
#include "ops/archive/sender.h"
#include "ops/archive/stage_name.h"
#include "ops/archive/verify.h"
#include "ops/base/words.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::ArchiveRow;
using state::ArchiveState;

constexpr int kFailuresOfARemote = 2;  // in a row without an answer: it is left alone for the rest of the run

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
        outbox_(work.paths, work.rice ? ImagesAs::kRice : ImagesAs::kLossless, products, mutex_, context),
        sender_(outbox_.folder(), work.owner, context) {}

  // Each set of products becomes an object, and all of them go to each remote together.
  void Carry(const std::vector<const PlannedObject*>& set) {
    std::deque<Outgoing> objects;
    std::map<std::string, OutgoingSet> to;
    for (const PlannedObject* planned : set) {
      context_.CheckCancelled(kArchiveStage);
      std::vector<const Remote*> remotes;
      for (const std::string& name : planned->remotes) {
        if (Answers(name)) remotes.push_back(&FindRemote(work_.remotes, name));
      }
      if (remotes.empty()) continue;
      auto staged = Make(*planned, remotes);
      if (!staged) continue;
      objects.push_back(std::move(*staged));
      for (const Remote* remote : remotes) to[remote->about().name].push_back(&objects.back());
    }
    for (const auto& [name, outgoing] : to) Send(FindRemote(work_.remotes, name), outgoing);
    for (const Outgoing& each : objects) Drop(each);
  }

  // From remote to remote, under the first name that is free there. Takes from `left` what goes together: to one
  // remote, of each group and class one object, for the next may hold the same products.
  void Replicate(std::vector<PlannedReplica>& left) {
    const std::string name = left.front().to;
    const Remote& to = FindRemote(work_.remotes, name);
    std::set<std::int64_t> wanted;  // an earlier one may have brought all of it
    for (const ArchiveRow& row : store_.SourcesFor(name)) wanted.insert(row.id);
    std::deque<Outgoing> objects;
    std::map<const Outgoing*, ArchiveRow> sources;
    std::set<std::pair<std::string, std::string>> sets;
    Together together;
    std::erase_if(left, [&](const PlannedReplica& planned) {
      const ArchiveRow& source = planned.source;
      if (planned.to != name || sets.count({source.group_id, source.product_class}) != 0) return false;
      if (wanted.count(source.id) == 0 || !Answers(name) || !Answers(source.remote)) return true;
      if (!together.Takes(static_cast<std::uint64_t>(source.bytes)) && !sets.empty()) return false;
      sets.insert({source.group_id, source.product_class});
      try {
        objects.push_back(outbox_.StageReplica(source, FindRemote(work_.remotes, source.remote), to));
        sources.emplace(&objects.back(), source);
      } catch (const Error& error) {
        Fail(name + ": " + source.object, error);
      }
      return true;
    });
    OutgoingSet set;
    for (const Outgoing& each : objects) set.push_back(&each);
    const OutgoingSet failed = Send(to, set);
    result_.n_replicas += static_cast<std::int64_t>(set.size() - failed.size());
    std::map<std::string, std::vector<ArchiveRow>> doubted;  // is it the copy there that is bad?
    for (const Outgoing* each : failed) doubted[sources.at(each).remote].push_back(sources.at(each));
    for (const auto& [at, rows] : doubted) ReadAgain(FindRemote(work_.remotes, at), rows);
    for (const Outgoing& each : objects) Drop(each);
  }

  // Copied by a run that was cut short, or put on record from a manifest.
  void ReadCopied() {
    for (const Remote& remote : work_.remotes) {
      result_.n_verified += ReadAgain(remote, store_.List({remote.about().name, "", "", ArchiveState::kCopied, 0}));
    }
  }

  ArchiveResult Finish() {
    for (const Remote& remote : work_.remotes) {
      if (sent_to_.count(remote.about().name) != 0 && Answers(remote.about().name)) sender_.DropEmptyFolder(remote);
    }
    result_.n_retired = store_.RetireSuperseded();
    result_.n_products = static_cast<std::int64_t>(copied_.size());
    return std::move(result_);
  }
  // What is no place for copies now is left alone, and what a killed run has left at the others goes.
  void Begin() {
    for (const Remote& remote : work_.remotes) {
      const bool in_use = HoldsCopies(store_, remote);
      try {
        remote.Retrying([&] { remote.RequireMark(in_use, outbox_.folder()); });
        if (!store_.List({remote.about().name, "", "", ArchiveState::kStaged, 1}).empty()) sender_.DropAllParts(remote);
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

  // Reads objects: what is whole is verified, what is not is lost. How many are whole.
  std::int64_t ReadAgain(const Remote& remote, const std::vector<ArchiveRow>& rows) {
    if (!Answers(remote.about().name)) return 0;
    std::int64_t n_whole = 0;
    const auto left = ReadTogether(remote, rows, context_, [&](const ArchiveRow& row) {
      SetState(row.id, ArchiveState::kVerified);
      ++n_whole;
    });
    for (const ArchiveRow& row : left) {
      context_.CheckCancelled(kArchiveStage);
      if (CheckSource(remote, row)) ++n_whole;
    }
    return n_whole;
  }

  // One by itself.
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
                              fmt::format("{} takes nothing: what is for it waits for the next run", remote));
    }
  }
  void Fail(const std::string& subject, const Error& error) {
    const std::lock_guard<std::mutex> lock(mutex_);
    result_.failures.push_back({subject, error.what(), error.kind()});
    context_.reporter->Warn(kArchiveStage, error.what());
  }

  // One product that cannot be archived keeps none of the others. Nothing: none is left.
  std::optional<Outgoing> Make(PlannedObject planned, const std::vector<const Remote*>& remotes) {
    while (!planned.products.empty()) {
      try {
        return outbox_.Stage(planned, remotes);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kCancelled) throw;
        if (LeaveOut(planned, error)) continue;
        Fail(error.subject(), error);
        break;
      }
    }
    return std::nullopt;
  }

  void Drop(const Outgoing& sent) {
    try {
      outbox_.Drop(sent);
    } catch (const Error& error) {
      Fail(error.subject(), error);
    }
  }

  // Those that did not get there.
  OutgoingSet Send(const Remote& remote, const OutgoingSet& set) {
    const std::string& name = remote.about().name;
    if (set.empty() || !Answers(name)) return set;
    const DeliverySet all(set.begin(), set.end());
    const auto each_row = [&](const DeliverySet& of, const std::function<void(const Delivery&, std::int64_t)>& change) {
      const std::lock_guard<std::mutex> lock(mutex_);
      products_.database().Write([&] {
        for (const Delivery* each : of) change(*each, store_.Find(name, each->files.front().name)->id);
      });
    };
    const SendFailures failures = sender_.Send(remote, all, [&](const DeliverySet& named) {
      each_row(named, [&](const Delivery&, std::int64_t id) {
        store_.SetState(id, ArchiveState::kCopied, "", UtcTime::Now().unix_s());
      });
    });
    each_row(all, [&](const Delivery& each, std::int64_t id) {
      const auto failure = failures.find(&each);
      if (failure == failures.end()) return store_.SetState(id, ArchiveState::kVerified, "", UtcTime::Now().unix_s());
      const Error& error = failure->second;
      store_.SetAttempt(id, error.what());
      // A name that others have used at the remote is given up: the next run takes the next one.
      if (error.kind() == ErrorKind::kBadInput)
        store_.SetState(id, ArchiveState::kRetired, error.what(), UtcTime::Now().unix_s());
    });
    OutgoingSet failed;
    bool taken = false;
    for (const Outgoing* each : set) {
      const auto failure = failures.find(each);
      if (failure == failures.end()) {
        taken = true;
        Count(*each, name);
        continue;
      }
      const ErrorKind kind = failure->second.kind();
      taken = taken || (kind != ErrorKind::kIo && kind != ErrorKind::kTimeout && kind != ErrorKind::kResource);
      Fail(name + ": " + each->manifest.object, failure->second);
      failed.push_back(each);
    }
    Note(name, taken);
    if (!failed.empty() && Answers(name)) sender_.DropParts(remote, {failed.begin(), failed.end()});
    return failed;
  }

  void Count(const Outgoing& sent, const std::string& remote) {
    const std::lock_guard<std::mutex> lock(mutex_);
    sent_to_.insert(remote);
    ++result_.n_copied;
    result_.bytes_copied += sent.manifest.bytes;
    if (sent.is_replica()) return;  // of products that are not on disk
    for (const ManifestMember& member : sent.manifest.members) copied_.insert(member.product);
    Tell(sent.manifest, remote);
  }

  void SetState(std::int64_t id, ArchiveState to, const std::string& why = "") {
    const std::lock_guard<std::mutex> lock(mutex_);
    store_.SetState(id, to, why, UtcTime::Now().unix_s());
  }

  // A line in the group's trail; one that cannot be written is no reason to copy again.
  void Tell(const Manifest& sent, const std::string& remote) {
    if (groups_ == nullptr || sent.group.empty()) return;
    state::EventRow event;
    event.at = UtcTime::Now().unix_s();
    event.group_id = sent.group;
    event.kind = "archive";
    event.actor = "archive";
    event.detail = fmt::format("{} of {}, {}, verified as {}: {}",
                               Counted(static_cast<std::int64_t>(sent.members.size()), "product"), sent.product_class,
                               Bytes(static_cast<double>(sent.bytes)), remote, sent.object);
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
  std::mutex mutex_;  // the databases, and what follows
  Outbox outbox_;
  Sender sender_;
  std::map<std::string, int> down_;
  std::set<std::int64_t> copied_;
  std::set<std::string> sent_to_;
  ArchiveResult result_;
};

}  // namespace

ArchiveResult CarryOut(const ArchivePlan& plan, const ArchiveWork& work, state::ProductStore& products,
                       state::GroupStore* groups, const ReportDamage& damaged, const RunContext& context) {
  Run run(work, products, groups, damaged, context);
  run.Begin();
  std::vector<std::vector<const PlannedObject*>> sets;
  Together together;
  std::uint64_t all = 0, done = 0;
  for (const PlannedObject& each : plan.objects) {
    if (!together.Takes(each.bytes()) || sets.empty()) sets.emplace_back();
    sets.back().push_back(&each);
    all += each.bytes();
  }
  std::mutex progress;
  ParallelFor(work.transfers, sets.size(), [&](std::size_t i) {
    run.Carry(sets[i]);
    const std::lock_guard<std::mutex> lock(progress);
    for (const PlannedObject* each : sets[i]) done += each->bytes();
    context.reporter->Progress(kArchiveStage, all > 0 ? static_cast<double>(done) / static_cast<double>(all) : 1);
  });
  for (std::vector<PlannedReplica> left = plan.replicas; !left.empty();) {
    context.CheckCancelled(kArchiveStage);
    run.Replicate(left);
  }
  run.ReadCopied();
  return run.Finish();
}

}  // namespace contimg::ops
