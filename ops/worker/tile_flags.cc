#include "ops/worker/tile_flags.h"

#include <algorithm>

#include "config/units.h"
#include "convert/sun_and_moon.h"

namespace contimg::ops {
namespace {

double LivingFlagged(const JobReport& report) {
  for (const StageReport& stage : report.stages) {
    if (stage.name == "flag") return stage.figures.value("flagged_fraction_living", 0.0);
  }
  return 0;
}

bool StandsNear(convert::BrightBody body, double degrees, const TileSight& sight) {
  const convert::BodySight seen = convert::SightOf(body, sight.middle, sight.centre, sight.site);
  return seen.elevation_rad > 0 && Angle::Radians(seen.separation_rad).deg() < degrees;
}

}  // namespace

QualityFlags FlagsOfTile(const Job& job, const JobReport& report, DataState state, const TileSight& sight) {
  QualityFlags flags = job.tile_flags;
  const bool solved =
      std::any_of(report.calibration.begin(), report.calibration.end(), [](const auto& each) { return each.accepted; });
  if (solved) flags &= ~quality::kCalibrationBorrowed.mask();
  if (report.quality.contains("quality") && report.quality["quality"].value("grade", "") == "F") {
    flags |= quality::kBadTile.mask();
  }
  if (static_cast<int>(job.inputs.size()) < job.expected_subbands) flags |= quality::kPartialTile.mask();
  if (state != DataState::kCorrected) flags |= quality::kUncalibrated.mask();
  const double most = job.settings.image.gate_flagged;
  if (most > 0 && LivingFlagged(report) > most) flags |= quality::kInterference.mask();
  if (StandsNear(convert::BrightBody::kSun, kSunDegrees, sight) ||
      StandsNear(convert::BrightBody::kMoon, kMoonDegrees, sight)) {
    flags |= quality::kSunOrMoon.mask();
  }
  return flags;
}

}  // namespace contimg::ops
