#include "convert/casacore/field_direction.h"

#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/measures/Measures/MCDirection.h>
#include <casacore/measures/Measures/MeasConvert.h>
#include <casacore/measures/TableMeasures/ArrayMeasColumn.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/TableDesc.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <cmath>

#include "config/units.h"
#include "convert/casacore/spectral_setup.h"

namespace contimg::convert::internal {
namespace {

using casacore::MDirection;

constexpr const char* kRephase = "re-phase it to a J2000 or ICRS direction (phaseshift of CASA or DP3)";

PhaseCentre IcrsOf(const MDirection& direction) {
  const casacore::Vector<double> angles = MDirection::Convert(direction, MDirection::ICRS)().getValue().get();
  return {angles[0], angles[1]};
}

// Whether the row names an ephemeris.
bool HasEphemeris(const casacore::Table& table, casacore::rownr_t row) {
  if (!table.tableDesc().isColumn("EPHEMERIS_ID")) return false;
  return casacore::ScalarColumn<int>(table, "EPHEMERIS_ID")(row) >= 0;
}

// Whether a polynomial has a term that moves it.
bool Moves(const casacore::Matrix<double>& terms) {
  for (casacore::uInt k = 1; k < terms.ncolumn(); ++k) {
    if (terms(0, k) != 0 || terms(1, k) != 0) return true;
  }
  return false;
}

void ReadCentre(const casacore::Table& table, casacore::rownr_t row, MeasurementSetField& field) {
  const casacore::ArrayColumn<double> angles(table, "PHASE_DIR");
  if (!angles.isDefined(row) || angles.shape(row).nelements() != 2 || angles.shape(row)[0] != 2) {
    field.refusal = fmt::format("PHASE_DIR of field {} holds no direction", row);
    return;
  }
  const casacore::Matrix<double> terms(angles(row));
  if (HasEphemeris(table, row) || Moves(terms)) {
    field.refusal = fmt::format(
        "the phase centre of field {} moves (an ephemeris or a polynomial), expected one direction; {}", row, kRephase);
    return;
  }
  if (!std::isfinite(terms(0, 0)) || !std::isfinite(terms(1, 0))) {
    field.refusal = fmt::format("PHASE_DIR of field {} is not finite", row);
    return;
  }
  if (!angles.keywordSet().isDefined("MEASINFO")) {
    field.refusal = fmt::format("PHASE_DIR of field {} does not say its frame (MEASINFO)", row);
    return;
  }
  const MDirection stored = *casacore::ArrayMeasColumn<MDirection>(table, "PHASE_DIR")(row).begin();
  const auto frame = MDirection::castType(stored.getRef().getType());
  field.frame = MDirection::showType(frame);
  if (!IsFixedFrame(frame)) {
    field.refusal = fmt::format(
        "the phase centre of field {} is given in the frame {}, expected J2000, ICRS, B1950, GALACTIC, SUPERGAL or "
        "ECLIPTIC; {}",
        row, field.frame, kRephase);
    return;
  }
  const FixedDirection centre = FixedDirectionOf(stored);
  field.centre = centre.icrs;
  field.north_rad = centre.north_rad;
  // Through direction cosines and back the last bits change, and with them those of every image.
  if (frame == MDirection::ICRS && std::abs(terms(1, 0)) <= kPi / 2) {
    const double ra = terms(0, 0);
    field.centre = {ra < 0 && ra >= -2 * kPi ? ra + 2 * kPi : ra, terms(1, 0)};
  }
}

}  // namespace

bool IsFixedFrame(MDirection::Types frame) {
  switch (frame) {
    case MDirection::ICRS:
    case MDirection::J2000:
    case MDirection::B1950:
    case MDirection::B1950_VLA:
    case MDirection::GALACTIC:
    case MDirection::SUPERGAL:
    case MDirection::ECLIPTIC:
      return true;
    default:
      return false;
  }
}

FixedDirection FixedDirectionOf(const MDirection& stored) {
  FixedDirection fixed;
  fixed.icrs = IcrsOf(stored);
  const auto frame = MDirection::castType(stored.getRef().getType());
  if (frame == MDirection::ICRS || frame == MDirection::J2000) return fixed;  // their norths agree to 0.1 arcsec
  // From a step to the frame's south to one to its north; near the poles too.
  constexpr double kStep = 1e-4;
  const casacore::Vector<double> angles = stored.getValue().get();
  const PhaseCentre south = IcrsOf(MDirection(casacore::MVDirection(angles[0], angles[1] - kStep), frame));
  const PhaseCentre north = IcrsOf(MDirection(casacore::MVDirection(angles[0], angles[1] + kStep), frame));
  const auto tangents = [&](const PhaseCentre& p) {
    const double da = p.ra_rad - fixed.icrs.ra_rad, sd = std::sin(fixed.icrs.dec_rad),
                 cd = std::cos(fixed.icrs.dec_rad);
    return std::pair{std::cos(p.dec_rad) * std::sin(da),
                     cd * std::sin(p.dec_rad) - sd * std::cos(p.dec_rad) * std::cos(da)};
  };
  const auto [l1, m1] = tangents(south);
  const auto [l2, m2] = tangents(north);
  fixed.north_rad = std::atan2(l2 - l1, m2 - m1);
  return fixed;
}

std::vector<MeasurementSetField> ReadFields(const casacore::Table& table) {
  std::vector<MeasurementSetField> fields;
  for (casacore::rownr_t i = 0; i < table.nrow(); ++i) {
    MeasurementSetField field;
    field.name = TextOr(table, "NAME", i);
    ReadCentre(table, i, field);
    fields.push_back(std::move(field));
  }
  return fields;
}

void TurnToIcrsNorth(double north_rad, std::vector<double>& uvw_m) {
  if (north_rad == 0) return;
  const double c = std::cos(north_rad), s = std::sin(north_rad);
  for (std::size_t i = 0; i + 2 < uvw_m.size(); i += 3) {
    const double u = uvw_m[i], v = uvw_m[i + 1];
    uvw_m[i] = u * c + v * s;
    uvw_m[i + 1] = v * c - u * s;
  }
}

}  // namespace contimg::convert::internal
