// SumThreshold (Offringa et al. 2010) on a pack of baselines.
// Included once for each instruction set (Highway's foreach_target).
#if defined(CONTIMG_CALIBRATE_FLAG_RFI_THRESHOLD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONTIMG_CALIBRATE_FLAG_RFI_THRESHOLD_INL_H_
#undef CONTIMG_CALIBRATE_FLAG_RFI_THRESHOLD_INL_H_
#else
#define CONTIMG_CALIBRATE_FLAG_RFI_THRESHOLD_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <utility>

#include "calibrate/flag_rfi_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

// Noise of the plane at work, and the runs of samples that stand out of it.
class SumThreshold : private PackPlanes {
 public:
  explicit SumThreshold(const PackPlanes& planes) : PackPlanes(planes) {}

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

  // `limit`: for a single sample. A run of L samples is flagged when the mean of its unflagged samples exceeds
  // limit · 1.5^log2(L) / L, for L = 1, 2, 4 … 256, each length along time first and then along frequency.
  //
  // These limits are meant for noise that is independent from sample to sample. The fringes of bright sources are not:
  // their runs of L samples scatter nearly as much as single ones, and would be flagged where they add up. So a run
  // must also stand out from the other runs of its length in the plane. Independent noise never needs that: five times
  // its scatter is below the limit at every L.
  void Flag(V limit) {
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

 private:
  // The smallest value that at most `allowed` unflagged data exceed, to a relative 1e-4 (the noise is less sensitive to
  // it by another factor of ten): 22 bisections, two of them for each look at the data, which a core's cache does not
  // hold.
  V Percentile(V low, V high, V allowed) {
    const DI di;
    auto lo = ToKey(low), hi = ToKey(high);
    for (int step = 0; step < 11; ++step) {
      const auto middle = Midpoint(lo, hi), below = Midpoint(lo, middle), above = Midpoint(middle, hi);
      const V pivots[3] = {FromKey(below), FromKey(middle), FromKey(above)};
      V counts[3];
      CountAbove(pivots, counts);
      const auto few_below = hn::RebindMask(di, hn::Le(counts[0], allowed));
      const auto few = hn::RebindMask(di, hn::Le(counts[1], allowed));
      const auto few_above = hn::RebindMask(di, hn::Le(counts[2], allowed));
      hi = hn::IfThenElse(few, hn::IfThenElse(few_below, below, middle), hn::IfThenElse(few_above, above, hi));
      lo = hn::IfThenElse(few, hn::IfThenElse(few_below, lo, below), hn::IfThenElse(few_above, middle, above));
    }
    return FromKey(hi);
  }

  // How many unflagged data exceed each pivot.
  HWY_INLINE void CountAbove(const V (&pivots)[3], V (&counts)[3]) {
    const V one = hn::Set(d_, 1.0f);
    V count0 = hn::Zero(d_), count1 = count0, count2 = count0;
    for (std::size_t t = 0; t < nt_; ++t) {
      const float* x = Data(t);
      const Bits* m = Mask(t);
      for (std::size_t c = 0; c < nc_; ++c) {
        const V v = hn::IfThenElse(LoadBits(d_, m + c), hn::Set(d_, -std::numeric_limits<float>::infinity()),
                                   hn::Load(d_, x + c * lanes_));
        count0 = hn::Add(count0, hn::IfThenElseZero(hn::Gt(v, pivots[0]), one));
        count1 = hn::Add(count1, hn::IfThenElseZero(hn::Gt(v, pivots[1]), one));
        count2 = hn::Add(count2, hn::IfThenElseZero(hn::Gt(v, pivots[2]), one));
      }
    }
    counts[0] = count0;
    counts[1] = count1;
    counts[2] = count2;
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
};

}  // namespace contimg::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
