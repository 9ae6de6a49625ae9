// Forced photometry: the flux of sources whose places are known.
//
// The image is read at the place, not fitted: what it reads there is the flux of a point source, cleaned or not, with
// the noise of the image and without the bias that weighted sums and fits take from the bowl about uncleaned sources.
// Neighbours are solved for together, what was cleaned of them with the beam and what CLEAN left with the PSF
// (point_shape.h). The error is the local rms over the response: pixels of a beam are no independent measurements, so
// there is no 1/√N. docs/photometry.md derives and measures this.
#pragma once

#include <cstddef>
#include <vector>

#include "config/quality_flags.h"
#include "config/units.h"
#include "image/plane/image_statistics.h"
#include "mosaic/tile/tile_images.h"

namespace contimg::mosaic {

inline constexpr double kUsualAlpha = -0.7;  // S ∝ ν^α, where nothing says

struct ForcedPlace {
  SkyDirection direction;  // ICRS
  double expected_jy = 0;  // on the sky, at the image's frequency; 0: not known, then what the image shows there counts
  QualityFlags flags = 0;  // of the place, handed through: place_unrefined, resolved
  double spectral_index = kUsualAlpha;
};

// One source in one tile.
struct ForcedMeasurement {
  SkyDirection place;        // ICRS, as it was asked for
  double flux_jy = 0;        // on the sky: apparent flux over response
  double flux_error_jy = 0;  // 1 σ of the noise; no calibration error
  double local_rms_jy = 0;   // of the image about the place, Jy/beam: not divided by the response
  double response = 0;       // primary beam × smearing
  double frequency_hz = 0;   // at which the flux is the source's (effective_frequency.h); of a mosaic its mean
  QualityFlags flags = 0;    // edge, blend, low_response, smearing and those of the place and of the tile
  // What else tells how far to trust it.
  std::size_t index = 0;       // of the place, in what was asked for
  double edge_beams = 0;       // to the edge of the image or a blank pixel, in major axes of the beam; at most 10
  double neighbour_share = 0;  // what neighbours add to the image there, over the source's own; 0 where that is not > 0
  double condition = 1;        // of the solve with its neighbours
  double chi2 = 0;             // mean square of what the sources leave of the image within 1.5 beams, in rms²
};

struct ForcedOptions {
  double min_response = 0.25;   // places with less are not measured
  bool solve_clusters = true;   // off: every place is read as if it were alone
  QualityFlags tile_flags = 0;  // of all measurements: what is wrong with the tile
  double edge_beams = 3;        // nearer to the edge is flagged
  // Of a solve of two: a source whose variance exceeds what each of two sources of this condition has is a blend. (The
  // condition of a chain of sources says nothing of those at its end.)
  double max_condition = 10;
};

// Whether a flux whose variance is so many σ² is worse than that of each of two sources whose solve has this condition
// number: (c + 1)² / 4c.
bool IsBlend(double variance, double condition);

struct ForcedPhotometry {
  std::vector<ForcedMeasurement> measurements;  // in the order of the places
  // Places without a measurement.
  std::size_t outside = 0;       // of the image
  std::size_t blank = 0;         // a pixel that is read is blank, or the response is
  std::size_t low_response = 0;  // below min_response
};

// Measures `places` in a tile. `rms`: of MeasureRms. Sources whose predicted apparent flux exceeds the local rms are
// solved for with those nearer than kLinkWidths; of fainter ones only what the others add there is taken away, so that
// noise read at a hundred empty places does not enter their neighbours. Places nearer to a brighter one than a
// twentieth of the beam's width are taken for that one: both get its flux and the flag blend. The result does not
// depend on `threads`.
ForcedPhotometry MeasureForced(const TileImages& images, const image::CoarseMap& rms,
                               const std::vector<ForcedPlace>& places, const ForcedOptions& options, int threads);

}  // namespace contimg::mosaic
