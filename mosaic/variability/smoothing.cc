#include "mosaic/variability/smoothing.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "config/error.h"
#include "mosaic/variability/outliers.h"

namespace contimg::mosaic {
namespace {

// The value at x of the least-squares polynomial of degree `order` through n points, by polynomials that are orthogonal
// on them (Forsythe 1957): no matrix of powers, whose condition grows with the degree.
double PolynomialAt(const double* x, const double* y, int n, int order, double at) {
  std::vector<double> now(static_cast<std::size_t>(n), 1.0), before(static_cast<std::size_t>(n), 0.0);
  double now_at = 1, before_at = 0, norm_before = 1, sum = 0;
  for (int degree = 0; degree <= order; ++degree) {
    double norm = 0, product = 0, moment = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      norm += now[i] * now[i];
      product += now[i] * y[i];
      moment += x[i] * now[i] * now[i];
    }
    sum += product / norm * now_at;
    const double a = moment / norm, b = degree > 0 ? norm / norm_before : 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(n); ++i) {
      const double next = (x[i] - a) * now[i] - b * before[i];
      before[i] = now[i];
      now[i] = next;
    }
    const double next_at = (at - a) * now_at - b * before_at;
    before_at = now_at;
    now_at = next_at;
    norm_before = norm;
  }
  return sum;
}

double LinearAt(const std::vector<double>& x, const std::vector<double>& y, double at) {
  const auto above = static_cast<std::size_t>(std::upper_bound(x.begin(), x.end(), at) - x.begin());
  if (above == 0) return y.front();
  if (above == x.size()) return y.back();
  const double part = (at - x[above - 1]) / (x[above] - x[above - 1]);
  return y[above - 1] + part * (y[above] - y[above - 1]);
}

}  // namespace

std::vector<double> SavitzkyGolay(const std::vector<double>& times, const std::vector<double>& values, int window,
                                  int order) {
  const int n = static_cast<int>(values.size());
  if (window % 2 == 0 || window <= order || order < 0 || window > n || times.size() != values.size()) {
    throw Error(ErrorKind::kBug, "lightcurve", "baseline", "the window does not fit the series");
  }
  const auto size = static_cast<std::size_t>(window);
  std::vector<double> baseline(values.size()), x(size);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t first = std::clamp(i, size / 2, values.size() - size + size / 2) - size / 2;
    const double span = times[first + size - 1] - times[first];
    for (std::size_t k = 0; k < size; ++k) x[k] = (times[first + k] - times[i]) / span;
    baseline[i] = PolynomialAt(x.data(), values.data() + first, window, order, 0);
  }
  return baseline;
}

// Filters as published (Daubechies 1988): db2 in closed form, db4 from the roots of its polynomial.
Wavelet WaveletCalled(std::string_view name) {
  if (name == "haar" || name == "db1") return {{std::sqrt(0.5), std::sqrt(0.5)}};
  if (name == "db2") {
    const double r = std::sqrt(3.0), s = 4 * std::sqrt(2.0);
    return {{(1 + r) / s, (3 + r) / s, (3 - r) / s, (1 - r) / s}};
  }
  if (name == "db4") {
    return {{0.2303778133088965, 0.7148465705529157, 0.6308807679298589, -0.027983769416859854, -0.18703481171909309,
             0.030841381835560764, 0.0328830116668852, -0.010597401785069032}};
  }
  throw Error(ErrorKind::kUsage, "lightcurve", std::string(name), "expected the wavelet haar, db1, db2 or db4");
}

// The high filter is the low one backwards with alternating signs. Where the filter stands over a pair of values is
// pywt's choice: its middle is on the pair.
WaveletLevel TransformOnce(const std::vector<double>& values, const Wavelet& wavelet) {
  const std::size_t n = values.size(), taps = wavelet.low.size(), half = taps / 2;
  WaveletLevel level{std::vector<double>(n / 2), std::vector<double>(n / 2)};
  for (std::size_t k = 0; k < n / 2; ++k) {
    double low = 0, high = 0;
    for (std::size_t j = 0; j < taps; ++j) {
      const double value = values[(2 * k + j + taps * n + 1 - half) % n];
      low += wavelet.low[j] * value;
      high += (j % 2 == 0 ? 1 : -1) * wavelet.low[taps - 1 - j] * value;
    }
    level.approximation[k] = low;
    level.detail[k] = high;
  }
  return level;
}

std::vector<double> TransformBack(const WaveletLevel& level, const Wavelet& wavelet) {
  const std::size_t n = 2 * level.detail.size(), taps = wavelet.low.size(), half = taps / 2;
  std::vector<double> values(n, 0.0);
  for (std::size_t k = 0; k < n / 2; ++k) {
    for (std::size_t j = 0; j < taps; ++j) {
      values[(2 * k + j + taps * n + 1 - half) % n] +=
          wavelet.low[j] * level.approximation[k] + (j % 2 == 0 ? 1 : -1) * wavelet.low[taps - 1 - j] * level.detail[k];
    }
  }
  return values;
}

std::vector<double> DenoiseEven(const std::vector<double>& values, const Wavelet& wavelet, int levels) {
  if (levels < 1 || values.empty() || values.size() % (std::size_t{1} << levels) != 0) {
    throw Error(ErrorKind::kBug, "lightcurve", "wavelet", "the levels do not fit the series");
  }
  std::vector<WaveletLevel> steps;
  for (int i = 0; i < levels; ++i) {
    steps.push_back(TransformOnce(i == 0 ? values : steps.back().approximation, wavelet));
  }
  std::vector<double> sizes = steps.front().detail;
  for (double& size : sizes) size = std::abs(size);
  const double sigma = QuantileOf(std::move(sizes), 0.5) / 0.6745;
  const double threshold = sigma * std::sqrt(2 * std::log(static_cast<double>(values.size())));
  std::vector<double> smooth = steps.back().approximation;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    step->approximation = std::move(smooth);
    for (double& d : step->detail) d = std::copysign(std::max(0.0, std::abs(d) - threshold), d);
    smooth = TransformBack(*step, wavelet);
  }
  return smooth;
}

std::vector<double> Denoise(const std::vector<double>& times, const std::vector<double>& values, const Wavelet& wavelet,
                            int levels) {
  const std::size_t step = std::size_t{1} << levels;
  const std::size_t n = (values.size() + step - 1) / step * step;
  std::vector<double> grid(n), even(n);
  const double spacing = (times.back() - times.front()) / static_cast<double>(n - 1);
  for (std::size_t i = 0; i < n; ++i) {
    grid[i] = i + 1 == n ? times.back() : times.front() + spacing * static_cast<double>(i);
    even[i] = LinearAt(times, values, grid[i]);
  }
  const std::vector<double> smooth = DenoiseEven(even, wavelet, levels);
  std::vector<double> out(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) out[i] = LinearAt(grid, smooth, times[i]);
  return out;
}

}  // namespace contimg::mosaic
