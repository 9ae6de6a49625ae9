// Peak loss by time and bandwidth smearing for the imaging weights in use.
//
// The correlator stops fringes at the beam's axis at the middle of each integration and sums over the integration δt
// and the channel δν. A source at offset Δs from that axis keeps of each visibility the factor
//     sinc(δν · b·Δs/c) · sinc(ν δt · (ω × b)·Δs/c),   sinc x = sin(πx)/(πx),
// ω the Earth's rotation (Thompson, Moran & Swenson 2017, sections 6.3 and 6.4.2: the phase winds linearly over both).
// The weighted mean is what is left of the peak of a point source in the dirty image.
#pragma once

#include <cmath>
#include <vector>

#include "config/array_view.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

constexpr double kEarthRotation = 7.292115e-5;  // rad/s, sidereal

// sin(x)/x from x²; the series is good to 1e-9 for x² < kSeriesEnd.
constexpr double kSeriesEnd = 2.25;
inline double SinOverXSeries(double x2) {
  return 1 - x2 / 6 * (1 - x2 / 20 * (1 - x2 / 42 * (1 - x2 / 72 * (1 - x2 / 110 * (1 - x2 / 156)))));
}
inline double SinOverX(double x2) {
  if (x2 < kSeriesEnd) return SinOverXSeries(x2);
  const double x = std::sqrt(x2);
  return std::sin(x) / x;
}

struct SmearingInput {
  ArrayView<const double, 3> uvw_m;      // [time][baseline][3]
  ArrayView<const double, 2> weights;    // imaging weights, [time][baseline]
  std::vector<double> integration_s;     // per time
  std::vector<DirectionCosines> centre;  // per time: where fringes are stopped, about the phase centre
  double phase_centre_dec_rad = 0;
  double first_frequency_hz = 0;  // centres of the first and the last channel
  double last_frequency_hz = 0;
  double channel_width_hz = 0;
};

// image = the factor (at most 1), on a plain geometry. Divide fluxes by it.
void SmearingMap(const SmearingInput& input, const ImageGeometry& plain, ArrayView<float, 2> image, int threads);

}  // namespace contimg::image
