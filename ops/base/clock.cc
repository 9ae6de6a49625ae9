#include "ops/base/clock.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace contimg::ops {

DaemonClock::DaemonClock()
    : DaemonClock(
          [] { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); },
          [] { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }) {}

DaemonClock::DaemonClock(std::function<double()> steady, std::function<double()> system)
    : steady_(std::move(steady)), system_(std::move(system)) {}

double DaemonClock::Unix() {
  const double steady = steady_(), system = system_();
  // After a step back time goes on at the steady clock's pace, so that leases and retries still come due.
  const double carried_on = latest_ == 0 ? system : latest_ + (steady - latest_steady_);
  constexpr double kSlewS = 0.5;  // ordinary corrections of a disciplined clock
  latest_ = system < carried_on - kSlewS ? carried_on : std::max(latest_, system);
  latest_steady_ = steady;
  return latest_;
}

double DaemonClock::StepBack() const { return std::max(0.0, latest_ - system_()); }

}  // namespace contimg::ops
