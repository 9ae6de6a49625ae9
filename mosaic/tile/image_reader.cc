#include "mosaic/tile/image_reader.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "mosaic/tile/beam_pixels.h"

namespace contimg::mosaic {
namespace {

constexpr double kReaderTolerance = 1e-4;  // of an image with power everywhere in the band
constexpr double kStep = 0.2;              // pixels: differences of float values stay above their rounding

}  // namespace

double BandOf(const image::GaussianBeam& beam, double cell_rad) {
  const double transform = 0.8825424 / (beam.minor_rad / cell_rad);
  return std::clamp(1.8 * transform, 0.2, 0.4);
}

double SourceError(const image::BandlimitedInterpolator& interpolator, const image::GaussianBeam& beam,
                   double cell_rad) {
  constexpr std::size_t kPhaseStep = 16;
  constexpr double kStepPx = 0.25;
  const double width = beam.minor_rad / cell_rad;  // along an axis of the pixels in the worst case
  const auto taps = static_cast<double>(interpolator.taps());
  const auto value = [&](double x) { return std::exp(-BeamPixels::kFourLn2 * x * x / (width * width)); };
  double worst = 0;
  for (std::size_t phase = 0; phase <= image::BandlimitedInterpolator::kPhases; phase += kPhaseStep) {
    const float* weights = interpolator.Weights(phase);
    const double at = static_cast<double>(phase) / image::BandlimitedInterpolator::kPhases;
    for (double away = -taps / 2 - width; away <= taps / 2 + width; away += kStepPx) {
      double read = 0;
      for (std::size_t i = 0; i < interpolator.taps(); ++i) {
        read += weights[i] * value(1 - taps / 2 + static_cast<double>(i) - (at + away));
      }
      worst = std::max(worst, std::abs(read - value(away)));
    }
  }
  return worst;
}

ImageReader::ImageReader(ArrayView<const float, 2> image, double band)
    : image_(image), interpolator_(band, kReaderTolerance) {}

float ImageReader::At(double x, double y) const {
  float value = 0;
  image::InterpolateAt(image_, interpolator_, &x, &y, 1, &value);
  return value;
}

std::vector<float> ImageReader::At(const std::vector<image::PixelPosition>& places) const {
  std::vector<double> x(places.size()), y(places.size());
  for (std::size_t i = 0; i < places.size(); ++i) x[i] = places[i].x, y[i] = places[i].y;
  std::vector<float> values(places.size());
  image::InterpolateAt(image_, interpolator_, x.data(), y.data(), places.size(), values.data());
  return values;
}

ImageReader::Shape ImageReader::ShapeAt(double x, double y) const {
  std::array<double, 9> xs{}, ys{};
  std::array<float, 9> v{};
  for (std::size_t i = 0; i < 9; ++i) {
    xs[i] = x + (static_cast<double>(i % 3) - 1) * kStep;
    ys[i] = y + (static_cast<double>(i / 3) - 1) * kStep;
  }
  image::InterpolateAt(image_, interpolator_, xs.data(), ys.data(), 9, v.data());
  Shape shape;
  shape.value = v[4];
  shape.gx = (static_cast<double>(v[5]) - v[3]) / (2 * kStep);
  shape.gy = (static_cast<double>(v[7]) - v[1]) / (2 * kStep);
  shape.hxx = (static_cast<double>(v[5]) - 2.0 * v[4] + v[3]) / (kStep * kStep);
  shape.hyy = (static_cast<double>(v[7]) - 2.0 * v[4] + v[1]) / (kStep * kStep);
  shape.hxy = (static_cast<double>(v[8]) - v[6] - v[2] + v[0]) / (4 * kStep * kStep);
  return shape;
}

}  // namespace contimg::mosaic
