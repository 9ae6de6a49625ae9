#include "calibrate/statistics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <tuple>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "config/units.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/statistics.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef CONTIMG_CALIBRATE_STATISTICS_ROW
#define CONTIMG_CALIBRATE_STATISTICS_ROW
namespace contimg::calibrate::internal {
// One baseline at one time, two receptors: pointers to [channel][2] data, [channel] model and per-receptor prior
// products.
struct StatisticsRow {
  const float* vis;          // re, im of X, re, im of Y, channel after channel
  const std::uint8_t* flag;  // X, Y
  const float* weight;       // X, Y
  const float* model;        // re, im
  const float* prior[2][2];  // [receptor][re, im] per channel
  float robust[2];           // 1/(k² σ²) per receptor, 0 = off
  std::size_t first, last;   // channels
  float* sums[2][5];         // [receptor][A re, A im, N, P, count] per channel
};
}  // namespace contimg::calibrate::internal
#endif

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;
using internal::StatisticsRow;

template <class D>
HWY_ATTR HWY_INLINE void AddReceptor(D d, const StatisticsRow& row, int r, std::size_t c, hn::Vec<D> v_re,
                                     hn::Vec<D> v_im, hn::Vec<D> weight, hn::Vec<D> m_re, hn::Vec<D> m_im) {
  const auto power = hn::MulAdd(v_re, v_re, hn::Mul(v_im, v_im));
  // False for NaN and infinities, and for weights that are not positive.
  auto good = hn::And(hn::Lt(power, hn::Set(d, 1e30F)), hn::Gt(weight, hn::Zero(d)));
  const auto g_re = hn::LoadU(d, row.prior[r][0] + c);
  const auto g_im = hn::LoadU(d, row.prior[r][1] + c);
  const auto p_re = hn::NegMulAdd(m_im, g_im, hn::Mul(m_re, g_re));
  const auto p_im = hn::MulAdd(m_re, g_im, hn::Mul(m_im, g_re));
  const auto model_power = hn::MulAdd(p_re, p_re, hn::Mul(p_im, p_im));
  good = hn::And(good, hn::Gt(model_power, hn::Zero(d)));
  v_re = hn::IfThenElseZero(good, v_re);
  v_im = hn::IfThenElseZero(good, v_im);
  auto w = hn::IfThenElseZero(good, weight);
  const auto d_re = hn::Sub(v_re, p_re);
  const auto d_im = hn::Sub(v_im, p_im);
  const auto residual = hn::MulAdd(d_re, d_re, hn::Mul(d_im, d_im));
  const auto one = hn::Set(d, 1.0F);
  w = hn::Div(w, hn::MulAdd(hn::Mul(residual, w), hn::Set(d, row.robust[r]), one));
  float* const* sums = row.sums[r];
  const auto add = [&](int which, hn::Vec<D> value)
                       HWY_ATTR { hn::StoreU(hn::Add(hn::LoadU(d, sums[which] + c), value), d, sums[which] + c); };
  add(0, hn::Mul(w, hn::MulAdd(v_re, p_re, hn::Mul(v_im, p_im))));  // V conj(M)
  add(1, hn::Mul(w, hn::NegMulAdd(v_re, p_im, hn::Mul(v_im, p_re))));
  add(2, hn::Mul(w, model_power));
  add(3, hn::Mul(w, hn::MulAdd(v_re, v_re, hn::Mul(v_im, v_im))));
  add(4, hn::IfThenElseZero(good, one));
}

template <class D>
HWY_ATTR HWY_INLINE void AddChannels(D d, const StatisticsRow& row, std::size_t c) {
  hn::Vec<D> x_re, x_im, y_re, y_im, w_x, w_y, m_re, m_im;
  hn::LoadInterleaved4(d, row.vis + 4 * c, x_re, x_im, y_re, y_im);
  hn::LoadInterleaved2(d, row.weight + 2 * c, w_x, w_y);
  hn::LoadInterleaved2(d, row.model + 2 * c, m_re, m_im);
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::RebindToUnsigned<D> d32;
  const auto both = hn::PromoteTo(d32, hn::LoadU(d16, reinterpret_cast<const std::uint16_t*>(row.flag + 2 * c)));
  const auto bad_x = hn::Ne(hn::And(both, hn::Set(d32, 0x00FFU)), hn::Zero(d32));
  const auto bad_y = hn::Ne(hn::And(both, hn::Set(d32, 0xFF00U)), hn::Zero(d32));
  w_x = hn::IfThenZeroElse(hn::RebindMask(d, bad_x), w_x);
  w_y = hn::IfThenZeroElse(hn::RebindMask(d, bad_y), w_y);
  AddReceptor(d, row, 0, c, x_re, x_im, w_x, m_re, m_im);
  AddReceptor(d, row, 1, c, y_re, y_im, w_y, m_re, m_im);
}

HWY_ATTR void AddRow(const StatisticsRow& row) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t c = row.first;
  for (; c + lanes <= row.last; c += lanes) AddChannels(d, row, c);
  const hn::CappedTag<float, 1> one;
  for (; c < row.last; ++c) AddChannels(one, row, c);
}

}  // namespace HWY_NAMESPACE
}  // namespace contimg::calibrate
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {

HWY_EXPORT(AddRow);

namespace {

using internal::StatisticsRow;

// |V₋₁ − 2V₀ + V₊₁|² summed with the weights' inverses: E|difference|² = σ² (1/w₋ + 4/w₀ + 1/w₊).
struct DifferenceSum {
  double square = 0, expected = 0;
  std::size_t n = 0;
  double variance() const { return n >= 8 && expected > 0 ? square / expected : 0; }
};

struct Sampler {
  const Visibility* vis;
  const std::uint8_t* flag;
  const float* weight;

  void Add(std::size_t before, std::size_t here, std::size_t after, DifferenceSum& sum) const {
    if (flag[before] | flag[here] | flag[after]) return;
    const double w0 = weight[before], w1 = weight[here], w2 = weight[after];
    if (!(w0 > 0 && w1 > 0 && w2 > 0)) return;
    const double re = vis[before].real() - 2.0 * vis[here].real() + vis[after].real();
    const double im = vis[before].imag() - 2.0 * vis[here].imag() + vis[after].imag();
    const double square = re * re + im * im;
    if (!std::isfinite(square)) return;
    sum.square += square;
    sum.expected += 1 / w0 + 4 / w1 + 1 / w2;
    ++sum.n;
  }
};

double MedianOfPositive(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !(v > 0); });
  return TakeMedian(values);
}

}  // namespace

std::vector<std::size_t> ParallelHands(const VisibilityBlock& block) {
  std::vector<std::size_t> hands;
  for (std::size_t i = 0; i < block.n_pols(); ++i) {
    switch (block.polarisations[i]) {
      case Polarisation::kXX:
      case Polarisation::kYY:
      case Polarisation::kRR:
      case Polarisation::kLL:
      case Polarisation::kI:
        hands.push_back(i);
        break;
      default:
        break;
    }
  }
  if (hands.empty() || hands.size() > 2) {
    throw Error(ErrorKind::kBadInput, "calibrate", block.group_id,
                "expected one or two parallel-hand polarisations, found " + std::to_string(hands.size()));
  }
  return hands;
}

std::vector<double> EstimateNoise(const VisibilityBlock& block, int threads) {
  const std::vector<std::size_t> hands = ParallelHands(block);
  const auto [n_times, n_baselines, n_channels, n_pols] = block.shape();
  std::vector<double> by_channel(n_baselines * hands.size(), 0), by_time(n_baselines * hands.size(), 0);
  // A dozen integrations give some thousand differences per baseline, a few per cent of error; more would only cost.
  const std::size_t time_step = std::max<std::size_t>(1, n_times / 12);
  const std::size_t channel_step = std::max<std::size_t>(1, n_channels / 64);
  const Sampler sampler{block.vis.data(), block.flag.data(), block.weight.data()};
  ParallelFor(
      threads, n_baselines,
      [&, n_times = n_times, n_channels = n_channels, n_pols = n_pols, n_baselines = n_baselines](std::size_t b) {
        if (block.baselines[b].is_auto()) return;
        const auto at = [&](std::size_t t, std::size_t c, std::size_t pol) {
          return ((t * n_baselines + b) * n_channels + c) * n_pols + pol;
        };
        for (std::size_t r = 0; r < hands.size(); ++r) {
          DifferenceSum channel_sum, time_sum;
          for (std::size_t t = 0; t < n_times; t += time_step) {
            for (const SpectralWindow& window : block.windows) {
              const std::size_t end = window.first_channel + window.n_channels;
              for (std::size_t c = window.first_channel + 1; c + 1 < end; ++c) {
                const std::size_t i = at(t, c, hands[r]);
                sampler.Add(i - n_pols, i, i + n_pols, channel_sum);
              }
            }
          }
          for (std::size_t t = 1; t + 1 < n_times; ++t) {
            for (std::size_t c = 0; c < n_channels; c += channel_step) {
              sampler.Add(at(t - 1, c, hands[r]), at(t, c, hands[r]), at(t + 1, c, hands[r]), time_sum);
            }
          }
          by_channel[b * hands.size() + r] = channel_sum.variance();
          by_time[b * hands.size() + r] = time_sum.variance();
        }
      });
  const double channel_median = MedianOfPositive(by_channel);
  const double time_median = MedianOfPositive(by_time);
  const bool use_time = time_median > 0 && (channel_median == 0 || time_median < channel_median);
  std::vector<double>& noise = use_time ? by_time : by_channel;
  // Constant or nearly constant data are not noise-free but dead.
  const double floor = 1e-4 * (use_time ? time_median : channel_median);
  for (double& variance : noise) {
    if (!(variance > floor)) variance = 0;
  }
  return std::move(noise);
}

namespace {

// Channels [first, last) in which the projected baseline `b` at time `t` is within the limits.
std::pair<std::size_t, std::size_t> ChannelsWithin(const VisibilityBlock& block, const StatisticsParams& params,
                                                   std::size_t t, std::size_t b) {
  const auto& f = block.frequency_hz;
  if (!(params.min_uv_lambda > 0 || params.max_uv_lambda > 0)) return {0, f.size()};
  const double* uvw = block.uvw_m.data() + (t * block.n_baselines() + b) * 3;
  const double length = std::hypot(uvw[0], uvw[1]) / kSpeedOfLight;  // λ per Hz
  if (!(length > 0)) return {0, params.min_uv_lambda > 0 ? 0 : f.size()};
  const auto first = std::lower_bound(f.begin(), f.end(), params.min_uv_lambda / length) - f.begin();
  const auto last = params.max_uv_lambda > 0
                        ? std::upper_bound(f.begin(), f.end(), params.max_uv_lambda / length) - f.begin()
                        : static_cast<std::ptrdiff_t>(f.size());
  return {static_cast<std::size_t>(first), static_cast<std::size_t>(last)};
}

// Rows of one baseline as the kernel wants them: the parallel hands side by side, with the gains known already.
class BaselineRows {
 public:
  BaselineRows(const SolveInput& input, const std::vector<std::size_t>& hands, const std::vector<double>& noise,
               const StatisticsParams& params, std::size_t baseline)
      : input_(input), block_(*input.block), hands_(hands), params_(params), b_(baseline) {
    const std::size_t n_channels = block_.n_channels(), gathered = InPlace() ? 0 : 2 * n_channels;
    sums_.resize(10 * n_channels);
    prior_.resize(4 * n_channels);
    ones_.assign(n_channels, 1.0F);
    zeros_.assign(n_channels, 0.0F);
    vis_.resize(gathered);
    flag_.assign(gathered, 1);
    weight_.resize(gathered);
    for (std::size_t r = 0; r < 2; ++r) {
      row_.prior[r][0] = ones_.data();
      row_.prior[r][1] = zeros_.data();
      for (std::size_t k = 0; k < 5; ++k) row_.sums[r][k] = sums_.data() + (r * 5 + k) * n_channels;
      const double variance = r < hands.size() ? noise[b_ * hands.size() + r] : 0;
      if (params.robust_k > 0 && variance > 0) {
        row_.robust[r] = static_cast<float>(1 / (params.robust_k * params.robust_k * variance));
      }
    }
  }

  // Sums of the times [first, last), by channel.
  void Sum(std::pair<std::size_t, std::size_t> times) {
    std::fill(sums_.begin(), sums_.end(), 0.0F);
    for (std::size_t t = times.first; t < times.second; ++t) {
      std::tie(row_.first, row_.last) = ChannelsWithin(block_, params_, t, b_);
      if (row_.first >= row_.last) continue;
      SetPrior(t);
      SetData(t);
      HWY_DYNAMIC_DISPATCH(AddRow)(row_);
    }
  }
  // Of hand `r`, sum `k`: over the channels [first, last).
  double Of(std::size_t r, std::size_t k, std::size_t first, std::size_t last) const {
    double total = 0;
    for (std::size_t c = first; c < last; ++c) total += row_.sums[r][k][c];
    return total;
  }

 private:
  // The block holds the two hands and nothing else.
  bool InPlace() const { return block_.n_pols() == 2 && hands_.size() == 2; }

  void SetPrior(std::size_t t) {
    if (input_.prior == nullptr || input_.prior->class_of_time[t] == prior_class_) return;
    prior_class_ = input_.prior->class_of_time[t];
    const Baseline& baseline = block_.baselines[b_];
    const std::size_t n_channels = block_.n_channels();
    for (std::size_t r = 0; r < hands_.size(); ++r) {
      const auto* g1 = input_.prior->At(prior_class_, static_cast<std::size_t>(baseline.antenna1), r);
      const auto* g2 = input_.prior->At(prior_class_, static_cast<std::size_t>(baseline.antenna2), r);
      float* re = prior_.data() + 2 * r * n_channels;
      float* im = re + n_channels;
      for (std::size_t c = 0; c < n_channels; ++c) {
        re[c] = g1[c].real() * g2[c].real() + g1[c].imag() * g2[c].imag();
        im[c] = g1[c].imag() * g2[c].real() - g1[c].real() * g2[c].imag();
      }
      row_.prior[r][0] = re;
      row_.prior[r][1] = im;
    }
  }

  void SetData(std::size_t t) {
    const std::size_t n_pols = block_.n_pols();
    const std::size_t start = (t * block_.n_baselines() + b_) * block_.n_channels(), data = start * n_pols;
    row_.model = reinterpret_cast<const float*>(input_.model.data() + start);
    if (InPlace()) {
      row_.vis = reinterpret_cast<const float*>(block_.vis.data() + data);
      row_.flag = block_.flag.data() + data;
      row_.weight = block_.weight.data() + data;
      return;
    }
    for (std::size_t c = row_.first; c < row_.last; ++c) {
      for (std::size_t r = 0; r < hands_.size(); ++r) {
        vis_[2 * c + r] = block_.vis[data + c * n_pols + hands_[r]];
        flag_[2 * c + r] = block_.flag[data + c * n_pols + hands_[r]];
        weight_[2 * c + r] = block_.weight[data + c * n_pols + hands_[r]];
      }
    }
    row_.vis = reinterpret_cast<const float*>(vis_.data());
    row_.flag = flag_.data();
    row_.weight = weight_.data();
  }

  const SolveInput& input_;
  const VisibilityBlock& block_;
  const std::vector<std::size_t>& hands_;
  const StatisticsParams& params_;
  const std::size_t b_;
  StatisticsRow row_{};
  std::size_t prior_class_ = static_cast<std::size_t>(-1);
  std::vector<float> sums_, prior_, ones_, zeros_;
  std::vector<Visibility> vis_;
  std::vector<std::uint8_t> flag_;
  std::vector<float> weight_;
};

}  // namespace

Statistics AccumulateStatistics(const SolveInput& input, const std::vector<double>& noise,
                                const StatisticsParams& params, int threads) {
  const VisibilityBlock& block = *input.block;
  const std::vector<std::size_t> hands = ParallelHands(block);
  if (input.model.shape() != std::array<std::size_t, 3>{block.n_times(), block.n_baselines(), block.n_channels()}) {
    throw Error(ErrorKind::kBug, "calibrate", block.group_id, "the model's shape differs from the data's");
  }
  Statistics s;
  s.n_intervals = params.intervals.size();
  s.n_baselines = block.n_baselines();
  s.n_receptors = hands.size();
  s.n_cells = params.cells.size() - 1;
  const std::size_t total = s.n_intervals * s.n_baselines * s.n_receptors * s.n_cells;
  for (Buffer<float>* buffer : {&s.a_re, &s.a_im, &s.n, &s.p, &s.count}) *buffer = Buffer<float>(total);

  ParallelFor(threads, s.n_baselines, [&](std::size_t b) {
    if (block.baselines[b].is_auto()) return;
    BaselineRows rows(input, hands, noise, params, b);
    for (std::size_t interval = 0; interval < s.n_intervals; ++interval) {
      rows.Sum(params.intervals[interval]);
      for (std::size_t r = 0; r < s.n_receptors; ++r) {
        const double variance = noise[b * s.n_receptors + r];
        if (!(variance > 0)) continue;
        const std::size_t out = s.Index(interval, b, r);
        for (std::size_t cell = 0; cell < s.n_cells; ++cell) {
          const auto sum = [&](std::size_t k) { return rows.Of(r, k, params.cells[cell], params.cells[cell + 1]); };
          s.a_re[out + cell] = static_cast<float>(sum(0) / variance);
          s.a_im[out + cell] = static_cast<float>(sum(1) / variance);
          s.n[out + cell] = static_cast<float>(sum(2) / variance);
          s.p[out + cell] = static_cast<float>(sum(3) / variance);
          s.count[out + cell] = static_cast<float>(sum(4));
        }
      }
    }
  });
  return s;
}

}  // namespace contimg::calibrate
#endif  // HWY_ONCE
