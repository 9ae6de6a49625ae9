// Spectral indices of the sources of a multi-band image: the primary beam's own run with frequency is taken out.
#pragma once

#include <cstddef>
#include <vector>

#include "config/array_view.h"
#include "image/clean/minor_cycle.h"
#include "image/clean/spectral_index.h"
#include "image/clean/spectral_model.h"
#include "image/plane/image_geometry.h"

namespace contimg::image {

class SpectralIndexMaker {
 public:
  // Indices whose standard error is larger than this are not published.
  static constexpr double kLargestError = 1.0;

  SpectralIndexMaker(const SpectralMajorCycle& cycle, const BandOperators& bands, const ImageGeometry& slant,
                     const ImageGeometry& plain);

  // The primary beam of the next band, plain geometry; once per band, in order.
  void AddBeam(ArrayView<const float, 2> pb);
  // After the last beam: the sources whose index is known, brightest first. `scale`: from the direction cosines of the
  // grids to those of the catalogue's sky.
  std::vector<SpectralIndex> Finish(const PhaseCentre& centre, double scale);

  // Of a component's source; 0 where it is not known.
  bool Known(const CleanComponent& component) const;
  double Index(const CleanComponent& component) const;
  double IndexError(const CleanComponent& component) const;

  // out = weighted/flux where flux exceeds `floor`, else NaN.
  static void Divide(ArrayView<const float, 2> weighted, ArrayView<const float, 2> flux, float floor,
                     ArrayView<float, 2> out, int threads);

 private:
  std::size_t SourceOf(const CleanComponent& component) const;

  const SpectralMajorCycle& cycle_;
  ImageGeometry plain_;
  std::vector<double> weight_;
  std::vector<DirectionCosines> place_;    // per source
  std::vector<std::vector<double>> beam_;  // [source][band]
  std::vector<SpectralIndex> index_;       // per source; error 0: unknown
};

}  // namespace contimg::image
