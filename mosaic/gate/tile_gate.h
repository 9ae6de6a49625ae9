// Which tiles may be part of a mosaic, and why others not.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/plane/beam_fit.h"
#include "mosaic/gate/flux_scales.h"
#include "mosaic/grid/sky_grid.h"

namespace contimg::mosaic {

enum class Refusal {
  kNone,
  kUnreadable,  // no image of a tile
  kBlank,       // nothing to measure noise on
  kGrade,       // grade F
  kTwice,       // the same pixels, or the same data, as another tile
  kPixels,      // other size or pixels than most
  kBeam,        // restored with another beam
  kFrequency,   // too far from the others' for a spectral index to bring it there
  kNoise,       // so much less noise than the others that it would be the mosaic
  kScale,       // fluxes off from the others'
};
std::string_view ToString(Refusal refusal);  // "none", "unreadable", "blank", …

// What is known of a tile when it is judged.
struct TileFigures {
  std::string name;
  SkyGrid grid;
  image::GaussianBeam beam;
  double frequency_hz = 0;
  double start_mjd_s = 0, end_mjd_s = 0;
  double rms_jy = 0;            // median of its noise
  double least_rms_jy = 0;      // the least of it; 0: not known
  std::string grade;            // of its metrics; empty: not known
  std::string pixels_checksum;  // of the image's pixels
  std::vector<ScaleReference> references;
};

struct TileVerdict {
  Refusal refusal = Refusal::kNone;
  std::string why;              // a sentence; empty: it may be used
  TileScale scale;              // references: 0 where it was not looked for or could not be told
  double beam_difference = 0;   // of its beam from the usual one, relative, in the direction where it is largest
  double frequency_factor = 1;  // by which its fluxes are multiplied: (ν / ν of the mosaic)^0.7
};

inline constexpr double kBeamsAgree = 0.02;   // beams that differ by less are one to a mosaic
inline constexpr double kBeamsRelated = 0.2;  // and from those that differ by less a common one is made

struct GateLimits {
  double scale_error = 0.05;          // |f − 1|
  double beam_error = kBeamsRelated;  // of the width in any direction
  double frequency_error = 0.03;      // |frequency factor − 1|
  double noise_ratio = 30;            // of the usual noise over its least
};

struct GateResult {
  std::vector<TileVerdict> verdicts;  // in the order of the tiles
  double frequency_hz = 0;            // the median of those that are used; 0: none of them has one
};

inline constexpr double kMosaicAlpha = -0.7;  // S ∝ ν^α: usual at 1.4 GHz

// Judges all tiles whose verdict is not there already (`before`: those that could not be read). The outcome for a tile
// does not depend on the order of the tiles; of two that are one the first by start and name stays.
GateResult JudgeTiles(const std::vector<TileFigures>& tiles, const std::vector<TileVerdict>& before,
                      const GateLimits& limits);

}  // namespace contimg::mosaic
