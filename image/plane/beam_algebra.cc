#include "image/plane/beam_algebra.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "image/plane/stage_name.h"

namespace contimg::image {
namespace {

double Determinant(const BeamMoments& m) { return m.ee * m.nn - m.en * m.en; }

// Eigenvalues of q⁻¹p: squared ratios of widths, the least and the largest over all directions.
std::array<double, 2> SquaredRatios(const BeamMoments& p, const BeamMoments& q) {
  const double det_q = Determinant(q);
  const double half = (p.ee * q.nn + p.nn * q.ee - 2 * p.en * q.en) / (2 * det_q);
  const double root = std::sqrt(std::max(0.0, half * half - Determinant(p) / det_q));
  return {std::max(0.0, half - root), half + root};
}

// Moments as (t + a, t − a, b): those that are nowhere less than given ones fill a circular cone whose tip is there,
// and t² − a² − b² is the square of the beam's area. A beam's shape is (a/t, b/t), inside the unit circle.
struct Tip {
  double t, a, b;
};

// The least t at which the ray of shape (u, v) is inside all cones.
double LeastSize(const std::vector<Tip>& tips, double u, double v) {
  const double slope = 1 - u * u - v * v;
  double least = 0;
  for (const Tip& tip : tips) {
    const double p = tip.t - u * tip.a - v * tip.b;
    const double square = tip.t * tip.t - tip.a * tip.a - tip.b * tip.b;
    least = std::max(least, (p + std::sqrt(std::max(0.0, p * p - slope * square))) / slope);
  }
  return least;
}

// Where a function with one valley on (low, high) is least, by golden sections.
template <typename Function>
double Lowest(double low, double high, const Function& value) {
  constexpr double kGolden = 0.6180339887498949;
  double a = high - kGolden * (high - low), b = low + kGolden * (high - low);
  double at_a = value(a), at_b = value(b);
  for (int i = 0; i < 64 && high - low > 1e-12; ++i) {
    if (at_a < at_b) {
      high = b, b = a, at_b = at_a;
      a = high - kGolden * (high - low), at_a = value(a);
    } else {
      low = a, a = b, at_a = at_b;
      b = low + kGolden * (high - low), at_b = value(b);
    }
  }
  return (low + high) / 2;
}

}  // namespace

BeamMoments MomentsOf(const GaussianBeam& beam) {
  const double s = std::sin(beam.angle_rad), c = std::cos(beam.angle_rad);
  const double major2 = beam.major_rad * beam.major_rad, minor2 = beam.minor_rad * beam.minor_rad;
  return {major2 * s * s + minor2 * c * c, major2 * c * c + minor2 * s * s, (major2 - minor2) * s * c};
}

GaussianBeam BeamOf(const BeamMoments& m) {
  const double mean = (m.ee + m.nn) / 2, half = std::hypot((m.nn - m.ee) / 2, m.en);
  const double angle = half > 0 ? 0.5 * std::atan2(2 * m.en, m.nn - m.ee) : 0;
  return {std::sqrt(mean + half), std::sqrt(std::max(0.0, mean - half)), angle < 0 ? angle + kPi : angle};
}

double BeamDifference(const GaussianBeam& a, const GaussianBeam& b) {
  const auto [least, largest] = SquaredRatios(MomentsOf(a), MomentsOf(b));
  return std::max(std::abs(std::sqrt(largest) - 1), std::abs(std::sqrt(least) - 1));
}

std::optional<BeamMoments> BeamBetween(const GaussianBeam& from, const GaussianBeam& to) {
  const BeamMoments p = MomentsOf(to), q = MomentsOf(from);
  if (BeamDifference(from, to) < kBeamTolerance) return BeamMoments{};
  if (std::sqrt(SquaredRatios(p, q)[0]) < 1 - kBeamTolerance) return std::nullopt;
  BeamMoments between{p.ee - q.ee, p.nn - q.nn, p.en - q.en};
  if (Determinant(between) < 0) {  // less than nothing across, by rounding: what is along the longer axis stays
    const double mean = (between.ee + between.nn) / 2, half = std::hypot((between.nn - between.ee) / 2, between.en);
    const double keep = (mean + half) / (2 * half);
    between = {keep * (half + (between.ee - between.nn) / 2), keep * (half - (between.ee - between.nn) / 2),
               keep * between.en};
  }
  return between;
}

GaussianBeam CommonBeam(const std::vector<GaussianBeam>& beams) {
  for (const GaussianBeam& beam : beams) {
    if (std::all_of(beams.begin(), beams.end(), [&](const GaussianBeam& other) {
          return std::sqrt(SquaredRatios(MomentsOf(beam), MomentsOf(other))[0]) > 1 - 1e-9;
        })) {
      return beam;
    }
  }
  // In units of the largest, so that nothing underflows.
  double unit = 0;
  for (const GaussianBeam& beam : beams) unit = std::max(unit, beam.major_rad * beam.major_rad);
  std::vector<Tip> tips;
  for (const GaussianBeam& beam : beams) {
    const BeamMoments m = MomentsOf(beam);
    tips.push_back({(m.ee + m.nn) / (2 * unit), (m.ee - m.nn) / (2 * unit), m.en / unit});
  }
  // Shapes in the unit circle are Klein's hyperbolic plane, in which the logarithm of the area is the distance from the
  // shape of a beam plus a constant: it has one valley along every straight line, and so has its least value over
  // parallel lines.
  constexpr double kEdge = 1 - 1e-9;
  double v_best = 0;
  const auto area_at = [&](double u, double v) { return LeastSize(tips, u, v) * std::sqrt(1 - u * u - v * v); };
  const auto best_over_v = [&](double u) {
    const double reach = std::sqrt(1 - u * u) * kEdge;
    v_best = Lowest(-reach, reach, [&](double v) { return area_at(u, v); });
    return area_at(u, v_best);
  };
  const double u = Lowest(-kEdge, kEdge, best_over_v);
  best_over_v(u);
  const double t = LeastSize(tips, u, v_best) * unit;
  return BeamOf({t * (1 + u), t * (1 - u), t * v_best});
}

GaussianBeam ParseBeam(const std::string& subject, const std::string& text) {
  std::array<double, 3> values{};
  const char *at = text.data(), *const end = text.data() + text.size();
  bool good = true;
  for (std::size_t i = 0; i < values.size() && good; ++i) {
    const auto [stop, error] = std::from_chars(at, end, values[i]);
    const bool last = i + 1 == values.size();
    good = error == std::errc() && std::isfinite(values[i]) && (last ? stop == end : stop != end && *stop == ',');
    at = last ? stop : stop + 1;
  }
  if (!good || !(values[1] > 0 && values[0] >= values[1] && values[0] <= 360 * 3600)) {
    throw Error(ErrorKind::kUsage, kStage, subject,
                fmt::format("expected MAJOR,MINOR,ANGLE in arcsec, arcsec and degrees from north through east, the "
                            "major axis not the shorter one, found '{}'",
                            text));
  }
  return {Angle::Arcsec(values[0]).rad(), Angle::Arcsec(values[1]).rad(),
          Angle::Degrees(std::fmod(std::fmod(values[2], 180) + 180, 180)).rad()};
}

std::string BeamWords(const GaussianBeam& beam) {
  return fmt::format("{:.1f}\" x {:.1f}\" at {:.0f} degrees", Angle::Radians(beam.major_rad).arcsec(),
                     Angle::Radians(beam.minor_rad).arcsec(), Angle::Radians(beam.angle_rad).deg());
}

}  // namespace contimg::image
