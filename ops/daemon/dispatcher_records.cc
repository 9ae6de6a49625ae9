// What the dispatcher writes down when work has ended.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "ops/base/log.h"
#include "ops/daemon/actors.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/failed_log.h"
#include "ops/job/retry_policy.h"
#include "ops/records/failed_set.h"
#include "ops/records/record_products.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;

RetryRules MakeRetryRules(const Settings& settings) {
  RetryRules rules;
  rules.first_delay_s = settings.queue.backoff_first_s;
  rules.longest_delay_s = settings.queue.backoff_limit_s;
  rules.transient_attempts = static_cast<int>(settings.queue.max_attempts);
  return rules;
}

// Attempts that failed since the operator last asked for a fresh start. Attempts that ended because the daemon did are
// not the group's fault and do not count.
int CountFailures(state::WorkTable& store, const std::string& id) {
  int failures = 0;
  for (const state::EventRow& event : store.Events(id)) {
    if (event.kind != "state") continue;
    if (event.to_state == "failed" || event.to_state == "dead") ++failures;
    if (event.to_state == "done" || (event.actor == "operator" && event.to_state == "ready")) failures = 0;
  }
  return failures;
}

// What became of the group's input since its present attempt began; empty: nothing.
std::string ChangedWhileAtWork(GroupStore& store, const std::string& id) {
  std::string change;
  for (const state::EventRow& event : store.Events(id)) {
    if (event.to_state == "running") change.clear();
    if (event.kind == "replaced") change = event.detail;
  }
  return change;
}

std::string Timings(const JobReport& report) {
  nlohmann::json timings = nlohmann::json::object();
  for (const StageReport& stage : report.stages) timings[stage.name] = stage.seconds;
  return timings.dump();
}

}  // namespace

state::ProductStore& Dispatcher::Products() {
  if (!products_) {
    state::DatabaseOptions options;
    options.busy_timeout_s = context_.products_timeout_s;
    products_ = std::make_unique<state::ProductStore>(context_.paths.Database(StateDatabase::kProducts), options);
  }
  return *products_;
}

// For a look; where it cannot be now, the reconciler tries again.
fs::path Dispatcher::KeepWhatIsLeft(const std::string& group) {
  try {
    return KeepFailedSet(group, context_.paths, context_.store, Products(), context_.os, kRunner,
                         context_.clock.Unix());
  } catch (const Error& error) {
    Log(LogLevel::kWarning, group, fmt::format("what is left of it stays where it is for now: {}", error.what()));
    return {};
  }
}

// Rows of products.sqlite3. A job whose files are gone or damaged has no record; its group is done all the same.
void Dispatcher::RecordJob(const GroupRow& row, const JobReport& report, const JobOutcome& outcome) {
  const fs::path file = JobFile(context_.paths.Jobs(row.id));
  if (!Exists(file, context_.os)) return;
  try {
    const Job job = ParseJob(ReadJsonFile(file, context_.os), file.string());
    JobRecord record;
    record.command = outcome.command;
    record.peak_memory_bytes = outcome.peak_memory_bytes;
    for (const state::SubbandFileRow& each : context_.store.Files(row.id)) record.checksums[each.path] = each.checksum;
    if (!job.sky_model.empty() && Exists(job.sky_model, context_.os)) {
      record.sky_model = context_.os.ReadFile(job.sky_model);
    }
    RecordProducts(Products(), job, report, record);
  } catch (const Error& error) {
    // What may pass is tried again, and the group is done when it has.
    if (MayPass(error.kind())) throw;
    Log(LogLevel::kError, row.id, fmt::format("its products are not recorded: {}", error.what()));
  }
}

// What the end of a group says besides its state; in the caller's transaction.
void Dispatcher::RecordGroup(const Work& work, const JobReport& report, state::TransitionDetails& details, double now) {
  GroupStore& store = context_.store;
  for (const JobProduct& product : report.products) {
    if (product.kind == ProductKind::kUvh5) continue;  // in the record of files already
    state::EventRow event;
    event.at = now;
    event.group_id = work.row.id;
    event.kind = "product";
    event.actor = kRunner;
    event.detail = fmt::format("{} {}", ToString(product.kind), product.path.string());
    store.AddEvent(event);
  }
  details.timings_json = Timings(report);
  store.Transition(work.row.id, state::ParseGroupState(report.next_state), details, now);
  if (const std::string change = ChangedWhileAtWork(store, work.row.id); !change.empty()) {
    store.Mark(work.row.id, change + " while the group was at work", kRunner, now);
  }
}

// The records that a group's end rests on come first, each in its own database; then the state.
void Dispatcher::RecordSuccess(const Work& work, const JobReport& report, const JobOutcome& outcome) {
  struct Recording {
    bool ours = false;
    std::optional<Error> refusal;  // of a table: the attempt has failed
    std::optional<state::EventRow> sky;
    std::string lost;  // what became of it meanwhile, when the result is not recorded
  };
  const double now = context_.clock.Unix();
  auto recording = std::make_shared<Recording>();
  unrecorded_.insert(work.row.id);
  QueuedWrite queued;
  queued.what = work.row.id + ": done";
  queued.prepare = [this, work, report, outcome, now, recording] {
    recording->ours = StillOurs(work);
    if (!recording->ours || !work.group) return;
    recording->refusal = context_.calibration.Record(*work.group, report, now);
    if (recording->refusal) return;
    RecordJob(*work.group, report, outcome);
    recording->sky = sky_.EventOf(work.row.id, report, now);
    sky_.Saw(work.row.id, report);
  };
  queued.write = [this, work, report, now, recording, rules = MakeRetryRules(settings_)](GroupStore& store) {
    state::WorkTable& table = TableOf(work.job);
    recording->lost.clear();
    if (!recording->ours || !StillOurs(work)) {
      const auto found = table.FindWork(work.row.id);
      recording->lost = !found                                 ? "is not in the queue any more"
                        : found->state == GroupState::kRunning ? "has begun anew"
                                                               : fmt::format("is {}", ToString(found->state));
      state::EventRow event;
      event.at = now;
      event.group_id = work.row.id;
      event.kind = "note";
      event.actor = kRunner;
      event.detail = fmt::format("attempt {} had succeeded; not recorded, for the {} {}", work.row.attempts,
                                 table.noun(), recording->lost);
      store.AddEvent(event);
      return;
    }
    state::TransitionDetails details;
    details.actor = kRunner;
    if (recording->refusal) {
      details.error_kind = recording->refusal->kind();
      details.error = details.detail = recording->refusal->what();
      details.next_attempt_at = now + rules.first_delay_s;
      table.Transition(work.row.id, GroupState::kFailed, details, now);
      return;
    }
    if (recording->sky) store.AddEvent(*recording->sky);
    details.detail = fmt::format("attempt {}", work.row.attempts);
    if (work.group) return RecordGroup(work, report, details, now);
    if (!report.stages.empty()) details.detail = report.stages.back().figures.value("summary", details.detail);
    details.timings_json = Timings(report);
    table.Transition(work.row.id, GroupState::kDone, details, now);
  };
  const auto has = [&](ProductKind kind) {
    return std::any_of(report.products.begin(), report.products.end(),
                       [&](const JobProduct& product) { return product.kind == kind; });
  };
  const bool measured = has(ProductKind::kPhotometry), imaged = has(ProductKind::kImage);
  queued.after = [this, work, recording, measured, imaged] {
    const std::string& id = work.row.id;
    unrecorded_.erase(id);
    if (measured && recording->lost.empty() && context_.measured) context_.measured(id);
    if (imaged && recording->lost.empty() && context_.imaged) context_.imaged(id);
    if (!recording->lost.empty()) {
      // Its folder may be another attempt's by now.
      return Log(LogLevel::kWarning, id,
                 fmt::format("its worker had succeeded; that is not recorded, for the {} {}", TableOf(work.job).noun(),
                             recording->lost));
    }
    try {
      context_.os.RemoveAll(FolderOf(work.job));
      if (work.group) context_.os.RemoveAll(context_.paths.FailedLog(id));  // of an earlier, unlucky life
    } catch (const Error& error) {
      Log(LogLevel::kWarning, id, fmt::format("its job folder stays: {}", error.what()));
    }
  };
  queued.refused = [this, work](const std::string& why) {
    JobOutcome unrecorded;
    unrecorded.job = work.job;
    unrecorded.message = "its worker had succeeded, and that cannot be recorded: " + why;
    Log(LogLevel::kError, work.row.id, unrecorded.message);
    RecordFailure(work, unrecorded, {});
  };
  context_.writes.Add(std::move(queued));
}

void Dispatcher::RecordFailure(const Work& work, const JobOutcome& outcome, const std::vector<std::string>& inputs) {
  const double now = context_.clock.Unix();
  const double random = std::uniform_real_distribution<>(0, 1)(random_);
  const RetryRules rules = MakeRetryRules(settings_);
  const bool handed_back = stopping_ && outcome.kind == ErrorKind::kCancelled;
  // What became of it is known only when the transaction has run.
  struct Recording {
    bool lost = false;
    std::optional<FailedRecord> given_up;
  };
  auto recording = std::make_shared<Recording>();
  unrecorded_.insert(work.row.id);
  QueuedWrite queued;
  queued.what = work.row.id + ": failed";
  queued.prepare = [this, work, outcome, now] {
    if (!work.group || !StillOurs(work)) return;
    context_.calibration.AttemptFailed(
        work.row.id, outcome.last_stage == "solve" ? outcome.kind : ErrorKind::kCancelled, outcome.message, now);
  };
  queued.write = [=, this](GroupStore&) {
    state::WorkTable& store = TableOf(work.job);
    const state::WorkRow& row = work.row;
    *recording = {};
    recording->lost = !StillOurs(work);
    if (recording->lost) return;
    state::TransitionDetails details;
    details.actor = kRunner;
    if (handed_back) {
      details.detail = "handed back: the daemon stops";
      store.Transition(row.id, GroupState::kReady, details, now);
      return;
    }
    details.error_kind = outcome.kind;
    details.error = outcome.message;
    const int failures = CountFailures(store, row.id) + 1;
    if (const auto delay = RetryDelay(outcome.kind, failures, rules, random)) {
      details.next_attempt_at = now + *delay;
      details.detail = fmt::format("{} (attempt {}, again in {:.0f} s)", outcome.message, row.attempts, *delay);
      store.Transition(row.id, GroupState::kFailed, details, now);
      return;
    }
    details.detail = fmt::format("{} (attempt {}, given up)", outcome.message, row.attempts);
    store.Transition(row.id, GroupState::kDead, details, now);
    FailedRecord failed;
    failed.group = row.id;
    failed.attempts = row.attempts;
    failed.kind = outcome.kind;
    failed.message = outcome.message;
    failed.stage = outcome.last_stage;
    failed.exit_status = outcome.exit_status;
    failed.signal = outcome.signal;
    failed.wall_s = outcome.wall_s;
    failed.cpu_s = outcome.user_s + outcome.system_s;
    failed.peak_memory_bytes = outcome.peak_memory_bytes;
    failed.inputs = inputs;
    failed.command = outcome.command;
    failed.last_output = outcome.last_output;
    recording->given_up = std::move(failed);
  };
  queued.after = [this, work, recording, outcome, handed_back] {
    const std::string& id = work.row.id;
    const fs::path left = work.group && recording->given_up ? KeepWhatIsLeft(id) : fs::path();
    unrecorded_.erase(id);
    if (recording->lost) {
      return Log(LogLevel::kInfo, id,
                 fmt::format("had failed before it was taken away: {} ({})", outcome.message, ToString(outcome.kind)));
    }
    if (handed_back) return Log(LogLevel::kInfo, id, "handed back");
    if (!recording->given_up) {
      context_.metrics.JobRetried(ToString(outcome.kind));
      return Log(LogLevel::kWarning, id,
                 fmt::format("failed, to be tried again: {} ({})", outcome.message, ToString(outcome.kind)));
    }
    Log(LogLevel::kError, id, fmt::format("given up: {} ({})", outcome.message, ToString(outcome.kind)));
    recording->given_up->left = left.string();
    if (work.group) WriteFailedLog(context_.os, context_.paths.FailedLog(id), *recording->given_up);
  };
  // Then its lease runs out, and it is taken back.
  queued.refused = [this, id = work.row.id](const std::string& why) {
    unrecorded_.erase(id);
    Log(LogLevel::kError, id, "its failure cannot be recorded: " + why);
  };
  context_.writes.Add(std::move(queued));
}

}  // namespace contimg::ops
