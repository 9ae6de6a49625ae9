#include "ops/daemon/upkeep_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <string>

#include "ops/job/tree_marker.h"
#include "state/maintenance_store.h"
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
  UpkeepFigures figures = ReadUpkeepFigures(folders.paths, {});
  EXPECT_EQ(figures.last_duration_s["backup"], 42);
  EXPECT_EQ(figures.last_success["backup"], 142);
  EXPECT_EQ(figures.last_duration_s["cleanup"], 0.5);
  EXPECT_EQ(figures.blocked_bytes["incoming"], 7);
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
  EXPECT_THAT(text, HasSubstr("contimg_oldest_unprocessed_group_age_limit_seconds 3600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_scratch_disk_forecast_limit_seconds 259200\n"));
  EXPECT_THAT(text, HasSubstr("contimg_failure_burst_limit_ratio 0.25\n"));
  EXPECT_THAT(text, HasSubstr("contimg_failure_burst_least_jobs 6\n"));
  EXPECT_THAT(text, HasSubstr("contimg_calibration_solves_failed_limit 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_failures_limit 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_database_failures_limit 3\n"));
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
    watch.Tick(0);
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

}  // namespace
}  // namespace contimg::ops
