// Numbers with units in text: "10min", "200 GB", "95%", "30deg", "1.4GHz". C++17-clean.
//
// Words: ms s min h d · B kB MB GB TB KiB MiB GiB TiB · fraction % · rad deg arcmin arcsec · Hz kHz MHz GHz ·
// mm cm m km · uJy mJy Jy. A unit of "" is a plain count or ratio and takes no word.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace contimg {

// The number in `text`, converted to `unit` (a word above or ""). A bare number is in `unit` already. Nothing when the
// text is not a finite number, its word is unknown or of another dimension.
std::optional<double> ParseQuantity(std::string_view text, std::string_view unit);
// True for "" and every word above.
bool IsUnit(std::string_view unit);
// The words that a value of `unit` may carry, for help texts: "ms, s, min, h, d"; empty for "".
std::string CompatibleUnits(std::string_view unit);

}  // namespace contimg
