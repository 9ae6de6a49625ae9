// The quality picture of a mosaic.
#pragma once

#include <filesystem>

#include "mosaic/coadd/open_mosaic.h"
#include "mosaic/mosaic_report.h"

namespace contimg::mosaic {

// Writes a PNG: the image in units of its noise, the rms map, how many tiles lie over each place with their centres
// (numbered; those that were left out crossed), figures and gates, tiles left out and why, tiles in it. Throws
// Error{kIo}.
void WriteMosaicPicture(const std::filesystem::path& path, const MosaicMaps& maps, const MosaicReport& report);

}  // namespace contimg::mosaic
