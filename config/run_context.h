// What a stage gets from its caller besides its input and settings. C++17-clean.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/error.h"

namespace contimg {

// Where a stage reports progress and warnings. The caller decides what becomes of them (progress bar, JSON lines,
// database rows). Called from any thread; implementations lock.
class Reporter {
 public:
  virtual ~Reporter() = default;
  // `stage` is `fraction` (0…1) done.
  virtual void Progress(std::string_view stage, double fraction) = 0;
  // Something a person should know and that does not end the work. One sentence, `subject` first where there is one.
  virtual void Warn(std::string_view stage, std::string_view message) = 0;
  virtual void Info(std::string_view stage, std::string_view message) = 0;
};

// Drops everything.
Reporter& SilentReporter();

class Os;  // config/os.h

struct RunContext {
  int threads = 1;                               // the stage's thread budget
  Reporter* reporter = &SilentReporter();        // never null
  const std::atomic<bool>* cancelled = nullptr;  // set by another thread to ask for an early end
  Os* os = nullptr;                              // null: the real operating system
  std::uint64_t memory_bytes = 0;  // that the whole process may hold; 0: what the machine has (config/machine.h)

  // Throws Error{kCancelled} once `cancelled` is set; stages call it between pieces of work.
  void CheckCancelled(std::string_view stage) const {
    if (cancelled != nullptr && cancelled->load(std::memory_order_relaxed)) {
      throw Error(ErrorKind::kCancelled, std::string(stage), "", "cancelled on request");
    }
  }
};

}  // namespace contimg
