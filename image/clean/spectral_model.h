// Spectra of CLEAN components: a common model of several bands in which every source has its own run with frequency.
//
// CLEAN works on the mean of the bands, whose residual is exact for the spectra known so far; after each major cycle
// the bands' residuals improve the spectra. A source is an island: strong model pixels nearer than one beam to one
// another. With m its model, P the beam and R_c the residual of band c, its flux in that band is off by the factor
//     δ_c = Σ m_i R_c(i) / Σ m_i P(i − j) m_j,     variance σ_c² / Σ m_i P(i − j) m_j      (σ_c: rms of R_c).
// The corrected factors f_c are fitted by a polynomial in ν/ν0 − 1 whose slopes have a Gaussian prior of width 3, so
// that noise alone makes no spectrum, and scaled to a weighted mean of 1: the mean flux is CLEAN's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "config/array_view.h"
#include "config/buffer.h"
#include "image/clean/clean.h"
#include "image/operator/band_operators.h"
#include "image/plane/beam_fit.h"
#include "image/plane/plane.h"
#include "image/response/varying_sources.h"

namespace contimg::image {

struct SourceSpectrum {
  double x = 0, y = 0;  // slant pixel of the model's centroid
  double flux_jy = 0;   // weighted mean over the bands
  double snr = 0;
  std::vector<double> factor;        // flux in each band over flux_jy, as modelled
  std::vector<double> measured;      // the same before the fit…
  std::vector<double> factor_error;  // …and its standard error
};

struct SpectrumFit {
  double slope = 0;        // d ln S / d ln ν at the mean frequency: the spectral index
  double slope_error = 0;  // without the prior
  std::vector<double> factor;
};
// Fits Σ_k a_k x^k with x = ν/ν0 − 1 to factors with errors; `weight` (sum 1) says what "mean" is. `prior` is the
// standard deviation of a_k/a_0, k ≥ 1; 0: none.
SpectrumFit FitSpectrum(const std::vector<double>& x, const std::vector<double>& weight,
                        const std::vector<double>& factor, const std::vector<double>& error, std::size_t n_terms,
                        double prior);

// The exact major cycle of several bands.
class SpectralMajorCycle : public MajorCycle {
 public:
  // `variations`: what varies of bright sources in each band; empty: nothing.
  SpectralMajorCycle(const BandOperators& bands, const GaussianBeam& beam, std::size_t n_terms,
                     std::vector<SourceVariation> variations, int threads);

  void SetComponents(const std::vector<CleanComponent>& components, double rms_jy) override;

  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override;

  // After CLEAN: the residual with the spectra as they stand, which are measured once more but not changed; then that
  // of band i, and the model of band i.
  void Finish(ArrayView<const float, 2> model, ArrayView<float, 2> residual);
  ArrayView<const float, 2> band_residual(std::size_t i) const { return residuals_[i].view(); }
  void BandModel(ArrayView<const float, 2> model, std::size_t i, ArrayView<float, 2> band_model) const;
  // What varies of that model.
  VaryingSources BandVarying(std::size_t i) const;

  const std::vector<SourceSpectrum>& sources() const { return sources_; }
  // Flux of a component in band i over its flux.
  double FactorAt(const CleanComponent& component, std::size_t i) const;
  // The source at a slant pixel of the model; null where there is none.
  const SourceSpectrum* SourceAt(std::size_t x, std::size_t y) const;
  std::vector<double> x_of_bands() const;  // ν/ν0 − 1

 private:
  // visit(u, v) for all pixels within `reach` of (x, y) in both directions.
  template <typename Visit>
  void ForWindow(std::size_t x, std::size_t y, std::size_t reach, const Visit& visit) const {
    for (std::size_t v = y - std::min(y, reach); v <= std::min(ny_ - 1, y + reach); ++v) {
      for (std::size_t u = x - std::min(x, reach); u <= std::min(nx_ - 1, x + reach); ++u) visit(u, v);
    }
  }
  // The spectral index within band i of the sky at this pixel.
  double IndexIn(std::size_t i, const PixelPosition& place) const;
  void FindSources(ArrayView<const float, 2> model);
  void Measure(ArrayView<const float, 2> model);
  void Refine();

  const BandOperators& bands_;
  std::size_t n_terms_;
  std::vector<SourceVariation> variations_;
  std::vector<CleanComponent> components_;  // of the model
  double least_varying_jy_ = 0;
  int threads_;
  std::size_t reach_;        // pixels: islands are this far apart
  std::vector<float> beam_;  // of offsets (dy, dx), |·| ≤ reach
  std::size_t nx_ = 0, ny_ = 0;
  Buffer<std::uint32_t> label_;  // [y][x]: 1 + index into sources_; 0 without model
  std::vector<SourceSpectrum> sources_;
  std::vector<Plane> residuals_;
};

}  // namespace contimg::image
