// Which mosaics are to be made now: a pure function of the tiles on record, of what is on the way, of the mosaics on
// record and of the time.
//
// A window has passed when no other tile of it can come: its last place is taken, a later tile of the strip is on
// record, or (no more data) it ended a tile and kGraceS ago by the clock and nothing of it was recorded since then.
// While a group of it is on the way (collecting to running, or to be tried again) it is waited for. Nothing is made of
// one tile. One that is made is made again when a tile came late or anew, unless tiles that it has are gone from the
// disk: what is there stays better.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/settings.h"
#include "ops/mosaics/windows.h"
#include "state/mosaic_store.h"

namespace contimg::ops {

inline constexpr double kMosaicGraceS = 600;

struct MosaicFacts {
  std::vector<TileOnRecord> tiles;     // by time; all of a time with a margin of a window
  std::vector<double> on_the_way_mjd;  // groups: about the middle of their data
  std::vector<std::pair<state::MosaicRow, std::vector<state::MosaicTileRow>>> made;  // hourly ones of that time
  double now = 0;                                                                    // unix_s
};

// A window with tiles on record, and what is to become of it.
struct WindowWithTiles {
  MosaicWindow window;
  std::size_t tiles = 0;
  double news_at = 0;                    // unix_s: when the newest of these was recorded
  std::optional<state::MosaicRow> made;  // as it stands on record
  bool due = false;
  std::string why;  // it is due, or what it waits for; empty: it is made, and nothing is new
};
// By time, one strip after the other where they have windows of one time.
std::vector<WindowWithTiles> WindowsWithTiles(const MosaicFacts& facts, const MosaicSettings& settings);

struct DueMosaic {
  MosaicWindow window;
  std::string why;     // for the trail
  double news_at = 0;  // as above
};

std::vector<DueMosaic> DueMosaics(const MosaicFacts& facts, const MosaicSettings& settings);

// The tiles of a window (by time), as far as they are among `tiles`.
std::vector<TileOnRecord> TilesOf(const MosaicWindow& window, const std::vector<TileOnRecord>& tiles);

}  // namespace contimg::ops
