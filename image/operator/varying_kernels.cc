#include "image/operator/varying_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/varying_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <cmath>
#include <cstddef>

#include "image/operator/sincos_turn.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, VaryingSources::kGroup>;
using V = hn::Vec<D>;

// exp(−2πi hz τ) of all sources.
void Phasors(const VaryingSources& sources, const UvRow& row, double hz, float* re, float* im) {
  const double u = row.u_s * hz, v = row.v_s * hz;
  const double w = (row.w_s + sources.slant_a * row.u_s + sources.slant_b * row.v_s) * hz;
  for (std::size_t s = 0; s < sources.padded; ++s) {
    double sine, cosine;
    SinCosTurn(u * sources.l[s] + v * sources.m[s] + w * sources.n_minus_1[s], sine, cosine);
    re[s] = static_cast<float>(cosine);
    im[s] = static_cast<float>(-sine);
  }
}

// D/D̄ of all sources on this row (image/response/smearing.h), and S (D/D̄ − 1).
void Smear(const VaryingSources& sources, const UvRow& row, float* ratio, float* extra_jy) {
  const double u = row.u_s, v = row.v_s, w = row.w_s + sources.slant_a * u + sources.slant_b * v;
  const DirectionCosines& c = sources.stopped[row.time];
  const double in_band = sources.in_band, in_time = sources.in_time[row.time];
  const double du = in_time * (sources.cos_dec * w - sources.sin_dec * v), dv = in_time * sources.sin_dec * u,
               dw = -in_time * sources.cos_dec * u;
  for (std::size_t s = 0; s < sources.padded; ++s) {
    const double l = sources.l[s] - c.l, m = sources.m[s] - c.m, n = sources.n_minus_1[s] - c.n_minus_1;
    const double x = in_band * (u * l + v * m + w * n), y = du * l + dv * m + dw * n;
    const double kept = SinOverX(x * x) * SinOverX(y * y) / sources.kept[s];
    ratio[s] = static_cast<float>(kept);
    extra_jy[s] = sources.mean_jy[s] * static_cast<float>(kept - 1);
  }
}

void AddVaryingSourcesTarget(const VaryingSources& sources, const UvRow& row, const FrequencyNodes& set,
                             VaryingScratch& scratch, float* re, float* im) {
  // Phasors are turned from node to node; after so many steps they start afresh, so that rounding does not add up and
  // nodes need not be evenly spaced over all of the band.
  constexpr std::size_t kRun = 64;
  constexpr double kEven = 1e-3;  // Hz
  const D d;
  const std::size_t n = sources.padded;
  scratch.phasors.resize(6 * n);
  float* const phasor_re = scratch.phasors.data();
  float* const phasor_im = phasor_re + n;
  float* const step_re = phasor_im + n;
  float* const step_im = step_re + n;
  float* const ratio = step_im + n;
  float* const extra = ratio + n;
  Smear(sources, row, ratio, extra);
  const float* const terms = sources.deviation_jy.data() + row.time * VaryingSources::kTerms * n;
  double step_hz = -1;
  for (std::size_t j = 0; j < set.size(); ++j) {
    const double hz = set.frequency_hz[j];
    const bool steps_evenly = j > 0 && std::fabs(hz - set.frequency_hz[j - 1] - step_hz) < kEven;
    const bool afresh = j % kRun == 0 || !steps_evenly;
    if (afresh) {
      Phasors(sources, row, hz, phasor_re, phasor_im);
      const double next_hz = j + 1 < set.size() ? set.frequency_hz[j + 1] - hz : step_hz;
      if (std::fabs(next_hz - step_hz) >= kEven) {
        step_hz = next_hz;
        Phasors(sources, row, step_hz, step_re, step_im);
      }
    }
    const V x = hn::Set(d, static_cast<float>((hz - sources.mid_hz) / sources.half_hz));
    V sum_re = hn::Zero(d);
    V sum_im = hn::Zero(d);
    for (std::size_t s = 0; s < n; s += hn::MaxLanes(d)) {
      V p_re = hn::LoadU(d, phasor_re + s);
      V p_im = hn::LoadU(d, phasor_im + s);
      if (!afresh) {
        const V t_re = hn::LoadU(d, step_re + s);
        const V t_im = hn::LoadU(d, step_im + s);
        const V turned = hn::NegMulAdd(p_im, t_im, hn::Mul(p_re, t_re));
        p_im = hn::MulAdd(p_re, t_im, hn::Mul(p_im, t_re));
        p_re = turned;
        hn::StoreU(p_re, d, phasor_re + s);
        hn::StoreU(p_im, d, phasor_im + s);
      }
      V flux = hn::MulAdd(hn::LoadU(d, terms + 3 * n + s), x, hn::LoadU(d, terms + 2 * n + s));
      flux = hn::MulAdd(flux, x, hn::LoadU(d, terms + n + s));
      flux = hn::MulAdd(flux, x, hn::LoadU(d, terms + s));
      flux = hn::MulAdd(flux, hn::LoadU(d, ratio + s), hn::LoadU(d, extra + s));
      sum_re = hn::MulAdd(flux, p_re, sum_re);
      sum_im = hn::MulAdd(flux, p_im, sum_im);
    }
    re[j] += hn::GetLane(hn::SumOfLanes(d, sum_re));
    im[j] += hn::GetLane(hn::SumOfLanes(d, sum_im));
  }
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(AddVaryingSourcesTarget);

void AddVaryingSources(const VaryingSources& sources, const UvRow& row, const FrequencyNodes& set,
                       VaryingScratch& scratch, float* re, float* im) {
  if (sources.size == 0) return;
  HWY_DYNAMIC_DISPATCH(AddVaryingSourcesTarget)(sources, row, set, scratch, re, im);
}

}  // namespace contimg::image
#endif
