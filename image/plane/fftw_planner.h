// FFTW's planner (making and destroying plans) is not reentrant, whoever uses it; executing plans is.
#pragma once

#include <mutex>

namespace contimg::image {

inline std::mutex& PlannerMutex() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace contimg::image
