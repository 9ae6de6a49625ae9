#include "convert/casacore/check_geometry.h"

#include <casacore/casa/Arrays/ArrayLogical.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "config/error.h"
#include "config/time.h"
#include "convert/frames.h"

namespace contimg::convert::internal {
namespace {

constexpr std::size_t kTimesLookedAt = 64;
constexpr std::size_t kBaselinesLookedAt = 64;
constexpr double kTolerance = 0.2;  // of the baseline
constexpr double kToleranceM = 0.5;
constexpr double kMostOverlap = 1.5;  // integration over the distance of the next

// The radius of the surface is 6357 to 6385 km.
bool StandsOnEarth(const Vector3& position) {
  const double radius = std::sqrt(Dot(position, position));
  return radius > 6.33e6 && radius < 6.41e6;
}

bool IsAbsent(const VisibilityBlock& block, std::size_t time, std::size_t baseline) {
  if (block.absent.empty()) return false;
  const std::size_t n = block.windows.size(), first = (time * block.n_baselines() + baseline) * n;
  const auto begin = block.absent.begin() + static_cast<std::ptrdiff_t>(first);
  return std::all_of(begin, begin + static_cast<std::ptrdiff_t>(n), [](std::uint8_t a) { return a != 0; });
}

// Whether the antennas stand at one place, as far as POSITION says where they stand.
bool StandTogether(const AntennaTable& antennas, int a, int b) {
  if (a == b) return true;
  if (std::min(a, b) < 0 || std::max(a, b) >= static_cast<int>(antennas.size())) return true;  // refused for that
  const Vector3& p = antennas.positions_itrf_m[static_cast<std::size_t>(a)];
  const Vector3& q = antennas.positions_itrf_m[static_cast<std::size_t>(b)];
  return Dot(p, p) > 1 && std::hypot(p[0] - q[0], p[1] - q[1], p[2] - q[2]) < 1;
}

template <typename T>
T Median(std::vector<T>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

bool IsWhollyFlagged(const SetTables& tables, std::size_t row) {
  if (tables.HasScalars("FLAG_ROW", casacore::TpBool) && casacore::ScalarColumn<bool>(tables.main(), "FLAG_ROW")(row)) {
    return true;
  }
  const casacore::ArrayColumn<bool> flags = tables.Arrays<bool>("FLAG");
  return flags.isDefined(row) && casacore::allEQ(flags(row), true);
}

bool LacksGeometry(const SetTables& tables, const VisibilityBlock& block, const RowOf& row, double time_mjd_s,
                   const double* uvw_m) {
  const double u = uvw_m[0], v = uvw_m[1], w = uvw_m[2];
  const bool has_time = std::isfinite(time_mjd_s) && time_mjd_s > 0;
  const bool is_zero = u == 0 && v == 0 && w == 0 && !StandTogether(block.antennas, row.antenna1, row.antenna2);
  if (has_time && std::isfinite(u) && std::isfinite(v) && std::isfinite(w) && !is_zero) return false;
  if (IsWhollyFlagged(tables, row.row)) return true;
  if (!has_time) {
    throw BadSet(tables.path(),
                 fmt::format("expected seconds of MJD in TIME, found {:g} in row {}, which is not flagged; "
                             "correct it or flag the row",
                             time_mjd_s, row.row));
  }
  throw BadSet(
      tables.path(),
      fmt::format("expected the baseline of antennas {} and {} in UVW, found {:g}, {:g}, {:g} in row {}, which "
                  "is not flagged; compute UVW anew (fixvis of CASA) or flag the row",
                  row.antenna1, row.antenna2, u + 0.0, v + 0.0, w + 0.0, row.row));  // no "-0"
}

UvwDisagreement CompareUvw(const VisibilityBlock& block) {
  UvwDisagreement result;
  double product = 0, found_square = 0, expected_square = 0;
  const std::size_t n_looked = std::min(block.n_times(), kTimesLookedAt);
  for (std::size_t i = 0; i < n_looked; ++i) {
    const std::size_t t = n_looked == 1 ? 0 : i * (block.n_times() - 1) / (n_looked - 1);
    const UvwAxes axes =
        AxesOfPhaseCentre(SkyFrame(UtcTime::FromMjdSeconds(block.time_mjd_s[t]), {}), block.phase_centre);
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const Vector3& p = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna1)];
      const Vector3& q = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna2)];
      if (block.baselines[b].is_auto() || !StandsOnEarth(p) || !StandsOnEarth(q) || IsAbsent(block, t, b)) continue;
      ++result.looked_at;
      const Vector3 apart{p[0] - q[0], p[1] - q[1], p[2] - q[2]};
      const Vector3 expected{Dot(apart, axes.u), Dot(apart, axes.v), Dot(apart, axes.w)};
      const double* uvw = &block.uvw_m[(t * block.n_baselines() + b) * 3];
      const Vector3 found{uvw[0], uvw[1], uvw[2]};
      const Vector3 off{found[0] - expected[0], found[1] - expected[1], found[2] - expected[2]};
      if (std::sqrt(Dot(off, off)) <= kTolerance * std::sqrt(Dot(apart, apart)) + kToleranceM) continue;
      if (result.wrong.empty()) result.wrong.assign(block.n_times() * block.n_baselines(), 0);
      result.wrong[t * block.n_baselines() + b] = 1;
      ++result.n_wrong;
      product += Dot(found, expected);
      found_square += Dot(found, found);
      expected_square += Dot(expected, expected);
    }
  }
  if (result.n_wrong == 0) return result;
  const double cosine = product / std::sqrt(found_square * expected_square);
  const double scale = std::sqrt(found_square / expected_square);
  result.how = !(scale > 0)                                  ? "are 0"
               : cosine < -0.98 && std::abs(scale - 1) < 0.2 ? "have the other sign"
               : cosine > 0.98 ? fmt::format("are {:.3g} times as long (other units?)", scale)
                               : "point elsewhere (axes exchanged, or antennas, time or phase centre of other data?)";
  return result;
}

void CheckLengths(const VisibilityBlock& block, const std::string& path) {
  std::vector<double> gaps;
  const std::size_t n_windows = block.windows.size();
  const std::size_t n_baselines =
      block.absent.empty() ? std::min<std::size_t>(1, block.n_baselines()) : block.n_baselines();
  const std::size_t step = std::max<std::size_t>(1, n_baselines / kBaselinesLookedAt);
  for (std::size_t b = 0; b < n_baselines; b += step) {
    for (std::size_t w = 0; w < (block.absent.empty() ? 1 : n_windows); ++w) {
      double last = -1;
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        if (!block.absent.empty() && block.absent[(t * block.n_baselines() + b) * n_windows + w] != 0) continue;
        if (last >= 0) gaps.push_back(block.time_mjd_s[t] - last);
        last = block.time_mjd_s[t];
      }
    }
  }
  if (gaps.empty()) return;
  std::vector<double> lengths;
  for (const double s : block.integration_s) {
    if (s > 0) lengths.push_back(s);
  }
  const double gap = Median(gaps), length = lengths.empty() ? 0 : Median(lengths);
  if (length <= kMostOverlap * gap) return;
  throw Error(
      ErrorKind::kBadInput, "convert", path,
      fmt::format("expected an INTERVAL of at most the time between a baseline's rows, {:g} s by TIME, found "
                  "{:g} s: how long an integration is decides how it is smeared; correct INTERVAL (and EXPOSURE)",
                  gap, length));
}

}  // namespace contimg::convert::internal
