#include "ops/job/tile_facts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <string_view>

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
constexpr const char* kTelescope = "telescope";
constexpr const char* kTarget = "target";
constexpr const char* kIntegrationS = "integration_s";
constexpr const char* kIntegrations = "integrations";
constexpr const char* kIntegrationFlags = "integration_flags";  // "3 8192": one fact for each integration that has some
constexpr std::int64_t kMostIntegrations = 1000000;

}  // namespace

std::vector<std::pair<std::string, std::string>> FactsOf(const TileFacts& tile) {
  std::vector<std::pair<std::string, std::string>> facts{{kGroup, tile.group}};
  for (const auto& [name, member] : kTileNumbers) facts.emplace_back(name, fmt::format("{}", tile.*member));
  facts.emplace_back(kBeamMajor, fmt::format("{}", tile.beam_major_arcsec));
  facts.emplace_back(kTileFlags, std::to_string(tile.flags));
  if (!tile.telescope.empty()) facts.emplace_back(kTelescope, tile.telescope);
  if (!tile.target.empty()) facts.emplace_back(kTarget, tile.target);
  if (tile.integration_s > 0) facts.emplace_back(kIntegrationS, fmt::format("{}", tile.integration_s));
  if (tile.integrations > 0) facts.emplace_back(kIntegrations, std::to_string(tile.integrations));
  for (std::size_t i = 0; i < tile.integration_flags.size(); ++i) {
    if (tile.integration_flags[i] == 0) continue;
    facts.emplace_back(kIntegrationFlags, fmt::format("{} {}", i, tile.integration_flags[i]));
  }
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
  const auto parse = [&](const std::string& name, std::string_view words, auto& value) {
    const auto [end, error] = std::from_chars(words.data(), words.data() + words.size(), value);
    if (error == std::errc() && end == words.data() + words.size() && std::isfinite(static_cast<double>(value))) return;
    throw Error(ErrorKind::kBadInput, "photometry", subject,
                fmt::format("expected a number as '{}' of the tile, found '{}'", name, words));
  };
  const auto number = [&](const std::string& name, auto& value) { parse(name, text(name), value); };
  TileFacts tile;
  tile.group = text(kGroup);
  for (const auto& [name, member] : kTileNumbers) number(name, tile.*member);
  if (has(kBeamMajor)) number(kBeamMajor, tile.beam_major_arcsec);
  number(kTileFlags, tile.flags);
  if (has(kTelescope)) tile.telescope = text(kTelescope);
  if (has(kTarget)) tile.target = text(kTarget);
  if (has(kIntegrationS)) number(kIntegrationS, tile.integration_s);
  if (has(kIntegrations)) number(kIntegrations, tile.integrations);
  if (!(tile.integration_s >= 0 && tile.integrations >= 0 && tile.integrations <= kMostIntegrations)) {
    throw Error(
        ErrorKind::kBadInput, "photometry", subject,
        fmt::format("expected integrations of the tile, found {} of {} s", tile.integrations, tile.integration_s));
  }
  for (const auto& [key, words] : table.facts) {
    if (key != kIntegrationFlags) continue;
    const std::size_t blank = std::min(words.find(' '), words.size());
    std::int64_t which = 0;
    QualityFlags flags = 0;
    parse(key, std::string_view(words).substr(0, blank), which);
    parse(key, std::string_view(words).substr(std::min(blank + 1, words.size())), flags);
    if (which < 0 || which >= tile.integrations) {
      throw Error(ErrorKind::kBadInput, "photometry", subject,
                  fmt::format("expected flags of {} integrations, found such of number {}", tile.integrations, which));
    }
    tile.integration_flags.resize(static_cast<std::size_t>(tile.integrations));
    tile.integration_flags[static_cast<std::size_t>(which)] = flags;
  }
  return tile;
}

}  // namespace contimg::ops
