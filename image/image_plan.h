// What the settings of an image mean for its parts: grids, weights, CLEAN, memory. Each function throws Error{kUsage}
// for a setting that makes no sense.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "config/machine.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "image/clean/clean.h"
#include "image/operator/weighting.h"
#include "image/plane/beam_fit.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

// What a range of one setting cannot say: an even size, a field that ends before the horizon, scales in order, weights
// and terms that fit together, files that exist. Throws Error{kUsage}; needs no data, so that it can be asked before
// any work.
void CheckImageSettings(const ImageSettings& settings);

// "0,8,20" → ascending scales in pixels.
std::vector<double> ParseScales(const std::string& text);

WeightSettings WeightingOf(const ImageSettings& settings);
CleanSettings CleaningOf(const ImageSettings& settings, const GaussianBeam& beam, double cell_rad);

// image.restore_beam; nothing when the PSF is to say. Throws Error{kUsage} for what is no beam, or one narrower than a
// pixel.
std::optional<GaussianBeam> AskedBeam(const ImageSettings& settings);
// That, or the one fitted to the PSF. Warns of one that is narrower than the PSF's.
GaussianBeam RestoringBeam(const ImageSettings& settings, const GaussianBeam& of_psf, Reporter& reporter);

// The plain grid of the products. Throws Error{kUsage} when it reaches beyond the horizon or its size is odd.
ImageGeometry PlainGeometry(const ImageSettings& settings);
// The slant grid: the same cells, enough of them that every plain pixel and its neighbours for interpolation lie
// inside.
ImageGeometry SlantGeometry(const VisibilityBlock& block, const ImageGeometry& plain);

// Throws Error{kUsage} when the longest baseline in use has fringes narrower than a pixel, or fringes wider than the
// field: what the pixels of one array are makes no image of another. Says nothing of data without two baselines.
void CheckCells(const VisibilityBlock& block, const ImageSettings& settings);

// No image with a hole in it is published: throws Error{kBadInput} that names `subject` where a pixel is not finite.
void CheckFinite(ArrayView<const float, 2> image, const char* what, const std::string& subject, int threads);

// Images alive at once besides the operators' memory; throws Error{kResource} with the need and what there is when
// they do not fit into `room`. Returns what is left for the operators.
std::size_t CheckMemory(const ImageGeometry& slant, const ImageSettings& settings, const MemoryRoom& room);

}  // namespace contimg::image
