#include "convert/frames.h"

#include <erfa.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/os.h"
#include "config/quantity.h"
#include "config/units.h"

namespace contimg::convert {
namespace {

static_assert(sizeof(eraASTROM) <= 32 * sizeof(double), "room for ERFA's star-independent parameters");

eraASTROM Astrom(const std::array<double, 32>& stored) {
  eraASTROM astrom;
  std::memcpy(&astrom, stored.data(), sizeof astrom);
  return astrom;
}

Vector3 Multiply(const std::array<std::array<double, 3>, 3>& m, const Vector3& v) {
  return {m[0][0] * v[0] + m[0][1] * v[1] + m[0][2] * v[2], m[1][0] * v[0] + m[1][1] * v[1] + m[1][2] * v[2],
          m[2][0] * v[0] + m[2][1] * v[1] + m[2][2] * v[2]};
}

Vector3 MultiplyTransposed(const std::array<std::array<double, 3>, 3>& m, const Vector3& v) {
  return {m[0][0] * v[0] + m[1][0] * v[1] + m[2][0] * v[2], m[0][1] * v[0] + m[1][1] * v[1] + m[2][1] * v[2],
          m[0][2] * v[0] + m[1][2] * v[1] + m[2][2] * v[2]};
}

// The number in `count` columns from `first` on: NaN where they are blank or beyond the line's end, nothing where they
// hold anything else.
std::optional<double> ColumnsToNumber(const std::string& line, std::size_t first, std::size_t count) {
  std::string_view text = std::string_view(line).substr(std::min(first, line.size()), count);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  if (text.empty()) return NAN;
  return ParseQuantity(text, "");
}

}  // namespace

EarthOrientationTable EarthOrientationTable::Load(const std::filesystem::path& path) {
  std::istringstream file(RealOs().ReadFile(path));  // whole: a part of it would only be an older one
  EarthOrientationTable table;
  table.path_ = path;
  std::string line;
  bool ended = false;
  const auto bad = [&](std::size_t number, const std::string& message) {
    return Error(ErrorKind::kBadInput, "convert", path.string(),
                 "line " + std::to_string(number) + " " + message + "; fetch finals2000A from the IERS again");
  };
  for (std::size_t number = 1; std::getline(file, line); ++number) {
    // Bulletin A columns, counted from 0: MJD 7–14, x 18–26 arcsec, y 37–45 arcsec, UT1−UTC 58–67 s.
    const auto mjd = ColumnsToNumber(line, 7, 8), x = ColumnsToNumber(line, 18, 9), y = ColumnsToNumber(line, 37, 9),
               dut1 = ColumnsToNumber(line, 58, 10);
    if (!mjd || !x || !y || !dut1) throw bad(number, "is no line of a finals2000A table");
    if (std::isnan(*mjd) && std::isnan(*x)) continue;  // an empty line
    if (std::isnan(*x) && std::isnan(*y) && std::isnan(*dut1)) {
      ended = true;  // days beyond the prediction
      continue;
    }
    constexpr double kLargestTurnS = 1.0, kLargestPoleArcsec = 2.0;  // leap seconds keep the first, nature the second
    if (std::isnan(*mjd) || std::isnan(*x) || std::isnan(*y) || std::isnan(*dut1)) {
      throw bad(number, "has a number missing");
    }
    if (ended) throw bad(number, "follows days without numbers");
    if (std::abs(*dut1) > kLargestTurnS || std::abs(*x) > kLargestPoleArcsec || std::abs(*y) > kLargestPoleArcsec) {
      throw bad(number, "has values that the Earth does not reach (UT1-UTC in s, polar motion in arcsec)");
    }
    if (!table.mjd_.empty() && *mjd <= table.mjd_.back()) throw bad(number, "is not later than the line before it");
    if (!table.mjd_.empty() && *mjd > table.mjd_.back() + 1.5) throw bad(number, "leaves out days");
    table.mjd_.push_back(*mjd);
    table.rows_.push_back({*dut1, Angle::Arcsec(*x).rad(), Angle::Arcsec(*y).rad()});
  }
  if (table.mjd_.size() < 2) {
    throw Error(ErrorKind::kBadInput, "convert", path.string(),
                "expected an IERS finals2000A table, found no usable line");
  }
  return table;
}

EarthOrientation EarthOrientationTable::At(UtcTime time) const {
  if (empty()) return {};
  const double mjd = time.mjd();
  if (mjd < mjd_.front() || mjd > mjd_.back()) {
    throw Error(ErrorKind::kBadInput, "convert", path_.string(),
                "the Earth orientation table covers " + UtcTime::FromMjd(mjd_.front()).Iso8601() + " to " +
                    UtcTime::FromMjd(mjd_.back()).Iso8601() + ", the data are of " + time.Iso8601() +
                    ": fetch a newer finals2000A from the IERS");
  }
  const auto above = std::upper_bound(mjd_.begin(), mjd_.end() - 1, mjd);
  const std::size_t i = static_cast<std::size_t>(std::max<std::ptrdiff_t>(above - mjd_.begin() - 1, 0));
  const double f = (mjd - mjd_[i]) / (mjd_[i + 1] - mjd_[i]);
  const EarthOrientation &a = rows_[i], &b = rows_[i + 1];
  double step = b.ut1_minus_utc_s - a.ut1_minus_utc_s;
  step -= std::round(step);  // a leap second falls between the two days: UT1−UTC jumps at its end
  return {a.ut1_minus_utc_s + f * step, a.polar_x_rad + f * (b.polar_x_rad - a.polar_x_rad),
          a.polar_y_rad + f * (b.polar_y_rad - a.polar_y_rad)};
}

SkyFrame::SkyFrame(UtcTime time, const EarthOrientation& orientation) {
  const double utc = time.mjd();
  double tai1, tai2, tt1, tt2;
  // A "dubious year" status (dates beyond the leap-second table) is accepted: the newest offset holds until announced.
  if (eraUtctai(kMjdOfJd, utc, &tai1, &tai2) < 0 || eraTaitt(tai1, tai2, &tt1, &tt2) != 0) {
    throw Error(ErrorKind::kBadInput, "convert", time.Iso8601(), "is not a usable date");
  }
  eraASTROM astrom;
  double equation_of_origins;
  eraApci13(tt1, tt2, &astrom, &equation_of_origins);
  std::memcpy(astrom_.data(), &astrom, sizeof astrom);

  double polar[3][3];
  eraPom00(orientation.polar_x_rad, orientation.polar_y_rad, eraSp00(tt1, tt2), polar);
  double turn[3][3];
  eraIr(turn);
  eraRz(eraEra00(kMjdOfJd, utc + orientation.ut1_minus_utc_s / kSecondsPerDay), turn);
  double both[3][3];
  eraRxr(polar, turn, both);
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t j = 0; j < 3; ++j) {
      cirs_to_itrf_[i][j] = both[i][j];
      tirs_to_itrf_[i][j] = polar[i][j];
    }
  }
}

Vector3 SkyFrame::ItrfOfCirs(double ra_rad, double dec_rad) const {
  double cirs[3];
  eraS2c(ra_rad, dec_rad, cirs);
  return Multiply(cirs_to_itrf_, {cirs[0], cirs[1], cirs[2]});
}

Vector3 SkyFrame::ItrfOfIcrs(double ra_rad, double dec_rad) const {
  eraASTROM astrom = Astrom(astrom_);
  double ra_cirs, dec_cirs;
  eraAtciqz(ra_rad, dec_rad, &astrom, &ra_cirs, &dec_cirs);
  return ItrfOfCirs(ra_cirs, dec_cirs);
}

Vector3 SkyFrame::ItrfOfPlace(double longitude_rad, const ApparentPlace& place) const {
  const double c = std::cos(place.dec_rad), meridian = longitude_rad - place.hour_angle_rad;
  return Multiply(tirs_to_itrf_, {c * std::cos(meridian), c * std::sin(meridian), std::sin(place.dec_rad)});
}

PhaseCentre SkyFrame::IcrsOfItrf(const Vector3& direction) const {
  const Vector3 v = MultiplyTransposed(cirs_to_itrf_, direction);
  double cirs[3] = {v[0], v[1], v[2]};
  double ra_cirs, dec_cirs;
  eraC2s(cirs, &ra_cirs, &dec_cirs);
  eraASTROM astrom = Astrom(astrom_);
  PhaseCentre icrs;
  eraAticq(ra_cirs, dec_cirs, &astrom, &icrs.ra_rad, &icrs.dec_rad);
  return icrs;
}

UvwAxes AxesOfPhaseCentre(const SkyFrame& frame, const PhaseCentre& centre) {
  UvwAxes axes;
  axes.w = frame.ItrfOfIcrs(centre.ra_rad, centre.dec_rad);
  // Central difference along the parallel. The step is 10 arcsec on the sky: truncation 1e-10, rounding 1e-11.
  const double step = 5e-5 / std::max(std::cos(centre.dec_rad), 1e-6);
  const Vector3 east = frame.ItrfOfIcrs(centre.ra_rad + step, centre.dec_rad);
  const Vector3 west = frame.ItrfOfIcrs(centre.ra_rad - step, centre.dec_rad);
  Vector3 tangent{east[0] - west[0], east[1] - west[1], east[2] - west[2]};
  const double along = Dot(tangent, axes.w);
  for (std::size_t i = 0; i < 3; ++i) tangent[i] -= along * axes.w[i];
  const double norm = std::sqrt(Dot(tangent, tangent));
  for (std::size_t i = 0; i < 3; ++i) axes.u[i] = tangent[i] / norm;
  axes.v = Cross(axes.w, axes.u);
  return axes;
}

}  // namespace contimg::convert
