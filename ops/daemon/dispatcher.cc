#include "ops/daemon/dispatcher.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "config/time.h"
#include "ops/base/log.h"
#include "ops/base/words.h"
#include "ops/daemon/actors.h"
#include "ops/daemon/settings_check.h"
#include "ops/job/task_job.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/records/input_review.h"
#include "ops/records/operator_actions.h"
#include "ops/upkeep/task_kinds.h"
#include "state/group_health.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;

constexpr double kLookS = 1;  // how often the state of running groups is compared with the database

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

// A report that takes over what an earlier attempt made has no figures of it, and those were counted then.
void CountWhatWasMade(const JobReport& report, Metrics& metrics) {
  for (const StageReport& stage : report.stages) {
    const nlohmann::json& figures = stage.figures;
    if (stage.name == "flag" && figures.contains("flagged_fraction")) {
      metrics.TileFlagged(figures.at("flagged_fraction"));
    }
    if (stage.name == kMosaicTask && figures.contains("grade")) {
      metrics.MosaicMade(figures.at("grade").get<std::string>(),
                         figures.at("refusals").get<std::map<std::string, int>>());
    }
    if (stage.name != "image" || !figures.contains("grade")) continue;
    Metrics::MadeImage image{figures.at("grade"), figures.value("rms_jy", 0.0), std::nullopt, std::nullopt};
    if (figures.contains("flux_ratio")) image.flux_ratio = figures.at("flux_ratio").get<double>();
    if (figures.contains("offset_arcsec")) image.offset_arcsec = figures.at("offset_arcsec").get<double>();
    metrics.ImageMade(image);
  }
}

}  // namespace

Dispatcher::Dispatcher(const DispatchContext& context, const Settings& settings)
    : context_(context), tasks_(context.store.database()), settings_(settings), sky_(context.metrics) {
  for (const TaskKind& kind : TaskKinds()) context.metrics.ExpectStage(kind.stages);
  for (const state::LostWorker& lost : state::LostWorkers(context.store, context.clock.Unix() - kSecondsPerHour)) {
    deaths_.push_back({lost.at, lost.id, fmt::format("{}: {}", lost.id, lost.cause)});
  }
}

std::filesystem::path Dispatcher::FolderOf(const JobId& job) const {
  return job.is_group() ? context_.paths.Jobs(job.subject) : context_.paths.TaskJob(job.kind, job.subject);
}

// A record of this attempt must not overwrite what somebody else decided meanwhile.
bool Dispatcher::StillOurs(const Work& work) {
  const auto row = TableOf(work.job).FindWork(work.row.id);
  return row && row->state == GroupState::kRunning && row->lease_owner == work.row.lease_owner &&
         row->attempts == work.row.attempts;
}

std::size_t Dispatcher::CountRunning(bool groups) const {
  const auto running = executor_->Running();
  return static_cast<std::size_t>(std::count_if(running.begin(), running.end(),
                                                [&](const RunningJob& job) { return job.job.is_group() == groups; }));
}

Executor::Events Dispatcher::Events() {
  Executor::Events events;
  events.progress = [this](const JobId& job, const ProgressLine& line) {
    const std::string row = job.row_id();
    if (line.kind == ProgressLine::Kind::kWarning) {
      context_.metrics.WorkerWarned();
      Log(LogLevel::kWarning, row, fmt::format("{}: {}", line.stage, line.message));
    } else if (line.kind == ProgressLine::Kind::kInfo) {
      Log(LogLevel::kInfo, row, fmt::format("{}: {}", line.stage, line.message));
    }
    const auto at = active_.find(job.text());
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
                      [row, review, now](GroupStore& store) { RecordReview(store, row, review, kRunner, now); });
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
  const JobResources resources = executor_->Resources();
  job.threads = resources.threads;
  job.memory_bytes = resources.memory_bytes;
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

void Dispatcher::StartGroup(const GroupRow& row, const fs::path& folder, JobRequest& request) {
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
  for (const std::string& stage : job.stages) request.limits.stage_s[stage] = settings_.executor.stage_limit_s;
  request.limits.stage_s["write"] = settings_.executor.stage_limit_s;
}

void Dispatcher::StartTask(const Work& work, const fs::path& folder, JobRequest& request) {
  const TaskKind& kind = FindTaskKind(work.job.kind);
  const auto row = tasks_.Find(work.row.id);
  if (!row) throw Error(ErrorKind::kUsage, "daemon", work.row.id, "no such task");
  const JobResources resources = executor_->Resources();
  const TaskJob job{work.job, work.row.attempts, resources.threads, resources.memory_bytes,
                    kind.describe(*row, settings_, context_.paths)};
  WriteFileAtomically(context_.os, JobFile(folder), ToJson(job).dump(2) + "\n");
  request.limits.stage_s[std::string(kind.stages)] = settings_.executor.job_limit_s;
}

bool Dispatcher::StartWork(const Work& work) {
  JobRequest request;
  request.job = work.job;
  request.name = work.job.AttemptName(work.row.attempts);
  request.folder = FolderOf(work.job);
  request.limits.job_s = settings_.executor.job_limit_s;
  request.limits.grace_s = settings_.executor.kill_after_s;
  JobOutcome outcome;
  outcome.job = work.job;
  try {
    request.limits.memory_bytes = executor_->Resources().memory_bytes;
    context_.os.RemoveAll(request.folder);
    context_.os.CreateDirectories(request.folder);
    work.group ? StartGroup(*work.group, request.folder, request) : StartTask(work, request.folder, request);
  } catch (const Error& error) {
    outcome.kind = error.kind();
    outcome.message = error.kind() == ErrorKind::kIncomplete
                          ? error.message()
                          : fmt::format("the worker cannot be started: {}", error.what());
  } catch (const std::exception& error) {
    outcome.kind = ErrorKind::kIo;
    outcome.message = fmt::format("the worker cannot be started: {}", error.what());
  }
  if (!outcome.message.empty()) {
    RecordFailure(work, outcome, {});
    return false;
  }
  const double now = context_.clock.Unix();
  active_[work.job.text()].work = work;
  context_.writes.Add(work.row.id + ": executor", [this, work, name = request.name, now](GroupStore&) {
    TableOf(work.job).SetExecutor(work.row.id, executor_->kind(), name, now);
  });
  if (work.group) {
    context_.metrics.GroupWaited(std::max(0.0, now - std::max(work.row.next_attempt_at, work.group->first_file_at)));
  }
  Log(LogLevel::kInfo, work.row.id, fmt::format("attempt {} started as {}", work.row.attempts, request.name));
  executor_->Start(request);
  return true;
}

std::optional<Dispatcher::Work> Dispatcher::TakeNext(bool group) {
  const double now = context_.clock.Unix(), lease_s = settings_.queue.lease_s;
  Work work;
  if (group) {
    context_.calibration.RequireWritable();  // a plan that cannot be written down would cost an attempt
    work.group = context_.store.AcquireNext(
        context_.owner, settings_.queue.order == "oldest" ? state::QueueOrder::kOldest : state::QueueOrder::kNewest,
        lease_s, now);
    if (!work.group) return std::nullopt;
    work.row = *work.group;
    work.job = JobId::OfGroup(work.row.id);
  } else {
    const auto row = tasks_.TakeNext(context_.owner, state::QueueOrder::kOldest, lease_s, now);
    if (!row) return std::nullopt;
    work.row = *row;
    work.job = JobId::Parse(row->id);
  }
  return work;
}

// Groups on the places of executor.jobs; beside them one task at a time, so that neither keeps the other waiting. Tasks
// go on where a full disk stops the imaging: what they do may be what helps.
void Dispatcher::StartNext(bool groups_too) {
  constexpr std::size_t kTasks = 1;
  for (const bool group : {true, false}) {
    if (group && !groups_too) continue;
    const std::size_t places = group ? static_cast<std::size_t>(settings_.executor.jobs) : kTasks;
    while (!stopping_ && CountRunning(group) < places) {
      std::optional<Work> work;
      try {
        work = TakeNext(group);
      } catch (const Error& error) {
        context_.metrics.DatabaseFailed();
        LogNowAndThen(LogLevel::kWarning,
                      fmt::format("no {} can be taken: {}", group ? "group" : "task", error.what()));
        // The other kind would only wait once more for the same lock.
        if (error.subject() == context_.store.database().path().string()) return;
        break;
      }
      if (!work) break;
      if (const auto former = active_.find(work->job.text()); former != active_.end()) {
        PutBack(*work, former->second);
        break;
      }
      if (!StartWork(*work)) break;
    }
  }
}

// The operator took it away and gave it back before its worker had ended: never two workers on one piece of work.
void Dispatcher::PutBack(const Work& work, Active& former) {
  constexpr double kAgainS = 2;
  former.lost = true;
  executor_->Stop(work.job, ErrorKind::kCancelled, "cancelled by the operator");
  const double now = context_.clock.Unix();
  context_.writes.Add(work.row.id + ": put back", [this, work, now](GroupStore&) {
    if (!StillOurs(work)) return;
    state::TransitionDetails details;
    details.actor = kRunner;
    details.detail = "its former worker has not ended yet";
    details.next_attempt_at = now + kAgainS;
    TableOf(work.job).Transition(work.row.id, GroupState::kReady, details, now);
  });
}

void Dispatcher::Finished(const JobOutcome& outcome) {
  context_.writes.Hurry();
  const auto at = active_.find(outcome.job.text());
  if (at == active_.end()) return;
  const std::string row = outcome.job.row_id();
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
  if (died && !active.lost) deaths_.push_back({now, row, fmt::format("{}: {}", row, outcome.message)});
  const std::string stage = outcome.last_stage.empty() ? "start" : outcome.last_stage;
  metrics.JobFinished(stage, outcome.ok ? std::string_view("ok") : ToString(outcome.kind));
  if (outcome.report) {
    for (const StageReport& report : outcome.report->stages) metrics.StageTook(report.name, report.seconds);
    if (outcome.ok && !active.lost) CountWhatWasMade(*outcome.report, metrics);
  }
  if (outcome.ok && !active.lost) {
    Log(LogLevel::kInfo, row,
        fmt::format("{} after {:.1f} s ({:.1f} s of processor time, {})", outcome.report->next_state, outcome.wall_s,
                    outcome.user_s + outcome.system_s, Bytes(static_cast<double>(outcome.peak_memory_bytes))));
    return RecordSuccess(active.work, *outcome.report, outcome);
  }
  if (active.lost) {
    Log(LogLevel::kInfo, row, "its worker has ended at the operator's request");
    return;
  }
  std::vector<std::string> inputs;
  if (outcome.job.is_group()) {
    try {
      const Job job = ParseJob(ReadJsonFile(JobFile(FolderOf(outcome.job)), context_.os), row);
      for (const fs::path& input : job.inputs) inputs.push_back(input.string());
    } catch (const Error&) {
      // The log then lists no inputs.
    }
  }
  RecordFailure(active.work, outcome, inputs);
}

void Dispatcher::KeepLeases() {
  const double steady = context_.clock.Steady(), now = context_.clock.Unix();
  const bool heartbeat = steady >= next_heartbeat_;
  if (heartbeat) next_heartbeat_ = steady + std::min(settings_.queue.heartbeat_s, settings_.queue.lease_s / 3);
  for (auto& [job, active] : active_) {
    if (active.lost) continue;
    const std::string& id = active.work.row.id;
    state::WorkTable& table = TableOf(active.work.job);
    bool ours = StillOurs(active.work);
    if (ours && heartbeat) ours = table.Heartbeat(id, context_.owner, settings_.queue.lease_s, now);
    if (ours && std::exchange(active.changed, false)) {
      ours = table.SetProgress(id, context_.owner, active.stage, active.fraction, now);
    }
    if (!ours) {
      active.lost = true;
      Log(LogLevel::kInfo, id, "taken away by the operator; its worker is asked to end");
      executor_->Stop(active.work.job, ErrorKind::kCancelled, "cancelled by the operator");
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
  for (const auto& [job, active] : active_) kept.insert(active.work.row.id);
  for (state::WorkTable* table :
       {static_cast<state::WorkTable*>(&context_.store), static_cast<state::WorkTable*>(&tasks_)}) {
    for (const std::string& id : table->ReclaimExpired(kRunner, context_.clock.Unix(), kept)) {
      Log(LogLevel::kWarning, id, "its runner has been silent for too long; taken back");
    }
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
    next_look_ = steady + kLookS;  // whatever this one throws
    if (recovering_) {
      FinishRecovery();
    } else {
      LookAtRunning(steady);
    }
    // One that waited for a lock is not followed by the next at once.
    next_look_ = context_.clock.Steady() + kLookS;
  }
  if (recovering_ || !context_.writes.Flush() || stopping_) return;
  // Something is due when something changed; the operator's changes and due retries are found once a second.
  const bool allowed_again = may_start && !std::exchange(might_start_, may_start);
  if (context_.writes.n_committed() == seen_commits_ && steady < next_start_ && !allowed_again) return;
  StartNext(may_start);
  seen_commits_ = context_.writes.n_committed();
  next_start_ = context_.clock.Steady() + kLookS;
}

void Dispatcher::StopAll() {
  stopping_ = true;
  for (const RunningJob& job : executor_->Running()) {
    executor_->Stop(job.job, ErrorKind::kCancelled, "the daemon stops");
  }
}

}  // namespace contimg::ops
