#include "tests/simulator/variation.h"

#include <cmath>

#include "config/units.h"

namespace contimg::simulator {

const char* ToString(VariationKind kind) {
  switch (kind) {
    case VariationKind::kNone:
      return "none";
    case VariationKind::kSinusoid:
      return "sinusoid";
    case VariationKind::kFlare:
      return "flare";
    case VariationKind::kStep:
      return "step";
  }
  return "";
}

double Variation::FactorAt(double mjd) const {
  if (mjd < from_mjd || mjd >= to_mjd) return 0;
  const double after = mjd - at_mjd;
  switch (kind) {
    case VariationKind::kNone:
      return 1;
    case VariationKind::kSinusoid:
      return 1 + amplitude * std::sin(2 * kPi * after / period_d);
    case VariationKind::kFlare: {
      if (after < 0 && rise_d == 0) return 1;
      return 1 + (factor - 1) * std::exp(after < 0 ? after / rise_d : -after / decay_d);
    }
    case VariationKind::kStep:
      return after < 0 ? 1 : factor;
  }
  return 1;
}

}  // namespace contimg::simulator
