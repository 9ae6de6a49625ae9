// Separating what is left of w: exp(2πi w t) ≈ Σ_k c_k(w) g_k(t), t = n − 1 measured from its mid-range.
//
// Series: c_k = (i w/w_s)^k with real g_k(t) that minimise the mean square error over the weighted distribution of |w|
// (a Taylor series, g_k = (2πw_s t)^k/k!, adapted to the data at hand: its error is a few times smaller). All terms
// are Hermitian grids and real images. Planes: convolution of w onto equidistant planes with the gridding kernel, two
// real terms, cos and sin, per plane; any accuracy, for arrays that are far from coplanar.
#pragma once

#include <cstddef>
#include <vector>

#include "image/operator/grid_kernels.h"
#include "image/operator/gridding_kernel.h"
#include "image/operator/screen_kernels.h"

namespace contimg::image {

// Weighted distribution of |w| over the samples, in equal bins of [0, max_w].
struct WDistribution {
  double max_w = 0;  // wavelengths
  std::vector<double> weight;
};

constexpr int kMaxSeriesTerms = 6;

class WExpansion {
 public:
  // The shortest series with a relative rms error of at most `rms_error`, or planes when kMaxSeriesTerms do not reach
  // it. `half_range`: |t| ≤ half_range. `min_w`, `max_w`: range of the (signed) w of the samples, used for planes.
  struct Request {
    double rms_error = 1e-5;
    double half_range = 0;
    double min_w = 0;
    double max_w = 0;
  };
  WExpansion(const WDistribution& distribution, const Request& request, const GriddingKernel& kernel);

  bool uses_planes() const { return planes_ > 0; }
  std::size_t n_terms() const { return planes_ > 0 ? 2 * planes_ : series_.size(); }
  double expected_error() const { return expected_error_; }

  // Terms are gridded in groups to bound memory: a series is one group, planes go two (four terms) at a time.
  static constexpr std::size_t kPlanesPerGroup = 2;
  std::size_t n_groups() const { return planes_ > 0 ? (planes_ + kPlanesPerGroup - 1) / kPlanesPerGroup : 1; }
  std::size_t TermsOf(std::size_t group) const;
  SampleTerms Samples(std::size_t group) const;
  // Range of w that contributes to a group.
  struct Range {
    double min = 0;
    double max = 0;
  };
  Range WRange(std::size_t group) const;

  // Σ_k g_k(t_x) row_k[x] for the terms of one group; rows: [term][n]; t relative to mid-range; added to sum.
  template <typename T>
  void Combine(std::size_t group, const double* t, std::size_t n, const T* rows, T* sum) const;
  // The adjoint: rows[k][x] = g_k(t_x) value[x].
  template <typename T>
  void Spread(std::size_t group, const double* t, std::size_t n, const T* value, T* rows) const;

 private:
  void FitSeries(const WDistribution& distribution, std::size_t n_terms, std::size_t order);
  double SeriesError(const WDistribution& distribution) const;
  void MakePlanes(const Request& request, const GriddingKernel& kernel);

  double half_range_ = 0;
  double scale_w_ = 1;  // w_s, or the spacing of planes
  double first_w_ = 0;  // w of plane 0
  std::size_t planes_ = 0;
  int support_ = 0;
  double expected_error_ = 0;
  std::vector<SeriesFactor> series_;
  SeriesFactor correction_;  // 1/φ^(t) for planes
};

}  // namespace contimg::image
