// Source finding: a catalogue of a restored image, with errors from the noise's own correlation.
//
// Maxima above `seed` local rms of the image itself (it is its own matched filter), groups of them told apart, fluxes
// as forced photometry has them (docs/photometry.md) less the bias of a place that the noise may choose, σ²/S. Sources
// that are larger than the beam have their integrals. docs/source-finding.md derives and measures this.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/quality_flags.h"
#include "config/run_context.h"
#include "config/units.h"
#include "image/plane/image_statistics.h"
#include "mosaic/find/noise_shape.h"
#include "mosaic/photometry/forced.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

struct FindOptions {
  double seed = 5.5;                // local rms
  double min_pb = 0.1;              // primary beam below which nothing is looked for
  std::size_t most_maxima = 20000;  // more above the seed are no image of sources: refused
  // Sources of a list. Those that nothing is found at, nearer than half a width of the beam, are told apart from what
  // is found beside them (their places as they are): too faint or too near to be found by themselves, they would be
  // part of it.
  std::vector<ForcedPlace> known;
};

struct FoundSource {
  std::string name;                                  // "J000128.1+161204": its place, truncated as the IAU asks
  SkyDirection place;                                // ICRS
  double ra_error_arcsec = 0, dec_error_arcsec = 0;  // 1 σ of the noise, on the sky (no cos δ to apply)
  double flux_jy = 0;        // on the sky: of a point source its peak, of a resolved one its integral
  double flux_error_jy = 0;  // 1 σ of the noise; no calibration error
  double peak_jy = 0;        // on the sky, per beam
  double snr = 0;            // peak over local rms
  double local_rms_jy = 0;   // of the image, Jy/beam: not divided by the response
  double response = 0;       // primary beam × smearing
  bool resolved = false;
  double major_arcsec = 0, minor_arcsec = 0, angle_deg = 0;  // of a resolved one as it appears; 0: a point
  std::size_t group = 0;                                     // from 1; sources of one group were told apart
  std::size_t group_size = 1;
  QualityFlags flags = 0;  // edge, blend, low_response, artefact, resolved
  double x = 0, y = 0;     // pixels
};

// Maxima of noise above a threshold: what Rice's formula expects of noise of this correlation, and what the negative
// side of the residual shows, where no sources are.
struct FalseAlarms {
  double threshold = 0;
  double expected = 0;
  std::size_t negative = 0;
};

struct SourceCatalogue {
  std::vector<FoundSource> sources;       // brightest first
  std::vector<FalseAlarms> false_alarms;  // at 4, 4.5 and the seed, ascending
  std::size_t maxima = 0;                 // before groups were told apart
  std::size_t told_from_known = 0;        // sources
  std::size_t searched_pixels = 0;
  PixelTensor gradients;   // G of the noise
  double point_ratio = 1;  // aperture flux over peak of this image's bright points: what resolved is told by
};

// `rms`: of MeasureRms on the residual. Without a PSF its curvature is taken to be the noise's. Throws
// Error{kBadInput} when the noise cannot be measured or more exceeds it than sources can. The result does not depend on
// the number of threads.
SourceCatalogue FindSources(const TileImages& images, const image::CoarseMap& rms, const FindOptions& options,
                            const RunContext& context);

// "J" hhmmss.s ±ddmmss, truncated.
std::string SourceName(const SkyDirection& place);

}  // namespace contimg::mosaic
