#include "convert/tile_beam.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/error.h"
#include "config/units.h"

namespace contimg::convert {
namespace {

// Positive diameters of the antennas that have baselines, ascending.
std::vector<double> Dishes(const VisibilityBlock& block) {
  std::set<int> used;
  for (const Baseline& b : block.baselines) used.insert({b.antenna1, b.antenna2});
  std::vector<double> dishes;
  for (std::size_t a = 0; a < block.antennas.diameters_m.size(); ++a) {
    const double d = block.antennas.diameters_m[a];
    if (d > 0 && std::isfinite(d) && (used.empty() || used.count(static_cast<int>(a)) > 0)) dishes.push_back(d);
  }
  std::sort(dishes.begin(), dishes.end());
  return dishes;
}

void AddTo(std::string& warning, const std::string& clause) { warning += (warning.empty() ? "" : "; ") + clause; }

// At rest on the Earth, where `direction` stands at the middle of the block.
Pointing AtRestOnEarth(const VisibilityBlock& block, const PhaseCentre& direction,
                       const EarthOrientationTable& orientation) {
  Pointing drift;
  drift.kind = Pointing::Kind::kDrift;
  drift.stops_fringes = true;
  if (block.time_mjd_s.empty()) return drift;
  const UtcTime middle = UtcTime::FromMjdSeconds((block.time_mjd_s.front() + block.time_mjd_s.back()) / 2);
  const Vector3 axis = SkyFrame(middle, orientation.At(middle)).ItrfOfIcrs(direction.ra_rad, direction.dec_rad);
  drift.meridian_rad = std::atan2(axis[1], axis[0]);
  drift.app_dec_rad = std::atan2(axis[2], std::hypot(axis[0], axis[1]));
  return drift;
}

const char* Words(Pointing::Kind kind) {
  return kind == Pointing::Kind::kDrift ? "the dishes stood still" : "the dishes tracked";
}

// Where the beam of a mode that was asked for stands.
Pointing PointingFor(BeamMode mode, const VisibilityBlock& block, const EarthOrientationTable& orientation,
                     std::string& warning) {
  const Pointing& known = block.pointing;
  const auto wanted = mode == BeamMode::kDrift ? Pointing::Kind::kDrift : Pointing::Kind::kTracking;
  if (known.kind == wanted) return known;
  const bool contrary = known.kind != Pointing::Kind::kUnknown;
  Pointing pointing;
  if (wanted == Pointing::Kind::kTracking) {
    pointing.kind = wanted;
    pointing.direction = block.phase_centre;
    pointing.source = "assumed: the phase centre";
  } else {
    pointing = AtRestOnEarth(block, contrary ? known.direction : block.phase_centre, orientation);
    pointing.source = contrary ? "assumed: where the dishes pointed at the middle"
                               : "assumed: where the phase centre stands at the middle";
  }
  if (contrary) {
    AddTo(warning, fmt::format("telescope.beam = {} contradicts the data: by {} {} at {}", ToString(mode), known.source,
                               Words(known.kind), PlaceOf(known)));
  }
  return pointing;
}

}  // namespace

std::string_view ToString(BeamMode mode) {
  return mode == BeamMode::kDrift ? "drift" : mode == BeamMode::kTracking ? "tracking" : "none";
}

std::string_view WordOf(Pointing::Kind kind) {
  return kind == Pointing::Kind::kDrift ? "drift" : kind == Pointing::Kind::kTracking ? "tracking" : "unknown";
}

std::string PlaceOf(const Pointing& pointing) {
  if (pointing.kind == Pointing::Kind::kTracking) {
    return fmt::format("{:.6f} {:+.6f} deg (ICRS)", WrapPositive(Angle::Radians(pointing.direction.ra_rad)).deg(),
                       Angle::Radians(pointing.direction.dec_rad).deg());
  }
  if (pointing.kind == Pointing::Kind::kDrift) {
    return fmt::format("the meridian of longitude {:.4f} deg, apparent declination {:+.4f} deg",
                       WrapSigned(Angle::Radians(pointing.meridian_rad)).deg(),
                       Angle::Radians(pointing.app_dec_rad).deg());
  }
  return "an unknown place";
}

TileBeam ChooseBeam(const VisibilityBlock& block, const TelescopeSettings& telescope,
                    const EarthOrientationTable& orientation, bool measured_pattern) {
  TileBeam beam;
  const std::string& word = telescope.beam;
  const bool automatic = word == "auto";
  if (automatic) {
    beam.mode = block.pointing.kind == Pointing::Kind::kDrift      ? BeamMode::kDrift
                : block.pointing.kind == Pointing::Kind::kTracking ? BeamMode::kTracking
                                                                   : BeamMode::kNone;
    beam.pointing = block.pointing;
    if (beam.mode == BeamMode::kNone) {
      AddTo(beam.warning,
            fmt::format("where the dishes pointed is not known ({}): no primary beam is modelled, fluxes are those "
                        "after the beam; set telescope.beam to tracking or drift if it is known",
                        block.pointing.source.empty() ? "the data do not say it" : block.pointing.source));
    }
  } else if (word == "drift" || word == "tracking") {
    beam.mode = word == "drift" ? BeamMode::kDrift : BeamMode::kTracking;
    beam.pointing = PointingFor(beam.mode, block, orientation, beam.warning);
  } else if (word == "none") {
    beam.pointing = block.pointing;
  } else {
    throw Error(ErrorKind::kUsage, "convert", "telescope.beam",
                "expected auto, drift, tracking or none, found '" + word + "'");
  }
  std::string dish;
  if (beam.mode != BeamMode::kNone && measured_pattern) {
    dish = "; pattern from a file";
  } else if (beam.mode != BeamMode::kNone) {
    const std::vector<double> dishes = Dishes(block);
    if (telescope.dish_diameter_m > 0) {
      beam.dish_diameter_m = telescope.dish_diameter_m;
      dish = fmt::format("; dishes of {:g} m (telescope.dish_diameter_m)", beam.dish_diameter_m);
    } else if (!dishes.empty()) {
      beam.dish_diameter_m = dishes[dishes.size() / 2];
      dish = fmt::format("; dishes of {:g} m (the antenna table)", beam.dish_diameter_m);
      if (dishes.back() > 1.01 * dishes.front()) {
        AddTo(beam.warning,
              fmt::format("the dishes differ, from {:g} to {:g} m: the beam of the median, {:g} m, is used for all; "
                          "telescope.dish_diameter_m sets another",
                          dishes.front(), dishes.back(), beam.dish_diameter_m));
      }
    } else if (automatic) {
      beam.mode = BeamMode::kNone;
      AddTo(
          beam.warning,
          "the antenna table gives no dish diameter: no primary beam is modelled; telescope.dish_diameter_m sets one");
    } else {
      throw Error(ErrorKind::kUsage, "convert", "telescope.dish_diameter_m",
                  "the beam needs a dish diameter above 0 and neither the antenna table nor the settings give one: set "
                  "it, or telescope.beam to none");
    }
  }
  if (beam.mode == BeamMode::kNone) {
    beam.description = beam.pointing.kind == Pointing::Kind::kUnknown
                           ? "none; pointing unknown"
                           : fmt::format("none; pointing at {} ({})", PlaceOf(beam.pointing), beam.pointing.source);
  } else {
    beam.description =
        fmt::format("{} at {} ({}){}", ToString(beam.mode), PlaceOf(beam.pointing), beam.pointing.source, dish);
  }
  return beam;
}

Vector3 BeamAxis(const TileBeam& beam, const SkyFrame& frame) {
  const Pointing& p = beam.pointing;
  return p.kind == Pointing::Kind::kDrift ? frame.ItrfOfMeridian(p.meridian_rad, p.app_dec_rad)
                                          : frame.ItrfOfIcrs(p.direction.ra_rad, p.direction.dec_rad);
}

void CheckResponseAtCentre(const TileBeam& beam, double mean_beam, double smearing, double least,
                           const std::string& module, const std::string& subject) {
  if (beam.mode != BeamMode::kNone && mean_beam < least) {
    throw Error(ErrorKind::kBadInput, module, subject,
                fmt::format("the mean primary beam at the phase centre is {:.3g}, expected at least {:g} "
                            "(image.pb_limit): it points to {} ({}); set telescope.beam to what the dishes did, or to "
                            "none",
                            mean_beam, least, PlaceOf(beam.pointing), beam.pointing.source));
  }
  if (smearing < least) {
    throw Error(ErrorKind::kBadInput, module, subject,
                fmt::format("smearing leaves {:.3g} of a source at the phase centre, expected at least {:g} "
                            "(image.pb_limit): fringes are taken to be stopped at {} ({}); set telescope.beam to "
                            "tracking or none if they follow the phase centre",
                            smearing, least, PlaceOf(beam.pointing), beam.pointing.source));
  }
}

}  // namespace contimg::convert
