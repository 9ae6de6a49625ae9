#include "ops/web/sky_words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "ops/base/words.h"
#include "ops/web/figures.h"

namespace contimg::ops {

std::string RaWords(double ra_deg) {
  const std::int64_t hundredths = std::llround(ra_deg * 24000) % 8'640'000;
  return fmt::format("{:02}:{:02}:{:02}.{:02}", hundredths / 360'000, hundredths / 6000 % 60, hundredths / 100 % 60,
                     hundredths % 100);
}

std::string DecWords(double dec_deg) {
  const std::int64_t tenths = std::llround(std::abs(dec_deg) * 36000);
  return fmt::format("{}{:02}:{:02}:{:02}.{}", dec_deg < 0 ? '-' : '+', tenths / 36'000, tenths / 600 % 60,
                     tenths / 10 % 60, tenths % 10);
}

std::string SourceAddress(std::int64_t id) { return fmt::format("/sources/{}", id); }

Html SourceLink(std::int64_t id, std::string_view name) {
  return MakeHtml("<a class=\"id\" href=\"{}\">{}</a>", SourceAddress(id), name);
}

std::string FlagWords(QualityFlags flags) {
  std::string words = Spoken(QualityFlagNames(flags));
  for (std::size_t at = 0; (at = words.find(',', at)) != std::string::npos; at += 2) {
    if (at + 1 < words.size() && words[at + 1] != ' ') words.insert(at + 1, " ");
  }
  return words;
}

std::string FluxWithError(double flux_jy, double error_jy) {
  const double largest = std::max(std::abs(flux_jy), error_jy);
  const char* unit = largest >= 1 ? "Jy" : largest >= 1e-3 ? "mJy" : "µJy";
  const double factor = largest >= 1 ? 1 : largest >= 1e-3 ? 1e3 : 1e6;
  // Two digits of the error.
  const double error = error_jy * factor;
  const int decimals = error > 0 ? std::clamp(1 - static_cast<int>(std::floor(std::log10(error))), 0, 6) : 3;
  return fmt::format("{:.{}f} ± {:.{}f} {}", flux_jy * factor, decimals, error, decimals, unit);
}

}  // namespace contimg::ops
