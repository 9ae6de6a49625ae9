#include "ops/daemon/upkeep_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <map>
#include <string>

#include "config/product_paths.h"
#include "config/time.h"
#include "ops/base/host_name.h"
#include "ops/job/tree_marker.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"
#include "state/product_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

using ::testing::HasSubstr;

TEST(UpkeepWatch, ManyCleanupsDoNotHideTheLastBackup) {
  const WorkFolders folders;
  {
    state::MaintenanceStore store(folders.paths.Database(StateDatabase::kOperations));
    const auto run = [&](const std::string& kind, double start, double seconds, std::string_view figures) {
      state::MaintenanceRow row;
      row.kind = kind;
      store.Finish(store.Begin(row, start), state::RunOutcome::kOk, "", figures, start + seconds);
    };
    run("backup", 100, 42, "{}");
    for (int i = 0; i < 600; ++i) run("cleanup", 1000 + i, 0.5, R"({"blocked": [{"class": "incoming", "bytes": 7}]})");
  }
  UpkeepFigures figures = ReadUpkeepFigures(folders.paths, {}, 1e10);
  EXPECT_EQ(figures.last_duration_s["backup"], 42);
  EXPECT_EQ(figures.last_success["backup"], 142);
  EXPECT_EQ(figures.last_duration_s["cleanup"], 0.5);
  EXPECT_EQ(figures.blocked_bytes["incoming"], 7);
}

TEST(UpkeepWatch, SumsWhatRunsReadCopiedAndFailedAt) {
  const WorkFolders folders;
  {
    state::MaintenanceStore store(folders.paths.Database(StateDatabase::kOperations));
    const auto run = [&](const std::string& kind, state::RunOutcome outcome, std::string_view figures) {
      state::MaintenanceRow row;
      row.kind = kind;
      store.Finish(store.Begin(row, 1), outcome, "", figures, 2);
    };
    using state::RunOutcome;
    run("verify", RunOutcome::kOk, R"({"products":3,"bytes":1000,"damaged":0})");  // the service's own
    run("verify", RunOutcome::kFailed, R"({"local":{"checked":1,"bytes":20},"archive":{"checked":1,"bytes":300}})");
    run("archive", RunOutcome::kFailed, R"({"failed_for":{"io":2}})");
    run("backup", RunOutcome::kOk, R"({"databases":{"ingest.sqlite3":11,"products.sqlite3":22}})");
    run("backup", RunOutcome::kOk, R"({"remote":"lake","backups":1})");  // shipped, not made
  }
  UpkeepFigures figures = ReadUpkeepFigures(folders.paths, {}, 1e10);
  EXPECT_EQ(figures.checked_bytes["local"], 1020);
  EXPECT_EQ(figures.checked_bytes["archive"], 300);
  EXPECT_EQ(figures.archive_failures, (std::map<std::string, std::int64_t>{{"io", 2}}));
  EXPECT_EQ(figures.backup_bytes, (std::map<std::string, std::int64_t>{{"ingest", 11}, {"products", 22}}));
}

TEST(UpkeepWatch, LimitsAreThoseOfTheSettings) {
  const auto exported = [](const Settings& settings) {
    const WorkFolders folders;
    boost::asio::io_context io;
    Background background(io);
    Metrics metrics;
    UpkeepWatch watch(settings, folders.paths, background, metrics, 0);
    watch.SetGauges({}, {});
    return metrics.Serialize();
  };
  Settings settings;
  std::string text = exported(settings);
  EXPECT_THAT(text, HasSubstr("contimg_no_data_limit_seconds 3600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 129600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"archive\"} 777600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup_shipping\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_oldest_unprocessed_group_age_limit_seconds 3600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_scratch_disk_forecast_limit_seconds 259200\n"));
  EXPECT_THAT(text, HasSubstr("contimg_failure_burst_limit_ratio 0.25\n"));
  EXPECT_THAT(text, HasSubstr("contimg_failure_burst_least_jobs 6\n"));
  EXPECT_THAT(text, HasSubstr("contimg_calibration_solves_failed_limit 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_failures_limit 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_database_failures_limit 3\n"));
  settings.backup.remote = "lake";
  settings.queue.behind_after_s = 600;
  settings.disk.forecast_days = 1;
  settings.archive.overdue_days = 2;
  settings.ingest.no_data_after_s = 0;
  settings.backup.every_h = 2;
  text = exported(settings);
  EXPECT_THAT(text, HasSubstr("contimg_no_data_limit_seconds 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_oldest_unprocessed_group_age_limit_seconds 600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_scratch_disk_forecast_limit_seconds 86400\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"archive\"} 172800\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 10800\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup_shipping\"} 129600\n"));
  settings.backup.every_h = 0;  // by a timer then, once a day
  EXPECT_THAT(exported(settings), HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 129600\n"));
}

// Since when a backup is waited for that never was one: the first start of this state, however long ago and however
// often the service was started since. A clock that was ahead then does not keep it silent.
TEST(UpkeepWatch, WhatWasNeverDoneIsWaitedForSinceTheFirstStart) {
  const auto waiting_since = [](const std::string& first_start, double started, double last) {
    const WorkFolders folders;
    if (!first_start.empty()) WriteStateIdentity(RealOs(), folders.paths.roots().state, {"id", first_start, true, {}});
    const Settings settings;
    boost::asio::io_context io;
    Background background(io);
    Metrics metrics;
    UpkeepWatch watch(settings, folders.paths, background, metrics, started);
    watch.Tick(0, started, nullptr);
    const auto until_known = boost::asio::make_work_guard(io);
    while (background.n_waiting() > 0) io.run_one();
    std::map<std::string, double> done;
    if (last > 0) done["backup"] = last;
    watch.SetGauges(done, {});
    const std::string text = metrics.Serialize(),
                      name = "contimg_maintenance_waiting_since_timestamp_seconds{kind=\"backup\"} ";
    const std::size_t at = text.find(name);
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + name.size()));
  };
  EXPECT_EQ(waiting_since("2001-09-09T01:46:40Z", 1.8e9, 0), 1e9);
  EXPECT_EQ(waiting_since("2001-09-09T01:46:40Z", 1.8e9, 1.7e9), 1.7e9);
  EXPECT_EQ(waiting_since("2101-01-01T00:00:00Z", 1.8e9, 0), 1.8e9);
  EXPECT_EQ(waiting_since("", 1.8e9, 0), 1.8e9);
}

// One that reads in the background, and what the health and Prometheus hear of it.
struct Watched {
  explicit Watched(const WorkFolders& folders, const Settings& settings, double now,
                   const DiskReport* disks = nullptr) {
    boost::asio::io_context io;
    Background background(io);
    Metrics metrics;
    UpkeepWatch watch(settings, folders.paths, background, metrics, now - 60);
    watch.Tick(0, now, disks);
    const auto until_known = boost::asio::make_work_guard(io);
    while (background.n_waiting() > 0) io.run_one();
    watch.Tell(facts);
    watch.SetGauges({}, {});
    text = metrics.Serialize();
  }
  HealthFacts facts;
  std::string text;
};

TEST(UpkeepWatch, ARunWhoseProcessIsGoneIsClosed) {
  const WorkFolders folders;
  const std::filesystem::path file = folders.paths.Database(StateDatabase::kOperations);
  state::MaintenanceRow row;
  row.kind = "backup";
  row.host = HostName();
  const double now = UtcTime::Now().unix_s();
  state::MaintenanceStore(file).Begin(row, now - 60);  // and nobody holds its lock
  const Watched watched(folders, Settings(), now);
  EXPECT_EQ(state::MaintenanceStore(file).List("backup", 0).at(0).outcome, state::RunOutcome::kFailed);
  EXPECT_THAT(watched.text, HasSubstr("contimg_maintenance_runs_total{kind=\"backup\",outcome=\"failed\"} 1\n"));
}

TEST(UpkeepWatch, TellsTheHealthWhatIsDamagedLostAndWaits) {
  constexpr double kNow = 1.8e9;
  const WorkFolders folders;
  WriteStateIdentity(RealOs(), folders.paths.roots().state, {"id", "2027-01-01T00:00:00Z", true, {}});
  {
    state::ProductStore products(folders.paths.Database(StateDatabase::kProducts));
    state::ArchiveStore archives(products.database());
    state::MaintenanceStore operations(folders.paths.Database(StateDatabase::kOperations));
    const auto add = [&](const std::string& path) {
      state::ProductRow row;
      row.kind = "image";
      row.path = path;
      row.size_bytes = 1000;
      row.checksum = "c";
      return products.Save(row, 1);
    };
    const auto copy = [&](std::int64_t product, const std::string& remote, state::ArchiveState is) {
      state::ArchiveRow row;
      row.remote = remote;
      row.object = "images/" + std::to_string(product) + ".tar";
      row.sha256 = "s";
      row.state = is;
      archives.Save(row, {{product, "m", 1000, "s", "c"}});
    };
    const auto with_copy = add("/with"), gone = add("/gone");
    add("/without");
    copy(with_copy, "lake", state::ArchiveState::kVerified);
    copy(with_copy, "given_up", state::ArchiveState::kLost);
    copy(gone, "lake", state::ArchiveState::kLost);
    products.SetStatus(gone, "archived", "", 2);
    operations.Report({0, kNow - 50, "local", "/without", "expected a, found b", {}});
    operations.Report({0, kNow - 40, "local", "/with", "expected c, found d", {}});
    state::MaintenanceRow run;
    run.kind = "archive";
    operations.Finish(operations.Begin(run, kNow - 30), state::RunOutcome::kFailed, "",
                      R"({"failures": 1, "failure": "lake: no answer"})", kNow - 20);
    run.kind = "backup_shipping";
    operations.Finish(operations.Begin(run, kNow - 30), state::RunOutcome::kFailed, "no room there", "{}", kNow - 15);
    run.kind = "cleanup";
    operations.Finish(operations.Begin(run, kNow - 10), state::RunOutcome::kFailed, "",
                      R"({"blocked": [{"class": "images", "bytes": 7}]})", kNow - 5);
  }
  Settings settings;
  settings.archive.remotes = R"([{name = "lake", target = "/lake"}])";
  settings.backup.remote = "lake";
  const HealthFacts facts = Watched(folders, settings, kNow).facts;
  EXPECT_EQ(facts.integrity.n, 2);
  EXPECT_EQ(facts.integrity.n_only, 1);
  EXPECT_EQ(facts.integrity.newest, "/with");
  EXPECT_EQ(facts.integrity.since, kNow - 50);
  EXPECT_EQ(facts.archive.n_lost, 1) << "a remote that was given up lacks nothing";
  EXPECT_EQ(facts.archive.n_gone, 1);
  EXPECT_EQ(facts.archive.failure, "lake: no answer");
  EXPECT_EQ(facts.archive.failed_at, kNow - 20);
  EXPECT_EQ(facts.archive.backlog_bytes, 1000);
  EXPECT_EQ(facts.archive.blocked_bytes, 7);
  EXPECT_FALSE(facts.archive.run.ever);
  EXPECT_EQ(facts.shipping.remote, "lake");
  EXPECT_EQ(facts.shipping.failure, "no room there");
  EXPECT_EQ(facts.shipping.run.overdue_after_s, 129600);
  EXPECT_EQ(facts.backup.since, UtcTime::FromIso8601("2027-01-01T00:00:00Z").unix_s());
  // Where nothing is archived, nothing waits and no run fails.
  const HealthFacts without = Watched(folders, Settings(), kNow).facts;
  EXPECT_EQ(without.archive.failure, "");
  EXPECT_EQ(without.shipping.failure, "");
  EXPECT_EQ(without.archive.backlog_bytes, 0);
  EXPECT_EQ(without.archive.n_gone, 1);
}

TEST(UpkeepWatch, TheForecastOutlivesARestartAndIsNoSeriesWhileItIsNotKnown) {
  const WorkFolders folders;
  DiskReport disks;
  const std::string series = "\ncontimg_scratch_disk_seconds_to_critical ";
  for (int hour = 0; hour <= 14; ++hour) {  // the service is started anew each hour
    disks.disks["scratch"].space = {static_cast<std::uint64_t>((1000 - 10 * hour) * 1e9),
                                    static_cast<std::uint64_t>(4e12)};
    const Watched watched(folders, Settings(), 1.8e9 + 3600.0 * hour, &disks);
    const std::size_t at = watched.text.find(series);
    if (hour < 11) {
      EXPECT_EQ(at, std::string::npos) << hour;
      continue;
    }
    ASSERT_NE(at, std::string::npos) << hour;
    // 900 GB above the limit of 100 GB at first, 10 GB an hour.
    EXPECT_NEAR(std::stod(watched.text.substr(at + series.size())), (90 - hour) * 3600.0, 1) << hour;
    EXPECT_EQ(watched.facts.forecast.full_in_s.has_value(), true);
  }
  const Watched unmounted(folders, Settings(), 1.8e9 + 3600.0 * 15, nullptr);
  EXPECT_EQ(unmounted.text.find(series), std::string::npos);
}

}  // namespace
}  // namespace contimg::ops
