#include "ops/mosaics/strips.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace contimg::ops {
namespace {

double ToATenth(double deg) { return std::round(deg * 10) / 10; }

std::optional<double> NearestOf(const std::vector<double>& strips_deg, double app_dec_deg) {
  const auto nearest = std::min_element(strips_deg.begin(), strips_deg.end(), [&](double a, double b) {
    return std::abs(app_dec_deg - a) < std::abs(app_dec_deg - b);
  });
  return nearest != strips_deg.end() ? std::optional(*nearest) : std::nullopt;
}

}  // namespace

Strips::Strips(std::vector<double> known_deg, const std::vector<state::TileStripRow>& of_tiles)
    : known_deg_(std::move(known_deg)) {
  for (const state::TileStripRow& tile : of_tiles) of_tiles_[tile.group_id].push_back(tile.strip_deg);
}

Strips Strips::OnRecord(state::MosaicStore& mosaics, double from_mjd, double to_mjd) {
  return {mosaics.Strips(), mosaics.StripsOfTiles(from_mjd, to_mjd)};
}

std::optional<double> Strips::Nearest(double app_dec_deg) const {
  const std::optional<double> nearest = NearestOf(known_deg_, app_dec_deg);
  return nearest && std::abs(app_dec_deg - *nearest) < kStripReachDeg ? nearest : std::nullopt;
}

double Strips::Of(const std::string& group, double app_dec_deg) {
  // An earlier version may have put it into mosaics of several.
  if (const auto tile = of_tiles_.find(group); tile != of_tiles_.end()) return *NearestOf(tile->second, app_dec_deg);
  if (const auto nearest = Nearest(app_dec_deg)) return *nearest;
  return known_deg_.emplace_back(ToATenth(app_dec_deg));
}

}  // namespace contimg::ops
