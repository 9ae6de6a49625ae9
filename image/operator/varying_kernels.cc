#include "image/operator/varying_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/varying_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
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

// D/D̄ of all sources on this row (image/response/smearing.h), and S (D/D̄ − 1). As long as no argument is
// large, the series serves all sources in one vectorised pass.
void Smear(const VaryingSources& sources, const UvRow& row, float* HWY_RESTRICT ratio, float* HWY_RESTRICT extra_jy) {
  const double u = row.u_s, v = row.v_s, w = row.w_s + sources.slant_a * u + sources.slant_b * v;
  const DirectionCosines& c = sources.stopped[row.time];
  const double in_band = sources.in_band, in_time = sources.in_time[row.time];
  const double du = in_time * (sources.cos_dec * w - sources.sin_dec * v), dv = in_time * sources.sin_dec * u,
               dw = -in_time * sources.cos_dec * u;
  const double* HWY_RESTRICT ls = sources.l.data();
  const double* HWY_RESTRICT ms = sources.m.data();
  const double* HWY_RESTRICT ns = sources.n_minus_1.data();
  const double* HWY_RESTRICT kept_s = sources.kept.data();
  const float* HWY_RESTRICT mean_jy = sources.mean_jy.data();
  int large = 0;
  for (std::size_t s = 0; s < sources.padded; ++s) {
    const double l = ls[s] - c.l, m = ms[s] - c.m, n = ns[s] - c.n_minus_1;
    const double x = in_band * (u * l + v * m + w * n), y = du * l + dv * m + dw * n;
    const double x2 = x * x, y2 = y * y;
    large += static_cast<int>(x2 >= kSeriesEnd) + static_cast<int>(y2 >= kSeriesEnd);
    const double kept = SinOverXSeries(x2) * SinOverXSeries(y2) / kept_s[s];
    ratio[s] = static_cast<float>(kept);
    extra_jy[s] = mean_jy[s] * static_cast<float>(kept - 1);
  }
  if (large == 0) return;
  for (std::size_t s = 0; s < sources.padded; ++s) {
    const double l = ls[s] - c.l, m = ms[s] - c.m, n = ns[s] - c.n_minus_1;
    const double x = in_band * (u * l + v * m + w * n), y = du * l + dv * m + dw * n;
    const double kept = SinOverX(x * x) * SinOverX(y * y) / kept_s[s];
    ratio[s] = static_cast<float>(kept);
    extra_jy[s] = mean_jy[s] * static_cast<float>(kept - 1);
  }
}

// Phasors are turned from node to node; after so many steps they start afresh, so that rounding does not add up and
// nodes need not be evenly spaced over all of the band.
constexpr std::size_t kRun = 64;

// The nodes from `first` on that are evenly spaced, at most kRun of them, and their spacing.
std::size_t EvenRun(const FrequencyNodes& set, std::size_t first, double& step_hz) {
  constexpr double kEven = 1e-3;  // Hz
  step_hz = first + 1 < set.size() ? set.frequency_hz[first + 1] - set.frequency_hz[first] : 0;
  std::size_t end = first + 1;
  while (end < set.size() && end - first < kRun &&
         std::fabs(set.frequency_hz[end] - set.frequency_hz[end - 1] - step_hz) < kEven) {
    ++end;
  }
  return end;
}

// sums[node][0 … 1][lane] += the group of sources from s on, at nodes with x = x_of_node.
void AddGroup(const float* terms, const float* ratio, const float* extra, const float* phasor, std::size_t n,
              std::size_t s, const float* x_of_node, std::size_t count, float* sums) {
  const D d;
  const std::size_t lanes = hn::MaxLanes(d);
  const V kept = hn::LoadU(d, ratio + s);
  // (t0 + t1 x + t2 x² + t3 x³) · ratio + extra
  const V t0 = hn::MulAdd(hn::LoadU(d, terms + s), kept, hn::LoadU(d, extra + s));
  const V t1 = hn::Mul(hn::LoadU(d, terms + n + s), kept);
  const V t2 = hn::Mul(hn::LoadU(d, terms + 2 * n + s), kept);
  const V t3 = hn::Mul(hn::LoadU(d, terms + 3 * n + s), kept);
  V p_re = hn::LoadU(d, phasor + s);
  V p_im = hn::LoadU(d, phasor + n + s);
  const V step_re = hn::LoadU(d, phasor + 2 * n + s);
  const V step_im = hn::LoadU(d, phasor + 3 * n + s);
  for (std::size_t j = 0; j < count; ++j, sums += 2 * lanes) {
    const V x = hn::Set(d, x_of_node[j]);
    const V flux = hn::MulAdd(hn::MulAdd(hn::MulAdd(t3, x, t2), x, t1), x, t0);
    hn::StoreU(hn::MulAdd(flux, p_re, hn::LoadU(d, sums)), d, sums);
    hn::StoreU(hn::MulAdd(flux, p_im, hn::LoadU(d, sums + lanes)), d, sums + lanes);
    const V turned = hn::NegMulAdd(p_im, step_im, hn::Mul(p_re, step_re));
    p_im = hn::MulAdd(p_re, step_im, hn::Mul(p_im, step_re));
    p_re = turned;
  }
}

void AddVaryingSourcesTarget(const VaryingSources& sources, const UvRow& row, const FrequencyNodes& set,
                             VaryingScratch& scratch, float* re, float* im) {
  const D d;
  const std::size_t n = sources.padded, lanes = hn::MaxLanes(d);
  scratch.figures.resize(6 * n + kRun * (1 + 2 * lanes));
  float* const phasor = scratch.figures.data();  // phasors, then steps: re and im
  float* const ratio = phasor + 4 * n;
  float* const extra = ratio + n;
  float* const x_of_node = extra + n;
  float* const sums = x_of_node + kRun;
  Smear(sources, row, ratio, extra);
  const float* const terms = sources.deviation_jy.data() + row.time * VaryingSources::kTerms * n;
  double last_step_hz = -1;
  for (std::size_t first = 0; first < set.size();) {
    double step_hz = 0;
    const std::size_t end = EvenRun(set, first, step_hz), count = end - first;
    Phasors(sources, row, set.frequency_hz[first], phasor, phasor + n);
    if (step_hz != last_step_hz) Phasors(sources, row, step_hz, phasor + 2 * n, phasor + 3 * n);
    last_step_hz = step_hz;
    for (std::size_t j = 0; j < count; ++j) {
      x_of_node[j] = static_cast<float>((set.frequency_hz[first + j] - sources.mid_hz) / sources.half_hz);
    }
    std::fill_n(sums, 2 * lanes * count, 0.0F);
    for (std::size_t s = 0; s < n; s += lanes) AddGroup(terms, ratio, extra, phasor, n, s, x_of_node, count, sums);
    for (std::size_t j = 0; j < count; ++j) {
      re[first + j] += hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + 2 * lanes * j)));
      im[first + j] += hn::GetLane(hn::SumOfLanes(d, hn::LoadU(d, sums + 2 * lanes * j + lanes)));
    }
    first = end;
  }
}

void ProbeResidualTarget(const VaryingSources& places, const UvRow& row, const FrequencyNodes& set,
                         VaryingScratch& scratch, const float* re, const float* im, double* sums) {
  const D d;
  const std::size_t n = places.padded, lanes = hn::MaxLanes(d);
  scratch.figures.resize(6 * n);
  float* const phasor = scratch.figures.data();  // phasors, then steps: re and im
  float* const of_run = phasor + 4 * n;          // sums of one run of nodes
  double last_step_hz = -1;
  for (std::size_t first = 0; first < set.size();) {
    double step_hz = 0;
    const std::size_t end = EvenRun(set, first, step_hz);
    Phasors(places, row, set.frequency_hz[first], phasor, phasor + n);
    if (step_hz != last_step_hz) Phasors(places, row, step_hz, phasor + 2 * n, phasor + 3 * n);
    last_step_hz = step_hz;
    for (std::size_t s = 0; s < n; s += lanes) {
      V p_re = hn::LoadU(d, phasor + s);
      V p_im = hn::LoadU(d, phasor + n + s);
      const V step_re = hn::LoadU(d, phasor + 2 * n + s);
      const V step_im = hn::LoadU(d, phasor + 3 * n + s);
      V sum = hn::Zero(d), moment = hn::Zero(d);
      for (std::size_t j = first; j < end; ++j) {
        const V at = hn::MulAdd(hn::Set(d, re[j]), p_re, hn::Mul(hn::Set(d, im[j]), p_im));
        sum = hn::Add(sum, at);
        moment = hn::MulAdd(hn::Set(d, static_cast<float>((set.frequency_hz[j] - places.mid_hz) / places.half_hz)), at,
                            moment);
        const V turned = hn::NegMulAdd(p_im, step_im, hn::Mul(p_re, step_re));
        p_im = hn::MulAdd(p_re, step_im, hn::Mul(p_im, step_re));
        p_re = turned;
      }
      hn::StoreU(sum, d, of_run + s);
      hn::StoreU(moment, d, of_run + n + s);
    }
    for (std::size_t i = 0; i < 2 * n; ++i) sums[i] += static_cast<double>(of_run[i]);
    first = end;
  }
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(AddVaryingSourcesTarget);
HWY_EXPORT(ProbeResidualTarget);

void AddVaryingSources(const VaryingSources& sources, const UvRow& row, const FrequencyNodes& set,
                       VaryingScratch& scratch, float* re, float* im) {
  if (sources.size == 0) return;
  HWY_DYNAMIC_DISPATCH(AddVaryingSourcesTarget)(sources, row, set, scratch, re, im);
}

void ProbeResidual(const VaryingSources& places, const UvRow& row, const FrequencyNodes& set, VaryingScratch& scratch,
                   const float* re, const float* im, double* sums) {
  HWY_DYNAMIC_DISPATCH(ProbeResidualTarget)(places, row, set, scratch, re, im, sums);
}

}  // namespace contimg::image
#endif
