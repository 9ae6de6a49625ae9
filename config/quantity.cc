#include "config/quantity.h"

#include <array>
#include <charconv>
#include <cmath>

#include "config/trimmed.h"
#include "config/units.h"

namespace contimg {
namespace {

enum class Dimension { kTime, kSize, kRatio, kAngle, kFrequency, kLength, kFlux };

struct Unit {
  std::string_view word;
  Dimension dimension;
  double factor;  // in the first unit of its dimension that has factor 1
};

constexpr std::array<Unit, 32> kUnits{{
    {"ms", Dimension::kTime, 1e-3},
    {"s", Dimension::kTime, 1},
    {"min", Dimension::kTime, 60},
    {"h", Dimension::kTime, 3600},
    {"d", Dimension::kTime, 86400},
    {"B", Dimension::kSize, 1},
    {"kB", Dimension::kSize, 1e3},
    {"MB", Dimension::kSize, 1e6},
    {"GB", Dimension::kSize, 1e9},
    {"TB", Dimension::kSize, 1e12},
    {"KiB", Dimension::kSize, 1024.0},
    {"MiB", Dimension::kSize, 1048576.0},
    {"GiB", Dimension::kSize, 1073741824.0},
    {"TiB", Dimension::kSize, 1099511627776.0},
    {"fraction", Dimension::kRatio, 1},
    {"%", Dimension::kRatio, 0.01},
    {"rad", Dimension::kAngle, 1},
    {"deg", Dimension::kAngle, kPi / 180},
    {"arcmin", Dimension::kAngle, kPi / 10800},
    {"arcsec", Dimension::kAngle, kPi / 648000},
    {"Hz", Dimension::kFrequency, 1},
    {"kHz", Dimension::kFrequency, 1e3},
    {"MHz", Dimension::kFrequency, 1e6},
    {"GHz", Dimension::kFrequency, 1e9},
    {"mm", Dimension::kLength, 1e-3},
    {"cm", Dimension::kLength, 1e-2},
    {"m", Dimension::kLength, 1},
    {"km", Dimension::kLength, 1e3},
    {"uJy", Dimension::kFlux, 1e-6},
    {"mJy", Dimension::kFlux, 1e-3},
    {"Jy", Dimension::kFlux, 1},
    {"kJy", Dimension::kFlux, 1e3},
}};

const Unit* Find(std::string_view word) {
  for (const Unit& unit : kUnits) {
    if (unit.word == word) return &unit;
  }
  return nullptr;
}

}  // namespace

std::optional<double> ParseQuantity(std::string_view text, std::string_view unit) {
  text = Trimmed(text);
  if (!text.empty() && text.front() == '+') text.remove_prefix(1);
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, status] = std::from_chars(text.data(), end, value);
  if (status != std::errc() || !std::isfinite(value)) return std::nullopt;
  const std::string_view word = Trimmed(std::string_view(rest, static_cast<std::size_t>(end - rest)));
  if (word.empty() || word == unit) return value;
  const Unit* from = Find(word);
  const Unit* to = Find(unit);
  if (from == nullptr || to == nullptr || from->dimension != to->dimension) return std::nullopt;
  // Dividing by a reciprocal keeps round values round: 95 % is 95/100, not 95 × 0.01.
  const double factor = from->factor / to->factor;
  return factor >= 1 ? value * factor : value / (to->factor / from->factor);
}

bool IsUnit(std::string_view unit) { return unit.empty() || Find(unit) != nullptr; }

std::string CompatibleUnits(std::string_view unit) {
  std::string words;
  const Unit* known = Find(unit);
  if (known == nullptr) return words;
  for (const Unit& candidate : kUnits) {
    if (candidate.dimension != known->dimension) continue;
    if (!words.empty()) words += ", ";
    words += candidate.word;
  }
  return words;
}

}  // namespace contimg
