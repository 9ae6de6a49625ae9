#include "ops/base/clock.h"

#include <gtest/gtest.h>

namespace contimg::ops {
namespace {

TEST(DaemonClock, FollowsTheSystemForwards) {
  double steady = 10, system = 1000;
  DaemonClock clock([&] { return steady; }, [&] { return system; });
  EXPECT_EQ(clock.Unix(), 1000);
  steady += 1;
  system += 5000;  // set forward
  EXPECT_EQ(clock.Unix(), 6000);
  EXPECT_EQ(clock.StepBack(), 0);
}

TEST(DaemonClock, GoesOnSteadilyWhenTheSystemStepsBack) {
  double steady = 10, system = 10000;
  DaemonClock clock([&] { return steady; }, [&] { return system; });
  EXPECT_EQ(clock.Unix(), 10000);
  steady += 1;
  system -= 3600;
  EXPECT_EQ(clock.Unix(), 10001);
  steady += 100;
  system += 100;
  EXPECT_EQ(clock.Unix(), 10101);
  EXPECT_EQ(clock.StepBack(), 3601);
  steady += 1;
  system = 10200;  // caught up
  EXPECT_EQ(clock.Unix(), 10200);
}

TEST(DaemonClock, NeverRunsBackwardsUnderSmallCorrections) {
  double steady = 0, system = 100;
  DaemonClock clock([&] { return steady; }, [&] { return system; });
  double last = clock.Unix();
  for (int i = 0; i < 100; ++i) {
    steady += 0.1;
    system += i % 2 == 0 ? 0.3 : -0.1;
    const double now = clock.Unix();
    EXPECT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace contimg::ops
