#include "state/detection_store.h"

#include "state/query.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

#define CONTIMG_DETECTION_COLUMNS                                                                                   \
  "e.number, e.source_id, e.ra_deg, e.dec_deg, e.ra_error_arcsec, e.dec_error_arcsec, e.flux_jy, e.flux_error_jy, " \
  "e.snr, e.local_rms_jy, e.response, e.resolved, e.flags | t.flags, t.group_id, t.mjd FROM detections e JOIN "     \
  "observations t "                                                                                                 \
  "ON t.id = e.observation_id"

std::vector<DetectionRow> ReadDetections(Query& query) {
  std::vector<DetectionRow> rows;
  while (query.Next()) {
    DetectionRow& row = rows.emplace_back();
    row.number = query.Integer();
    row.source_id = query.OptionalInteger();
    for (double* value : {&row.ra_deg, &row.dec_deg, &row.ra_error_arcsec, &row.dec_error_arcsec, &row.flux_jy,
                          &row.flux_error_jy, &row.snr, &row.local_rms_jy, &row.response}) {
      *value = query.Number();
    }
    row.resolved = query.Flag();
    row.flags = static_cast<QualityFlags>(query.Integer());
    row.group_id = query.Text();
    row.mjd = query.Number();
  }
  return rows;
}

}  // namespace

void DetectionStore::Replace(std::string_view group_id, const std::vector<DetectionRow>& rows) {
  db_.Write([&] {
    std::int64_t tile = 0;
    {
      Query query(db_, "SELECT id FROM observations WHERE group_id = ?");
      query.Bind(group_id);
      if (!query.Next()) throw Error(ErrorKind::kUsage, kStage, std::string(group_id), "no such tile is on record");
      tile = query.Integer();
    }
    Query(db_, "DELETE FROM detections WHERE observation_id = ?").Bind(tile).Run();
    for (const DetectionRow& row : rows) {
      Query(db_,
            "INSERT INTO detections (observation_id, number, source_id, ra_deg, dec_deg, ra_error_arcsec, "
            "dec_error_arcsec, flux_jy, flux_error_jy, snr, local_rms_jy, response, resolved, flags) VALUES (?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .Bind(tile, row.number, row.source_id, row.ra_deg, row.dec_deg, row.ra_error_arcsec, row.dec_error_arcsec,
                row.flux_jy, row.flux_error_jy, row.snr, row.local_rms_jy, row.response, row.resolved,
                static_cast<std::int64_t>(row.flags))
          .Run();
    }
  });
}

std::vector<DetectionRow> DetectionStore::Of(std::string_view group_id) {
  Query query(db_, "SELECT " CONTIMG_DETECTION_COLUMNS " WHERE t.group_id = ? ORDER BY e.number");
  query.Bind(group_id);
  return ReadDetections(query);
}

std::vector<DetectionRow> DetectionStore::OfSource(std::int64_t source_id) {
  Query query(db_, "SELECT " CONTIMG_DETECTION_COLUMNS " WHERE e.source_id = ? ORDER BY t.mjd, t.id, e.number");
  query.Bind(source_id);
  return ReadDetections(query);
}

std::vector<std::int64_t> DetectionStore::FoundSources(std::int64_t min_detections) {
  Query query(db_,
              "SELECT source_id FROM detections WHERE source_id IS NOT NULL GROUP BY source_id HAVING count(*) >= ? "
              "ORDER BY source_id");
  return query.Bind(min_detections).Integers();
}

std::vector<DetectionRow> DetectionStore::WithoutSource(double from_mjd, double to_mjd) {
  Query query(db_, "SELECT " CONTIMG_DETECTION_COLUMNS
                   " WHERE t.mjd BETWEEN ? AND ? AND e.source_id IS NULL ORDER BY t.mjd, t.id, e.number");
  query.Bind(from_mjd, to_mjd);
  return ReadDetections(query);
}

void DetectionStore::SetSource(const DetectionRow& row, std::int64_t source_id) {
  Query(db_,
        "UPDATE detections SET source_id = ? WHERE observation_id = (SELECT id FROM observations WHERE group_id = ?) "
        "AND number = ?")
      .Bind(source_id, row.group_id, row.number)
      .Run();
}

void DetectionStore::SetRecorded(std::string_view group_id, std::string_view checksum, double now) {
  Query(db_,
        "INSERT INTO recorded_photometry (group_id, checksum, recorded_at) VALUES (?, ?, ?) ON CONFLICT (group_id) DO "
        "UPDATE SET checksum = excluded.checksum, recorded_at = excluded.recorded_at")
      .Bind(group_id, checksum, now)
      .Run();
}

std::map<std::string, std::string> DetectionStore::Recorded() {
  std::map<std::string, std::string> recorded;
  Query query(db_, "SELECT group_id, checksum FROM recorded_photometry");
  while (query.Next()) {
    std::string group = query.Text();
    recorded[std::move(group)] = query.Text();
  }
  return recorded;
}

}  // namespace contimg::state
