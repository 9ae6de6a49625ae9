// Places and flags in words, and links to sources.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "config/quality_flags.h"
#include "ops/web/html.h"

namespace contimg::ops {

std::string RaWords(double ra_deg);          // "00:01:28.01", to a hundredth of a second
std::string DecWords(double dec_deg);        // "+16:12:04.0"
std::string SourceAddress(std::int64_t id);  // "/sources/17"
Html SourceLink(std::int64_t id, std::string_view name);
// The names of the flags that are set, spoken: "low response, blend".
std::string FlagWords(QualityFlags flags);
std::string FluxWithError(double flux_jy, double error_jy);  // "12.3 ± 0.4 mJy"

}  // namespace contimg::ops
