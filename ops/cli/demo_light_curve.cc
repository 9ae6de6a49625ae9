#include "ops/cli/demo_light_curve.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "config/stopwatch.h"
#include "ops/lightcurves/light_curves.h"
#include "state/own_source_store.h"
#include "state/source_store.h"

namespace contimg::ops {

namespace fs = std::filesystem;

namespace {

constexpr const char* kVariableName = "variable";
constexpr double kTileDegrees = 309.24 * 15.041 / 3600;  // of right ascension that a tile takes
constexpr double kSamePlaceDegrees = 5.0 / 3600;

// The measurements on record; empty while there is no such source or no database yet.
std::vector<LightCurvePoint> OnRecord(const fs::path& database, const SkyDirection& place) {
  if (!fs::exists(database)) return {};
  state::SourceStore store(database, state::DatabaseOptions::ForOneLook());
  const auto near = state::OwnSourceStore(store.database()).Near(place.ra.deg(), place.dec.deg(), kSamePlaceDegrees);
  if (near.empty()) return {};
  state::LightCurveStore curves(store.database());
  return LightCurveOf(curves, near.front(), {});
}

// The flux density that was simulated of the one source that varies, as the tile sees it: a source that drifts out of
// the beam is seen at the tile's beginning more than at its end.
double SimulatedJy(const nlohmann::json& truth, const std::string& group) {
  for (const auto& source : truth.at("sources")) {
    if (source.at("kind") == "none") continue;
    for (std::size_t t = 0; t < truth["tiles"].size(); ++t) {
      if (truth["tiles"][t].at("stamp") == group && !source["seen_jy"][t].is_null()) {
        return source["seen_jy"][t];
      }
    }
  }
  return std::nan("");
}

}  // namespace

DemoVariable::DemoVariable(const SkyDirection& calibrator)
    : place{WrapPositive(calibrator.ra + Angle::Degrees(kTileDegrees)), calibrator.dec + Angle::Degrees(0.2)} {}

std::string DemoVariable::SimulateWord() const {
  // It rises through its mean in the second tile of the first transit after the simulator's start.
  return fmt::format("{:.6f},{:.6f},{},0,vary=sinusoid,amplitude=0.6,period=60min,at=60961.8334", place.ra.deg(),
                     place.dec.deg(), kMeanJy);
}

std::string DemoVariable::CatalogueLine() const {
  return fmt::format("{},{:.6f},{:.6f},{},0", kVariableName, place.ra.deg(), place.dec.deg(), kMeanJy);
}

std::vector<DemoPoint> LightCurveOfDemo(const ProductPaths& paths, const fs::path& truth_folder,
                                        const DemoVariable& variable, std::size_t expected, double patience_s) {
  const fs::path database = paths.Database(StateDatabase::kMasterSources);
  const Stopwatch watch;
  std::vector<LightCurvePoint> recorded = OnRecord(database, variable.place);
  while (recorded.size() < expected && watch.Seconds() < patience_s) {
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    recorded = OnRecord(database, variable.place);
  }
  nlohmann::json truth;
  for (const auto& entry : fs::directory_iterator(truth_folder)) {
    if (entry.path().filename().string().rfind("lightcurves_", 0) == 0) std::ifstream(entry.path()) >> truth;
  }
  std::vector<DemoPoint> points;
  for (const LightCurvePoint& point : recorded) {
    points.push_back({point.group_id, point.mjd, point.flux_jy, point.error_jy, SimulatedJy(truth, point.group_id)});
  }
  return points;
}

void PrintDemoLightCurve(const std::vector<DemoPoint>& points) {
  if (points.empty()) return;
  fmt::print("\n{:<20} {:>12} {:>10} {:>8} {:>10}\n{:<20} {:>12} {:>10} {:>8} {:>10}\n", "a variable source", "MJD",
             "flux", "error", "simulated", "", "", "(mJy)", "(mJy)", "(mJy)");
  for (const DemoPoint& point : points) {
    fmt::print("{:<20} {:>12.5f} {:>10.2f} {:>8.2f} {:>10.2f}\n", point.group, point.mjd, point.flux_jy * 1e3,
               point.error_jy * 1e3, point.simulated_jy * 1e3);
  }
}

}  // namespace contimg::ops
