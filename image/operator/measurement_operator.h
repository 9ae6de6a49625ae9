// The measurement operator of the imager: from visibilities to a dirty image, from a model image to visibilities, and
// the exact residual of a major cycle, for any array and any even image size.
//
// Conventions (docs/conventions.md): pixels and projection are those of image/plane/image_geometry.h.
// A source of S Jy at (l, m) gives V = S exp(+2πi(ul + vm + w(n − 1))); the dirty image is
//     I(x, y) = Σ w_k Re(V_k exp(−2πi(u_k l + v_k m + w_k(n − 1)))) / Σ w_k      [Jy/beam]
// over all used samples k: no primary beam, no 1/n.
//
// Method. w ≈ a u + b v is fitted once (the slant frame), so that only a small residual w_r is left; its effect is
// expanded in a few separable terms f_k(w_r) g_k(n), each of which needs one real FFT; the channels of each
// baseline and integration are replaced by fewer nodes in frequency that give the same image everywhere inside the
// field (least-squares interpolation of a band-limited function). When the array is not coplanar enough for at most
// six terms, w-planes (convolution in w) replace them. docs/imaging.md derives all of it.
//
// Results are identical bit for bit for any number of threads on the same instruction set.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "image/operator/weighting.h"
#include "image/plane/image_geometry.h"
#include "image/response/varying_sources.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::image {

struct OperatorSettings {
  // Requested rms error of a dirty image relative to its rms, for noise-like data: 1e-6 … 1e-2.
  double accuracy = 3e-5;
  // False: Residual is not wanted; saves the Gram matrices (most of the memory, about a third of the time).
  bool prepare_residual = true;
  // True: fit the slant frame and overwrite slant_a, slant_b of the geometry; false: use them as given.
  bool fit_slant = true;
  // Upper limit on what the operator itself allocates; 0: the memory the system has available.
  std::size_t memory_limit_bytes = 0;
  int threads = 1;
};

// What the operator did; for logs, headers and metrics.
struct OperatorFigures {
  std::size_t n_used = 0;                       // Stokes I samples with weight
  std::size_t n_selected = 0;                   // cross-correlation samples inside the uv range, used or flagged
  double sum_weights = 0;                       // Σ imaging weights
  double sum_weights_squared_over_natural = 0;  // Σ w²/w_natural: see NoiseFactor
  std::size_t n_nodes = 0;                      // samples actually gridded
  std::size_t n_w_terms = 0;                    // real FFTs per image
  bool uses_w_planes = false;
  double max_residual_w_lambda = 0;   // max |w_r|
  double expected_error = 0;          // predicted relative rms error
  std::size_t memory_bytes = 0;       // held by the operator between calls
  std::size_t peak_memory_bytes = 0;  // held during a call, images of the caller excluded
  std::size_t kernel_support = 0;     // cells
  std::size_t fft_nx = 0;             // padded FFT size
  std::size_t fft_ny = 0;
  double max_uv_lambda = 0;  // longest used baseline, in wavelengths

  // Thermal rms of the dirty image when a sample of natural weight 1 has an rms of 1 (per Stokes I visibility, real or
  // imaginary part): sqrt(Σ w²/w_natural) / Σ w.
  double NoiseFactor() const;
};

// One call at a time: grids and scratch are kept between calls.
class MeasurementOperator {
 public:
  // Reads the block (phased, corrected or raw alike; the caller checks the data state), forms Stokes I and weights, and
  // keeps what the calls below need. The block may be freed or changed afterwards. `outside`: sources to take out of
  // the data before all else, those that no pixel holds.
  // Throws Error: kBadInput when the block is not phased, no sample is usable, the geometry is odd-sized, empty or
  // reaches beyond the horizon, the polarisations hold neither XX+YY nor RR+LL nor I; kResource when the memory needed
  // exceeds the limit (the message names both).
  MeasurementOperator(const VisibilityBlock& block, const ImageGeometry& geometry, const WeightSettings& weights,
                      const OperatorSettings& settings, const VaryingSources& outside = {});
  // The same for a block whose visibilities are elsewhere; they are gone through once, or twice where some are not
  // finite.
  MeasurementOperator(const VisibilityBlock& block, const VisibilityParts& vis, const ImageGeometry& geometry,
                      const WeightSettings& weights, const OperatorSettings& settings,
                      const VaryingSources& outside = {});
  ~MeasurementOperator();
  MeasurementOperator(MeasurementOperator&&) noexcept;
  MeasurementOperator& operator=(MeasurementOperator&&) noexcept;

  const ImageGeometry& geometry() const;  // with the slant frame used
  const OperatorFigures& figures() const;

  // The dirty image and the point-spread function (unit flux at the phase centre's pixel, or where it would be when the
  // image is shifted: the PSF is always centred on pixel (nx/2, ny/2), for a source in that direction).
  void Dirty(ArrayView<float, 2> image) const;
  void Psf(ArrayView<float, 2> psf) const;
  void DirtyAndPsf(ArrayView<float, 2> image, ArrayView<float, 2> psf) const;

  // The exact residual: the dirty image of data − A·model − `varying`, model in Jy per pixel; and what it has at the
  // places of a probe, which may be null.
  void Residual(ArrayView<const float, 2> model, const VaryingSources& varying, ArrayView<float, 2> residual,
                ResidualProbe* probe = nullptr) const;
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) const { Residual(model, {}, residual); }

  // Model visibilities for every row, channel and polarisation of `block` (its axes and uvw are used; parallel hands
  // get the model, cross hands zero; autocorrelations included). Flags and weights stay as they are. The block has the
  // times of the one the operator was made of.
  void Predict(ArrayView<const float, 2> model, const VaryingSources& varying, VisibilityBlock& block) const;
  void Predict(ArrayView<const float, 2> model, VisibilityBlock& block) const { Predict(model, {}, block); }

  // Sums of the imaging weights, for averages over the tile: [time][channel] and [time][baseline].
  ArrayView<const double, 2> weight_by_time_channel() const;
  ArrayView<const double, 2> weight_by_time_baseline() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace contimg::image
