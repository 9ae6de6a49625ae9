#include "image/spectral_products.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "image/clean/image_spectra.h"
#include "image/image_description.h"
#include "image/plane/image_statistics.h"
#include "image/plane/sky_coordinates.h"
#include "image/plane/stage_name.h"

namespace contimg::image {

std::vector<double> FrequenciesOf(const BandOperators::Band& band, const VisibilityBlock& block) {
  const auto at = [&](std::size_t k) { return block.frequency_hz.begin() + static_cast<std::ptrdiff_t>(k); };
  return {at(band.first_channel), at(band.last_channel + 1)};
}

std::vector<SpectralIndex> IndicesWithin(const SourceSpectra& spectra, const IndexPlaces& places) {
  std::vector<SpectralIndex> known;
  for (const SourceSpectra::Source& source : spectra.sources()) {
    if (!(source.measured_error > 0)) continue;
    const DirectionCosines place = PixelToDirection(places.slant, source.x, source.y);
    const PixelPosition at = DirectionToPixel(places.plain, place.l, place.m);
    const double x = std::round(at.x), y = std::round(at.y);
    const auto nx = static_cast<double>(places.plain.nx), ny = static_cast<double>(places.plain.ny);
    if (!(x >= 0 && y >= 0 && x < nx && y < ny)) continue;
    const auto column = static_cast<std::size_t>(x), row = static_cast<std::size_t>(y);
    const double lost = 1 - static_cast<double>(places.smear(row, column));
    const double error = std::hypot(source.measured_error, lost);
    if (!(error <= SpectralIndexMaker::kLargestError && places.pb(row, column) >= places.pb_limit)) continue;
    const SkyDirection direction = DirectionOfCosines(places.centre, place.l * places.scale, place.m * places.scale);
    known.push_back({WrapPositive(direction.ra).deg(), direction.dec.deg(), source.flux_jy, source.measured, error});
  }
  std::stable_sort(known.begin(), known.end(),
                   [](const SpectralIndex& a, const SpectralIndex& b) { return a.flux_jy > b.flux_jy; });
  return known;
}

void WriteSpectra(const SpectralFacts& facts, StagedProducts& staged, const RunContext& context, ImageReport& report) {
  SpectralIndexMaker maker(facts.cycle, facts.op, facts.slant, facts.plain);
  for (std::size_t i = 0; i < facts.op.n_bands(); ++i) {
    const BandOperators::Band& band = facts.op.band(i);
    Plane image = facts.grid.Of(facts.cycle.band_residual(i));
    report.bands.push_back(
        {band.frequency_hz, band.high_hz - band.low_hz, ComputeRobustStatistics(facts.cycle.band_residual(i)).rms});
    facts.components.AddBeams([&](const CleanComponent& c) { return facts.cycle.FactorAt(c, i); }, image.view());
    FitsHeader header = facts.header;
    header.frequency_hz = (band.low_hz + band.high_hz) / 2;
    header.bandwidth_hz = band.high_hz - band.low_hz;
    context.CheckCancelled(kStage);
    staged.WriteImage(ProductKind::kBand, std::move(image), header, static_cast<int>(i));
    Plane beam(facts.plain);
    facts.response.BeamMap(FrequenciesOf(band, facts.block), facts.op.op(i).weight_by_time_channel(), facts.plain,
                           beam.view(), context.threads);
    maker.AddBeam(beam.view());
  }
  report.spectra = maker.Finish(facts.block.phase_centre, facts.header.geometry.cell_rad / facts.plain.cell_rad);
  Plane flux(facts.plain), weighted(facts.plain);
  facts.components.AddBeams([&](const CleanComponent& c) { return maker.Known(c) ? 1.0 : 0.0; }, flux.view());
  const auto write = [&](ProductKind kind, const ComponentDrawing::Factor& value) {
    std::fill(weighted.pixels.begin(), weighted.pixels.end(), 0.0F);
    facts.components.AddBeams(value, weighted.view());
    Plane ratio(facts.plain);
    SpectralIndexMaker::Divide(weighted.view(), flux.view(), static_cast<float>(5 * report.bands.front().rms_jy),
                               ratio.view(), context.threads);
    context.CheckCancelled(kStage);
    staged.WriteImage(kind, std::move(ratio), HeaderOf(kind, "", facts.header.beam, facts.header));
  };
  write(ProductKind::kAlpha, [&](const CleanComponent& c) { return maker.Index(c); });
  write(ProductKind::kAlphaError, [&](const CleanComponent& c) { return maker.IndexError(c); });
}

}  // namespace contimg::image
