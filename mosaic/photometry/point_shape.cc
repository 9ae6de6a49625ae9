#include "mosaic/photometry/point_shape.h"

#include <cmath>

#include "mosaic/photometry/clusters.h"

namespace contimg::mosaic {

PointShape::PointShape(const TileImages& images)
    : beam_(*images.header->beam, images.header->geometry.cell_rad),
      band_(BandOf(*images.header->beam, images.header->geometry.cell_rad)),
      image_(images.image, band_) {
  if (images.residual.empty() || images.residual.data() == images.image.data()) return;
  residual_.emplace(images.residual, band_);
  if (images.psf.empty()) return;
  psf_.emplace(images.psf, band_);
  psf_x_ = static_cast<double>(images.psf.shape(1) / 2);
  psf_y_ = static_cast<double>(images.psf.shape(0) / 2);
}

double PointShape::reach_widths() const { return psf_ ? kSidelobeWidths : kLinkWidths; }

PointFlux PointShape::Read(double x, double y) const {
  PointFlux read{image_.At(x, y), 0};
  if (residual_) {
    const float left = residual_->At(x, y);
    read.left = std::isfinite(left) ? left : 0;
  }
  return read;
}

double PointShape::Psf(double dx, double dy) const {
  const float value = psf_->At(psf_x_ + dx, psf_y_ + dy);
  return std::isfinite(value) ? value : 0;  // 0 beyond its edge
}

PointFlux PointShape::Parts(const PointFlux& source, double dx, double dy) const {
  const double beam = beam_.Value(dx, dy);
  if (source.left == 0 || !psf_) return {source.whole * beam, source.left * beam};
  const bool reaches = beam_.Distance2(dx, dy) < kSidelobeWidths * kSidelobeWidths;
  const double left = reaches ? source.left * Psf(dx, dy) : 0;
  return {(source.whole - source.left) * beam + left, left};
}

double PointShape::Value(const PointFlux& source, double dx, double dy) const { return Parts(source, dx, dy).whole; }

JointPoints PointShape::Solve(const std::vector<image::PixelPosition>& places,
                              const std::vector<PointFlux>& readings) const {
  std::vector<double> with_beam, left;
  for (const PointFlux& reading : readings) {
    with_beam.push_back(psf_ ? reading.whole - reading.left : reading.whole);
    left.push_back(reading.left);
  }
  const JointFluxes fluxes = SolveJointly(places, with_beam, beam_);
  JointPoints points;
  points.variance = fluxes.variance;
  points.condition = fluxes.condition;
  left = psf_ ? SolveJointly(places, left, [this](double dx, double dy) { return Psf(dx, dy); }).flux
              : SolveJointly(places, left, beam_).flux;
  for (std::size_t i = 0; i < places.size(); ++i) {
    points.flux.push_back({fluxes.flux[i] + (psf_ ? left[i] : 0), left[i]});
  }
  return points;
}

}  // namespace contimg::mosaic
