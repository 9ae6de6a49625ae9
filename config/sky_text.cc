#include "config/sky_text.h"

#include <array>
#include <charconv>
#include <cmath>
#include <string>
#include <utility>

#include "config/quantity.h"
#include "config/trimmed.h"

namespace contimg {
namespace {

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The unit that a number carries, by what stands behind it.
enum class Mark { kNone, kSeparator, kHour, kDegree, kMinute, kSecond };

Mark TakeMark(std::string_view& text) {
  const auto take = [&](std::string_view word) {
    if (text.substr(0, word.size()) != word) return false;
    text.remove_prefix(word.size());
    return true;
  };
  const bool blank = !text.empty() && IsBlank(text.front());
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  if (take(":")) return Mark::kSeparator;
  if (take("h")) return Mark::kHour;
  if (take("deg") || take("d") || take("\u00b0")) return Mark::kDegree;
  if (take("m") || take("'")) return Mark::kMinute;
  if (take("s") || take("\"")) return Mark::kSecond;
  return blank && !text.empty() ? Mark::kSeparator : Mark::kNone;
}

// Value in degrees; a bare number counts as degrees, three numbers without letters as `bare_hours` says.
std::optional<double> Parse(std::string_view text, bool bare_hours) {
  text = Trimmed(text);
  bool negative = false;
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    negative = text.front() == '-';
    text.remove_prefix(1);
  }
  std::array<double, 3> part{};
  std::array<Mark, 3> mark{};
  std::size_t n = 0;
  while (!text.empty()) {
    if (n == 3 || IsBlank(text.front())) {
      text = Trimmed(text);
      if (n == 3) return std::nullopt;
    }
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;  // also nan, inf and signs
    const auto [rest, status] = std::from_chars(text.data(), text.data() + text.size(), part[n]);
    if (status != std::errc() || !std::isfinite(part[n])) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(rest - text.data()));
    mark[n++] = TakeMark(text);
    while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  }
  if (n == 0) return std::nullopt;
  const double sign = negative ? -1 : 1;
  if (n == 1) {
    if (mark[0] == Mark::kNone || mark[0] == Mark::kDegree) return sign * part[0];
    if (mark[0] == Mark::kHour) return sign * 15 * part[0];
    return std::nullopt;
  }
  // Degrees or hours, minutes and perhaps seconds: whole numbers but for the last, and each in its place.
  const bool letters = mark[0] == Mark::kHour || mark[0] == Mark::kDegree;
  if (letters ? mark[1] != Mark::kMinute && !(n == 2 && mark[1] == Mark::kNone)
              : mark[0] != Mark::kSeparator || n != 3 || mark[1] != Mark::kSeparator) {
    return std::nullopt;
  }
  if (n == 3 && mark[2] != Mark::kNone && !(letters && mark[2] == Mark::kSecond)) return std::nullopt;
  for (std::size_t i = 0; i + 1 < n; ++i) {
    if (part[i] != std::floor(part[i])) return std::nullopt;
  }
  for (std::size_t i = 1; i < n; ++i) {
    if (part[i] >= 60) return std::nullopt;
  }
  const double value = sign * (part[0] + part[1] / 60 + part[2] / 3600);
  const bool hours = letters ? mark[0] == Mark::kHour : bare_hours;
  return hours ? 15 * value : value;
}

}  // namespace

std::optional<double> ParseRightAscension(std::string_view text) {
  const auto degrees = Parse(text, true);
  return degrees && *degrees >= 0 && *degrees <= 360 && !std::signbit(*degrees) ? degrees : std::nullopt;
}

std::optional<double> ParseDeclination(std::string_view text) {
  const auto degrees = Parse(text, false);
  // Hours are no unit of declination.
  if (!degrees || text.find('h') != std::string_view::npos || std::abs(*degrees) > 90) return std::nullopt;
  return degrees;
}

std::optional<double> ParseAngularSize(std::string_view text) {
  std::string words(Trimmed(text));
  for (const auto& [mark, word] :
       {std::pair{"'", "arcmin"}, {"\u2032", "arcmin"}, {"\"", "arcsec"}, {"\u2033", "arcsec"}}) {
    const std::string_view end(mark);
    if (words.size() <= end.size() || words.compare(words.size() - end.size(), end.size(), end) != 0) continue;
    words.replace(words.size() - end.size(), end.size(), word);
    break;
  }
  const auto degrees = ParseQuantity(words, "deg");
  return degrees && *degrees > 0 ? degrees : std::nullopt;
}

}  // namespace contimg
