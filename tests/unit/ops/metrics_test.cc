#include "ops/metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "config/error.h"
#include "ops/worker/stages.h"

namespace contimg::ops {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

// The values that a label has in the series of a family.
std::set<std::string> Values(const std::string& text, const std::string& family, const std::string& label) {
  std::set<std::string> values;
  const std::regex line("\n" + family + R"(\{[^}]*\b)" + label + R"(="([^"]*)\")");
  for (std::sregex_iterator at(text.begin(), text.end(), line), end; at != end; ++at) values.insert((*at)[1]);
  return values;
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

}  // namespace
}  // namespace contimg::ops
