#include "image/quality/image_quality.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>

#include "config/robust_statistics.h"
#include "config/settings.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

// A local rms of more than so many times the thermal noise does not excuse a source that was not found.
constexpr double kHonestNoise = 3;

// |mean| of the residual around the brightest pixel when that mean is negative: the bowl that missing short baselines
// leave.
double BowlRatio(const QualityInput& input, const ImageMoments& image, double rms) {
  if (!input.header->beam || rms <= 0) return 0;
  const double radius = 3 * input.header->beam->major_rad / input.header->geometry.cell_rad;
  const auto ny = static_cast<double>(input.residual.shape(0)), nx = static_cast<double>(input.residual.shape(1));
  const auto cx = static_cast<double>(image.x_of_maximum), cy = static_cast<double>(image.y_of_maximum);
  double sum = 0, count = 0;
  for (double y = std::max(0.0, cy - std::floor(radius)); y <= std::min(ny - 1, cy + radius); ++y) {
    for (double x = std::max(0.0, cx - std::floor(radius)); x <= std::min(nx - 1, cx + radius); ++x) {
      const float value = input.residual(static_cast<std::size_t>(y), static_cast<std::size_t>(x));
      if (std::hypot(x - cx, y - cy) > radius || std::isnan(value)) continue;
      sum += value;
      count += 1;
    }
  }
  return count > 0 && sum < 0 ? -sum / count / rms : 0;
}

// The map in at most 16 rows (south to north) of at most 16 values (east to west).
nlohmann::json SmallMap(const CoarseMap& map) {
  const std::size_t nx = std::min<std::size_t>(16, map.nx), ny = std::min<std::size_t>(16, map.ny);
  nlohmann::json rows = nlohmann::json::array();
  for (std::size_t j = 0; j < ny; ++j) {
    nlohmann::json row = nlohmann::json::array();
    for (std::size_t i = 0; i < nx; ++i) {
      double square = 0, count = 0;
      for (std::size_t y = j * map.ny / ny; y < (j + 1) * map.ny / ny; ++y) {
        for (std::size_t x = i * map.nx / nx; x < (i + 1) * map.nx / nx; ++x) {
          square += std::pow(map.values[y * map.nx + x], 2);
          count += 1;
        }
      }
      row.push_back(std::sqrt(square / count));
    }
    rows.push_back(row);
  }
  return rows;
}

// Mean squares of residual and dirty image above the thermal noise.
std::optional<double> SidelobesLeft(const QualityInput& input, const ImageMoments& residual) {
  const double thermal = input.thermal_jy * input.thermal_jy, dirty = input.dirty_rms_jy * input.dirty_rms_jy - thermal;
  // Below half of the noise's power the difference is too uncertain.
  if (!input.clean_stop || !(dirty > 0.5 * thermal) || !(dirty > 0)) return std::nullopt;
  return std::max(0.0, residual.rms * residual.rms - thermal) / dirty;
}

}  // namespace

CatalogueMatch FindPeak(ArrayView<const float, 2> image, const PixelPosition& at, double reach) {
  const auto ny = static_cast<double>(image.shape(0)), nx = static_cast<double>(image.shape(1));
  CatalogueMatch best;
  best.measured_jy = -HUGE_VAL;
  for (double y = std::max(1.0, std::ceil(at.y - reach)); y <= std::min(ny - 2, std::floor(at.y + reach)); ++y) {
    for (double x = std::max(1.0, std::ceil(at.x - reach)); x <= std::min(nx - 2, std::floor(at.x + reach)); ++x) {
      const float value = image(static_cast<std::size_t>(y), static_cast<std::size_t>(x));
      if (value > best.measured_jy) best.x = x, best.y = y, best.measured_jy = value;
    }
  }
  if (!std::isfinite(best.measured_jy)) return best;
  const auto ix = static_cast<std::size_t>(best.x), iy = static_cast<std::size_t>(best.y);
  bool positive = true;
  for (std::size_t y = iy - 1; y <= iy + 1; ++y) {
    for (std::size_t x = ix - 1; x <= ix + 1; ++x) positive = positive && image(y, x) > 0;
  }
  const auto at_offset = [&](int east, int north) {
    const double value =
        image(iy + static_cast<std::size_t>(north + 1) - 1, ix + static_cast<std::size_t>(east + 1) - 1);
    return positive ? std::log(value) : value;
  };
  const double centre = at_offset(0, 0);
  const double fx = (at_offset(1, 0) - at_offset(-1, 0)) / 2, fy = (at_offset(0, 1) - at_offset(0, -1)) / 2;
  const double fxx = at_offset(1, 0) + at_offset(-1, 0) - 2 * centre,
               fyy = at_offset(0, 1) + at_offset(0, -1) - 2 * centre;
  const double fxy = (at_offset(1, 1) - at_offset(-1, 1) - at_offset(1, -1) + at_offset(-1, -1)) / 4;
  const double determinant = fxx * fyy - fxy * fxy;
  if (!(fxx < 0 && determinant > 0)) return best;  // no summit
  const double dx = (fxy * fy - fyy * fx) / determinant, dy = (fxy * fx - fxx * fy) / determinant;
  if (!(std::abs(dx) <= 1 && std::abs(dy) <= 1)) return best;
  const double summit = centre + (fx * dx + fy * dy) / 2;
  best.measured_jy = positive ? std::exp(summit) : summit;
  best.x += dx;
  best.y += dy;
  return best;
}

CatalogueComparison CompareWithCatalogue(const ComparisonInput& input, const std::vector<CatalogueSource>& sources) {
  const FitsHeader& header = *input.header;
  const ImageGeometry& geometry = header.geometry;
  const double beam_px = header.beam->major_rad / geometry.cell_rad;
  CatalogueComparison result;
  std::vector<double> ratio, offset, east, north;
  std::vector<PlaceInBoth> places;
  for (const CatalogueSource& source : sources) {
    const auto at = CosinesOfDirection(header.centre, source.direction);
    if (!at) continue;
    const PixelPosition p = DirectionToPixel(geometry, at->l, at->m);
    if (!(p.x >= beam_px + 1 && p.y >= beam_px + 1 && p.x < static_cast<double>(geometry.nx) - beam_px - 2 &&
          p.y < static_cast<double>(geometry.ny) - beam_px - 2)) {
      continue;
    }
    const auto ix = static_cast<std::size_t>(std::lround(p.x)), iy = static_cast<std::size_t>(std::lround(p.y));
    const double pb = input.pb(iy, ix);
    const double colour = header.frequency_hz > 0 ? std::pow(header.frequency_hz / 1.4e9, source.alpha) : 1;
    const double expected = source.flux_jy * colour * pb * input.smear(iy, ix);
    double noise = input.noise->At(p.x, p.y);
    if (input.max_noise_jy > 0) noise = std::min(noise, input.max_noise_jy);
    if (!(pb > 0.3) || expected < input.min_snr * noise) continue;
    const bool crowded = std::any_of(sources.begin(), sources.end(), [&](const CatalogueSource& other) {
      return &other != &source && other.flux_jy > 0.2 * source.flux_jy &&
             std::abs(other.direction.dec.rad() - source.direction.dec.rad()) < 2 * header.beam->major_rad &&
             Separation(other.direction, source.direction).rad() < 2 * header.beam->major_rad;
    });
    if (crowded) continue;
    ++result.expected;
    CatalogueMatch match = FindPeak(input.image, p, beam_px / 2);
    if (!(match.measured_jy > input.min_snr / 2 * input.noise->At(p.x, p.y))) continue;
    match.expected_jy = expected;
    match.offset_east_rad = -(match.x - p.x) * geometry.cell_rad;
    match.offset_north_rad = (match.y - p.y) * geometry.cell_rad;
    ratio.push_back(match.measured_jy / expected);
    offset.push_back(std::hypot(match.offset_east_rad, match.offset_north_rad));
    east.push_back(match.offset_east_rad);
    north.push_back(match.offset_north_rad);
    places.push_back({at->l, at->m, match.offset_east_rad, match.offset_north_rad, match.measured_jy / noise});
    result.matches.push_back(match);
  }
  result.flux_ratio_median = TakeMedian(ratio);
  result.flux_ratio_scatter = kSigmaPerMad * TakeMad(ratio, result.flux_ratio_median);
  result.offset_median_rad = Median(offset);
  result.offset_east_median_rad = Median(east);
  result.offset_north_median_rad = Median(north);
  result.astrometry = SolveAstrometry(places);
  return result;
}

ImageQuality AssessImage(const QualityInput& input, const ImageSettings& settings, int threads) {
  ImageQuality q;
  const ImageMoments image = ComputeMoments(input.image, threads);
  q.residual = ComputeMoments(input.residual, threads);
  q.rms_jy = ComputeRobustStatistics(input.residual).rms;
  const double cell = input.header->geometry.cell_rad;
  const double window_px =
      25 * (input.header->beam ? std::sqrt(input.header->beam->major_rad * input.header->beam->minor_rad) / cell : 10);
  q.local_rms = LocalRms(input.residual, window_px, LocalRmsMethod::kRms, threads);
  const auto [low, high] = std::minmax_element(q.local_rms.values.begin(), q.local_rms.values.end());
  q.local_rms_min_jy = *low;
  q.local_rms_max_jy = *high;
  q.peak_jy = image.maximum;
  q.dynamic_range = q.rms_jy > 0 ? image.maximum / q.rms_jy : 0;
  q.negative_ratio = image.maximum > 0 ? std::max(0.0, -image.minimum / image.maximum) : 0;
  q.bowl_ratio = BowlRatio(input, image, q.rms_jy);
  q.thermal_jy = input.thermal_jy;
  q.rms_over_thermal = input.thermal_jy > 0 ? q.rms_jy / input.thermal_jy : 0;
  q.flagged_fraction = input.flagged_fraction;
  q.residual_peak_jy = std::max(q.residual.maximum, -q.residual.minimum);
  q.pb_max = ComputeMoments(input.pb, threads).maximum;
  q.thermal_from = input.thermal_from;
  q.sidelobes_left = SidelobesLeft(input, q.residual);
  q.outlier_power = input.outlier_power;
  q.clean_stop = input.clean_stop;
  q.psf = input.psf;
  if (input.header->beam) {
    q.beam = *input.header->beam;
    q.beam_pixels = q.beam.minor_rad / cell;
  }
  if (input.catalogue != nullptr && input.header->beam) {
    ComparisonInput comparison{input.image, input.pb, input.smear, input.header, &q.local_rms};
    comparison.max_noise_jy = kHonestNoise * input.thermal_jy;
    q.catalogue = CompareWithCatalogue(comparison, *input.catalogue);
  }
  q.gates = JudgeImage(q, settings);
  q.grade = WorstGrade(q.gates);
  q.reasons = Reasons(q.gates);
  return q;
}

nlohmann::json ToJson(const ImageQuality& q) {
  nlohmann::json gates = nlohmann::json::array();
  for (const QualityGate& g : q.gates) gates.push_back(ToJson(g));
  nlohmann::json result = {
      {"grade", q.grade},
      {"reasons", q.reasons},
      {"gates", gates},
      {"rms_jy", q.rms_jy},
      {"local_rms_min_jy", q.local_rms_min_jy},
      {"local_rms_max_jy", q.local_rms_max_jy},
      {"peak_jy", q.peak_jy},
      {"dynamic_range", q.dynamic_range},
      {"negative_ratio", q.negative_ratio},
      {"bowl_ratio", q.bowl_ratio},
      {"residual_peak_jy", q.residual_peak_jy},
      {"thermal_rms_jy", q.thermal_jy},
      {"thermal_from", q.thermal_from},
      {"primary_beam_max", q.pb_max},
      {"rms_over_thermal", q.rms_over_thermal},
      {"flagged_fraction", q.flagged_fraction},
      {"residual",
       {{"mean_jy", q.residual.mean},
        {"rms_jy", q.residual.rms},
        {"minimum_jy", q.residual.minimum},
        {"maximum_jy", q.residual.maximum},
        {"skewness", q.residual.skewness},
        {"kurtosis", q.residual.kurtosis}}},
  };
  if (q.outlier_power) result["outlier_power"] = *q.outlier_power;
  if (q.sidelobes_left) result["sidelobes_left"] = *q.sidelobes_left;
  if (q.psf) result["psf"] = {{"misfit", q.psf->misfit}, {"sidelobe", q.psf->sidelobe}};
  if (!q.local_rms.values.empty()) result["local_rms_map_jy"] = SmallMap(q.local_rms);
  if (q.catalogue) {
    const CatalogueComparison& c = *q.catalogue;
    result["catalogue"] = {{"expected", c.expected},
                           {"matched", c.matches.size()},
                           {"flux_ratio_median", c.flux_ratio_median},
                           {"flux_ratio_scatter", c.flux_ratio_scatter},
                           {"offset_median_arcsec", Angle::Radians(c.offset_median_rad).arcsec()},
                           {"offset_east_median_arcsec", Angle::Radians(c.offset_east_median_rad).arcsec()},
                           {"offset_north_median_arcsec", Angle::Radians(c.offset_north_median_rad).arcsec()}};
    if (const auto& a = c.astrometry) {
      result["astrometry"] = {{"places", a->places},
                              {"shift_east_arcsec", Angle::Radians(a->shift_east_rad).arcsec()},
                              {"shift_north_arcsec", Angle::Radians(a->shift_north_rad).arcsec()},
                              {"shift_error_arcsec", Angle::Radians(a->shift_error_rad).arcsec()},
                              {"rotation_deg", Angle::Radians(a->rotation_rad).deg()},
                              {"rotation_error_deg", Angle::Radians(a->turn_error).deg()},
                              {"scale", a->scale},
                              {"scale_error", a->turn_error}};
    }
  }
  return result;
}

}  // namespace contimg::image
