#include "tests/oracle/direct_sum.h"

#include <cmath>
#include <map>
#include <utility>

namespace contimg::oracle {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;

double Phase(double u, double v, double w, double l, double m) {
  const double r2 = l * l + m * m;
  const double n_minus_1 = -r2 / (1 + std::sqrt(1 - r2));
  return kTwoPi * (u * l + v * m + w * n_minus_1);
}

std::pair<long, long> Cell(const DirectSample& sample, double field_u, double field_v) {
  const double sign = sample.v < 0 ? -1 : 1;  // one half plane
  return {std::lround(std::floor(sign * sample.u * field_u)), std::lround(std::floor(sign * sample.v * field_v))};
}

}  // namespace

double DirectDirty(const std::vector<DirectSample>& samples, double l, double m) {
  double sum = 0;
  double weight = 0;
  for (const DirectSample& s : samples) {
    const double phase = Phase(s.u, s.v, s.w, l, m);
    sum += s.weight * (s.vis.real() * std::cos(phase) + s.vis.imag() * std::sin(phase));
    weight += s.weight;
  }
  return sum / weight;
}

std::complex<double> DirectVisibility(const std::vector<DirectSource>& sources, double u, double v, double w) {
  std::complex<double> sum = 0;
  for (const DirectSource& source : sources) sum += std::polar(source.flux, Phase(u, v, w, source.l, source.m));
  return sum;
}

void DirectDensityWeights(std::vector<DirectSample>& samples, double field_u, double field_v, double robust) {
  std::map<std::pair<long, long>, double> density;
  for (const DirectSample& s : samples) {
    if (s.weight > 0) density[Cell(s, field_u, field_v)] += s.weight;
  }
  double sum = 0;
  double sum_squares = 0;
  for (const auto& [cell, w] : density) {
    sum += w;
    sum_squares += w * w;
  }
  const double f2 = std::pow(5 * std::pow(10, -robust), 2) / (sum_squares / sum);
  for (DirectSample& s : samples) {
    if (!(s.weight > 0)) continue;
    const double w = density[Cell(s, field_u, field_v)];
    s.weight /= std::isinf(robust) ? w : 1 + w * f2;
  }
}

}  // namespace contimg::oracle
