#include "mosaic/mosaic_quality.h"

#include <algorithm>
#include <cmath>

#include "config/robust_statistics.h"
#include "config/units.h"
#include "image/plane/image_statistics.h"
#include "image/quality/image_quality.h"
#include "mosaic/photometry/clusters.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/tile/image_reader.h"

namespace contimg::mosaic {
namespace {

using image::GateBound;
using image::QualityGate;

constexpr double kResamplingError = 1e-3;  // of a source: a tenth of what fluxes of tiles are good to
constexpr double kCompareSnr = 20;         // sources of a list whose fluxes and places are compared
constexpr double kExpectedSnr = 10;        // sources of a list that must be there
constexpr double kFoundSnr = 5;            // and are when there is a peak of so much
constexpr double kMissing = 0.1;           // of them: resolved ones, and what the list is wrong by
constexpr double kAloneWidths = 3;         // of the beam, from any other of them
constexpr std::size_t kLeastCompared = 5;  // for a gate

// What the tiles say about the noise, about one another, and about how deep they lie.
void AssessTiles(const MosaicReport& report, std::size_t covered, MosaicQuality& q) {
  std::vector<double> differences;
  double ratio2 = 0, pixels = 0;
  bool known = true;
  for (const MosaicTile& tile : report.tiles) {
    if (tile.verdict.refusal != Refusal::kNone) continue;
    pixels += static_cast<double>(tile.pixels);
    known = known && tile.thermal_jy > 0;
    if (known) ratio2 += std::pow(tile.figures.rms_jy / tile.thermal_jy, 2);
    if (tile.agreement.samples > 0) differences.push_back(tile.agreement.everywhere);
    if (tile.agreement.at_edges > q.seams) q.seams = tile.agreement.at_edges, q.worst_seam = tile.figures.name;
  }
  if (known) q.rms_over_thermal = std::sqrt(ratio2 / static_cast<double>(report.used()));
  if (covered > 0) q.tiles_deep = pixels / static_cast<double>(covered);
  if (!differences.empty()) q.differences = TakeMedian(differences);
}

// Scatter of the residual in units of the rms map: 1 where that is right, 1.02 to 1.06 with the sources below each
// tile's CLEAN limit, which add up while the noise does not.
double ResidualOverRms(const MosaicMaps& maps) {
  const auto residual = maps.residual.view(), rms = maps.rms.view();
  const std::size_t step =
      std::max<std::size_t>(1, static_cast<std::size_t>(std::sqrt(static_cast<double>(residual.size()) / 1e6)));
  std::vector<float> values;
  for (std::size_t y = 0; y < residual.shape(0); y += step) {
    for (std::size_t x = y % step; x < residual.shape(1); x += step) {
      const float v = residual(y, x) / rms(y, x);
      if (std::isfinite(v)) values.push_back(v);
    }
  }
  const float median = TakeMedian(values);
  return kSigmaPerMad * static_cast<double>(TakeMad(values, median));
}

// A source of a list that lies in the mosaic with no other near it that matters.
struct AloneSource {
  image::PixelPosition at;
  double expected_jy = 0, rms_jy = 0;
};

std::vector<AloneSource> AloneIn(const MosaicMaps& maps, const std::vector<ListedSource>& catalogue,
                                 const image::FitsHeader& header, const BeamPixels& beam) {
  std::vector<image::PixelPosition> places;
  std::vector<double> fluxes;
  for (const ForcedPlace& place : PlacesOfList(catalogue, header.frequency_hz)) {
    const auto at = PixelOf(header, place.direction);
    if (!at || !(place.expected_jy > 0)) continue;
    const double x = std::round(at->x), y = std::round(at->y);
    if (!(x >= 0 && y >= 0 && x < static_cast<double>(header.geometry.nx) &&
          y < static_cast<double>(header.geometry.ny)))
      continue;
    places.push_back(*at);
    fluxes.push_back(place.expected_jy);
  }
  const auto near = NearPlaces(places, places, beam, kAloneWidths, true);
  std::vector<AloneSource> alone;
  for (std::size_t i = 0; i < places.size(); ++i) {
    const double rms = maps.rms.view()(static_cast<std::size_t>(std::round(places[i].y)),
                                       static_cast<std::size_t>(std::round(places[i].x)));
    if (!std::isfinite(rms)) continue;
    if (std::any_of(near[i].begin(), near[i].end(), [&](std::size_t k) { return fluxes[k] > 2 * rms; })) continue;
    alone.push_back({places[i], fluxes[i], rms});
  }
  return alone;
}

// What of the list is there, whatever flux it has: a source that has become half as bright since the list was made, or
// whose peak resolution halves, still counts.
void CountMatches(const MosaicMaps& maps, const std::vector<AloneSource>& sources, const BeamPixels& beam,
                  MosaicComparison& c) {
  for (const AloneSource& source : sources) {
    if (!(source.expected_jy > kExpectedSnr * source.rms_jy)) continue;
    ++c.expected;
    const double peak = image::FindPeak(maps.image.view(), source.at, beam.major_px() / 2).measured_jy;
    if (peak > kFoundSnr * source.rms_jy) ++c.matched;
  }
  if (c.expected == 0) return;
  const auto n = static_cast<double>(c.expected), found = static_cast<double>(c.matched);
  c.completeness = found / n;
  // Binomial; after Laplace, so that all of five found leaves some doubt.
  const double likely = (found + 1) / (n + 2);
  c.completeness_error = std::sqrt(likely * (1 - likely) / n);
}

MosaicComparison Compare(const MosaicMaps& maps, const std::vector<ListedSource>& catalogue,
                         const image::FitsHeader& header) {
  const double cell = header.geometry.cell_rad;
  const BeamPixels beam(*header.beam, cell);
  const ImageReader reader(maps.image.view(), BandOf(*header.beam, cell));
  const std::vector<AloneSource> sources = AloneIn(maps, catalogue, header, beam);
  MosaicComparison c;
  CountMatches(maps, sources, beam, c);
  std::vector<double> ratios, east, north, away;
  for (const AloneSource& source : sources) {
    const double read = reader.At(source.at.x, source.at.y);
    if (!(source.expected_jy > kCompareSnr * source.rms_jy) || !std::isfinite(read)) continue;
    ratios.push_back(read / source.expected_jy);
    const ImageReader::Shape s = reader.ShapeAt(source.at.x, source.at.y);
    const double determinant = s.hxx * s.hyy - s.hxy * s.hxy;
    const double dx = -(s.hyy * s.gx - s.hxy * s.gy) / determinant, dy = -(s.hxx * s.gy - s.hxy * s.gx) / determinant;
    if (!(determinant > 0) || !(std::hypot(dx, dy) < beam.minor_px() / 2)) continue;
    east.push_back(Angle::Radians(-dx * cell).arcsec());
    north.push_back(Angle::Radians(dy * cell).arcsec());
    away.push_back(std::hypot(dx, dy) / beam.minor_px());
  }
  c.sources = ratios.size();
  if (ratios.empty()) return c;
  c.flux_ratio_median = TakeMedian(ratios);
  c.flux_ratio_scatter = kSigmaPerMad * TakeMad(ratios, c.flux_ratio_median);
  c.offset_east_arcsec = TakeMedian(east);
  c.offset_north_arcsec = TakeMedian(north);
  c.offset_median_beams = TakeMedian(away);
  return c;
}

QualityGate Gate(const char* name, const char* title, GateBound bound, double value, double limit,
                 const char* explanation) {
  QualityGate gate;
  gate.name = name;
  gate.title = title;
  gate.bound = bound;
  gate.value = value;
  gate.limit = limit;
  gate.passed = bound == GateBound::kAtMost ? value <= limit : value >= limit;
  gate.explanation = explanation;
  const double miss = bound == GateBound::kAtMost ? value / limit : limit / value;
  if (!gate.passed) gate.grade = miss <= 1.5 ? "B" : miss <= 3 ? "C" : "F";
  return gate;
}

QualityGate StateGate(const char* name, const char* title, bool good, const char* grade_if_not,
                      const char* explanation) {
  QualityGate gate = Gate(name, title, GateBound::kAtLeast, good ? 1 : 0, 1, explanation);
  if (!good) gate.grade = grade_if_not;
  return gate;
}

std::vector<QualityGate> JudgeMosaic(const MosaicQuality& q, const MosaicReport& report) {
  std::vector<QualityGate> gates;
  const double used = static_cast<double>(report.used()) / static_cast<double>(report.tiles.size());
  gates.push_back(Gate("tiles_used", "tiles used / given", GateBound::kAtLeast, used, 1,
                       "tiles were left out: the table of tiles says why"));
  gates.push_back(StateGate("scales_known", "flux scales compared", q.scales_unknown == 0 || report.used() == 1, "B",
                            "tiles share too few bright sources with others to compare their flux scales"));
  gates.push_back(Gate("resampling", "error of sources between pixels", GateBound::kAtMost, q.resampling_error,
                       kResamplingError, "tiles have a beam of too few pixels to be brought to those of the mosaic"));
  if (q.seams > 0) {
    gates.push_back(Gate("seams", "difference at tiles' edges / noise", GateBound::kAtMost, q.seams, 1.25,
                         "a tile differs at its edges from the others by more than their noise"));
  }
  if (q.residual_over_rms > 0) {
    gates.push_back(Gate("residual_over_rms", "scatter of the residual / rms map", GateBound::kAtMost,
                         q.residual_over_rms, 1.25, "the residual scatters by more than the tiles' noise explains"));
  }
  if (q.catalogue && q.catalogue->expected >= kLeastCompared) {
    // Two standard deviations of so few sources are forgiven.
    const double chance = 2 * std::sqrt(kMissing * (1 - kMissing) / static_cast<double>(q.catalogue->expected));
    gates.push_back(Gate("missing", "catalogue sources missing / expected", GateBound::kAtMost,
                         1 - q.catalogue->completeness, kMissing + chance,
                         "sources that the catalogue promises are not where they should be"));
  }
  if (q.catalogue && q.catalogue->sources >= kLeastCompared) {
    gates.push_back(Gate("flux_error", "|flux / catalogue - 1|", GateBound::kAtMost,
                         std::abs(q.catalogue->flux_ratio_median - 1), 0.1,
                         "fluxes are off from those of the catalogue"));
    gates.push_back(Gate("offset", "offset from the catalogue / beam", GateBound::kAtMost,
                         q.catalogue->offset_median_beams, 0.1, "sources are beside their places in the catalogue"));
  }
  return gates;
}

}  // namespace

double MedianOf(ArrayView<const float, 2> image) { return image::ComputeRobustStatistics(image).median; }

void AssessMosaic(const MosaicMaps& maps, const std::vector<ListedSource>& catalogue, MosaicReport& report,
                  const RunContext& context) {
  context.CheckCancelled("mosaic");
  MosaicQuality& q = report.quality;
  q.rms_median_jy = report.header.mosaic->rms_jy;
  q.rms_least_jy = HUGE_VAL;
  for (const float v : maps.rms.pixels) q.rms_least_jy = v < q.rms_least_jy ? v : q.rms_least_jy;
  q.covered_deg2 =
      static_cast<double>(maps.covered) * std::pow(Angle::Radians(report.header.geometry.cell_rad).deg(), 2);
  AssessTiles(report, maps.covered, q);
  if (!maps.residual.empty()) q.residual_over_rms = ResidualOverRms(maps);
  const TileFigures* narrowest = nullptr;
  for (const MosaicTile& tile : report.tiles) {
    if (tile.verdict.refusal != Refusal::kNone) continue;
    if (tile.verdict.scale.references == 0) ++q.scales_unknown;
    q.largest_scale_error = std::max(q.largest_scale_error, std::abs(tile.verdict.scale.scale - 1));
    const TileFigures& f = tile.figures;
    if (narrowest == nullptr ||
        f.beam.minor_rad / f.grid.geometry.cell_rad < narrowest->beam.minor_rad / narrowest->grid.geometry.cell_rad) {
      narrowest = &f;
    }
  }
  if (narrowest != nullptr) {
    q.resampling_error = ResamplingError(narrowest->beam, narrowest->grid.geometry.cell_rad);
  }
  if (!catalogue.empty()) q.catalogue = Compare(maps, catalogue, report.header);
  q.gates = JudgeMosaic(q, report);
  q.grade = image::WorstGrade(q.gates);
  q.reasons = image::Reasons(q.gates);
}

}  // namespace contimg::mosaic
