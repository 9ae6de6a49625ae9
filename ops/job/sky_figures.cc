#include "ops/job/sky_figures.h"

namespace contimg::ops {

using calibrate::SkyVerdict;

nlohmann::json SkyFigures(const calibrate::LostSky& sky) {
  nlohmann::json antennas = nlohmann::json::array();
  const auto lost = sky.Antennas();
  for (std::size_t i = 0; i < lost.size(); ++i) {
    nlohmann::json power = nlohmann::json::array(), error = nlohmann::json::array();
    for (const calibrate::ReceptorSky& each : sky.receptors[lost[i]]) {
      const bool judged = each.verdict == SkyVerdict::kLost || each.verdict == SkyVerdict::kSeen;
      power.push_back(judged ? nlohmann::json(each.power) : nlohmann::json());
      error.push_back(judged ? nlohmann::json(each.error) : nlohmann::json());
    }
    antennas.push_back({{"name", sky.names[i]}, {"power", power}, {"error", error}});
  }
  return {{"searched", !sky.receptors.empty()},
          {"seen", sky.Count(SkyVerdict::kSeen)},
          {"lost", sky.Count(SkyVerdict::kLost)},
          {"cannot_tell", sky.Count(SkyVerdict::kCannotTell)},
          {"antennas", antennas}};
}

}  // namespace contimg::ops
