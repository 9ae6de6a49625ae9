// A tile made of formulas: Gaussian beams at exact places, noise whose correlation is the beam's.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <random>
#include <vector>

#include "config/units.h"
#include "image/plane/plane.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic::testing_tile {

constexpr double kCell = 3.0 / 206264.80624709636;

struct MadeUpSource {
  double x = 0, y = 0, apparent_jy = 0;
};

struct MadeUpTile {
  image::FitsHeader header;
  image::Plane image, residual, pb;
  TileImages images() const { return {&header, image.view(), residual.view(), pb.view(), {}, {}}; }
};

// exp(−4 ln 2 d²) by turning the axes: not the product's way of writing it. x runs west.
inline double BeamValue(const image::GaussianBeam& beam, double dx, double dy) {
  const double east = -dx * kCell, north = dy * kCell;
  const double major = east * std::sin(beam.angle_rad) + north * std::cos(beam.angle_rad);
  const double minor = east * std::cos(beam.angle_rad) - north * std::sin(beam.angle_rad);
  return std::pow(0.5, 4 * (std::pow(major / beam.major_rad, 2) + std::pow(minor / beam.minor_rad, 2)));
}

inline MadeUpTile MakeTile(std::size_t n, double ra_deg, double dec_deg) {
  MadeUpTile tile;
  tile.header.geometry.nx = tile.header.geometry.ny = n;
  tile.header.geometry.cell_rad = kCell;
  tile.header.centre = {Angle::Degrees(ra_deg).rad(), Angle::Degrees(dec_deg).rad()};
  tile.header.unit = "Jy/beam";
  tile.header.beam = image::GaussianBeam{17.8 * kCell, 9.6 * kCell, Angle::Degrees(30).rad()};
  tile.header.frequency_hz = 1.4e9;
  for (image::Plane* plane : {&tile.image, &tile.residual, &tile.pb}) *plane = image::Plane(n, n);
  for (float& v : tile.pb.pixels) v = 1;
  return tile;
}

inline void AddSource(MadeUpTile& tile, const MadeUpSource& source) {
  const auto n = static_cast<long>(tile.header.geometry.nx);
  for (long y = std::max(0L, static_cast<long>(source.y) - 60); y < std::min(n, static_cast<long>(source.y) + 60);
       ++y) {
    for (long x = std::max(0L, static_cast<long>(source.x) - 60); x < std::min(n, static_cast<long>(source.x) + 60);
         ++x) {
      tile.image.view()(y, x) +=
          static_cast<float>(source.apparent_jy * BeamValue(*tile.header.beam, static_cast<double>(x) - source.x,
                                                            static_cast<double>(y) - source.y));
    }
  }
}

// Noise of this rms into image and residual: white noise through a kernel of 1/√2 of the beam's widths.
inline void AddNoise(MadeUpTile& tile, double rms, unsigned seed) {
  const auto n = static_cast<long>(tile.header.geometry.nx);
  constexpr long kReach = 18;
  image::GaussianBeam narrow = *tile.header.beam;
  narrow.major_rad /= std::sqrt(2.0);
  narrow.minor_rad /= std::sqrt(2.0);
  std::vector<float> kernel;
  double power = 0;
  for (long y = -kReach; y <= kReach; ++y) {
    for (long x = -kReach; x <= kReach; ++x) {
      kernel.push_back(static_cast<float>(BeamValue(narrow, static_cast<double>(x), static_cast<double>(y))));
      power += static_cast<double>(kernel.back()) * kernel.back();
    }
  }
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, static_cast<float>(rms / std::sqrt(power)));
  const long wide = n + 2 * kReach, side = 2 * kReach + 1;
  std::vector<float> white(static_cast<std::size_t>(wide * wide));
  for (float& v : white) v = normal(random);
  for (long y = 0; y < n; ++y) {
    std::vector<float> row(static_cast<std::size_t>(n), 0.0F);
    for (long j = 0; j < side; ++j) {
      for (long i = 0; i < side; ++i) {
        const float k = kernel[static_cast<std::size_t>(j * side + i)];
        if (k < 1e-5F) continue;
        const float* from = &white[static_cast<std::size_t>((y + j) * wide + i)];
        for (long x = 0; x < n; ++x) row[static_cast<std::size_t>(x)] += k * from[x];
      }
    }
    for (long x = 0; x < n; ++x) {
      tile.image.view()(y, x) += row[static_cast<std::size_t>(x)];
      tile.residual.view()(y, x) += row[static_cast<std::size_t>(x)];
    }
  }
}

}  // namespace contimg::mosaic::testing_tile
