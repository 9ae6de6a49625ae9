// What a dispatcher that starts makes of the work that was under way when the former one ended.
#include <fmt/format.h>

#include <utility>

#include "config/os.h"
#include "ops/base/log.h"
#include "ops/daemon/actors.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/failed_log.h"
#include "ops/job/job.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;

constexpr const char* kOwnerName = "contimg-stream";  // leases of every daemon begin with it

}  // namespace

void Dispatcher::Recover() {
  GroupStore& store = context_.store;
  sky_.Restore(store);
  std::vector<Work> interrupted;
  for (const state::WorkRow& row : store.Running(kOwnerName)) {
    if (auto group = store.Find(row.id)) interrupted.push_back({JobId::OfGroup(row.id), row, std::move(group)});
  }
  for (const state::WorkRow& row : tasks_.Running(kOwnerName)) {
    interrupted.push_back({JobId::Parse(row.id), row, std::nullopt});
  }
  std::vector<JobRequest> strays;
  for (const Work& work : interrupted) {
    strays.push_back({work.job, work.job.AttemptName(work.row.attempts), FolderOf(work.job), {}});
  }
  executor_->EndStrays(strays);
  for (const Work& work : interrupted) {
    const std::string& id = work.row.id;
    const fs::path path = ReportFile(FolderOf(work.job));
    try {
      if (!Exists(path, context_.os)) continue;
      const JobReport report = ParseJobReport(ReadJsonFile(path, context_.os), path.string());
      if (!report.ok || report.attempt != work.row.attempts) continue;
      Log(LogLevel::kInfo, id, "its worker had finished before the daemon could record it");
      RecordSuccess(work, report, {});
    } catch (const Error& error) {
      Log(LogLevel::kWarning, id, fmt::format("its report is of no use: {}", error.what()));
    }
  }
  recovering_ = true;
  FinishRecovery();
}

// The log is written when the record is; in between the daemon may have been killed, or the disk have been full.
void Dispatcher::CompleteFailedLogs() {
  constexpr int kLookedAt = 1000;
  state::GroupQuery dead;
  dead.states = {GroupState::kDead};
  dead.limit = kLookedAt;
  for (const GroupRow& row : context_.store.List(dead)) {
    const fs::path path = context_.paths.FailedLog(row.id);
    if (Exists(path, context_.os)) continue;
    FailedRecord record;
    record.group = row.id;
    record.attempts = row.attempts;
    record.kind = row.error_kind.value_or(ErrorKind::kBug);
    record.message = row.error;
    WriteFailedLog(context_.os, path, record);
  }
}

void Dispatcher::FinishRecovery() {
  GroupStore& store = context_.store;
  const double now = context_.clock.Unix();
  if (!context_.writes.Flush()) return;
  try {
    // What its worker had finished and still waits for another database stays as it is.
    for (state::WorkTable* table : {static_cast<state::WorkTable*>(&store), static_cast<state::WorkTable*>(&tasks_)}) {
      for (const std::string& id : table->ReclaimOwned(kOwnerName, kRunner, now, unrecorded_)) {
        Log(LogLevel::kInfo, id, "ready again: the daemon that ran it has ended");
      }
      for (const std::string& id : table->PullIn(now + 2 * settings_.queue.backoff_limit_s, kRunner, now)) {
        Log(LogLevel::kWarning, id, "its next attempt lay in a far future (the clock has been set back): due now");
      }
    }
    context_.calibration.AbandonLost(store, now);
    recovering_ = false;
    CompleteFailedLogs();
  } catch (const Error& error) {
    if (!MayPass(error.kind())) throw;
    context_.metrics.DatabaseFailed();
    LogNowAndThen(LogLevel::kWarning, fmt::format("work cannot be taken up yet: {}", error.what()));
  }
}

}  // namespace contimg::ops
