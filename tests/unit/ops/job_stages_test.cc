#include "ops/base/job_stages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "ops/cli/stage_table.h"
#include "ops/metrics/metrics.h"

namespace contimg::ops {
namespace {

using ::testing::HasSubstr;

TEST(JobStages, AreAllCounted) {
  const std::string text = Metrics().Serialize();
  for (const std::string_view name : kJobStages) {
    EXPECT_THAT(text, HasSubstr("contimg_stage_duration_seconds_count{stage=\"" + std::string(name) + "\"} 0"));
  }
}

// The table at the end of a demo: every stage that ran, whoever ran it, on a terminal of 80 characters.
TEST(JobStages, TheTableShowsEveryStageThatRan) {
  StageSeconds all{"2026-01-25T22:00:00", {}}, fewer{"2026-01-25T22:05:09", {{"convert", 1.25}, {"image", 12}}};
  double seconds = 0;
  for (const std::string_view name : kJobStages) all.seconds[std::string(name)] = ++seconds;
  EXPECT_EQ(StageTable({all, fewer}),
            "seconds    convert    flag   solve   apply  refine   image measure   write\n"
            "22:00:00       1.0     2.0     3.0     4.0     5.0     6.0     7.0     8.0\n"
            "22:05:09       1.2       -       -       -       -    12.0       -       -\n");
  fewer.seconds["tea"] = 5;
  EXPECT_EQ(StageTable({fewer}),
            "seconds    convert   image     tea\n"
            "22:05:09       1.2    12.0     5.0\n");
}

}  // namespace
}  // namespace contimg::ops
