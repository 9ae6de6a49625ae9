// What was put into a group, as JSON, for tests to compare with.
#pragma once

#include <filesystem>
#include <vector>

#include "tests/simulator/simulate.h"

namespace contimg::simulator {

struct TruthInput {
  const SkyModel& sky;
  const ArrayConfig& array;
  const Corruptions& corruptions;
  const GroupSpec& spec;
  const AntennaGains& gains;
  std::vector<double> apparent_jy;   // per source: mean over the tile's times and channels, with the beam
  std::vector<double> band_mean_jy;  // the same without the beam
};

// Mean over the cross baselines (equal weights), the tile and the band of the smearing factor of one source, weighted
// with its flux in the beam: two-point Gauss quadrature in time and frequency.
double MeanSmearing(const ArrayConfig& array, const GroupSpec& spec, const Source& source);

// docs/formats of the file: the keys of one object.
//   t0, t_mid_mjd, dec_app_deg, centre [ra, dec] (ICRS, degrees), ants (station numbers in correlator order), nobeam
//   sources [[ra, dec, Jy at 1.4 GHz, alpha]…] (of a variable: in the middle of the tile), apparent_jy,
//   apparent_smeared_jy, band_mean_jy (one per source: means over the tile; what resolution takes of an extended one is
//   in none of them) varying [{source (counted from 0), kind, at_mjd, amplitude, period_d, factor, rise_d, decay_d,
//   from_mjd, to_mjd, steady_jy}…], extended [{source, major_arcsec, minor_arcsec, angle_deg}…] seed, gain_seed,
//   sefd_jy, sigma_jy, dead_stations, dead_pol ("X", "Y", null: both), dead_from (UTC, null: always), missing_subbands,
//   rfi [{…}] gains (only when there are any): convention, reference_hz, stations, time_mjd, frequency_hz (ascending),
//     delay_ns [antenna][pol], gain [time][antenna][pol][re, im], bandpass [antenna][pol][channel][re, im]
void WriteTruth(const std::filesystem::path& path, const TruthInput& input);

}  // namespace contimg::simulator
