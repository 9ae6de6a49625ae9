#include "ops/job/retry_policy.h"

#include <algorithm>
#include <cmath>

namespace contimg::ops {
namespace {

int AllowedAttempts(ErrorKind kind, const RetryRules& rules) {
  switch (RetryOf(kind)) {
    case Retry::kNever:
      return 1;
    case Retry::kTwice:
      return rules.suspect_attempts;
    case Retry::kBackoff:
      return rules.transient_attempts;
  }
  return 1;
}

}  // namespace

std::optional<double> RetryDelay(ErrorKind kind, int attempts, const RetryRules& rules, double random) {
  if (attempts >= AllowedAttempts(kind, rules)) return std::nullopt;
  const double doubled = rules.first_delay_s * std::exp2(std::clamp(attempts - 1, 0, 30));
  const double spread = 1 + rules.jitter * (2 * random - 1);
  return std::min(doubled, rules.longest_delay_s) * spread;
}

}  // namespace contimg::ops
