// Whether two products hold the same, dates of writing apart.
#pragma once

#include <filesystem>
#include <string>

namespace contimg::ops {

// Empty when equal, else what differs first, in words. FITS files: every card except DATE and the checksums, and every
// byte of data. casacore images: axes and pixels. Calibration tables: axes, values and flags. Measurement Sets: the
// visibilities, flags and weights of DATA and CORRECTED_DATA. Other files: every byte. Throws Error for what cannot be
// read.
std::string CompareProducts(const std::filesystem::path& a, const std::filesystem::path& b);

}  // namespace contimg::ops
