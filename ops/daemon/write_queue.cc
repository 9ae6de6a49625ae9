#include "ops/daemon/write_queue.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "ops/base/log.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kBatch = 500;

// Failures of the database, not of the one write: it is kept and tried again. A damaged file (bad input) is mended or
// replaced by a person, and what waits for it is recorded then.
bool Passes(const Error& error) {
  return error.kind() == ErrorKind::kBusy || error.kind() == ErrorKind::kIo || error.kind() == ErrorKind::kResource ||
         error.kind() == ErrorKind::kBadInput;
}

}  // namespace

void WriteQueue::Add(std::string what, std::function<void(state::GroupStore&)> write, std::function<void()> after) {
  writes_.push_back({std::move(what), std::move(write), std::move(after)});
}

bool WriteQueue::Flush() {
  while (!writes_.empty()) {
    const std::size_t n = std::min(kBatch, writes_.size());
    try {
      store_.database().Write([&] {
        for (std::size_t i = 0; i < n; ++i) {
          try {
            writes_[i].write(store_);
          } catch (const Error& error) {
            if (Passes(error)) throw;
            Log(LogLevel::kWarning, "", fmt::format("not recorded ({}): {}", writes_[i].what, error.what()));
          }
        }
      });
    } catch (const Error& error) {
      metrics_.DatabaseFailed();
      if (trouble_.empty()) Log(LogLevel::kWarning, "", fmt::format("the queue cannot be written: {}", error.what()));
      trouble_ = error.what();
      trouble_kind_ = error.kind();
      return false;
    }
    ++n_committed_;
    std::vector<Pending> written(std::make_move_iterator(writes_.begin()),
                                 std::make_move_iterator(writes_.begin() + static_cast<std::ptrdiff_t>(n)));
    writes_.erase(writes_.begin(), writes_.begin() + static_cast<std::ptrdiff_t>(n));
    for (const Pending& pending : written) {
      if (pending.after) pending.after();
    }
  }
  if (!trouble_.empty()) Log(LogLevel::kInfo, "", "the queue can be written again");
  trouble_.clear();
  return true;
}

}  // namespace contimg::ops
