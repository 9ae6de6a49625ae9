#include "tests/simulator/noise.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "tests/simulator/noise.cc"
#include <hwy/foreach_target.h>  // IWYU pragma: keep

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace contimg::simulator::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The low 32 bits of each lane times the multiplier of Philox 2×32, in full.
template <class V>
HWY_INLINE V TimesPhiloxMultiplier(V word) {
  constexpr std::uint64_t kMultiplier = 0xD256D193u;
  const hn::DFromV<V> d;
#if HWY_TARGET == HWY_SCALAR
  return hn::Set(d, hn::GetLane(word) * kMultiplier);
#else
  const hn::Repartition<std::uint32_t, decltype(d)> d32;
  return hn::MulEven(hn::BitCast(d32, word), hn::BitCast(d32, hn::Set(d, kMultiplier)));
#endif
}

void NormalPairsTarget(std::uint32_t key, std::uint64_t counter, std::size_t n, double* re, double* im) {
  const hn::CappedTag<double, 8> d;
  const hn::RebindToUnsigned<decltype(d)> du;
  const hn::RebindToSigned<decltype(d)> di;
  const std::size_t lanes = hn::Lanes(d);
  const auto low32 = hn::Set(du, 0xFFFFFFFFu);
  for (std::size_t i = 0; i < n; i += lanes) {
    const auto index = hn::Iota(du, counter + i);
    auto left = hn::And(index, low32);
    auto right = hn::ShiftRight<32>(index);
    std::uint32_t round_key = key;
    for (int round = 0; round < 10; ++round) {
      const auto product = TimesPhiloxMultiplier(left);
      left = hn::Xor(hn::Xor(hn::ShiftRight<32>(product), right), hn::Set(du, round_key));
      right = hn::And(product, low32);
      round_key += 0x9E3779B9u;
    }
    // Both words to (0, 1): never 0, so that the logarithm is finite.
    const auto unit = [&](auto word) {
      return hn::Mul(hn::Add(hn::ConvertTo(d, hn::BitCast(di, word)), hn::Set(d, 0.5)), hn::Set(d, 1.0 / 4294967296.0));
    };
    const auto radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.0), hn::Log(d, unit(left))));
    const auto angle = hn::Mul(unit(right), hn::Set(d, 6.283185307179586));
    hn::StoreU(hn::Mul(radius, hn::Cos(d, angle)), d, re + i);
    hn::StoreU(hn::Mul(radius, hn::Sin(d, angle)), d, im + i);
  }
}

}  // namespace contimg::simulator::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>

namespace contimg::simulator {

namespace {
HWY_EXPORT(NormalPairsTarget);
}  // namespace

void NormalPairs(std::uint32_t key, std::uint64_t counter, std::size_t n, double* re, double* im) {
  HWY_DYNAMIC_DISPATCH(NormalPairsTarget)(key, counter, n, re, im);
}

std::uint64_t Random::Next() {
  state_ += 0x9E3779B97F4A7C15u;
  std::uint64_t z = state_;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

double Random::Uniform() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

double Random::Normal() {
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return radius * std::cos(6.283185307179586 * Uniform());
}

std::uint64_t MixSeed(std::initializer_list<std::uint64_t> parts) {
  std::uint64_t seed = 0;
  for (std::uint64_t part : parts) seed = Random(seed ^ (part * 0xD6E8FEB86659FD93u)).Next();
  return seed;
}

}  // namespace contimg::simulator
#endif  // HWY_ONCE
