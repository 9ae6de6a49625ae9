#pragma once

#include <mutex>

namespace contimg::image {

// FFTW's planner (making and destroying plans) is not reentrant, whoever uses it; executing plans is.
inline std::mutex& PlannerMutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace contimg::image
