#include "ops/daemon/upkeep_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

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
    UpkeepWatch watch(settings, folders.paths, background, metrics);
    watch.SetGauges({}, {});
    return metrics.Serialize();
  };
  Settings settings;
  std::string text = exported(settings);
  EXPECT_THAT(text, HasSubstr("contimg_no_data_limit_seconds 3600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 129600\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"archive\"} 777600\n"));
  settings.ingest.no_data_after_s = 0;
  settings.backup.every_h = 2;
  text = exported(settings);
  EXPECT_THAT(text, HasSubstr("contimg_no_data_limit_seconds 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 10800\n"));
  settings.backup.every_h = 0;  // by a timer then, once a day
  EXPECT_THAT(exported(settings), HasSubstr("contimg_maintenance_overdue_after_seconds{kind=\"backup\"} 129600\n"));
}

}  // namespace
}  // namespace contimg::ops
