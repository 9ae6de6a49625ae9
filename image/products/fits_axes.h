// Where the pixels of a FITS image lie on the sky and in frequency. Internal to image/products/.
#pragma once

#include <filesystem>

#include "image/products/fits_file.h"
#include "image/products/fits_image.h"

namespace contimg::image {

// Reads geometry, centre, frequency and bandwidth from the cards of an image of `nx` by `ny` pixels. Understood are SIN
// and ZEA, plain and north up, square pixels, by CDELT, CDELT and PC or CD, and frequencies on any of two further axes.
// Whatever else the header says of the sky (a turn, a slant, another frame or unit, no number) is refused, because
// pixels would be taken for those of another place, and so is a first plane that is not Stokes I: Error{kBadInput}.
void ReadAxes(CardReader& cards, const std::filesystem::path& path, std::size_t nx, std::size_t ny, FitsHeader& header);

}  // namespace contimg::image
