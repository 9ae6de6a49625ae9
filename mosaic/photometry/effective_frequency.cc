#include "mosaic/photometry/effective_frequency.h"

#include <algorithm>
#include <cmath>

#include "config/telescope.h"

namespace contimg::mosaic {
namespace {

constexpr double kFirstNull = 3.8317059702;  // of J₁
constexpr double kLeastPower = 0.01;         // nearer to the null the band is not narrow

// x in the main lobe where (2 J₁(x)/x)² is `power`; the voltage falls all the way.
double WhereAiryHas(double power) {
  const double voltage = std::sqrt(std::clamp(power, kLeastPower, 1.0));
  double low = 0, high = kFirstNull;
  for (int i = 0; i < 50; ++i) {
    const double middle = (low + high) / 2;
    (AiryVoltage(middle) > voltage ? low : high) = middle;
  }
  return (low + high) / 2;
}

}  // namespace

double EffectiveFrequency(double mean_hz, double bandwidth_hz, double power, double alpha) {
  const double x = WhereAiryHas(power);
  const double steepness = x > 1e-6 ? 2 * x * ::jn(2, x) / ::j1(x) : 0;
  const double variance = std::pow(bandwidth_hz / mean_hz, 2) / 12;
  return mean_hz * std::exp(-variance * (0.5 + steepness - alpha / 2));
}

}  // namespace contimg::mosaic
