#include "calibrate/solution_times.h"

#include <gtest/gtest.h>

#include <cmath>

namespace contimg::calibrate {
namespace {

using Rows = std::vector<std::size_t>;
using Times = std::vector<double>;

TEST(SolutionTimesTest, RowsOfOneTimeAreOneInterval) {
  const SolutionTimes times = GroupTimes({200, 100, 200.0005, 100}, {0, 10, 20, 0}, {0, 0, 0, 1}, 2);
  EXPECT_EQ(times.interval_of_row, (Rows{1, 0, 1, 0}));
  ASSERT_EQ(times.intervals.size(), 2u);
  EXPECT_DOUBLE_EQ(times.intervals[0].time_mjd_s, 100);
  EXPECT_DOUBLE_EQ(times.intervals[0].length_s, 10);
  EXPECT_NEAR(times.intervals[1].time_mjd_s, 200.00025, 1e-9);
  EXPECT_DOUBLE_EQ(times.intervals[1].length_s, 20);
}

TEST(SolutionTimesTest, WindowsKeepTimesOfTheirOwnWithinAnInterval) {
  const SolutionTimes times = GroupTimes({100, 103, 160, 163, 220}, Times(5, 0.0), {0, 1, 0, 1, 0}, 2);
  EXPECT_EQ(times.interval_of_row, (Rows{0, 0, 1, 1, 2}));
  ASSERT_EQ(times.window_time_mjd_s.size(), 6u);
  EXPECT_EQ(Times(times.window_time_mjd_s.begin(), times.window_time_mjd_s.begin() + 5),
            (Times{100, 103, 160, 163, 220}));
  EXPECT_TRUE(std::isnan(times.window_time_mjd_s[5]));
  EXPECT_DOUBLE_EQ(times.intervals[0].time_mjd_s, 101.5);
}

TEST(SolutionTimesTest, MoreThanHalfAStepLaterIsTheNextInterval) {
  EXPECT_EQ(GroupTimes({100, 160, 129}, Times(3, 0.0), {0, 0, 1}, 2).interval_of_row, (Rows{0, 1, 0}));
  EXPECT_EQ(GroupTimes({100, 160, 131}, Times(3, 0.0), {0, 0, 1}, 2).interval_of_row, (Rows{0, 1, 1}));
}

TEST(SolutionTimesTest, OwnTimesAreLeftOutWhereTheySayNothing) {
  EXPECT_TRUE(GroupTimes({100, 160, 100, 160}, Times(4, 0.0), {0, 0, 1, 1}, 2).window_time_mjd_s.empty());
}

}  // namespace
}  // namespace contimg::calibrate
