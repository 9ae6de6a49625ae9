// What a solve on a tile can be expected to give: the sources in the beam against the noise, before any data are read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "calibrate/sky_model.h"
#include "config/group_observation.h"
#include "config/settings.h"

namespace contimg::calibrate {

struct SolveForecast {
  std::string model;        // CalibratorModel of a source, or kFieldModel (calibrate/field_model.h)
  double signal_jy = 0;     // apparent flux that counts: of the calibrator, or the sources' in quadrature
  double bandpass_snr = 0;  // of one antenna, receptor and channel over the whole tile
  double gain_snr = 0;      // of one antenna and receptor over the whole tile and band
  double transit_s = 0;     // a calibrator's distance from its transit at the middle of the tile
};

// Standard error of a real component of one visibility (or gain of a 1 Jy source on one baseline), Jy.
double VisibilityNoiseJy(double sefd_jy, double bandwidth_hz, double duration_s);

// Power of the beam on a source, averaged over the tile and the band (telescope.beam).
double MeanBeam(const GroupObservation& tile, const SkySource& source, const TelescopeSettings& telescope);

// Part of the baselines that are longer than `length_m`.
double LongerThan(const GroupObservation& tile, double length_m);

// `field`: the catalogue's sources about the tile (none: no catalogue); `calibrators`: sources that are modelled alone
// when they dominate, that is exceed everything else in the beam (in quadrature) three times. No source at all:
// nothing.
std::optional<SolveForecast> ForecastSolve(const GroupObservation& tile, const std::vector<SkySource>& field,
                                           const std::vector<SkySource>& calibrators, const Settings& settings);

// The same tile later in the drift: the sky has moved on at sidereal rate, all else is the same.
GroupObservation Drifted(const GroupObservation& tile, double seconds);

}  // namespace contimg::calibrate
