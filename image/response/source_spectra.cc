#include "image/response/source_spectra.h"

#include <algorithm>
#include <cmath>

#include "image/response/varying_sources.h"

namespace contimg::image {
namespace {

constexpr double kSteepestIndex = 3;   // beyond it is no source's
constexpr double kSideLobe = 0.1;      // of a PSF, about the highest
constexpr double kLeastInModel = 0.5;  // of a source, before its index is looked for

}  // namespace

void SourceSpectra::SetComponents(const std::vector<CleanComponent>& components, double rms_jy) {
  rms_jy_ = rms_jy;
  std::vector<CleanComponent> left;
  for (const CleanComponent& c : components) {
    if (c.scale == 0) left.push_back(c);
  }
  std::stable_sort(left.begin(), left.end(), [](const CleanComponent& a, const CleanComponent& b) {
    return std::abs(a.flux_jy) > std::abs(b.flux_jy);
  });
  std::vector<Source> found;
  const auto near = [&](const Source& source, double x, double y) {
    return std::hypot(source.x - x, source.y - y) <= reach_px_;
  };
  for (const CleanComponent& c : left) {
    const double x = c.x + static_cast<double>(c.dx), y = c.y + static_cast<double>(c.dy);
    const auto of = std::find_if(found.begin(), found.end(), [&](const Source& s) { return near(s, x, y); });
    if (of != found.end()) {
      of->flux_jy += static_cast<double>(c.flux_jy);
    } else if (found.size() < kMaxSources) {
      found.push_back({x, y, static_cast<double>(c.flux_jy), usual_, kUsualSpread});
    }
  }
  const double least_jy = kLeastSnr * rms_jy;
  found.erase(std::remove_if(found.begin(), found.end(), [&](const Source& s) { return !(s.flux_jy >= least_jy); }),
              found.end());
  for (Source& source : found) {
    const auto known =
        std::find_if(sources_.begin(), sources_.end(), [&](const Source& s) { return near(s, source.x, source.y); });
    if (known == sources_.end()) continue;
    source.index = known->index;
    source.error = known->error;
    source.measured = known->measured;
    source.measured_error = known->measured_error;
  }
  sources_ = std::move(found);
}

double SourceSpectra::IndexAt(double x, double y) const {
  for (const Source& source : sources_) {
    if (std::hypot(source.x - x, source.y - y) <= reach_px_) return source.index;
  }
  return usual_;
}

ResidualProbe SourceSpectra::Probe(const SourceVariation& variation) const {
  std::vector<PixelPosition> places;
  for (const Source& source : sources_) places.push_back({source.x, source.y});
  ResidualProbe probe;
  probe.places = variation.Places(places);
  return probe;
}

void SourceSpectra::Improve(const ResidualProbe& probe, const SourceVariation& variation, const VaryingSources& held) {
  const SourceVariation::Band band = variation.band();
  if (!(band.variance > 0)) return;
  const auto slope = [&](std::size_t i) { return (probe.first_jy[i] - band.mean * probe.mean_jy[i]) / band.variance; };
  double noise_jy = rms_jy_;
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    noise_jy =
        std::max(noise_jy, kSideLobe * (std::abs(probe.mean_jy[i]) + std::sqrt(band.variance) * std::abs(slope(i))));
  }
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    const double whole_jy = source.flux_jy + probe.mean_jy[i];
    source.measured_error = 0;
    const PixelPosition at{source.x, source.y};
    if (!(source.flux_jy >= kLeastInModel * whole_jy && whole_jy > 0) || !variation.KnowsBeamAt(at)) continue;
    double flat_jy = whole_jy;  // of which the residual has the whole slope
    for (std::size_t s = 0; s < held.size; ++s) {
      if (std::hypot(held.at[s].x - at.x, held.at[s].y - at.y) <= reach_px_) flat_jy -= held.mean_jy[s];
    }
    const double step_jy = whole_jy * band.half_width;  // what one unit of the index makes of the slope
    const double told = source.index + (slope(i) - flat_jy * variation.Slope(at, source.index)) / step_jy;
    const double error = noise_jy / (std::sqrt(band.variance) * step_jy);
    const double share = kUsualSpread * kUsualSpread / (kUsualSpread * kUsualSpread + error * error);
    source.index = std::clamp(usual_ + share * (told - usual_), -kSteepestIndex, kSteepestIndex);
    source.error = kUsualSpread * std::sqrt(1 - share);
    source.measured = told;
    source.measured_error = error;
  }
}

}  // namespace contimg::image
