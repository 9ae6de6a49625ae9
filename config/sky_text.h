// Positions on the sky in text, as people write them. C++17-clean.
#pragma once

#include <optional>
#include <string_view>

namespace contimg {

// A right ascension in degrees, [0, 360]: "106.4", "106.4deg", "106d24m", "7.0933h", "07:05:36", "07 05 36.0",
// "07h05m36s". Three numbers without letters are hours, minutes and seconds; a bare number is degrees. Nothing when the
// text is anything else, has something left over or is out of range.
std::optional<double> ParseRightAscension(std::string_view text);

// A declination in degrees, [−90, 90]: "16.1", "+16.1deg", "-05:30:00", "+16 06 00", "16d06m00s"; arcminutes and
// arcseconds may also be written ' and ".
std::optional<double> ParseDeclination(std::string_view text);

// An angle on the sky, such as the side of a square, in degrees: "1.5", "1.5deg", "20'", "20arcmin", "90\"",
// "90arcsec"; a bare number is degrees. Nothing for anything else and for what is not above 0.
std::optional<double> ParseAngularSize(std::string_view text);

}  // namespace contimg
