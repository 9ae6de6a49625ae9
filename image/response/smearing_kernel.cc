#include "image/response/smearing_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/response/smearing_kernel.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

#include "image/response/smearing.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using DoubleTag = hn::CappedTag<double, 8>;
using Doubles = hn::Vec<DoubleTag>;

// SinOverXSeries of every lane.
HWY_INLINE Doubles Series(DoubleTag d, Doubles x2) {
  Doubles sum = hn::Set(d, 1.0);
  for (const double divisor : {156.0, 110.0, 72.0, 42.0, 20.0, 6.0}) {
    sum = hn::NegMulAdd(hn::Mul(x2, hn::Set(d, 1 / divisor)), sum, hn::Set(d, 1.0));
  }
  return sum;
}

HWY_INLINE Doubles Along(DoubleTag d, const std::array<std::vector<double>, 3>& vector, std::size_t i, double dl,
                         double dm, double dn) {
  const Doubles in_l = hn::Mul(hn::LoadU(d, vector[0].data() + i), hn::Set(d, dl));
  const Doubles in_m = hn::MulAdd(hn::LoadU(d, vector[1].data() + i), hn::Set(d, dm), in_l);
  return hn::MulAdd(hn::LoadU(d, vector[2].data() + i), hn::Set(d, dn), in_m);
}

double SumOfKeptAny(const SmearedBaselines& b, const SmearedBand& band, double dl, double dm, double dn) {
  const DoubleTag d;
  const std::size_t lanes = hn::Lanes(d), n = b.weight.size();
  const std::array<double, 3>& hz = band.frequency_hz;
  const Doubles highest2 = hn::Set(d, std::max(hz.front() * hz.front(), hz.back() * hz.back()));
  Doubles sums = hn::Zero(d);
  double others = 0;
  const auto one = [&](std::size_t i) {
    const double x = b.delay[0][i] * dl + b.delay[1][i] * dm + b.delay[2][i] * dn;
    const double y = b.rate[0][i] * dl + b.rate[1][i] * dm + b.rate[2][i] * dn;
    double kept = 0;
    for (std::size_t k = 0; k < 3; ++k) kept += band.share[k] * SinOverX(y * y * hz[k] * hz[k]);
    others += b.weight[i] * kept * SinOverX(x * x);
  };
  std::size_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const Doubles x = Along(d, b.delay, i, dl, dm, dn), y = Along(d, b.rate, i, dl, dm, dn);
    const Doubles x2 = hn::Mul(x, x), y2 = hn::Mul(y, y);
    const Doubles largest = hn::Max(x2, hn::Mul(y2, highest2));
    if (!hn::AllTrue(d, hn::Lt(largest, hn::Set(d, kSeriesEnd)))) {
      for (std::size_t k = i; k < i + lanes; ++k) one(k);
      continue;
    }
    Doubles kept = hn::Zero(d);
    for (std::size_t k = 0; k < 3; ++k) {
      kept = hn::MulAdd(hn::Set(d, band.share[k]), Series(d, hn::Mul(y2, hn::Set(d, hz[k] * hz[k]))), kept);
    }
    sums = hn::MulAdd(hn::Mul(hn::LoadU(d, b.weight.data() + i), kept), Series(d, x2), sums);
  }
  for (; i < n; ++i) one(i);
  return hn::GetLane(hn::SumOfLanes(d, sums)) + others;
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(SumOfKeptAny);

double SumOfKept(const SmearedBaselines& baselines, const SmearedBand& band, double dl, double dm, double dn) {
  return HWY_DYNAMIC_DISPATCH(SumOfKeptAny)(baselines, band, dl, dm, dn);
}

}  // namespace contimg::image
#endif
