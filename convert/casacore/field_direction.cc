#include "convert/casacore/field_direction.h"

#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/measures/Measures/MCDirection.h>
#include <casacore/measures/Measures/MeasConvert.h>
#include <casacore/ms/MeasurementSets/MSField.h>
#include <casacore/ms/MeasurementSets/MSFieldColumns.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <fmt/format.h>

#include <cmath>

#include "config/units.h"

namespace contimg::convert::internal {
namespace {

using casacore::MDirection;

const char* kRephase = "re-phase it to a J2000 or ICRS direction (phaseshift of CASA or DP3)";

PhaseCentre IcrsOf(const MDirection& direction) {
  const casacore::Vector<double> angles = MDirection::Convert(direction, MDirection::ICRS)().getValue().get();
  return {angles[0], angles[1]};
}

// The row's ephemeris; −1: none.
int EphemerisOf(const casacore::MSField& table, casacore::rownr_t row) {
  if (!table.tableDesc().isColumn("EPHEMERIS_ID")) return -1;
  return casacore::ScalarColumn<int>(table, "EPHEMERIS_ID")(row);
}

// Whether the polynomial of PHASE_DIR has a term that moves it.
bool Moves(const casacore::MSFieldColumns& columns, casacore::rownr_t row) {
  const casacore::Matrix<double> terms = columns.phaseDir()(row);
  for (casacore::uInt k = 1; k < terms.ncolumn(); ++k) {
    if (terms(0, k) != 0 || terms(1, k) != 0) return true;
  }
  return false;
}

void ReadCentre(const casacore::MSFieldColumns& columns, const casacore::MSField& table, casacore::rownr_t row,
                MeasurementSetField& field) {
  if (EphemerisOf(table, row) >= 0 || Moves(columns, row)) {
    field.refusal = fmt::format(
        "the phase centre of field {} moves (an ephemeris or a polynomial), expected one "
        "direction; {}",
        row, kRephase);
    return;
  }
  const MDirection stored = columns.phaseDirMeas(row);
  const auto frame = MDirection::castType(stored.getRef().getType());
  field.frame = MDirection::showType(frame);
  const casacore::Vector<double> angles = stored.getValue().get();
  if (!std::isfinite(angles[0]) || !std::isfinite(angles[1])) {
    field.refusal = fmt::format("PHASE_DIR of field {} is not finite", row);
  } else if (!IsFixedFrame(frame)) {
    field.refusal = fmt::format(
        "the phase centre of field {} is given in the frame {}, expected J2000, ICRS, B1950, "
        "GALACTIC, SUPERGAL or ECLIPTIC; {}",
        row, field.frame, kRephase);
  } else {
    const FixedDirection centre = FixedDirectionOf(stored);
    field.centre = centre.icrs;
    field.north_rad = centre.north_rad;
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
  const casacore::MSField ms_field(table);
  const casacore::MSFieldColumns columns(ms_field);
  std::vector<MeasurementSetField> fields;
  for (casacore::rownr_t i = 0; i < ms_field.nrow(); ++i) {
    MeasurementSetField field;
    field.name = columns.name()(i);
    ReadCentre(columns, ms_field, i, field);
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
