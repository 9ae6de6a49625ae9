#include "ops/base/words.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <system_error>

#include "config/time.h"

namespace contimg::ops {

std::string Bytes(double bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  while (std::abs(bytes) >= 999.5 && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 || std::abs(bytes) >= 99.95 ? 0 : 1, kUnits[unit]);
}

std::string Duration(double seconds) {
  if (!std::isfinite(seconds)) return "–";
  if (seconds < 0) return "−" + Duration(-seconds);
  if (seconds < 9.95) return fmt::format("{:.1f} s", seconds);
  if (seconds < 99.5) return fmt::format("{:.0f} s", seconds);
  const auto minutes = static_cast<std::int64_t>(std::llround(seconds / 60));
  if (minutes < 100) return fmt::format("{} min", minutes);
  if (minutes < std::int64_t{48} * 60) {
    return minutes % 60 == 0 ? fmt::format("{} h", minutes / 60)
                             : fmt::format("{} h {} min", minutes / 60, minutes % 60);
  }
  const double days = seconds / kSecondsPerDay;
  return fmt::format("{:.{}f} days", days, days < 10 ? 1 : 0);
}

std::string Ago(double seconds) {
  if (std::abs(seconds) < 0.95) return "now";
  return seconds > 0 ? Duration(seconds) + " ago" : "in " + Duration(-seconds);
}

std::string Flux(double jy) {
  const double size = std::abs(jy);
  const std::string number = [&] {
    const double scaled = size >= 1 ? jy : size >= 1e-3 ? jy * 1e3 : jy * 1e6;
    const double digits = std::abs(scaled);
    return fmt::format("{:.{}f}", scaled, digits >= 99.95 ? 0 : digits >= 9.995 ? 1 : 2);
  }();
  return number + (size >= 1 ? " Jy" : size >= 1e-3 ? " mJy" : " µJy");
}

std::string Figure(double value) {
  if (!std::isfinite(value)) return "–";
  if (value == std::floor(value) && std::abs(value) < 1e15) return fmt::format("{:.0f}", value);
  return fmt::format("{:.4g}", value);
}

std::string Count(std::int64_t count) {
  const std::string digits = fmt::format("{}", count < 0 ? -count : count);
  std::string spaced = count < 0 ? "−" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0 && digits.size() > 4) spaced += "\u202F";
    spaced += digits[i];
  }
  return spaced;
}

std::string Stamp(double unix_s) {
  if (!(unix_s > 0) || unix_s > 2e11) return "–";
  std::string stamp = UtcTime::FromUnix(unix_s).Iso8601();
  stamp[10] = ' ';
  return stamp;
}

std::string StampOfMjd(double mjd) { return mjd > 0 ? Stamp(UtcTime::FromMjd(mjd).unix_s()) : "–"; }

std::optional<std::int64_t> RecordNumber(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = failed == std::errc() && end == text.data() + text.size() && text.front() != '-';
  return whole ? std::optional(number) : std::nullopt;
}

}  // namespace contimg::ops
