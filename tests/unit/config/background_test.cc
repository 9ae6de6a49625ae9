#include "config/background.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <stdexcept>
#include <thread>
#include <vector>

namespace contimg {
namespace {

TEST(Background, RunsEveryIndexOnceAndThenWhatFollows) {
  Background background(2);
  std::vector<std::atomic<int>> calls(1000);
  std::atomic<int> sum_at_end{-1};
  const Background::Handle task = background.Add(
      calls.size(), [&](std::size_t i) { ++calls[i]; },
      [&] {
        int sum = 0;
        for (const std::atomic<int>& n : calls) sum += n;
        sum_at_end = sum;
      });
  background.Wait(task);
  EXPECT_EQ(sum_at_end, 1000);
  for (const std::atomic<int>& n : calls) EXPECT_EQ(n, 1);
}

TEST(Background, GoesInOrderWhereThatIsAskedFor) {
  Background background(3);
  std::vector<std::size_t> order;  // unguarded: one index at a time
  std::atomic<int> others{0};
  const Background::Handle task = background.AddInOrder(200, [&](std::size_t i) { order.push_back(i); });
  background.Add(50, [&](std::size_t) { ++others; });
  background.Wait(task);
  ASSERT_EQ(order.size(), 200U);
  for (std::size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i);
  background.WaitForAll();
  EXPECT_EQ(others, 50);
}

// Its only thread is held up: what is waited for is done all the same.
TEST(Background, WhoWaitsDoesWhatHasNotBegun) {
  std::promise<void> go, begun;
  Background background(1);
  background.Add([&] {
    begun.set_value();
    go.get_future().wait();
  });
  begun.get_future().wait();
  std::thread::id where;
  const Background::Handle task = background.Add([&] { where = std::this_thread::get_id(); });
  background.Wait(task);
  EXPECT_EQ(where, std::this_thread::get_id());
  go.set_value();
  background.WaitForAll();
}

TEST(Background, AFailureEndsItsTaskAlone) {
  Background background(2);
  std::atomic<bool> followed{false}, other{false};
  const Background::Handle bad = background.Add(
      100,
      [](std::size_t i) {
        if (i == 3) throw std::runtime_error("three");
      },
      [&] { followed = true; });
  const Background::Handle good = background.Add([&] { other = true; });
  background.Wait(good);
  EXPECT_THROW(background.Wait(bad), std::runtime_error);
  EXPECT_THROW(background.Wait(bad), std::runtime_error);
  EXPECT_THROW(background.WaitForAll(), std::runtime_error);
  EXPECT_THROW(background.RethrowFailure(), std::runtime_error);
  EXPECT_TRUE(other);
  EXPECT_FALSE(followed);
}

TEST(Background, WaitsForWhatItsTasksAdd) {
  Background background(2);
  std::atomic<int> done{0};
  for (int i = 0; i < 20; ++i) {
    background.Add(
        5, [&](std::size_t) { ++done; }, [&] { background.Add([&] { ++done; }); });
  }
  background.WaitForAll();
  EXPECT_EQ(done, 120);
}

TEST(Background, EndsWithWhatHasBegunAndDropsTheRest) {
  std::atomic<int> done{0};
  {
    Background background(1);
    std::promise<void> begun;
    background.Add([&] {
      begun.set_value();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      background.Add([&] { ++done; });
      ++done;
    });
    begun.get_future().wait();
    for (int i = 0; i < 5; ++i) background.Add([&] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); });
    background.Add([&] { done += 100; });
  }
  EXPECT_EQ(done, 1);
}

TEST(Background, HoldsNothingOfATaskThatIsDone) {
  Background background(1);
  auto held = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = held;
  const Background::Handle task = background.Add([held = std::move(held)] {});
  background.Wait(task);
  EXPECT_TRUE(seen.expired());
}

}  // namespace
}  // namespace contimg
