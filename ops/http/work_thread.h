// A thread that runs what is given to it, in order: the answers that must not hold up the daemon's loop.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace contimg::ops {

class WorkThread {
 public:
  WorkThread();
  // Waits for the work at hand; what has not begun is dropped.
  ~WorkThread();
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  // From any thread. `work` must not throw.
  void Post(std::function<void()> work);

 private:
  void Run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;  // guarded by mutex_
  bool stop_ = false;                        // guarded by mutex_
  std::thread thread_;                       // last: it uses the others
};

}  // namespace contimg::ops
