// What the flux scale of tiles is told by: the mean fluxes of sources of our own that do not vary, found together as
// one version. They stay until the next one is found, so that a tile's scale depends on nothing but its own rows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>

#include "state/database.h"

namespace contimg::state {

struct FluxReferenceVersion {
  std::int64_t version = 0;  // from 1
  double made_at = 0;        // unix_s: when what was on record then was read
  std::int64_t tiles = 0;    // that were on record
  bool finished = false;     // scales, transits and statistics of all follow it
};

class FluxReferenceStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit FluxReferenceStore(Database& database) : db_(database) {}

  // In the place of all there are: source → Jy. Not finished yet.
  void Replace(const std::map<std::int64_t, double>& fluxes, std::int64_t tiles, double made_at);
  void SetFinished();
  std::optional<FluxReferenceVersion> Newest();
  std::optional<double> FluxOf(std::int64_t source_id);

 private:
  Database& db_;
};

}  // namespace contimg::state
