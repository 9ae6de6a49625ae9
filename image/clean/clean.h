// Deconvolution: CLEAN with exact major cycles (Cotton-Schwab; Schwab 1984, AJ 89, 1076).
//
// The meaning of the settings follows WSClean's so that its users feel at home:
// - major gain: a minor cycle stops when the peak has fallen by this fraction; then the exact residual is computed.
// - auto-mask k: clean down to k times the residual's rms anywhere allowed, then only where components stand.
// - auto-threshold k: the final level, k times the rms. The rms is 1.4826 × the median absolute deviation.
//   An automatic level counts as reached when a minor cycle went down to it and the exact residual is within a quarter.
// - local rms: the search (never the flux) uses residual × min(rms)/rms, until the auto-mask is made.
//
// Divergence: when an exact residual is worse than the one before (peak or rms grown by more than 10 %), the last
// increment of the model is undone and the major gain halved; when that happens again, CLEAN stops there with the best
// model it had.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "config/array_view.h"
#include "image/clean/minor_cycle.h"
#include "image/plane/image_statistics.h"

namespace contimg::image {

// The exact residual for a model image (Jy per pixel), both on the slant grid.
class MajorCycle {
 public:
  virtual ~MajorCycle() = default;
  virtual void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) = 0;
  // The components of the model that the next call of Residual gets, and the rms of the residual before it: for what
  // a constant image of the sky does not hold.
  virtual void SetComponents(const std::vector<CleanComponent>& components, double rms_jy) {
    static_cast<void>(components), static_cast<void>(rms_jy);
  }
};

struct CleanSettings {
  std::size_t max_iterations = 10000;
  std::size_t max_major_cycles = 30;
  double gain = 0.1;
  double major_gain = 0.8;
  double threshold_jy = 0;     // absolute level, Jy/beam; the higher of this and the automatic level holds
  double auto_mask = 5;        // 0: no automatic mask
  double auto_threshold = 1;   // 0: only threshold_jy
  bool allow_negative = true;  // negative components
  double border_fraction = 0;  // of each side, without components
  bool local_rms = false;
  LocalRmsMethod local_rms_method = LocalRmsMethod::kRms;
  double local_rms_window_beams = 25;  // FWHM of the window in units of the beam's (geometric mean) FWHM
  double beam_fwhm_px = 8;             // for the window; set from the fitted beam
  // Scales of multiscale CLEAN, FWHM-like width in pixels, 0 = points, ascending. Empty: points only.
  std::vector<double> scales_px;
  double scale_bias = 0.6;
  // Highest spatial frequency of the PSF, cycles per pixel. When set, neighbouring points are joined between the pixels
  // after every minor cycle (image/clean/fine_positions.h); 0: components stay on their pixels.
  double psf_band = 0;
};

enum class CleanStop {
  kThreshold,   // the final level was reached
  kIterations,  // max_iterations
  kMajorCycles,
  kNothing,   // nothing above the level in the dirty image
  kDiverged,  // restored to the best model
};
std::string_view ToString(CleanStop stop);

// One line per major cycle: the state after its exact residual.
struct MajorCycleRecord {
  std::size_t cycle = 0;       // 1, 2, …
  std::size_t iterations = 0;  // so far, each a component of the minor cycle
  std::size_t cells = 0;       // of 16 pixels, searched by the minor cycle
  bool masked = false;         // inside the automatic mask
  bool undone = false;         // the guard rejected it
  double level_jy = 0;         // the minor cycle cleaned down to here
  double peak_jy = 0;          // |residual| peak in the search region, after
  double rms_jy = 0;           // of the residual, after
  double model_flux_jy = 0;
};

struct CleanReport {
  CleanStop stop = CleanStop::kNothing;
  std::size_t iterations = 0;
  double final_rms_jy = 0;
  double final_peak_jy = 0;
  double final_threshold_jy = 0;
  std::vector<MajorCycleRecord> cycles;
  std::vector<CleanComponent> components;  // at most one per place and scale, in order of scale, y, x
};

struct CleanInput {
  MajorCycle* major_cycle = nullptr;
  ArrayView<const float, 2> psf;               // 1 at its centre (nx/2, ny/2)
  ArrayView<const std::uint8_t, 2> user_mask;  // empty: everywhere
  int threads = 1;
  std::function<void(const MajorCycleRecord&)> on_cycle;  // progress; may throw to end the work
};

// `residual`: the dirty image on entry, the residual of the final model on return. `model`: Jy per pixel, zero on
// entry.
CleanReport Clean(const CleanInput& input, const CleanSettings& settings, ArrayView<float, 2> residual,
                  ArrayView<float, 2> model);

}  // namespace contimg::image
