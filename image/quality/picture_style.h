// Colours of the quick-look picture, and how it writes figures.
#pragma once

#include <string>

#include "image/quality/canvas.h"

namespace contimg::image {

inline constexpr Colour kBackground{0.043, 0.047, 0.067, 1};
inline constexpr Colour kPanel{0.075, 0.082, 0.110, 1};
inline constexpr Colour kInk{0.90, 0.91, 0.93, 1};
inline constexpr Colour kDim{0.58, 0.61, 0.67, 1};
inline constexpr Colour kGrid{0.75, 0.85, 1.0, 0.22};
inline constexpr Colour kAccent{0.38, 0.78, 0.88, 1};
inline constexpr Colour kGood{0.45, 0.82, 0.50, 1};
inline constexpr Colour kBad{0.95, 0.40, 0.35, 1};

std::string FormatRa(double hours, bool seconds);     // "13ʰ31ᵐ08ˢ"
std::string FormatDec(double degrees, bool minutes);  // "+30°30′"
std::string FormatDecSeconds(double degrees);         // "+30°30′15″"
std::string FormatFlux(double jy);                    // "1.23 mJy"

}  // namespace contimg::image
