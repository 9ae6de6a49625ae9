// Where the array stands: the site and the antenna table of a header, and whether they agree.
#include <algorithm>
#include <array>
#include <cmath>

#include "config/telescope.h"
#include "config/units.h"
#include "ingest/uvh5_header_parts.h"

namespace contimg::ingest {
namespace {

using Vector = std::array<double, 3>;

// Positions relative to the array centre; larger means that they are something else.
constexpr double kLargestArrayM = 1e6;
// Positions from the centre of the Earth lie in this shell.
constexpr double kLeastGeocentricM = 6.3e6, kMostGeocentricM = 6.5e6;
// An array whose heights scatter by less than this fraction of its narrower width shows which way is up, to 3 degrees.
constexpr double kFlat = 0.05;
// The vertical of the antennas' plane and that of the site may differ by so much.
constexpr double kMostTilt = 15 * kPi / 180, kSameTilt = 5 * kPi / 180;
// Exchanged axes make so many planes that one of them may come near the horizontal by chance: arrays are level to this.
constexpr double kLevel = 2 * kPi / 180;
constexpr std::size_t kLeastAntennas = 4;
// No two dishes stand closer.
constexpr double kOnePlaceM = 0.1;

double Dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

Vector Zenith(double latitude_rad, double longitude_rad) {
  return {std::cos(latitude_rad) * std::cos(longitude_rad), std::cos(latitude_rad) * std::sin(longitude_rad),
          std::sin(latitude_rad)};
}

// The normal of the plane through the antennas, with either sign; nothing when they do not lie in a plane, or in a
// line.
std::optional<Vector> PlaneOf(const std::vector<Vector>& positions) {
  if (positions.size() < kLeastAntennas) return std::nullopt;
  Vector mean{};
  for (const Vector& p : positions) {
    for (std::size_t i = 0; i < 3; ++i) mean[i] += p[i] / static_cast<double>(positions.size());
  }
  std::array<Vector, 3> c{};  // covariance
  for (const Vector& p : positions) {
    for (std::size_t i = 0; i < 3; ++i) {
      for (std::size_t j = 0; j < 3; ++j) {
        c[i][j] += (p[i] - mean[i]) * (p[j] - mean[j]) / static_cast<double>(positions.size());
      }
    }
  }
  // The adjugate of a flat array's covariance is the normal's dyad n·nᵀ, times the two other variances: its longest row
  // is the normal, to the ratio of the smallest variance to the next.
  std::array<Vector, 3> adjugate{};
  for (std::size_t i = 0; i < 3; ++i) {
    const std::size_t a = (i + 1) % 3, b = (i + 2) % 3;
    for (std::size_t j = 0; j < 3; ++j) {
      const std::size_t d = (j + 1) % 3, e = (j + 2) % 3;
      adjugate[i][j] = c[a][d] * c[b][e] - c[a][e] * c[b][d];
    }
  }
  Vector normal = *std::max_element(adjugate.begin(), adjugate.end(),
                                    [](const Vector& x, const Vector& y) { return Dot(x, x) < Dot(y, y); });
  const double product = std::sqrt(Dot(normal, normal));
  if (!(product > 0)) return std::nullopt;
  for (double& x : normal) x /= product;
  const Vector across{Dot(c[0], normal), Dot(c[1], normal), Dot(c[2], normal)};
  const double height2 = Dot(across, normal);                  // variance along the normal
  const double spread2 = c[0][0] + c[1][1] + c[2][2];          // of all axes: mostly the longest
  const double narrow2 = product / std::max(spread2, 1e-300);  // at most the variance of the narrower width
  if (!(height2 < kFlat * kFlat * narrow2)) return std::nullopt;
  return normal;
}

template <typename Tilt>
void RefuseOtherSigns(const Hdf5Group& group, const Tilt& tilt, const ArraySite& site) {
  const double latitude = site.latitude_rad, longitude = site.longitude_rad;
  const char* which = nullptr;
  if (tilt(-latitude, -longitude) <= kSameTilt) which = "latitude and longitude";
  if (tilt(latitude, -longitude) <= kSameTilt) which = "longitude";
  if (tilt(-latitude, longitude) <= kSameTilt) which = "latitude";
  if (which == nullptr) return;
  throw group.Bad("latitude",
                  fmt::format("and longitude are {:.6f} and {:.6f}, and the antennas lie in a plane that is "
                              "horizontal if the sign of {} is the other one: expected degrees, north and "
                              "east positive, and antenna_positions along the axes of ITRF",
                              Angle::Radians(latitude).deg(), Angle::Radians(longitude).deg(), which));
}

void RefuseExchangedAxes(const Hdf5Group& group, const Vector& plane, const ArraySite& site) {
  const Vector zenith = Zenith(site.latitude_rad, site.longitude_rad);
  for (const std::array<std::size_t, 3>& order :
       {std::array<std::size_t, 3>{2, 1, 0}, {1, 0, 2}, {0, 2, 1}, {1, 2, 0}, {2, 0, 1}}) {
    const Vector turned{plane[order[0]], plane[order[1]], plane[order[2]]};
    if (!(std::abs(Dot(turned, zenith)) >= std::cos(kLevel))) continue;
    throw group.Bad(
        "antenna_positions",
        fmt::format("lie in a plane that is horizontal at latitude {:.2f} degrees if their axes are taken as "
                    "({}, {}, {}): expected metres along the axes of ITRF (x, y, z) from the array centre",
                    Angle::Radians(site.latitude_rad).deg(), "xyz"[order[0]], "xyz"[order[1]], "xyz"[order[2]]));
  }
}

// The angle between the vertical of the antennas' plane and that of the site, 0 when they do not lie in a plane.
// Refuses what puts every baseline wrong without a trace in the data: a site in radians or on the wrong side of the
// equator or of Greenwich, positions along east, north and up or with their axes exchanged. Other tilts are left to the
// reader: an array may have been carried to another place with all its data.
double CheckedTilt(const Hdf5Group& group, const std::vector<Vector>& relative, const ArraySite& site) {
  const std::optional<Vector> plane = PlaneOf(relative);
  if (!plane) return 0;
  const auto tilt = [&](double latitude_rad, double longitude_rad) {
    return std::acos(std::min(1.0, std::abs(Dot(*plane, Zenith(latitude_rad, longitude_rad)))));
  };
  const double found = tilt(site.latitude_rad, site.longitude_rad);
  if (found <= kMostTilt) return found;
  if (site.source != "header") {
    throw BadFile(group.path(),
                  fmt::format("expected Header/latitude, longitude and altitude of the array, found none; "
                              "the antennas lie in a plane that is tilted by {:.0f} degrees at the DSA-110, "
                              "which is assumed otherwise",
                              Angle::Radians(found).deg()));
  }
  // The numbers of the header, which were taken for degrees, read as radians.
  const double latitude = Angle::Radians(site.latitude_rad).deg(), longitude = Angle::Radians(site.longitude_rad).deg();
  const char* in_radians = nullptr;
  if (std::abs(latitude) <= kPi / 2 && tilt(latitude, site.longitude_rad) <= kSameTilt) in_radians = "the latitude is";
  if (std::abs(longitude) <= 2 * kPi && tilt(site.latitude_rad, longitude) <= kSameTilt)
    in_radians = "the longitude is";
  if (std::abs(latitude) <= kPi / 2 && std::abs(longitude) <= 2 * kPi && tilt(latitude, longitude) <= kSameTilt) {
    in_radians = "both are";
  }
  if (in_radians != nullptr) {
    throw group.Bad("latitude",
                    fmt::format("and longitude are {:.6f} and {:.6f}, and the antennas lie in a plane that is "
                                "horizontal if {} in radians: expected degrees",
                                latitude, longitude, in_radians));
  }
  if (tilt(kPi / 2, 0) <= kSameTilt) {
    throw group.Bad("antenna_positions", fmt::format("lie along east and north of a site at latitude {:.2f} degrees: "
                                                     "expected metres along the axes of ITRF (x, y, z) from the array "
                                                     "centre",
                                                     latitude));
  }
  RefuseOtherSigns(group, tilt, site);
  RefuseExchangedAxes(group, *plane, site);
  return found;
}

void ReadSite(const Hdf5Group& group, SubbandHeader& header) {
  if (const std::string frame = group.StringOrEmpty("telescope_frame"); !frame.empty() && frame != "itrs") {
    throw group.Bad("telescope_frame", fmt::format("is {}: expected itrs, a place on the Earth", frame));
  }
  if (group.Has("latitude") && group.Has("longitude")) {
    const double latitude = group.Double("latitude");
    const double longitude = group.Double("longitude");
    const double height = group.Has("altitude") ? group.Double("altitude") : kDsa110Centre.height_m;
    if (!(std::abs(latitude) <= 90) || !(std::abs(longitude) <= 360) || !(std::abs(height) <= 1e5)) {
      throw group.Bad(
          "latitude",
          fmt::format(
              "expected latitude, longitude (degrees) and altitude (metres) of a place on Earth, found {}, {}, {}",
              latitude, longitude, height));
    }
    header.site = {Angle::Degrees(latitude).rad(), Angle::Degrees(longitude).rad(), height, "header"};
  } else if (group.Has("telescope_location")) {
    throw group.Bad(
        "telescope_location",
        "stands without latitude, longitude and altitude: expected these (degrees, degrees, metres), as UVH5 "
        "has them; add them to the header");
  } else {
    header.site = {kDsa110Centre.latitude_rad, kDsa110Centre.longitude_rad, kDsa110Centre.height_m, "telescope"};
  }
}

void ReadAntennas(const Hdf5Group& group, SubbandHeader& header) {
  AntennaTable& table = header.antennas;
  Shape shape;
  table.names = group.Strings("antenna_names", &shape);
  const std::size_t n = table.names.size();
  if (shape.size() != 1 || n == 0) {
    throw group.Bad("antenna_names",
                    fmt::format("has the wrong shape: expected (Nants_telescope), found {}", ToString(shape)));
  }
  CheckCount(group, "Nants_telescope", n, "antenna_names holds");
  std::vector<std::string> sorted = table.names;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
    throw group.Bad("antenna_names", fmt::format("expected distinct names, found {} twice",
                                                 *std::adjacent_find(sorted.begin(), sorted.end())));
  }
  const std::vector<std::int64_t> numbers = group.Integers("antenna_numbers", &shape);
  CheckRank1(group, "antenna_numbers", shape, n, "Nants_telescope");
  for (const std::int64_t number : numbers) {
    if (number < 0 || number > 1000000)
      throw group.Bad("antenna_numbers", fmt::format("expected small numbers, found {}", number));
    table.numbers.push_back(static_cast<int>(number));
  }
  const std::vector<double> positions = group.Doubles("antenna_positions", &shape);
  if (shape.size() != 2 || shape[0] != n || shape[1] != 3) {
    throw group.Bad("antenna_positions",
                    fmt::format("has the wrong shape: expected ({}, 3), found {}", n, ToString(shape)));
  }
  std::vector<Vector> relative_m(n);
  const Itrf centre = ToItrf({header.site.latitude_rad, header.site.longitude_rad, header.site.height_m});
  table.positions_itrf_m.resize(n);
  for (std::size_t a = 0; a < n; ++a) {
    for (std::size_t axis = 0; axis < 3; ++axis) {
      const double relative = positions[3 * a + axis];
      relative_m[a][axis] = relative;
      table.positions_itrf_m[a][axis] = centre[axis] + relative;
    }
    const double length = std::sqrt(Dot(relative_m[a], relative_m[a]));
    if (length > kLeastGeocentricM && length < kMostGeocentricM) {
      throw group.Bad("antenna_positions",
                      fmt::format("holds positions from the centre of the Earth ({:.0f} m for antenna {}): expected "
                                  "metres from the array centre; subtract the ITRF position of the header's site",
                                  length, table.names[a]));
    }
    if (!(length <= kLargestArrayM)) {
      throw group.Bad("antenna_positions", fmt::format("expected metres from the array centre, found {} for antenna {}",
                                                       length, table.names[a]));
    }
  }
  header.tilt_rad = CheckedTilt(group, relative_m, header.site);
  if (group.Has("antenna_diameters")) {
    table.diameters_m = group.Doubles("antenna_diameters", &shape);
    CheckRank1(group, "antenna_diameters", shape, n, "Nants_telescope");
    for (const double diameter : table.diameters_m) {
      if (!(diameter > 0 && diameter < 1000))
        throw group.Bad("antenna_diameters", fmt::format("expected metres, found {}", diameter));
    }
  } else {
    table.diameters_m.assign(n, kDsa110DishDiameterM);
  }
}

}  // namespace

void CheckStations(const Hdf5Group& group, const SubbandHeader& header) {
  const AntennaTable& table = header.antennas;
  for (const Baseline& b : header.baselines) {
    if (b.is_auto()) continue;
    const auto a1 = static_cast<std::size_t>(b.antenna1), a2 = static_cast<std::size_t>(b.antenna2);
    const Itrf &x = table.positions_itrf_m[a1], &y = table.positions_itrf_m[a2];
    if (std::hypot(x[0] - y[0], x[1] - y[1], x[2] - y[2]) >= kOnePlaceM) continue;
    throw group.Bad("antenna_positions",
                    fmt::format("has antennas {} and {} at one place: expected the positions of all "
                                "antennas with data",
                                table.names[a1], table.names[a2]));
  }
}

void ReadSiteAndAntennas(const Hdf5Group& group, SubbandHeader& header) {
  ReadSite(group, header);
  ReadAntennas(group, header);
}

}  // namespace contimg::ingest
