#include "ops/job/tile_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config/error.h"

namespace contimg::ops {
namespace {

constexpr std::array<std::pair<const char*, double TileFacts::*>, 6> kTileNumbers{
    {{"mjd", &TileFacts::mjd},
     {"duration_s", &TileFacts::duration_s},
     {"centre_ra_deg", &TileFacts::ra_deg},
     {"centre_dec_deg", &TileFacts::dec_deg},
     {"frequency_hz", &TileFacts::frequency_hz},
     {"beam_minor_arcsec", &TileFacts::beam_minor_arcsec}}};
constexpr const char* kBeamMajor = "beam_major_arcsec";  // lacks in tables of before it was asked for
constexpr const char* kGroup = "group";
constexpr const char* kTileFlags = "tile_flags";

}  // namespace

std::vector<std::pair<std::string, std::string>> FactsOf(const TileFacts& tile) {
  std::vector<std::pair<std::string, std::string>> facts{{kGroup, tile.group}};
  for (const auto& [name, member] : kTileNumbers) facts.emplace_back(name, fmt::format("{}", tile.*member));
  facts.emplace_back(kBeamMajor, fmt::format("{}", tile.beam_major_arcsec));
  facts.emplace_back(kTileFlags, std::to_string(tile.flags));
  return facts;
}

TileFacts ParseTileFacts(const mosaic::Table& table, const std::string& subject) {
  const auto has = [&](const std::string& name) {
    return std::any_of(table.facts.begin(), table.facts.end(), [&](const auto& fact) { return fact.first == name; });
  };
  const auto text = [&](const std::string& name) -> const std::string& {
    for (const auto& [key, value] : table.facts) {
      if (key == name) return value;
    }
    throw Error(ErrorKind::kBadInput, "photometry", subject,
                fmt::format("expected '{}' of the tile in HISTORY, found none", name));
  };
  const auto number = [&](const std::string& name, auto& value) {
    const std::string& words = text(name);
    const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), value);
    if (error == std::errc() && end == words.data() + words.size() && std::isfinite(static_cast<double>(value))) return;
    throw Error(ErrorKind::kBadInput, "photometry", subject,
                fmt::format("expected a number as '{}' of the tile, found '{}'", name, words));
  };
  TileFacts tile;
  tile.group = text(kGroup);
  for (const auto& [name, member] : kTileNumbers) number(name, tile.*member);
  if (has(kBeamMajor)) number(kBeamMajor, tile.beam_major_arcsec);
  number(kTileFlags, tile.flags);
  return tile;
}

}  // namespace contimg::ops
