#include "image/clean/minor_cycle_kernel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "image/clean/minor_cycle_kernel.cc"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace contimg::image::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Vectors of at most one cell.
using D = hn::CappedTag<float, kMinorCycleCell>;
using DI = hn::RebindToSigned<D>;

using V = hn::VFromD<D>;
using VI = hn::VFromD<DI>;
constexpr std::size_t kLanes = hn::MaxLanes(D());
constexpr std::size_t kParts = kMinorCycleCell / kLanes;  // vectors per cell

// Best search value of each pixel position of the cells and the cell it came from. A later cell must be strictly better
// to win, so that ties go to the lowest index whatever the vector length.
class PeakTracker {
 public:
  PeakTracker() {
    for (std::size_t part = 0; part < kParts; ++part) {
      best_[part] = hn::Zero(D());
      cell_[part] = hn::Zero(DI());
    }
  }

  HWY_INLINE void Offer(V search, std::size_t part, std::size_t cell) {
    const auto wins = hn::Gt(search, best_[part]);
    best_[part] = hn::IfThenElse(wins, search, best_[part]);
    cell_[part] =
        hn::IfThenElse(hn::RebindMask(DI(), wins), hn::Set(DI(), static_cast<std::int32_t>(cell)), cell_[part]);
  }

  CellPeak Result() const {
    HWY_ALIGN float best[kMinorCycleCell];
    HWY_ALIGN std::int32_t cell[kMinorCycleCell];
    for (std::size_t part = 0; part < kParts; ++part) {
      hn::Store(best_[part], D(), best + part * kLanes);
      hn::Store(cell_[part], DI(), cell + part * kLanes);
    }
    CellPeak peak;
    for (std::size_t k = 0; k < kMinorCycleCell; ++k) {
      const std::size_t pixel = static_cast<std::size_t>(cell[k]) * kMinorCycleCell + k;
      if (best[k] > peak.search_value || (best[k] == peak.search_value && best[k] > 0 && pixel < peak.pixel)) {
        peak = {best[k], pixel};
      }
    }
    return peak;
  }

 private:
  V best_[kParts];
  VI cell_[kParts];
};

template <bool kNegative>
HWY_INLINE V SearchValue(V value, V weight) {
  const V weighted = hn::Mul(value, weight);
  if constexpr (kNegative) return hn::Abs(weighted);
  return weighted;
}

template <bool kNegative>
HWY_INLINE void OfferCell(const CellSet& cells, std::size_t i, PeakTracker& tracker) {
  const D d;
  for (std::size_t part = 0; part < kParts; ++part) {
    const std::size_t k = part * kLanes;
    const auto value = hn::LoadU(d, cells.value + i * kMinorCycleCell + k);
    const auto weight = hn::LoadU(d, cells.weight + i * kMinorCycleCell + k);
    tracker.Offer(SearchValue<kNegative>(value, weight), part, i);
  }
}

template <bool kNegative>
CellPeak FindPeak(const CellSet& cells) {
  PeakTracker tracker;
  for (std::size_t i = 0; i < cells.n; ++i) OfferCell<kNegative>(cells, i, tracker);
  return tracker.Result();
}

void SubtractTarget(const CellSet& cells, const PsfView& psf, float flux) {
  const D d;
  const auto minus_flux = hn::Set(d, -flux);
  constexpr std::int32_t kLast = static_cast<std::int32_t>(kMinorCycleCell) - 1;
  for (std::size_t i = 0; i < cells.n; ++i) {
    const std::int32_t px = cells.x[i] - psf.x0, py = cells.y[i] - psf.y0;
    if (py < 0 || py >= psf.ny || px < -kLast || px >= psf.nx) continue;
    const float* row = psf.pixels + static_cast<std::ptrdiff_t>(py) * static_cast<std::ptrdiff_t>(psf.stride) + px;
    hwy::Prefetch(row + psf.to_coming);
    hwy::Prefetch(row + psf.to_coming + kLast);
    for (std::size_t k = 0; k < kMinorCycleCell; k += kLanes) {
      float* at = cells.value + i * kMinorCycleCell + k;
      hn::StoreU(hn::MulAdd(minus_flux, hn::LoadU(d, row + k), hn::LoadU(d, at)), d, at);
    }
  }
}

float CellMaximumAny(const float* values, bool allow_negative) {
  const D d;
  auto best = hn::Zero(d);
  for (std::size_t k = 0; k < kMinorCycleCell; k += kLanes) {
    const auto value = hn::LoadU(d, values + k);
    best = hn::Max(best, allow_negative ? hn::Abs(value) : value);
  }
  return hn::GetLane(hn::MaxOfLanes(d, best));
}

CellPeak FindAny(const CellSet& cells, bool allow_negative) {
  return allow_negative ? FindPeak<true>(cells) : FindPeak<false>(cells);
}

}  // namespace contimg::image::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace contimg::image {

HWY_EXPORT(CellMaximumAny);
HWY_EXPORT(FindAny);
HWY_EXPORT(SubtractTarget);

float CellMaximum(const float* values, bool allow_negative) {
  return HWY_DYNAMIC_DISPATCH(CellMaximumAny)(values, allow_negative);
}
CellPeak FindCellPeak(const CellSet& cells, bool allow_negative) {
  return HWY_DYNAMIC_DISPATCH(FindAny)(cells, allow_negative);
}
void SubtractPsf(const CellSet& cells, const PsfView& psf, float flux) {
  HWY_DYNAMIC_DISPATCH(SubtractTarget)(cells, psf, flux);
}

}  // namespace contimg::image
#endif
