#include "calibrate/flag_residual.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "config/robust_statistics.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "calibrate/flag_residual.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// out[i] = median of in[i ± stride], in[i ± 2·stride] … in[i ± half·stride] for i in [0, n), the sample itself left
// out: on a slope it would be its own median. The window always lies inside `in`; both have room for a vector at the
// end.
void RunningMedian(const float* HWY_RESTRICT in, std::size_t n, std::size_t stride, std::size_t half,
                   float* HWY_RESTRICT out) {
  constexpr std::size_t kMaxWindow = 32;
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d), window = 2 * half;
  for (std::size_t i = 0; i < n; i += lanes) {
    HWY_ALIGN float sorted[kMaxWindow * 64];
    for (std::size_t k = 0; k < half; ++k) {
      hn::Store(hn::LoadU(d, in + i - (k + 1) * stride), d, sorted + 2 * k * lanes);
      hn::Store(hn::LoadU(d, in + i + (k + 1) * stride), d, sorted + (2 * k + 1) * lanes);
    }
    // The largest half + 1 values rise to the end one after the other; the last two to do so are the middle ones.
    for (std::size_t end = window; end-- > half - 1;) {
      auto largest = hn::Load(d, sorted);
      for (std::size_t k = 0; k < end; ++k) {
        const auto next = hn::Load(d, sorted + (k + 1) * lanes);
        hn::Store(hn::Min(largest, next), d, sorted + k * lanes);
        largest = hn::Max(largest, next);
      }
      hn::Store(largest, d, sorted + end * lanes);
    }
    const auto sum = hn::Add(hn::Load(d, sorted + half * lanes), hn::Load(d, sorted + (half - 1) * lanes));
    hn::StoreU(hn::Mul(sum, hn::Set(d, 0.5f)), d, out + i);
  }
}

// The element of rank `rank` (0 smallest) among n values ≥ 0, exactly: bisection on the bits, which order as the
// values.
float Select(const float* values, std::size_t n, std::size_t rank) {
  const hn::ScalableTag<std::int32_t> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto* bits = reinterpret_cast<const std::int32_t*>(values);
  std::int32_t low = -1, high = 0x7f800000;  // count(≤ low) ≤ rank < count(≤ high)
  while (high - low > 1) {
    const std::int32_t middle = low + (high - low) / 2;
    const auto pivot = hn::Set(d, middle + 1);
    auto count = hn::Zero(d);
    std::size_t i = 0;
    for (; i + lanes <= n; i += lanes) {
      count = hn::Sub(count, hn::VecFromMask(d, hn::Lt(hn::LoadU(d, bits + i), pivot)));
    }
    auto below = static_cast<std::size_t>(hn::GetLane(hn::SumOfLanes(d, count)));
    for (; i < n; ++i) below += bits[i] <= middle;
    (below > rank ? high : low) = middle;
  }
  float result;
  __builtin_memcpy(&result, &high, sizeof result);
  return result;
}

}  // namespace contimg::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::calibrate {
namespace {

HWY_EXPORT(RunningMedian);
HWY_EXPORT(Select);

constexpr std::size_t kRoom = 64;  // floats behind an array that vectors may touch

struct Scratch {
  std::vector<float> row, median, residual, good;
  std::vector<std::uint8_t> over;
};

bool IsParallel(Polarisation p) {
  const auto r = Receptors(p);
  return r[0] == r[1];
}

// One row made ready for the running median: `half` channels more at either end, reflected through the mean of the last
// three (the nearest good ones where these are flagged) so that slopes go on. A polarisation without good samples is 0.
void FillRow(const Visibility* vis, const std::uint8_t* flag, std::size_t nc, std::size_t np, std::size_t half,
             std::vector<float>& row) {
  row.assign((nc + 2 * half) * np * 2 + kRoom, 0.0f);
  auto at = [&](std::size_t c, std::size_t p) { return row.data() + ((c + half) * np + p) * 2; };
  for (std::size_t p = 0; p < np; ++p) {
    std::size_t first = 0;
    while (first < nc && flag[first * np + p] != 0) ++first;
    if (first == nc) continue;
    Visibility last = vis[first * np + p];
    for (std::size_t c = 0; c < nc; ++c) {
      if (flag[c * np + p] == 0) last = vis[c * np + p];
      at(c, p)[0] = last.real();
      at(c, p)[1] = last.imag();
    }
    const std::size_t edge = std::min<std::size_t>(3, nc);
    for (std::size_t part = 0; part < 2; ++part) {
      float low_mean = 0, high_mean = 0;
      for (std::size_t c = 0; c < edge; ++c) {
        low_mean += at(c, p)[part] / static_cast<float>(edge);
        high_mean += at(nc - 1 - c, p)[part] / static_cast<float>(edge);
      }
      for (std::size_t k = 1; k <= half; ++k) {
        const std::size_t low = std::min(k + edge - 1, nc - 1), high = nc - 1 - low;
        row[((half - k) * np + p) * 2 + part] = 2 * low_mean - at(low, p)[part];
        row[((half + nc - 1 + k) * np + p) * 2 + part] = 2 * high_mean - at(high, p)[part];
      }
    }
    // Inside the band flagged samples go to the two ends of each window in turn, which leaves the median to the good
    // ones.
    float far = 1e30f;
    for (std::size_t c = 0; c < nc; ++c) {
      if (flag[c * np + p] == 0) continue;
      at(c, p)[0] = at(c, p)[1] = far;
      far = -far;
    }
  }
}

class Clipper {
 public:
  Clipper(VisibilityBlock& block, ArrayView<const Visibility, 3> model, const FlagSettings& settings)
      : block_(block),
        model_(model),
        sigma_(settings.residual_sigma),
        half_(static_cast<std::size_t>(settings.residual_channels)) {}

  std::size_t Clip(std::size_t b, Scratch& s) const {
    const std::size_t nt = block_.n_times(), nc = block_.n_channels(), np = block_.n_pols();
    s.residual.resize(np * nt * nc);
    for (std::size_t t = 0; t < nt; ++t) Residuals(t, b, s);
    s.over.assign(nt * nc, 0);
    bool any = false;
    for (std::size_t p = 0; p < np; ++p) {
      s.good.clear();
      for (std::size_t t = 0; t < nt; ++t) {
        const std::uint8_t* flag = Flag(t, b);
        for (std::size_t c = 0; c < nc; ++c) {
          if (flag[c * np + p] == 0) s.good.push_back(s.residual[(p * nt + t) * nc + c]);
        }
      }
      if (s.good.size() < kFewest) continue;
      const std::size_t n = s.good.size(), half_rank = n / 2;
      const auto select = HWY_DYNAMIC_DISPATCH(Select);
      const float median = select(s.good.data(), n, half_rank);
      for (float& x : s.good) x = std::abs(x - median);
      const float mad = select(s.good.data(), n, half_rank);
      if (mad == 0) continue;
      const auto limit = static_cast<float>(median + sigma_ * kSigmaPerMad * mad);
      for (std::size_t i = 0; i < nt * nc; ++i) {
        const bool over = s.residual[p * nt * nc + i] > limit && Flag(i / nc, b)[(i % nc) * np + p] == 0;
        s.over[i] |= static_cast<std::uint8_t>(over);
        any = any || over;
      }
    }
    return any ? Write(b, s) : 0;
  }

 private:
  static constexpr std::size_t kFewest = 16;  // samples that make a spread

  std::uint8_t* Flag(std::size_t t, std::size_t b) const {
    return block_.flag.data() + (t * block_.n_baselines() + b) * block_.n_channels() * block_.n_pols();
  }

  // s.residual [pol][time][channel], 0 where flagged.
  void Residuals(std::size_t t, std::size_t b, Scratch& s) const {
    const std::size_t nt = block_.n_times(), nc = block_.n_channels(), np = block_.n_pols();
    const Visibility* vis = block_.vis.data() + (t * block_.n_baselines() + b) * nc * np;
    const std::uint8_t* flag = Flag(t, b);
    if (model_.data() == nullptr) {
      FillRow(vis, flag, nc, np, half_, s.row);
      s.median.resize(nc * np * 2 + kRoom);
      HWY_DYNAMIC_DISPATCH(RunningMedian)(s.row.data() + half_ * np * 2, nc * np * 2, np * 2, half_, s.median.data());
    }
    for (std::size_t p = 0; p < np; ++p) {
      const bool modelled = model_.data() != nullptr && IsParallel(block_.polarisations[p]);
      float* out = s.residual.data() + (p * nt + t) * nc;
      for (std::size_t c = 0; c < nc; ++c) {
        const std::size_t i = c * np + p;
        Visibility expected = 0;
        if (modelled) expected = model_(t, b, c);
        if (model_.data() == nullptr) expected = {s.median[2 * i], s.median[2 * i + 1]};
        const Visibility r = vis[i] - expected;
        out[c] = flag[i] != 0 ? 0.0f : std::sqrt(r.real() * r.real() + r.imag() * r.imag());
      }
    }
  }

  std::size_t Write(std::size_t b, const Scratch& s) const {
    const std::size_t nt = block_.n_times(), nc = block_.n_channels(), np = block_.n_pols();
    std::size_t fresh = 0;
    for (std::size_t i = 0; i < nt * nc; ++i) {
      if (s.over[i] == 0) continue;
      std::uint8_t* flag = Flag(i / nc, b) + (i % nc) * np;
      for (std::size_t p = 0; p < np; ++p) {
        fresh += flag[p] == 0;
        flag[p] = 1;
      }
    }
    return fresh;
  }

  VisibilityBlock& block_;
  ArrayView<const Visibility, 3> model_;
  double sigma_;
  std::size_t half_;
};

}  // namespace

std::size_t ClipResiduals(VisibilityBlock& block, ArrayView<const Visibility, 3> model, const FlagSettings& settings,
                          int threads) {
  if (settings.residual_sigma == 0 || block.vis.empty()) return 0;
  if (model.data() != nullptr &&
      model.shape() != std::array<std::size_t, 3>{block.n_times(), block.n_baselines(), block.n_channels()}) {
    throw Error(ErrorKind::kBug, "flag", "", "the model must have the block's times, baselines and channels");
  }
  const Clipper clipper(block, model, settings);
  std::atomic<std::size_t> next{0}, fresh{0};
  const auto workers = static_cast<std::size_t>(std::max(threads, 1));
  ParallelFor(threads, workers, [&](std::size_t) {
    Scratch scratch;
    for (std::size_t b = next++; b < block.n_baselines(); b = next++) {
      if (!block.baselines[b].is_auto()) fresh += clipper.Clip(b, scratch);
    }
  });
  return fresh;
}

}  // namespace contimg::calibrate
#endif
