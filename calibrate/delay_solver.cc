#include "calibrate/delay_solver.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <numeric>

#include "config/parallel.h"
#include "config/units.h"

namespace contimg::calibrate {

namespace {

using Complex = std::complex<double>;

// In-place radix-2 transform Σ x_k e^{−2πi jk/n}; n is a power of two and roots[k] = e^{−2πi k/n}, k < n/2.
void Transform(std::vector<Complex>& x, const std::vector<Complex>& roots) {
  const std::size_t n = x.size();
  for (std::size_t i = 1, j = 0; i < n; ++i) {
    std::size_t bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (std::size_t length = 2; length <= n; length <<= 1) {
    const std::size_t half = length / 2, stride = n / length;
    for (std::size_t i = 0; i < n; i += length) {
      for (std::size_t k = 0; k < half; ++k) {
        const Complex even = x[i + k], odd = x[i + k + half] * roots[k * stride];
        x[i + k] = even + odd;
        x[i + k + half] = even - odd;
      }
    }
  }
}

// The band on an even grid, for the search only: index of each channel and the transform's length.
struct SearchGrid {
  std::vector<std::size_t> position;
  double spacing_hz = 1;
  std::size_t length = 8;
  std::vector<Complex> roots;

  explicit SearchGrid(const std::vector<double>& f) {
    for (std::size_t c = 1; c < f.size(); ++c)
      spacing_hz = c == 1 ? f[1] - f[0] : std::min(spacing_hz, f[c] - f[c - 1]);
    std::size_t cells = 1;
    for (double frequency : f) {
      position.push_back(static_cast<std::size_t>(std::llround((frequency - f.front()) / spacing_hz)));
      cells = position.back() + 1;
    }
    constexpr std::size_t kPadding = 8;
    while (length < kPadding * cells) length *= 2;
    for (std::size_t k = 0; k < length / 2; ++k) {
      roots.push_back(std::polar(1.0, -2 * kPi * static_cast<double>(k) / static_cast<double>(length)));
    }
  }
};

struct Fringe {
  double delay_s = 0;
  double power = 0;
};

// The delay at which Σ S(ν) e^{−2πi τν} is largest.
Fringe FindFringe(const std::vector<Complex>& spectrum, const SearchGrid& grid) {
  std::vector<Complex> x(grid.length);
  for (std::size_t c = 0; c < spectrum.size(); ++c) x[grid.position[c]] += spectrum[c];
  Transform(x, grid.roots);
  std::size_t best = 0;
  for (std::size_t i = 1; i < x.size(); ++i) {
    if (std::norm(x[i]) > std::norm(x[best])) best = i;
  }
  const std::size_t n = x.size();
  const double left = std::abs(x[(best + n - 1) % n]), middle = std::abs(x[best]), right = std::abs(x[(best + 1) % n]);
  const double curvature = left - 2 * middle + right;
  const double offset = curvature < 0 ? 0.5 * (left - right) / curvature : 0;
  double index = static_cast<double>(best) + offset;
  if (index > static_cast<double>(n) / 2) index -= static_cast<double>(n);
  return {index / (static_cast<double>(n) * grid.spacing_hz), middle * middle};
}

class ReceptorSolver {
 public:
  ReceptorSolver(const Statistics& s, const std::vector<Baseline>& baselines, std::size_t n_antennas,
                 const std::vector<double>& frequency_hz, const DelaySolveParams& params, std::size_t receptor)
      : s_(s),
        baselines_(baselines),
        f_(frequency_hz),
        params_(params),
        receptor_(receptor),
        grid_(frequency_hz),
        alive_(n_antennas, 1),
        delay_(n_antennas, 0),
        phase_(n_antennas, 0),
        snr_(n_antennas, 0),
        error_(n_antennas, std::numeric_limits<double>::quiet_NaN()),
        rotor_(n_antennas, std::vector<Complex>(frequency_hz.size(), 1.0)) {
    f0_ = std::accumulate(f_.begin(), f_.end(), 0.0) / static_cast<double>(f_.size());
  }

  void Solve() {
    CountBaselines();
    if (std::count(alive_.begin(), alive_.end(), 1) < 2) {
      std::fill(alive_.begin(), alive_.end(), 0);
      return;
    }
    Search();
    for (int round = 0; round < 3; ++round) {
      for (int step = 0; step < 4; ++step) LeastSquares();
      if (!DropWeak()) break;
    }
  }

  void Store(std::size_t n_receptors, DelaySolution& out) const {
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      const std::size_t i = a * n_receptors + receptor_;
      if (!alive_[a] || !std::isfinite(delay_[a])) continue;
      out.delay_ns[i] = 1e9 * delay_[a];
      out.error_ns[i] = static_cast<float>(1e9 * error_[a]);
      out.snr[i] = static_cast<float>(snr_[a]);
      out.flag[i] = 0;
    }
  }

 private:
  void CountBaselines() {
    for (bool changed = true; changed;) {
      std::vector<int> count(alive_.size(), 0);
      for (std::size_t b = 0; b < baselines_.size(); ++b) {
        if (!Uses(b)) continue;
        ++count[First(b)];
        ++count[Second(b)];
      }
      changed = false;
      for (std::size_t a = 0; a < alive_.size(); ++a) {
        if (alive_[a] && count[a] < std::max(1, params_.min_baselines_per_antenna)) alive_[a] = 0, changed = true;
      }
    }
  }

  std::size_t First(std::size_t b) const { return static_cast<std::size_t>(baselines_[b].antenna1); }
  std::size_t Second(std::size_t b) const { return static_cast<std::size_t>(baselines_[b].antenna2); }
  bool Uses(std::size_t b) const {
    if (baselines_[b].is_auto() || !alive_[First(b)] || !alive_[Second(b)]) return false;
    const std::size_t i = s_.Index(0, b, receptor_);
    return std::any_of(s_.n.data() + i, s_.n.data() + i + s_.n_cells, [](float n) { return n > 0; });
  }
  Complex A(std::size_t b, std::size_t c) const {
    const std::size_t i = s_.Index(0, b, receptor_) + c;
    return {s_.a_re[i], s_.a_im[i]};
  }
  double N(std::size_t b, std::size_t c) const { return s_.n[s_.Index(0, b, receptor_) + c]; }
  // exp(i(φ + 2πτ(ν − ν0))) of antenna a, kept until its phase or delay changes.
  void Turn(std::size_t a) {
    for (std::size_t c = 0; c < f_.size(); ++c) {
      rotor_[a][c] = std::polar(1.0, phase_[a] + 2 * kPi * delay_[a] * (f_[c] - f0_));
    }
  }

  // Fringes of every antenna against the sum of those already found, starting from the best-connected antenna; then
  // every antenna against all others.
  void Search() {
    std::vector<double> weight(alive_.size(), 0);
    for (std::size_t b = 0; b < baselines_.size(); ++b) {
      if (!Uses(b)) continue;
      double coherent = 0;  // SNR² of the baseline's own fringe: prefer the antenna that sees the source best
      std::vector<Complex> spectrum(f_.size());
      double n = 0;
      for (std::size_t c = 0; c < f_.size(); ++c) {
        spectrum[c] = A(b, c);
        n += N(b, c);
      }
      // Coherence between neighbouring channels is a cheap stand-in for a full search.
      for (std::size_t c = 1; c < f_.size(); ++c) coherent += std::abs(spectrum[c] * std::conj(spectrum[c - 1]));
      weight[First(b)] += n > 0 ? coherent / n : 0;
      weight[Second(b)] += n > 0 ? coherent / n : 0;
    }
    const auto centre = static_cast<std::size_t>(std::max_element(weight.begin(), weight.end()) - weight.begin());
    std::vector<std::uint8_t> found(alive_.size(), 0);
    found[centre] = 1;
    std::vector<std::uint8_t> everyone = alive_;
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      if (alive_[a] && a != centre) Point(a, found);
    }
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      if (alive_[a]) Point(a, everyone);
    }
  }

  // Sets antenna a's delay and phase to the fringe of Σ_q A_aq g_q over the partners q.
  void Point(std::size_t a, const std::vector<std::uint8_t>& partners) {
    std::vector<Complex> sum(f_.size());
    bool any = false;
    for (std::size_t b = 0; b < baselines_.size(); ++b) {
      if (First(b) != a && Second(b) != a) continue;
      const std::size_t other = First(b) == a ? Second(b) : First(b);
      if (other == a || !partners[other] || !Uses(b)) continue;
      any = true;
      for (std::size_t c = 0; c < f_.size(); ++c) {
        sum[c] += (First(b) == a ? A(b, c) : std::conj(A(b, c))) * rotor_[other][c];
      }
    }
    if (!any) return;
    const Fringe fringe = FindFringe(sum, grid_);
    delay_[a] = fringe.delay_s;
    Complex total = 0;
    for (std::size_t c = 0; c < f_.size(); ++c) total += sum[c] * std::polar(1.0, -2 * kPi * delay_[a] * (f_[c] - f0_));
    phase_[a] = std::arg(total);
    Turn(a);
  }

  // One Gauss–Newton step of all phases and delays together. Along a baseline the imaginary part of the rotated data is
  // ρN(ν)·(δφ_p − δφ_q + 2π(δτ_p − δτ_q)(ν − ν0)) with variance N/2, ρ the baseline's mean amplitude ratio.
  void LeastSquares() {
    std::vector<std::size_t> index(alive_.size(), 0);
    std::size_t n = 0;
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      if (alive_[a]) index[a] = n++;
    }
    if (n < 2) return;
    const std::size_t m = 2 * n;
    const auto size = static_cast<Eigen::Index>(m);
    Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(size, size);
    Eigen::VectorXd rhs = Eigen::VectorXd::Zero(size);
    std::vector<double> signal(alive_.size(), 0), noise(alive_.size(), 0);
    double square = 0, freedom = 0, mean_square = 0, mean_freedom = 1 - static_cast<double>(n);
    for (std::size_t b = 0; b < baselines_.size(); ++b) {
      if (!Uses(b)) continue;
      const std::size_t p = First(b), q = Second(b);
      double real = 0, n0 = 0, n1 = 0, n2 = 0, i0 = 0, i1 = 0;
      for (std::size_t c = 0; c < f_.size(); ++c) {
        const std::size_t i = s_.Index(0, b, receptor_) + c;
        square += s_.p[i];
        freedom += s_.count[i];
        const Complex z = A(b, c) * std::conj(rotor_[p][c]) * rotor_[q][c];
        const double x = 2e-6 * kPi * (f_[c] - f0_), weight = N(b, c);  // radians per µs of delay
        real += z.real();
        n0 += weight;
        n1 += weight * x;
        n2 += weight * x * x;
        i0 += z.imag();
        i1 += z.imag() * x;
      }
      signal[p] += real, signal[q] += real;
      noise[p] += n0, noise[q] += n0;
      const double ratio = std::max(0.0, real / n0);
      square -= real * ratio;           // what a baseline's own amplitude and the antennas' phases explain
      mean_square += 2 * i0 * i0 / n0;  // of the average only the imaginary part is left to explain
      mean_freedom += 1;
      const auto first = static_cast<Eigen::Index>(2 * index[p]), second = static_cast<Eigen::Index>(2 * index[q]);
      const Eigen::Index rows[4] = {first, first + 1, second, second + 1};
      const double sign[4] = {1, 1, -1, -1};
      for (int i = 0; i < 4; ++i) {
        rhs[rows[i]] += 2 * ratio * sign[i] * (i % 2 == 0 ? i0 : i1);
        for (int j = 0; j < 4; ++j) {
          const double moment = i % 2 + j % 2 == 0 ? n0 : i % 2 + j % 2 == 1 ? n1 : n2;
          matrix(rows[i], rows[j]) += 2 * ratio * ratio * sign[i] * sign[j] * moment;
        }
      }
    }
    // Phases and delays are free by a constant: hold the sums at zero by adding the outer product of ones.
    const double largest = matrix.diagonal().maxCoeff();
    if (!(largest > 0)) return;
    const double hold[2] = {matrix(0, 0) / static_cast<double>(n), matrix(1, 1) / static_cast<double>(n)};
    for (Eigen::Index i = 0; i < size; ++i) {
      for (Eigen::Index j = i % 2; j < size; j += 2) matrix(i, j) += hold[i % 2];
      matrix(i, i) += 1e-12 * largest;
    }
    const Eigen::LLT<Eigen::MatrixXd> cholesky(matrix);
    const Eigen::VectorXd step = cholesky.solve(rhs);
    if (cholesky.info() != Eigen::Success || !step.allFinite()) return;
    // (A⁻¹)ᵢᵢ = |L⁻¹ eᵢ|²
    const Eigen::MatrixXd inverse = cholesky.matrixL().solve(Eigen::MatrixXd::Identity(size, size));
    const Eigen::VectorXd variance = inverse.colwise().squaredNorm();
    // Residuals above the measured noise (ripples of the band) count as noise, and so do phases of the baselines'
    // averages that no antennas can have made (a wrong model), where they are no chance.
    double excess = freedom > 0 ? std::max(1.0, square / freedom) : 1.0;
    if (mean_freedom > 0) excess = std::max(excess, mean_square / mean_freedom - 3 * std::sqrt(2 / mean_freedom));
    excess = std::sqrt(excess);
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      if (!alive_[a]) continue;
      const auto at = static_cast<Eigen::Index>(2 * index[a]);
      phase_[a] += std::clamp(step[at], -1.0, 1.0);
      delay_[a] += 1e-6 * step[at + 1];
      Turn(a);
      error_[a] = 1e-6 * excess * std::sqrt(variance[at + 1]);
      snr_[a] = noise[a] > 0 ? signal[a] * std::sqrt(2 / noise[a]) / excess : 0;
    }
  }

  bool DropWeak() {
    bool dropped = false;
    for (std::size_t a = 0; a < alive_.size(); ++a) {
      if (!alive_[a] || snr_[a] >= params_.min_snr) continue;
      alive_[a] = 0;
      dropped = true;
    }
    if (dropped) CountBaselines();
    return dropped;
  }

  const Statistics& s_;
  const std::vector<Baseline>& baselines_;
  const std::vector<double>& f_;
  const DelaySolveParams& params_;
  std::size_t receptor_;
  SearchGrid grid_;
  double f0_ = 0;
  std::vector<std::uint8_t> alive_;
  std::vector<double> delay_, phase_, snr_, error_;
  std::vector<std::vector<Complex>> rotor_;
};

}  // namespace

DelaySolution SolveDelays(const Statistics& s, const std::vector<Baseline>& baselines, std::size_t n_antennas,
                          const std::vector<double>& frequency_hz, const DelaySolveParams& params, int threads) {
  const std::size_t size = n_antennas * s.n_receptors;
  DelaySolution out;
  out.delay_ns.assign(size, std::numeric_limits<double>::quiet_NaN());
  out.error_ns.assign(size, std::numeric_limits<float>::quiet_NaN());
  out.snr.assign(size, 0);
  out.flag.assign(size, 1);
  ParallelFor(threads, s.n_receptors, [&](std::size_t r) {
    ReceptorSolver solver(s, baselines, n_antennas, frequency_hz, params, r);
    solver.Solve();
    solver.Store(s.n_receptors, out);
  });
  return out;
}

}  // namespace contimg::calibrate
