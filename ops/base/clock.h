// The two times the daemon lives by.
//
// Deadlines and delays run on a steady clock. Records carry Unix time, which an operator or NTP may set back; a
// record's time must not, or retries and leases would wait for an hour that was already over. So the recorded time
// follows the system's clock forwards, and after a step back goes on at the steady clock's pace until the system has
// caught up.
#pragma once

#include <functional>

namespace contimg::ops {

class DaemonClock {
 public:
  DaemonClock();
  // With clocks of a test's own; both in seconds.
  DaemonClock(std::function<double()> steady, std::function<double()> system);

  double Steady() const { return steady_(); }
  // Seconds since 1970; never less than before.
  double Unix();
  // How far the system's clock is behind what has been recorded (0 normally).
  double StepBack() const;

 private:
  std::function<double()> steady_, system_;
  double latest_ = 0;
  double latest_steady_ = 0;
};

}  // namespace contimg::ops
