// casacore's tables are used by one thread at a time: every entry point holds this lock. C++17.
#pragma once

#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include "config/error.h"

namespace contimg::convert::internal {

inline std::mutex& CasacoreMutex() {
  static std::mutex mutex;
  return mutex;
}

// What casacore's own message about the table at `subject` means, in our words: a full or read-only disk as the system
// says it, else which file is damaged. `kind`: kBadInput when the table was read, kIo when it was written.
Error InOurWords(ErrorKind kind, const std::string& stage, const std::string& subject, const std::string& message);

// Runs `body` under the lock and turns casacore's exceptions into Error about `subject`.
template <typename Body>
auto WithCasacore(ErrorKind kind, const std::string& subject, Body&& body, const std::string& stage = "convert") {
  const std::lock_guard<std::mutex> lock(CasacoreMutex());
  try {
    return std::forward<Body>(body)();
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    // Some of casacore's exceptions are standard ones, and sizes that are damaged want more memory than there is.
    throw InOurWords(kind, stage, subject, error.what());
  }
}

}  // namespace contimg::convert::internal
