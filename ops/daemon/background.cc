#include "ops/daemon/background.h"

#include <boost/asio/post.hpp>
#include <utility>

namespace contimg::ops {

void Background::Run(std::function<void()> work, std::function<void(std::exception_ptr)> then) {
  ++n_waiting_;
  thread_.Post([this, work = std::move(work), then = std::move(then)]() mutable {
    std::exception_ptr failure;
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    work = nullptr;
    // Moved along: what it holds must not end on this thread.
    boost::asio::post(io_, [this, then = std::move(then), failure = std::move(failure)] {
      --n_waiting_;
      then(failure);
    });
  });
}

}  // namespace contimg::ops
