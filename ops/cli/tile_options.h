// What commands that measure images have in common: which images, and where a result goes.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "config/run_context.h"
#include "config/units.h"
#include "mosaic/table/table.h"
#include "mosaic/tile/tile_files.h"

namespace contimg::ops {

// --residual, --pb, --smear, --psf: beside which the image stands otherwise.
struct TileFileOptions {
  std::string residual, pb, smear, psf;
  void Add(CLI::App* command);
  // For an image or a prefix. Throws Error{kUsage} unless `one`, the only image of the command, when one of them was
  // given.
  mosaic::TileFileNames For(const std::string& image, bool one) const;
};

// Says what the files lack and what follows from it.
void WarnOfMissing(const mosaic::TileFiles& files, Reporter& reporter);

// "RA,DEC": degrees, or hh:mm:ss and dd:mm:ss. Throws Error{kUsage} that names the option.
SkyDirection ParsePlace(const std::string& option, const std::string& text);

}  // namespace contimg::ops
