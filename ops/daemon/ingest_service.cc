#include "ops/daemon/ingest_service.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "config/text.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/daemon/actors.h"
#include "ops/daemon/decision_records.h"
#include "ops/daemon/quarantine.h"

namespace contimg::ops {
namespace {

using ingest::Decision;
using ingest::DecisionKind;
using ingest::SubbandFile;
using state::GroupState;

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

}  // namespace

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

// A path that belonged to one group now holds a file of another: the first has it no more.
void IngestService::Withdraw(const state::SubbandFileRow& former) {
  const double now = context_.clock.Unix();
  if (const auto key = ids_.Find(former.group_id)) assembler_.Withdraw(*key, former.path);
  Log(LogLevel::kWarning, former.group_id, fmt::format("{} holds other times now: the group has lost it", former.path));
  context_.writes.Add(former.group_id + ": file withdrawn", [former, now](state::GroupStore& store) {
    const auto row = store.Find(former.group_id);
    if (!row) return;
    state::SubbandFileRow gone = former;
    gone.status = "removed";
    store.AddFiles(*row, {gone}, kWatcher, now);
    const std::string sentence = fmt::format("{} holds other times now", former.path);
    store.AddEvent({0, now, row->id, "replaced", "", "", kWatcher, sentence});
    store.Mark(row->id, sentence, kWatcher, now);
  });
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
          std::abs(row->mtime - 1e-9 * static_cast<double>(file.mtime_ns)) < kMtimeToleranceS) {
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
    if (joined && context_.observed) context_.observed(ids_.Of(decision.group), result.observation);
  }
  const bool counted = former && (former->status == "present" || former->status == "late");
  if (counted && former->group_id != ids_.Of(decisions.front().group)) Withdraw(*former);
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
  // The intake keeps the file in hand meanwhile. One that stays where it is comes up again as if it had just been seen.
  Quarantine(context_, result.path, fmt::format("{} ({})", result.message, ToString(result.kind)),
             [this, name](bool moved) {
               intake_.Gone(name);
               if (moved && n_listed_ > 0) --n_listed_;
             });
}

void IngestService::CarryOut(const Decision& decision) {
  RecordDecision(context_, settings_.ingest, ids_, *assembler_.Find(decision.group), decision);
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
