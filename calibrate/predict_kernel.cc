// The summation over point sources: SIMD over channels, phasors by recurrence.
#include <algorithm>
#include <cmath>

#include "calibrate/predict.h"
#include "config/error.h"
#include "config/parallel.h"
#include "config/units.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/predict_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#ifndef CONTIMG_CALIBRATE_PREDICT_RUN
#define CONTIMG_CALIBRATE_PREDICT_RUN
namespace contimg::calibrate::internal {
// One source on one baseline at one time over a run of evenly spaced channels.
struct PhasorRun {
  double first_re, first_im;  // e^{2πi τ ν} at the first channel
  double step_re, step_im;    // e^{2πi τ Δν}
  float amplitude;            // the channel-independent factor
  float first_x, step_x;      // argument of the time sinc: x = first_x + i·step_x
  const float* flux;          // per channel of the run
  float *re, *im;             // sums, per channel of the run
  std::size_t n;
};
}  // namespace contimg::calibrate::internal
#endif

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// sin(x)/x for |x| ≤ π as a series in x²: the first omitted term is below 3e-7. Below 1 four terms do as well.
template <class D, class V = hn::Vec<D>>
HWY_ATTR HWY_INLINE V SincLong(D d, V x) {
  const V q = hn::Mul(x, x);
  V sum = hn::Set(d, -7.6471637e-13F);
  sum = hn::MulAdd(sum, q, hn::Set(d, 1.6059044e-10F));
  sum = hn::MulAdd(sum, q, hn::Set(d, -2.5052108e-8F));
  sum = hn::MulAdd(sum, q, hn::Set(d, 2.7557319e-6F));
  sum = hn::MulAdd(sum, q, hn::Set(d, -1.9841270e-4F));
  sum = hn::MulAdd(sum, q, hn::Set(d, 8.3333333e-3F));
  sum = hn::MulAdd(sum, q, hn::Set(d, -1.6666667e-1F));
  return hn::MulAdd(sum, q, hn::Set(d, 1.0F));
}
template <class D, class V = hn::Vec<D>>
HWY_ATTR HWY_INLINE V SincShort(D d, V x) {
  const V q = hn::Mul(x, x);
  V sum = hn::Set(d, 2.7557319e-6F);
  sum = hn::MulAdd(sum, q, hn::Set(d, -1.9841270e-4F));
  sum = hn::MulAdd(sum, q, hn::Set(d, 8.3333333e-3F));
  sum = hn::MulAdd(sum, q, hn::Set(d, -1.6666667e-1F));
  return hn::MulAdd(sum, q, hn::Set(d, 1.0F));
}

template <bool kLong, class D>
HWY_ATTR HWY_INLINE void AddVectors(D d, const internal::PhasorRun& run, hn::Vec<D> p_re, hn::Vec<D> p_im,
                                    hn::Vec<D> s_re, hn::Vec<D> s_im, std::size_t first, std::size_t end) {
  const std::size_t lanes = hn::Lanes(d);
  const auto amplitude = hn::Set(d, run.amplitude);
  auto x = hn::MulAdd(hn::Add(hn::Iota(d, 0), hn::Set(d, static_cast<float>(first))), hn::Set(d, run.step_x),
                      hn::Set(d, run.first_x));
  const auto x_step = hn::Set(d, run.step_x * static_cast<float>(lanes));
  for (std::size_t c = first; c + lanes <= end; c += lanes) {
    const auto sinc = kLong ? SincLong(d, x) : SincShort(d, x);
    const auto size = hn::Mul(hn::Mul(amplitude, sinc), hn::LoadU(d, run.flux + c));
    hn::StoreU(hn::MulAdd(size, p_re, hn::LoadU(d, run.re + c)), d, run.re + c);
    hn::StoreU(hn::MulAdd(size, p_im, hn::LoadU(d, run.im + c)), d, run.im + c);
    const auto next_re = hn::NegMulAdd(p_im, s_im, hn::Mul(p_re, s_re));
    p_im = hn::MulAdd(p_re, s_im, hn::Mul(p_im, s_re));
    p_re = next_re;
    x = hn::Add(x, x_step);
  }
}

template <bool kLong>
HWY_ATTR void AddRunOf(const internal::PhasorRun& run) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  HWY_ALIGN float lane_re[HWY_MAX_BYTES / sizeof(float)], lane_im[HWY_MAX_BYTES / sizeof(float)];
  double re = run.first_re, im = run.first_im, power_re = 1, power_im = 0;
  for (std::size_t l = 0; l < lanes; ++l) {
    lane_re[l] = static_cast<float>(re);
    lane_im[l] = static_cast<float>(im);
    const double next = re * run.step_re - im * run.step_im;
    im = re * run.step_im + im * run.step_re;
    re = next;
    const double next_power = power_re * run.step_re - power_im * run.step_im;
    power_im = power_re * run.step_im + power_im * run.step_re;
    power_re = next_power;
  }
  AddVectors<kLong>(d, run, hn::Load(d, lane_re), hn::Load(d, lane_im), hn::Set(d, static_cast<float>(power_re)),
                    hn::Set(d, static_cast<float>(power_im)), 0, run.n);
  const std::size_t done = run.n / lanes * lanes;
  if (done == run.n) return;
  // The rest one by one, from a phasor made afresh by powers of the step.
  re = run.first_re, im = run.first_im;
  double square_re = run.step_re, square_im = run.step_im;
  for (std::size_t bits = done; bits != 0; bits >>= 1) {
    if (bits & 1) {
      const double next = re * square_re - im * square_im;
      im = re * square_im + im * square_re;
      re = next;
    }
    const double next = square_re * square_re - square_im * square_im;
    square_im = 2 * square_re * square_im;
    square_re = next;
  }
  const hn::CappedTag<float, 1> one;
  AddVectors<kLong>(one, run, hn::Set(one, static_cast<float>(re)), hn::Set(one, static_cast<float>(im)),
                    hn::Set(one, static_cast<float>(run.step_re)), hn::Set(one, static_cast<float>(run.step_im)), done,
                    run.n);
}

HWY_ATTR void AddRun(const internal::PhasorRun& run, bool long_series) {
  if (long_series) {
    AddRunOf<true>(run);
  } else {
    AddRunOf<false>(run);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace contimg::calibrate
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {

HWY_EXPORT(AddRun);

namespace {

constexpr double kEarthRate = 7.292115e-5;  // rad/s, sidereal

double Sinc(double x) { return std::abs(x) < 1e-8 ? 1 : std::sin(x) / x; }

// Evenly spaced stretches of the frequency axis.
struct Run {
  std::size_t first = 0, n = 0;
  double step_hz = 0;
};

std::vector<Run> EvenRuns(const std::vector<double>& f, double width_hz) {
  std::vector<Run> runs;
  for (std::size_t c = 0; c < f.size();) {
    Run run{c, 1, c + 1 < f.size() ? f[c + 1] - f[c] : width_hz};
    while (c + run.n < f.size() && std::abs(f[c + run.n] - f[c] - static_cast<double>(run.n) * run.step_hz) < 1.0)
      ++run.n;
    runs.push_back(run);
    c += run.n;
  }
  return runs;
}

// d(uvw)/dt in m/s: the parabola through three times, or the Earth's rotation when there are fewer.
std::array<double, 3> UvwRate(const PredictInput& in, std::size_t t, std::size_t b) {
  const std::size_t n = in.time_mjd_s.size();
  if (n < 3) {
    const double u = in.uvw_m(t, b, 0), v = in.uvw_m(t, b, 1), w = in.uvw_m(t, b, 2);
    const double s = std::sin(in.declination_rad), c = std::cos(in.declination_rad);
    return {kEarthRate * (w * c - v * s), kEarthRate * u * s, -kEarthRate * u * c};
  }
  const std::size_t k = std::clamp<std::size_t>(t, 1, n - 2);
  const double x0 = in.time_mjd_s[k - 1], x1 = in.time_mjd_s[k], x2 = in.time_mjd_s[k + 1], x = in.time_mjd_s[t];
  const double c0 = (2 * x - x1 - x2) / ((x0 - x1) * (x0 - x2));
  const double c1 = (2 * x - x0 - x2) / ((x1 - x0) * (x1 - x2));
  const double c2 = (2 * x - x0 - x1) / ((x2 - x0) * (x2 - x1));
  std::array<double, 3> rate{};
  for (std::size_t i = 0; i < 3; ++i) {
    rate[i] = c0 * in.uvw_m(k - 1, b, i) + c1 * in.uvw_m(k, b, i) + c2 * in.uvw_m(k + 1, b, i);
  }
  return rate;
}

}  // namespace

void PredictVisibilities(const PredictInput& in, ArrayView<Visibility, 3> model, int threads) {
  const std::size_t n_times = in.time_mjd_s.size(), n_channels = in.frequency_hz.size();
  const std::size_t n_baselines = in.uvw_m.shape(1), n_components = in.components.size();
  if (in.uvw_m.shape() != std::array<std::size_t, 3>{n_times, n_baselines, 3} ||
      model.shape() != std::array<std::size_t, 3>{n_times, n_baselines, n_channels} ||
      in.flux_jy.shape() != std::array<std::size_t, 3>{n_times, n_components, n_channels} ||
      in.fringe_centre.size() != n_times || in.integration_s.size() != n_times) {
    throw Error(ErrorKind::kBug, "predict", "", "the axes of model, uvw and fluxes disagree");
  }
  const std::vector<Run> runs = EvenRuns(in.frequency_hz, in.channel_width_hz);
  constexpr std::size_t kRows = 64;  // baselines a job
  const std::size_t jobs_per_time = (n_baselines + kRows - 1) / kRows;
  ParallelFor(threads, n_times * jobs_per_time, [&](std::size_t job) {
    const std::size_t t = job / jobs_per_time;
    const std::size_t first = job % jobs_per_time * kRows;
    const std::size_t last = std::min(first + kRows, n_baselines);
    std::vector<float> re(n_channels), im(n_channels), exact_flux(n_channels);
    for (std::size_t b = first; b < last; ++b) {
      std::fill(re.begin(), re.end(), 0.0F);
      std::fill(im.begin(), im.end(), 0.0F);
      const double u = in.uvw_m(t, b, 0) / kSpeedOfLight, v = in.uvw_m(t, b, 1) / kSpeedOfLight,
                   w = in.uvw_m(t, b, 2) / kSpeedOfLight;
      std::array<double, 3> rate{};
      if (in.smearing) rate = UvwRate(in, t, b);
      for (std::size_t k = 0; k < n_components; ++k) {
        const auto [l, m, n] = in.components[k];
        // n − 1 without cancellation near the centre.
        const double n_minus_1 = n > 0 ? -(l * l + m * m) / (1 + n) : n - 1;
        const double delay = u * l + v * m + w * n_minus_1;
        double amplitude = 1, x_per_hz = 0;
        if (in.smearing) {
          const auto& centre = in.fringe_centre[t];
          const double dl = l - centre[0], dm = m - centre[1], dn = n - centre[2];
          amplitude = Sinc(kPi * (u * dl + v * dm + w * dn) * in.channel_width_hz);
          x_per_hz = kPi * (rate[0] * dl + rate[1] * dm + rate[2] * dn) / kSpeedOfLight * in.integration_s[t];
        }
        const float* flux = in.flux_jy.data() + (t * n_components + k) * n_channels;
        const double x_max = std::abs(x_per_hz) * in.frequency_hz.back();
        if (x_max > kPi) {  // beyond the series: a source that hardly contributes
          for (std::size_t c = 0; c < n_channels; ++c) {
            exact_flux[c] = static_cast<float>(flux[c] * Sinc(x_per_hz * in.frequency_hz[c]));
          }
          flux = exact_flux.data();
          x_per_hz = 0;
        }
        for (const Run& run : runs) {
          const double turns = delay * in.frequency_hz[run.first];
          const double phase = 2 * kPi * (turns - std::floor(turns));
          const double step = 2 * kPi * delay * run.step_hz;
          const internal::PhasorRun phasors{std::cos(phase),
                                            std::sin(phase),
                                            std::cos(step),
                                            std::sin(step),
                                            static_cast<float>(amplitude),
                                            static_cast<float>(x_per_hz * in.frequency_hz[run.first]),
                                            static_cast<float>(x_per_hz * run.step_hz),
                                            flux + run.first,
                                            re.data() + run.first,
                                            im.data() + run.first,
                                            run.n};
          HWY_DYNAMIC_DISPATCH(AddRun)(phasors, x_max > 1);
        }
      }
      Visibility* out = model.data() + (t * n_baselines + b) * n_channels;
      for (std::size_t c = 0; c < n_channels; ++c) out[c] = {re[c], im[c]};
    }
  });
}

}  // namespace contimg::calibrate
#endif  // HWY_ONCE
