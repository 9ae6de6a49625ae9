#include "ops/daemon/status_report.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "config/machine.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/base/version.h"
#include "ops/records/row_json.h"
#include "ops/upkeep/task_kinds.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

ordered_json IncomingJson(const IngestService& ingest, const std::filesystem::path& directory) {
  ordered_json incoming;
  incoming["directory"] = directory.string();
  incoming["files"] = ingest.n_incoming();
  incoming["pending"] = ingest.n_pending();
  incoming["retrying"] = ingest.n_retrying();
  incoming["polling"] = ingest.polling();
  incoming["caught_up"] = ingest.caught_up();
  incoming["last_file_at"] =
      ingest.last_file_unix() ? ordered_json(UtcTime::FromUnix(*ingest.last_file_unix()).Stamp()) : ordered_json();
  return incoming;
}

ordered_json JobsJson(const std::vector<RunningJob>& running) {
  ordered_json jobs = ordered_json::array();
  for (const RunningJob& job : running) {
    jobs.push_back({{"job", job.job.text()},
                    {"group", job.job.is_group() ? ordered_json(job.job.subject) : ordered_json()},
                    {"stage", job.stage},
                    {"fraction", job.fraction},
                    {"running_s", job.running_s},
                    {"where", job.where},
                    {"memory_bytes", job.memory_bytes}});
  }
  return jobs;
}

ordered_json DirectoriesJson(const std::map<std::string, DirectorySizes::Size>& sizes) {
  ordered_json directories = ordered_json::object();
  for (const auto& [name, size] : sizes) {
    directories[name] = size.measured
                            ? ordered_json{{"bytes", size.bytes},
                                           {"files", size.files},
                                           {"growth_bytes_per_s", size.growth_bytes_per_s}}
                            : ordered_json{{"bytes", nullptr}, {"files", nullptr}, {"growth_bytes_per_s", nullptr}};
  }
  return directories;
}

// Files that this process has open.
std::size_t CountOpenFiles() {
  std::size_t n = 0;
  if (DIR* directory = ::opendir("/proc/self/fd")) {
    while (::readdir(directory) != nullptr) ++n;
    ::closedir(directory);
  }
  return n > 3 ? n - 3 : 0;  // without ".", ".." and the listing's own
}

double OwnProcessorSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

std::string StatusReport::Line() {
  const auto findings = at_.health.Judge().findings;
  return fmt::format("{} collecting, {} waiting, {} running{}{}", at_.ingest.n_collecting(), at_.queue.n_waiting(),
                     at_.dispatcher.n_running(), findings.empty() ? "" : "; ",
                     findings.empty() ? "" : findings.front().sentence);
}

ordered_json StatusReport::Document() {
  const double now = at_.clock.Unix();
  ordered_json status;
  status["version"] = kVersion;
  status["pid"] = ::getpid();
  status["state_directory"] = at_.paths.roots().state.string();
  status["started_at"] = UtcTime::FromUnix(started_unix_).Stamp();
  status["uptime_s"] = at_.clock.Steady() - started_;
  const HealthWatch::Judgement health = at_.health.Judge();
  status["ready"] = health.verdict.ready;
  status["not_ready_because"] = health.verdict.why_not;
  status["verdict"] = health.verdict.words;
  status["health"] = ToJson(health.findings);
  ordered_json& troubles = status["troubles"] = ordered_json::array();
  for (const HealthFinding& finding : health.findings) troubles.push_back(finding.sentence);
  status["incoming"] = IncomingJson(at_.ingest, at_.paths.roots().input);
  const state::GroupSummary& groups = at_.queue.groups();
  ordered_json& counts = status["groups"] = ordered_json::object();
  for (const auto& [state, count] : groups.counts) counts[std::string(ToString(state))] = count;
  status["tasks"] = TaskCountsJson(at_.queue.tasks());
  status["last_done"] = LastDoneJson(at_.queue.tasks_done_at());
  status["oldest_unprocessed"] =
      groups.oldest_unprocessed.empty()
          ? ordered_json()
          : ordered_json{{"id", groups.oldest_unprocessed}, {"age_s", now - groups.oldest_unprocessed_since}};
  status["jobs"] = JobsJson(at_.dispatcher.Running());
  status["late_subbands"] = at_.queue.n_late_files();
  status["products_missing"] = at_.reconciler.n_missing();
  status["comparing_records"] = at_.reconciler.active();
  status["calibration"] = at_.calibration.Status();
  // As it was asked for, so no finding; whoever looks at an image must know all the same.
  const std::string missing = at_.calibration.Facts().missing;
  status["calibration"]["goes_on"] =
      at_.settings.calibrate.policy == "uncalibrated" && !missing.empty()
          ? ordered_json(fmt::format("images go out uncalibrated, as calibrate.policy says: {}", missing))
          : ordered_json();
  status["sky"] = at_.dispatcher.sky().Status();
  const MosaicSettings& mosaic = at_.settings.mosaic;
  status["mosaics"] = {{"enabled", mosaic.enabled}, {"tiles", mosaic.tiles}, {"overlap", mosaic.overlap}};
  status["dispatch_allowed"] = at_.health.may_start();
  for (const auto& [name, disk] : at_.health.disks().disks) {
    status["disks"][name] = {
        {"free_bytes", disk.space.free_bytes}, {"total_bytes", disk.space.total_bytes}, {"limits", disk.rule}};
  }
  const auto full_in_s = at_.upkeep.seconds_to_critical();
  status["disks"]["scratch"]["full_in_s"] = full_in_s ? ordered_json(*full_in_s) : ordered_json();
  status["directories"] = DirectoriesJson(at_.sizes.Latest());
  return status;
}

void StatusReport::UpdateGauges() {
  const double now = at_.clock.Unix();
  SetQueueGauges(now);
  SetTaskGauges();
  at_.upkeep.SetGauges(at_.queue.tasks_done_at(), at_.health.disks());
  SetIntakeGauges(now);
  SetHealthGauges();
  for (const auto& [name, size] : at_.sizes.Latest()) {
    if (!size.measured) continue;
    at_.metrics.SetDirectory(
        name, {size.bytes, size.files, size.oldest_unix_s, size.growth_bytes_per_s, size.growth_files_per_s});
  }
  const auto lines = LinesLogged();
  for (std::size_t level = 0; level < lines.size(); ++level) {
    at_.metrics.SetLogLines(WordOf(static_cast<LogLevel>(level)), lines[level]);
  }
  at_.metrics.SetOwnResources(OwnProcessorSeconds(), ResidentMemory(::getpid()), CountOpenFiles());
}

void StatusReport::SetQueueGauges(double now) {
  const state::GroupSummary& groups = at_.queue.groups();
  std::map<std::string, std::int64_t> counts;
  for (const auto& [state, count] : groups.counts) counts[std::string(ToString(state))] = count;
  at_.metrics.SetGroups(counts);
  at_.metrics.SetOldestUnprocessed(
      groups.oldest_unprocessed.empty() ? 0 : std::max(0.0, now - groups.oldest_unprocessed_since));
  const auto& oldest = at_.queue.oldest_waiting();
  const double due = oldest ? std::max(oldest->next_attempt_at, oldest->first_file_at) : now;
  at_.metrics.SetOldestDispatchable(std::max(0.0, now - due));
  at_.metrics.SetProducts(at_.reconciler.n_missing(), at_.reconciler.figures().n_strange);
  std::uint64_t memory = 0;
  for (const RunningJob& job : at_.dispatcher.Running()) memory += job.memory_bytes;
  at_.metrics.SetWorkers(at_.dispatcher.n_running(), static_cast<std::size_t>(at_.settings.executor.jobs), memory);
}

// Tasks neither collect files nor wait for calibration.
void StatusReport::SetTaskGauges() {
  for (const TaskKind& kind : TaskKinds()) {
    const auto counts = at_.queue.tasks().find(std::string(kind.name));
    for (const state::WorkState state : state::AllGroupStates()) {
      if (state == state::WorkState::kCollecting || state == state::WorkState::kAwaitingCalibration) continue;
      std::int64_t n = 0;
      if (counts != at_.queue.tasks().end()) {
        const auto found = counts->second.find(state);
        if (found != counts->second.end()) n = found->second;
      }
      at_.metrics.SetTasks(kind.name, ToString(state), n);
    }
  }
}

void StatusReport::SetIntakeGauges(double now) {
  at_.metrics.SetIncoming(at_.ingest.n_incoming(), at_.ingest.n_pending(), at_.ingest.n_retrying());
  at_.metrics.SetPolling(at_.ingest.polling());
  if (at_.ingest.last_file_unix()) at_.metrics.SetSinceLastFile(std::max(0.0, now - *at_.ingest.last_file_unix()));
  at_.metrics.SetLateFiles(at_.queue.n_late_files());
}

void StatusReport::SetHealthGauges() {
  at_.metrics.SetDispatchAllowed(at_.health.may_start());
  const HealthWatch::Judgement health = at_.health.Judge();
  std::map<std::string_view, int> levels;
  for (const HealthCode code : AllHealthCodes()) levels[ToString(code)] = 0;
  for (const HealthFinding& finding : health.findings) {
    int& level = levels[ToString(finding.code)];
    level = std::max(level, finding.severity == HealthSeverity::kRed ? 2 : 1);
  }
  for (const auto& [code, level] : levels) at_.metrics.SetHealth(code, level);
  at_.metrics.SetReady(health.verdict.ready);
}

}  // namespace contimg::ops
