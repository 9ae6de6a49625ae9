// Which primary beam a tile is imaged, predicted and solved with, and where it points: the one rule for all of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "convert/frames.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

enum class BeamMode {
  kDrift,     // the beam is at rest on the Earth
  kTracking,  // the beam is at rest on the sky
  kNone,      // response 1 everywhere
};
std::string_view ToString(BeamMode mode);      // drift, tracking, none
std::string_view WordOf(Pointing::Kind kind);  // drift, tracking, unknown

struct TileBeam {
  BeamMode mode = BeamMode::kNone;
  // Where it stands; of the kind of the mode, or what the data say when there is no beam.
  Pointing pointing;
  double dish_diameter_m = 0;  // of the Airy pattern; 0 without a beam or when the beam was measured
  std::string description;     // one line for a history: mode, place, what said so, dishes
  std::string warning;         // one sentence for whoever runs it; empty when there is nothing to say
};

// `telescope.beam` when it is set: drift and tracking then stand where the data say, and where they say nothing or the
// contrary at the phase centre (drift: at the middle of the block), the contrary with a warning. "auto": what the data
// say; where they say nothing there is no beam, with a warning.
//
// The dish is that of telescope.dish_diameter_m; else the median of the diameters (above 0) of the antennas that have
// baselines, with a warning when they differ by more than 1 %; `measured_pattern`: no diameter is needed. When nobody
// knows one: "auto" takes no beam, with a warning; else Error{kUsage}, as for another word.
TileBeam ChooseBeam(const VisibilityBlock& block, const TelescopeSettings& telescope,
                    const EarthOrientationTable& orientation, bool measured_pattern = false);

// Unit vector, ITRF axes of one moment, along the axis. The pointing is known.
Vector3 BeamAxis(const TileBeam& beam, const SkyFrame& frame);

// "the meridian of longitude -118.2834 deg, apparent declination +16.1000 deg" or "202.784533 +30.509155 deg (ICRS)".
std::string PlaceOf(const Pointing& pointing);

// The refusal of data whose centre the beam or smearing has taken away; `subject`: file or group. The figures are the
// power of the mean beam and what smearing leaves at the phase centre.
void CheckResponseAtCentre(const TileBeam& beam, double mean_beam, double smearing, double least,
                           const std::string& module, const std::string& subject);

}  // namespace contimg::convert
