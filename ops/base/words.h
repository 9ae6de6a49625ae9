// Quantities in words, as people read them on a page and write them on a command line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace contimg::ops {

std::string Bytes(double bytes);        // "2.2 GB"
std::string Duration(double seconds);   // "0.4 s", "43 s", "12 min", "3 h 20 min", "4 days"
std::string Ago(double seconds);        // "now", "43 s ago", "in 12 min"
std::string Flux(double jy);            // "1.21 Jy", "0.41 mJy", "85 µJy"
std::string Figure(double value);       // about four significant digits: "17.31", "1.2e-05", "4656"
std::string Count(std::int64_t count);  // with thin spaces: "12 345"
// "2025-10-13 13:28:03" of unix seconds; "–" for 0.
std::string Stamp(double unix_s);
std::string StampOfMjd(double mjd);
// The number of a record; nothing: there are other things than digits in it, none, or more than any number has.
std::optional<std::int64_t> RecordNumber(std::string_view text);

}  // namespace contimg::ops
