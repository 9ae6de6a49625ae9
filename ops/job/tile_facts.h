// What the tables of photometry and of sources say of their tile: written by the worker, read when they go on record.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config/quality_flags.h"
#include "mosaic/table/table.h"

namespace contimg::ops {

struct TileFacts {
  std::string group;
  double mjd = 0;  // middle of the data, UTC
  double duration_s = 0;
  double ra_deg = 0, dec_deg = 0;  // ICRS, of the centre
  double frequency_hz = 0;
  double beam_major_arcsec = 0;  // of the restoring beam, full widths at half power; 0: not known
  double beam_minor_arcsec = 0;
  QualityFlags flags = 0;  // of all that is measured in it
  // What lacks in tables of before it was asked for.
  std::string telescope;                        // as the data name it; empty: not known
  std::string target;                           // what the telescope followed; empty: it stood still
  double integration_s = 0;                     // from one integration to the next; 0: not known
  std::int64_t integrations = 0;                // 0: not known
  std::vector<QualityFlags> integration_flags;  // of single integrations, as many as there are; empty: none has any
};

// As facts of a table; every digit of the numbers.
std::vector<std::pair<std::string, std::string>> FactsOf(const TileFacts& tile);
// From a table that has them; Error{kBadInput} that names `subject` when one is missing or no number.
TileFacts ParseTileFacts(const mosaic::Table& table, const std::string& subject);

}  // namespace contimg::ops
