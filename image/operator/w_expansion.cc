#include "image/operator/w_expansion.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "config/units.h"

namespace contimg::image {
namespace {

// Coefficients in z of the polynomial through f at `n` Chebyshev points of z in [0, 1], highest orders that do not
// matter dropped.
std::vector<double> FitEven(std::size_t n, const std::function<double(double)>& f) {
  // Newton's divided differences at the Chebyshev points, expanded in powers; long double keeps the digits.
  std::vector<long double> z(n), difference(n);
  for (std::size_t i = 0; i < n; ++i) {
    z[i] = 0.5 * (1 - std::cos(kPi * (static_cast<double>(i) + 0.5) / static_cast<double>(n)));
    difference[i] = f(static_cast<double>(z[i]));
  }
  for (std::size_t level = 1; level < n; ++level) {
    for (std::size_t i = n; i-- > level;) {
      difference[i] = (difference[i] - difference[i - 1]) / (z[i] - z[i - level]);
    }
  }
  std::vector<long double> powers(n, 0.0L);
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = n; k-- > 1;) powers[k] = powers[k - 1] - z[i] * powers[k];
    powers[0] = difference[i] - z[i] * powers[0];
  }
  std::vector<double> result(powers.begin(), powers.end());
  double largest = 0;
  for (double c : result) largest = std::max(largest, std::fabs(c));
  while (result.size() > 1 && std::fabs(result.back()) < 1e-11 * largest) result.pop_back();
  return result;
}

// Solves the n × n positive definite system in place (n ≤ 3).
void SolveSmall(std::array<std::array<long double, 3>, 3> a, std::array<long double, 3>& x, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t j = i + 1; j < n; ++j) {
      const long double factor = a[i][i] == 0 ? 0 : a[j][i] / a[i][i];
      for (std::size_t k = i; k < n; ++k) a[j][k] -= factor * a[i][k];
      x[j] -= factor * x[i];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) x[i] -= a[i][k] * x[k];
    x[i] = a[i][i] <= 0 ? 0 : x[i] / a[i][i];
  }
}

double BinW(const WDistribution& distribution, std::size_t bin) {
  return distribution.max_w * (static_cast<double>(bin) + 0.5) / static_cast<double>(distribution.weight.size());
}

double Evaluate(const SeriesFactor& factor, double t) {
  const double tau = t * factor.inverse_half_range;
  double sum = 0;
  for (std::size_t i = factor.coefficients.size(); i-- > 0;) sum = sum * tau * tau + factor.coefficients[i];
  return factor.odd ? sum * tau : sum;
}

}  // namespace

WExpansion::WExpansion(const WDistribution& distribution, const Request& request, const GriddingKernel& kernel)
    : half_range_(request.half_range), support_(kernel.support()) {
  const double phase = 2 * kPi * distribution.max_w * half_range_;
  if (!(phase > 0)) {  // nothing to expand
    FitSeries({1, {1.0}}, 1, 1);
    series_[0].coefficients = {1.0};
    return;
  }
  if (phase < 20) {  // beyond that no short series helps
    for (int k = 1; k <= kMaxSeriesTerms; ++k) {
      FitSeries(distribution, static_cast<std::size_t>(k), 12);
      expected_error_ = SeriesError(distribution);
      if (expected_error_ <= request.rms_error) return;
    }
  }
  series_.clear();
  MakePlanes(request, kernel);
}

// For each t the g_k are the least-squares solution of cos 2πwt ≈ g_0 − y² g_2 + …, sin 2πwt ≈ y g_1 − y³ g_3 + …,
// y = |w|/w_s, over the distribution of |w|. Sampled at Chebyshev points of τ² and stored as polynomials.
void WExpansion::FitSeries(const WDistribution& distribution, std::size_t n_terms, std::size_t order) {
  scale_w_ = distribution.max_w;
  series_.assign(n_terms, {});
  const std::size_t n_bins = distribution.weight.size();
  std::array<long double, 12> moments{};  // of y
  for (std::size_t bin = 0; bin < n_bins; ++bin) {
    const long double y = BinW(distribution, bin) / scale_w_;
    long double power = distribution.weight[bin];
    for (long double& moment : moments) {
      moment += power;
      power *= y;
    }
  }
  const auto solve = [&](double tau, std::size_t parity) {  // the g_k of this parity, divided by τ for odd ones
    const std::size_t n = (n_terms + 1 - parity) / 2;
    std::array<std::array<long double, 3>, 3> matrix{};
    std::array<long double, 3> rhs{};
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) matrix[i][j] = moments[2 * (i + j) + 2 * parity];
    }
    for (std::size_t bin = 0; bin < n_bins; ++bin) {
      if (distribution.weight[bin] == 0) continue;
      const double w = BinW(distribution, bin);
      const double y = w / scale_w_;
      const double angle = 2 * kPi * w * tau * half_range_;
      const double target = parity == 0 ? std::cos(angle) : std::sin(angle) / tau;
      double power = distribution.weight[bin] * (parity == 0 ? 1 : y);
      for (std::size_t i = 0; i < n; ++i) {
        rhs[i] += static_cast<long double>(power) * target;
        power *= y * y;
      }
    }
    SolveSmall(matrix, rhs, n);
    return rhs;
  };
  for (std::size_t k = 0; k < n_terms; ++k) {
    const std::size_t parity = k % 2;
    const double sign = k % 4 < 2 ? 1 : -1;  // i^k = 1, i, −1, −i
    series_[k].odd = parity == 1;
    series_[k].inverse_half_range = half_range_ > 0 ? 1 / half_range_ : 0;
    series_[k].coefficients =
        FitEven(order, [&](double z) { return sign * static_cast<double>(solve(std::sqrt(z), parity)[k / 2]); });
  }
}

double WExpansion::SeriesError(const WDistribution& distribution) const {
  double square = 0;
  double weight = 0;
  constexpr int kSteps = 8;  // over t
  for (int step = 0; step < kSteps; ++step) {
    const double t = half_range_ * (step + 0.5) / kSteps;
    std::array<double, kMaxSeriesTerms> g{};
    for (std::size_t k = 0; k < series_.size(); ++k) g[k] = Evaluate(series_[k], t);
    for (std::size_t bin = 0; bin < distribution.weight.size(); ++bin) {
      if (distribution.weight[bin] == 0) continue;
      const double w = BinW(distribution, bin);
      double re = std::cos(2 * kPi * w * t);
      double im = std::sin(2 * kPi * w * t);
      double power = 1;
      for (std::size_t k = 0; k < series_.size(); ++k) {
        const double term = power * g[k] * (k % 4 < 2 ? 1 : -1);
        (k % 2 == 0 ? re : im) -= term;
        power *= w / scale_w_;
      }
      square += distribution.weight[bin] * (re * re + im * im);
      weight += distribution.weight[bin];
    }
  }
  return weight > 0 ? std::sqrt(square / weight) : 0;
}

// Planes are spaced so that |t| ≤ half_range is the part 1/oversampling of the period 1/spacing.
void WExpansion::MakePlanes(const Request& request, const GriddingKernel& kernel) {
  const KernelShape& shape = kernel.shape();
  scale_w_ = 1 / (2 * shape.oversampling * half_range_);
  const double margin = 0.5 * (support_ + 1) * scale_w_;
  first_w_ = scale_w_ * std::floor((request.min_w - margin) / scale_w_);  // planes at multiples of the spacing
  planes_ = static_cast<std::size_t>(std::ceil((request.max_w + margin - first_w_) / scale_w_)) + 1;
  expected_error_ = shape.rms_error * std::sqrt(0.5);  // one axis
  correction_.odd = false;
  correction_.inverse_half_range = 1 / half_range_;
  correction_.coefficients =
      FitEven(18, [&](double z) { return 1 / kernel.Transform(std::sqrt(z) * half_range_ * scale_w_); });
}

SampleTerms WExpansion::Samples(std::size_t group) const {
  SampleTerms terms;
  if (planes_ == 0) {
    terms.n_terms = static_cast<int>(series_.size());
    terms.inverse_scale = 1 / scale_w_;
    return terms;
  }
  terms.kind = SampleTerms::Kind::kPlanes;
  terms.n_terms = static_cast<int>(TermsOf(group));
  terms.inverse_scale = 1 / scale_w_;
  terms.first_plane = first_w_ / scale_w_ + static_cast<double>(kPlanesPerGroup * group);
  return terms;
}

std::size_t WExpansion::TermsOf(std::size_t group) const {
  if (planes_ == 0) return series_.size();
  return 2 * std::min(kPlanesPerGroup, planes_ - kPlanesPerGroup * group);
}

WExpansion::Range WExpansion::WRange(std::size_t group) const {
  if (planes_ == 0) return {-1e300, 1e300};
  const double first = first_w_ + scale_w_ * static_cast<double>(kPlanesPerGroup * group);
  const double last = first + scale_w_ * static_cast<double>(kPlanesPerGroup - 1);
  return {first - 0.5 * support_ * scale_w_, last + 0.5 * support_ * scale_w_};
}

template <typename T>
void WExpansion::Combine(std::size_t group, const double* t, std::size_t n, const T* rows, T* sum) const {
  if (planes_ == 0) {
    for (std::size_t k = 0; k < series_.size(); ++k) AddSeriesTerm(series_[k], t, n, rows + k * n, sum);
    return;
  }
  for (std::size_t k = 0; k < TermsOf(group); k += 2) {
    const double w = first_w_ + scale_w_ * static_cast<double>(kPlanesPerGroup * group + k / 2);
    AddPlane(correction_, w, t, n, rows + k * n, rows + (k + 1) * n, sum);
  }
}

template <typename T>
void WExpansion::Spread(std::size_t group, const double* t, std::size_t n, const T* value, T* rows) const {
  if (planes_ == 0) {
    for (std::size_t k = 0; k < series_.size(); ++k) SpreadSeriesTerm(series_[k], t, n, value, rows + k * n);
    return;
  }
  for (std::size_t k = 0; k < TermsOf(group); k += 2) {
    const double w = first_w_ + scale_w_ * static_cast<double>(kPlanesPerGroup * group + k / 2);
    SpreadPlane(correction_, w, t, n, value, rows + k * n, rows + (k + 1) * n);
  }
}

template void WExpansion::Combine(std::size_t, const double*, std::size_t, const float*, float*) const;
template void WExpansion::Combine(std::size_t, const double*, std::size_t, const double*, double*) const;
template void WExpansion::Spread(std::size_t, const double*, std::size_t, const float*, float*) const;
template void WExpansion::Spread(std::size_t, const double*, std::size_t, const double*, double*) const;

}  // namespace contimg::image
