#include "ops/mosaics/due.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "config/text.h"
#include "config/time.h"

namespace contimg::ops {
namespace {

constexpr double kSecondDays = 1 / kSecondsPerDay;
constexpr double kSameWindowS = 5;  // a strip's declination moves its windows by less

class Planner {
 public:
  Planner(const MosaicFacts& facts, const MosaicSettings& settings) : facts_(facts), settings_(settings) {}

  std::vector<WindowWithTiles> Windows() {
    std::map<std::string, WindowWithTiles> windows;  // their names begin with their times
    for (const TileOnRecord& tile : facts_.tiles) {
      for (MosaicWindow& window : WindowsAt(tile.mjd, tile.strip_deg, settings_)) {
        WindowWithTiles known = AsOnRecord(std::move(window));
        std::string name = known.window.name;
        windows.emplace(std::move(name), std::move(known));
      }
    }
    std::vector<WindowWithTiles> judged;
    for (auto& [name, window] : windows) {
      Judge(window);
      if (window.tiles > 0) judged.push_back(std::move(window));
    }
    return judged;
  }

 private:
  using Made = std::pair<state::MosaicRow, std::vector<state::MosaicTileRow>>;

  const Made* MadeOf(const MosaicWindow& window) const {
    for (const Made& each : facts_.made) {
      const state::MosaicRow& row = each.first;
      if (state::SameStrip(row.strip_deg, window.strip_deg) &&
          std::abs(row.start_mjd - window.start_mjd) < kSameWindowS * kSecondDays &&
          std::abs(row.end_mjd - window.end_mjd) < kSameWindowS * kSecondDays) {
        return &each;
      }
    }
    return nullptr;
  }
  WindowWithTiles AsOnRecord(MosaicWindow window) const {
    WindowWithTiles known;
    known.window = std::move(window);
    if (const Made* made = MadeOf(known.window)) {
      const state::MosaicRow& row = made->first;
      known.window = WindowOf(row);
      known.made = row;
    }
    return known;
  }

  void Judge(WindowWithTiles& each) const {
    const std::vector<TileOnRecord> tiles = TilesOf(each.window, facts_.tiles);
    each.tiles = tiles.size();
    for (const TileOnRecord& tile : tiles) each.news_at = std::max(each.news_at, tile.recorded_at);
    if (tiles.size() < 2) {
      each.why = "of one tile nothing is made";
      return;
    }
    const auto on_the_way = std::count_if(facts_.on_the_way_mjd.begin(), facts_.on_the_way_mjd.end(), [&](double mjd) {
      return mjd >= each.window.start_mjd && mjd < each.window.end_mjd;
    });
    const bool made = each.made && each.made->version > 0;
    const std::string fresh = made ? WhatIsNew(tiles, MadeOf(each.window)->second) : std::string();
    if (made && fresh.empty()) return;
    if (on_the_way > 0) {
      each.why = fmt::format("{} of it on the way", Counted(static_cast<std::int64_t>(on_the_way), "group"));
      return;
    }
    const std::string passed = made ? std::string() : HasPassed(each.window, tiles, each.news_at);
    each.due = made || !passed.empty();
    if (!each.due) {
      each.why = "more of it may come";
    } else if (made) {
      each.why = fresh;
    } else {
      each.why = fmt::format("{} on record; {}", Counted(static_cast<std::int64_t>(tiles.size()), "tile"), passed);
    }
  }

  std::string HasPassed(const MosaicWindow& window, const std::vector<TileOnRecord>& tiles, double news_at) const {
    if (tiles.back().mjd + (kTileS - 1) * kSecondDays >= window.end_mjd) return "the window's last place is taken";
    const auto later = std::find_if(facts_.tiles.begin(), facts_.tiles.end(), [&](const TileOnRecord& tile) {
      return tile.mjd >= window.end_mjd && state::SameStrip(tile.strip_deg, window.strip_deg);
    });
    if (later != facts_.tiles.end()) return fmt::format("the later tile {} is on record", later->group);
    const double since = std::max(UtcTime::FromMjd(window.end_mjd).unix_s(), news_at);
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
};

}  // namespace

std::vector<TileOnRecord> TilesOf(const MosaicWindow& window, const std::vector<TileOnRecord>& tiles) {
  std::vector<TileOnRecord> some;
  for (const TileOnRecord& tile : tiles) {
    const bool inside = tile.mjd >= window.start_mjd && tile.mjd < window.end_mjd;
    if (inside && state::SameStrip(tile.strip_deg, window.strip_deg)) some.push_back(tile);
  }
  return some;
}

std::vector<WindowWithTiles> WindowsWithTiles(const MosaicFacts& facts, const MosaicSettings& settings) {
  return Planner(facts, settings).Windows();
}

std::vector<DueMosaic> DueMosaics(const MosaicFacts& facts, const MosaicSettings& settings) {
  std::vector<DueMosaic> due;
  for (WindowWithTiles& each : WindowsWithTiles(facts, settings)) {
    if (each.due) due.push_back({std::move(each.window), std::move(each.why), each.news_at});
  }
  return due;
}

}  // namespace contimg::ops
