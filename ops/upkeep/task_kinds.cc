#include "ops/upkeep/task_kinds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/os.h"
#include "config/settings_loader.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/archive/verify.h"
#include "ops/job/task_job.h"
#include "ops/job/worker_process.h"
#include "ops/lightcurves/flux_scales.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/records/maintenance_run.h"
#include "ops/records/watermarks.h"
#include "ops/retention/cleanup.h"
#include "ops/upkeep/backup.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

json DescribeBackup(const state::TaskRow& row, const Settings& settings, const ProductPaths& paths) {
  const BackupRequest request = BackupOf(settings, paths);
  const auto words = [](const std::vector<std::filesystem::path>& files) {
    json list = json::array();
    for (const auto& file : files) list.push_back(file.string());
    return list;
  };
  return {{"directory", request.directory.string()},
          {"name", BackupName(row.subject)},
          {"databases", words(request.databases)},
          {"files", words(request.files)},
          {"texts", json(request.texts)},
          {"keep_days", request.keep_days},
          {"operations", paths.Database(StateDatabase::kOperations).string()}};
}

void RunBackup(const json& work, const RunContext& context, json& figures) {
  BackupRequest request;
  request.directory = work.at("directory").get<std::string>();
  request.name = work.at("name");
  for (const json& file : work.at("databases")) request.databases.emplace_back(file.get<std::string>());
  for (const json& file : work.at("files")) request.files.emplace_back(file.get<std::string>());
  request.texts = work.at("texts").get<std::vector<std::pair<std::string, std::string>>>();
  request.keep_days = work.at("keep_days");
  const Backup made = MakeRecordedBackup(request, work.at("operations").get<std::string>(), "daemon", context);
  figures["folder"] = made.folder.string();
  figures["bytes"] = made.bytes();
  figures["databases"] = made.databases.size();
  figures["summary"] =
      fmt::format("{}, {:.1f} MB, in {}", Counted(static_cast<std::int64_t>(made.databases.size()), "database"),
                  static_cast<double>(made.bytes()) * 1e-6, made.folder.string());
}

double BackupEvery(const Settings& settings) { return settings.backup.every_h * kSecondsPerHour; }

json DescribeVerify(const state::TaskRow&, const Settings& settings, const ProductPaths& paths) {
  return {{"products", paths.Database(StateDatabase::kProducts).string()},
          {"operations", paths.Database(StateDatabase::kOperations).string()},
          {"share", settings.integrity.share}};
}

// Of the local products alone: the service has no network. Damage is a finding, not a failure of the task: reading the
// same again would not help.
void RunVerify(const json& work, const RunContext& context, json& figures) {
  const std::filesystem::path operations = work.at("operations").get<std::string>();
  RunMaintenance(
      {operations, "verify", "daemon", false}, context, [&](const RunContext& inner, nlohmann::ordered_json& written) {
        state::ProductStore products(work.at("products").get<std::string>());
        state::MaintenanceStore findings(operations);
        const VerifyResult result = VerifyProducts(products, findings, work.at("share"), inner);
        figures["products"] = written["products"] = result.n_checked;
        figures["bytes"] = written["bytes"] = result.bytes_checked;
        figures["damaged"] = written["damaged"] = result.n_damaged;
        figures["summary"] = fmt::format("{} read again, {:.1f} GB, {} damaged", Counted(result.n_checked, "product"),
                                         static_cast<double>(result.bytes_checked) * 1e-9, result.n_damaged);
        return result.n_damaged == 0 ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
      });
}

double VerifyEvery(const Settings& settings) { return settings.integrity.every_h * kSecondsPerHour; }

// A cleanup that could not free enough is not asked for again at once.
constexpr double kBetweenCleanupsS = 600;

json DescribeCleanup(const state::TaskRow&, const Settings& settings, const ProductPaths& paths) {
  return {{"settings", AsOverrides(settings)},
          {"operations", paths.Database(StateDatabase::kOperations).string()},
          {"state", paths.roots().state.string()}};
}

// What policy keeps is told by the run's figures and by health: trying again at once would not help.
void RunCleanupTask(const json& work, const RunContext& context, json& figures) {
  SettingsSources sources;
  sources.overrides = work.at("settings").get<std::vector<std::string>>();
  const Settings settings = LoadSettings(sources).values;
  CleanupRequest request{ProductPaths(Roots(settings)), PolicyOf(settings), {}, true, false, "daemon"};
  const auto total = OsOr(context.os).Space(request.paths.roots().scratch).total_bytes;
  request.policy.min_free_bytes = CleanupTarget(total, settings);
  const MaintenanceLock lock(work.at("state").get<std::string>(), "cleanup");
  RunMaintenance({work.at("operations").get<std::string>(), "cleanup", "daemon", false}, context,
                 [&](const RunContext& inner, nlohmann::ordered_json& written) {
                   state::ProductStore products(request.paths.Database(StateDatabase::kProducts));
                   state::GroupStore groups(request.paths.Database(StateDatabase::kIngest));
                   const CleanupOutcome outcome = RunCleanup(request, products, &groups, inner);
                   written = CleanupFigures(outcome);
                   figures["items"] = outcome.purged.n_removed;
                   figures["bytes"] = outcome.purged.bytes;
                   const std::string trouble = TroubleOf(outcome);
                   figures["summary"] = fmt::format(
                       "{} left the disk, {:.1f} GB{}{}", Counted(outcome.purged.n_removed, "item"),
                       static_cast<double>(outcome.purged.bytes) * 1e-9, trouble.empty() ? "" : "; ", trouble);
                   return OutcomeOf(outcome);
                 });
}

// Not by the clock: the service asks for it when the disk calls for it.
double CleanupEvery(const Settings&) { return 0; }

json DescribeMosaic(const state::TaskRow& row, const Settings& settings, const ProductPaths&) {
  return DescribeMosaicTask(row.subject, settings);
}

// Not by the clock: the service asks for one when its window has passed (ops/daemon/mosaic_watch.h).
double MosaicEvery(const Settings&) { return 0; }

json DescribeNormalise(const state::TaskRow&, const Settings&, const ProductPaths& paths) {
  return {{"sources", paths.Database(StateDatabase::kMasterSources).string()}};
}

void RunNormalise(const json& work, const RunContext& context, json& figures) {
  const std::filesystem::path sources = work.at("sources").get<std::string>();
  figures["tiles"] = 0;
  if (!Exists(sources, OsOr(context.os))) {
    figures["summary"] = "no tile is on record";
    return;
  }
  state::SourceStore store(sources);
  NormaliseRequest request;
  request.now = UtcTime::Now().unix_s();
  request.only_if_new = true;
  const NormaliseResult result = NormaliseTiles(store.database(), request, context);
  if (!result.done) {
    figures["summary"] = "no tile went on record since the last time";
    return;
  }
  const auto scaled = std::count_if(result.tiles.begin(), result.tiles.end(),
                                    [](const state::ObservationRow& tile) { return tile.scale.has_value(); });
  figures["tiles"] = result.tiles.size();
  figures["scaled"] = scaled;
  figures["references"] = result.references;
  figures["summary"] = fmt::format("{} of {} have a flux scale, by {}", scaled,
                                   Counted(static_cast<std::int64_t>(result.tiles.size()), "tile"),
                                   Counted(result.references, "source"));
}

double NormaliseEvery(const Settings& settings) {
  return settings.photometry.enabled ? settings.photometry.normalise_every_h * kSecondsPerHour : 0;
}

bool IsOpen(state::WorkState state) {
  return state == state::WorkState::kReady || state == state::WorkState::kRunning ||
         state == state::WorkState::kFailed || state == state::WorkState::kHeld;
}

}  // namespace

const std::vector<TaskKind>& TaskKinds() {
  static const std::vector<TaskKind> kinds{{"backup", "backup", DescribeBackup, RunBackup, BackupEvery},
                                           {"verify", "verify", DescribeVerify, RunVerify, VerifyEvery},
                                           {"cleanup", "cleanup", DescribeCleanup, RunCleanupTask, CleanupEvery},
                                           {"normalise", "normalise", DescribeNormalise, RunNormalise, NormaliseEvery},
                                           {kMosaicTask, kMosaicTask, DescribeMosaic, nullptr, MosaicEvery}};
  return kinds;
}

const TaskKind& FindTaskKind(std::string_view name) {
  for (const TaskKind& kind : TaskKinds()) {
    if (kind.name == name) return kind;
  }
  throw Error(ErrorKind::kUsage, "queue", std::string(name), "is no kind of task that this program knows");
}

std::uint64_t CleanupTarget(std::uint64_t total_bytes, const Settings& settings) {
  if (settings.retention.min_free_bytes <= 0) return 0;
  return std::max(static_cast<std::uint64_t>(settings.retention.min_free_bytes),
                  ScratchLimits(total_bytes, settings.disk).warning.free_bytes);
}

std::string RoomWanted(const DiskSpace& space, const Settings& settings) {
  const std::uint64_t target = CleanupTarget(space.total_bytes, settings);
  if (space.free_bytes >= target) return "";
  return fmt::format("{} free on the scratch disk, {} wanted", SpaceWords(space.free_bytes), SpaceWords(target));
}

std::optional<std::string> CreateCleanup(state::TaskStore& tasks, std::string_view why, double now) {
  const auto newest = tasks.Newest("cleanup");
  if (newest && IsOpen(newest->state)) return std::nullopt;
  const auto last = tasks.Newest("cleanup", now);
  if (last && now - last->created_at < kBetweenCleanupsS) return std::nullopt;
  return tasks.Create("cleanup", UtcTime::FromUnix(now).Iso8601(), "daemon", why, now).id;
}

std::vector<std::string> CreateDueTasks(state::TaskStore& tasks, const Settings& settings, double now) {
  std::vector<std::string> made;
  for (const TaskKind& kind : TaskKinds()) {
    const double every_s = kind.every_s(settings);
    if (every_s <= 0) continue;
    const auto newest = tasks.Newest(kind.name);
    if (newest && IsOpen(newest->state)) continue;
    const auto last = tasks.Newest(kind.name, now);
    const double since = last ? last->created_at : tasks.FirstEventAt().value_or(now);
    if (since <= now && now - since < every_s) continue;
    const std::string subject = UtcTime::FromUnix(now).Iso8601();
    made.push_back(tasks.Create(kind.name, subject, "daemon", "due by the clock", now).id);
  }
  return made;
}

int RunTaskWorker(const std::filesystem::path& job_file, Os& os, const std::map<std::string_view, TaskWork>& brought) {
  const TaskJob job = ParseTaskJob(ReadJsonFile(job_file, os), job_file.string());
  const TaskKind& kind = FindTaskKind(job.job.kind);
  const TaskWork run = kind.run != nullptr ? kind.run : brought.at(kind.name);
  const WorkerIdentity identity{job.job, job.attempt, job.threads, job.memory_bytes, {}};
  return RunWorkerProcess(job_file, os, identity, [&](const RunContext& context) {
    JobReport report = BeginReport(job.job, job.attempt);
    CompleteReport(report, [&] {
      RunStage(std::string(kind.stages), context, {}, report, [&](json& figures) { run(job.work, context, figures); });
    });
    return report;
  });
}

}  // namespace contimg::ops
