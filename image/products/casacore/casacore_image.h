// casacore images: the folders that CASA, CARTA and python3-casacore open. C++17-clean.
//
// Axes as CASA's imager orders them: right ascension, declination, Stokes, frequency (the last two of length 1). The
// coordinates, units, beam, dates and history are those of the FITS image of the same kind; blank pixels are NaN and
// masked by `mask0`.
#pragma once

#include <filesystem>

#include "config/array_view.h"
#include "image/products/fits_image.h"

namespace contimg::image {

// Writes a complete image to `path`, which must not exist (write to a staged name, then Publish). Not synced.
// Throws Error{kIo}.
void WriteCasacoreImage(const std::filesystem::path& path, ArrayView<const float, 2> image, const FitsHeader& header);

// True for a folder that holds a casacore image of floats.
bool IsCasacoreImage(const std::filesystem::path& path);

// Reads the first plane of a casacore image in SIN or ZEA projection; masked pixels become NaN. Throws Error{kIo} when
// it cannot be opened and Error{kBadInput} when it is no such image or that plane is not Stokes I.
FitsImage ReadCasacoreImage(const std::filesystem::path& path);

}  // namespace contimg::image
