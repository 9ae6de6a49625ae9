#include "ops/daemon/upkeep_watch.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "config/os.h"
#include "config/product_class.h"
#include "config/time.h"
#include "ops/records/maintenance_run.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"
#include "state/retention_store.h"

namespace contimg::ops {
namespace {

constexpr double kEveryS = 60;
constexpr double kHoursPerDay = 24;
// Cron archives weekly, timers daily: the longer, and two days of grace.
constexpr double kArchiveOverdueS = 9 * kSecondsPerDay;

void ReadOperations(const std::filesystem::path& file, UpkeepFigures& figures) {
  if (!Exists(file)) return;
  state::MaintenanceStore store(file, state::DatabaseOptions::ForOneLook());
  figures.last_success = store.LastSuccess();
  figures.runs = store.Counts();
  figures.integrity_failures = store.FindingCounts();
  figures.open_findings = static_cast<std::int64_t>(store.OpenFindings().size());
  for (const state::MaintenanceRow& row : store.LastEnded()) {
    figures.last_duration_s[row.kind] = *row.finished_at - row.started_at;
    if (row.kind != "cleanup") continue;
    const auto written = nlohmann::json::parse(row.figures_json, nullptr, false);
    if (!written.is_object() || !written.contains("blocked")) continue;
    for (const auto& each : written.at("blocked")) {
      figures.blocked_bytes[each.value("class", "")] += each.value("bytes", std::int64_t{0});
    }
  }
}

void ReadProducts(const std::filesystem::path& file, const ArchiveSettings& archive, UpkeepFigures& figures) {
  if (!Exists(file)) return;
  state::ProductStore products(file, state::DatabaseOptions::ForOneLook());
  figures.removed_bytes = state::RetentionStore(products.database()).RemovedBytes();
  state::ArchiveStore archives(products.database());
  for (const auto& [of, sum] : archives.Totals()) figures.archive_objects[std::string(ToString(of.second))] += sum.n;
  std::set<std::string, std::less<>> classes;
  for (const ArchiveRemote& remote : RemotesOf(archive)) classes.insert(remote.classes.begin(), remote.classes.end());
  if (classes.empty()) return;
  for (const auto& [word, sum] : archives.Backlog(static_cast<int>(archive.copies))) {
    const auto kind = FindProductKind(word);
    if (kind && classes.count(ProductClass(*kind, {}, {})) > 0) figures.archive_backlog_bytes += sum.bytes;
  }
}

}  // namespace

UpkeepFigures ReadUpkeepFigures(const ProductPaths& paths, const ArchiveSettings& archive) {
  UpkeepFigures figures;
  for (const StateDatabase each : {StateDatabase::kIngest, StateDatabase::kCalRegistry, StateDatabase::kProducts,
                                   StateDatabase::kMasterSources, StateDatabase::kOperations}) {
    const std::filesystem::path file = paths.Database(each);
    if (!Exists(file)) continue;
    const std::filesystem::path log = file.string() + "-wal";
    figures.databases[file.stem().string()] = {FileSize(file), Exists(log) ? FileSize(log) : 0};
  }
  ReadOperations(paths.Database(StateDatabase::kOperations), figures);
  ReadProducts(paths.Database(StateDatabase::kProducts), archive, figures);
  return figures;
}

void UpkeepWatch::Tick(double steady_s) {
  if (steady_s < next_ || reading_) return;
  next_ = steady_s + kEveryS;
  reading_ = true;
  auto figures = std::make_shared<UpkeepFigures>();
  background_.Run(
      [figures, paths = paths_, archive = settings_.archive] {
        const std::filesystem::path operations = paths.Database(StateDatabase::kOperations);
        if (Exists(operations)) CloseKilledRuns(operations);
        *figures = ReadUpkeepFigures(paths, archive);
      },
      [this, figures](const std::exception_ptr& failure) {
        reading_ = false;
        if (failure) return;  // a database that is busy now: another time
        figures_ = *figures;
        known_ = true;
      });
}

void UpkeepWatch::SetGauges(const std::map<std::string, double>& tasks_done_at, const DiskReport& disks) {
  SetLimits(disks);
  // Nothing is told before it is known: totals that begin at 0 would look as if all had happened since.
  if (!known_) return;
  std::set<std::string> kinds{"backup", "verify", "cleanup", "archive"};
  for (const auto& [of, n] : figures_.runs) kinds.insert(of.first);
  for (const std::string& kind : kinds) {
    const auto by_service = tasks_done_at.find(kind);
    metrics_.SetMaintenance(
        kind, std::max(figures_.last_success[kind], by_service == tasks_done_at.end() ? 0 : by_service->second),
        figures_.last_duration_s[kind]);
    for (const char* outcome : {"ok", "failed", "refused", "cancelled"}) {
      metrics_.SetMaintenanceRuns(kind, outcome, figures_.runs[{kind, outcome}]);
    }
  }
  for (const std::string_view each : AllProductClasses()) {
    const std::string name(each);
    metrics_.SetCleanup(name, figures_.removed_bytes[name], figures_.blocked_bytes[name]);
  }
  for (const char* state : {"staged", "copied", "verified", "lost", "retired"}) {
    metrics_.SetArchive(state, figures_.archive_objects[state]);
  }
  metrics_.SetArchiveBacklog(figures_.archive_backlog_bytes);
  for (const char* place : {"local", "archive", "backup"}) {
    metrics_.SetIntegrity(place, figures_.integrity_failures[place]);
  }
  metrics_.SetOpenFindings(figures_.open_findings);
  for (const auto& [name, bytes] : figures_.databases) metrics_.SetDatabase(name, bytes.first, bytes.second);
}

void UpkeepWatch::SetLimits(const DiskReport& disks) {
  metrics_.SetNoDataLimit(settings_.ingest.no_data_after_s);
  // Half a period of grace. Where the service makes no backups a timer or an operator is to make one a day.
  metrics_.SetMaintenanceLimit(
      "backup", 1.5 * kSecondsPerHour * (settings_.backup.every_h > 0 ? settings_.backup.every_h : kHoursPerDay));
  metrics_.SetMaintenanceLimit("archive", kArchiveOverdueS);
  metrics_.SetStagingLimit(settings_.disk.staging_critical_used_fraction);
  const auto scratch = disks.disks.find("scratch");
  if (scratch == disks.disks.end() || scratch->second.space.total_bytes == 0) return;
  const DiskLimits limits = ScratchLimits(scratch->second.space.total_bytes, settings_.disk);
  metrics_.SetDiskLimits(limits.warning.free_bytes, limits.critical.free_bytes);
}

}  // namespace contimg::ops
