#include "image/operator/frequency_nodes.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "config/parallel.h"

namespace contimg::image {
namespace {

using Real = long double;  // the normal equations have a condition number near 1/error²
constexpr Real kPiL = 3.14159265358979323846264338327950288L;

Real Sinc(Real x) { return x == 0 ? 1 : std::sin(kPiL * x) / (kPiL * x); }

// Least-squares interpolation of exp(2πi x τ), |τ| ≤ s/2, from nodes at `positions`: coefficients and error at any x.
class WindowInterpolator {
 public:
  WindowInterpolator(std::vector<Real> positions, double s)
      : n_(positions.size()), s_(s), positions_(std::move(positions)), factor_(n_ * n_) {
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        Real sum = Sinc(s_ * (positions_[i] - positions_[j])) + (i == j ? kRidge : 0);
        for (std::size_t k = 0; k < j; ++k) sum -= F(i, k) * F(j, k);
        F(i, j) = i == j ? std::sqrt(std::max(sum, kRidge)) : sum / F(j, j);
      }
    }
  }

  std::vector<Real> Coefficients(Real x) const {
    std::vector<Real> c = Target(x);
    for (std::size_t i = 0; i < n_; ++i) {
      for (std::size_t k = 0; k < i; ++k) c[i] -= F(i, k) * c[k];
      c[i] /= F(i, i);
    }
    for (std::size_t i = n_; i-- > 0;) {
      for (std::size_t k = i + 1; k < n_; ++k) c[i] -= F(k, i) * c[k];
      c[i] /= F(i, i);
    }
    return c;
  }

  // rms over |τ| ≤ s/2 of exp(2πi x τ) − Σ_j c_j exp(2πi x_j τ): 1 − 2 c·r + c·G c with (G + ridge) c = r.
  double Error(Real x) const {
    const std::vector<Real> c = Coefficients(x);
    const std::vector<Real> r = Target(x);
    Real square = 1;
    for (std::size_t i = 0; i < n_; ++i) square -= c[i] * r[i] + kRidge * c[i] * c[i];
    return static_cast<double>(std::sqrt(std::max(square, Real(0))));
  }

 private:
  static constexpr Real kRidge = 1e-17L;  // far below the squared errors asked for, keeps the factor real
  Real& F(std::size_t i, std::size_t j) { return factor_[i * n_ + j]; }
  Real F(std::size_t i, std::size_t j) const { return factor_[i * n_ + j]; }
  std::vector<Real> Target(Real x) const {
    std::vector<Real> r(n_);
    for (std::size_t i = 0; i < n_; ++i) r[i] = Sinc(s_ * (x - positions_[i]));
    return r;
  }

  std::size_t n_;
  Real s_;
  std::vector<Real> positions_;
  std::vector<Real> factor_;
};

// Nodes 0 … n − 1: the window that moves over many nodes.
std::vector<Real> EvenNodes(int n) {
  std::vector<Real> positions;
  positions.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) positions.push_back(i);
  return positions;
}

// Chebyshev nodes of [0, n − 1]: a few nodes for the whole band, dense at its ends where they have neighbours on one
// side only.
std::vector<Real> ChebyshevNodes(int n) {
  std::vector<Real> positions;
  positions.reserve(static_cast<std::size_t>(n));
  for (int i = 0; i < n; ++i) positions.push_back(0.5L * (n - 1) * (1 - std::cos(kPiL * (i + 0.5L) / n)));
  return positions;
}

// Largest s in (0, 1) for which `good(s)` holds, good being true for small s; 0 when it holds nowhere tried.
template <typename Predicate>
double LargestBand(const Predicate& good) {
  double low = 0;
  double high = 1;
  for (int i = 0; i < 24; ++i) {
    const double middle = 0.5 * (low + high);
    (good(middle) ? low : high) = middle;
  }
  return low;
}

double WorstError(const std::vector<Real>& positions, double s, double from, double to) {
  const WindowInterpolator window(positions, s);
  double worst = 0;
  const int steps = 5 * static_cast<int>(positions.size());
  for (int i = 0; i <= steps; ++i) worst = std::max(worst, window.Error(from + (to - from) * i / steps));
  return worst;
}

struct Layout {
  int n_nodes = 0;
  int taps = 0;
  double s = 0;         // band the window interpolates, in units of 1/step
  double first_hz = 0;  // of position 0
  double step_hz = 0;
  double max_delay_s() const { return s / (2 * step_hz); }
};

FrequencyNodes MakeSet(const std::vector<double>& channels, const Layout& layout) {
  FrequencyNodes set;
  set.taps = layout.taps;
  set.max_delay_s = layout.max_delay_s();
  const bool whole_band = layout.taps == layout.n_nodes;
  for (const Real x : whole_band ? ChebyshevNodes(layout.n_nodes) : EvenNodes(layout.n_nodes)) {
    set.frequency_hz.push_back(layout.first_hz + static_cast<double>(x) * layout.step_hz);
  }
  set.coefficients = Buffer<float>(channels.size() * FrequencyNodes::kMaxTaps);
  const WindowInterpolator window(whole_band ? ChebyshevNodes(layout.taps) : EvenNodes(layout.taps), layout.s);
  for (std::size_t k = 0; k < channels.size(); ++k) {
    const double position = (channels[k] - layout.first_hz) / layout.step_hz;
    const int middle = static_cast<int>(std::floor(position)) - layout.taps / 2 + 1;
    const int first = std::clamp(middle, 0, layout.n_nodes - layout.taps);
    set.first.push_back(first);
    const std::vector<Real> c = window.Coefficients(position - first);
    for (std::size_t j = 0; j < c.size(); ++j) {
      set.coefficients[k * FrequencyNodes::kMaxTaps + j] = static_cast<float>(c[j]);
    }
  }
  return set;
}

FrequencyNodes ChannelsThemselves(const std::vector<double>& channels, double max_delay_s) {
  FrequencyNodes set;
  set.taps = 1;
  set.max_delay_s = max_delay_s;
  set.frequency_hz = channels;
  set.first.resize(channels.size());
  std::iota(set.first.begin(), set.first.end(), 0);
  set.coefficients = Buffer<float>(channels.size() * FrequencyNodes::kMaxTaps);
  for (std::size_t k = 0; k < channels.size(); ++k) set.coefficients[k * FrequencyNodes::kMaxTaps] = 1;
  return set;
}

}  // namespace

FrequencyCompression::FrequencyCompression(const std::vector<double>& frequency_hz, const NodeRequest& request) {
  const int n_channels = static_cast<int>(frequency_hz.size());
  const double band = frequency_hz.back() - frequency_hz.front();
  constexpr int kFewTaps = 12;
  constexpr int kSmallest = 3;
  constexpr double kMargin = 3;  // nodes beyond the ends of the band, where a window has no neighbours
  const int taps = request.rms_error < 3e-6 ? FrequencyNodes::kMaxTaps : kFewTaps;
  // The widest band each window interpolates well enough: over all of it for few nodes, over its middle for the window
  // (the last entry) that moves over many nodes.
  std::vector<double> bands(static_cast<std::size_t>(taps - kSmallest) + 1);
  ParallelFor(request.threads, bands.size(), [&](std::size_t i) {
    const int n = kSmallest + static_cast<int>(i);
    const double margin = n == taps ? kMargin : 0;
    const std::vector<Real> positions = n == taps ? EvenNodes(n) : ChebyshevNodes(n);
    bands[i] =
        LargestBand([&](double s) { return WorstError(positions, s, margin, n - 1 - margin) <= request.rms_error; });
  });

  // What is held per node: three numbers and two of scratch, and a row of the Gram matrix. Of channels that are nodes
  // themselves that row is one number: a few fewer nodes take several times the memory for little less work.
  constexpr int kPerNode = 5, kMostMemory = 2;
  const auto saves = [&](int n, int n_taps) {
    return n < n_channels && n * (kPerNode + n_taps) <= kMostMemory * n_channels * (kPerNode + 1);
  };
  std::vector<Layout> layouts;
  const auto enough = [&] { return !layouts.empty() && layouts.back().max_delay_s() >= request.max_delay_s; };
  for (int n = kSmallest; n < taps && saves(n, n) && !enough(); ++n) {
    const double s = bands[static_cast<std::size_t>(n - kSmallest)];
    constexpr double kUseful = 1e-3;
    if (s > kUseful) layouts.push_back({n, n, s, frequency_hz.front(), band / (n - 1)});
  }
  constexpr double kGrowth = 1.12;
  for (double size = taps + 1; saves(static_cast<int>(size), taps) && !enough();
       size = std::max(size + 1, size * kGrowth)) {
    const int n = static_cast<int>(size);
    const double step = band / (n - 1 - 2 * kMargin);
    const Layout layout{n, taps, bands.back(), frequency_hz.front() - kMargin * step, step};
    if (layouts.empty() || layout.max_delay_s() > layouts.back().max_delay_s()) layouts.push_back(layout);
  }
  const bool complete = enough();
  sets_.resize(layouts.size());
  ParallelFor(request.threads, layouts.size(), [&](std::size_t i) { sets_[i] = MakeSet(frequency_hz, layouts[i]); });
  if (!complete) sets_.push_back(ChannelsThemselves(frequency_hz, request.max_delay_s));
}

std::size_t FrequencyCompression::SetFor(double delay_s) const {
  const auto it = std::lower_bound(sets_.begin(), sets_.end(), delay_s,
                                   [](const FrequencyNodes& set, double delay) { return set.max_delay_s < delay; });
  return it == sets_.end() ? sets_.size() - 1 : static_cast<std::size_t>(it - sets_.begin());
}

}  // namespace contimg::image
