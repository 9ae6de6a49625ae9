// A mosaic of tiles on record, made and put on record itself: by the service's task and by an operator alike.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"
#include "ops/mosaicking/mosaic_job.h"
#include "ops/mosaics/windows.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {

// Which tiles, under which name.
struct MosaicOrder {
  std::string kind;     // "hourly", "deep"
  MosaicWindow window;  // of a deep one: start, end and name are those of its tiles
  std::vector<TileOnRecord> tiles;
  // unix_s. An attempt that was killed may have made it: when it is on record since then, as this order would make it,
  // and its files are as recorded, it is taken as it is, so that one order is one version. Nothing: it is made.
  std::optional<double> asked_at = std::nullopt;
};

// The tiles of one passage. Throws Error{kBadInput} when there are fewer than two.
MosaicOrder OrderHourly(state::ProductStore& products, const MosaicWindow& window);

// What a deep one is of: all passages of a strip through a window of sidereal time, or the newest `days` that have
// tiles, with data from `from_mjd` to `to_mjd`.
struct DeepRequest {
  std::optional<double> strip_deg;        // nothing: the only strip that has tiles there
  double lst_start_h = 0, lst_end_h = 0;  // [0, 24)
  int days = 0;                           // 0: all
  double from_mjd = 0, to_mjd = 1e6;
};
// Throws Error{kUsage} when the tiles are of several strips and none is named, Error{kBadInput} when there are fewer
// than two.
MosaicOrder OrderDeep(state::ProductStore& products, const DeepRequest& request);

struct MadeMosaic {
  state::MosaicRow row;
  bool was_there = false;  // made by an attempt before; then there is no report, nor what was found and measured
  mosaic::MosaicReport report;
  std::size_t found = 0, measured = 0;
  std::vector<std::string> marked;  // tiles whose measurements got other flags (ops/mosaics/gate_marks.h)
};
// Makes it, replacing files of an earlier version, and puts it on record with its products, their lineage and its tiles
// in one transaction; then the measurements of the tiles are marked by what it says of them. Killed at any time, it is
// made again from its beginning, to the same bits. Throws what mosaic/mosaic_stage.h does, after noting it on the
// mosaic's record where trying again would not help.
MadeMosaic MakeMosaic(const MosaicOrder& order, const ProductPaths& paths, const Settings& settings,
                      state::ProductStore& products, const RunContext& context);

}  // namespace contimg::ops
