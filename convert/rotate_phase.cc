#include "convert/rotate_phase.h"

#include <algorithm>
#include <cmath>
#include <complex>

#include "config/units.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "convert/rotate_phase.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace contimg::convert::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

std::complex<double> Turn(double turns) {
  const double angle = 2 * kPi * (turns - std::round(turns));
  return {std::cos(angle), std::sin(angle)};
}

// Channels share one table of phasors relative to the first of their group; each group has an exact anchor.
constexpr std::size_t kGroup = 16;
constexpr std::size_t kMaxPols = 4;

void Rotate(float* HWY_RESTRICT vis, std::size_t n_channels, std::size_t n_pols, double frequency_hz, double width_hz,
            double delay_s) {
  const std::size_t per_channel = 2 * n_pols;
  // The table, each phasor repeated for every float of its channel.
  alignas(64) float table_re[kGroup * 2 * kMaxPols];
  alignas(64) float table_im[kGroup * 2 * kMaxPols];
  const std::complex<double> step = Turn(width_hz * delay_s);
  std::complex<double> phasor = 1;
  for (std::size_t k = 0; k < kGroup; ++k) {
    for (std::size_t i = 0; i < per_channel; ++i) {
      table_re[k * per_channel + i] = static_cast<float>(phasor.real());
      table_im[k * per_channel + i] = static_cast<float>(phasor.imag());
    }
    phasor *= step;
  }
#if HWY_TARGET != HWY_SCALAR  // needs pairs of lanes
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  // Lane signs: +1 for real lanes, −1 for imaginary ones.
  alignas(64) float sign_lanes[64];
  for (std::size_t i = 0; i < lanes; ++i) sign_lanes[i] = i % 2 == 0 ? 1.0f : -1.0f;
  const auto sign = hn::Load(d, sign_lanes);
#endif

  for (std::size_t first = 0; first < n_channels; first += kGroup) {
    const std::complex<double> anchor = Turn((frequency_hz + static_cast<double>(first) * width_hz) * delay_s);
    const auto anchor_re = static_cast<float>(anchor.real()), anchor_im = static_cast<float>(anchor.imag());
    float* HWY_RESTRICT p = vis + first * per_channel;
    const std::size_t floats = std::min(kGroup, n_channels - first) * per_channel;
    std::size_t i = 0;
#if HWY_TARGET != HWY_SCALAR
    const auto are = hn::Set(d, anchor_re), aim = hn::Set(d, anchor_im);
    for (; i + lanes <= floats; i += lanes) {
      const auto tre = hn::Load(d, table_re + i), tim = hn::Load(d, table_im + i);
      const auto pre = hn::NegMulAdd(aim, tim, hn::Mul(are, tre));
      const auto pim = hn::MulAdd(are, tim, hn::Mul(aim, tre));
      const auto v = hn::LoadU(d, p + i);
      const auto swapped = hn::Reverse2(d, v);
      // conj((a+ib)(c+id)): real lanes a·c − b·d, imaginary lanes −(b·c + a·d).
      const auto out = hn::NegMulAdd(swapped, pim, hn::Mul(hn::Mul(v, sign), pre));
      hn::StoreU(out, d, p + i);
    }
#endif
    for (; i < floats; i += 2) {
      const float pre = anchor_re * table_re[i] - anchor_im * table_im[i];
      const float pim = anchor_re * table_im[i] + anchor_im * table_re[i];
      const float a = p[i], b = p[i + 1];
      p[i] = a * pre - b * pim;
      p[i + 1] = -(b * pre + a * pim);
    }
  }
}

}  // namespace contimg::convert::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::convert {

HWY_EXPORT(Rotate);

void RotateAndConjugate(float* vis, std::size_t n_channels, std::size_t n_pols, double frequency_hz, double width_hz,
                        double delay_s) {
  HWY_DYNAMIC_DISPATCH(Rotate)(vis, n_channels, n_pols, frequency_hz, width_hz, delay_s);
}

}  // namespace contimg::convert
#endif
