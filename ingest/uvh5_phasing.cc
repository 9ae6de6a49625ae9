// What the phases of a UVH5 file refer to, as the correlator and the versions of pyuvdata say it
// (docs/formats/uvh5.md, "Files of other writers"; pyuvdata's uvh5.py and utils/phasing.py).
//
//   writer                     says it in                                    the direction in numbers
//   DSA-110 correlator         phase_type = drift, extra_keywords HADEC      phase_center_app_dec (scalar)
//   pyuvdata before 2.2        phase_type = drift | phased                   phase_center_ra, _dec, _frame, _epoch
//   pyuvdata from 2.2          phase_center_catalog/<id>, cat_type           cat_lon, cat_lat, cat_frame, cat_epoch;
//                                                                            phase_center_app_ra, _app_dec, lst_array
//
// pyuvdata knows no correlator that stops fringes at hour angle 0: it reads "drift" as "unprojected" (no fringe
// stopping) and then fills in app_dec = latitude. The correlator's extra keywords survive and tell the truth.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <set>

#include "config/time.h"
#include "config/units.h"
#include "ingest/uvh5_header_parts.h"

namespace contimg::ingest {
namespace {

// "Equal" for values that a writer repeats per row: 2 mas.
constexpr double kSameValueRad = 1e-8;
// Two statements of one direction: 0.2 arcsec.
constexpr double kSameDirectionRad = 1e-6;
// The phase centre of drift data is on the meridian: 20 arcsec allow for sidereal times of another definition.
constexpr double kHourAngleRad = 1e-4;
// Sidereal time from UTC alone leaves out UT1 − UTC (0.9 s) and the equation of the equinoxes (1.2 s): 3 s.
constexpr double kSiderealTimeRad = 3.0 * 2 * kPi / kSecondsPerDay;
// The apparent place by precession alone leaves out aberration (20 arcsec) and nutation (17 arcsec): 2 arcmin.
constexpr double kApparentPlaceRad = 2.0 / 60 * kPi / 180;

double Wrapped(double angle_rad) { return std::remainder(angle_rad, 2 * kPi); }

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// One value repeated, or a scalar.
double Constant(const Hdf5Group& group, const std::string& name) {
  const std::vector<double> values = group.Doubles(name);
  if (values.empty()) throw group.Bad(name, "is empty");
  for (const double value : values) {
    if (!(std::abs(value - values[0]) <= kSameValueRad)) {
      throw group.Bad(name, fmt::format("expected one value for the whole file, found {} and {}", values[0], value));
    }
  }
  return values[0];
}

// One value per row.
std::vector<double> PerRow(const Hdf5Group& group, const std::string& name, std::size_t n_rows) {
  Shape shape;
  std::vector<double> values = group.Doubles(name, &shape);
  CheckRank1(group, name, shape, n_rows, "Nblts");
  for (const double value : values) {
    if (!std::isfinite(value)) throw group.Bad(name, fmt::format("expected angles in radians, found {}", value));
  }
  return values;
}

double CheckedDeclination(const Hdf5Group& group, const std::string& name, double value) {
  if (!(std::abs(value) <= kPi / 2)) {
    throw group.Bad(name, fmt::format("expected a declination in radians, found {}", value));
  }
  return value;
}

// Local mean sidereal time (Capitaine et al. 2003 with UT1 = UTC and TT = UTC + 69 s).
double SiderealTime(double mjd_s, double longitude_rad) {
  const double days = mjd_s / kSecondsPerDay - 51544.5;
  const double turns = 0.7790572732640 + 0.00273781191135448 * days + std::fmod(days, 1.0);
  const double t = (days + 69 / kSecondsPerDay) / 36525;
  return 2 * kPi * turns + Angle::Arcsec(0.014506 + (4612.156534 + 1.3915817 * t) * t).rad() + longitude_rad;
}

// The mean place of date of an ICRS direction (Lieske 1979): good enough to compare, not to phase.
PhaseCentre Precessed(const PhaseCentre& icrs, double mjd_s) {
  const double t = (mjd_s / kSecondsPerDay - 51544.5) / 36525;
  const double zeta = Angle::Arcsec((2306.2181 + 0.30188 * t) * t).rad();
  const double z = Angle::Arcsec((2306.2181 + 1.09468 * t) * t).rad();
  const double theta = Angle::Arcsec((2004.3109 - 0.42665 * t) * t).rad();
  const double a = std::cos(icrs.dec_rad) * std::sin(icrs.ra_rad + zeta);
  const double b = std::cos(theta) * std::cos(icrs.dec_rad) * std::cos(icrs.ra_rad + zeta) -
                   std::sin(theta) * std::sin(icrs.dec_rad);
  const double c = std::sin(theta) * std::cos(icrs.dec_rad) * std::cos(icrs.ra_rad + zeta) +
                   std::cos(theta) * std::sin(icrs.dec_rad);
  return {std::atan2(a, b) + z, std::asin(std::clamp(c, -1.0, 1.0))};
}

// FK5 (J2000) to ICRS: the rotation of Mignard & Froeschlé (2000), 23 mas.
PhaseCentre IcrsOfFk5(const PhaseCentre& fk5) {
  const std::array<double, 3> r{Angle::Arcsec(-0.0199).rad(), Angle::Arcsec(-0.0091).rad(),
                                Angle::Arcsec(0.0229).rad()};  // of FK5 against ICRS, about x, y, z
  const std::array<double, 3> v{std::cos(fk5.dec_rad) * std::cos(fk5.ra_rad),
                                std::cos(fk5.dec_rad) * std::sin(fk5.ra_rad), std::sin(fk5.dec_rad)};
  const std::array<double, 3> s{v[0] - r[1] * v[2] + r[2] * v[1], v[1] - r[2] * v[0] + r[0] * v[2],
                                v[2] - r[0] * v[1] + r[1] * v[0]};  // v − r × v: the axes turn, not the direction
  return {std::atan2(s[1], s[0]), std::atan2(s[2], std::hypot(s[0], s[1]))};
}

// What the correlator leaves in extra_keywords: its phase centre as hour angle (always 0) and declination.
struct CorrelatorKeywords {
  std::optional<double> dec_rad;
  std::string epoch;  // "" when missing
  double hour_angle_rad = 0;
  // The keywords speak of hour angle and declination, so they say where the dishes stand.
  bool OfHourAngleZero() const {
    return dec_rad && (epoch.empty() || epoch == "HADEC") && std::abs(hour_angle_rad) <= kSameValueRad;
  }
};

CorrelatorKeywords ReadCorrelatorKeywords(const H5::H5File& file, const Hdf5Group& group) {
  CorrelatorKeywords keywords;
  if (!group.IsGroup("extra_keywords")) return keywords;
  const Hdf5Group extra(file, group.path(), "Header/extra_keywords");
  if (extra.HasValue("phase_center_dec")) {
    keywords.dec_rad = CheckedDeclination(extra, "phase_center_dec", extra.Double("phase_center_dec"));
  }
  if (extra.HasValue("ha_phase_center")) keywords.hour_angle_rad = extra.Double("ha_phase_center");
  if (extra.HasValue("phase_center_epoch")) {
    keywords.epoch = extra.Open("phase_center_epoch").getTypeClass() == H5T_STRING
                         ? extra.String("phase_center_epoch")
                         : fmt::format("{}", extra.Double("phase_center_epoch"));
  }
  return keywords;
}

// What the header says of the phase centre, of whichever writer.
struct Statement {
  std::string source;  // for sentences: "phase_center_catalog: sidereal 'target'"
  std::string type;    // drift (of phase_type) or pyuvdata's sidereal, unprojected, driftscan, near_field, ephem
  std::string frame;   // lower case; "" when not said
  std::optional<double> lon, lat;  // radians
  std::optional<double> epoch;
  bool moves = false;  // proper motion
};

Statement ReadEntry(const Hdf5Group& entry, const std::string& key) {
  Statement s;
  const auto text = [&](const char* name) { return entry.HasValue(name) ? entry.String(name) : std::string(); };
  const auto number = [&](const char* name) -> std::optional<double> {
    if (!entry.HasValue(name)) return std::nullopt;
    return entry.Double(name);
  };
  s.type = Lower(text("cat_type"));
  if (s.type.empty()) throw entry.Bad("cat_type", "is missing: expected sidereal, unprojected or driftscan");
  const std::string name = text("cat_name");
  s.source = fmt::format("phase_center_catalog: {} '{}'", s.type, name.empty() ? key : name);
  if (s.type == "ephem") return s;  // its coordinates are arrays over time
  s.frame = Lower(text("cat_frame"));
  s.lon = number("cat_lon");
  s.lat = number("cat_lat");
  if (entry.HasValue("cat_epoch")) {
    if (entry.Open("cat_epoch").getTypeClass() == H5T_STRING) {
      throw entry.Bad("cat_epoch", fmt::format("is the text '{}': expected a year", entry.String("cat_epoch")));
    }
    s.epoch = entry.Double("cat_epoch");
  }
  s.moves = number("cat_pm_ra").value_or(0) != 0 || number("cat_pm_dec").value_or(0) != 0;
  return s;
}

// The one entry of the catalogue that the rows use.
Statement ReadCatalogue(const H5::H5File& file, const Hdf5Group& group) {
  const Hdf5Group catalogue(file, group.path(), "Header/phase_center_catalog");
  const std::vector<std::string> keys = catalogue.GroupNames();
  if (keys.empty()) {
    throw group.Bad(
        "phase_center_catalog",
        catalogue.MemberNames().empty()
            ? "is empty: expected one entry"
            : "is of pyuvdata's first form (JSON texts): expected groups; read the file with pyuvdata 2.3 or "
              "later and write it again");
  }
  std::string key = keys.front();
  if (group.HasValue("phase_center_id_array")) {
    const std::vector<std::int64_t> ids = group.Integers("phase_center_id_array");
    const std::set<std::int64_t> used(ids.begin(), ids.end());
    if (used.size() > 1) {
      throw group.Bad("phase_center_id_array",
                      fmt::format("names {} phase centres ({}): expected one; split the file (pyuvdata: "
                                  "UVData.select(phase_center_ids=…)) or phase it to one centre (UVData.phase)",
                                  used.size(), fmt::join(used, ", ")));
    }
    key = std::to_string(*used.begin());
    if (!catalogue.IsGroup(key)) {
      throw group.Bad("phase_center_id_array", fmt::format("names phase centre {}, but phase_center_catalog has {}",
                                                           key, fmt::join(keys, ", ")));
    }
  } else if (keys.size() > 1) {
    throw group.Bad("phase_center_catalog",
                    fmt::format("has {} entries and the file no phase_center_id_array: expected "
                                "one phase centre",
                                keys.size()));
  }
  return ReadEntry(Hdf5Group(file, group.path(), "Header/phase_center_catalog/" + key), key);
}

Statement ReadStatement(const H5::H5File& file, const Hdf5Group& group, const CorrelatorKeywords& keywords) {
  const std::string phase_type = Lower(group.StringOrEmpty("phase_type"));
  if (group.IsGroup("phase_center_catalog")) {
    Statement s = ReadCatalogue(file, group);
    const Hdf5Group catalogue(file, group.path(), "Header/phase_center_catalog");
    CheckCount(group, "Nphase", catalogue.GroupNames().size(), "the number of entries in phase_center_catalog is");
    if (phase_type == "drift" && s.type == "sidereal") {
      throw group.Bad("phase_type", fmt::format("is drift, but {}: expected one of the two", s.source));
    }
    return s;
  }
  CheckCount(group, "Nphase", 1, "without phase_center_catalog the number of phase centres is");
  Statement s;
  s.source = phase_type.empty() ? "no phase_type" : "phase_type = " + phase_type;
  if (phase_type == "phased" && group.HasValue("phase_center_ra")) {
    s.type = "sidereal";
    s.lon = group.Double("phase_center_ra");
    if (group.HasValue("phase_center_dec")) s.lat = group.Double("phase_center_dec");
    if (group.HasValue("phase_center_frame")) s.frame = Lower(group.String("phase_center_frame"));
    if (group.HasValue("phase_center_epoch") && group.Open("phase_center_epoch").getTypeClass() != H5T_STRING) {
      s.epoch = group.Double("phase_center_epoch");
    }
    return s;
  }
  if (phase_type == "phased" && keywords.epoch != "HADEC") {
    throw group.Bad("phase_type",
                    "is phased, but the header does not say where: expected drift-scan phases (hour angle 0), or "
                    "phase_center_ra and phase_center_dec");
  }
  if (phase_type != "drift" && phase_type != "phased" && !phase_type.empty()) {
    throw group.Bad("phase_type", fmt::format("is {}: expected drift or phased", phase_type));
  }
  s.type = "drift";
  return s;
}

// Sidereal times that contradict time and longitude belong to another time or place.
void CheckSiderealTimes(const Hdf5Group& group, const std::vector<double>& lst, std::size_t rows_per_time,
                        const SubbandHeader& header) {
  for (std::size_t row = 0; row < lst.size(); ++row) {
    const double expected = SiderealTime(header.time_mjd_s[row / rows_per_time], header.site.longitude_rad);
    if (std::abs(Wrapped(lst[row] - expected)) <= kSiderealTimeRad) continue;
    throw group.Bad("lst_array",
                    fmt::format("is {:.6f} rad in row {}, but time_array and longitude make it {:.6f} rad: "
                                "expected the local sidereal time",
                                lst[row], row, expected - 2 * kPi * std::floor(expected / (2 * kPi))));
  }
}

Error NotFringeStopped(const Hdf5Group& group, const std::string& source) {
  return BadFile(
      group.path(),
      fmt::format("holds data without fringe stopping ({}, and no keyword of a correlator that stops fringes at "
                  "hour angle 0): expected a drift scan phased to hour angle 0 or one sidereal phase centre; "
                  "phase it to one (pyuvdata: UVData.phase) and write it again",
                  source));
}

// The declination on the meridian of a fixed azimuth (from north through east) and elevation.
double DeclinationOfDriftscan(const Hdf5Group& group, const Statement& s, double latitude_rad) {
  if (!s.lon || !s.lat) throw group.Bad("phase_center_catalog", "lacks cat_lon and cat_lat of its driftscan");
  const double north = std::cos(*s.lat) * std::cos(*s.lon), east = std::cos(*s.lat) * std::sin(*s.lon);
  const double dec = latitude_rad + std::atan2(north, std::sin(*s.lat));
  if (!(std::abs(east) <= kSameDirectionRad) || !(std::abs(dec) <= kPi / 2)) {
    throw group.Bad("phase_center_catalog",
                    fmt::format("holds a driftscan at azimuth {:.6f} and elevation {:.6f} rad: expected one on the "
                                "meridian above the pole's far side; phase the data to one sidereal centre (pyuvdata: "
                                "UVData.phase) and write them again",
                                *s.lon, *s.lat));
  }
  return dec;
}

// Fringes stopped at hour angle 0: which declination?
void ReadMeridian(const Hdf5Group& group, const Statement& s, const CorrelatorKeywords& keywords,
                  std::size_t rows_per_time, SubbandHeader& header) {
  if (!(std::abs(keywords.hour_angle_rad) <= kSameValueRad)) {
    throw group.Bad("extra_keywords/ha_phase_center",
                    fmt::format("expected phases that refer to hour angle 0, found {}", keywords.hour_angle_rad));
  }
  if (!keywords.epoch.empty() && keywords.epoch != "HADEC" && s.type != "driftscan") {
    throw group.Bad(
        "extra_keywords/phase_center_epoch",
        fmt::format("expected HADEC (hour angle and declination) for a drift scan, found {}", keywords.epoch));
  }
  const bool has_app_ra = group.HasValue("phase_center_app_ra");
  std::optional<double> app;
  if (group.HasValue("phase_center_app_dec")) {
    app = CheckedDeclination(group, "phase_center_app_dec", Constant(group, "phase_center_app_dec"));
  }
  // What pyuvdata writes of any data that it takes for unprojected.
  const bool filled_in = app && std::abs(*app - header.site.latitude_rad) <= kSameDirectionRad &&
                         (s.type == "unprojected" || (s.type == "drift" && has_app_ra));
  if (filled_in || (!app && s.type != "driftscan")) {
    if (!keywords.OfHourAngleZero()) {
      if (filled_in || s.type == "unprojected") throw NotFringeStopped(group, s.source);
      throw BadFile(group.path(),
                    "expected Header/phase_center_app_dec or Header/extra_keywords/phase_center_dec, found neither");
    }
    header.app_dec_rad = *keywords.dec_rad;
  } else if (s.type == "driftscan") {
    header.app_dec_rad = DeclinationOfDriftscan(group, s, header.site.latitude_rad);
    if (app && std::abs(*app - header.app_dec_rad) > kSameDirectionRad) {
      throw group.Bad("phase_center_app_dec", fmt::format("is {:.7f} rad, but {} is at {:.7f} rad on the meridian: "
                                                          "expected one declination",
                                                          *app, s.source, header.app_dec_rad));
    }
  } else {
    header.app_dec_rad = *app;
    if (s.type == "unprojected" && !keywords.OfHourAngleZero()) throw NotFringeStopped(group, s.source);
  }
  if (keywords.OfHourAngleZero() && std::abs(*keywords.dec_rad - header.app_dec_rad) > kSameDirectionRad) {
    throw group.Bad("phase_center_app_dec",
                    fmt::format("is {:.7f} rad, but extra_keywords/phase_center_dec is {:.7f} rad: expected one "
                                "declination of hour angle 0; correct the one that is wrong",
                                header.app_dec_rad, *keywords.dec_rad));
  }
  if (!group.HasValue("lst_array")) return;
  const std::vector<double> lst = PerRow(group, "lst_array", header.n_rows());
  CheckSiderealTimes(group, lst, rows_per_time, header);
  if (!has_app_ra) return;
  const std::vector<double> app_ra = PerRow(group, "phase_center_app_ra", header.n_rows());
  if (filled_in && std::all_of(app_ra.begin(), app_ra.end(), [](double ra) { return ra == 0; })) return;
  for (std::size_t row = 0; row < lst.size(); ++row) {
    if (std::abs(Wrapped(lst[row] - app_ra[row])) <= kHourAngleRad) continue;
    throw group.Bad("phase_center_app_ra", fmt::format("is {:.6f} rad in row {} where lst_array is {:.6f} rad, but {}: "
                                                       "expected hour angle 0, the two equal",
                                                       app_ra[row], row, lst[row], s.source));
  }
}

PhaseCentre IcrsCentre(const Hdf5Group& group, const Statement& s) {
  if (!s.lon || !s.lat)
    throw BadFile(group.path(), fmt::format("lacks the coordinates of its phase centre ({})", s.source));
  if (!(std::abs(*s.lat) <= kPi / 2) || !(std::abs(*s.lon) <= 2 * kPi)) {
    throw BadFile(group.path(),
                  fmt::format("expected a phase centre in radians, found {} {:+} ({})", *s.lon, *s.lat, s.source));
  }
  const bool j2000 = !s.epoch || *s.epoch == 2000.0;
  if (j2000 && (s.frame.empty() || s.frame == "icrs")) return {*s.lon, *s.lat};
  if (j2000 && s.frame == "fk5") return IcrsOfFk5({*s.lon, *s.lat});
  throw BadFile(group.path(),
                fmt::format("has a phase centre in the frame {}{} ({}): expected icrs, or fk5 of 2000; phase "
                            "it to icrs (pyuvdata: UVData.phase) and write it again",
                            s.frame.empty() ? "icrs" : s.frame, j2000 ? std::string() : fmt::format(" of {}", *s.epoch),
                            s.source));
}

void ReadSidereal(const Hdf5Group& group, const Statement& s, const CorrelatorKeywords& keywords,
                  std::size_t rows_per_time, SubbandHeader& header) {
  PhaseReference& phase = header.phase;
  phase.sidereal = true;
  phase.centre = IcrsCentre(group, s);
  header.knows_pointing = keywords.OfHourAngleZero();
  header.app_dec_rad = header.knows_pointing ? *keywords.dec_rad : 0;

  std::vector<double> lst, app_ra, app_dec;
  if (group.HasValue("lst_array")) {
    lst = PerRow(group, "lst_array", header.n_rows());
    CheckSiderealTimes(group, lst, rows_per_time, header);
  }
  if (group.HasValue("phase_center_app_ra") && group.HasValue("phase_center_app_dec")) {
    app_ra = PerRow(group, "phase_center_app_ra", header.n_rows());
    app_dec = PerRow(group, "phase_center_app_dec", header.n_rows());
  }
  for (std::size_t row = 0; row < app_ra.size(); ++row) {
    const std::size_t time = row / rows_per_time, first = time * rows_per_time;
    CheckedDeclination(group, "phase_center_app_dec", app_dec[row]);
    const PhaseCentre place{app_ra[row], app_dec[row]};
    if (row == first) {
      const PhaseCentre expected = Precessed(phase.centre, header.time_mjd_s[time]);
      if (SeparationRad(place, expected) > kApparentPlaceRad) {
        throw group.Bad(
            "phase_center_app_ra",
            fmt::format("and phase_center_app_dec are {:.6f} {:+.6f} rad in row {}, but {} is at {:.6f} {:+.6f} "
                        "rad of that date: expected its apparent place",
                        place.ra_rad, place.dec_rad, row, s.source,
                        expected.ra_rad - 2 * kPi * std::floor(expected.ra_rad / (2 * kPi)), expected.dec_rad));
      }
      if (!lst.empty()) phase.place.push_back({Wrapped(lst[row] - place.ra_rad), place.dec_rad});
    } else if (SeparationRad(place, {app_ra[first], app_dec[first]}) > kSameDirectionRad ||
               (!lst.empty() && std::abs(Wrapped(lst[row] - lst[first])) > kSameDirectionRad)) {
      throw group.Bad(
          "phase_center_app_ra",
          fmt::format("expected one apparent place of the phase centre at one time, found another in row {}", row));
    }
  }
  if (phase.place.empty() && s.moves) {
    throw BadFile(group.path(),
                  fmt::format("has a phase centre with proper motion ({}) and no apparent places: expected "
                              "lst_array, phase_center_app_ra and phase_center_app_dec",
                              s.source));
  }
}

}  // namespace

double SeparationRad(const PhaseCentre& a, const PhaseCentre& b) {
  return Separation({Angle::Radians(a.ra_rad), Angle::Radians(a.dec_rad)},
                    {Angle::Radians(b.ra_rad), Angle::Radians(b.dec_rad)})
      .rad();
}

void ReadPhasing(const H5::H5File& file, const Hdf5Group& group, std::size_t rows_per_time, SubbandHeader& header) {
  const CorrelatorKeywords keywords = ReadCorrelatorKeywords(file, group);
  const Statement s = ReadStatement(file, group, keywords);
  header.phase.source = s.source;
  if (s.type == "sidereal") {
    ReadSidereal(group, s, keywords, rows_per_time, header);
  } else if (s.type == "drift" || s.type == "unprojected" || s.type == "driftscan") {
    ReadMeridian(group, s, keywords, rows_per_time, header);
  } else {
    throw BadFile(group.path(), fmt::format("is phased to a target that {} ({}): expected a drift scan phased to hour "
                                            "angle 0 or one sidereal phase centre; phase it to one (pyuvdata: "
                                            "UVData.phase) and write it again",
                                            s.type == "ephem"        ? "moves over the sky"
                                            : s.type == "near_field" ? "is in the near field"
                                                                     : "is of an unknown kind",
                                            s.source));
  }
}

}  // namespace contimg::ingest
