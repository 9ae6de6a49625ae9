// The pixels of an image row by row. Internal to image/products/.
#pragma once

#include <cstddef>
#include <filesystem>
#include <limits>
#include <vector>

#include "image/products/fits_file.h"
#include "image/products/fits_part.h"

namespace contimg::image {

// Calls visit(row, values) for each row of the part that the image has; `values` are those of `within`, from its x on.
template <typename Visit>
void VisitFitsRows(FitsFile& fits, const std::filesystem::path& path, const PixelPart& within, const Visit& visit) {
  std::vector<float> values(within.nx);
  float null_value = std::numeric_limits<float>::quiet_NaN();
  int status = 0, any_null = 0;  // cfitsio writes to it whenever it meets a NaN
  for (std::size_t row = 0; row < within.ny; ++row) {
    long first[4] = {static_cast<long>(within.x + 1), static_cast<long>(within.y) + static_cast<long>(row) + 1, 1, 1};
    fits_read_pix(fits.file, TFLOAT, first, static_cast<LONGLONG>(within.nx), &null_value, values.data(), &any_null,
                  &status);
    CheckFits(status, ErrorKind::kBadInput, path, "cannot read the pixels");
    visit(row, values);
  }
}

}  // namespace contimg::image
