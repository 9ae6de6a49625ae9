// Work beside the work: a few threads that let others go first do it, and whoever waits for it helps.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace contimg {

// Threads that step back may get next to nothing of a busy machine. Waiting for them would let everybody else go
// before the one who waits; so Wait does what has not begun itself.
class Background {
 public:
  class Task;
  using Handle = std::shared_ptr<Task>;

  explicit Background(int threads) : most_threads_(threads) {}
  // What has not begun is dropped; waits for the rest.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  // Calls body(i) once for each i in [0, count), on several threads at once, then after() on one. Tasks begin in the
  // order of Add. The first exception ends a task. Neither may wait for another task. Thread-safe.
  Handle Add(std::size_t count, std::function<void(std::size_t)> body, std::function<void()> after = {});
  // The same, one index after the other, in order.
  Handle AddInOrder(std::size_t count, std::function<void(std::size_t)> body);
  Handle Add(std::function<void()> body);

  // Returns when the task is done; throws what it threw, every time. What functions hold is gone then.
  void Wait(const Handle& task);
  // Returns when all that have been added are done, also meanwhile by tasks; throws what the first failure threw.
  void WaitForAll();
  // Throws what the first of those that ended badly threw, if any did.
  void RethrowFailure();

 private:
  using Lock = std::unique_lock<std::mutex>;
  Handle Add(const Handle& task);
  bool WorkAt(const Handle& task, Lock& lock);
  void WorkOrSleep(Lock& lock);
  void Serve();

  const int most_threads_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Handle> waiting_;  // have indices to hand out
  std::size_t unfinished_ = 0;
  std::exception_ptr failure_;  // the first
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace contimg
