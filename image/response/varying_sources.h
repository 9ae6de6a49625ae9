// What the beam's drift and smearing make of bright sources within one tile.
//
// CLEAN's model is a constant sky. A source whose mean apparent flux is S (image/response/primary_beam.h,
// image/response/smearing.h) is seen on a baseline at integration t and frequency ν with
//     S · P(θ(t), ν)/P̄ · D(baseline, t)/D̄,
// P the beam as it drifts over the source times the source's spectrum ν^α (image/response/source_spectra.h), D what
// smearing keeps, P̄ and D̄ their means over the imaging weights. To
// subtract S everywhere leaves side lobes of the rest: in a tile of 309 s a source at the half-power radius changes by
// ± 20 %, and smearing makes it an extended source. Major cycles take the deviation out of the data for the sources
// for which it matters, by a direct sum at the nodes of the compressed visibilities
// (image/operator/measurement_operator.h). Its mean is zero, so fluxes keep their meaning: flux × .pb × .smear.
// Bhatnagar et al. (2008, A&A 487, 419) put the beam into the model of all pixels by gridding with it; for the few
// bright sources of a field a sum is exact and costs less.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "config/buffer.h"
#include "image/plane/clean_component.h"
#include "image/plane/image_geometry.h"
#include "image/response/primary_beam.h"
#include "image/response/smearing.h"
#include "image/response/source_catalogue.h"

namespace contimg::image {

// Point sources with what a constant flux does not hold. The beam's part is a cubic in x = (ν − mid_hz)/half_hz for
// each integration; smearing is that of the middle of the band.
struct VaryingSources {
  static constexpr std::size_t kGroup = 16;  // arrays are padded to whole groups, with zero fluxes
  static constexpr std::size_t kTerms = 4;
  std::size_t size = 0;    // sources
  std::size_t padded = 0;  // and with padding
  double mid_hz = 0, half_hz = 1;
  std::vector<double> l, m, n_minus_1;  // direction cosines
  Buffer<float> mean_jy;                // S
  Buffer<float> deviation_jy;           // S (P/P̄ − 1): [time][kTerms][padded], coefficients of x⁰ … x³
  std::vector<double> kept;             // D̄
  std::vector<double> effect_jy;        // [size]: by what they were chosen
  std::vector<PixelPosition> at;        // [size]: on the grid of the components

  // The frame of the rows (image/operator/uv_plan.h) and how they are smeared.
  double slant_a = 0, slant_b = 0;
  double sin_dec = 0, cos_dec = 1;        // of the phase centre
  double in_band = 0;                     // π δν
  std::vector<double> in_time;            // π δt ω ν, per time
  std::vector<DirectionCosines> stopped;  // per time: where fringes are stopped
};

// A residual at places of the sky: as an image has it there, and its first moment in x.
struct ResidualProbe {
  VaryingSources places;
  std::vector<double> mean_jy, first_jy;  // [places.size]: Σ w r, Σ w x r over Σ w, r turned to the place
};

struct SourceVariationInput {
  BeamModel beam;
  BeamAverage average;
  SmearingInput smearing;                          // its uvw and weights are not used
  std::function<double(double l, double m)> kept;  // D̄, as the .smear image has it
};

class SourceVariation {
 public:
  static constexpr std::size_t kMaxSources = 256;
  static constexpr double kLeastBeam = 0.02;  // P̄ below which the beam is not known well enough to say how it varies

  // `geometry`: the slant grid on which the components stand. The weights are summed up here, not kept.
  SourceVariation(const SourceVariationInput& input, const ImageGeometry& geometry);

  // The components (points; others are left constant) whose flux times relative deviation is at least `least_jy`, the
  // strongest kMaxSources of them. `index_at`: the spectral index of what stands at a pixel. Deterministic.
  using IndexAt = std::function<double(double x, double y)>;
  VaryingSources Of(const std::vector<CleanComponent>& components, const IndexAt& index_at, double least_jy) const;

  // Places of the slant grid, without flux, in their order.
  VaryingSources Places(const std::vector<PixelPosition>& places) const;

  // The band in x as the weights have it, and half_hz/mid_hz.
  struct Band {
    double mean = 0, variance = 0, half_width = 0;
  };
  Band band() const;
  // Whether the beam is known at this place (kLeastBeam), or there is none.
  bool KnowsBeamAt(const PixelPosition& place) const;
  // By how much the flux of a source at this place changes with x, over its mean: beam and index together.
  double Slope(const PixelPosition& place, double index) const;

  // Whole sources (mean_jy is zero, deviation_jy all of them) that the grid does not hold: catalogued ones beyond its
  // edges with a mean apparent flux of at least `least_jy`, the strongest kMaxOutside of them, as far in as the beam is
  // known. `scale`: AberrationScale. `total_jy`: the sum of their mean apparent fluxes.
  static constexpr std::size_t kMaxOutside = 64;
  VaryingSources Outside(const std::vector<CatalogueSource>& catalogue, const PhaseCentre& centre, double scale,
                         double least_jy, double& total_jy) const;

 private:
  struct Deviation;
  struct Candidate;
  Deviation At(double l, double m, double n, double alpha, bool whole) const;
  VaryingSources Strongest(std::vector<Candidate> chosen, std::size_t limit) const;

  BeamModel model_;
  bool has_beam_;
  std::vector<DirectionCosines> track_;
  SmearingInput smearing_;
  std::function<double(double, double)> kept_;
  ImageGeometry geometry_;
  double mid_hz_, half_hz_;
  std::vector<double> moments_;  // [time][kTerms]: Σ over channels of weight × xᵏ
  double total_ = 0;
};

}  // namespace contimg::image
