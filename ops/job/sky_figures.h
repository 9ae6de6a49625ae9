// The search for antennas without sky as JSON: in `contimg flag --json` and among the figures of the stage "flag".
#pragma once

#include <nlohmann/json.hpp>

#include "calibrate/lost_sky.h"

namespace contimg::ops {

// {"searched", "seen", "lost", "cannot_tell": receptors, "antennas": [{"name": "47 X", "power": [x, y], "error": [x,
// y]}]}, one for each antenna with a lost receptor: fractions of the usual power of the sky, null without data.
nlohmann::json SkyFigures(const calibrate::LostSky& sky);

}  // namespace contimg::ops
