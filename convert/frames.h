// Where a sky direction stands over the rotating Earth: ICRS to ITRF and back.
//
// The apparent place is geocentric: annual aberration and light deflection by the Sun, IAU 2006/2000A precession-
// nutation, no diurnal aberration, no refraction (docs/conventions.md says why). All computation is ERFA's.
#pragma once

#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

using Vector3 = std::array<double, 3>;

inline double Dot(const Vector3& a, const Vector3& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }
inline Vector3 Cross(const Vector3& a, const Vector3& b) {
  return {a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]};
}

// How the Earth is turned at one moment, beyond UTC.
struct EarthOrientation {
  double ut1_minus_utc_s = 0;
  double polar_x_rad = 0;
  double polar_y_rad = 0;
};

// A table of Earth orientation over time. Empty (the default): UT1 = UTC and no polar motion at any time.
class EarthOrientationTable {
 public:
  EarthOrientationTable() = default;
  // Reads the IERS "finals2000A" format (columns as in readme.finals2000A, Bulletin A values). Throws
  // Error{kBadInput} for another format and Error{kIo} when the file cannot be read.
  static EarthOrientationTable Load(const std::filesystem::path& path);
  // The same; an empty path is an empty table.
  static EarthOrientationTable LoadIfSet(const std::filesystem::path& path) {
    return path.empty() ? EarthOrientationTable() : Load(path);
  }

  bool empty() const { return mjd_.empty(); }
  // The first and last moment of a table that is not empty.
  UtcTime First() const { return UtcTime::FromMjd(mjd_.front()); }
  UtcTime Last() const { return UtcTime::FromMjd(mjd_.back()); }
  // Linear interpolation between days. Throws Error{kBadInput} for a time outside a non-empty table.
  EarthOrientation At(UtcTime time) const;

 private:
  std::filesystem::path path_;
  std::vector<double> mjd_;
  std::vector<EarthOrientation> rows_;
};

// What whoever leaves the table away should know; programs say it once.
inline constexpr std::string_view kNoEarthOrientation =
    "no Earth-orientation table is set (telescope.earth_orientation_file): UT1 = UTC and no polar motion are assumed, "
    "which shifts right ascensions by 15 arcsec for each second of UT1 - UTC";

// The sky over the Earth at one moment: construction does the expensive part (precession, nutation), each direction
// is cheap afterwards. Immutable; shareable between threads.
class SkyFrame {
 public:
  SkyFrame(UtcTime time, const EarthOrientation& orientation);

  // Unit vector, ITRF axes, towards the apparent place of the ICRS direction (radians).
  Vector3 ItrfOfIcrs(double ra_rad, double dec_rad) const;
  // Unit vector, ITRF axes, towards hour angle 0 of the meridian of `longitude_rad` (east positive) and apparent
  // declination `app_dec_rad`.
  Vector3 ItrfOfMeridian(double longitude_rad, double app_dec_rad) const {
    return ItrfOfPlace(longitude_rad, {0, app_dec_rad});
  }
  // The same for any hour angle.
  Vector3 ItrfOfPlace(double longitude_rad, const ApparentPlace& place) const;
  // The ICRS direction whose apparent place is that vector.
  PhaseCentre IcrsOfItrf(const Vector3& direction) const;

 private:
  Vector3 ItrfOfCirs(double ra_rad, double dec_rad) const;

  // eraASTROM, kept as plain numbers so that ERFA stays out of this header.
  std::array<double, 32> astrom_{};
  std::array<std::array<double, 3>, 3> cirs_to_itrf_{};
  std::array<std::array<double, 3>, 3> tirs_to_itrf_{};
};

// The axes (u, v, w) of a phase centre as unit vectors in ITRF: w towards its apparent place, u its tangent towards
// increasing ICRS right ascension orthonormalised against w, v = w × u (northwards).
struct UvwAxes {
  Vector3 u, v, w;
};
UvwAxes AxesOfPhaseCentre(const SkyFrame& frame, const PhaseCentre& centre);

}  // namespace contimg::convert
