// Wall-clock seconds that a piece of work took, for reports. Never the basis of a result.
#pragma once

#include <chrono>

namespace contimg {

class Stopwatch {
 public:
  using Clock = std::chrono::steady_clock;

  // Since construction or the last Lap.
  double Seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  // The same, and starts anew.
  double Lap() {
    const Clock::time_point now = Clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  Clock::time_point start_ = Clock::now();
};

}  // namespace contimg
