// Model visibilities of point sources by direct summation, with the primary beam where the dishes pointed and with the
// losses of averaging over an integration and a channel.
//
// V(ν) = Σ S_k(ν, t) sinc(π ν τ̇ T) sinc(π τ' Δν) e^{2πi ν τ}, τ = (u l + v m + w (n − 1))/c, the Measurement Set's
// signs. The correlator stops fringes at `fringe_centre` during each integration, so the losses go with the delay τ'
// and the delay rate τ̇ of the source against that direction (Thompson, Moran & Swenson, chapter 6; Bridle & Schwab
// 1999).
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "calibrate/sky_model.h"
#include "config/array_view.h"
#include "config/buffer.h"
#include "convert/tile_beam.h"
#include "ingest/visibility_block.h"

namespace contimg::calibrate {

using DirectionCosines = std::array<double, 3>;  // l, m, n against the axes of the phase centre

struct PredictInput {
  ArrayView<const double, 3> uvw_m;  // [time][baseline][3]
  std::vector<double> time_mjd_s;
  std::vector<double> integration_s;
  std::vector<double> frequency_hz;  // ascending
  double channel_width_hz = 0;
  double declination_rad = 0;  // of the phase centre (of date): uvw rates when there are < 3 times
  std::vector<DirectionCosines> components;
  std::vector<DirectionCosines> fringe_centre;  // per time
  ArrayView<const float, 3> flux_jy;            // [time][component][channel], the beam included
  bool smearing = true;
};

// Fills `model` [time][baseline][channel] with Stokes I in Jy: what each parallel hand sees of an unpolarised sky.
// Relative accuracy 1e-5 of the summed flux (single precision, phases reduced in double).
void PredictVisibilities(const PredictInput& input, ArrayView<Visibility, 3> model, int threads);

using convert::BeamMode;

struct PredictOptions {
  convert::TileBeam beam;  // convert::ChooseBeam of the block; by default there is none
  bool smearing = true;
  const convert::EarthOrientationTable* orientation = nullptr;  // null: UT1 = UTC
  double least_beam = 0;  // the mean beam at the phase centre below which Predict refuses the block
};

// What each source contributes, before summation.
struct ApparentSource {
  DirectionCosines direction{};
  double mean_flux_jy = 0;  // averaged over the tile and the band, beam included
  double mean_beam = 0;     // power, likewise
  double altitude_rad = 0;  // above the horizon at the middle of the tile
};

struct Prediction {
  Buffer<Visibility> model;  // [time][baseline][channel]
  std::array<std::size_t, 3> shape{};
  std::vector<ApparentSource> sources;
  ArrayView<const Visibility, 3> view() const { return {model.data(), shape}; }
  double ApparentJy() const;  // of all sources
};

// Predicts `sources` for a phased block. Throws Error{kBadInput} when the block is not phased, and when the beam has
// taken its centre away (options.least_beam).
Prediction Predict(const VisibilityBlock& block, const std::vector<SkySource>& sources, const PredictOptions& options,
                   int threads);

// The beam and geometry part of Predict alone: apparent fluxes without visibilities (choosing sources, planning).
std::vector<ApparentSource> ApparentSources(const VisibilityBlock& block, const std::vector<SkySource>& sources,
                                            const PredictOptions& options);

}  // namespace contimg::calibrate
