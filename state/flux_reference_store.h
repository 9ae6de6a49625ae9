// What tiles are compared with: the mean fluxes of sources of our own that do not vary, which tell their flux scale,
// and the usual beam of each declination; found together as one version. They stay until the next one is found, so that
// what is said of a tile depends on nothing but its own rows.
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

struct UsualBeam {
  double major_arcsec = 0, minor_arcsec = 0;  // full widths at half power
};

class FluxReferenceStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit FluxReferenceStore(Database& database) : db_(database) {}

  // In the place of all there are: source → Jy, declination → beam. Not finished yet.
  void Replace(const std::map<std::int64_t, double>& fluxes, const std::map<int, UsualBeam>& beams, std::int64_t tiles,
               double made_at);
  void SetFinished();
  std::optional<FluxReferenceVersion> Newest();
  std::optional<double> FluxOf(std::int64_t source_id);
  std::optional<UsualBeam> BeamAt(int declination_deg);

 private:
  Database& db_;
};

}  // namespace contimg::state
