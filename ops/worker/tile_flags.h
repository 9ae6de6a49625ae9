// What is wrong with a tile, and so with all that is measured in it.
#pragma once

#include "config/quality_flags.h"
#include "config/telescope.h"
#include "config/time.h"
#include "ingest/visibility_block.h"
#include "ops/job/job.h"

namespace contimg::ops {

// Nearer to the tile's centre than this, and above the horizon, the Sun or the Moon is in all of it: the Sun (10⁶ Jy at
// 1.4 GHz when quiet, resolved by all but the short baselines) through the far side lobes of a 4.65 m dish, 2·10⁻⁴ at
// 20°; the Moon (900 Jy) through the near ones, 1 % at 5° (Airy's envelope 8/πx³, x = πDθ/λ).
inline constexpr double kSunDegrees = 20, kMoonDegrees = 5;

struct TileSight {
  UtcTime middle;
  PhaseCentre centre;  // ICRS
  Geodetic site = kDsa110Centre;
};

// What the daemon knew (`job.tile_flags`; tables of another time are none when the tile was solved itself), bad_tile
// (the image is of grade F), partial_tile, uncalibrated, interference (more is flagged between living receptors than
// `image.gate_flagged`), sun_or_moon. `state`: of the data that were imaged.
QualityFlags FlagsOfTile(const Job& job, const JobReport& report, DataState state, const TileSight& sight);

}  // namespace contimg::ops
