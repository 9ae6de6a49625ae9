#include "image/frequency_nodes.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace contimg::image {
namespace {

using Real = long double;  // the normal equations have a condition number near 1/error²
constexpr Real kPiL = 3.14159265358979323846264338327950288L;

Real Sinc(Real x) { return x == 0 ? 1 : std::sin(kPiL * x) / (kPiL * x); }

// Least-squares interpolation from `n` unit-spaced nodes of exp(2πi x τ), |τ| ≤ s/2: coefficients and error at any x.
class WindowInterpolator {
 public:
  WindowInterpolator(int n, double s) : n_(n), s_(s), factor_(static_cast<std::size_t>(n * n)) {
    for (int i = 0; i < n; ++i) {
      for (int j = 0; j <= i; ++j) {
        Real sum = Sinc(s_ * (i - j)) + (i == j ? kRidge : 0);
        for (int k = 0; k < j; ++k) sum -= F(i, k) * F(j, k);
        F(i, j) = i == j ? std::sqrt(std::max(sum, kRidge)) : sum / F(j, j);
      }
    }
  }

  std::vector<Real> Coefficients(Real x) const {
    std::vector<Real> c(static_cast<std::size_t>(n_));
    for (int i = 0; i < n_; ++i) {
      Real sum = Sinc(s_ * (x - i));
      for (int k = 0; k < i; ++k) sum -= F(i, k) * c[static_cast<std::size_t>(k)];
      c[static_cast<std::size_t>(i)] = sum / F(i, i);
    }
    for (int i = n_ - 1; i >= 0; --i) {
      Real sum = c[static_cast<std::size_t>(i)];
      for (int k = i + 1; k < n_; ++k) sum -= F(k, i) * c[static_cast<std::size_t>(k)];
      c[static_cast<std::size_t>(i)] = sum / F(i, i);
    }
    return c;
  }

  // rms over |τ| ≤ s/2 of exp(2πi x τ) − Σ_j c_j exp(2πi j τ).
  double Error(Real x) const {
    const std::vector<Real> c = Coefficients(x);
    Real square = 1;
    for (int i = 0; i < n_; ++i) {
      square -= 2 * c[static_cast<std::size_t>(i)] * Sinc(s_ * (x - i));
      for (int j = 0; j < n_; ++j) {
        square += c[static_cast<std::size_t>(i)] * c[static_cast<std::size_t>(j)] * Sinc(s_ * (i - j));
      }
    }
    return static_cast<double>(std::sqrt(std::max(square, Real(0))));
  }

 private:
  static constexpr Real kRidge = 1e-17L;  // far below the squared errors asked for, keeps the factor real
  Real& F(int i, int j) { return factor_[static_cast<std::size_t>(i * n_ + j)]; }
  Real F(int i, int j) const { return factor_[static_cast<std::size_t>(i * n_ + j)]; }
  int n_;
  Real s_;
  std::vector<Real> factor_;
};

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

double WorstError(int n, double s, double from, double to) {
  const WindowInterpolator window(n, s);
  double worst = 0;
  constexpr int kSteps = 12;
  for (int i = 0; i <= kSteps; ++i) worst = std::max(worst, window.Error(from + (to - from) * i / kSteps));
  return worst;
}

// `taps` neighbouring nodes of a regular grid serve each channel.
FrequencyNodes MakeSet(const std::vector<double>& channels, int taps, double s, double first_hz, double step_hz,
                       int n_nodes) {
  FrequencyNodes set;
  set.taps = taps;
  set.max_delay_s = s / (2 * step_hz);
  for (int i = 0; i < n_nodes; ++i) set.frequency_hz.push_back(first_hz + i * step_hz);
  set.coefficients = Buffer<float>(channels.size() * FrequencyNodes::kMaxTaps);
  const WindowInterpolator window(taps, s);
  for (std::size_t k = 0; k < channels.size(); ++k) {
    const double position = (channels[k] - first_hz) / step_hz;
    const int first = std::clamp(static_cast<int>(std::floor(position)) - taps / 2 + 1, 0, n_nodes - taps);
    set.first.push_back(first);
    const std::vector<Real> c = window.Coefficients(position - first);
    for (int j = 0; j < taps; ++j) {
      set.coefficients[k * FrequencyNodes::kMaxTaps + static_cast<std::size_t>(j)] =
          static_cast<float>(c[static_cast<std::size_t>(j)]);
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

FrequencyCompression::FrequencyCompression(const std::vector<double>& frequency_hz, double max_delay_s,
                                           double rms_error) {
  const int n_channels = static_cast<int>(frequency_hz.size());
  const double band = frequency_hz.back() - frequency_hz.front();
  // Few nodes: one window over the whole band.
  constexpr int kWideTaps = 12;
  const int taps = rms_error < 3e-6 ? FrequencyNodes::kMaxTaps : kWideTaps;
  for (int n = 3; n < std::min(taps, n_channels); ++n) {
    const double s = LargestBand([&](double x) { return WorstError(n, x, 0, n - 1) <= rms_error; });
    const double step = band / (n - 1);
    if (s < 1e-3) continue;
    sets_.push_back(MakeSet(frequency_hz, n, s, frequency_hz.front(), step, n));
    if (sets_.back().max_delay_s >= max_delay_s) return;
  }
  // More nodes: a window moves over a regular grid that reaches `margin` nodes beyond the band.
  constexpr double kMargin = 3;
  const double s = LargestBand([&](double x) { return WorstError(taps, x, kMargin, taps - 1 - kMargin) <= rms_error; });
  for (double size = taps; n_channels > 1; size = std::max(size + 1, size * 1.12)) {
    const int n = static_cast<int>(size);
    if (n >= n_channels) break;
    const double step = band / (n - 1 - 2 * kMargin);
    FrequencyNodes set = MakeSet(frequency_hz, taps, s, frequency_hz.front() - kMargin * step, step, n);
    if (!sets_.empty() && set.max_delay_s <= sets_.back().max_delay_s) continue;
    sets_.push_back(std::move(set));
    if (sets_.back().max_delay_s >= max_delay_s) return;
  }
  sets_.push_back(ChannelsThemselves(frequency_hz, max_delay_s));
}

std::size_t FrequencyCompression::SetFor(double delay_s) const {
  const auto it = std::lower_bound(sets_.begin(), sets_.end(), delay_s,
                                   [](const FrequencyNodes& set, double delay) { return set.max_delay_s < delay; });
  return it == sets_.end() ? sets_.size() - 1 : static_cast<std::size_t>(it - sets_.begin());
}

}  // namespace contimg::image
