// The height of the tiles of bulk columns. C++17.
#pragma once

#include <algorithm>
#include <cstddef>

namespace contimg::convert::internal {

// Rows in a tile of about 1 MiB that spans all channels and polarisations: a multiple of 8, so that tiles of flag bits
// end on bytes.
inline std::size_t TileRows(std::size_t row_bytes) {
  constexpr std::size_t kTileBytes = 1u << 20;
  return std::clamp<std::size_t>(kTileBytes / row_bytes / 8 * 8, 8, 65536);
}

}  // namespace contimg::convert::internal
