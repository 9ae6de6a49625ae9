// The headers of a tile's images on record (fits_frames of master_sources.sqlite3).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "state/database.h"
#include "state/observation_store.h"
#include "state/product_store.h"

namespace contimg::ops {

struct FrameFile {
  std::string type;  // the kind of the product
  std::filesystem::path path;
};

// The FITS images of the group that are present, by kind and path.
std::vector<FrameFile> FrameFilesOf(state::ProductStore& products, std::string_view group);
// What their headers say, numbered within their kind. A file that cannot be read has none.
std::vector<state::FrameRow> FramesOf(const std::vector<FrameFile>& files);

// Of observations that have no frames, those that have images now get theirs, each in a transaction of its own: `limit`
// observations behind the one of the id `after` are looked at. Returns the id of the last; 0: there are no more.
std::int64_t RecordMissingFrames(state::ProductStore& products, state::Database& database, std::int64_t after,
                                 int limit);

}  // namespace contimg::ops
