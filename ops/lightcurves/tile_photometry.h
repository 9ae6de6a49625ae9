// The tables that a worker made of a tile (PREFIX.photometry.fits, PREFIX.sources.fits) on record.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/os.h"
#include "ops/lightcurves/tile_frames.h"
#include "state/database.h"
#include "state/product_store.h"

namespace contimg::ops {

struct TileTables {
  std::string group;
  std::filesystem::path photometry, sources;
  std::string photometry_checksum, sources_checksum;  // as recorded with the products
  std::vector<FrameFile> images = {};
};

// Those of products that are present and not on record as they are now, by time; `group`: of one alone, or empty.
std::vector<TileTables> UnrecordedTables(state::ProductStore& products, state::Database& sources,
                                         std::string_view group);

struct RecordedTables {
  std::int64_t measurements = 0, detections = 0;
  std::int64_t first_met = 0;  // sources of our own since now: of a catalogue
  std::int64_t found = 0;      // likewise, seen in this tile and in another of the transit
};

// Puts a tile's measurements, detections and the headers of its images in the place of what is recorded of its group,
// in one transaction with the note that it was done. A detection is the nearest source of our own within half the
// beam's width across (at least state::kSamePlaceArcsec). One that is none, is no suspect and is seen in another tile
// of the same transit, neither tile with a flag of the preset "default", becomes a source of our own: named after its
// place in the earlier tile, put at the mean of both. Throws Error{kIo} for files that cannot be read, Error{kBadInput}
// for such as are not what was recorded or hold no measurements.
RecordedTables RecordTables(state::Database& database, const TileTables& tables, double now, Os& os = RealOs());

}  // namespace contimg::ops
