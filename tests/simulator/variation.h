// How the flux density of a simulated source goes with time.
#pragma once

#include <limits>

namespace contimg::simulator {

enum class VariationKind { kNone, kSinusoid, kFlare, kStep };
const char* ToString(VariationKind kind);  // "none", "sinusoid", "flare", "step"

// A factor on the source's flux density, at all frequencies alike. Times are MJD (UTC), durations days.
struct Variation {
  VariationKind kind = VariationKind::kNone;
  double at_mjd = 0;     // sinusoid: rises through the mean; flare: its peak; step: the change
  double amplitude = 0;  // sinusoid: 1 + amplitude · sin(2π (t − at) / period); at most 1
  double period_d = 0;
  double factor = 1;   // flare: the peak; step: from `at` on
  double rise_d = 0;   // flare: e-folding before its peak; 0: from nothing to the peak at once
  double decay_d = 0;  // flare: e-folding after it
  // There is no source before and after: a transient.
  double from_mjd = -std::numeric_limits<double>::infinity();
  double to_mjd = std::numeric_limits<double>::infinity();

  bool varies() const {
    return kind != VariationKind::kNone || from_mjd > -std::numeric_limits<double>::infinity() ||
           to_mjd < std::numeric_limits<double>::infinity();
  }
  double FactorAt(double mjd) const;  // not negative
};

}  // namespace contimg::simulator
