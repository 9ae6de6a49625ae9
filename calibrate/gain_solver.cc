#include "calibrate/gain_solver.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>

#include "config/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/gain_solver.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef CONTIMG_CALIBRATE_GAIN_SOLVER_BLOCK
#define CONTIMG_CALIBRATE_GAIN_SOLVER_BLOCK
namespace contimg::calibrate::internal {
constexpr std::size_t kLanes =
    16;  // cells solved side by side, whatever the vector length: results do not depend on it

// kLanes independent problems: arrays are [baseline][lane] and [antenna][lane].
struct AdiBlock {
  std::size_t n_baselines, n_antennas;
  const int* antenna1;
  const int* antenna2;
  const float *a_re, *a_im, *n;  // zero where a baseline takes no part
  float *g_re, *g_im;            // the gains
  float *num_re, *num_im, *den;  // work: Σ A g and Σ N |g|² per antenna
};
}  // namespace contimg::calibrate::internal
#endif

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using internal::AdiBlock;
using internal::kLanes;

// One sweep: numerators and denominators of every antenna's least-squares gain with all others held.
HWY_ATTR void AdiSweep(const AdiBlock& k) {
  const hn::CappedTag<float, kLanes> d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t n = k.n_antennas * kLanes;
  std::fill(k.num_re, k.num_re + n, 0.0F);
  std::fill(k.num_im, k.num_im + n, 0.0F);
  std::fill(k.den, k.den + n, 0.0F);
  for (std::size_t l = 0; l < kLanes; l += lanes) {
    for (std::size_t b = 0; b < k.n_baselines; ++b) {
      const std::size_t p = static_cast<std::size_t>(k.antenna1[b]) * kLanes + l;
      const std::size_t q = static_cast<std::size_t>(k.antenna2[b]) * kLanes + l;
      const auto a_re = hn::LoadU(d, k.a_re + b * kLanes + l);
      const auto a_im = hn::LoadU(d, k.a_im + b * kLanes + l);
      const auto weight = hn::LoadU(d, k.n + b * kLanes + l);
      const auto p_re = hn::LoadU(d, k.g_re + p), p_im = hn::LoadU(d, k.g_im + p);
      const auto q_re = hn::LoadU(d, k.g_re + q), q_im = hn::LoadU(d, k.g_im + q);
      // p: A g_q
      auto re = hn::MulAdd(a_re, q_re, hn::LoadU(d, k.num_re + p));
      auto im = hn::MulAdd(a_re, q_im, hn::LoadU(d, k.num_im + p));
      hn::StoreU(hn::NegMulAdd(a_im, q_im, re), d, k.num_re + p);
      hn::StoreU(hn::MulAdd(a_im, q_re, im), d, k.num_im + p);
      const auto q_power = hn::MulAdd(q_re, q_re, hn::Mul(q_im, q_im));
      hn::StoreU(hn::MulAdd(weight, q_power, hn::LoadU(d, k.den + p)), d, k.den + p);
      // q: conj(A) g_p
      re = hn::MulAdd(a_re, p_re, hn::LoadU(d, k.num_re + q));
      im = hn::MulAdd(a_re, p_im, hn::LoadU(d, k.num_im + q));
      hn::StoreU(hn::MulAdd(a_im, p_im, re), d, k.num_re + q);
      hn::StoreU(hn::NegMulAdd(a_im, p_re, im), d, k.num_im + q);
      const auto p_power = hn::MulAdd(p_re, p_re, hn::Mul(p_im, p_im));
      hn::StoreU(hn::MulAdd(weight, p_power, hn::LoadU(d, k.den + q)), d, k.den + q);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace contimg::calibrate
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {

HWY_EXPORT(AdiSweep);

namespace {

using internal::AdiBlock;
using internal::kLanes;

// The state of one block of cells, from loading to results.
class BlockSolver {
 public:
  BlockSolver(const Statistics& s, const std::vector<Baseline>& baselines, std::size_t n_antennas,
              const GainSolveParams& params)
      : s_(s), n_antennas_(n_antennas), params_(params) {
    for (std::size_t b = 0; b < baselines.size(); ++b) {
      if (baselines[b].is_auto()) continue;
      source_.push_back(b);
      antenna1_.push_back(baselines[b].antenna1);
      antenna2_.push_back(baselines[b].antenna2);
    }
    for (auto* v : {&a_re_, &a_im_, &n_, &p_, &count_}) v->resize(source_.size() * kLanes);
    for (auto* v : {&g_re_, &g_im_, &num_re_, &num_im_, &den_}) v->resize(n_antennas * kLanes);
    alive_.resize(n_antennas * kLanes);
  }

  void Solve(std::size_t interval, std::size_t receptor, std::size_t first_cell, GainSolution& out) {
    lanes_ = std::min(kLanes, s_.n_cells - first_cell);
    Load(interval, receptor, first_cell);
    std::fill(alive_.begin(), alive_.end(), std::uint8_t{1});
    std::fill(iterations_, iterations_ + kLanes, 0);
    std::fill(converged_, converged_ + kLanes, true);
    constexpr int kRounds = 4;  // each drops what the round before showed to be too weak
    for (int round = 0; round < kRounds; ++round) {
      Prune();
      if (round == 0) Start();
      Iterate();
      if (!DropWeak()) break;
    }
    Store(interval, receptor, first_cell, out);
  }

  struct LaneFit {
    double square = 0, freedom = 0, signal = 0;
    // The same of the baselines' averages. Noise averages down, the errors of a model far less.
    double mean_square = 0, mean_freedom = 0;
    // Variance of the averages in units of the measured noise's, at least 1. What the averages show beyond it counts
    // where it is no chance (3 standard deviations).
    double Excess() const {
      double excess = freedom > 0 ? std::max(1.0, square / freedom) : 1.0;
      if (mean_freedom > 0) excess = std::max(excess, mean_square / mean_freedom - 3 / std::sqrt(mean_freedom));
      return excess;
    }
    float OfSignal(double square_of) const {
      return signal > 0 ? static_cast<float>(std::sqrt(std::max(0.0, square_of) / signal)) : 0.0F;
    }
    float Error() const { return OfSignal(mean_square - mean_freedom); }
    float Chance() const { return OfSignal(5 * std::sqrt(std::max(0.0, mean_freedom))); }
    void Add(const LaneFit& other) {
      square += other.square, freedom += other.freedom, signal += other.signal;
      mean_square += other.mean_square, mean_freedom += other.mean_freedom;
    }
  };

  LaneFit total;  // of the cells with solutions

 private:
  void Load(std::size_t interval, std::size_t receptor, std::size_t first_cell) {
    for (std::size_t k = 0; k < source_.size(); ++k) {
      const std::size_t from = s_.Index(interval, source_[k], receptor) + first_cell;
      for (std::size_t l = 0; l < kLanes; ++l) {
        const bool use = l < lanes_ && s_.n[from + l] > 0;
        a_re_[k * kLanes + l] = use ? s_.a_re[from + l] : 0;
        a_im_[k * kLanes + l] = use ? s_.a_im[from + l] : 0;
        n_[k * kLanes + l] = use ? s_.n[from + l] : 0;
        p_[k * kLanes + l] = use ? s_.p[from + l] : 0;
        count_[k * kLanes + l] = use ? s_.count[from + l] : 0;
      }
    }
  }

  // Takes antennas with too few baselines out, again and again until the count holds.
  void Prune() {
    std::vector<int> count(n_antennas_ * kLanes);
    bool changed = true;
    while (changed) {
      changed = false;
      std::fill(count.begin(), count.end(), 0);
      for (std::size_t k = 0; k < source_.size(); ++k) {
        const std::size_t p = static_cast<std::size_t>(antenna1_[k]) * kLanes;
        const std::size_t q = static_cast<std::size_t>(antenna2_[k]) * kLanes;
        for (std::size_t l = 0; l < kLanes; ++l) {
          const std::size_t i = k * kLanes + l;
          if (!alive_[p + l] || !alive_[q + l]) a_re_[i] = a_im_[i] = n_[i] = 0;
          if (n_[i] > 0) ++count[p + l], ++count[q + l];
        }
      }
      for (std::size_t i = 0; i < count.size(); ++i) {
        if (alive_[i] && count[i] < std::max(1, params_.min_baselines_per_antenna)) {
          alive_[i] = 0;
          g_re_[i] = g_im_[i] = 0;
          changed = true;
        }
      }
    }
  }

  // Amplitude from the mean, phases from the baselines to the antenna with the largest weight.
  void Start() {
    for (std::size_t l = 0; l < kLanes; ++l) {
      double amplitude = 0, weight = 0;
      std::vector<double> share(n_antennas_, 0);
      for (std::size_t k = 0; k < source_.size(); ++k) {
        const std::size_t i = k * kLanes + l;
        amplitude += std::hypot(a_re_[i], a_im_[i]);
        weight += n_[i];
        share[static_cast<std::size_t>(antenna1_[k])] += n_[i];
        share[static_cast<std::size_t>(antenna2_[k])] += n_[i];
      }
      const float size = params_.phase_only ? 1.0F : static_cast<float>(weight > 0 ? std::sqrt(amplitude / weight) : 0);
      const int centre = static_cast<int>(std::max_element(share.begin(), share.end()) - share.begin());
      for (std::size_t a = 0; a < n_antennas_; ++a) {
        g_re_[a * kLanes + l] = alive_[a * kLanes + l] ? size : 0;
        g_im_[a * kLanes + l] = 0;
      }
      for (std::size_t k = 0; k < source_.size(); ++k) {
        const bool first = antenna1_[k] == centre;
        if (!first && antenna2_[k] != centre) continue;
        const std::size_t other = static_cast<std::size_t>(first ? antenna2_[k] : antenna1_[k]) * kLanes + l;
        const float re = a_re_[k * kLanes + l];
        const float im = first ? -a_im_[k * kLanes + l] : a_im_[k * kLanes + l];
        const float length = std::hypot(re, im);
        if (!alive_[other] || !(length > 0)) continue;
        g_re_[other] = size * re / length;
        g_im_[other] = size * im / length;
      }
    }
  }

  void Sweep() {
    const AdiBlock block{source_.size(), n_antennas_,  antenna1_.data(), antenna2_.data(), a_re_.data(),   a_im_.data(),
                         n_.data(),      g_re_.data(), g_im_.data(),     num_re_.data(),   num_im_.data(), den_.data()};
    HWY_DYNAMIC_DISPATCH(AdiSweep)(block);
  }

  void Iterate() {
    double change[kLanes], size[kLanes];
    for (int iteration = 1; iteration <= params_.max_iterations; ++iteration) {
      Sweep();
      std::fill(change, change + kLanes, 0);
      std::fill(size, size + kLanes, 0);
      const bool average = iteration % 2 == 0;
      for (std::size_t a = 0; a < n_antennas_; ++a) {
        for (std::size_t l = 0; l < kLanes; ++l) {
          const std::size_t i = a * kLanes + l;
          float re = 0, im = 0;
          if (params_.phase_only) {
            const float length = std::hypot(num_re_[i], num_im_[i]);
            if (length > 0) re = num_re_[i] / length, im = num_im_[i] / length;
          } else if (den_[i] > 0) {
            re = num_re_[i] / den_[i], im = num_im_[i] / den_[i];
          }
          const double d_re = re - g_re_[i], d_im = im - g_im_[i];
          change[l] += d_re * d_re + d_im * d_im;
          size[l] += static_cast<double>(re) * re + static_cast<double>(im) * im;
          g_re_[i] = average ? 0.5F * (g_re_[i] + re) : re;
          g_im_[i] = average ? 0.5F * (g_im_[i] + im) : im;
        }
      }
      bool all = true;
      for (std::size_t l = 0; l < lanes_; ++l) {
        const double relative = size[l] > 0 ? std::sqrt(change[l] / size[l]) : 0;
        converged_[l] = relative <= kAcceptable;
        if (size[l] > 0 && relative > params_.tolerance) {
          ++iterations_[l];
          all = false;
        }
      }
      if (all && average) return;
    }
  }

  // With the noise that the residuals show where they exceed the measured noise: an incomplete model counts, and of a
  // wrong one nothing is left but what noise of that size would fit too.
  float Snr(std::size_t i) const {
    if (!(den_[i] > 0)) return 0;
    const double excess = fit_[i % kLanes].Excess();
    return std::hypot(num_re_[i], num_im_[i]) * std::sqrt(2.0F / den_[i]) / static_cast<float>(std::sqrt(excess));
  }

  // Flags antennas below the SNR limit; true when there were any (the rest then needs another look).
  bool DropWeak() {
    Sweep();
    for (std::size_t l = 0; l < lanes_; ++l) fit_[l] = Fit(l);
    bool dropped = false;
    for (std::size_t i = 0; i < alive_.size(); ++i) {
      if (i % kLanes >= lanes_ || !alive_[i]) continue;
      if (Snr(i) >= params_.min_snr) continue;  // a NaN is not: it goes
      alive_[i] = 0;
      g_re_[i] = g_im_[i] = 0;
      dropped = true;
    }
    return dropped;
  }

  void Store(std::size_t interval, std::size_t receptor, std::size_t first_cell, GainSolution& out) {
    for (std::size_t l = 0; l < lanes_; ++l) {
      const std::size_t summary = (interval * s_.n_cells + first_cell + l) * s_.n_receptors + receptor;
      out.iterations[summary] = static_cast<std::int16_t>(converged_[l] ? iterations_[l] : -iterations_[l]);
      std::size_t solved = 0;
      for (std::size_t a = 0; a < n_antennas_; ++a) {
        const std::size_t i = a * kLanes + l;
        const std::size_t o = out.Index(interval, a, first_cell + l, receptor);
        const std::complex<double> gain(g_re_[i], g_im_[i]);
        if (!alive_[i] || !converged_[l] || !(std::norm(gain) > 0) || !std::isfinite(std::norm(gain))) continue;
        out.gain[o] = gain;
        out.snr[o] = Snr(i);
        out.error[o] = static_cast<float>(std::abs(gain)) / out.snr[o];
        out.flag[o] = 0;
        ++solved;
      }
      if (solved == 0) continue;
      total.Add(fit_[l]);
      out.cell_error[summary] = fit_[l].Error();
      out.cell_chance[summary] = fit_[l].Chance();
    }
  }

  // Squared residuals of the lane's cell in units of the noise, and complex samples less fitted complex gains.
  LaneFit Fit(std::size_t l) const {
    LaneFit fit;
    for (std::size_t k = 0; k < source_.size(); ++k) {
      const std::size_t i = k * kLanes + l;
      if (!(n_[i] > 0)) continue;
      const std::size_t p = static_cast<std::size_t>(antenna1_[k]) * kLanes + l;
      const std::size_t q = static_cast<std::size_t>(antenna2_[k]) * kLanes + l;
      const std::complex<double> product =
          std::complex<double>(g_re_[p], g_im_[p]) * std::conj(std::complex<double>(g_re_[q], g_im_[q]));
      const double matched = product.real() * a_re_[i] + product.imag() * a_im_[i];
      const double power = std::norm(product) * n_[i];
      const double mean_power =
          (static_cast<double>(a_re_[i]) * a_re_[i] + static_cast<double>(a_im_[i]) * a_im_[i]) / n_[i];
      // Phase-only solutions leave the amplitude free: one scale per baseline takes it out.
      const double explained = params_.phase_only ? (power > 0 ? matched * matched / power : 0) : 2 * matched - power;
      fit.square += p_[i] - explained;
      fit.mean_square += std::max(0.0, mean_power - explained);
      fit.signal += params_.phase_only ? explained : power;
      fit.freedom += count_[i];
      fit.mean_freedom += params_.phase_only ? 0.5 : 1.0;
    }
    for (std::size_t a = 0; a < n_antennas_; ++a) {
      fit.freedom -= alive_[a * kLanes + l];
      fit.mean_freedom -= alive_[a * kLanes + l] * (params_.phase_only ? 0.5 : 1.0);
    }
    return fit;
  }

  static constexpr double kAcceptable = 1e-3;  // a stalled cell above this is no solution
  const Statistics& s_;
  std::size_t n_antennas_;
  const GainSolveParams& params_;
  std::vector<std::size_t> source_;  // baseline of the statistics
  std::vector<int> antenna1_, antenna2_;
  std::vector<float> a_re_, a_im_, n_, p_, count_, g_re_, g_im_, num_re_, num_im_, den_;
  std::vector<std::uint8_t> alive_;  // [antenna][lane]
  std::size_t lanes_ = 0;            // in use
  LaneFit fit_[kLanes];
  int iterations_[kLanes];
  bool converged_[kLanes];
};

}  // namespace

GainSolution SolveGains(const Statistics& s, const std::vector<Baseline>& baselines, std::size_t n_antennas,
                        const GainSolveParams& params, int threads) {
  GainSolution out;
  out.n_intervals = s.n_intervals;
  out.n_antennas = n_antennas;
  out.n_cells = s.n_cells;
  out.n_receptors = s.n_receptors;
  const std::size_t size = s.n_intervals * n_antennas * s.n_cells * s.n_receptors;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  out.gain.assign(size, {nan, nan});
  out.error.assign(size, std::numeric_limits<float>::quiet_NaN());
  out.snr.assign(size, 0);
  out.flag.assign(size, 1);
  out.iterations.assign(s.n_intervals * s.n_cells * s.n_receptors, 0);
  out.cell_error.assign(out.iterations.size(), 0);
  out.cell_chance.assign(out.iterations.size(), 0);

  const std::size_t blocks = (s.n_cells + kLanes - 1) / kLanes;
  const std::size_t jobs = s.n_intervals * s.n_receptors * blocks;
  std::vector<BlockSolver::LaneFit> fits(jobs);
  ParallelFor(threads, jobs, [&](std::size_t job) {
    const std::size_t interval = job / (s.n_receptors * blocks);
    const std::size_t receptor = job / blocks % s.n_receptors;
    BlockSolver solver(s, baselines, n_antennas, params);
    solver.Solve(interval, receptor, job % blocks * kLanes, out);
    fits[job] = solver.total;
  });
  BlockSolver::LaneFit total;
  for (const auto& fit : fits) total.Add(fit);
  out.chi_square = total.square;
  out.degrees_of_freedom = total.freedom;
  out.signal_square = total.signal;
  out.mean_chi_square = total.mean_square;
  out.mean_degrees_of_freedom = total.mean_freedom;
  return out;
}

}  // namespace contimg::calibrate
#endif  // HWY_ONCE
