#include "image/clean/image_spectra.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/parallel.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {

SpectralIndexMaker::SpectralIndexMaker(const SpectralMajorCycle& cycle, const BandOperators& bands,
                                       const ImageGeometry& slant, const ImageGeometry& plain)
    : cycle_(cycle), plain_(plain), beam_(cycle.sources().size()), index_(cycle.sources().size()) {
  for (std::size_t i = 0; i < bands.n_bands(); ++i) weight_.push_back(bands.band(i).weight);
  for (const SourceSpectrum& source : cycle.sources()) place_.push_back(PixelToDirection(slant, source.x, source.y));
}

void SpectralIndexMaker::AddBeam(ArrayView<const float, 2> pb) {
  for (std::size_t s = 0; s < place_.size(); ++s) {
    const PixelPosition at = DirectionToPixel(plain_, place_[s].l, place_[s].m);
    const double x = std::clamp(at.x, 0.0, static_cast<double>(plain_.nx - 1)),
                 y = std::clamp(at.y, 0.0, static_cast<double>(plain_.ny - 1));
    beam_[s].push_back(std::isfinite(at.x + at.y)
                           ? pb(static_cast<std::size_t>(std::lround(y)), static_cast<std::size_t>(std::lround(x)))
                           : 0.0);
  }
}

std::vector<SpectralIndex> SpectralIndexMaker::Finish(const PhaseCentre& centre, double scale) {
  const std::vector<double> x = cycle_.x_of_bands();
  std::vector<SpectralIndex> known;
  for (std::size_t s = 0; s < index_.size(); ++s) {
    const SourceSpectrum& source = cycle_.sources()[s];
    const bool measured =
        source.snr > 0 && std::all_of(beam_[s].begin(), beam_[s].end(), [](double b) { return b > 0; });
    if (!measured || !std::isfinite(place_[s].l)) continue;
    std::vector<double> factor = source.measured, error = source.factor_error;
    double mean = 0;  // of the beam
    for (std::size_t c = 0; c < x.size(); ++c) mean += weight_[c] * beam_[s][c];
    for (std::size_t c = 0; c < x.size(); ++c) {
      factor[c] *= mean / beam_[s][c];
      error[c] *= mean / beam_[s][c];
    }
    const SpectrumFit fit = FitSpectrum(x, weight_, factor, error, 2, 0);
    if (!(fit.slope_error > 0 && fit.slope_error <= kLargestError)) continue;
    const SkyDirection at = DirectionOfCosines(centre, place_[s].l * scale, place_[s].m * scale);
    index_[s] = {WrapPositive(at.ra).deg(), at.dec.deg(), source.flux_jy, fit.slope, fit.slope_error};
    known.push_back(index_[s]);
  }
  std::stable_sort(known.begin(), known.end(),
                   [](const SpectralIndex& a, const SpectralIndex& b) { return a.flux_jy > b.flux_jy; });
  return known;
}

std::size_t SpectralIndexMaker::SourceOf(const CleanComponent& component) const {
  const SourceSpectrum* source =
      cycle_.SourceAt(static_cast<std::size_t>(component.x), static_cast<std::size_t>(component.y));
  return source == nullptr ? index_.size() : static_cast<std::size_t>(source - cycle_.sources().data());
}

bool SpectralIndexMaker::Known(const CleanComponent& component) const { return IndexError(component) > 0; }

double SpectralIndexMaker::Index(const CleanComponent& component) const {
  const std::size_t s = SourceOf(component);
  return s < index_.size() ? index_[s].index : 0;
}

double SpectralIndexMaker::IndexError(const CleanComponent& component) const {
  const std::size_t s = SourceOf(component);
  return s < index_.size() ? index_[s].error : 0;
}

void SpectralIndexMaker::Divide(ArrayView<const float, 2> weighted, ArrayView<const float, 2> flux, float floor,
                                ArrayView<float, 2> out, int threads) {
  ParallelFor(threads, out.shape(0), [&](std::size_t y) {
    for (std::size_t x = 0; x < out.shape(1); ++x) {
      out(y, x) = flux(y, x) > floor ? weighted(y, x) / flux(y, x) : std::numeric_limits<float>::quiet_NaN();
    }
  });
}

}  // namespace contimg::image
