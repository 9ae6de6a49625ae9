// casacore's tables are used by one thread at a time: every entry point holds this lock. C++17.
#pragma once

#include <casacore/casa/Exceptions/Error.h>

#include <mutex>
#include <string>

#include "config/error.h"

namespace contimg::convert::internal {

inline std::mutex& CasacoreMutex() {
  static std::mutex mutex;
  return mutex;
}

// Runs `body` under the lock and turns casacore's exceptions into Error of `kind` about `subject`.
template <typename Body>
auto WithCasacore(ErrorKind kind, const std::string& subject, Body&& body) {
  const std::lock_guard<std::mutex> lock(CasacoreMutex());
  try {
    return body();
  } catch (const casacore::AipsError& error) {
    throw Error(kind, "convert", subject, error.getMesg());
  }
}

}  // namespace contimg::convert::internal
