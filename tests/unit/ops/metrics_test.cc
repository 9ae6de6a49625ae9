#include "ops/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "config/error.h"
#include "mosaic/gate/tile_gate.h"
#include "ops/base/job_stages.h"
#include "ops/worker/stages.h"

namespace contimg::ops {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAreArray;

// The values that a label has in the series of a family.
std::set<std::string> Values(const std::string& text, const std::string& family, const std::string& label) {
  std::set<std::string> values;
  const std::regex line("\n" + family + R"(\{[^}]*\b)" + label + R"(="([^"]*)\")");
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) values.insert((*at)[1]);
  return values;
}

// Whoever adds a stage to the worker adds it to the list, in the order of the work.
TEST(Metrics, StagesAreThoseOfTheWorkerInTheirOrder) {
  std::vector<std::string> names, of_worker;
  for (const std::string_view name : kJobStages) names.emplace_back(name);
  for (const Stage& stage : Stages()) of_worker.emplace_back(stage.name);
  of_worker.emplace_back("write");  // by the worker itself, at the end
  EXPECT_EQ(names, of_worker);
  EXPECT_LT(StageRank("image"), StageRank("measure"));
  EXPECT_EQ(StageRank("tea"), kJobStages.size());
}

// A rate is not known of a series whose first value is 1.
TEST(Metrics, EveryJobThatCanFailHasASeriesBeforeItDoes) {
  Metrics metrics;
  metrics.ExpectStage("backup");
  const std::string text = metrics.Serialize();
  std::set<std::string> stages{"start", "write", "backup"};
  for (const Stage& stage : Stages()) stages.insert(std::string(stage.name));
  EXPECT_THAT(Values(text, "contimg_jobs_total", "stage"), UnorderedElementsAreArray(stages));
  EXPECT_THAT(Values(text, "contimg_stage_duration_seconds_count", "stage"), UnorderedElementsAreArray(stages));
  std::set<std::string> kinds{"usage",   "bad_input", "incomplete", "io",  "busy",     "resource",
                              "numeric", "timeout",   "crash",      "bug", "cancelled"};
  for (const std::string& kind : kinds) EXPECT_NO_THROW(ParseErrorKind(kind));
  EXPECT_THAT(Values(text, "contimg_job_retries_total", "kind"), UnorderedElementsAreArray(kinds));
  kinds.insert("ok");
  EXPECT_THAT(Values(text, "contimg_jobs_total", "outcome"), UnorderedElementsAreArray(kinds));
  EXPECT_THAT(text, HasSubstr("contimg_jobs_total{outcome=\"crash\",stage=\"solve\"} 0\n"));
  metrics.JobFinished("solve", "crash");
  EXPECT_THAT(metrics.Serialize(), HasSubstr("contimg_jobs_total{outcome=\"crash\",stage=\"solve\"} 1\n"));
}

TEST(Metrics, MosaicsAreCountedByGradeAndTheTilesTheyRefuseByReason) {
  Metrics metrics;
  std::set<std::string> reasons;
  for (int each = 1; each <= static_cast<int>(mosaic::Refusal::kScale); ++each) {
    reasons.insert(std::string(mosaic::ToString(static_cast<mosaic::Refusal>(each))));
  }
  EXPECT_THAT(Values(metrics.Serialize(), "contimg_mosaic_tiles_refused_total", "refusal"),
              UnorderedElementsAreArray(reasons))
      << "all of them before there is one";
  metrics.MosaicMade("B", {{"scale", 2}, {"twice", 1}});
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("contimg_mosaics_total{grade=\"B\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("contimg_mosaics_total{grade=\"A\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_mosaic_tiles_refused_total{refusal=\"scale\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_mosaic_tiles_refused_total{refusal=\"beam\"} 0\n"));
}

TEST(Metrics, ImagesAreCountedByGradeAndMeasured) {
  Metrics metrics;
  EXPECT_THAT(Values(metrics.Serialize(), "contimg_images_total", "grade"),
              UnorderedElementsAreArray({"A", "B", "C", "F"}));
  metrics.ImageMade({"B", 3e-4, 1.03, 1.2});
  metrics.ImageMade({"F", 2e-3, std::nullopt, std::nullopt});  // no source was matched
  metrics.TileFlagged(0.12);
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("contimg_images_total{grade=\"A\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_images_total{grade=\"F\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("contimg_image_rms_jy_count 2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_image_rms_jy_bucket{le=\"0.0003\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("contimg_image_flux_ratio_count 1\n"));
  EXPECT_THAT(text, HasSubstr("contimg_image_offset_arcseconds_sum 1.2\n"));
  EXPECT_THAT(text, HasSubstr("contimg_flagged_ratio_bucket{le=\"0.15\"} 1\n"));
}

TEST(Metrics, WhatIsCountedElsewhereOnlyGrows) {
  Metrics metrics;
  for (const std::int64_t n : {5, 7, 6}) {  // a database that was restored knows of less
    metrics.SetArchiveFailures({{"io", n}});
    metrics.SetChecked("local", 1000 * n);
    metrics.SetLogLines("warn", static_cast<std::uint64_t>(n));
  }
  const std::string text = metrics.Serialize();
  EXPECT_THAT(text, HasSubstr("contimg_archive_failures_total{reason=\"io\"} 7\n"));
  EXPECT_THAT(text, HasSubstr("contimg_archive_failures_total{reason=\"busy\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("contimg_integrity_checked_bytes_total{where=\"local\"} 7000\n"));
  EXPECT_THAT(text, HasSubstr("contimg_log_lines_total{level=\"warn\"} 7\n"));
}

TEST(Metrics, ADirectoryWithoutFilesHasNoOldestOne) {
  Metrics metrics;
  metrics.SetDirectory("ms", {1000, 2, 1.5e9, 0, 0});
  EXPECT_THAT(metrics.Serialize(),
              HasSubstr("contimg_directory_oldest_file_timestamp_seconds{directory=\"ms\"} 1500000000"));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("contimg_directory_files{directory=\"ms\"} 2\n"));
  metrics.SetDirectory("ms", {});
  EXPECT_THAT(metrics.Serialize(), Not(HasSubstr("contimg_directory_oldest_file_timestamp_seconds{directory")));
}

TEST(Metrics, EveryDiskHasItsSpaceUnderOneName) {
  Metrics metrics;
  for (const char* disk : {"scratch", "staging", "incoming"}) metrics.SetDisk(disk, 250, 1000);
  metrics.SetDisk("backups", 5, 1000);
  metrics.SetDisk("backups", 0, 0);  // can be measured no more
  const std::string text = metrics.Serialize();
  EXPECT_THAT(Values(text, "contimg_disk_free_bytes", "disk"),
              UnorderedElementsAreArray({"scratch", "staging", "incoming"}));
  EXPECT_THAT(text, HasSubstr("contimg_tmpfs_usage_ratio 0.75\n"));
}

}  // namespace
}  // namespace contimg::ops
