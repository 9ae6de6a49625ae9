// The primary beam of a tile: its mean over integrations, channels and imaging weights.
//
// In a drift scan the dishes stand still on the Earth while the sky moves through the beam (0.6° to either side in a
// tile of 309 s), so the response at a place of the image is an average over the track of the beam.
#pragma once

#include <filesystem>
#include <vector>

#include "config/array_view.h"
#include "convert/tile_beam.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

using convert::BeamMode;

// Circular power response of one dish as a function of sin θ and frequency.
class BeamModel {
 public:
  // The Airy pattern of config/telescope.h.
  static BeamModel Airy(double diameter_m);
  // A measured voltage pattern: the first table of a FITS file with columns RADIUS (deg) and VOLTAGE (1 at radius 0)
  // and the keyword REFFREQ (Hz) at which it holds; at other frequencies radii scale with 1/ν; zero beyond the last
  // radius. Throws Error{kIo, kBadInput}.
  static BeamModel FromFile(const std::filesystem::path& path);

  double Power(double sin_theta, double frequency_hz) const;
  // Full width at half maximum (radians, small-angle) at the frequency.
  double Fwhm(double frequency_hz) const;

 private:
  double diameter_m_ = 0;  // Airy when positive
  double reference_hz_ = 0;
  std::vector<double> sin_theta_, voltage_;  // ascending, at reference_hz_
};

// Where the beam's axis points at each time, as direction cosines about the block's phase centre; without a beam the
// phase centre. Throws Error{kBadInput} when that is more than 90 degrees away.
std::vector<DirectionCosines> BeamTrack(const VisibilityBlock& block, const convert::TileBeam& beam,
                                        const convert::EarthOrientationTable& orientation);

struct BeamAverage {
  BeamMode mode = BeamMode::kDrift;
  std::vector<DirectionCosines> track;  // per time
  std::vector<double> frequency_hz;     // per channel
  ArrayView<const double, 2> weights;   // imaging weights, [time][channel]
};

// sin θ between an axis and the direction (l, m, n) about the same centre.
double SinSeparation(const DirectionCosines& axis, double l, double m, double n);

// image = Σ w(t, ν) P(θ(t), ν) / Σ w, on a plain geometry. 1 at a weightless tile.
void PrimaryBeamMap(const BeamModel& model, const BeamAverage& average, const ImageGeometry& plain,
                    ArrayView<float, 2> image, int threads);

}  // namespace contimg::image
