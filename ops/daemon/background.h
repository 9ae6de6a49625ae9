// Work that would hold up the loop (comparing and moving hundreds of megabytes, removing gigabytes) on a thread of its
// own, one piece after the other; what follows from it runs on the loop.
#pragma once

#include <boost/asio/io_context.hpp>
#include <cstddef>
#include <exception>
#include <functional>

#include "ops/http/work_thread.h"

namespace contimg::ops {

class Background {
 public:
  explicit Background(boost::asio::io_context& io) : io_(io) {}

  // From the loop's thread. `work` touches nothing that the loop uses; `then` runs on the loop with what `work` threw
  // (null: nothing).
  void Run(std::function<void()> work, std::function<void(std::exception_ptr failure)> then);
  // Pieces whose `then` has not run. Whoever stops the loop before there are none loses the end of the story.
  std::size_t n_waiting() const { return n_waiting_; }

 private:
  boost::asio::io_context& io_;
  std::size_t n_waiting_ = 0;
  WorkThread thread_;  // last: it ends before the others
};

}  // namespace contimg::ops
