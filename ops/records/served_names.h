// Which files below the images directory the service hands out: pictures, JSON and FITS.
#pragma once

#include <cstdint>
#include <string_view>

namespace contimg::ops {

inline constexpr std::int64_t kLargestServedFile = 32'000'000, kLargestServedImage = 1'000'000'000;  // bytes

// Images and tables: .fits and .fits.fz.
bool IsServedImage(std::string_view name);
// The same, .png and .json.
bool IsServed(std::string_view name);
bool IsServed(std::string_view name, std::int64_t bytes);

}  // namespace contimg::ops
