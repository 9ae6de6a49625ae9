// When a failed group is tried again: a pure function of the kind of error, the number of attempts and one random
// number. config/error.h documents the kinds.
#pragma once

#include <optional>

#include "config/error.h"

namespace contimg::ops {

struct RetryRules {
  double first_delay_s = 30;  // after the first failure; doubled after each further one
  double longest_delay_s = 1800;
  double jitter = 0.2;          // each delay is spread by ± this fraction, so that groups do not come back in step
  int transient_attempts = 20;  // io, busy, resource: attempts in all before giving up
  int suspect_attempts = 2;     // numeric, timeout, crash, bug: attempts in all
};

// Seconds to wait before the next attempt, or nullopt: give up. `attempts` counts the finished ones, this included
// (1 after the first failure). `random` is uniform in [0, 1).
std::optional<double> RetryDelay(ErrorKind kind, int attempts, const RetryRules& rules, double random);

}  // namespace contimg::ops
