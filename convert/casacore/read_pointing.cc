#include "convert/casacore/read_pointing.h"

#include <casacore/casa/Arrays/Matrix.h>
#include <casacore/casa/Arrays/Vector.h>
#include <casacore/casa/Exceptions/Error.h>
#include <casacore/measures/Measures/MCDirection.h>
#include <casacore/measures/Measures/MCPosition.h>
#include <casacore/measures/Measures/MDirection.h>
#include <casacore/measures/Measures/MEpoch.h>
#include <casacore/measures/Measures/MPosition.h>
#include <casacore/measures/Measures/MeasConvert.h>
#include <casacore/measures/Measures/MeasFrame.h>
#include <casacore/measures/TableMeasures/ArrayMeasColumn.h>
#include <casacore/tables/Tables/ArrayColumn.h>
#include <casacore/tables/Tables/ScalarColumn.h>
#include <casacore/tables/Tables/TableRecord.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "config/error.h"
#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/casacore/field_direction.h"
#include "convert/frames.h"

namespace contimg::convert::internal {
namespace {

using casacore::MDirection;
using casacore::rownr_t;

constexpr std::size_t kPointingTimes = 25;

// Telescopes whose dishes or station beams follow the direction that FIELD names. Others may stand still.
constexpr std::array kTrackers{"VLA",   "EVLA",    "JVLA",  "ALMA", "ATCA", "GMRT",   "UGMRT",   "MEERKAT",  "KAT-7",
                               "WSRT",  "APERTIF", "ASKAP", "VLBA", "EVN",  "MERLIN", "EMERLIN", "E-MERLIN", "SMA",
                               "NOEMA", "PDBI",    "CARMA", "BIMA", "ATA",  "AMI",    "LOFAR"};
constexpr std::array kDriftDishes{"OVRO_MMA", "OVRO-MMA", "DSA-110", "DSA110", "DSA_110"};

template <typename Names>
bool IsOneOf(const std::string& name, const Names& names) {
  std::string upper;
  for (const char c : name) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return std::find(names.begin(), names.end(), upper) != names.end();
}

Vector3 UnitOf(double longitude, double latitude) {
  return {std::cos(latitude) * std::cos(longitude), std::cos(latitude) * std::sin(longitude), std::sin(latitude)};
}
double AngleBetween(const Vector3& a, const Vector3& b) {
  const Vector3 x = Cross(a, b);
  return std::atan2(std::sqrt(Dot(x, x)), Dot(a, b));
}
Vector3 Unit(Vector3 v) {
  const double length = std::sqrt(Dot(v, v));
  for (double& x : v) x /= length;
  return v;
}

// How far directions may lie apart and still be the same pointing: a tenth of the beam of the largest dish.
double Tolerance(const VisibilityBlock& block) {
  double dish = 0;
  for (const double d : block.antennas.diameters_m) dish = std::max(dish, d);
  if (!(dish > 0)) dish = 25;
  return 0.1 * kSpeedOfLight / block.frequency_hz.back() / dish;
}

// One place of one antenna's axis at one time, both at rest among the stars and on the Earth.
struct Sample {
  Vector3 sky, earth;
};

// What a frame is at rest in.
enum class Rest { kSky, kEarth, kOther };
Rest RestOf(MDirection::Types frame) {
  if (IsFixedFrame(frame)) return Rest::kSky;
  switch (frame) {
    case MDirection::HADEC:
    case MDirection::AZEL:
    case MDirection::AZELSW:
    case MDirection::AZELGEO:
    case MDirection::AZELSWGEO:
    case MDirection::ITRF:
      return Rest::kEarth;
    default:
      return Rest::kOther;
  }
}

// ITRF vector of an angle pair of a frame at rest on the Earth, seen from an antenna.
Vector3 EarthVector(MDirection::Types frame, double first, double second, const std::array<double, 3>& position) {
  if (frame == MDirection::ITRF) return UnitOf(first, second);
  const double longitude = std::atan2(position[1], position[0]);
  if (frame == MDirection::HADEC) return UnitOf(longitude - first, second);
  const casacore::MPosition at(casacore::MVPosition(position[0], position[1], position[2]), casacore::MPosition::ITRF);
  const bool geodetic = frame == MDirection::AZELGEO || frame == MDirection::AZELSWGEO;
  const double latitude = geodetic ? casacore::MPosition::Convert(at, casacore::MPosition::WGS84)().getValue().getLat()
                                   : std::atan2(position[2], std::hypot(position[0], position[1]));
  const bool from_south = frame == MDirection::AZELSW || frame == MDirection::AZELSWGEO;
  const double azimuth = from_south ? first + kPi : first;
  const Vector3 up = UnitOf(longitude, latitude), east{-std::sin(longitude), std::cos(longitude), 0},
                north = Cross(up, east);
  Vector3 axis;
  for (std::size_t i = 0; i < 3; ++i) {
    axis[i] =
        std::sin(second) * up[i] + std::cos(second) * (std::cos(azimuth) * north[i] + std::sin(azimuth) * east[i]);
  }
  return axis;
}

Sample SampleOf(const MDirection& direction, double time_mjd_s, const std::array<double, 3>& position) {
  const UtcTime time = UtcTime::FromMjdSeconds(time_mjd_s);
  const SkyFrame sky(time, {});  // UT1 − UTC is 15 arcsec at most: nothing against a beam
  const auto frame = MDirection::castType(direction.getRef().getType());
  const casacore::Vector<double> angles = direction.getValue().get();
  Sample sample;
  if (RestOf(frame) == Rest::kEarth) {
    sample.earth = EarthVector(frame, angles[0], angles[1], position);
    const PhaseCentre icrs = sky.IcrsOfItrf(sample.earth);
    sample.sky = UnitOf(icrs.ra_rad, icrs.dec_rad);
    return sample;
  }
  PhaseCentre icrs;
  if (IsFixedFrame(frame)) {
    icrs = FixedDirectionOf(direction).icrs;
  } else {
    casacore::MeasFrame where(
        casacore::MEpoch(casacore::MVEpoch(time_mjd_s / kSecondsPerDay), casacore::MEpoch::UTC),
        casacore::MPosition(casacore::MVPosition(position[0], position[1], position[2]), casacore::MPosition::ITRF));
    const casacore::Vector<double> converted =
        MDirection::Convert(MDirection(direction.getValue(), MDirection::Ref(frame, where)), MDirection::ICRS)()
            .getValue()
            .get();
    icrs = {converted[0], converted[1]};
  }
  sample.sky = UnitOf(icrs.ra_rad, icrs.dec_rad);
  sample.earth = sky.ItrfOfIcrs(icrs.ra_rad, icrs.dec_rad);
  return sample;
}

// The median direction of the samples, and how far nine tenths of them keep within of it: an antenna that comes late
// does not count.
double SpreadOf(const std::vector<Sample>& samples, Vector3 Sample::*which, Vector3& middle) {
  std::vector<double> values(samples.size());
  for (std::size_t i = 0; i < 3; ++i) {
    for (std::size_t k = 0; k < samples.size(); ++k) values[k] = (samples[k].*which)[i];
    std::sort(values.begin(), values.end());
    middle[i] = values[values.size() / 2];
  }
  middle = Unit(middle);
  for (std::size_t k = 0; k < samples.size(); ++k) values[k] = AngleBetween(samples[k].*which, middle);
  std::sort(values.begin(), values.end());
  return values[values.size() - 1 - values.size() / 10];
}

Pointing Unknown(const std::string& why) {
  Pointing pointing;
  pointing.source = why;
  return pointing;
}
Pointing Tracking(const Vector3& sky, const std::string& source) {
  Pointing pointing;
  pointing.kind = Pointing::Kind::kTracking;
  pointing.direction = {std::atan2(sky[1], sky[0]), std::asin(std::clamp(sky[2], -1.0, 1.0))};
  pointing.source = source;
  return pointing;
}
Pointing Drift(const Vector3& earth, const std::string& source) {
  Pointing pointing;
  pointing.kind = Pointing::Kind::kDrift;
  pointing.meridian_rad = std::atan2(earth[1], earth[0]);
  pointing.app_dec_rad = std::asin(std::clamp(earth[2], -1.0, 1.0));
  pointing.source = source;
  return pointing;
}

// The rows of POINTING by antenna and time.
class PointingTable {
 public:
  explicit PointingTable(const casacore::Table& table) : table_(table) {
    const auto scalar = [&](const char* name) { return casacore::ScalarColumn<double>(table_, name).getColumn(); };
    const casacore::Vector<int> antenna = casacore::ScalarColumn<int>(table_, "ANTENNA_ID").getColumn();
    time_ = scalar("TIME");
    interval_ = scalar("INTERVAL");
    casacore::Vector<bool> tracking;
    bool any = false;
    if (table_.tableDesc().isColumn("TRACKING")) {
      tracking = casacore::ScalarColumn<bool>(table_, "TRACKING").getColumn();
      for (const bool t : tracking) any = any || t;
    }
    for (rownr_t row = 0; row < table_.nrow(); ++row) {
      if (!any || tracking[row]) rows_[antenna[row]].push_back(row);
    }
    for (auto& [id, rows] : rows_) {
      std::sort(rows.begin(), rows.end(), [&](rownr_t a, rownr_t b) { return time_[a] < time_[b]; });
    }
    column_ = Filled("DIRECTION") ? "DIRECTION" : Filled("TARGET") ? "TARGET" : "";
    if (!column_.empty()) measures_.attach(table_, column_);
    if (!column_.empty()) values_.attach(table_, column_);
  }

  const std::string& column() const { return column_; }

  // The row that holds for an antenna at a time: the one whose interval covers it; else, of rows without intervals or
  // of a table with one row, the nearest.
  std::optional<rownr_t> RowAt(int antenna, double time, double integration) const {
    auto found = rows_.find(antenna);
    if (found == rows_.end()) found = rows_.find(-1);  // for all antennas
    if (found == rows_.end()) return std::nullopt;
    const std::vector<rownr_t>& rows = found->second;
    const auto after =
        std::lower_bound(rows.begin(), rows.end(), time, [&](rownr_t r, double t) { return time_[r] < t; });
    std::optional<rownr_t> nearest;
    for (auto at = after == rows.begin() ? after : after - 1; at != rows.end() && at <= after; ++at) {
      const double away = std::abs(time_[*at] - time);
      if (nearest && away >= std::abs(time_[*nearest] - time)) continue;
      if (interval_[*at] > 0 && rows.size() > 1 && away > (interval_[*at] + integration) / 2) continue;
      nearest = *at;
    }
    return nearest;
  }

  MDirection DirectionAt(rownr_t row, double time) const {
    const casacore::Array<MDirection> terms = measures_(row);
    const MDirection first = *terms.begin();
    const casacore::Array<double> cell = values_(row);
    if (cell.ndim() < 2 || cell.shape()[1] < 2) return first;
    // A polynomial in the time since TIME_ORIGIN (since TIME where that is 0).
    const casacore::Matrix<double> values(cell);
    double origin = 0;
    if (table_.tableDesc().isColumn("TIME_ORIGIN")) {
      origin = casacore::ScalarColumn<double>(table_, "TIME_ORIGIN")(row);
    }
    if (origin == 0) origin = time_[row];
    double power = 1, longitude = 0, latitude = 0;
    for (casacore::uInt k = 0; k < values.ncolumn(); ++k, power *= time - origin) {
      longitude += values(0, k) * power;
      latitude += values(1, k) * power;
    }
    return MDirection(casacore::MVDirection(longitude, latitude), first.getRef());
  }

 private:
  // Whether the first rows hold angles that are not all zero.
  bool Filled(const char* name) const {
    if (!table_.tableDesc().isColumn(name)) return false;
    const casacore::ArrayColumn<double> column(table_, name);
    for (rownr_t row = 0; row < std::min<rownr_t>(table_.nrow(), 1000); ++row) {
      if (!column.isDefined(row)) continue;
      const casacore::Array<double> cell = column(row);
      for (const double value : cell) {
        if (value != 0 && std::isfinite(value)) return true;
      }
    }
    return false;
  }

  casacore::Table table_;
  casacore::Vector<double> time_, interval_;
  std::map<int, std::vector<rownr_t>> rows_;  // ascending in time
  std::string column_;
  casacore::ArrayMeasColumn<MDirection> measures_;
  casacore::ArrayColumn<double> values_;
};

std::vector<std::size_t> TimesLookedAt(std::size_t n) {
  std::vector<std::size_t> times;
  const std::size_t count = std::min(n, kPointingTimes);
  for (std::size_t i = 0; i < count; ++i) times.push_back(count == 1 ? 0 : i * (n - 1) / (count - 1));
  return times;
}

// POINTING's word; kUnknown with the reason when it has none.
Pointing FromPointing(const casacore::Table& rows, const VisibilityBlock& block) {
  if (rows.isNull()) return Unknown("there is no table POINTING");
  if (rows.nrow() == 0) return Unknown("POINTING is empty");
  const PointingTable table(rows);
  if (table.column().empty()) return Unknown("POINTING holds no directions");
  std::set<int> antennas;
  for (const Baseline& b : block.baselines) antennas.insert({b.antenna1, b.antenna2});
  std::vector<Sample> samples;
  Rest rest = Rest::kOther;
  for (const std::size_t t : TimesLookedAt(block.n_times())) {
    for (const int antenna : antennas) {
      const auto row = table.RowAt(antenna, block.time_mjd_s[t], block.integration_s[t]);
      if (!row) continue;
      const MDirection direction = table.DirectionAt(*row, block.time_mjd_s[t]);
      if (samples.empty()) rest = RestOf(MDirection::castType(direction.getRef().getType()));
      samples.push_back(
          SampleOf(direction, block.time_mjd_s[t], block.antennas.positions_itrf_m[static_cast<std::size_t>(antenna)]));
    }
  }
  if (samples.empty()) return Unknown("POINTING has no rows for the antennas and times of the data");
  const double tolerance = Tolerance(block);
  Vector3 sky{}, earth{};
  const double on_sky = SpreadOf(samples, &Sample::sky, sky), on_earth = SpreadOf(samples, &Sample::earth, earth);
  const std::string source = "POINTING." + table.column();
  const bool tracks = on_sky <= tolerance, stands = on_earth <= tolerance;
  if (tracks && (!stands || rest != Rest::kEarth)) return Tracking(sky, source);
  if (stands) return Drift(earth, source);
  return Unknown(fmt::format("by POINTING the antennas pointed to places up to {:.3g} deg apart",
                             2 * Angle::Radians(std::min(on_sky, on_earth)).deg()));
}

std::optional<PhaseCentre> FieldDirection(const casacore::Table& fields, const char* name, int field) {
  const casacore::ArrayMeasColumn<MDirection> column(fields, name);
  const casacore::Array<MDirection> terms = column(static_cast<rownr_t>(field));
  if (terms.nelements() != 1) return std::nullopt;
  const MDirection direction = *terms.begin();
  if (!IsFixedFrame(MDirection::castType(direction.getRef().getType()))) return std::nullopt;
  return FixedDirectionOf(direction).icrs;
}

// FIELD's word, for a telescope that follows it.
Pointing FromField(const casacore::Table& fields, int field, const VisibilityBlock& block) {
  auto reference = FieldDirection(fields, "REFERENCE_DIR", field);
  auto delay = FieldDirection(fields, "DELAY_DIR", field);
  if (!reference || !delay) return Unknown("FIELD gives no fixed REFERENCE_DIR and DELAY_DIR");
  // Programs that fill PHASE_DIR only leave zeros in the others.
  const auto filled = [](const PhaseCentre& p) { return p.ra_rad != 0 || p.dec_rad != 0; };
  if (!filled(*reference)) reference = filled(*delay) ? *delay : block.phase_centre;
  if (!filled(*delay)) delay = *reference;
  const Vector3 at = UnitOf(reference->ra_rad, reference->dec_rad);
  const double apart = AngleBetween(at, UnitOf(delay->ra_rad, delay->dec_rad));
  if (apart > Tolerance(block)) {
    return Unknown(
        fmt::format("REFERENCE_DIR and DELAY_DIR of FIELD differ by {:.3g} deg", Angle::Radians(apart).deg()));
  }
  Pointing pointing = Tracking(at, "FIELD.REFERENCE_DIR; the telescope " + block.telescope_name + " tracks");
  pointing.direction = *reference;
  return pointing;
}

bool HasDsa110Dishes(const VisibilityBlock& block) {
  if (!IsOneOf(block.telescope_name, kDriftDishes) || block.antennas.size() == 0) return false;
  return std::all_of(block.antennas.diameters_m.begin(), block.antennas.diameters_m.end(),
                     [](double d) { return std::abs(d - kDsa110DishDiameterM) < 0.01 * kDsa110DishDiameterM; });
}

// The DSA-110's dishes stand on the meridian, and its tiles are phased to where they point at the middle.
Pointing OfDsa110(const VisibilityBlock& block) {
  const double middle_mjd_s = (block.time_mjd_s.front() + block.time_mjd_s.back()) / 2;
  const Vector3 centre = SkyFrame(UtcTime::FromMjdSeconds(middle_mjd_s), {})
                             .ItrfOfIcrs(block.phase_centre.ra_rad, block.phase_centre.dec_rad);
  const double hour_angle =
      WrapSigned(Angle::Radians(kDsa110Centre.longitude_rad - std::atan2(centre[1], centre[0]))).rad();
  const double integration_s = std::max(15.0, block.integration_s.front());
  if (std::abs(hour_angle) > integration_s / kSecondsPerDay * 2 * kPi) {
    return Unknown("dishes of the DSA-110 with a phase centre that is not on the meridian at mid-time");
  }
  Pointing pointing = Drift(centre,
                            "assumed: dishes of the DSA-110 stand on the meridian, where the phase centre is "
                            "at mid-time");
  pointing.meridian_rad = kDsa110Centre.longitude_rad;
  pointing.stops_fringes = true;
  return pointing;
}

// Fields of the record CONTIMG.
struct RecordFields {
  const casacore::RecordInterface& record;
  const std::string& path;

  Error Wrong(const char* name, const std::string& expected, const std::string& found) const {
    return Error(ErrorKind::kBadInput, "convert", path,
                 fmt::format("expected {} in the field {} of the keyword record CONTIMG, found {}; convert the tile "
                             "anew, or remove the record and with it what it says of the pointing",
                             expected, name, found));
  }
  double Number(const char* name, double largest) const {
    const std::string expected = fmt::format("a number from {:.5g} to {:.5g}", -largest, largest);
    if (!record.isDefined(name)) throw Wrong(name, expected, "no such field");
    if (record.dataType(name) != casacore::TpDouble) throw Wrong(name, expected, "another type");
    const double value = record.asDouble(name);
    if (!(std::abs(value) <= largest * (1 + 1e-12))) throw Wrong(name, expected, fmt::format("{:g}", value));
    return value;
  }
  std::string Word(const char* name) const {
    if (record.dataType(name) != casacore::TpString) throw Wrong(name, "a word", "another type");
    return record.asString(name);
  }
};

}  // namespace

bool ReadDriftKeywords(const casacore::Table& main, VisibilityBlock& block, const std::string& path) {
  const casacore::TableRecord& keywords = main.keywordSet();
  if (!keywords.isDefined("CONTIMG") || keywords.dataType("CONTIMG") != casacore::TpRecord) return false;
  const casacore::RecordInterface& drift = keywords.asRecord("CONTIMG");
  for (const char* name : {"site_source", "group_id"}) {
    if (!drift.isDefined(name) || drift.dataType(name) != casacore::TpString) return false;
  }
  const RecordFields fields{drift, path};
  block.app_dec_rad = fields.Number("app_dec_rad", kPi / 2);
  block.site.latitude_rad = fields.Number("latitude_rad", kPi / 2);
  block.site.longitude_rad = fields.Number("longitude_rad", 2 * kPi);
  block.site.height_m = fields.Number("height_m", 1e5);
  block.site.source = drift.asString("site_source");
  block.group_id = drift.asString("group_id");
  // In the words of the files that it keeps: a tile tells one story, in memory and read back.
  const std::string source = "the header of the files";
  const std::string word = drift.isDefined("pointing") ? fields.Word("pointing") : "drift";
  if (word == "drift") {
    block.pointing = {Pointing::Kind::kDrift, block.site.longitude_rad, block.app_dec_rad, {}, true, source};
  } else if (word == "tracking") {
    block.pointing = Tracking({}, source);
    block.pointing.direction = {fields.Number("pointing_ra_rad", 2 * kPi), fields.Number("pointing_dec_rad", kPi / 2)};
  } else if (word != "unknown") {
    throw fields.Wrong("pointing", "'drift', 'tracking' or 'unknown'", "'" + word + "'");
  } else {
    block.pointing = Unknown("the header of the files does not say it");
  }
  return true;
}

Pointing ReadPointing(const casacore::Table& rows, const casacore::Table& fields, int field,
                      const VisibilityBlock& block) {
  Pointing pointing;
  try {
    pointing = FromPointing(rows, block);
  } catch (const casacore::AipsError&) {
    pointing = Unknown("POINTING cannot be read");
  }
  if (pointing.kind != Pointing::Kind::kUnknown) return pointing;
  const std::string why = pointing.source;
  if (IsOneOf(block.telescope_name, kTrackers)) {
    try {
      pointing = FromField(fields, field, block);
    } catch (const casacore::AipsError&) {
      pointing = Unknown("REFERENCE_DIR and DELAY_DIR of FIELD cannot be read");
    }
  } else if (HasDsa110Dishes(block)) {
    pointing = OfDsa110(block);
  } else {
    pointing = Unknown("nothing is known of the telescope '" + block.telescope_name + "'");
  }
  if (pointing.kind == Pointing::Kind::kUnknown) pointing.source = why + ", and " + pointing.source;
  return pointing;
}

}  // namespace contimg::convert::internal
