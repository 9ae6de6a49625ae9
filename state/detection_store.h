// What was found in tiles without knowing the places, and which tiles' tables of photometry are on record.
//
// Positions are ICRS degrees, fluxes Jy at the tile's frequency, corrected for the primary beam, times MJD days UTC.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"
#include "state/database.h"

namespace contimg::state {

struct DetectionRow {
  std::int64_t number = 0;                // in the tile's catalogue, from 1
  std::optional<std::int64_t> source_id;  // the source of our own that it is
  double ra_deg = 0, dec_deg = 0;
  double ra_error_arcsec = 0, dec_error_arcsec = 0;  // 1 σ on the sky
  double flux_jy = 0, flux_error_jy = 0;
  double snr = 0;           // peak over local rms
  double local_rms_jy = 0;  // before the primary beam
  double response = 1;
  bool resolved = false;
  QualityFlags flags = 0;  // read back with those of the tile
  // Of the tile; read, not written.
  std::string group_id;
  double mjd = 0;
};

class DetectionStore {
 public:
  // Shares the connection of another store, and its transactions.
  explicit DetectionStore(Database& database) : db_(database) {}

  // Puts `rows` in the place of the detections of a tile that is on record (LightCurveStore::ReplaceTile).
  // Error{kUsage} when it is not.
  void Replace(std::string_view group_id, const std::vector<DetectionRow>& rows);
  std::vector<DetectionRow> Of(std::string_view group_id);     // by number
  std::vector<DetectionRow> OfSource(std::int64_t source_id);  // by time
  // Sources with at least so many, by id.
  std::vector<std::int64_t> FoundSources(std::int64_t min_detections);
  // Those that are no source of our own, in tiles with from ≤ mjd ≤ to; by time.
  std::vector<DetectionRow> WithoutSource(double from_mjd, double to_mjd);
  void SetSource(const DetectionRow& row, std::int64_t source_id);

  // The table of photometry with this checksum is on record; or was, and somebody has taken the tile out.
  void SetRecorded(std::string_view group_id, std::string_view checksum, double now);
  std::map<std::string, std::string> Recorded();  // group → checksum

 private:
  Database& db_;
};

}  // namespace contimg::state
