// The simulator's own primary beam: the Airy pattern of a uniformly lit circular dish, by the C library's Bessel
// function (the product evaluates a series of its own).
#pragma once

#include <cmath>

#include "config/units.h"

namespace contimg::simulator {

// Power response relative to the axis, (2 J1(x)/x)² with x = π D sin θ ν / c.
inline double AiryPower(double sin_theta, double frequency_hz, double diameter_m) {
  const double x = kPi * diameter_m * sin_theta * frequency_hz / kSpeedOfLight;
  if (std::abs(x) < 1e-8) return 1.0;
  const double voltage = 2 * ::j1(x) / x;
  return voltage * voltage;
}

}  // namespace contimg::simulator
