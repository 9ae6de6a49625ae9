#include "ops/mosaics/due.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "config/text.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

constexpr double kSecondDays = 1 / kSecondsPerDay;
constexpr double kSameWindowS = 5;  // a strip's declination moves its windows by less

bool OfStrip(const TileOnRecord& tile, double strip_deg) { return std::abs(tile.dec_deg - strip_deg) < kStripReachDeg; }

class Planner {
 public:
  Planner(const MosaicFacts& facts, const MosaicSettings& settings) : facts_(facts), settings_(settings) {}

  std::vector<DueMosaic> Due() {
    std::map<std::string, MosaicWindow> windows;
    for (const TileOnRecord& tile : facts_.tiles) {
      for (MosaicWindow& window : WindowsAt(tile.mjd, StripNear(tile), settings_)) {
        MosaicWindow known = AsOnRecord(std::move(window));
        std::string name = known.name;
        windows.emplace(std::move(name), std::move(known));
      }
    }
    std::vector<DueMosaic> due;
    for (const auto& [name, window] : windows) {
      if (auto each = Judge(window)) due.push_back(std::move(*each));
    }
    return due;
  }

 private:
  // That of the first tile of the strip: one drift has one, though its phase centres wander.
  double StripNear(const TileOnRecord& tile) {
    for (const double strip : strips_) {
      if (OfStrip(tile, strip)) return strip;
    }
    for (const auto& [row, tiles] : facts_.made) {
      if (OfStrip(tile, row.strip_deg)) return strips_.emplace_back(row.strip_deg);
    }
    return strips_.emplace_back(StripOf(tile.dec_deg));
  }

  const std::pair<state::MosaicRow, std::vector<state::MosaicTileRow>>* Made(const MosaicWindow& window) const {
    for (const auto& each : facts_.made) {
      const state::MosaicRow& row = each.first;
      if (std::abs(row.strip_deg - window.strip_deg) < kStripReachDeg &&
          std::abs(row.start_mjd - window.start_mjd) < kSameWindowS * kSecondDays &&
          std::abs(row.end_mjd - window.end_mjd) < kSameWindowS * kSecondDays) {
        return &each;
      }
    }
    return nullptr;
  }
  MosaicWindow AsOnRecord(MosaicWindow window) const {
    const auto* made = Made(window);
    if (made == nullptr) return window;
    const state::MosaicRow& row = made->first;
    return {row.strip_deg, row.lst_start_h, row.lst_end_h, row.start_mjd, row.end_mjd, row.name};
  }

  std::optional<DueMosaic> Judge(const MosaicWindow& window) const {
    const std::vector<TileOnRecord> tiles = TilesOf(window, facts_.tiles);
    if (tiles.size() < 2) return std::nullopt;
    const auto within = [&](double mjd) { return mjd >= window.start_mjd && mjd < window.end_mjd; };
    if (std::any_of(facts_.on_the_way_mjd.begin(), facts_.on_the_way_mjd.end(), within)) return std::nullopt;
    const auto* made = Made(window);
    if (made != nullptr && made->first.version > 0) {
      const std::string why = WhatIsNew(tiles, made->second);
      return why.empty() ? std::nullopt : std::optional(DueMosaic{window, why});
    }
    const std::string why = HasPassed(window, tiles);
    if (why.empty()) return std::nullopt;
    return DueMosaic{window,
                     fmt::format("{} on record; {}", Counted(static_cast<std::int64_t>(tiles.size()), "tile"), why)};
  }

  std::string HasPassed(const MosaicWindow& window, const std::vector<TileOnRecord>& tiles) const {
    if (tiles.back().mjd + (kTileS - 1) * kSecondDays >= window.end_mjd) return "the window's last place is taken";
    const auto later = std::find_if(facts_.tiles.begin(), facts_.tiles.end(), [&](const TileOnRecord& tile) {
      return tile.mjd >= window.end_mjd && OfStrip(tile, window.strip_deg);
    });
    if (later != facts_.tiles.end()) return fmt::format("the later tile {} is on record", later->group);
    double since = UtcTime::FromMjd(window.end_mjd).unix_s();
    for (const TileOnRecord& tile : tiles) since = std::max(since, tile.recorded_at);
    if (facts_.now >= since + kTileS + kMosaicGraceS) return "no more has come for a while";
    return "";
  }

  static std::string WhatIsNew(const std::vector<TileOnRecord>& tiles, const std::vector<state::MosaicTileRow>& used) {
    std::map<std::string, std::string> known;
    for (const state::MosaicTileRow& tile : used) known[tile.group_id] = tile.checksum;
    std::string fresh;
    std::size_t still_there = 0;
    for (const TileOnRecord& tile : tiles) {
      const auto found = known.find(tile.group);
      still_there += found != known.end() ? 1 : 0;
      if (found == known.end()) {
        fresh = fmt::format("the tile {} came late", tile.group);
      } else if (found->second != tile.checksum) {
        fresh = fmt::format("the tile {} was made anew", tile.group);
      }
    }
    return still_there == known.size() ? fresh : "";
  }

  const MosaicFacts& facts_;
  const MosaicSettings& settings_;
  std::vector<double> strips_;
};

}  // namespace

std::vector<TileOnRecord> TilesOf(const MosaicWindow& window, const std::vector<TileOnRecord>& tiles) {
  std::vector<TileOnRecord> some;
  for (const TileOnRecord& tile : tiles) {
    if (tile.mjd >= window.start_mjd && tile.mjd < window.end_mjd && OfStrip(tile, window.strip_deg)) {
      some.push_back(tile);
    }
  }
  return some;
}

std::vector<DueMosaic> DueMosaics(const MosaicFacts& facts, const MosaicSettings& settings) {
  return Planner(facts, settings).Due();
}

}  // namespace contimg::ops
