#include "ops/daemon/write_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>
#include <vector>

#include "ops/base/log.h"

namespace contimg::ops {
namespace {

constexpr std::size_t kBatch = 500;
constexpr double kPauseS = 1;  // after a failure, until the next try

}  // namespace

void WriteQueue::Add(QueuedWrite write) { (write.prepare ? unprepared_ : writes_).push_back(std::move(write)); }

// A written one's `after`, or a refused one's `refused`. What they throw ends neither the others nor the caller.
void WriteQueue::Tell(Ended& ended) {
  try {
    if (ended.refusal.empty()) {
      if (ended.write.after) ended.write.after();
    } else if (ended.write.refused) {
      ended.write.refused(ended.refusal);
    } else {
      Log(LogLevel::kWarning, "", fmt::format("not recorded ({}): {}", ended.write.what, ended.refusal));
    }
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "", fmt::format("{}: what follows its record fails: {}", ended.write.what, error.what()));
  }
}

// Each is tried once; after a failure the others have their turn at the next call.
void WriteQueue::Prepare() {
  if (unprepared_.empty() || clock_.Steady() < next_prepare_) return;
  for (std::size_t n = unprepared_.size(); n > 0; --n) {
    QueuedWrite write = std::move(unprepared_.front());
    unprepared_.pop_front();
    std::string refusal, trouble;
    try {
      write.prepare();
    } catch (const Error& error) {
      unprepared_kind_ = error.kind();
      (MayPass(error.kind()) ? trouble : refusal) = error.what();
    } catch (const std::bad_alloc&) {
      unprepared_kind_ = ErrorKind::kResource;
      trouble = "memory ran out";
    } catch (const std::exception& error) {
      refusal = error.what();
    }
    if (!trouble.empty()) {
      metrics_.DatabaseFailed();
      trouble = fmt::format("{} waits: {}", write.what, trouble);
      if (unprepared_trouble_.empty()) Log(LogLevel::kWarning, "", trouble);
      unprepared_trouble_ = trouble;
      unprepared_.push_back(std::move(write));
      next_prepare_ = clock_.Steady() + kPauseS;
      return;
    }
    if (!refusal.empty()) {
      Ended ended{std::move(write), refusal};
      Tell(ended);
    } else {
      writes_.push_back(std::move(write));
    }
  }
  if (!unprepared_.empty()) return;  // a refusal has queued something
  if (!unprepared_trouble_.empty()) Log(LogLevel::kInfo, "", "what waited can be recorded again");
  unprepared_trouble_.clear();
}

bool WriteQueue::WriteBatch() {
  const std::size_t n = std::min(kBatch, writes_.size());
  std::vector<std::string> refusals(n);
  // A failure of the queue's database, not of the one write: all is kept and tried again. A damaged file (bad input) is
  // mended or replaced by a person, and what waits for it is recorded then.
  const auto of_the_database = [this](const Error& error) {
    return MayPass(error.kind()) ||
           (error.kind() == ErrorKind::kBadInput && error.subject() == store_.database().path().string());
  };
  std::string trouble;
  try {
    store_.database().Write([&] {
      for (std::size_t i = 0; i < n; ++i) {
        refusals[i].clear();
        try {
          store_.database().Write([&] { writes_[i].write(store_); });
        } catch (const Error& error) {
          if (of_the_database(error)) throw;
          refusals[i] = error.what();
        } catch (const std::bad_alloc&) {
          throw;
        } catch (const std::exception& error) {
          refusals[i] = fmt::format("unexpected: {}", error.what());
        }
      }
    });
  } catch (const Error& error) {
    trouble = error.what();
    trouble_kind_ = error.kind();
  } catch (const std::bad_alloc&) {
    trouble = "memory ran out";
    trouble_kind_ = ErrorKind::kResource;
  }
  if (!trouble.empty()) {
    metrics_.DatabaseFailed();
    if (trouble_.empty()) Log(LogLevel::kWarning, "", fmt::format("the queue cannot be written: {}", trouble));
    trouble_ = trouble;
    next_write_ = clock_.Steady() + kPauseS;
    return false;
  }
  ++n_committed_;
  std::vector<Ended> ended;
  for (std::size_t i = 0; i < n; ++i) ended.push_back({std::move(writes_[i]), std::move(refusals[i])});
  writes_.erase(writes_.begin(), writes_.begin() + static_cast<std::ptrdiff_t>(n));
  for (Ended& each : ended) Tell(each);
  return true;
}

bool WriteQueue::Flush() {
  Prepare();
  if (!writes_.empty() && clock_.Steady() < next_write_) return false;
  while (!writes_.empty()) {
    if (!WriteBatch()) return false;
  }
  if (!trouble_.empty()) Log(LogLevel::kInfo, "", "the queue can be written again");
  trouble_.clear();
  return true;
}

}  // namespace contimg::ops
