// What became of each window of some time, for those who ask whether a strip is whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.h"
#include "ops/mosaics/windows.h"
#include "state/group_store.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

struct WindowState {
  MosaicWindow window;
  std::size_t tiles = 0;                 // on record and on the disk
  std::optional<state::MosaicRow> made;  // as it stands on record
  // made     its mosaic is there, and nothing else is under way
  // making, queued, held, failed          as its newest task is, or its record where there is none
  // due      it is asked for next
  // waiting  more of it may come
  // alone    it has one tile, of which nothing is made
  std::string state;
  std::string why;   // a sentence; empty: nothing to say
  std::string task;  // the newest one, "mosaic/…"; empty: none
};

struct WindowsOfTime {
  double from_mjd = 0, to_mjd = 0;
  std::vector<WindowState> windows;  // by time
};
// Those that overlap from ≤ time < to and have tiles or a mosaic; a day from the one that is given, or up to the end of
// the newest tile on record. `groups`, where the tasks are, may be null.
WindowsOfTime WindowStates(state::ProductStore& products, state::GroupStore* groups, const MosaicSettings& settings,
                           std::optional<double> from_mjd, std::optional<double> to_mjd, double now);

void KeepStrip(WindowsOfTime& windows, double strip_deg);

// "made", "being made", "waits in the queue", …
std::string_view SpokenState(const WindowState& window);
// "46 windows: 44 made, 1 failed, 1 of one tile".
std::string CountedStates(const std::vector<WindowState>& windows);

}  // namespace contimg::ops
