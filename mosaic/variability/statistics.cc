#include "mosaic/variability/statistics.h"

#include <algorithm>
#include <cmath>

#include "config/units.h"

namespace contimg::mosaic {
namespace {

constexpr double kSiderealDegreesPerDay = 360.98564736629;  // of the Earth's turn, IAU 1982

// P(a, x) by its series, for x < a + 1.
double LowerGammaSeries(double a, double x) {
  double term = 1 / a, sum = term;
  for (double k = a + 1; std::abs(term) > 1e-17 * std::abs(sum); ++k) {
    term *= x / k;
    sum += term;
  }
  return sum * std::exp(-x + a * std::log(x) - std::lgamma(a));
}

// Q(a, x) by Legendre's continued fraction, evaluated forwards (Lentz), for x ≥ a + 1.
double UpperGammaFraction(double a, double x) {
  constexpr double kTiny = 1e-300;
  double b = x + 1 - a, c = 1 / kTiny, d = 1 / b, fraction = d;
  for (int i = 1; i < 100000; ++i) {
    const double numerator = -i * (i - a);
    b += 2;
    d = numerator * d + b;
    if (std::abs(d) < kTiny) d = kTiny;
    c = b + numerator / c;
    if (std::abs(c) < kTiny) c = kTiny;
    d = 1 / d;
    const double factor = d * c;
    fraction *= factor;
    if (std::abs(factor - 1) < 1e-16) break;
  }
  return fraction * std::exp(-x + a * std::log(x) - std::lgamma(a));
}

}  // namespace

double VariabilitySums::WeightedMean() const { return n > 0 ? reference_jy + sum_wi / sum_w : 0; }

void VariabilitySums::Add(const FluxPoint& point, double floor) {
  if (n == 0) {
    reference_jy = min_jy = max_jy = point.flux_jy;
  }
  const double mean_jy = n > 0 ? WeightedMean() : point.flux_jy;
  const double systematic_jy = floor * mean_jy;
  const double variance = point.error_jy * point.error_jy + systematic_jy * systematic_jy;
  if (n > 0) {
    const double step = (point.flux_jy - mean_jy) / std::sqrt(variance + 1 / sum_w);
    if (std::abs(step) > std::abs(vs)) {
      vs = step;
      m = 2 * (point.flux_jy - mean_jy) / (std::abs(point.flux_jy) + std::abs(mean_jy));
    }
  }
  const double w = 1 / variance, i = point.flux_jy - reference_jy;
  sum_w += w;
  sum_wi += w * i;
  sum_wii += w * i * i;
  sum_i += i;
  sum_ii += i * i;
  min_jy = std::min(min_jy, point.flux_jy);
  max_jy = std::max(max_jy, point.flux_jy);
  ++n;
}

Variability VariabilityOf(const VariabilitySums& sums) {
  Variability figures;
  figures.n = sums.n;
  figures.mean_jy = sums.WeightedMean();
  figures.min_jy = sums.min_jy;
  figures.max_jy = sums.max_jy;
  figures.vs = sums.vs;
  figures.m = sums.m;
  if (sums.n < 2) return figures;
  const auto n = static_cast<double>(sums.n);
  const double chi2 = std::max(0.0, sums.sum_wii - sums.sum_wi * sums.sum_wi / sums.sum_w);
  figures.eta = chi2 / (n - 1);
  figures.p = ChanceOfChi2(chi2, n - 1);
  const double mean = sums.reference_jy + sums.sum_i / n;
  const double deviation = std::sqrt(std::max(0.0, sums.sum_ii - sums.sum_i * sums.sum_i / n) / (n - 1));
  if (mean > std::max(deviation / std::sqrt(n), 1 / std::sqrt(sums.sum_w))) figures.v = deviation / mean;
  return figures;
}

Variability VariabilityOf(const std::vector<FluxPoint>& points, double floor) {
  VariabilitySums sums;
  for (const FluxPoint& point : points) sums.Add(point, floor);
  return VariabilityOf(sums);
}

double ChanceOfChi2(double chi2, double degrees_of_freedom) {
  const double a = degrees_of_freedom / 2, x = chi2 / 2;
  if (!(x > 0)) return 1;
  return x < a + 1 ? 1 - LowerGammaSeries(a, x) : UpperGammaFraction(a, x);
}

MeanFlux MeanOf(const std::vector<FluxPoint>& points) {
  double sum_w = 0, sum_wi = 0;
  for (const FluxPoint& point : points) {
    const double w = 1 / (point.error_jy * point.error_jy);
    sum_w += w;
    sum_wi += w * point.flux_jy;
  }
  MeanFlux mean;
  mean.flux_jy = sum_wi / sum_w;
  mean.error_jy = 1 / std::sqrt(sum_w);
  for (const FluxPoint& point : points) {
    const double pull = (point.flux_jy - mean.flux_jy) / point.error_jy;
    mean.chi2 += pull * pull;
  }
  return mean;
}

double TransitMjd(double mjd, double lst_deg, double ra_deg) {
  return mjd - WrapSigned(Angle::Degrees(lst_deg - ra_deg)).deg() / kSiderealDegreesPerDay;
}

}  // namespace contimg::mosaic
