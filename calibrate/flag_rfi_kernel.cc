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

#include "calibrate/flag_rfi_background-inl.h"
#include "calibrate/flag_rfi_pack-inl.h"
#include "calibrate/flag_rfi_threshold-inl.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

// The search through one pack.
class RfiSearch : private PackPlanes {
 public:
  RfiSearch(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& work) : PackPlanes(plan, group, work) {}

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
    SumThreshold threshold(*this);
    Background background(*this);
    std::copy(Missing(pol), Missing(pol) + nt_ * nc_, w_.mask.begin());
    std::copy(Amplitude(pol, 0), Amplitude(pol, 0) + nt_ * w_.row, w_.data.begin());
    for (int round = 0;; ++round) {
      const double sensitivity = plan_.Sensitivity(round);
      const V noise = hn::Max(threshold.Noise(), hn::Load(d_, floor_[pol]));
      std::fill(w_.mask.begin(), w_.mask.end(), Bits{0});
      threshold.Flag(hn::Mul(noise, hn::Set(d_, static_cast<float>(6 * sensitivity))));
      if (round + 1 == plan_.iterations) return;
      for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.mask[i] |= Missing(pol)[i];
      LoopTimesteps();
      LoopChannels(plan_.channel_rms * sensitivity / plan_.base_threshold);
      for (std::size_t i = 0; i < nt_ * nc_; ++i) w_.mask[i] |= Missing(pol)[i];
      background.Remove(pol);
    }
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

  alignas(64) float floor_[4][16] = {};  // of the noise, [pol][lane]
};

void RunGroup(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& workspace) {
  RfiSearch(plan, group, workspace).Run();
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
