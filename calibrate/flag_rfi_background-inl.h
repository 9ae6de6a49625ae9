// The background that FlagRfi takes out of amplitudes.
// Included once for each instruction set (Highway's foreach_target).
#if defined(CONTIMG_CALIBRATE_FLAG_RFI_BACKGROUND_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef CONTIMG_CALIBRATE_FLAG_RFI_BACKGROUND_INL_H_
#undef CONTIMG_CALIBRATE_FLAG_RFI_BACKGROUND_INL_H_
#else
#define CONTIMG_CALIBRATE_FLAG_RFI_BACKGROUND_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "calibrate/flag_rfi_pack-inl.h"

HWY_BEFORE_NAMESPACE();
namespace contimg::calibrate::HWY_NAMESPACE {

// The smooth background of a plane.
class Background : private PackPlanes {
 public:
  explicit Background(const PackPlanes& planes) : PackPlanes(planes) {}

  // data = amplitude − smooth background of the unflagged amplitudes; 0 where missing.
  //
  // The background is a weighted mean. Beside the ends of the data it lags behind a source that rises or sets. Both
  // ends of a whole plane deviate about alike and are taken for its usual scatter, but one end that stands alone would
  // be taken for interference: planes with gaps get the weighted parabola in time instead, at any end.
  void Remove(std::size_t pol) {
    const std::size_t n_coarse = plan_.n_coarse, resize = plan_.time_resize;
    float* const weights = w_.coarse.data() + n_coarse * w_.row;
    float* const smooth_weights = w_.smooth.data() + n_coarse * w_.row;
    const V one = hn::Set(d_, 1.0f), zero = hn::Zero(d_);
    for (std::size_t s = 0; s < n_coarse; ++s) {
      float* value = w_.coarse.data() + s * w_.row;
      float* weight = weights + s * w_.row;
      bool whole = true;
      V moment = zero, count = zero;
      const std::size_t begin = s * resize, end = std::min(nt_, begin + resize);
      for (std::size_t c = 0; c < nc_; ++c) {
        V sum = zero, n = zero;
        for (std::size_t t = begin; t < end; ++t) {
          const M bad = LoadBits(d_, Mask(t) + c);
          sum = hn::Add(sum, hn::IfThenZeroElse(bad, hn::Load(d_, Amplitude(pol, t) + c * lanes_)));
          n = hn::Add(n, hn::IfThenZeroElse(bad, one));
          if (gaps_[pol] == 0) continue;
          moment = hn::Add(moment, hn::IfThenZeroElse(bad, hn::Set(d_, static_cast<float>(t))));
          count = hn::Add(count, hn::IfThenZeroElse(bad, one));
        }
        const M some = hn::Gt(n, zero);
        whole = whole && hn::AllTrue(d_, some);
        hn::Store(hn::Div(sum, hn::Max(n, one)), d_, value + c * lanes_);
        hn::Store(hn::IfThenElseZero(some, one), d_, weight + c * lanes_);
      }
      if (gaps_[pol] != 0) {
        const V middle = hn::Set(d_, 0.5f * static_cast<float>(begin + end - 1));
        hn::Store(hn::IfThenElse(hn::Gt(count, zero), hn::Div(moment, hn::Max(count, one)), middle), d_,
                  w_.places.data() + s * lanes_);
      }
      AlongChannels(value, w_.smooth.data() + s * w_.row);
      float* out = smooth_weights + s * w_.row;
      if (whole) {
        for (std::size_t c = 0; c < nc_; ++c) hn::Store(hn::Set(d_, plan_.channel_norm[c]), d_, out + c * lanes_);
      } else {
        AlongChannels(weight, out);
      }
    }
    for (std::size_t s = 0; s < n_coarse; ++s) {
      const std::size_t reach = plan_.kernel_times.size() - 1;
      const std::size_t first = s > reach ? s - reach : 0, last = std::min(n_coarse - 1, s + reach);
      for (std::size_t c = 0; c < nc_; ++c) {
        V sum = zero, norm = zero;
        for (std::size_t k = first; k <= last; ++k) {
          const V g = hn::Set(d_, plan_.kernel_times[k > s ? k - s : s - k]);
          sum = hn::MulAdd(g, hn::Load(d_, w_.smooth.data() + k * w_.row + c * lanes_), sum);
          norm = hn::MulAdd(g, hn::Load(d_, smooth_weights + k * w_.row + c * lanes_), norm);
        }
        const V background = hn::IfThenElseZero(hn::Gt(norm, zero), hn::Div(sum, norm));
        V curve[3] = {background, zero, zero};
        if (gaps_[pol] != 0) FitCurve(pol, s, c, first, last, norm, background, curve);
        for (std::size_t t = s * resize; t < std::min(nt_, (s + 1) * resize); ++t) {
          V v = hn::Load(d_, Amplitude(pol, t) + c * lanes_);
          if (gaps_[pol] == 0) {
            v = hn::Sub(v, background);
          } else {
            const V x = hn::Sub(hn::Set(d_, static_cast<float>(t)), hn::Load(d_, w_.places.data() + s * lanes_));
            v = hn::Sub(v, hn::MulAdd(hn::MulAdd(curve[2], x, curve[1]), x, curve[0]));
          }
          hn::Store(hn::IfThenZeroElse(LoadBits(d_, Missing(pol) + t * nc_ + c), v), d_, Data(t) + c * lanes_);
        }
      }
    }
  }

 private:
  // a[0] + a[1] x + a[2] x² through the smoothed values, x the time from the place of averaged integration `s`: the
  // weighted parabola, the straight line or `mean` alone where they have not the extent for more, and `mean` in planes
  // without gaps.
  void FitCurve(std::size_t pol, std::size_t s, std::size_t c, std::size_t first, std::size_t last, V norm, V mean,
                V* a) {
    const float* const weights = w_.smooth.data() + plan_.n_coarse * w_.row;
    const V here = hn::Load(d_, w_.places.data() + s * lanes_), zero = hn::Zero(d_);
    V n1 = zero, n2 = zero, n3 = zero, n4 = zero, sum1 = zero, sum2 = zero;
    for (std::size_t k = first; k <= last; ++k) {
      const V g = hn::Set(d_, plan_.kernel_times[k > s ? k - s : s - k]);
      const V x = hn::Sub(hn::Load(d_, w_.places.data() + k * lanes_), here), x2 = hn::Mul(x, x);
      const V weight = hn::Mul(g, hn::Load(d_, weights + k * w_.row + c * lanes_));
      const V value = hn::Mul(g, hn::Load(d_, w_.smooth.data() + k * w_.row + c * lanes_));
      n1 = hn::MulAdd(x, weight, n1);
      n2 = hn::MulAdd(x2, weight, n2);
      n3 = hn::MulAdd(hn::Mul(x2, x), weight, n3);
      n4 = hn::MulAdd(hn::Mul(x2, x2), weight, n4);
      sum1 = hn::MulAdd(x, value, sum1);
      sum2 = hn::MulAdd(x2, value, sum2);
    }
    // From here on means: variances and covariances of x, x² and the values.
    const V scale = hn::Div(hn::Set(d_, 1.0f), hn::Max(norm, hn::Set(d_, std::numeric_limits<float>::min())));
    n1 = hn::Mul(n1, scale);
    n2 = hn::Mul(n2, scale);
    const V v11 = hn::NegMulAdd(n1, n1, n2), v12 = hn::NegMulAdd(n1, n2, hn::Mul(n3, scale)),
            v22 = hn::NegMulAdd(n2, n2, hn::Mul(n4, scale)), d1 = hn::NegMulAdd(n1, mean, hn::Mul(sum1, scale)),
            d2 = hn::NegMulAdd(n2, mean, hn::Mul(sum2, scale));
    const V determinant = hn::NegMulAdd(v12, v12, hn::Mul(v11, v22));
    // More than three averaged integrations next to each other; a standard deviation of half an integration.
    const M gaps = LoadBits(d_, &gaps_[pol]), curved = hn::And(gaps, hn::Gt(determinant, hn::Set(d_, 200.0f))),
            straight = hn::And(gaps, hn::Gt(v11, hn::Set(d_, 0.25f)));
    const V slope = hn::IfThenElseZero(straight, hn::Div(d1, v11));
    a[1] = hn::IfThenElse(curved, hn::Div(hn::NegMulAdd(d2, v12, hn::Mul(d1, v22)), determinant), slope);
    a[2] = hn::IfThenElseZero(curved, hn::Div(hn::NegMulAdd(d1, v12, hn::Mul(d2, v11)), determinant));
    a[0] = hn::NegMulAdd(a[2], n2, hn::NegMulAdd(a[1], n1, mean));
  }

  // One row convolved with the channel kernel; what lies outside the band counts nothing.
  HWY_INLINE void AlongChannels(const float* HWY_RESTRICT in, float* HWY_RESTRICT out) {
    const std::size_t reach = plan_.kernel_channels.size() - 1;
    for (std::size_t c = 0; c < nc_; ++c) {
      V sum = hn::Load(d_, in + c * lanes_);
      if (c >= reach && c + reach < nc_) {
        for (std::size_t k = 1; k <= reach; ++k) {
          const V pair = hn::Add(hn::Load(d_, in + (c - k) * lanes_), hn::Load(d_, in + (c + k) * lanes_));
          sum = hn::MulAdd(hn::Set(d_, plan_.kernel_channels[k]), pair, sum);
        }
      } else {
        for (std::size_t k = 1; k <= reach; ++k) {
          const V g = hn::Set(d_, plan_.kernel_channels[k]);
          if (c >= k) sum = hn::MulAdd(g, hn::Load(d_, in + (c - k) * lanes_), sum);
          if (c + k < nc_) sum = hn::MulAdd(g, hn::Load(d_, in + (c + k) * lanes_), sum);
        }
      }
      hn::Store(sum, d_, out + c * lanes_);
    }
  }
};

}  // namespace contimg::calibrate::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
