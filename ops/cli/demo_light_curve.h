// The variable of `contimg demo`: what is simulated of it, and its light curve on record beside that.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/units.h"

namespace contimg::ops {

// A source in the middle of the second tile of a drift whose first passes over `calibrator`, seen by the tiles beside
// it too; its spectrum is flat, so that its flux density is the same at every frequency.
struct DemoVariable {
  explicit DemoVariable(const SkyDirection& calibrator);
  std::string SimulateWord() const;   // for `contimg simulate --source`
  std::string CatalogueLine() const;  // name,ra_deg,dec_deg,flux_jy,spectral_index

  SkyDirection place;
  static constexpr double kMeanJy = 0.3;
  static constexpr int kTiles = 3;  // that see it
};

struct DemoPoint {
  std::string group;
  double mjd = 0, flux_jy = 0, error_jy = 0;
  double simulated_jy = 0;  // mean over the tile, weighted by the beam
};

// What the daemon has on record of it, by time, beside `truth_folder`'s lightcurves_*.json. Waits up to `patience_s`
// for `expected` points: tiles are on record a moment before their measurements.
std::vector<DemoPoint> LightCurveOfDemo(const ProductPaths& paths, const std::filesystem::path& truth_folder,
                                        const DemoVariable& variable, std::size_t expected, double patience_s);

void PrintDemoLightCurve(const std::vector<DemoPoint>& points);

}  // namespace contimg::ops
