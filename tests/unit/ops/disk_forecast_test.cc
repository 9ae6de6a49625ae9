#include "ops/records/disk_forecast.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <functional>
#include <random>

#include "config/time.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

constexpr double kTera = 1e12, kGiga = 1e9, kDiskBytes = 10 * kTera, kCriticalBytes = 100 * kGiga;
constexpr double kBegin = 1.8e9;  // a full hour
constexpr double kDayHours = 24;

// Free space by the hour, from kBegin on; what is forecast at the end of so many hours, in days.
std::optional<double> ForecastDays(int n_hours, const std::function<double(double hours)>& free,
                                   double critical = kCriticalBytes) {
  const TemporaryFolder state("history");
  DiskHistory history(state.path());
  double now = kBegin, is_free = 0;
  for (int quarter = 0; quarter < 4 * n_hours; ++quarter) {
    now = kBegin + 900.0 * quarter;
    is_free = free(quarter / 4.0);
    history.Add(now, {static_cast<std::uint64_t>(is_free), static_cast<std::uint64_t>(kDiskBytes)});
  }
  const auto seconds = SecondsToCritical(history, is_free, critical, now);
  if (!seconds) return std::nullopt;
  return *seconds / kSecondsPerDay;
}

// A disk that is cleaned every `period` hours of all that came since.
double Tooth(double hours, double period, double top, double fall_a_day) {
  return top - std::fmod(hours, period) / kDayHours * fall_a_day;
}

TEST(DiskForecast, AFallThatIsSteadyReachesTheLimitWhenALineDoes) {
  for (const int n_hours : {12, 30, 100, 168}) {
    const double last = n_hours - 0.25;
    const auto free = [](double hours) { return 4 * kTera - hours / kDayHours * 0.5 * kTera; };
    const auto days = ForecastDays(n_hours, free);
    ASSERT_TRUE(days) << n_hours;
    EXPECT_NEAR(*days, (free(last) - kCriticalBytes) / (0.5 * kTera), 1e-3) << n_hours;
  }
}

TEST(DiskForecast, IsNotKnownBeforeHalfADayAndWhereTheDiskDoesNotShrink) {
  const auto falls = [](double hours) { return 4 * kTera - hours / kDayHours * 0.5 * kTera; };
  EXPECT_FALSE(ForecastDays(11, falls));
  EXPECT_FALSE(ForecastDays(168, [](double) { return 150 * kGiga; }));
  EXPECT_FALSE(ForecastDays(168, [](double hours) { return kTera + hours * kGiga; }));
  const TemporaryFolder state("history");
  DiskHistory history(state.path());
  for (int hour = 0; hour < 48; ++hour) {
    history.Add(kBegin + 3600.0 * hour,
                {static_cast<std::uint64_t>(falls(hour)), static_cast<std::uint64_t>(kDiskBytes)});
  }
  EXPECT_TRUE(SecondsToCritical(history, kTera, kCriticalBytes, kBegin + 3600.0 * 48));
  EXPECT_FALSE(SecondsToCritical(history, kTera, kCriticalBytes, kBegin + 3600.0 * 60)) << "nothing was seen since";
}

// The old rule, a line through twelve hours, would fire between any two cleanups.
TEST(DiskForecast, TeethOfCleanupAreSilentAtEachPhase) {
  for (const double period : {6.0, 24.0, 36.0}) {
    for (int n_hours = static_cast<int>(3 * period) + 2; n_hours < 168; n_hours += 5) {
      const auto days =
          ForecastDays(n_hours, [&](double hours) { return Tooth(hours, period, 2.5 * kTera, 1.5 * kTera); });
      EXPECT_FALSE(days) << period << " " << n_hours << ": " << *days;
    }
  }
}

TEST(DiskForecast, TeethThatSinkAreAFall) {
  const auto days = ForecastDays(
      168, [](double hours) { return Tooth(hours, 24, 3 * kTera, 1 * kTera) - std::floor(hours / 24) * 0.2 * kTera; });
  ASSERT_TRUE(days);
  // The low points lie at 2 TB less 0.2 TB a day from the first day's end on.
  EXPECT_NEAR(*days, (2 * kTera - 6 * 0.2 * kTera - kCriticalBytes) / (0.2 * kTera), 0.3);
}

// Cleanup has stopped: from half a day after it was due on, what comes in counts.
TEST(DiskForecast, TeethThatEndAreAFall) {
  const auto stops = [](double hours) {
    return hours < 120 ? Tooth(hours, 24, 4 * kTera, 1 * kTera) : 4 * kTera - (hours - 120) / kDayHours * kTera;
  };
  EXPECT_FALSE(ForecastDays(150, stops));
  const auto days = ForecastDays(160, stops);
  ASSERT_TRUE(days);
  EXPECT_NEAR(*days, (stops(159.75) - kCriticalBytes) / kTera, 0.02);
}

TEST(DiskForecast, OneCleanupIsTakenOut) {
  const auto free = [](double hours) {
    return 2 * kTera - hours / kDayHours * 0.2 * kTera + (hours > 70 ? 0.9 * kTera : 0);
  };
  const auto days = ForecastDays(140, free);
  ASSERT_TRUE(days);
  EXPECT_NEAR(*days, (free(139.75) - kCriticalBytes) / (0.2 * kTera), 0.02);
}

TEST(DiskForecast, NoiseNeitherMakesNorHidesAFall) {
  int n_alarms = 0, n_missed = 0;
  double worst = 0;
  for (unsigned seed = 1; seed <= 40; ++seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, 60 * kGiga);
    const auto flat = ForecastDays(20 + 4 * static_cast<int>(seed), [&](double) { return kTera + noise(random); });
    n_alarms += flat && *flat < 3 ? 1 : 0;
    const auto free = [&](double hours) { return 3 * kTera - hours / kDayHours * 0.3 * kTera; };
    const auto falls = ForecastDays(120, [&](double hours) { return free(hours) + noise(random); });
    if (!falls) {
      ++n_missed;
    } else {
      worst = std::max(worst, std::abs(*falls - (free(119.75) - kCriticalBytes) / (0.3 * kTera)));
    }
  }
  EXPECT_EQ(n_alarms, 0);
  EXPECT_EQ(n_missed, 0);
  EXPECT_LT(worst, 1.5);  // days of about 5: the last day may be the faster
}

TEST(DiskForecast, AFallThatBeganYesterdayIsKnown) {
  const auto free = [](double hours) {
    return hours < 140 ? 3 * kTera : 3 * kTera - (hours - 140) / kDayHours * 1.2 * kTera;
  };
  const auto days = ForecastDays(164, free);
  ASSERT_TRUE(days);
  EXPECT_NEAR(*days, (free(163.75) - kCriticalBytes) / (1.2 * kTera), 0.05);
}

TEST(DiskForecast, BelowTheLimitItIsNow) {
  EXPECT_EQ(ForecastDays(48, [](double hours) { return 90 * kGiga - hours * kGiga; }), 0.0);
}

TEST(DiskHistory, OutlivesARestartAndForgetsWhatIsOldOrToComeOrOfAnotherDisk) {
  const TemporaryFolder state("history");
  const auto size = static_cast<std::uint64_t>(kDiskBytes);
  {
    DiskHistory history(state.path());
    EXPECT_TRUE(history.hours().empty());
    for (int hour = 0; hour < 200; ++hour) {
      history.Add(kBegin + 3600.0 * hour + 60, {static_cast<std::uint64_t>(1000 - hour), size});
      history.Add(kBegin + 3600.0 * hour + 90, {static_cast<std::uint64_t>(2000 - hour), size});
    }
    history.Save(RealOs());
  }
  DiskHistory history(state.path());
  ASSERT_EQ(history.hours().size(), 168u);
  EXPECT_EQ(history.hours().back().least_free_bytes, 801);
  history.Add(kBegin + 3600.0 * 199 + 1800, {700, size});
  EXPECT_EQ(history.hours().back().least_free_bytes, 700);
  history.Add(kBegin + 3600.0 * 100, {750, size});  // the clock was ahead
  EXPECT_EQ(history.hours().size(), 69u);
  history.Add(kBegin + 3600.0 * 101, {750, size / 2});
  EXPECT_EQ(history.hours().size(), 1u);
  for (const char* text : {"", "{", "[]", R"({"size_bytes": 5, "hours": [[1]]})"}) {
    std::ofstream(state.path() / "disk_history.json") << text;
    EXPECT_TRUE(DiskHistory(state.path()).hours().empty()) << text;
  }
}

}  // namespace
}  // namespace contimg::ops
