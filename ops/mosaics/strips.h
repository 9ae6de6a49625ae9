// Strips of declination: which one a tile belongs to.
//
// A strip is an apparent declination, to a tenth of a degree: what the array keeps while the sky drifts through it.
// (ICRS declinations of the phase centres of one drift wander by 0.15 degrees over a day.) Each tile is of one strip,
// whatever others are near: of that whose mosaics on record have it, else of the nearest within reach, else it begins
// one.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "state/mosaic_store.h"

namespace contimg::ops {

// Drifts that are closer share most of their sky. Strips that an earlier version began are off by up to 0.2 degrees:
// they were called by the ICRS declination of their first tile.
inline constexpr double kStripReachDeg = 0.5;

class Strips {
 public:
  // Those that there are, and of which of them mosaics have which tiles.
  Strips(std::vector<double> known_deg, const std::vector<state::TileStripRow>& of_tiles);
  // As on record: all strips, the tiles of hourly mosaics of that time.
  static Strips OnRecord(state::MosaicStore& mosaics, double from_mjd, double to_mjd);

  void Know(double strip_deg) { known_deg_.push_back(strip_deg); }
  std::optional<double> Nearest(double app_dec_deg) const;  // within reach
  // Of a tile (its group). By time, so that a drift that begins one is of it to its end.
  double Of(const std::string& group, double app_dec_deg);

 private:
  std::vector<double> known_deg_;
  std::map<std::string, std::vector<double>> of_tiles_;
};

}  // namespace contimg::ops
