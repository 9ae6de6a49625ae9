#include "image/operator/sample_kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/operator/sample_kernels.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <limits>

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr std::size_t kTaps = FrequencyNodes::kMaxTaps;
using D = hn::CappedTag<float, kTaps>;
using V = hn::Vec<D>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr int kParts = static_cast<int>(kTaps / kLanes);  // vectors per coefficient row

// The weight where it is positive and finite, else 0.
HWY_INLINE float UsableWeight(std::uint8_t flag, float weight) {
  return (flag == 0) & (weight > 0) & (weight <= std::numeric_limits<float>::max()) ? weight : 0.0f;
}

HWY_INLINE bool Finite(std::complex<float> v) {
  constexpr float kLargest = std::numeric_limits<float>::max();
  return (std::fabs(v.real()) <= kLargest) & (std::fabs(v.imag()) <= kLargest);
}

// The inverse variance of (A + B)/2 is 4/(1/w_a + 1/w_b); of one product alone its own weight.
HWY_INLINE float PairWeight(float w_a, float w_b) { return 4 * w_a * (w_b / (w_a + w_b)); }

// Channels [from, n), one by one: any polarisations.
bool FormStokesIScalar(const RowSamples& row, const HandSelection& hands, std::size_t from, float* re, float* im,
                       float* weight) {
  bool dropped = false;
  for (std::size_t k = from; k < row.n; ++k) {
    const std::size_t a = k * hands.n_pols + hands.first;
    const std::size_t b = k * hands.n_pols + hands.second;
    float w_a = UsableWeight(row.flag[a], row.weight[a]);
    float w_b = UsableWeight(row.flag[b], row.weight[b]);
    if (re != nullptr) {
      dropped |= (w_a > 0 && !Finite(row.vis[a])) || (w_b > 0 && !Finite(row.vis[b]));
      if (!Finite(row.vis[a])) w_a = 0;
      if (!Finite(row.vis[b])) w_b = 0;
    }
    std::complex<float> value = 0;
    weight[k] = 0;
    if (w_a > 0 && w_b > 0) {
      weight[k] = a == b ? w_a : PairWeight(w_a, w_b);
      if (re != nullptr) value = 0.5f * (row.vis[a] + row.vis[b]);
    } else if (hands.accept_single && w_a + w_b > 0) {
      weight[k] = w_a + w_b;
      if (re != nullptr) value = w_a > 0 ? row.vis[a] : row.vis[b];
    }
    if (re != nullptr) {
      re[k] = value.real();
      im[k] = value.imag();
    }
  }
  return dropped;
}

#if HWY_TARGET != HWY_SCALAR
// The usual case, two hands side by side and both wanted, a vector of channels at a time; returns the channels done.
template <bool kWithData>
std::size_t FormStokesIPairs(const RowSamples& row, float* HWY_RESTRICT re, float* HWY_RESTRICT im,
                             float* HWY_RESTRICT weight, bool& dropped) {
  const D d;
  const hn::Rebind<std::uint16_t, D> d16;
  const hn::Repartition<std::uint8_t, decltype(d16)> d8;
  const hn::RebindToUnsigned<D> d32;
  const V largest = hn::Set(d, std::numeric_limits<float>::max());
  const float* vis = reinterpret_cast<const float*>(row.vis);
  std::size_t k = 0;
  for (; k + kLanes <= row.n; k += kLanes) {
    V w_a, w_b;
    hn::LoadInterleaved2(d, row.weight + 2 * k, w_a, w_b);
    const auto flags = hn::BitCast(d16, hn::LoadU(d8, row.flag + 2 * k));  // two neighbouring bytes per channel
    auto good = hn::RebindMask(d, hn::Eq(hn::PromoteTo(d32, flags), hn::Zero(d32)));
    const auto usable = [&](V w) { return hn::And(hn::Gt(w, hn::Zero(d)), hn::Le(w, largest)); };
    good = hn::And(good, hn::And(usable(w_a), usable(w_b)));
    if (kWithData) {
      V re_a, im_a, re_b, im_b;
      hn::LoadInterleaved4(d, vis + 4 * k, re_a, im_a, re_b, im_b);
      const V greatest = hn::Max(hn::Max(hn::Abs(re_a), hn::Abs(im_a)), hn::Max(hn::Abs(re_b), hn::Abs(im_b)));
      // Max may pass over a NaN; a sum does not.
      const V sum = hn::Add(hn::Add(hn::Abs(re_a), hn::Abs(im_a)), hn::Add(hn::Abs(re_b), hn::Abs(im_b)));
      const auto finite = hn::And(hn::Le(greatest, largest), hn::Eq(sum, sum));
      dropped |= !hn::AllTrue(d, hn::Or(finite, hn::Not(good)));
      good = hn::And(good, finite);
      const V half = hn::Set(d, 0.5f);
      hn::StoreU(hn::IfThenElseZero(good, hn::Mul(half, hn::Add(re_a, re_b))), d, re + k);
      hn::StoreU(hn::IfThenElseZero(good, hn::Mul(half, hn::Add(im_a, im_b))), d, im + k);
    }
    const V pair = hn::Mul(hn::Mul(hn::Set(d, 4.0f), w_a), hn::Div(w_b, hn::Add(w_a, w_b)));
    hn::StoreU(hn::IfThenElseZero(good, pair), d, weight + k);
  }
  return k;
}

#endif

bool FormStokesITarget(const RowSamples& row, const HandSelection& hands, float* re, float* im, float* weight) {
  bool dropped = false;
  std::size_t done = 0;
#if HWY_TARGET != HWY_SCALAR
  if (hands.n_pols == 2 && hands.first == 0 && hands.second == 1 && !hands.accept_single) {
    done = re == nullptr ? FormStokesIPairs<false>(row, re, im, weight, dropped)
                         : FormStokesIPairs<true>(row, re, im, weight, dropped);
  }
#endif
  return FormStokesIScalar(row, hands, done, re, im, weight) || dropped;
}

void DensityCellsTarget(const DensityRow& row, const double* HWY_RESTRICT frequency_hz, std::size_t n,
                        std::int32_t* HWY_RESTRICT cell) {
  const std::int32_t u0 = static_cast<std::int32_t>(row.u0);
  const std::int32_t v0 = static_cast<std::int32_t>(row.v0);
  const std::int32_t nv = static_cast<std::int32_t>(row.nv);
  for (std::size_t k = 0; k < n; ++k) {
    const std::int32_t u = static_cast<std::int32_t>(std::floor(frequency_hz[k] * row.u_per_hz));
    const std::int32_t v = static_cast<std::int32_t>(std::floor(frequency_hz[k] * row.v_per_hz));
    cell[k] = (u - u0) * nv + (v - v0);
  }
}

void ApplyWeightFactorsTarget(const WeightFactors& factors, const double* HWY_RESTRICT frequency_hz, std::size_t n,
                              float* HWY_RESTRICT weight) {
  std::fill_n(weight, factors.begin, 0.0f);
  std::fill(weight + factors.end, weight + n, 0.0f);
  if (factors.factor != nullptr) {
    const float* HWY_RESTRICT factor = factors.factor;
    const std::int32_t* HWY_RESTRICT cell = factors.cell;
    for (std::size_t k = factors.begin; k < factors.end; ++k) weight[k] *= factor[cell[k]];
  }
  if (factors.taper > 0) {
    for (std::size_t k = factors.begin; k < factors.end; ++k) {
      weight[k] *= static_cast<float>(std::exp(-factors.taper * frequency_hz[k] * frequency_hz[k]));
    }
  }
}

RowSums SumRowTarget(const float* HWY_RESTRICT natural, const float* HWY_RESTRICT weight, std::size_t n,
                     double* HWY_RESTRICT by_channel) {
  constexpr std::size_t kSums = 16;  // independent sums, so that the loop vectorises with a fixed order
  double w1[kSums] = {};
  double w2[kSums] = {};
  double ratio[kSums] = {};
  std::int64_t used[kSums] = {};
  const auto add = [&](std::size_t k, std::size_t lane) {
    const float w = weight[k];
    const double square = static_cast<double>(w) * w;
    by_channel[k] += w;
    w1[lane] += w;
    w2[lane] += square;
    ratio[lane] += square / (natural[k] > 0 ? natural[k] : 1.0f);
    used[lane] += w > 0 ? 1 : 0;
  };
  std::size_t k = 0;
  for (; k + kSums <= n; k += kSums) {
    for (std::size_t lane = 0; lane < kSums; ++lane) add(k + lane, lane);
  }
  for (std::size_t lane = 0; k < n; ++k, ++lane) add(k, lane);
  RowSums sums;
  for (std::size_t lane = 0; lane < kSums; ++lane) {
    sums.weight += w1[lane];
    sums.weight_squared += w2[lane];
    sums.weight_squared_over_natural += ratio[lane];
    sums.used += static_cast<std::size_t>(used[lane]);
  }
  return sums;
}

HWY_INLINE void AddTo(float* to, V v) {
  const D d;
  hn::StoreU(hn::Add(hn::LoadU(d, to), v), d, to);
}

// Channels [begin, end) share their first node; kUsed vectors hold the taps.
template <int kUsed>
HWY_INLINE void CompressRun(const float* HWY_RESTRICT coefficients, std::size_t begin, std::size_t end,
                            const float* HWY_RESTRICT re, const float* HWY_RESTRICT im,
                            const float* HWY_RESTRICT weight, const CompressedRow& nodes, std::size_t first) {
  const D d;
  V sum_re[kUsed], sum_im[kUsed], sum_w[kUsed];
  for (int p = 0; p < kUsed; ++p) sum_re[p] = sum_im[p] = sum_w[p] = hn::Zero(d);
  for (std::size_t k = begin; k < end; ++k) {
    const V x = hn::Set(d, re[k]);
    const V y = hn::Set(d, im[k]);
    const V w = hn::Set(d, weight[k]);
    for (int p = 0; p < kUsed; ++p) {
      const V c = hn::LoadU(d, coefficients + k * kTaps + static_cast<std::size_t>(p) * kLanes);
      sum_re[p] = hn::MulAdd(c, x, sum_re[p]);
      sum_im[p] = hn::MulAdd(c, y, sum_im[p]);
      sum_w[p] = hn::MulAdd(c, w, sum_w[p]);
    }
  }
  for (int p = 0; p < kUsed; ++p) {
    const std::size_t at = first + static_cast<std::size_t>(p) * kLanes;
    AddTo(nodes.re + at, sum_re[p]);
    AddTo(nodes.im + at, sum_im[p]);
    AddTo(nodes.weight + at, sum_w[p]);
  }
}

std::size_t RunEnd(const FrequencyNodes& set, std::size_t begin) {
  std::size_t end = begin + 1;
  while (end < set.first.size() && set.first[end] == set.first[begin]) ++end;
  return end;
}

void CompressRowTarget(const FrequencyNodes& set, const float* re, const float* im, const float* weight,
                       const CompressedRow& nodes) {
  const std::size_t n = set.first.size();
  const std::size_t padded = set.size() + kTaps;
  if (set.taps == 1) {
    std::copy_n(re, n, nodes.re);
    std::copy_n(im, n, nodes.im);
    std::copy_n(weight, n, nodes.weight);
    return;
  }
  std::fill_n(nodes.re, padded, 0.0f);
  std::fill_n(nodes.im, padded, 0.0f);
  std::fill_n(nodes.weight, padded, 0.0f);
  const float* c = set.coefficients.data();
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    end = RunEnd(set, begin);
    const std::size_t first = static_cast<std::size_t>(set.first[begin]);
    if (set.taps <= static_cast<int>(kLanes)) {
      CompressRun<1>(c, begin, end, re, im, weight, nodes, first);
    } else if (set.taps <= static_cast<int>(2 * kLanes)) {
      CompressRun<std::min(2, kParts)>(c, begin, end, re, im, weight, nodes, first);
    } else {
      CompressRun<kParts>(c, begin, end, re, im, weight, nodes, first);
    }
  }
}

// Rows [i, i + kRows) of the local Gram matrix of one run, added to the two-sided band storage.
template <int kRows, int kUsed>
HWY_INLINE void GramRun(const float* HWY_RESTRICT coefficients, const float* HWY_RESTRICT weight, std::size_t begin,
                        std::size_t end, std::size_t i, float* HWY_RESTRICT band) {
  const D d;
  V sum[kRows][kUsed];
  for (int r = 0; r < kRows; ++r) {
    for (int p = 0; p < kUsed; ++p) sum[r][p] = hn::Zero(d);
  }
  for (std::size_t k = begin; k < end; ++k) {
    const float* row = coefficients + k * kTaps;
    const V w = hn::Set(d, weight[k]);
    V weighted[kUsed];
    for (int p = 0; p < kUsed; ++p) weighted[p] = hn::Mul(w, hn::LoadU(d, row + static_cast<std::size_t>(p) * kLanes));
    for (int r = 0; r < kRows; ++r) {
      const V c = hn::Set(d, row[i + static_cast<std::size_t>(r)]);
      for (int p = 0; p < kUsed; ++p) sum[r][p] = hn::MulAdd(c, weighted[p], sum[r][p]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    const std::size_t row = i + static_cast<std::size_t>(r);
    for (int p = 0; p < kUsed; ++p) {
      AddTo(band + row * 2 * kTaps + kTaps - row + static_cast<std::size_t>(p) * kLanes, sum[r][p]);
    }
  }
}

// All rows of a run, in blocks that keep the sums in registers.
template <int kRows, int kUsed>
HWY_INLINE void GramRuns(const FrequencyNodes& set, const float* weight, float* scratch) {
  const std::size_t n = set.first.size();
  for (std::size_t begin = 0, end = 0; begin < n; begin = end) {
    end = RunEnd(set, begin);
    float* band = scratch + static_cast<std::size_t>(set.first[begin]) * 2 * kTaps;
    for (std::size_t i = 0; i < static_cast<std::size_t>(set.taps); i += kRows) {
      GramRun<kRows, kUsed>(set.coefficients.data(), weight, begin, end, i, band);
    }
  }
}

void GramRowTarget(const FrequencyNodes& set, const float* weight, float* scratch, float* gram) {
  const std::size_t taps = static_cast<std::size_t>(set.taps);
  if (taps == 1) {
    std::copy_n(weight, set.size(), gram);
    return;
  }
  std::fill_n(scratch, (set.size() + kTaps) * 2 * kTaps, 0.0f);
  // Rows beyond `taps` have zero coefficients: adding them is harmless, so blocks may overshoot up to kTaps.
  if (kParts == 1 && taps == 12) {
    GramRuns<12, 1>(set, weight, scratch);
  } else if (kParts == 1) {
    GramRuns<8, 1>(set, weight, scratch);
  } else if (taps <= 2 * kLanes) {
    GramRuns<4, std::min(2, kParts)>(set, weight, scratch);
  } else {
    GramRuns<2, kParts>(set, weight, scratch);
  }
  for (std::size_t j = 0; j < set.size(); ++j) {
    std::copy_n(scratch + j * 2 * kTaps + kTaps, taps, gram + j * taps);
  }
}

// Adds the upper band of row j and, mirrored, the lower one.
void SubtractGramTarget(const FrequencyNodes& set, const float* HWY_RESTRICT gram, const float* HWY_RESTRICT model_re,
                        const float* HWY_RESTRICT model_im, float* HWY_RESTRICT re, float* HWY_RESTRICT im) {
  const D d;
  const std::size_t n = set.size();
  const std::size_t taps = static_cast<std::size_t>(set.taps);
  if (taps == 1) {
    for (std::size_t j = 0; j < n; ++j) {
      re[j] -= gram[j] * model_re[j];
      im[j] -= gram[j] * model_im[j];
    }
    return;
  }
  // Entries of the band beyond the last node are zero, so are the padded models; only the end of the row of `gram`
  // must be cut off.
  V g[kParts];
  for (std::size_t j = 0; j < n; ++j) {
    V dot_re = hn::Zero(d);
    V dot_im = hn::Zero(d);
    const V x = hn::Set(d, model_re[j]);
    const V y = hn::Set(d, model_im[j]);
    for (std::size_t part = 0; part < static_cast<std::size_t>(kParts); ++part) {
      const std::size_t p = part * kLanes;
      const std::size_t count = taps > p ? std::min(taps - p, kLanes) : 0;
      g[part] = hn::IfThenElseZero(hn::FirstN(d, count), hn::LoadU(d, gram + j * taps + p));
      dot_re = hn::MulAdd(g[part], hn::LoadU(d, model_re + j + p), dot_re);
      dot_im = hn::MulAdd(g[part], hn::LoadU(d, model_im + j + p), dot_im);
    }
    g[0] = hn::IfThenZeroElse(hn::FirstN(d, 1), g[0]);
    for (std::size_t part = 0; part < static_cast<std::size_t>(kParts); ++part) {
      const std::size_t p = part * kLanes;
      hn::StoreU(hn::NegMulAdd(g[part], x, hn::LoadU(d, re + j + p)), d, re + j + p);
      hn::StoreU(hn::NegMulAdd(g[part], y, hn::LoadU(d, im + j + p)), d, im + j + p);
    }
    re[j] -= hn::GetLane(hn::SumOfLanes(d, dot_re));
    im[j] -= hn::GetLane(hn::SumOfLanes(d, dot_im));
  }
}

void ExpandRowTarget(const FrequencyNodes& set, const float* node_re, const float* node_im, float* re, float* im) {
  const D d;
  for (std::size_t k = 0; k < set.first.size(); ++k) {
    const std::size_t first = static_cast<std::size_t>(set.first[k]);
    V sum_re = hn::Zero(d);
    V sum_im = hn::Zero(d);
    for (std::size_t p = 0; p < kTaps; p += kLanes) {
      const V c = hn::LoadU(d, set.coefficients.data() + k * kTaps + p);
      sum_re = hn::MulAdd(c, hn::LoadU(d, node_re + first + p), sum_re);
      sum_im = hn::MulAdd(c, hn::LoadU(d, node_im + first + p), sum_im);
    }
    re[k] = hn::GetLane(hn::SumOfLanes(d, sum_re));
    im[k] = hn::GetLane(hn::SumOfLanes(d, sum_im));
  }
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(FormStokesITarget);
HWY_EXPORT(DensityCellsTarget);
HWY_EXPORT(ApplyWeightFactorsTarget);
HWY_EXPORT(SumRowTarget);
HWY_EXPORT(CompressRowTarget);
HWY_EXPORT(GramRowTarget);
HWY_EXPORT(SubtractGramTarget);
HWY_EXPORT(ExpandRowTarget);

bool FormStokesI(const RowSamples& row, const HandSelection& hands, float* re, float* im, float* weight) {
  return HWY_DYNAMIC_DISPATCH(FormStokesITarget)(row, hands, re, im, weight);
}
void DensityCells(const DensityRow& row, const double* frequency_hz, std::size_t n, std::int32_t* cell) {
  HWY_DYNAMIC_DISPATCH(DensityCellsTarget)(row, frequency_hz, n, cell);
}
void ApplyWeightFactors(const WeightFactors& factors, const double* frequency_hz, std::size_t n, float* weight) {
  HWY_DYNAMIC_DISPATCH(ApplyWeightFactorsTarget)(factors, frequency_hz, n, weight);
}
RowSums SumRow(const float* natural, const float* weight, std::size_t n, double* by_channel) {
  return HWY_DYNAMIC_DISPATCH(SumRowTarget)(natural, weight, n, by_channel);
}
void CompressRow(const FrequencyNodes& set, const float* re, const float* im, const float* weight,
                 const CompressedRow& nodes) {
  HWY_DYNAMIC_DISPATCH(CompressRowTarget)(set, re, im, weight, nodes);
}
void GramRow(const FrequencyNodes& set, const float* weight, float* scratch, float* gram) {
  HWY_DYNAMIC_DISPATCH(GramRowTarget)(set, weight, scratch, gram);
}
void SubtractGram(const FrequencyNodes& set, const float* gram, const float* model_re, const float* model_im, float* re,
                  float* im) {
  HWY_DYNAMIC_DISPATCH(SubtractGramTarget)(set, gram, model_re, model_im, re, im);
}
void ExpandRow(const FrequencyNodes& set, const float* node_re, const float* node_im, float* re, float* im) {
  HWY_DYNAMIC_DISPATCH(ExpandRowTarget)(set, node_re, node_im, re, im);
}

}  // namespace contimg::image
#endif
