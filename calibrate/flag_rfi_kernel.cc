// The vector code of FlagRfi: every lane is one baseline.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "calibrate/flag_rfi_lane.h"
#include "calibrate/flag_rfi_plan.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/flag_rfi_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
// One bit per lane in a 16-bit word.
using D = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using M = hn::Mask<D>;
using Bits = std::uint16_t;

HWY_INLINE M LoadBits(D d, const Bits* bits) {
  return hn::LoadMaskBits(d, reinterpret_cast<const std::uint8_t*>(bits));
}
HWY_INLINE void StoreBits(D d, M mask, Bits* bits) {
  *bits = 0;
  hn::StoreMaskBits(d, mask, reinterpret_cast<std::uint8_t*>(bits));
}

// Floats as integers of the same order, and back: bisection on them reaches any magnitude in as many steps.
HWY_INLINE hn::Vec<DI> ToKey(V v) {
  const DI di;
  const auto i = hn::BitCast(di, v);
  return hn::Xor(i, hn::And(hn::ShiftRight<31>(i), hn::Set(di, 0x7fffffff)));
}
HWY_INLINE V FromKey(hn::Vec<DI> k) {
  const DI di;
  return hn::BitCast(D(), hn::Xor(k, hn::And(hn::ShiftRight<31>(k), hn::Set(di, 0x7fffffff))));
}

// Halfway between two keys, without overflow.
HWY_INLINE hn::Vec<DI> Midpoint(hn::Vec<DI> a, hn::Vec<DI> b) {
  return hn::Add(hn::Add(hn::ShiftRight<1>(a), hn::ShiftRight<1>(b)), hn::And(a, hn::And(b, hn::Set(DI(), 1))));
}

class Group {
 public:
  Group(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& work)
      : plan_(plan), group_(group), w_(work), lanes_(hn::Lanes(d_)), nt_(plan.n_times), nc_(plan.n_channels) {}

  void Run() {
    Gather();
    for (std::size_t p = 0; p < plan_.n_pols; ++p) FindGaps(p);
    if (plan_.normalize_bandpass) {
      for (std::size_t p = 0; p < plan_.n_pols; ++p) NormalizeBandpass(p);
    }
    std::fill(w_.found.begin(), w_.found.end(), Bits{0});
    for (std::size_t p = 0; p < plan_.n_pols; ++p) {
      Detect(p);
      for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.found[i] |= w_.mask[i] & static_cast<Bits>(~Missing(p)[i]);
    }
    Join();
    RankOperator();
    FinalTimesteps();
    WriteBack();
  }

 private:
  Bits* Missing(std::size_t pol) { return w_.missing.data() + pol * nt_ * nc_; }
  float* Amplitude(std::size_t pol, std::size_t t) { return w_.amplitude.data() + (pol * nt_ + t) * w_.row; }
  float* Data(std::size_t t) { return w_.data.data() + t * w_.row; }
  Bits* Mask(std::size_t t) { return w_.mask.data() + t * nc_; }

  // Amplitudes with lanes innermost; missing samples are 0, empty lanes missing throughout.
  void Gather() {
    const std::size_t np = plan_.n_pols, samples = nc_ * np;
    const std::size_t lane_stride = samples + 16;
    std::fill(w_.gather.begin(), w_.gather.end(), 0.0f);
    const auto empty = static_cast<Bits>(((1u << lanes_) - 1) & ~((1u << group_.count) - 1));
    std::fill(w_.missing.begin(), w_.missing.end(), empty);
    for (std::size_t t = 0; t < nt_; ++t) {
      for (std::size_t lane = 0; lane < group_.count; ++lane) {
        const std::size_t at = (t * group_.n_baselines + group_.baselines[lane]) * samples;
        const float* vis = reinterpret_cast<const float*>(group_.vis + at);
        const std::uint8_t* flag = group_.flag + at;
        float* out = w_.gather.data() + lane * lane_stride;
        AmplitudesOf(vis, samples, out);
        if (std::memchr(flag, 1, samples) == nullptr) continue;
        for (std::size_t c = 0; c < nc_; ++c) {
          for (std::size_t p = 0; p < np; ++p) {
            if (flag[c * np + p] == 0) continue;
            out[c * np + p] = 0;
            Missing(p)[t * nc_ + c] |= static_cast<Bits>(1u << lane);
          }
        }
      }
      for (std::size_t p = 0; p < np; ++p) {
        float* out = Amplitude(p, t);
        const float* in = w_.gather.data() + p;
        for (std::size_t c = 0; c < nc_; ++c) {
          for (std::size_t lane = 0; lane < lanes_; ++lane) out[c * lanes_ + lane] = in[lane * lane_stride + c * np];
        }
      }
    }
  }

  // gaps_[pol]: the planes of which some integrations lack a tenth or more of the samples that the fullest has.
  void FindGaps(std::size_t pol) {
    constexpr float kFull = 0.9f;
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    V least = hn::Set(d_, std::numeric_limits<float>::max()), most = zero;
    for (std::size_t t = 0; t < nt_; ++t) {
      V n = zero;
      for (std::size_t c = 0; c < nc_; ++c) {
        n = hn::Add(n, hn::IfThenZeroElse(LoadBits(d_, Missing(pol) + t * nc_ + c), one));
      }
      least = hn::Min(least, n);
      most = hn::Max(most, n);
    }
    StoreBits(d_, hn::Lt(least, hn::Mul(most, hn::Set(d_, kFull))), &gaps_[pol]);
  }

  HWY_INLINE void AmplitudesOf(const float* HWY_RESTRICT vis, std::size_t n, float* HWY_RESTRICT out) {
    std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    for (; i + lanes_ <= n; i += lanes_) {
      V re, im;
      hn::LoadInterleaved2(d_, vis + 2 * i, re, im);
      hn::StoreU(hn::Sqrt(hn::MulAdd(re, re, hn::Mul(im, im))), d_, out + i);
    }
#endif
    for (; i < n; ++i) out[i] = std::sqrt(vis[2 * i] * vis[2 * i] + vis[2 * i + 1] * vis[2 * i + 1]);
  }

  // Where a plane's band shape is rough on the scale of its noise, as in uncalibrated data of a bright source, the
  // smooth background cannot follow it and SumThreshold would take the instrument for interference: such planes are
  // brought to a flat band. Rough means: the typical second difference of the mean spectrum is more than three times
  // what the noise of the means makes; the noise comes from differences in time.
  // Their gains then vary by a per cent or two, which is no interference either: the noise counts as at least that.
  void NormalizeBandpass(std::size_t pol) {
    constexpr float kGainStability = 0.02f;
    std::fill(floor_[pol], floor_[pol] + 16, 0.0f);
    if (nt_ < 3 || nc_ < 3) return;
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    V change = zero, n_changes = zero;
    for (std::size_t c = 0; c < nc_; ++c) {
      V sum = zero, n = zero, previous = zero;
      M previous_bad = hn::Eq(zero, zero);
      for (std::size_t t = 0; t < nt_; ++t) {
        const M bad = LoadBits(d_, Missing(pol) + t * nc_ + c);
        const V v = hn::Load(d_, Amplitude(pol, t) + c * lanes_);
        sum = hn::Add(sum, hn::IfThenZeroElse(bad, v));
        n = hn::Add(n, hn::IfThenZeroElse(bad, one));
        const M skip = hn::Or(bad, previous_bad);
        change = hn::Add(change, hn::IfThenZeroElse(skip, hn::AbsDiff(v, previous)));
        n_changes = hn::Add(n_changes, hn::IfThenZeroElse(skip, one));
        previous = v;
        previous_bad = bad;
      }
      const V mean = hn::Div(sum, hn::Max(n, one));
      hn::Store(hn::IfThenElse(hn::Gt(n, zero), mean, hn::Neg(one)), d_, w_.line.data() + c * lanes_);
    }
    alignas(64) float change_lane[16];
    hn::Store(hn::Div(change, hn::Max(n_changes, one)), d_, change_lane);
    for (std::size_t lane = 0; lane < group_.count; ++lane) {
      if (!IsRough(w_.line.data() + lane, lanes_, nc_, change_lane[lane] / std::sqrt(static_cast<float>(nt_))))
        continue;
      floor_[pol][lane] = kGainStability * FlattenBand(Amplitude(pol, 0) + lane, {nt_, nc_, w_.row, lanes_});
    }
  }

  // Leaves the flags of one polarisation in w_.mask.
  void Detect(std::size_t pol) {
    std::copy(Missing(pol), Missing(pol) + nt_ * nc_, w_.mask.begin());
    std::copy(Amplitude(pol, 0), Amplitude(pol, 0) + nt_ * w_.row, w_.data.begin());
    for (int round = 0;; ++round) {
      const double sensitivity = plan_.Sensitivity(round);
      const V noise = hn::Max(Noise(), hn::Load(d_, floor_[pol]));
      std::fill(w_.mask.begin(), w_.mask.end(), Bits{0});
      SumThreshold(hn::Mul(noise, hn::Set(d_, static_cast<float>(6 * sensitivity))));
      if (round + 1 == plan_.iterations) return;
      for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.mask[i] |= Missing(pol)[i];
      LoopTimesteps();
      LoopChannels(plan_.channel_rms * sensitivity / plan_.base_threshold);
      for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.mask[i] |= Missing(pol)[i];
      RemoveBackground(pol);
    }
  }

  // The mode of a Rayleigh distribution with the second moment of the unflagged data, those above the 90th percentile
  // put to it; 1.0541 makes up for what that takes from a pure Rayleigh distribution.
  V Noise() {
    const V zero = hn::Zero(d_), one = hn::Set(d_, 1.0f);
    V n = zero, low = hn::Set(d_, std::numeric_limits<float>::infinity()), high = hn::Neg(low);
    for (std::size_t t = 0; t < nt_; ++t) {
      const float* x = Data(t);
      const Bits* m = Mask(t);
      for (std::size_t c = 0; c < nc_; ++c) {
        const M bad = LoadBits(d_, m + c);
        const V v = hn::Load(d_, x + c * lanes_);
        n = hn::Add(n, hn::IfThenZeroElse(bad, one));
        low = hn::IfThenElse(bad, low, hn::Min(low, v));
        high = hn::IfThenElse(bad, high, hn::Max(high, v));
      }
    }
    // Position of the percentile among the sorted data; so many values must not exceed it.
    const V index = hn::Max(hn::Sub(hn::Floor(hn::Mul(hn::Set(d_, 0.9f), n)), one), zero);
    const V allowed = hn::Sub(hn::Sub(n, one), index);
    const V percentile = Percentile(low, high, allowed);
    V sum = zero;
    for (std::size_t t = 0; t < nt_; ++t) {
      const float* x = Data(t);
      const Bits* m = Mask(t);
      V row_sum = zero;
      for (std::size_t c = 0; c < nc_; ++c) {
        const V v = hn::IfThenZeroElse(LoadBits(d_, m + c), hn::Min(hn::Load(d_, x + c * lanes_), percentile));
        row_sum = hn::MulAdd(v, v, row_sum);
      }
      sum = hn::Add(sum, row_sum);
    }
    const V mode = hn::Mul(hn::Sqrt(hn::Div(hn::Mul(sum, hn::Set(d_, 0.5f)), hn::Max(n, one))), hn::Set(d_, 1.0541f));
    return hn::IfThenElse(hn::Gt(n, zero), mode, zero);
  }

  // The smallest value that at most `allowed` unflagged data exceed, to a relative 1e-4 (the noise is less sensitive to
  // it by another factor of ten).
  V Percentile(V low, V high, V allowed) {
    const DI di;
    auto lo = ToKey(low), hi = ToKey(high);
    for (int step = 0; step < 22; ++step) {
      const auto middle = Midpoint(lo, hi);
      const V pivot = FromKey(middle);
      const M few = hn::Le(CountAbove(pivot), allowed);
      const auto few_i = hn::RebindMask(di, few);
      hi = hn::IfThenElse(few_i, middle, hi);
      lo = hn::IfThenElse(few_i, lo, middle);
    }
    return FromKey(hi);
  }

  V CountAbove(V pivot) {
    const V one = hn::Set(d_, 1.0f);
    V count0 = hn::Zero(d_), count1 = hn::Zero(d_);
    for (std::size_t t = 0; t < nt_; ++t) {
      const float* x = Data(t);
      const Bits* m = Mask(t);
      std::size_t c = 0;
      for (; c + 2 <= nc_; c += 2) {
        const M above0 = hn::AndNot(LoadBits(d_, m + c), hn::Gt(hn::Load(d_, x + c * lanes_), pivot));
        const M above1 = hn::AndNot(LoadBits(d_, m + c + 1), hn::Gt(hn::Load(d_, x + (c + 1) * lanes_), pivot));
        count0 = hn::Add(count0, hn::IfThenElseZero(above0, one));
        count1 = hn::Add(count1, hn::IfThenElseZero(above1, one));
      }
      for (; c < nc_; ++c) {
        const M above = hn::AndNot(LoadBits(d_, m + c), hn::Gt(hn::Load(d_, x + c * lanes_), pivot));
        count0 = hn::Add(count0, hn::IfThenElseZero(above, one));
      }
    }
    return hn::Add(count0, count1);
  }

  // `limit`: for a single sample. A run of L samples is flagged when the mean of its unflagged samples exceeds
  // limit · 1.5^log2(L) / L, for L = 1, 2, 4 … 256, each length along time first and then along frequency.
  //
  // These limits are meant for noise that is independent from sample to sample. The fringes of bright sources are not:
  // their runs of L samples scatter nearly as much as single ones, and would be flagged where they add up. So a run
  // must also stand out from the other runs of its length in the plane. Independent noise never needs that: five times
  // its scatter is below the limit at every L.
  void SumThreshold(V limit) {
    const V time_factor = hn::Set(d_, static_cast<float>(plan_.transient_factor));
    for (int k = 0; k <= 8; ++k) {
      const std::size_t length = std::size_t{1} << k;
      const V mean_limit =
          hn::Mul(limit, hn::Set(d_, static_cast<float>(std::pow(1.5, k) / static_cast<double>(length))));
      if (length == 1) {
        Singles(hn::Min(mean_limit, hn::Mul(mean_limit, time_factor)));
        continue;
      }
      if (length <= nt_) {
        Runs({w_.row, nc_, nt_, lanes_, 1, nc_}, length, hn::Mul(mean_limit, time_factor));
      }
      if (length <= nc_) Runs({lanes_, 1, nc_, w_.row, nc_, nt_}, length, mean_limit);
    }
  }

  // The lines of a plane along one axis: strides of data and mask from sample to sample and from line to line.
  struct Axis {
    std::size_t step, mask_step, samples;
    std::size_t line_step, mask_line_step, lines;
  };

  // Marks the runs of `length` along `axis` whose mean exceeds the limit and what is usual. The latter is looked for
  // when the first run exceeds the limit: most planes have none.
  void Runs(const Axis& axis, std::size_t length, V limit) {
    bool asked = false;
    for (std::size_t line = 0; line < axis.lines; ++line) {
      const float* x = Data(0) + line * axis.line_step;
      Bits* mask = w_.mask.data() + line * axis.mask_line_step;
      if (!Hits(axis, x, mask, length, limit)) continue;
      if (!asked) {
        asked = true;
        limit = hn::Max(limit, UsualRun(axis, length));
        if (!Hits(axis, x, mask, length, limit)) continue;
      }
      Spread(mask, axis.mask_step, axis.samples, length);
    }
  }

  // What the mean of a run of `length` along `axis` may be by the scatter of such means: the distance of the median
  // from zero and window_scatter standard deviations, these from the quartiles, which interference in up to a quarter
  // of the runs does not move far. From at most kMaxWindows runs that do not overlap, spread over the plane.
  V UsualRun(const Axis& axis, std::size_t length) {
    const V zero = hn::Zero(d_), one = hn::Set(d_, 1.0f);
    if (plan_.window_scatter == 0) return zero;
    const std::size_t in_line = axis.samples / length, all = in_line * axis.lines;
    const std::size_t n = std::min(all, kMaxWindows);
    if (n < 8) return zero;
    V count = zero, low = hn::Set(d_, std::numeric_limits<float>::infinity()), high = hn::Neg(low);
    for (std::size_t i = 0; i < n; ++i) {
      // Steps of the golden section visit lines and places in them evenly.
      const std::size_t run = n == all ? i : (std::uint32_t(i * 0x9e3779b1u) * std::uint64_t{all}) >> 32;
      const std::size_t line = run / in_line, first = (run % in_line) * length;
      const float* x = Data(0) + line * axis.line_step + first * axis.step;
      const Bits* m = w_.mask.data() + line * axis.mask_line_step + first * axis.mask_step;
      V sum = zero, used = zero;
      for (std::size_t k = 0; k < length; ++k) {
        const M bad = LoadBits(d_, m + k * axis.mask_step);
        sum = hn::Add(sum, hn::IfThenZeroElse(bad, hn::Load(d_, x + k * axis.step)));
        used = hn::Add(used, hn::IfThenZeroElse(bad, one));
      }
      const M some = hn::Gt(used, zero);
      const V mean = hn::Div(sum, hn::Max(used, one));
      count = hn::Add(count, hn::IfThenElseZero(some, one));
      low = hn::IfThenElse(some, hn::Min(low, mean), low);
      high = hn::IfThenElse(some, hn::Max(high, mean), high);
      hn::Store(hn::IfThenElse(some, mean, hn::Set(d_, std::numeric_limits<float>::infinity())), d_,
                w_.windows.data() + i * lanes_);
    }
    const V quarter = hn::Mul(count, hn::Set(d_, 0.25f));
    V lower = low, upper = low;
    Quartiles(n, low, high, quarter, lower, upper);
    const V centre = hn::Mul(hn::Add(lower, upper), hn::Set(d_, 0.5f));
    const V scatter = hn::Mul(hn::Sub(upper, lower), hn::Set(d_, static_cast<float>(plan_.window_scatter / 1.349)));
    return hn::IfThenElseZero(hn::Ge(count, hn::Set(d_, 8.0f)), hn::Add(hn::Abs(centre), scatter));
  }

  // The values below which a quarter and three quarters of the run means lie, by bisection on their keys.
  void Quartiles(std::size_t n, V low, V high, V quarter, V& lower, V& upper) {
    const DI di;
    const V one = hn::Set(d_, 1.0f), three_quarters = hn::Mul(quarter, hn::Set(d_, 3.0f));
    auto lo1 = ToKey(low), hi1 = ToKey(high), lo3 = lo1, hi3 = hi1;
    for (int step = 0; step < 22; ++step) {
      const auto middle1 = Midpoint(lo1, hi1), middle3 = Midpoint(lo3, hi3);
      const V pivot1 = FromKey(middle1), pivot3 = FromKey(middle3);
      V below1 = hn::Zero(d_), below3 = hn::Zero(d_);
      for (std::size_t i = 0; i < n; ++i) {
        const V v = hn::Load(d_, w_.windows.data() + i * lanes_);
        below1 = hn::Add(below1, hn::IfThenElseZero(hn::Lt(v, pivot1), one));
        below3 = hn::Add(below3, hn::IfThenElseZero(hn::Lt(v, pivot3), one));
      }
      const auto up1 = hn::RebindMask(di, hn::Gt(below1, quarter)),
                 up3 = hn::RebindMask(di, hn::Gt(below3, three_quarters));
      hi1 = hn::IfThenElse(up1, middle1, hi1);
      lo1 = hn::IfThenElse(up1, lo1, middle1);
      hi3 = hn::IfThenElse(up3, middle3, hi3);
      lo3 = hn::IfThenElse(up3, lo3, middle3);
    }
    lower = FromKey(lo1);
    upper = FromKey(hi3);
  }

  void Singles(V limit) {
    for (std::size_t t = 0; t < nt_; ++t) {
      const float* x = Data(t);
      Bits* m = Mask(t);
      for (std::size_t c = 0; c < nc_; ++c) StoreBits(d_, hn::Gt(hn::Abs(hn::Load(d_, x + c * lanes_)), limit), m + c);
    }
  }

  // Whether the mean of any run of `length` samples in the line at `x` exceeds the limit; which, in w_.hits by first
  // sample.
  HWY_INLINE bool Hits(const Axis& axis, const float* x, const Bits* mask, std::size_t length, V limit) {
    const V one = hn::Set(d_, 1.0f);
    const std::size_t step = axis.step, mask_step = axis.mask_step;
    V sum = hn::Zero(d_), count = hn::Zero(d_);
    Bits* hits = w_.hits.data();
    unsigned any = 0;
    for (std::size_t k = 0; k < length - 1; ++k) {
      const M bad = LoadBits(d_, mask + k * mask_step);
      sum = hn::Add(sum, hn::IfThenZeroElse(bad, hn::Load(d_, x + k * step)));
      count = hn::Add(count, hn::IfThenZeroElse(bad, one));
    }
    for (std::size_t k = length - 1; k < axis.samples; ++k) {
      const M bad = LoadBits(d_, mask + k * mask_step);
      sum = hn::Add(sum, hn::IfThenZeroElse(bad, hn::Load(d_, x + k * step)));
      count = hn::Add(count, hn::IfThenZeroElse(bad, one));
      const std::size_t first = k + 1 - length;
      StoreBits(d_, hn::Gt(hn::Abs(sum), hn::Mul(limit, count)), hits + first);
      any |= hits[first];
      const M old_bad = LoadBits(d_, mask + first * mask_step);
      sum = hn::Sub(sum, hn::IfThenZeroElse(old_bad, hn::Load(d_, x + first * step)));
      count = hn::Sub(count, hn::IfThenZeroElse(old_bad, one));
    }
    return any != 0;
  }

  // Flags the `length` samples of each window that was hit; `length` is a power of two.
  void Spread(Bits* mask, std::size_t mask_stride, std::size_t n, std::size_t length) {
    Bits* from = w_.hits.data();
    Bits* to = w_.spread.data();
    std::fill(from + n - length + 1, from + n, Bits{0});
    for (std::size_t step = 1; step < length; step *= 2) {
      std::copy(from, from + step, to);
      for (std::size_t k = step; k < n; ++k) to[k] = from[k] | from[k - step];
      std::swap(from, to);
    }
    for (std::size_t k = 0; k < n; ++k) mask[k * mask_stride] |= from[k];
  }

  void LoopTimesteps() {
    TimestepRms(w_.mask.data(), [&](std::size_t t, std::size_t c) {
      const V v = hn::Load(d_, Data(t) + c * lanes_);
      return hn::Mul(v, v);
    });
    FlagTimesteps(w_.mask.data(), plan_.timestep_rms);
  }

  // Each polarisation's amplitudes under the joint flags.
  void FinalTimesteps() {
    w_.mask = w_.found;
    for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.mask[i] |= Missing(0)[i];
    for (std::size_t p = 0; p < plan_.n_pols; ++p) {
      TimestepRms(w_.mask.data(), [&](std::size_t t, std::size_t c) {
        const V v = hn::Load(d_, Amplitude(p, t) + c * lanes_);
        return hn::Mul(v, v);
      });
      FlagTimesteps(w_.found.data(), plan_.final_timestep_rms);
    }
  }

  // w_.line[time][lane] = rms of the unflagged samples, negative where there are none.
  template <typename Power>
  void TimestepRms(const Bits* mask, const Power& power) {
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    for (std::size_t t = 0; t < nt_; ++t) {
      V sum = zero, n = zero;
      for (std::size_t c = 0; c < nc_; ++c) {
        const M bad = LoadBits(d_, mask + t * nc_ + c);
        sum = hn::Add(sum, hn::IfThenZeroElse(bad, power(t, c)));
        n = hn::Add(n, hn::IfThenZeroElse(bad, one));
      }
      const V rms = hn::Sqrt(hn::Div(sum, hn::Max(n, one)));
      hn::Store(hn::IfThenElse(hn::Gt(n, zero), rms, hn::Neg(one)), d_, w_.line.data() + t * lanes_);
    }
  }

  void FlagTimesteps(Bits* mask, double threshold) {
    for (std::size_t lane = 0; lane < group_.count; ++lane) {
      const auto outliers = TimestepOutliers(w_.line.data() + lane, lanes_, nt_, threshold);
      for (std::size_t t : outliers) {
        for (std::size_t c = 0; c < nc_; ++c) mask[t * nc_ + c] |= static_cast<Bits>(1u << lane);
      }
    }
  }

  void LoopChannels(double threshold) {
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    V n_lines = zero, total = zero, squares = zero, highest = zero,
      lowest = hn::Set(d_, std::numeric_limits<float>::max());
    for (std::size_t c = 0; c < nc_; ++c) {
      V sum = zero, n = zero;
      for (std::size_t t = 0; t < nt_; ++t) {
        const M bad = LoadBits(d_, Mask(t) + c);
        const V v = hn::IfThenZeroElse(bad, hn::Load(d_, Data(t) + c * lanes_));
        sum = hn::MulAdd(v, v, sum);
        n = hn::Add(n, hn::IfThenZeroElse(bad, one));
      }
      const V rms = hn::Sqrt(hn::Div(sum, hn::Max(n, one)));
      const M some = hn::Gt(n, zero);
      hn::Store(hn::IfThenElse(some, rms, hn::Neg(one)), d_, w_.line.data() + c * lanes_);
      n_lines = hn::Add(n_lines, hn::IfThenElseZero(some, one));
      total = hn::Add(total, hn::IfThenElseZero(some, rms));
      squares = hn::Add(squares, hn::IfThenElseZero(some, hn::Mul(rms, rms)));
      highest = hn::Max(highest, hn::IfThenElseZero(some, rms));
      lowest = hn::IfThenElse(some, hn::Min(lowest, rms), lowest);
    }
    // Most lanes have nothing: the spread about the median is at least that about the mean, and the median lies within
    // one standard deviation of the mean.
    alignas(64) float high_lane[16], low_lane[16];
    const V mean = hn::Div(total, hn::Max(n_lines, one));
    const V sigma = hn::Sqrt(hn::Max(hn::Sub(hn::Div(squares, hn::Max(n_lines, one)), hn::Mul(mean, mean)), zero));
    const V reach = hn::Mul(sigma, hn::Set(d_, static_cast<float>((threshold - 1) * 0.999)));
    hn::Store(hn::Sub(hn::Sub(highest, mean), reach), d_, high_lane);
    hn::Store(hn::Sub(hn::Sub(mean, lowest), reach), d_, low_lane);
    for (std::size_t lane = 0; lane < group_.count; ++lane) {
      if (high_lane[lane] < 0 && low_lane[lane] < 0) continue;
      for (std::size_t c : ChannelOutliers(w_.line.data() + lane, lanes_, nc_, threshold)) {
        for (std::size_t t = 0; t < nt_; ++t) Mask(t)[c] |= static_cast<Bits>(1u << lane);
      }
    }
  }

  // data = amplitude − smooth background of the unflagged amplitudes; 0 where missing.
  //
  // The background is a weighted mean. Beside the ends of the data it lags behind a source that rises or sets. Both
  // ends of a whole plane deviate about alike and are taken for its usual scatter, but one end that stands alone would
  // be taken for interference: planes with gaps get the weighted parabola in time instead, at any end.
  void RemoveBackground(std::size_t pol) {
    const std::size_t n_coarse = plan_.n_coarse, resize = plan_.time_resize;
    float* const weights = w_.coarse.data() + n_coarse * w_.row;
    float* const smooth_weights = w_.smooth.data() + n_coarse * w_.row;
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    for (std::size_t s = 0; s < n_coarse; ++s) {
      float* value = w_.coarse.data() + s * w_.row;
      float* weight = weights + s * w_.row;
      bool whole = true;
      V moment = zero, count = zero;
      const std::size_t begin = s * resize, end = std::min(nt_, begin + resize);
      for (std::size_t c = 0; c < nc_; ++c) {
        V sum = zero, n = zero;
        for (std::size_t t = begin; t < end; ++t) {
          const M bad = LoadBits(d_, Mask(t) + c);
          sum = hn::Add(sum, hn::IfThenZeroElse(bad, hn::Load(d_, Amplitude(pol, t) + c * lanes_)));
          n = hn::Add(n, hn::IfThenZeroElse(bad, one));
          if (gaps_[pol] == 0) continue;
          moment = hn::Add(moment, hn::IfThenZeroElse(bad, hn::Set(d_, static_cast<float>(t))));
          count = hn::Add(count, hn::IfThenZeroElse(bad, one));
        }
        const M some = hn::Gt(n, zero);
        whole = whole && hn::AllTrue(d_, some);
        hn::Store(hn::Div(sum, hn::Max(n, one)), d_, value + c * lanes_);
        hn::Store(hn::IfThenElseZero(some, one), d_, weight + c * lanes_);
      }
      if (gaps_[pol] != 0) {
        const V middle = hn::Set(d_, 0.5f * static_cast<float>(begin + end - 1));
        hn::Store(hn::IfThenElse(hn::Gt(count, zero), hn::Div(moment, hn::Max(count, one)), middle), d_,
                  w_.places.data() + s * lanes_);
      }
      AlongChannels(value, w_.smooth.data() + s * w_.row);
      float* out = smooth_weights + s * w_.row;
      if (whole) {
        for (std::size_t c = 0; c < nc_; ++c) hn::Store(hn::Set(d_, plan_.channel_norm[c]), d_, out + c * lanes_);
      } else {
        AlongChannels(weight, out);
      }
    }
    for (std::size_t s = 0; s < n_coarse; ++s) {
      const std::size_t reach = plan_.kernel_times.size() - 1;
      const std::size_t first = s > reach ? s - reach : 0, last = std::min(n_coarse - 1, s + reach);
      for (std::size_t c = 0; c < nc_; ++c) {
        V sum = zero, norm = zero;
        for (std::size_t k = first; k <= last; ++k) {
          const V g = hn::Set(d_, plan_.kernel_times[k > s ? k - s : s - k]);
          sum = hn::MulAdd(g, hn::Load(d_, w_.smooth.data() + k * w_.row + c * lanes_), sum);
          norm = hn::MulAdd(g, hn::Load(d_, smooth_weights + k * w_.row + c * lanes_), norm);
        }
        const V background = hn::IfThenElseZero(hn::Gt(norm, zero), hn::Div(sum, norm));
        V curve[3] = {background, zero, zero};
        if (gaps_[pol] != 0) FitCurve(pol, s, c, first, last, norm, background, curve);
        for (std::size_t t = s * resize; t < std::min(nt_, (s + 1) * resize); ++t) {
          V v = hn::Load(d_, Amplitude(pol, t) + c * lanes_);
          if (gaps_[pol] == 0) {
            v = hn::Sub(v, background);
          } else {
            const V x = hn::Sub(hn::Set(d_, static_cast<float>(t)), hn::Load(d_, w_.places.data() + s * lanes_));
            v = hn::Sub(v, hn::MulAdd(hn::MulAdd(curve[2], x, curve[1]), x, curve[0]));
          }
          hn::Store(hn::IfThenZeroElse(LoadBits(d_, Missing(pol) + t * nc_ + c), v), d_, Data(t) + c * lanes_);
        }
      }
    }
  }

  // a[0] + a[1] x + a[2] x² through the smoothed values, x the time from the place of averaged integration `s`: the
  // weighted parabola, the straight line or `mean` alone where they have not the extent for more, and `mean` in planes
  // without gaps.
  void FitCurve(std::size_t pol, std::size_t s, std::size_t c, std::size_t first, std::size_t last, V norm, V mean,
                V* a) {
    const float* const weights = w_.smooth.data() + plan_.n_coarse * w_.row;
    const V here = hn::Load(d_, w_.places.data() + s * lanes_), zero = hn::Zero(d_);
    V n1 = zero, n2 = zero, n3 = zero, n4 = zero, sum1 = zero, sum2 = zero;
    for (std::size_t k = first; k <= last; ++k) {
      const V g = hn::Set(d_, plan_.kernel_times[k > s ? k - s : s - k]);
      const V x = hn::Sub(hn::Load(d_, w_.places.data() + k * lanes_), here), x2 = hn::Mul(x, x);
      const V weight = hn::Mul(g, hn::Load(d_, weights + k * w_.row + c * lanes_));
      const V value = hn::Mul(g, hn::Load(d_, w_.smooth.data() + k * w_.row + c * lanes_));
      n1 = hn::MulAdd(x, weight, n1);
      n2 = hn::MulAdd(x2, weight, n2);
      n3 = hn::MulAdd(hn::Mul(x2, x), weight, n3);
      n4 = hn::MulAdd(hn::Mul(x2, x2), weight, n4);
      sum1 = hn::MulAdd(x, value, sum1);
      sum2 = hn::MulAdd(x2, value, sum2);
    }
    // From here on means: variances and covariances of x, x² and the values.
    const V scale = hn::Div(hn::Set(d_, 1.0f), hn::Max(norm, hn::Set(d_, std::numeric_limits<float>::min())));
    n1 = hn::Mul(n1, scale);
    n2 = hn::Mul(n2, scale);
    const V v11 = hn::NegMulAdd(n1, n1, n2), v12 = hn::NegMulAdd(n1, n2, hn::Mul(n3, scale)),
            v22 = hn::NegMulAdd(n2, n2, hn::Mul(n4, scale)), d1 = hn::NegMulAdd(n1, mean, hn::Mul(sum1, scale)),
            d2 = hn::NegMulAdd(n2, mean, hn::Mul(sum2, scale));
    const V determinant = hn::NegMulAdd(v12, v12, hn::Mul(v11, v22));
    // More than three averaged integrations next to each other; a standard deviation of half an integration.
    const M gaps = LoadBits(d_, &gaps_[pol]), curved = hn::And(gaps, hn::Gt(determinant, hn::Set(d_, 200.0f))),
            straight = hn::And(gaps, hn::Gt(v11, hn::Set(d_, 0.25f)));
    const V slope = hn::IfThenElseZero(straight, hn::Div(d1, v11));
    a[1] = hn::IfThenElse(curved, hn::Div(hn::NegMulAdd(d2, v12, hn::Mul(d1, v22)), determinant), slope);
    a[2] = hn::IfThenElseZero(curved, hn::Div(hn::NegMulAdd(d1, v12, hn::Mul(d2, v11)), determinant));
    a[0] = hn::NegMulAdd(a[2], n2, hn::NegMulAdd(a[1], n1, mean));
  }

  // One row convolved with the channel kernel; what lies outside the band counts nothing.
  HWY_INLINE void AlongChannels(const float* HWY_RESTRICT in, float* HWY_RESTRICT out) {
    const std::size_t reach = plan_.kernel_channels.size() - 1;
    for (std::size_t c = 0; c < nc_; ++c) {
      V sum = hn::Load(d_, in + c * lanes_);
      if (c >= reach && c + reach < nc_) {
        for (std::size_t k = 1; k <= reach; ++k) {
          const V pair = hn::Add(hn::Load(d_, in + (c - k) * lanes_), hn::Load(d_, in + (c + k) * lanes_));
          sum = hn::MulAdd(hn::Set(d_, plan_.kernel_channels[k]), pair, sum);
        }
      } else {
        for (std::size_t k = 1; k <= reach; ++k) {
          const V g = hn::Set(d_, plan_.kernel_channels[k]);
          if (c >= k) sum = hn::MulAdd(g, hn::Load(d_, in + (c - k) * lanes_), sum);
          if (c + k < nc_) sum = hn::MulAdd(g, hn::Load(d_, in + (c + k) * lanes_), sum);
        }
      }
      hn::Store(sum, d_, out + c * lanes_);
    }
  }

  // A sample counts as missing in the joint mask when every polarisation lacks it: kept in w_.missing of the first.
  void Join() {
    for (std::size_t p = 1; p < plan_.n_pols; ++p) {
      for (std::size_t i = 0; i < nt_ * nc_; ++i) Missing(0)[i] &= Missing(p)[i];
    }
  }

  void RankOperator() {
    if (plan_.sir_times > 0) {
      for (std::size_t c = 0; c < nc_; ++c) RankLine(c, nc_, nt_, plan_.sir_times);
    }
    if (plan_.sir_channels > 0) {
      for (std::size_t t = 0; t < nt_; ++t) RankLine(t * nc_, 1, nc_, plan_.sir_channels);
    }
  }

  // Flags y when an interval around it has no larger fraction of good samples than eta: with S the running sum of
  // (eta − good), when the largest S behind y is at least the smallest S before it. Sums are whole multiples of 1/1000,
  // so that equality is decided by arithmetic and not by rounding. Missing samples count nothing.
  HWY_INLINE void RankLine(std::size_t begin, std::size_t stride, std::size_t n, double eta) {
    Bits* found = w_.found.data() + begin;
    const Bits* missing = Missing(0) + begin;
    unsigned any = 0;
    for (std::size_t k = 0; k < n; ++k) any |= found[k * stride];
    if (any == 0) return;
    const V bad_step = hn::Set(d_, static_cast<float>(std::lround(eta * 1000)));
    const V good_step = hn::Sub(bad_step, hn::Set(d_, 1000.0f));
    float* line = w_.line.data();  // smallest sum before y
    V sum = hn::Zero(d_), smallest = hn::Zero(d_);
    for (std::size_t k = 0; k < n; ++k) {
      smallest = hn::Min(smallest, sum);
      hn::Store(smallest, d_, line + k * lanes_);
      const V step = hn::IfThenElse(LoadBits(d_, found + k * stride), bad_step, good_step);
      sum = hn::Add(sum, hn::IfThenZeroElse(LoadBits(d_, missing + k * stride), step));
    }
    V largest = sum;
    for (std::size_t k = n; k-- > 0;) {
      largest = hn::Max(largest, sum);
      const V step = hn::IfThenElse(LoadBits(d_, found + k * stride), bad_step, good_step);
      sum = hn::Sub(sum, hn::IfThenZeroElse(LoadBits(d_, missing + k * stride), step));
      StoreBits(d_, hn::Ge(largest, hn::Load(d_, line + k * lanes_)), found + k * stride);
    }
  }

  void WriteBack() {
    const std::size_t np = plan_.n_pols;
    for (std::size_t t = 0; t < nt_; ++t) {
      const Bits* found = w_.found.data() + t * nc_;
      unsigned any = 0;
      for (std::size_t c = 0; c < nc_; ++c) any |= found[c];
      for (std::size_t lane = 0; lane < group_.count; ++lane) {
        if ((any >> lane & 1u) == 0) continue;
        std::uint8_t* flag = group_.flag + (t * group_.n_baselines + group_.baselines[lane]) * nc_ * np;
        for (std::size_t c = 0; c < nc_; ++c) {
          if ((found[c] >> lane & 1u) == 0) continue;
          for (std::size_t p = 0; p < np; ++p) flag[c * np + p] = 1;
        }
      }
    }
  }

  const D d_{};
  alignas(64) float floor_[4][16] = {};  // of the noise, [pol][lane]
  Bits gaps_[4] = {};                    // planes with gaps in time, [pol]
  const RfiPlan& plan_;
  const RfiGroup& group_;
  RfiWorkspace& w_;
  const std::size_t lanes_, nt_, nc_;
};

void RunGroup(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& workspace) {
  Group(plan, group, workspace).Run();
}
std::size_t CountLanes() { return hn::Lanes(D()); }

}  // namespace contimg::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {

HWY_EXPORT(RunGroup);
HWY_EXPORT(CountLanes);

std::size_t RfiLanes() { return HWY_DYNAMIC_DISPATCH(CountLanes)(); }

void FlagRfiGroup(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& workspace) {
  HWY_DYNAMIC_DISPATCH(RunGroup)(plan, group, workspace);
}

}  // namespace contimg::calibrate
#endif
