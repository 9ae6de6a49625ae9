#include "tests/simulator/emitter_sum.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/simulator/emitter_sum.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep
#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace contimg::simulator::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<double, 8>;
using V = hn::Vec<D>;

// exp(2πi t): reduced to an eighth of a turn, Taylor series there (truncation below 1e-17), then the quadrant.
HWY_INLINE void ExpTurns(V t, V& cosine, V& sine) {
  const D d;
  const V quarter = hn::Round(hn::Mul(t, hn::Set(d, 4.0)));
  const V x = hn::Mul(hn::NegMulAdd(quarter, hn::Set(d, 0.25), t), hn::Set(d, 2 * kPi));
  const V x2 = hn::Mul(x, x);
  V s = hn::Set(d, -1.0 / 1307674368000.0);
  s = hn::MulAdd(s, x2, hn::Set(d, 1.0 / 6227020800.0));
  s = hn::MulAdd(s, x2, hn::Set(d, -1.0 / 39916800.0));
  s = hn::MulAdd(s, x2, hn::Set(d, 1.0 / 362880.0));
  s = hn::MulAdd(s, x2, hn::Set(d, -1.0 / 5040.0));
  s = hn::MulAdd(s, x2, hn::Set(d, 1.0 / 120.0));
  s = hn::MulAdd(s, x2, hn::Set(d, -1.0 / 6.0));
  s = hn::MulAdd(hn::Mul(s, x2), x, x);
  V c = hn::Set(d, 1.0 / 20922789888000.0);
  c = hn::MulAdd(c, x2, hn::Set(d, -1.0 / 87178291200.0));
  c = hn::MulAdd(c, x2, hn::Set(d, 1.0 / 479001600.0));
  c = hn::MulAdd(c, x2, hn::Set(d, -1.0 / 3628800.0));
  c = hn::MulAdd(c, x2, hn::Set(d, 1.0 / 40320.0));
  c = hn::MulAdd(c, x2, hn::Set(d, -1.0 / 720.0));
  c = hn::MulAdd(c, x2, hn::Set(d, 1.0 / 24.0));
  c = hn::MulAdd(c, x2, hn::Set(d, -0.5));
  c = hn::MulAdd(c, x2, hn::Set(d, 1.0));
  // Quadrant q mod 4 without integers: 0 → (c, s), 1 → (−s, c), 2 → (−c, −s), 3 → (s, −c).
  const V q = hn::NegMulAdd(hn::Floor(hn::Mul(quarter, hn::Set(d, 0.25))), hn::Set(d, 4.0), quarter);
  const auto odd = hn::Or(hn::Eq(q, hn::Set(d, 1.0)), hn::Eq(q, hn::Set(d, 3.0)));
  const auto cos_negative = hn::Or(hn::Eq(q, hn::Set(d, 1.0)), hn::Eq(q, hn::Set(d, 2.0)));
  const auto sin_negative = hn::Ge(q, hn::Set(d, 2.0));
  const V c1 = hn::IfThenElse(odd, s, c);
  const V s1 = hn::IfThenElse(odd, c, s);
  cosine = hn::IfThenElse(cos_negative, hn::Neg(c1), c1);
  sine = hn::IfThenElse(sin_negative, hn::Neg(s1), s1);
}

// sin(πy)/(πy). Taylor series while |πy| ≤ 4 (truncation below 1e-13), the sine itself beyond.
HWY_INLINE V Sinc(V y) {
  const D d;
  const V x = hn::Mul(y, hn::Set(d, kPi));
  const V x2 = hn::Mul(x, x);
  V sum = hn::Set(d, 1.0);
  HWY_UNROLL(14)
  for (int n = 14; n >= 1; --n) {
    sum = hn::NegMulAdd(hn::Mul(x2, hn::Set(d, 1.0 / (2.0 * n * (2.0 * n + 1.0)))), sum, hn::Set(d, 1.0));
  }
  const auto far = hn::Gt(x2, hn::Set(d, 16.0));
  if (HWY_LIKELY(hn::AllFalse(d, far))) return sum;
  V cosine, sine;
  ExpTurns(hn::Mul(y, hn::Set(d, 0.5)), cosine, sine);
  return hn::IfThenElse(far, hn::Div(sine, hn::IfThenElse(far, x, hn::Set(d, 1.0))), sum);
}

constexpr double kGaussian = kPi * kPi / (4 * 0.6931471805599453);  // π² / (4 ln 2)

// Channels summed at once: as many accumulators as the registers hold.
constexpr std::size_t kAtOnce = HWY_TARGET <= HWY_AVX3 && HWY_TARGET != HWY_SCALAR ? 8 : 4;

// One baseline. `scratch` holds seven vectors' worth of doubles for each emitter.
void SumBaseline(const EmitterSet& e, const ChannelBlock& ch, double integration_s, const double* baseline,
                 double* HWY_RESTRICT scratch, double* HWY_RESTRICT re, double* HWY_RESTRICT im) {
  const D d;
  const std::size_t lanes = hn::Lanes(d);
  const std::size_t padded = e.padded();
  double* const phasor_re = scratch;
  double* const phasor_im = scratch + padded;
  double* const step_re = scratch + 2 * padded;
  double* const step_im = scratch + 3 * padded;
  double* const smear0 = scratch + 4 * padded;
  double* const smear1 = scratch + 5 * padded;
  double* const smear2 = scratch + 6 * padded;

  const V bx = hn::Set(d, baseline[0] / kSpeedOfLight);
  const V by = hn::Set(d, baseline[1] / kSpeedOfLight);
  const V bz = hn::Set(d, baseline[2] / kSpeedOfLight);
  const double last = static_cast<double>(ch.n - 1);
  const double half = last / 2;
  for (std::size_t i = 0; i < padded; i += lanes) {
    const auto at = [&](int component) { return hn::LoadU(d, e.geometry(component) + i); };
    const V delay = hn::MulAdd(bx, at(0), hn::MulAdd(by, at(1), hn::Mul(bz, at(2))));
    const V rate = hn::MulAdd(bx, at(3), hn::MulAdd(by, at(4), hn::Mul(bz, at(5))));
    V c, s;
    ExpTurns(hn::Mul(delay, hn::Set(d, ch.first_hz)), c, s);
    hn::StoreU(c, d, phasor_re + i);
    hn::StoreU(s, d, phasor_im + i);
    ExpTurns(hn::Mul(delay, hn::Set(d, ch.step_hz)), c, s);
    hn::StoreU(c, d, step_re + i);
    hn::StoreU(s, d, step_im + i);
    const V across = hn::Mul(rate, hn::Set(d, integration_s));
    const V width = Sinc(hn::Mul(delay, at(6)));
    V squared = hn::Zero(d);  // of the baseline along a Gaussian's axes, as turns per hertz
    if (e.any_spread()) {
      for (int axis = 0; axis < 6; axis += 3) {
        const auto component = [&](int k) { return hn::LoadU(d, e.axis(axis + k) + i); };
        const V along = hn::MulAdd(bx, component(0), hn::MulAdd(by, component(1), hn::Mul(bz, component(2))));
        squared = hn::MulAdd(along, along, squared);
      }
    }
    const auto smearing = [&](double frequency_hz) {
      const V smear = hn::Mul(width, Sinc(hn::Mul(across, hn::Set(d, frequency_hz))));
      if (!e.any_spread()) return smear;
      return hn::Mul(smear, hn::Exp(d, hn::Mul(squared, hn::Set(d, -kGaussian * frequency_hz * frequency_hz))));
    };
    const V f0 = smearing(ch.first_hz);
    if (ch.n < 3) {  // one or two channels: a straight line through both
      const V f2 = smearing(ch.first_hz + last * ch.step_hz);
      hn::StoreU(f0, d, smear0 + i);
      hn::StoreU(hn::Sub(f2, f0), d, smear1 + i);
      hn::StoreU(hn::Zero(d), d, smear2 + i);
    } else {
      const V f1 = smearing(ch.first_hz + half * ch.step_hz);
      const V f2 = smearing(ch.first_hz + last * ch.step_hz);
      const V bend = hn::Add(hn::Sub(f2, hn::Add(f1, f1)), f0);  // second difference over steps of `half`
      const V slope = hn::Sub(hn::Sub(f1, f0), hn::Mul(bend, hn::Set(d, 0.5)));
      hn::StoreU(f0, d, smear0 + i);
      hn::StoreU(hn::Mul(slope, hn::Set(d, 1.0 / half)), d, smear1 + i);
      hn::StoreU(hn::Mul(bend, hn::Set(d, 0.5 / (half * half))), d, smear2 + i);
    }
  }

  for (std::size_t k0 = 0; k0 < ch.n; k0 += kAtOnce) {
    V sum_re[kAtOnce], sum_im[kAtOnce], place[kAtOnce];
    HWY_UNROLL(8)
    for (std::size_t k = 0; k < kAtOnce; ++k) {
      sum_re[k] = hn::Zero(d);
      sum_im[k] = hn::Zero(d);
      place[k] = hn::Set(d, static_cast<double>(k0 + k));
    }
    const double* const amplitude = e.amplitude(k0);
    for (std::size_t i = 0; i < padded; i += lanes) {
      V pr = hn::LoadU(d, phasor_re + i), pi = hn::LoadU(d, phasor_im + i);
      const V sr = hn::LoadU(d, step_re + i), si = hn::LoadU(d, step_im + i);
      const V c0 = hn::LoadU(d, smear0 + i), c1 = hn::LoadU(d, smear1 + i), c2 = hn::LoadU(d, smear2 + i);
      HWY_UNROLL(8)
      for (std::size_t k = 0; k < kAtOnce; ++k) {
        const V smear = hn::MulAdd(hn::MulAdd(c2, place[k], c1), place[k], c0);
        const V a = hn::Mul(smear, hn::LoadU(d, amplitude + k * padded + i));
        sum_re[k] = hn::MulAdd(a, pr, sum_re[k]);
        sum_im[k] = hn::MulAdd(a, pi, sum_im[k]);
        const V next = hn::NegMulAdd(pi, si, hn::Mul(pr, sr));
        pi = hn::MulAdd(pi, sr, hn::Mul(pr, si));
        pr = next;
      }
      hn::StoreU(pr, d, phasor_re + i);
      hn::StoreU(pi, d, phasor_im + i);
    }
    const std::size_t n = HWY_MIN(kAtOnce, ch.n - k0);
    for (std::size_t k = 0; k < n; ++k) {
      re[k0 + k] = hn::GetLane(hn::SumOfLanes(d, sum_re[k]));
      im[k0 + k] = hn::GetLane(hn::SumOfLanes(d, sum_im[k]));
    }
  }
}

}  // namespace contimg::simulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <algorithm>
#include <cmath>

namespace contimg::simulator {

namespace {
HWY_EXPORT(SumBaseline);
constexpr std::size_t kWidest = 8;

std::size_t PadTo8(std::size_t n) { return (n + kWidest - 1) / kWidest * kWidest; }
double SincOf(double y) { return std::abs(y) < 1e-9 ? 1.0 : std::sin(kPi * y) / (kPi * y); }
}  // namespace

EmitterSet::EmitterSet(std::size_t n_emitters, std::size_t n_channels)
    : size_(n_emitters), padded_(PadTo8(n_emitters)), amplitude_(PadTo8(n_channels) * padded_) {
  for (std::vector<double>& component : geometry_) component.assign(padded_, 0.0);
}

void EmitterSet::Place(std::size_t emitter, const Vec3& offset, const Vec3& rate, double bandwidth_hz) {
  for (std::size_t axis = 0; axis < 3; ++axis) {
    geometry_[axis][emitter] = offset[axis];
    geometry_[axis + 3][emitter] = rate[axis];
  }
  geometry_[6][emitter] = bandwidth_hz;
}

void EmitterSet::Spread(std::size_t emitter, const Vec3& major, const Vec3& minor) {
  for (std::vector<double>& component : axes_) component.resize(padded_, 0.0);
  for (std::size_t k = 0; k < 3; ++k) {
    axes_[k][emitter] = major[k];
    axes_[k + 3][emitter] = minor[k];
  }
}

void SumEmitters(const EmitterSet& emitters, const ChannelBlock& channels, double integration_s,
                 ArrayView<const double, 2> baselines_m, ArrayView<double, 2> re, ArrayView<double, 2> im) {
  if (emitters.size() == 0) {
    std::fill(re.begin(), re.end(), 0.0);
    std::fill(im.begin(), im.end(), 0.0);
    return;
  }
  std::vector<double> scratch(7 * emitters.padded());
  const auto sum_baseline = HWY_DYNAMIC_DISPATCH(SumBaseline);
  for (std::size_t b = 0; b < baselines_m.shape(0); ++b) {
    sum_baseline(emitters, channels, integration_s, baselines_m[b].data(), scratch.data(), re[b].data(), im[b].data());
  }
}

double TimeSmearing(double frequency_hz, double delay_rate, double integration_s) {
  return SincOf(frequency_hz * delay_rate * integration_s);
}

double BandwidthSmearing(double bandwidth_hz, double delay_s) { return SincOf(bandwidth_hz * delay_s); }

double Resolution(double frequency_hz, const Vec3& baseline_m, const Vec3& major, const Vec3& minor) {
  const double wavelengths = frequency_hz / kSpeedOfLight;
  const double along = Dot(baseline_m, major) * wavelengths, across = Dot(baseline_m, minor) * wavelengths;
  return std::exp(-kPi * kPi / (4 * std::log(2.0)) * (along * along + across * across));
}

}  // namespace contimg::simulator
#endif  // HWY_ONCE
