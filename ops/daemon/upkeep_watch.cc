#include "ops/daemon/upkeep_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "config/os.h"
#include "config/product_class.h"
#include "config/time.h"
#include "ops/base/log.h"
#include "ops/job/tree_marker.h"
#include "ops/records/maintenance_run.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"
#include "state/retention_store.h"

namespace contimg::ops {
namespace {

constexpr double kEveryS = 60;
// Records of years take seconds to add up: for that no more than a twentieth of a processor.
constexpr double kTimesAsLong = 20, kAtLeastEveryS = 3600;
constexpr double kHoursPerDay = 24, kGrace = 1.5;
constexpr std::array<const char*, 3> kWaitedFor{"backup", "backup_shipping", "archive"};
constexpr double kSaveHistoryS = 600;
constexpr std::size_t kMostDamage = 200;  // of more than that, who looks at whether each has a copy?
// From here on failures are no accident.
constexpr Metrics::FailureLimits kFailureLimits{0.25, 6, 2, 2, 3, 0.5, 4};

// When this state was first started; nothing where nobody can tell.
std::optional<double> FirstStart(const ProductPaths& paths) {
  try {
    const auto identity = ReadStateIdentity(paths.roots().state);
    if (!identity) return std::nullopt;
    return UtcTime::FromIso8601(identity->since).unix_s();
  } catch (const Error&) {
    return std::nullopt;  // damaged, or of another version: its readers say so
  }
}

// Bytes that were read again. The service's own task looks at local products alone and says so without a place.
void ReadChecked(state::MaintenanceStore& store, UpkeepFigures& figures) {
  figures.checked_bytes["local"] =
      store.SumFigures("verify", "$")["bytes"] + store.SumFigures("verify", "$.local")["bytes"];
  figures.checked_bytes["archive"] = store.SumFigures("verify", "$.archive")["bytes"];
}

void ReadBackup(state::MaintenanceStore& store, UpkeepFigures& figures) {
  const auto row = store.LastWith("backup", "$.databases");
  if (!row) return;
  const auto written = nlohmann::json::parse(row->figures_json, nullptr, false);
  if (!written.is_object()) return;
  for (const auto& [file, bytes] : written.at("databases").items()) {
    if (bytes.is_number())
      figures.backup_bytes[std::filesystem::path(file).stem().string()] = bytes.get<std::int64_t>();
  }
}

void ReadOperations(const std::filesystem::path& file, double unix_s, UpkeepFigures& figures) {
  if (!Exists(file)) return;
  state::MaintenanceStore store(file, state::DatabaseOptions::ForOneLook());
  figures.last_success = store.LastSuccess(unix_s);
  figures.runs = store.Counts();
  figures.integrity_failures = store.FindingCounts();
  figures.archive_failures = store.SumFigures("archive", "$.failed_for");
  ReadChecked(store, figures);
  ReadBackup(store, figures);
  std::vector<state::IntegrityFinding> open = store.OpenFindings();
  figures.open_findings = static_cast<std::int64_t>(open.size());
  for (state::IntegrityFinding& each : open) {
    if (each.place == "local") figures.damage.push_back({std::move(each), false});
  }
  for (const state::MaintenanceRow& row : store.LastEnded()) {
    figures.last_duration_s[row.kind] = *row.finished_at - row.started_at;
    const auto written = nlohmann::json::parse(row.figures_json, nullptr, false);
    if (row.outcome == state::RunOutcome::kFailed) {
      UpkeepFigures::Failure& failure = figures.failed[row.kind];
      failure = {row.error.empty() && written.is_object() ? written.value("failure", "") : row.error, *row.finished_at};
      if (failure.sentence.empty()) failure.sentence = "what failed is not on record";
    }
    if (row.kind != "cleanup") continue;
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
  for (const auto& [kind, begin_mjd] : products.NewestData()) {
    figures.newest_product[kind] = UtcTime::FromMjdSeconds(begin_mjd * kSecondsPerDay).unix_s();
  }
  state::ArchiveStore archives(products.database());
  for (const auto& [of, sum] : archives.Totals()) figures.archive_objects[std::string(ToString(of.second))] += sum.n;
  for (std::size_t i = 0; i < std::min(kMostDamage, figures.damage.size()); ++i) {
    UpkeepFigures::Damage& each = figures.damage[figures.damage.size() - 1 - i];
    const auto row = products.FindByPath(each.finding.subject);
    const auto copies = row ? archives.CopiesOf(row->id) : std::vector<state::ArchiveRow>{};
    each.has_copy = !copies.empty() && !copies.front().lossy;
  }
  std::set<std::string, std::less<>> classes, names;
  for (const ArchiveRemote& remote : RemotesOf(archive)) {
    classes.insert(remote.classes.begin(), remote.classes.end());
    names.insert(remote.name);
  }
  // A remote that was given up lacks nothing, unless what it had is nowhere else.
  figures.lost = archives.NotMadeGood();
  std::erase_if(figures.lost, [&](const auto& each) { return names.count(each.remote) == 0 && each.n_gone == 0; });
  if (classes.empty()) return;
  for (const auto& [word, sum] : archives.Backlog(static_cast<int>(archive.copies), archive.images == "rice")) {
    const auto kind = FindProductKind(word);
    if (kind && classes.count(ProductClass(*kind, {}, {})) > 0) figures.archive_backlog_bytes += sum.bytes;
  }
}

void SaveHistory(const DiskHistory& history) {
  try {
    history.Save(RealOs());
  } catch (const Error& error) {
    LogNowAndThen(LogLevel::kWarning, fmt::format("what the scratch disk did is not kept: {}", error.what()));
  }
}

}  // namespace

UpkeepFigures ReadUpkeepFigures(const ProductPaths& paths, const ArchiveSettings& archive, double unix_s) {
  UpkeepFigures figures;
  for (const StateDatabase each : {StateDatabase::kIngest, StateDatabase::kCalRegistry, StateDatabase::kProducts,
                                   StateDatabase::kMasterSources, StateDatabase::kOperations}) {
    const std::filesystem::path file = paths.Database(each);
    if (!Exists(file)) continue;
    const std::filesystem::path log = file.string() + "-wal";
    figures.databases[file.stem().string()] = {FileSize(file), Exists(log) ? FileSize(log) : 0};
  }
  figures.first_start = FirstStart(paths);
  ReadOperations(paths.Database(StateDatabase::kOperations), unix_s, figures);
  ReadProducts(paths.Database(StateDatabase::kProducts), archive, figures);
  return figures;
}

void UpkeepWatch::Tick(double steady_s, double unix_s, const DiskReport* disks) {
  KeepHistory(steady_s, unix_s, disks);
  if (steady_s < next_ || reading_) return;
  next_ = steady_s + kEveryS;
  reading_ = true;
  auto figures = std::make_shared<UpkeepFigures>();
  const auto took_s = std::make_shared<double>(0);
  background_.Run(
      [figures, took_s, unix_s, paths = paths_, archive = settings_.archive] {
        const auto began = std::chrono::steady_clock::now();
        const std::filesystem::path operations = paths.Database(StateDatabase::kOperations);
        if (Exists(operations)) CloseKilledRuns(operations);
        *figures = ReadUpkeepFigures(paths, archive, unix_s);
        *took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      },
      [this, figures, took_s, steady_s](const std::exception_ptr& failure) {
        reading_ = false;
        next_ = steady_s + std::clamp(kTimesAsLong * *took_s, kEveryS, kAtLeastEveryS);
        if (failure) return;  // a database that is busy now: another time
        figures_ = *figures;
        known_ = true;
      });
}

void UpkeepWatch::KeepHistory(double steady_s, double unix_s, const DiskReport* disks) {
  if (steady_s < next_history_) return;
  next_history_ = steady_s + kEveryS;
  seconds_to_critical_.reset();
  if (disks == nullptr) return;
  const auto found = disks->disks.find("scratch");
  if (found == disks->disks.end() || found->second.space.total_bytes == 0) return;
  const DiskSpace& space = found->second.space;
  history_.Add(unix_s, space);
  const DiskLimits limits = ScratchLimits(space.total_bytes, settings_.disk);
  seconds_to_critical_ = SecondsToCritical(history_, static_cast<double>(space.free_bytes),
                                           static_cast<double>(limits.critical.free_bytes), unix_s);
  if (steady_s < next_save_) return;
  next_save_ = steady_s + kSaveHistoryS;
  background_.Run([history = history_] { SaveHistory(history); }, [](const std::exception_ptr&) {});
}

HealthFacts::Waiting UpkeepWatch::WaitingFor(const std::string& kind, double last) const {
  // A first start in the future was one of a clock that was wrong.
  const double first = std::min(figures_.first_start.value_or(started_unix_), started_unix_);
  double limit_s = kSecondsPerDay * settings_.archive.overdue_days;
  // Half a period of grace. Where the service makes no backups a timer or an operator is to make one a day; they alone
  // take them to a remote.
  const double every_h = settings_.backup.every_h > 0 ? settings_.backup.every_h : kHoursPerDay;
  if (kind == "backup") limit_s = kGrace * kSecondsPerHour * every_h;
  if (kind == "backup_shipping") {
    limit_s = settings_.backup.remote.empty() ? 0 : kGrace * kSecondsPerHour * std::max(kHoursPerDay, every_h);
  }
  return {last > 0 ? last : first, limit_s, last > 0};
}

void UpkeepWatch::Tell(HealthFacts& facts) const {
  facts.forecast = {seconds_to_critical_, kSecondsPerDay * settings_.disk.forecast_days};
  if (!known_) return;
  const auto last = [&](const char* kind) {
    const auto found = figures_.last_success.find(kind);
    return found == figures_.last_success.end() ? 0 : found->second;
  };
  facts.backup = WaitingFor("backup", last("backup"));
  HealthFacts::Archive& archive = facts.archive;
  archive.run = WaitingFor("archive", last("archive"));
  archive.backlog_bytes = figures_.archive_backlog_bytes;
  for (const auto& [name, bytes] : figures_.blocked_bytes) archive.blocked_bytes += bytes;
  const auto failed = [&](const char* kind) {
    const auto found = figures_.failed.find(kind);
    return found == figures_.failed.end() ? UpkeepFigures::Failure() : found->second;
  };
  if (!settings_.archive.remotes.empty()) {
    archive.failure = failed("archive").sentence;
    archive.failed_at = failed("archive").at;
  }
  HealthFacts::Shipping& shipping = facts.shipping;
  shipping.remote = settings_.backup.remote;
  if (!shipping.remote.empty()) {
    shipping.run = WaitingFor("backup_shipping", last("backup_shipping"));
    shipping.failure = failed("backup_shipping").sentence;
    shipping.failed_at = failed("backup_shipping").at;
  }
  for (const state::LostObject& each : figures_.lost) {
    if (archive.n_lost == 0) archive.lost = each.remote + ":" + each.object;
    ++archive.n_lost;
    archive.n_gone += each.n_gone;
    archive.lost_since = each.since;
  }
  HealthFacts::Integrity& integrity = facts.integrity;
  for (const UpkeepFigures::Damage& each : figures_.damage) {
    if (integrity.n == 0) integrity.since = each.finding.at;
    ++integrity.n;
    integrity.n_only += each.has_copy ? 0 : 1;
    integrity.newest = each.finding.subject;
    integrity.difference = each.finding.detail;
  }
}

void UpkeepWatch::SetGauges(const std::map<std::string, double>& tasks_done_at, const DiskReport& disks) {
  SetLimits(disks);
  metrics_.SetSecondsToCritical(seconds_to_critical_);
  // Nothing is told before it is known: totals that begin at 0 would look as if all had happened since.
  if (!known_) return;
  // Done by whoever it was.
  const auto last = [&](const std::string& kind) {
    const auto by_service = tasks_done_at.find(kind);
    return std::max(figures_.last_success[kind], by_service == tasks_done_at.end() ? 0 : by_service->second);
  };
  std::set<std::string> kinds{"backup", "verify", "cleanup", "archive"};
  for (const auto& [of, n] : figures_.runs) kinds.insert(of.first);
  for (const std::string& kind : kinds) {
    metrics_.SetMaintenance(kind, last(kind), figures_.last_duration_s[kind]);
    for (const char* outcome : {"ok", "failed", "refused", "cancelled"}) {
      metrics_.SetMaintenanceRuns(kind, outcome, figures_.runs[{kind, outcome}]);
    }
  }
  for (const std::string kind : kWaitedFor) metrics_.SetMaintenanceWaiting(kind, WaitingFor(kind, last(kind)).since);
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
  for (const char* place : {"local", "archive"}) metrics_.SetChecked(place, figures_.checked_bytes[place]);
  metrics_.SetArchiveFailures(figures_.archive_failures);
  for (const auto& [name, bytes] : figures_.backup_bytes) metrics_.SetBackup(name, bytes);
  for (const auto& [kind, begin] : figures_.newest_product) metrics_.SetNewestProduct(kind, begin);
  metrics_.SetOpenFindings(figures_.open_findings);
  for (const auto& [name, bytes] : figures_.databases) metrics_.SetDatabase(name, bytes.first, bytes.second);
}

void UpkeepWatch::SetLimits(const DiskReport& disks) {
  metrics_.SetNoDataLimit(settings_.ingest.no_data_after_s);
  for (const char* kind : kWaitedFor) metrics_.SetMaintenanceLimit(kind, WaitingFor(kind, 0).overdue_after_s);
  metrics_.SetBehindLimit(settings_.queue.behind_after_s);
  metrics_.SetForecastLimit(kSecondsPerDay * settings_.disk.forecast_days);
  metrics_.SetFailureLimits(kFailureLimits);
  metrics_.SetStagingLimit(settings_.disk.staging_critical_used_fraction);
  const auto scratch = disks.disks.find("scratch");
  if (scratch == disks.disks.end() || scratch->second.space.total_bytes == 0) return;
  const DiskLimits limits = ScratchLimits(scratch->second.space.total_bytes, settings_.disk);
  metrics_.SetDiskLimits(limits.warning.free_bytes, limits.critical.free_bytes);
}

}  // namespace contimg::ops
