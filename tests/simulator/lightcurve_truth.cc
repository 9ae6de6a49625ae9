#include "tests/simulator/lightcurve_truth.h"

#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "config/error.h"

namespace contimg::simulator {

void LightCurveTruth::Add(const std::string& stamp, int day, UtcTime middle, const SkyModel& sky,
                          const std::vector<double>& seen_jy) {
  tiles_.push_back({stamp, day, middle.mjd()});
  for (std::size_t i = 0; i < sky.sources.size(); ++i) {
    const Source& source = sky.sources[i];
    Curve& curve = curves_[{source.position.ra.rad(), source.position.dec.rad(), source.flux_jy}];
    curve.source = source;
    for (std::vector<double>* jy : {&curve.jy, &curve.seen_jy}) {
      jy->resize(tiles_.size(), std::numeric_limits<double>::quiet_NaN());
    }
    curve.jy.back() = source.flux_jy * source.variation.FactorAt(middle.mjd());
    curve.seen_jy.back() = seen_jy[i];
  }
}

void LightCurveTruth::Write(const std::filesystem::path& path) const {
  using nlohmann::json;
  json truth{{"tiles", json::array()}, {"sources", json::array()}};
  for (const Tile& tile : tiles_) {
    truth["tiles"].push_back({{"stamp", tile.stamp}, {"day", tile.day}, {"mid_mjd", tile.mid_mjd}});
  }
  for (const auto& [key, curve] : curves_) {
    const Source& source = curve.source;
    const auto in_tiles = [&](const std::vector<double>& of) {
      json all = json::array();
      for (std::size_t t = 0; t < tiles_.size(); ++t) {
        all.push_back(t < of.size() && !std::isnan(of[t]) ? json(of[t]) : json());
      }
      return all;
    };
    truth["sources"].push_back(
        {{"ra_deg", source.position.ra.deg()},
         {"dec_deg", source.position.dec.deg()},
         {"spectral_index", source.spectral_index},
         {"kind", ToString(source.variation.kind)},
         {"transient", std::isfinite(source.variation.from_mjd) || std::isfinite(source.variation.to_mjd)},
         {"major_arcsec", source.shape.major.arcsec()},
         {"jy", in_tiles(curve.jy)},
         {"seen_jy", in_tiles(curve.seen_jy)}});
  }
  std::ofstream file(path);
  file << truth.dump() << '\n';
  file.close();
  if (!file) throw Error(ErrorKind::kIo, "simulate", path.string(), "cannot write the light curves");
}

}  // namespace contimg::simulator
