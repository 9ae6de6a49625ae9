#include "ops/daemon/ingest_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <unordered_set>
#include <utility>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/daemon/failed_log.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ingest::Decision;
using ingest::DecisionKind;
using ingest::GroupKey;
using ingest::SubbandFile;
using state::GroupState;

constexpr const char* kActor = "watcher";
constexpr double kCheckWatchS = 2, kFollowOperatorS = 1;
constexpr std::size_t kChecksAtOnce = 64;
constexpr double kMtimeToleranceS = 1e-3;  // records keep times as doubles

ingest::AssemblyRules MakeAssemblyRules(const Settings& settings) {
  ingest::AssemblyRules rules;
  rules.expected_subbands = static_cast<int>(settings.ingest.expected_subbands);
  rules.min_subbands = static_cast<int>(settings.ingest.min_subbands);
  rules.deadline_s = settings.ingest.deadline_s;
  return rules;
}

ingest::IntakeRules MakeIntakeRules(const Settings& settings) {
  ingest::IntakeRules rules;
  rules.settle_s = settings.ingest.stable_s;
  rules.give_up_s = settings.ingest.quarantine_after_s;
  rules.longest_retry_s = std::min(60.0, std::max(1.0, rules.give_up_s / 8));
  rules.first_retry_s = std::min(1.0, rules.give_up_s / 8);
  return rules;
}

ingest::WatcherOptions MakeWatcherOptions(const IngestContext& context, const Settings& settings) {
  ingest::WatcherOptions options = context.watcher;
  options.mode = settings.ingest.watch == "poll"      ? ingest::WatchMode::kPoll
                 : settings.ingest.watch == "inotify" ? ingest::WatchMode::kInotify
                                                      : ingest::WatchMode::kAuto;
  return options;
}

// One version of each of two files.
std::string PairOf(const SubbandFile& a, const SubbandFile& b) {
  return fmt::format("{} {} {}\n{} {} {}", a.path.string(), a.size, a.mtime_ns, b.path.string(), b.size, b.mtime_ns);
}

double MtimeSeconds(std::int64_t mtime_ns) { return static_cast<double>(mtime_ns) * 1e-9; }

state::SubbandFileRow MakeFileRow(const std::string& id, const SubbandFile& file, const char* status, double now) {
  state::SubbandFileRow row;
  row.group_id = id;
  row.subband = file.subband;
  row.path = file.path.string();
  row.size_bytes = static_cast<std::int64_t>(file.size);
  row.mtime = MtimeSeconds(file.mtime_ns);
  row.checksum = file.fingerprint;
  row.status = status;
  row.seen_at = now;
  return row;
}

}  // namespace

fs::path MoveAside(Os& os, const fs::path& from, const fs::path& directory) {
  os.CreateDirectories(directory);
  for (int number = 0;; ++number) {
    fs::path to =
        directory / (number == 0 ? from.filename().string() : fmt::format("{}.{}", from.filename().string(), number));
    try {
      Publish(os, from, to);
      return to;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kUsage && number <= 1000) continue;  // the name is taken
      // What failed may have come after the move (a sync), or between a copy and the removal of the original.
      if (error.kind() == ErrorKind::kUsage || !Exists(to, os)) throw;
      if (!Exists(from, os)) return to;
      os.RemoveAll(to);
      throw;
    }
  }
}

IngestService::IngestService(const IngestContext& context, const Settings& settings)
    : context_(context),
      settings_(settings),
      watcher_(context.paths.roots().input, MakeWatcherOptions(context, settings)),
      intake_(MakeIntakeRules(settings)),
      assembler_(MakeAssemblyRules(settings)),
      checker_(context.io, context.program, [this](const CheckResult& result) {
        results_.push_back(result);
        ProcessResults();
        OfferDueFiles();
      }) {}

void IngestService::Apply(const Settings& settings) {
  settings_ = settings;
  intake_.SetRules(MakeIntakeRules(settings));
  assembler_.SetRules(MakeAssemblyRules(settings));
}

void IngestService::Start() {
  state::GroupQuery open;
  open.states = {GroupState::kCollecting, GroupState::kHeld};
  for (const state::GroupRow& row : context_.store.List(open)) Restore(row);
  const auto summary = context_.store.Summary();
  if (summary.last_file_at > 0) last_file_unix_ = summary.last_file_at;
  TakeWatchReport(watcher_.Check());
  list_soon_ = true;
}

void IngestService::Restore(const state::GroupRow& row) {
  if (keys_.count(row.id) != 0) return;
  ingest::AssembledGroup group;
  switch (row.state) {
    case GroupState::kCollecting:
      group.phase = ingest::GroupPhase::kCollecting;
      break;
    case GroupState::kHeld:
      group.phase = ingest::GroupPhase::kHeld;
      break;
    case GroupState::kDead:
      group.phase =
          row.error_kind == ErrorKind::kIncomplete ? ingest::GroupPhase::kIncomplete : ingest::GroupPhase::kReady;
      break;
    default:
      group.phase = ingest::GroupPhase::kReady;
  }
  group.axis = {UtcTime::FromMjd(row.data_start_mjd).mjd_s(), UtcTime::FromMjd(row.data_end_mjd).mjd_s(), 0};
  for (const state::SubbandFileRow& file_row : context_.store.Files(row.id)) {
    const auto name = ParseIncomingName(file_row.path);
    if (!name) continue;
    SubbandFile file;
    file.path = file_row.path;
    file.subband = file_row.subband;
    file.stamp = UtcTime::FromIso8601(name->timestamp);
    file.axis = group.axis;
    file.size = static_cast<std::uint64_t>(file_row.size_bytes);
    file.mtime_ns = static_cast<std::int64_t>(std::llround(file_row.mtime * 1e9));
    file.fingerprint = file_row.checksum;
    if (file_row.status == "present") group.subbands.emplace(file.subband, file);
    if (file_row.status == "late") group.late.push_back(file);
    // Should it come back, it is news.
    if (file_row.status == "removed") intake_.Gone(file.path.filename().string());
  }
  // The deadline runs from the first file, or from when an operator let the group go on.
  double since = row.first_file_at;
  if (row.state == GroupState::kCollecting) {
    for (const state::EventRow& event : context_.store.Events(row.id)) {
      if (event.to_state == ToString(GroupState::kCollecting)) since = std::max(since, event.at);
    }
  }
  const double age = std::clamp(context_.clock.Unix() - since, 0.0, settings_.ingest.deadline_s);
  group.deadline = context_.clock.Steady() + settings_.ingest.deadline_s - age;
  const GroupKey key = assembler_.Restore(std::move(group));
  ids_[key] = row.id;
  keys_[row.id] = key;
}

void IngestService::Forget(GroupKey key) {
  assembler_.Forget(key);
  const auto id = ids_.find(key);
  if (id == ids_.end()) return;
  keys_.erase(id->second);
  ids_.erase(id);
}

void IngestService::RestoreAnew(const state::GroupRow& row) {
  if (const auto known = keys_.find(row.id); known != keys_.end()) Forget(GroupKey(known->second));
  Restore(row);
}

// A path that belonged to one group now holds a file of another: the first has it no more.
void IngestService::Withdraw(const state::SubbandFileRow& former) {
  const double now = context_.clock.Unix();
  if (const auto key = keys_.find(former.group_id); key != keys_.end()) assembler_.Withdraw(key->second, former.path);
  Log(LogLevel::kWarning, former.group_id, fmt::format("{} holds other times now: the group has lost it", former.path));
  context_.writes.Add(former.group_id + ": file withdrawn", [former, now](state::GroupStore& store) {
    const auto row = store.Find(former.group_id);
    if (!row) return;
    state::SubbandFileRow gone = former;
    gone.status = "removed";
    store.AddFiles(*row, {gone}, kActor, now);
    const std::string sentence = fmt::format("{} holds other times now", former.path);
    store.AddEvent({0, now, row->id, "replaced", "", "", kActor, sentence});
    store.Mark(row->id, sentence, kActor, now);
  });
}

void IngestService::RestoreNeighbours(const SubbandFile& file) {
  constexpr double kReachS = kSecondsPerHour;  // clocks of writers are never that far apart from the data
  for (const UtcTime centre : {file.stamp, UtcTime::FromMjdSeconds(file.axis.first_mjd_s)}) {
    state::GroupQuery query;
    query.id_from = (centre - kReachS).Iso8601();
    query.id_before = (centre + kReachS).Iso8601();
    for (const state::GroupRow& row : context_.store.List(query)) Restore(row);
  }
}

void IngestService::TakeWatchReport(const ingest::WatchReport& report) {
  for (const std::string& warning : report.warnings) Log(LogLevel::kWarning, "", warning);
  list_soon_ = list_soon_ || report.list_again;
  look_closely_ = look_closely_ || report.list_again;
  const double now = context_.clock.Steady();
  for (const std::string& name : report.finished) {
    if (!intake_.Knows(name)) {
      context_.metrics.FileSeen();
      ++n_listed_;
    }
    intake_.Finished(name, now);
  }
  if (watcher_.descriptor() != events_of_) AwaitEvents();
  if (!report.finished.empty()) OfferDueFiles();
}

void IngestService::AwaitEvents() {
  if (watcher_.descriptor() != events_of_) {
    events_.reset();
    events_of_ = watcher_.descriptor();
    if (events_of_ < 0) return;
    events_ = std::make_unique<boost::asio::posix::stream_descriptor>(context_.io, ::dup(events_of_));
  }
  if (!events_) return;
  events_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                      [this, of = events_of_](const boost::system::error_code& error) {
                        if (error || of != events_of_) return;
                        const ingest::WatchReport report = watcher_.Drain();
                        if (of == watcher_.descriptor()) AwaitEvents();  // first: what follows may throw
                        TakeWatchReport(report);
                      });
}

void IngestService::List() {
  const double now = context_.clock.Steady();
  std::size_t n_entries = 0;
  std::vector<ingest::ListedFile> files;
  try {
    // With inotify at work only unknown names are looked at more closely; a known one that changes is announced, unless
    // announcements were lost.
    const bool thorough = watcher_.polling() || look_closely_;
    constexpr std::size_t kForgetFrom = 1000;
    const bool forget = intake_.n_accepted() > n_listed_ + kForgetFrom;
    std::unordered_set<std::string> names;
    files = watcher_.List([&](const std::string& name) {
      ++n_entries;
      if (forget) names.insert(name);
      return thorough || !intake_.Knows(name);
    });
    if (forget) intake_.KeepOnly(names);
  } catch (const Error& error) {
    directory_present_ = false;
    Log(LogLevel::kWarning, "", error.what());
    return;
  }
  directory_present_ = true;
  n_listed_ = n_entries;
  for (const ingest::ListedFile& file : files) {
    const bool known = intake_.Knows(file.name);
    if (!known) {
      const auto row = context_.store.FindFile((watcher_.directory() / file.name).string());
      if (row && row->status != "quarantined" && row->status != "removed" &&
          static_cast<std::uint64_t>(row->size_bytes) == file.size &&
          std::abs(row->mtime - MtimeSeconds(file.mtime_ns)) < kMtimeToleranceS) {
        intake_.Remember(file.name, {file.size, file.mtime_ns});
        continue;
      }
      context_.metrics.FileSeen();
    }
    intake_.Listed(file.name, {file.size, file.mtime_ns}, now);
  }
  first_listing_done_ = true;
  look_closely_ = false;
}

void IngestService::OfferDueFiles() {
  const double now = context_.clock.Steady();
  while (checker_.n_waiting() < kChecksAtOnce) {
    const auto name = intake_.NextDue(now);
    if (!name) return;
    std::optional<ingest::ListedFile> file;
    try {
      file = ingest::Stat(watcher_.directory() / *name, context_.os);
    } catch (const Error& error) {
      LaterBecause(*name, error);
      continue;
    }
    if (!file) {
      intake_.Gone(*name);
    } else if (intake_.Settled(*name, {file->size, file->mtime_ns}, now)) {
      checker_.Check(watcher_.directory() / *name);
    }
  }
}

void IngestService::ProcessResults() {
  try {
    while (!results_.empty()) {
      Process(results_.front());
      results_.pop_front();
    }
  } catch (const Error& error) {  // the database cannot be read now: the result waits
    context_.metrics.DatabaseFailed();
    LogNowAndThen(LogLevel::kWarning, fmt::format("a file waits: {}", error.what()));
  }
}

// Nothing is known about the file: it is neither gone nor unreadable.
void IngestService::LaterBecause(const std::string& name, const Error& error) {
  constexpr double kLaterS = 2;
  intake_.Later(name, context_.clock.Steady() + kLaterS);
  LogNowAndThen(LogLevel::kWarning, fmt::format("a file waits: {}", error.what()));
}

void IngestService::Process(const CheckResult& result) {
  const std::string name = result.path.filename().string();
  std::optional<ingest::ListedFile> on_disk;
  try {
    on_disk = ingest::Stat(result.path, context_.os);
  } catch (const Error& error) {
    return LaterBecause(name, error);
  }
  if (!on_disk) return intake_.Gone(name);
  if (!result.file) return Unreadable(result, on_disk);
  const SubbandFile& file = *result.file;
  if (file.subband >= settings_.ingest.expected_subbands) {
    CheckResult refused = result;
    refused.file.reset();
    refused.message =
        fmt::format("expected subbands 0 to {} and found {}", settings_.ingest.expected_subbands - 1, file.subband);
    return Unreadable(refused, on_disk);
  }
  const auto former = context_.store.FindFile(file.path.string());
  if (assembler_.Find(file.axis) == nullptr) RestoreNeighbours(file);
  const SubbandFile* twin = assembler_.Twin(file);
  bool same = twin != nullptr && twin->size == file.size;
  if (same && (twin->path != file.path || twin->fingerprint != file.fingerprint)) {
    const auto verdict = compared_.find(PairOf(*twin, file));
    if (verdict == compared_.end()) return CompareAside(*twin, result);
    same = verdict->second;
    compared_.erase(verdict);
  }
  const auto decisions =
      assembler_.Add(file, context_.clock.Steady(), [same](const auto&, const auto&) { return same; });
  intake_.Accepted(name, {file.size, file.mtime_ns});
  last_file_unix_ = context_.clock.Unix();
  for (const Decision& decision : decisions) {
    CarryOut(decision);
    const bool joined = decision.kind == DecisionKind::kFounded || decision.kind == DecisionKind::kJoined;
    if (joined && context_.observed) context_.observed(ids_.at(decision.group), result.observation);
  }
  const bool counted = former && (former->status == "present" || former->status == "late");
  if (counted && former->group_id != ids_.at(decisions.front().group)) Withdraw(*former);
}

// Whether two files of the same size hold the same bytes takes a look at all of them. The arrived one is processed when
// that is known; until then it counts as not seen yet. (A record's fingerprint may be one of an earlier version's.)
void IngestService::CompareAside(const SubbandFile& known, const CheckResult& arrived) {
  const auto same = std::make_shared<bool>(false);
  context_.background.Run(
      [same, known, file = *arrived.file] {
        *same = (known.fingerprint == file.fingerprint || HasFingerprint(file.path, known.fingerprint)) &&
                (known.path == file.path || SameBytes(known.path, file.path));
      },
      [this, same, pair = PairOf(known, *arrived.file), arrived](const std::exception_ptr& failure) {
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const Error& error) {
          return LaterBecause(arrived.path.filename().string(), error);
        }
        compared_[pair] = *same;
        results_.push_back(arrived);
        ProcessResults();
      });
}

void IngestService::Unreadable(const CheckResult& result, const std::optional<ingest::ListedFile>& on_disk) {
  const std::string name = result.path.filename().string();
  // A machine without memory, descriptors or processes to spare says nothing about the file.
  if (result.kind == ErrorKind::kResource || result.kind == ErrorKind::kBusy) {
    return LaterBecause(name, Error(result.kind, "ingest", name, result.message));
  }
  const ingest::FileVersion version{on_disk->size, on_disk->mtime_ns};
  if (intake_.Unreadable(name, version, context_.clock.Steady(), result.message)) {
    context_.metrics.FileRetried();
    Log(intake_.Failures(name) == 1 ? LogLevel::kWarning : LogLevel::kDebug, "",
        fmt::format("{}: not readable yet: {} ({})", name, result.message, ToString(result.kind)));
    return;
  }
  Quarantine(result.path, fmt::format("{} ({})", result.message, ToString(result.kind)));
}

// The move may be a copy of hundreds of megabytes to another disk. The intake keeps the file in hand meanwhile.
void IngestService::Quarantine(const fs::path& path, const std::string& reason) {
  struct Moved {
    fs::path to;
    std::string unexplained;  // why the reason is not beside it
  };
  const auto moved = std::make_shared<Moved>();
  const double now = context_.clock.Unix();
  const fs::path directory = context_.paths.Quarantine() / UtcTime::FromUnix(now).Date();
  const std::string text =
      fmt::format("{}\nfrom {}\nat {}Z\n", reason, path.string(), UtcTime::FromUnix(now).Iso8601());
  context_.background.Run(
      [moved, &os = context_.os, path, directory, text] {
        moved->to = MoveAside(os, path, directory);
        try {
          WriteFileAtomically(os, moved->to.string() + ".reason", text);
        } catch (const Error& error) {
          moved->unexplained = error.what();
        }
      },
      [this, moved, path, reason, now](const std::exception_ptr& failure) {
        const std::string name = path.filename().string();
        intake_.Gone(name);
        try {
          if (failure) std::rethrow_exception(failure);
        } catch (const Error& error) {  // it stays where it is and comes up again as if it had just been seen
          Log(LogLevel::kError, "", fmt::format("{}: cannot be moved to quarantine: {}", name, error.what()));
          return;
        }
        if (n_listed_ > 0) --n_listed_;
        context_.metrics.FileRejected("unreadable");
        Log(LogLevel::kError, "", fmt::format("{}: unreadable, moved to {}: {}", name, moved->to.string(), reason));
        if (!moved->unexplained.empty()) {
          Log(LogLevel::kWarning, "",
              fmt::format("{}: the reason is not beside it: {}", moved->to.string(), moved->unexplained));
        }
        state::EventRow event;
        event.at = now;
        event.kind = "move";
        event.actor = kActor;
        event.detail = fmt::format("{} moved to {}: {}", path.string(), moved->to.string(), reason);
        context_.writes.Add(name + ": quarantined", [event](state::GroupStore& store) { store.AddEvent(event); });
      });
}

std::string IngestService::NewId(UtcTime stamp, GroupKey key) {
  // Ids are unique seconds; a stamp that another group has already (a writer's clock was set back) gives the next one.
  for (double offset = 0;; offset += 1) {
    std::string id = (stamp + offset).Iso8601();
    const auto taken = keys_.find(id);
    if (taken == keys_.end() || taken->second == key) return id;
  }
}

void IngestService::CarryOut(const Decision& decision) {
  const double now = context_.clock.Unix();
  const ingest::AssembledGroup* group = assembler_.Find(decision.group);
  WriteQueue& writes = context_.writes;

  if (decision.kind == DecisionKind::kFounded) {
    const std::string id = NewId(group->Stamp(), decision.group);
    ids_[decision.group] = id;
    keys_[id] = decision.group;
  }
  std::string id = ids_.at(decision.group);
  std::string explanation = decision.explanation;

  state::GroupRow row;
  row.id = id;
  row.subbands_expected = static_cast<int>(settings_.ingest.expected_subbands);
  row.data_start_mjd = UtcTime::FromMjdSeconds(group->axis.first_mjd_s).mjd();
  row.data_end_mjd = UtcTime::FromMjdSeconds(group->axis.last_mjd_s).mjd();
  row.first_file_at = now;
  const auto add_file = [&](const char* status) {
    const auto file_row = MakeFileRow(id, *decision.file, status, now);
    writes.Add(id + ": file",
               [row, file_row, now](state::GroupStore& store) { store.AddFiles(row, {file_row}, kActor, now); });
  };
  const auto note = [&](const char* kind) {
    state::EventRow event;
    event.at = now;
    event.group_id = id;
    event.kind = kind;
    event.actor = kActor;
    event.detail = explanation;
    writes.Add(id + ": " + kind, [event](state::GroupStore& store) { store.AddEvent(event); });
  };
  const auto transition = [&](GroupState to, std::optional<ErrorKind> kind, std::function<void()> after = {}) {
    state::TransitionDetails details;
    details.actor = kActor;
    details.detail = explanation;
    details.error_kind = kind;
    if (kind) details.error = explanation;
    if (to == GroupState::kReady) details.next_attempt_at = now;
    writes.Add(
        fmt::format("{}: {}", id, ToString(to)),
        [id, to, details, now](state::GroupStore& store) {
          // What the operator said a moment ago, and is not known here yet, goes first.
          const auto row_now = store.Find(id);
          if (row_now && (row_now->state == GroupState::kHeld || row_now->state == GroupState::kCancelled)) return;
          store.Transition(id, to, details, now);
        },
        std::move(after));
  };

  switch (decision.kind) {
    case DecisionKind::kFounded:
    case DecisionKind::kJoined: {
      add_file("present");
      context_.metrics.FileAccepted(decision.file->size);
      Log(LogLevel::kDebug, id, explanation);
      // The data decide, and the group keeps the name that its files have: whoever looks for it by time must know.
      const double off_s = group->axis.first_mjd_s - decision.file->stamp.mjd_s();
      if (decision.kind == DecisionKind::kFounded && std::abs(off_s) > settings_.ingest.stamp_tolerance_s) {
        explanation =
            fmt::format("{} is named {:.0f} s {} its data, which begin at {}: check the clock of the writer",
                        decision.file->path.filename().string(), std::abs(off_s), off_s > 0 ? "before" : "after",
                        UtcTime::FromMjdSeconds(group->axis.first_mjd_s).Stamp());
        note("stamp");
        Log(LogLevel::kWarning, id, explanation);
      }
      const std::string earlier = NewId(group->Stamp(), decision.group);
      if (group->phase == ingest::GroupPhase::kHeld || earlier == id) break;
      writes.Add(id + ": renamed",
                 [id, earlier, now](state::GroupStore& store) { store.Rename(id, earlier, kActor, now); });
      keys_.erase(id);
      keys_[earlier] = decision.group;
      ids_[decision.group] = earlier;
      break;
    }
    case DecisionKind::kComplete:
      transition(GroupState::kReady, std::nullopt);
      writes.Hurry();
      context_.metrics.GroupClosed("complete");
      Log(LogLevel::kInfo, id, "ready: " + explanation);
      break;
    case DecisionKind::kPartial:
      transition(GroupState::kReady, std::nullopt);
      context_.metrics.GroupClosed("partial");
      Log(LogLevel::kWarning, id, "ready as partial: " + explanation);
      break;
    case DecisionKind::kIncomplete: {
      FailedRecord record;
      record.group = id;
      record.kind = ErrorKind::kIncomplete;
      record.message = explanation;
      transition(GroupState::kDead, ErrorKind::kIncomplete,
                 [this, record] { WriteFailedLog(context_.os, context_.paths.FailedLog(record.group), record); });
      context_.metrics.GroupClosed("incomplete");
      Log(LogLevel::kError, id, "given up: " + explanation);
      break;
    }
    case DecisionKind::kDuplicate: {
      const auto known = group->subbands.find(decision.file->subband);
      if (known != group->subbands.end() && known->second.path == decision.file->path) break;  // seen twice
      add_file("duplicate");
      note("duplicate");
      context_.metrics.FileRejected("duplicate");
      Log(LogLevel::kInfo, id, "ignored: " + explanation);
      break;
    }
    case DecisionKind::kReplaced: {
      add_file(group->subbands.count(decision.file->subband) != 0 ? "present" : "late");
      note("replaced");
      writes.Add(id + ": marked", [id, explanation, now](state::GroupStore& store) {
        if (store.Find(id)) store.Mark(id, explanation + " after the products were made", kActor, now);
      });
      context_.metrics.FileAccepted(decision.file->size);
      Log(LogLevel::kWarning, id, explanation);
      break;
    }
    case DecisionKind::kConflict:
      add_file("conflict");
      note("conflict");
      // Held unless a worker has begun: then the group goes on with what it has, and the conflict is on record.
      writes.Add(id + ": held", [id, explanation, now](state::GroupStore& store) {
        const auto found = store.Find(id);
        if (!found || (found->state != GroupState::kCollecting && found->state != GroupState::kReady &&
                       found->state != GroupState::kFailed)) {
          return;
        }
        state::TransitionDetails details;
        details.actor = kActor;
        details.detail = explanation;
        store.Transition(id, GroupState::kHeld, details, now);
      });
      context_.metrics.FileRejected("conflict");
      Log(LogLevel::kError, id, "a person must choose: " + explanation);
      break;
    case DecisionKind::kLate: {
      const bool unused =
          group->phase == ingest::GroupPhase::kIncomplete || group->subbands.count(decision.file->subband);
      add_file(unused ? "present" : "late");
      note("late");
      context_.metrics.FileAccepted(decision.file->size);
      Log(LogLevel::kWarning, id, explanation);
      break;
    }
  }
}

// Compares the groups that are open here with those that are open in the database.
void IngestService::FollowOperator() {
  for (const GroupKey key : assembler_.Open()) {
    const auto row = context_.store.Find(ids_.at(key));
    if (!row) {
      Forget(key);
    } else if (row->state != GroupState::kHeld && row->state != GroupState::kCollecting) {
      RestoreAnew(*row);  // as closed; its files may have been looked at again
    }
  }
  state::GroupQuery open;
  open.states = {GroupState::kCollecting, GroupState::kHeld};
  for (state::GroupRow& row : context_.store.List(open)) {
    const auto known = keys_.find(row.id);
    const ingest::AssembledGroup* group = known == keys_.end() ? nullptr : assembler_.Find(known->second);
    if (row.state == GroupState::kHeld) {
      if (group == nullptr) {
        Restore(row);
      } else if (group->phase == ingest::GroupPhase::kCollecting) {
        assembler_.Hold(known->second);
      } else if (group->phase != ingest::GroupPhase::kHeld) {
        RestoreAnew(row);
      }
      continue;
    }
    if (group != nullptr && group->phase == ingest::GroupPhase::kCollecting) continue;
    // Released: its files as the record has them now, and a new deadline.
    row.state = GroupState::kHeld;
    RestoreAnew(row);
    const double deadline = context_.clock.Steady() + settings_.ingest.deadline_s;
    for (const Decision& decision : assembler_.Release(keys_.at(row.id), deadline)) CarryOut(decision);
  }
  // Names of groups that the assembler has forgotten.
  for (auto at = ids_.begin(); at != ids_.end();) {
    if (assembler_.Find(at->first) != nullptr) {
      ++at;
      continue;
    }
    keys_.erase(at->second);
    at = ids_.erase(at);
  }
}

void IngestService::Tick() {
  const double now = context_.clock.Steady();
  checker_.Tick();
  if (now >= next_check_) {
    next_check_ = now + kCheckWatchS;
    TakeWatchReport(watcher_.Check());
  }
  if (list_soon_ || now >= next_list_) {
    list_soon_ = false;
    next_list_ = now + (watcher_.polling() ? settings_.ingest.poll_s : settings_.ingest.rescan_s);
    List();
  }
  OfferDueFiles();
  ProcessResults();
  if (!caught_up_ && first_listing_done_ && intake_.n_unseen() == 0 && results_.empty()) {
    caught_up_ = true;
    Log(LogLevel::kInfo, "",
        fmt::format("the incoming directory is known: {}", Counted(static_cast<std::int64_t>(n_listed_), "file")));
  }
  if (caught_up_) {
    for (const Decision& decision : assembler_.Advance(now)) CarryOut(decision);
  }
  context_.writes.Flush();
  if (now >= next_follow_ && context_.writes.settled()) {
    next_follow_ = now + kFollowOperatorS;
    const auto mark = context_.store.database().Changes();
    if (!(mark == followed_)) FollowOperator();
    followed_ = mark;
  }
}

}  // namespace contimg::ops
