// The quick-look picture of an image: what an astronomer wants to see at a glance. The home of cairo.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "image/products/fits_image.h"
#include "image/quality/image_quality.h"
#include "image/quality/tile_summary.h"

namespace contimg::image {

// The picture's size, and the square in it that shows the sky, pixels.
constexpr int kQuickLookWidth = 1800, kQuickLookHeight = 1500;
constexpr int kQuickLookSkyX = 92, kQuickLookSkyY = 84, kQuickLookSkySize = 1060;

struct QuickLookInput {
  std::string title;                   // "2025-10-13T13:28:03"
  ArrayView<const float, 2> image;     // restored, Jy/beam
  ArrayView<const float, 2> residual;  // for its histogram
  ArrayView<const float, 2> psf;       // its core, peak at the middle pixel
  ArrayView<const float, 2> pb;        // for the contours of half and of 0.2 response
  const FitsHeader* header = nullptr;
  const ImageQuality* quality = nullptr;
  const TileSummary* tile = nullptr;
  std::vector<double> frequency_hz;  // channels
  std::vector<std::string> antenna_names;
};

// Writes a PNG to `path`: the image with coordinate grid, beam, colour bar and circles about the catalogue's sources;
// the PSF's core; the uv coverage; flagged fractions per channel and antenna, and which antennas are dead; the local
// rms and the histogram of the residual; fluxes against the catalogue; the figures, and the gates with their limits.
// Throws Error{kIo} when it cannot be written.
void WriteQuickLook(const std::filesystem::path& path, const QuickLookInput& input);

}  // namespace contimg::image
