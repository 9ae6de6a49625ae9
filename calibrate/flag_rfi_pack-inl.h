// What the vector code of FlagRfi works on: packs of baselines, one in each lane.
// Included once for each instruction set (Highway's foreach_target).
#if defined(CONTIMG_CALIBRATE_FLAG_RFI_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONTIMG_CALIBRATE_FLAG_RFI_PACK_INL_H_
#undef CONTIMG_CALIBRATE_FLAG_RFI_PACK_INL_H_
#else
#define CONTIMG_CALIBRATE_FLAG_RFI_PACK_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>

#include "calibrate/flag_rfi_plan.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;
// One bit per lane in a 16-bit word.
using D = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<D>;
using V = hn::Vec<D>;
using M = hn::Mask<D>;
using Bits = std::uint16_t;

HWY_INLINE M LoadBits(D d, const Bits* bits) {
  return hn::LoadMaskBits(d, reinterpret_cast<const std::uint8_t*>(bits));
}
HWY_INLINE void StoreBits(D d, M mask, Bits* bits) {
  *bits = 0;
  hn::StoreMaskBits(d, mask, reinterpret_cast<std::uint8_t*>(bits));
}

// Floats as integers of the same order, and back: bisection on them reaches any magnitude in as many steps.
HWY_INLINE hn::Vec<DI> ToKey(V v) {
  const DI di;
  const auto i = hn::BitCast(di, v);
  return hn::Xor(i, hn::And(hn::ShiftRight<31>(i), hn::Set(di, 0x7fffffff)));
}
HWY_INLINE V FromKey(hn::Vec<DI> k) {
  const DI di;
  return hn::BitCast(D(), hn::Xor(k, hn::And(hn::ShiftRight<31>(k), hn::Set(di, 0x7fffffff))));
}

// Halfway between two keys, without overflow.
HWY_INLINE hn::Vec<DI> Midpoint(hn::Vec<DI> a, hn::Vec<DI> b) {
  return hn::Add(hn::Add(hn::ShiftRight<1>(a), hn::ShiftRight<1>(b)), hn::And(a, hn::And(b, hn::Set(DI(), 1))));
}

// The planes of a pack of baselines, a lane each, [pol][time][channel]: amplitudes, what is missing, and the plane at
// work. Copies are views of the same workspace.
class PackPlanes {
 public:
  PackPlanes(const RfiPlan& plan, const RfiGroup& group, RfiWorkspace& work)
      : plan_(plan), group_(group), w_(work), lanes_(hn::Lanes(d_)), nt_(plan.n_times), nc_(plan.n_channels) {}

 protected:
  Bits* Missing(std::size_t pol) { return w_.missing.data() + pol * nt_ * nc_; }
  float* Amplitude(std::size_t pol, std::size_t t) { return w_.amplitude.data() + (pol * nt_ + t) * w_.row; }
  float* Data(std::size_t t) { return w_.data.data() + t * w_.row; }
  Bits* Mask(std::size_t t) { return w_.mask.data() + t * nc_; }

  const D d_{};
  const RfiPlan& plan_;
  const RfiGroup& group_;
  RfiWorkspace& w_;
  const std::size_t lanes_, nt_, nc_;
  Bits gaps_[4] = {};  // planes with gaps in time, [pol]
};

}  // namespace contimg::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
