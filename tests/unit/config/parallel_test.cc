#include "config/parallel.h"

#include "config/pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>
#include <vector>

namespace contimg {
namespace {

TEST(ParallelFor, VisitsEachIndexOnce) {
  for (const int threads : {-1, 0, 1, 2, 7, 64}) {
    for (const std::size_t count : {std::size_t{0}, std::size_t{1}, std::size_t{5}, std::size_t{1000}}) {
      std::vector<std::atomic<int>> visits(count);
      ParallelFor(threads, count, [&](std::size_t i) { ++visits[i]; });
      for (std::size_t i = 0; i < count; ++i) EXPECT_EQ(visits[i].load(), 1) << threads << " threads, index " << i;
    }
  }
}

TEST(ParallelFor, PassesOnTheFirstErrorAndStopsHandingOut) {
  std::atomic<int> calls{0};
  const auto fourth_fails = [&](std::size_t i) {
    ++calls;
    if (i == 3) throw std::runtime_error("stop");
  };
  EXPECT_THROW(ParallelFor(1, 1000, fourth_fails), std::runtime_error);
  EXPECT_EQ(calls.load(), 4);
  EXPECT_THROW(ParallelFor(4, 1000, fourth_fails), std::runtime_error);
}

TEST(Pool, LendsEachObjectToOneAtATimeAndAgainAfterwards) {
  Pool<int> pool;
  int* first = nullptr;
  {
    const auto a = pool.Take(), b = pool.Take();
    EXPECT_NE(a.get(), b.get());
    first = b.get();
  }
  const auto again = pool.Take(), other = pool.Take();
  EXPECT_TRUE(again.get() == first || other.get() == first);
}

}  // namespace
}  // namespace contimg
