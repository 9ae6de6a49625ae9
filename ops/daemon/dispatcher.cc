#include "ops/daemon/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "config/machine.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/daemon/failed_log.h"
#include "ops/daemon/settings_check.h"
#include "ops/job/retry_policy.h"
#include "ops/records/input_review.h"
#include "ops/records/operator_actions.h"
#include "ops/records/record_products.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;

constexpr const char* kActor = "runner";
constexpr const char* kOwnerName = "contimg-stream";
constexpr double kLookS = 1;  // how often the state of running groups is compared with the database

RetryRules MakeRetryRules(const Settings& settings) {
  RetryRules rules;
  rules.first_delay_s = settings.queue.backoff_first_s;
  rules.longest_delay_s = settings.queue.backoff_limit_s;
  rules.transient_attempts = static_cast<int>(settings.queue.max_attempts);
  return rules;
}

// Attempts that failed since the operator last asked for a fresh start. Attempts that ended because the daemon did are
// not the group's fault and do not count.
int CountFailures(GroupStore& store, const std::string& id) {
  int failures = 0;
  for (const state::EventRow& event : store.Events(id)) {
    if (event.kind != "state") continue;
    if (event.to_state == "failed" || event.to_state == "dead") ++failures;
    if (event.to_state == "done" || (event.actor == "operator" && event.to_state == "ready")) failures = 0;
  }
  return failures;
}

// Whether products of the group that exist were made of something else, or may have been: it was done once, or its
// input has changed.
bool MustBeMadeAnew(GroupStore& store, const std::string& id) {
  const auto events = store.Events(id);
  return std::any_of(events.begin(), events.end(), [](const state::EventRow& e) {
    return e.kind == "replaced" || (e.kind == "state" && e.to_state == "done");
  });
}

// Whether an earlier job has left the group's flagged Measurement Set for its calibration to come: it has waited since
// it was last begun anew.
bool WasFlagged(GroupStore& store, const std::string& id) {
  bool flagged = false;
  for (const state::EventRow& event : store.Events(id)) {
    if (event.kind == "replaced") flagged = false;
    if (event.kind != "state") continue;
    if (event.to_state == "awaiting_calibration") flagged = true;
    if (event.to_state == "done" || (event.actor == "operator" && event.to_state == "ready")) flagged = false;
  }
  return flagged;
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

// A record of this attempt must not overwrite what somebody else decided meanwhile.
bool StillOurs(GroupStore& store, const GroupRow& attempt) {
  const auto row = store.Find(attempt.id);
  return row && row->state == GroupState::kRunning && row->lease_owner == attempt.lease_owner &&
         row->attempts == attempt.attempts;
}

}  // namespace

Dispatcher::Dispatcher(const DispatchContext& context, const Settings& settings)
    : context_(context), settings_(settings), sky_(context.metrics) {}

Executor::Events Dispatcher::Events() {
  Executor::Events events;
  events.progress = [this](const std::string& group, const ProgressLine& line) {
    if (line.kind == ProgressLine::Kind::kWarning) {
      context_.metrics.WorkerWarned();
      Log(LogLevel::kWarning, group, fmt::format("{}: {}", line.stage, line.message));
    } else if (line.kind == ProgressLine::Kind::kInfo) {
      Log(LogLevel::kInfo, group, fmt::format("{}: {}", line.stage, line.message));
    }
    const auto at = active_.find(group);
    if (at == active_.end() || line.kind != ProgressLine::Kind::kProgress) return;
    at->second.stage = line.stage;
    at->second.fraction = line.fraction;
    at->second.changed = true;
  };
  events.finished = [this](const JobOutcome& outcome) { Finished(outcome); };
  return events;
}

// The group's files after another look at the disk: what an operator or a transfer took away is not asked for again and
// again.
std::vector<state::SubbandFileRow> Dispatcher::InputsAsTheyAre(const GroupRow& row) {
  std::vector<state::SubbandFileRow> files = context_.store.Files(row.id);
  const InputReview review =
      ReviewInputs(files, [this](const fs::path& path) { return FileIsThere(path, context_.os); });
  if (review.changed.empty()) return files;
  const double now = context_.clock.Unix();
  context_.writes.Add(row.id + ": files looked at",
                      [row, review, now](GroupStore& store) { RecordReview(store, row, review, kActor, now); });
  for (const std::string& note : review.notes) Log(LogLevel::kWarning, row.id, note);
  for (state::SubbandFileRow& file : files) {
    for (const state::SubbandFileRow& changed : review.changed) {
      if (changed.path == file.path) file.status = changed.status;
    }
  }
  return files;
}

Job Dispatcher::MakeJob(const GroupRow& row, bool flagged) {
  Job job;
  job.group = row.id;
  job.attempt = row.attempts;
  std::set<int> subbands;
  // A Measurement Set that waits for its calibration has taken from them what it needs.
  for (const state::SubbandFileRow& file : flagged ? context_.store.Files(row.id) : InputsAsTheyAre(row)) {
    if (file.status == "present" && subbands.insert(file.subband).second) job.inputs.emplace_back(file.path);
  }
  job.expected_subbands = row.subbands_expected;
  const auto jobs = std::max<std::int64_t>(1, settings_.executor.jobs);
  job.threads = settings_.executor.threads > 0 ? static_cast<int>(settings_.executor.threads)
                                               : std::max(1, AvailableProcessors() / static_cast<int>(jobs));
  job.memory_bytes = static_cast<std::uint64_t>(settings_.executor.memory_bytes);
  job.measurement_set = context_.paths.ScienceMs(row.id);
  job.staging_root = context_.paths.roots().staging;
  job.fallback_root = context_.paths.roots().tmp / "staging";
  job.replace_existing = MustBeMadeAnew(context_.store, row.id);
  job.take_existing = !job.replace_existing;
  job.image_prefix = context_.paths.ImagePrefix(row.id);
  job.qa_prefix = context_.paths.QaPicture(row.id).replace_extension().replace_extension();
  job.trees = context_.trees;
  job.settings = settings_;
  job.settings.image.beam_file = FindBeamFile(settings_.image.beam_file, settings_);
  return job;
}

void Dispatcher::StartJob(const GroupRow& row) {
  const fs::path folder = context_.paths.Jobs(row.id);
  context_.os.RemoveAll(folder);
  context_.os.CreateDirectories(folder);
  const bool flagged = WasFlagged(context_.store, row.id) && Exists(context_.paths.ScienceMs(row.id), context_.os);
  Job job = MakeJob(row, flagged);
  const int fewest = FewestSubbands(row, settings_.ingest);
  if (!flagged && static_cast<int>(job.inputs.size()) < fewest) {
    throw Error(ErrorKind::kIncomplete, "daemon", row.id,
                fmt::format("{} of {} subbands are there and at least {} are needed (ingest.min_subbands)",
                            job.inputs.size(), row.subbands_expected, fewest));
  }
  context_.calibration.PlanJob(row, flagged, folder, job, context_.clock.Unix());
  WriteFileAtomically(context_.os, JobFile(folder), ToJson(job).dump(2) + "\n");
  JobRequest request;
  request.group = row.id;
  request.folder = folder;
  request.limits.job_s = settings_.executor.job_limit_s;
  for (const std::string& stage : job.stages) request.limits.stage_s[stage] = settings_.executor.stage_limit_s;
  request.limits.stage_s["write"] = settings_.executor.stage_limit_s;
  request.limits.grace_s = settings_.executor.kill_after_s;
  request.limits.memory_bytes = static_cast<std::uint64_t>(settings_.executor.memory_bytes);
  const std::string id = executor_->Start(request);
  const double now = context_.clock.Unix();
  active_[row.id].row = row;
  context_.writes.Add(row.id + ": executor", [group = row.id, kind = settings_.executor.kind, id, now](GroupStore& s) {
    s.SetExecutor(group, kind, id, now);
  });
  context_.metrics.GroupWaited(std::max(0.0, now - std::max(row.next_attempt_at, row.first_file_at)));
  Log(LogLevel::kInfo, row.id, fmt::format("attempt {} started as {}", row.attempts, id));
}

void Dispatcher::StartNext() {
  while (!stopping_ && executor_->n_running() < static_cast<std::size_t>(settings_.executor.jobs)) {
    std::optional<GroupRow> row;
    try {
      context_.calibration.RequireWritable();  // a plan that cannot be written down would cost an attempt
      row = context_.store.AcquireNext(
          context_.owner, settings_.queue.order == "oldest" ? state::QueueOrder::kOldest : state::QueueOrder::kNewest,
          settings_.queue.lease_s, context_.clock.Unix());
    } catch (const Error& error) {
      context_.metrics.DatabaseFailed();
      LogNowAndThen(LogLevel::kWarning, fmt::format("no group can be taken: {}", error.what()));
      return;
    }
    if (!row) return;
    if (const auto former = active_.find(row->id); former != active_.end()) {
      PutBack(*row, former->second);
      return;
    }
    try {
      StartJob(*row);
    } catch (const Error& error) {
      JobOutcome outcome;
      outcome.group = row->id;
      outcome.kind = error.kind();
      outcome.message = error.kind() == ErrorKind::kIncomplete
                            ? error.message()
                            : fmt::format("the worker cannot be started: {}", error.what());
      RecordFailure(*row, outcome, {});
      return;
    } catch (const std::exception& error) {
      JobOutcome outcome;
      outcome.group = row->id;
      outcome.kind = ErrorKind::kIo;
      outcome.message = fmt::format("the worker cannot be started: {}", error.what());
      RecordFailure(*row, outcome, {});
      return;
    }
  }
}

// The operator took the group away and gave it back before its worker had ended: never two workers on one group.
void Dispatcher::PutBack(const GroupRow& row, Active& former) {
  constexpr double kAgainS = 2;
  former.lost = true;
  executor_->Stop(row.id, ErrorKind::kCancelled, "cancelled by the operator");
  const double now = context_.clock.Unix();
  context_.writes.Add(row.id + ": put back", [row, now](GroupStore& store) {
    if (!StillOurs(store, row)) return;
    state::TransitionDetails details;
    details.actor = kActor;
    details.detail = "its former worker has not ended yet";
    details.next_attempt_at = now + kAgainS;
    store.Transition(row.id, GroupState::kReady, details, now);
  });
}

void Dispatcher::Finished(const JobOutcome& outcome) {
  context_.writes.Hurry();
  const auto at = active_.find(outcome.group);
  if (at == active_.end()) return;
  const Active active = at->second;
  active_.erase(at);
  Metrics& metrics = context_.metrics;
  metrics.JobTook(outcome.wall_s, outcome.user_s + outcome.system_s, outcome.peak_memory_bytes);
  const double now = context_.clock.Unix();
  if (outcome.ok) last_success_at_ = now;
  const bool died = !outcome.ok && outcome.kind != ErrorKind::kCancelled &&
                    (outcome.signal != 0 || outcome.kind == ErrorKind::kCrash || outcome.kind == ErrorKind::kTimeout);
  constexpr double kRememberedS = kSecondsPerHour;
  while (!deaths_.empty() && deaths_.front().at < now - kRememberedS) deaths_.pop_front();
  if (died && !active.lost) deaths_.push_back({now, fmt::format("{}: {}", outcome.group, outcome.message)});
  const std::string stage = outcome.last_stage.empty() ? "start" : outcome.last_stage;
  metrics.JobFinished(stage, outcome.ok ? std::string_view("ok") : ToString(outcome.kind));
  if (outcome.report) {
    for (const StageReport& report : outcome.report->stages) metrics.StageTook(report.name, report.seconds);
  }
  if (outcome.ok && !active.lost) {
    Log(LogLevel::kInfo, outcome.group,
        fmt::format("{} after {:.1f} s ({:.1f} s of processor time, {:.2f} GB)", outcome.report->next_state,
                    outcome.wall_s, outcome.user_s + outcome.system_s,
                    static_cast<double>(outcome.peak_memory_bytes) * 1e-9));
    return RecordSuccess(active.row, *outcome.report, outcome);
  }
  if (active.lost) {
    Log(LogLevel::kInfo, outcome.group, "its worker has ended at the operator's request");
    return;
  }
  std::vector<std::string> inputs;
  try {
    const Job job = ParseJob(ReadJsonFile(JobFile(context_.paths.Jobs(outcome.group)), context_.os), outcome.group);
    for (const fs::path& input : job.inputs) inputs.push_back(input.string());
  } catch (const Error&) {
    // The log then lists no inputs.
  }
  RecordFailure(active.row, outcome, inputs);
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
    if (!products_) {
      state::DatabaseOptions options;
      options.busy_timeout_s = context_.products_timeout_s;
      products_ = std::make_unique<state::ProductStore>(context_.paths.Database(StateDatabase::kProducts), options);
    }
    RecordProducts(*products_, job, report, record);
  } catch (const Error& error) {
    // What may pass is tried again, and the group is done when it has.
    if (MayPass(error.kind())) throw;
    Log(LogLevel::kError, row.id, fmt::format("its products are not recorded: {}", error.what()));
  }
}

// The records that a group's end rests on come first, each in its own database; then the group's state.
void Dispatcher::RecordSuccess(const GroupRow& row, const JobReport& report, const JobOutcome& outcome) {
  struct Recording {
    bool ours = false;
    std::optional<Error> refusal;  // of a table: the attempt has failed
    std::optional<state::EventRow> sky;
    std::string lost;  // what became of the group meanwhile, when the result is not recorded
  };
  const double now = context_.clock.Unix();
  auto recording = std::make_shared<Recording>();
  unrecorded_.insert(row.id);
  QueuedWrite queued;
  queued.what = row.id + ": done";
  queued.prepare = [this, row, report, outcome, now, recording] {
    recording->ours = StillOurs(context_.store, row);
    if (!recording->ours) return;
    recording->refusal = context_.calibration.Record(row, report, now);
    if (recording->refusal) return;
    RecordJob(row, report, outcome);
    recording->sky = sky_.EventOf(row.id, report, now);
    sky_.Saw(row.id, report);
  };
  queued.write = [row, report, now, recording, rules = MakeRetryRules(settings_)](GroupStore& store) {
    recording->lost.clear();
    if (!recording->ours || !StillOurs(store, row)) {
      const auto found = store.Find(row.id);
      recording->lost = !found                                 ? "is not in the queue any more"
                        : found->state == GroupState::kRunning ? "has begun anew"
                                                               : fmt::format("is {}", ToString(found->state));
      state::EventRow event;
      event.at = now;
      event.group_id = row.id;
      event.kind = "note";
      event.actor = kActor;
      event.detail =
          fmt::format("attempt {} had succeeded; not recorded, for the group {}", row.attempts, recording->lost);
      store.AddEvent(event);
      return;
    }
    state::TransitionDetails details;
    details.actor = kActor;
    if (recording->refusal) {
      details.error_kind = recording->refusal->kind();
      details.error = details.detail = recording->refusal->what();
      details.next_attempt_at = now + rules.first_delay_s;
      store.Transition(row.id, GroupState::kFailed, details, now);
      return;
    }
    for (const JobProduct& product : report.products) {
      if (product.kind == ProductKind::kUvh5) continue;  // in the record of files already
      state::EventRow event;
      event.at = now;
      event.group_id = row.id;
      event.kind = "product";
      event.actor = kActor;
      event.detail = fmt::format("{} {}", ToString(product.kind), product.path.string());
      store.AddEvent(event);
    }
    if (recording->sky) store.AddEvent(*recording->sky);
    details.detail = fmt::format("attempt {}", row.attempts);
    details.timings_json = Timings(report);
    store.Transition(row.id, state::ParseGroupState(report.next_state), details, now);
    if (const std::string change = ChangedWhileAtWork(store, row.id); !change.empty()) {
      store.Mark(row.id, change + " while the group was at work", kActor, now);
    }
  };
  queued.after = [this, id = row.id, recording] {
    unrecorded_.erase(id);
    if (!recording->lost.empty()) {
      // Its folder may be another attempt's by now.
      return Log(LogLevel::kWarning, id,
                 fmt::format("its worker had succeeded; that is not recorded, for the group {}", recording->lost));
    }
    try {
      context_.os.RemoveAll(context_.paths.Jobs(id));
      context_.os.RemoveAll(context_.paths.FailedLog(id));  // of an earlier, unlucky life
    } catch (const Error& error) {
      Log(LogLevel::kWarning, id, fmt::format("its job folder stays: {}", error.what()));
    }
  };
  queued.refused = [this, row](const std::string& why) {
    JobOutcome failed;
    failed.group = row.id;
    failed.message = "its worker had succeeded, and that cannot be recorded: " + why;
    Log(LogLevel::kError, row.id, failed.message);
    RecordFailure(row, failed, {});
  };
  context_.writes.Add(std::move(queued));
}

void Dispatcher::RecordFailure(const GroupRow& row, const JobOutcome& outcome, const std::vector<std::string>& inputs) {
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
  unrecorded_.insert(row.id);
  QueuedWrite queued;
  queued.what = row.id + ": failed";
  queued.prepare = [this, row, outcome, now] {
    if (!StillOurs(context_.store, row)) return;
    context_.calibration.AttemptFailed(row.id, outcome.last_stage == "solve" ? outcome.kind : ErrorKind::kCancelled,
                                       outcome.message, now);
  };
  queued.write = [=](GroupStore& store) {
    *recording = {};
    recording->lost = !StillOurs(store, row);
    if (recording->lost) return;
    state::TransitionDetails details;
    details.actor = kActor;
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
  queued.after = [this, recording, outcome, handed_back] {
    unrecorded_.erase(outcome.group);
    if (recording->lost) {
      return Log(LogLevel::kInfo, outcome.group,
                 fmt::format("had failed before it was taken away: {} ({})", outcome.message, ToString(outcome.kind)));
    }
    if (handed_back) return Log(LogLevel::kInfo, outcome.group, "handed back");
    if (!recording->given_up) {
      context_.metrics.JobRetried(ToString(outcome.kind));
      return Log(LogLevel::kWarning, outcome.group,
                 fmt::format("failed, to be tried again: {} ({})", outcome.message, ToString(outcome.kind)));
    }
    Log(LogLevel::kError, outcome.group, fmt::format("given up: {} ({})", outcome.message, ToString(outcome.kind)));
    WriteFailedLog(context_.os, context_.paths.FailedLog(outcome.group), *recording->given_up);
  };
  // Then its lease runs out, and it is taken back.
  queued.refused = [this, id = row.id](const std::string& why) {
    unrecorded_.erase(id);
    Log(LogLevel::kError, id, "its failure cannot be recorded: " + why);
  };
  context_.writes.Add(std::move(queued));
}

void Dispatcher::KeepLeases() {
  const double steady = context_.clock.Steady(), now = context_.clock.Unix();
  const bool heartbeat = steady >= next_heartbeat_;
  if (heartbeat) next_heartbeat_ = steady + std::min(settings_.queue.heartbeat_s, settings_.queue.lease_s / 3);
  for (auto& [id, active] : active_) {
    if (active.lost) continue;
    bool ours = StillOurs(context_.store, active.row);
    if (ours && heartbeat) ours = context_.store.Heartbeat(id, context_.owner, settings_.queue.lease_s, now);
    if (ours && std::exchange(active.changed, false)) {
      ours = context_.store.SetProgress(id, context_.owner, active.stage, active.fraction, now);
    }
    if (!ours) {
      active.lost = true;
      Log(LogLevel::kInfo, id, "taken away by the operator; its worker is asked to end");
      executor_->Stop(id, ErrorKind::kCancelled, "cancelled by the operator");
    }
  }
}

void Dispatcher::ReleaseWaiting() {
  const double now = context_.clock.Unix();
  context_.calibration.Tick(context_.store, now, [&](const CalibrationScheduler::Release& release) {
    Log(release.to == GroupState::kDead ? LogLevel::kError : LogLevel::kInfo, release.group,
        fmt::format("calibration: {}", release.reason));
    context_.writes.Add(release.group + ": calibration", [release, now](GroupStore& store) {
      const auto row = store.Find(release.group);
      if (!row || row->state != GroupState::kAwaitingCalibration) return;
      state::TransitionDetails details;
      details.actor = "calibration";
      details.detail = release.reason;
      if (release.to == GroupState::kDead) {
        details.error_kind = ErrorKind::kTimeout;
        details.error = release.reason;
      }
      store.Transition(release.group, release.to, details, now);
    });
  });
}

// What this daemon is at work on, or has yet to write down, is never taken back, however long its database was busy and
// wherever the clock went: whether its worker lives is known here better than by a time in a row.
void Dispatcher::TakeBackExpired() {
  std::set<std::string> kept = unrecorded_;
  for (const auto& [id, active] : active_) kept.insert(id);
  for (const std::string& id : context_.store.ReclaimExpired(kActor, context_.clock.Unix(), kept)) {
    Log(LogLevel::kWarning, id, "its runner has been silent for too long; taken back");
  }
}

// Each look by itself: one database that is busy does not keep the others waiting.
void Dispatcher::LookAtRunning(double steady) {
  const auto attempt = [this](const char* what, const auto& look) {
    try {
      look();
    } catch (const Error& error) {
      context_.metrics.DatabaseFailed();
      LogNowAndThen(LogLevel::kWarning, fmt::format("{} now: {}", what, error.what()));
    }
  };
  executor_->Tick();
  // What waits for the queue is tried with the next flush; asking for more would only wait once more for the same lock.
  if (!context_.writes.settled()) return;
  attempt("leases cannot be renewed", [&] { KeepLeases(); });
  if (steady >= next_reclaim_) {
    attempt("leases cannot be looked through", [&] {
      TakeBackExpired();
      next_reclaim_ = steady + settings_.queue.lease_s;
    });
  }
  if (!stopping_) attempt("waiting groups cannot be looked at", [&] { ReleaseWaiting(); });
}

void Dispatcher::Tick(bool may_start) {
  const double steady = context_.clock.Steady();
  if (steady >= next_look_) {
    next_look_ = steady + kLookS;
    if (recovering_) {
      FinishRecovery();
    } else {
      LookAtRunning(steady);
    }
  }
  if (recovering_ || !context_.writes.Flush() || !may_start) return;
  // Something is due when something changed; the operator's changes and due retries are found once a second.
  if (context_.writes.n_committed() == seen_commits_ && steady < next_start_) return;
  StartNext();
  seen_commits_ = context_.writes.n_committed();
  next_start_ = steady + kLookS;
}

void Dispatcher::StopAll() {
  stopping_ = true;
  for (const RunningJob& job : executor_->Running()) {
    executor_->Stop(job.group, ErrorKind::kCancelled, "the daemon stops");
  }
}

void Dispatcher::Recover() {
  GroupStore& store = context_.store;
  sky_.Restore(store);
  state::GroupQuery running;
  running.states = {GroupState::kRunning};
  for (const GroupRow& row : store.List(running)) {
    if (row.lease_owner.rfind(kOwnerName, 0) != 0) continue;
    executor_->EndStray(row.executor_id);
    const fs::path path = ReportFile(context_.paths.Jobs(row.id));
    try {
      if (!Exists(path, context_.os)) continue;
      const JobReport report = ParseJobReport(ReadJsonFile(path, context_.os), path.string());
      if (!report.ok || report.attempt != row.attempts) continue;
      Log(LogLevel::kInfo, row.id, "its worker had finished before the daemon could record it");
      RecordSuccess(row, report, {});
    } catch (const Error& error) {
      Log(LogLevel::kWarning, row.id, fmt::format("its report is of no use: {}", error.what()));
    }
  }
  recovering_ = true;
  FinishRecovery();
}

void Dispatcher::FinishRecovery() {
  GroupStore& store = context_.store;
  const double now = context_.clock.Unix();
  if (!context_.writes.Flush()) return;
  try {
    // What its worker had finished and still waits for another database stays as it is.
    for (const std::string& id : store.ReclaimOwned(kOwnerName, kActor, now, unrecorded_)) {
      Log(LogLevel::kInfo, id, "ready again: the daemon that ran it has ended");
    }
    for (const std::string& id : store.PullIn(now + 2 * settings_.queue.backoff_limit_s, kActor, now)) {
      Log(LogLevel::kWarning, id, "its next attempt lay in a far future (the clock has been set back): due now");
    }
    context_.calibration.AbandonLost(store, now);
    recovering_ = false;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBusy && error.kind() != ErrorKind::kIo && error.kind() != ErrorKind::kResource) {
      throw;
    }
    context_.metrics.DatabaseFailed();
    LogNowAndThen(LogLevel::kWarning, fmt::format("work cannot be taken up yet: {}", error.what()));
  }
}

}  // namespace contimg::ops
