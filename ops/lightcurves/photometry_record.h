// Tables of photometry (docs/formats/light-curves.md) on record: rows go to sources of our own by their places.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mosaic/table/read_csv.h"
#include "state/database.h"
#include "state/light_curve_store.h"

namespace contimg::ops {

// What the columns do not say of the observations of a table.
struct ObservedAs {
  std::string instrument = "DSA-110";
  std::optional<state::TrackingRow> tracking;  // none: it drifted
};

struct RecordedTile {
  std::string group_id;
  std::int64_t measurements = 0;
};
struct RecordedPhotometry {
  std::vector<RecordedTile> tiles;
  std::int64_t new_sources = 0;
};

// Records the tiles of a table as `contimg photometry` writes it, each in the place of what is recorded of its group;
// all or nothing. LightCurveRecorder::Record says which rows are of which sources. Throws Error{kBadInput} for columns
// that lack, tiles of two times, and what no measurement has.
RecordedPhotometry RecordPhotometry(state::Database& database, const mosaic::CsvTable& table, double now,
                                    const ObservedAs& as = {});

}  // namespace contimg::ops
