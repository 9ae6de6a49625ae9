// What every source of a run had in every tile, as JSON, for light curves to be compared with.
#pragma once

#include <array>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "config/time.h"
#include "tests/simulator/sky_model.h"

namespace contimg::simulator {

class LightCurveTruth {
 public:
  // A tile of the run, in the order of time; `day`: sidereal days after the first; `seen_jy`: of each source of the sky
  // what the tile sees of it (GroupResult).
  void Add(const std::string& stamp, int day, UtcTime middle, const SkyModel& sky, const std::vector<double>& seen_jy);
  // One object: tiles [{stamp, day, mid_mjd}…] and sources [{ra_deg, dec_deg, spectral_index, kind, transient,
  // major_arcsec, jy, seen_jy}…] with `jy` the flux density at 1.4 GHz in the middle of each tile and `seen_jy` its
  // mean over the tile weighted by the beam, null in those that do not have the source in their sky. Throws Error{kIo}.
  void Write(const std::filesystem::path& path) const;

 private:
  struct Tile {
    std::string stamp;
    int day;
    double mid_mjd;
  };
  struct Curve {
    Source source;
    std::vector<double> jy, seen_jy;  // NaN: not in the tile
  };
  std::vector<Tile> tiles_;
  std::map<std::array<double, 3>, Curve> curves_;  // by right ascension, declination, flux density
};

}  // namespace contimg::simulator
