#include "state/mosaic_store.h"

#include <algorithm>
#include <cmath>

#include "state/query.h"

namespace contimg::state {
namespace {

#define CONTIMG_MOSAIC_COLUMNS                                                                                         \
  "mosaic_id, name, kind, strip_deg, lst_start_h, lst_end_h, start_mjd, end_mjd, version, state, why, grade, n_used, " \
  "n_refused, settings_hash, is_reference, image_id, updated_at"
constexpr double kSameLstH = 5.0 / 3600;

// Of one window: of an hourly mosaic that of its own day. ?1 kind, ?2 name, ?3 strip, ?4 beginning of the window, ?5
// kSameStripDeg, ?6 kSameLstH.
#define CONTIMG_SAME_WINDOW                                                       \
  " kind = ?1 AND (kind = 'deep' OR name = ?2) AND abs(strip_deg - ?3) < ?5 AND " \
  "abs(lst_start_h - ?4) < ?6 "

MosaicRow ReadMosaic(Query& query) {
  MosaicRow row;
  row.id = query.Integer();
  row.name = query.Text();
  row.kind = query.Text();
  for (double* value : {&row.strip_deg, &row.lst_start_h, &row.lst_end_h, &row.start_mjd, &row.end_mjd}) {
    *value = query.Number();
  }
  row.version = query.Int();
  row.state = query.Text();
  row.why = query.Text();
  row.grade = query.Text();
  row.n_used = query.Int();
  row.n_refused = query.Int();
  row.settings_hash = query.Text();
  row.is_reference = query.Flag();
  row.image_id = query.OptionalInteger();
  row.updated_at = query.Number();
  return row;
}

#define CONTIMG_MOSAIC_TILE_COLUMNS \
  "group_id, image_id, checksum, mjd, used, refusal, why, scale, scale_error, n_references"

std::vector<MosaicTileRow> ReadTiles(Query& query) {
  std::vector<MosaicTileRow> rows;
  while (query.Next()) {
    MosaicTileRow& row = rows.emplace_back();
    row.group_id = query.Text();
    row.image_id = query.OptionalInteger();
    row.checksum = query.Text();
    row.mjd = query.Number();
    row.used = query.Flag();
    row.refusal = query.Text();
    row.why = query.Text();
    row.scale = query.OptionalNumber();
    row.scale_error = query.OptionalNumber();
    row.n_references = query.Int();
  }
  return rows;
}

}  // namespace

bool SameStrip(double one_deg, double other_deg) { return std::abs(one_deg - other_deg) < kSameStripDeg; }

bool SameWindow(double strip_deg, double lst_start_h, double other_strip_deg, double other_lst_start_h) {
  return SameStrip(strip_deg, other_strip_deg) && std::abs(lst_start_h - other_lst_start_h) < kSameLstH;
}

std::int64_t MosaicStore::Open(const MosaicRow& row, double now) {
  std::int64_t id = 0;
  db_.Write([&] {
    Query(
        db_,
        "INSERT INTO mosaics (name, kind, strip_deg, lst_start_h, lst_end_h, start_mjd, end_mjd, version, state, why, "
        "grade, n_used, n_refused, settings_hash, is_reference, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, 0, 'open', "
        "'', '', 0, 0, ?, 0, ?) ON CONFLICT (name) DO UPDATE SET state = 'open', why = '', updated_at = "
        "excluded.updated_at WHERE state <> 'closed'")
        .Bind(row.name, row.kind, row.strip_deg, row.lst_start_h, row.lst_end_h, row.start_mjd, row.end_mjd,
              row.settings_hash, now)
        .Run();
    id = Find(row.name)->id;
  });
  return id;
}

MosaicRow MosaicStore::Close(const MosaicRow& row, const std::vector<MosaicTileRow>& tiles, double now) {
  MosaicRow closed;
  db_.Write([&] {
    const std::int64_t id = Open(row, now);
    std::int64_t version = 0;
    {
      Query query(db_, "SELECT coalesce(max(version), 0) + 1 FROM mosaics WHERE" CONTIMG_SAME_WINDOW);
      query.Bind(row.kind, row.name, row.strip_deg, row.lst_start_h, kSameStripDeg, kSameLstH);
      query.Next();
      version = query.Integer();
    }
    const bool reference = row.kind == "deep" && row.grade != "F";
    if (reference) {
      Query(db_, "UPDATE mosaics SET is_reference = 0 WHERE" CONTIMG_SAME_WINDOW)
          .Bind(row.kind, row.name, row.strip_deg, row.lst_start_h, kSameStripDeg, kSameLstH)
          .Run();
    }
    const auto used = std::count_if(tiles.begin(), tiles.end(), [](const MosaicTileRow& tile) { return tile.used; });
    Query(db_,
          "UPDATE mosaics SET version = ?, state = 'closed', why = '', grade = ?, n_used = ?, n_refused = ?, "
          "settings_hash = ?, is_reference = ?, image_id = ?, updated_at = ? WHERE mosaic_id = ?")
        .Bind(version, row.grade, static_cast<std::int64_t>(used), static_cast<std::int64_t>(tiles.size()) - used,
              row.settings_hash, reference, row.image_id, now, id)
        .Run();
    SaveTiles(id, tiles);
    closed = *Find(row.name);
  });
  return closed;
}

void MosaicStore::SaveTiles(std::int64_t mosaic_id, const std::vector<MosaicTileRow>& tiles) {
  db_.Write([&] {
    Query(db_, "DELETE FROM mosaic_tiles WHERE mosaic_id = ?").Bind(mosaic_id).Run();
    for (const MosaicTileRow& tile : tiles) {
      Query(db_,
            "INSERT INTO mosaic_tiles (mosaic_id, group_id, image_id, checksum, mjd, used, refusal, why, scale, "
            "scale_error, n_references) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
          .Bind(mosaic_id, tile.group_id, tile.image_id, tile.checksum, tile.mjd, tile.used, tile.refusal, tile.why,
                tile.scale, tile.scale_error, tile.n_references)
          .Run();
    }
  });
}

void MosaicStore::Fail(std::string_view name, std::string_view why, double now) {
  db_.Write([&] {
    Query(db_, "UPDATE mosaics SET state = 'failed', why = ?, updated_at = ? WHERE name = ? AND state <> 'closed'")
        .Bind(why, now, name)
        .Run();
  });
}

std::optional<MosaicRow> MosaicStore::Find(std::string_view name) {
  Query query(db_, "SELECT " CONTIMG_MOSAIC_COLUMNS " FROM mosaics WHERE name = ?");
  query.Bind(name);
  return query.Next() ? std::optional(ReadMosaic(query)) : std::nullopt;
}

std::optional<MosaicRow> MosaicStore::Reference(double strip_deg, double lst_start_h) {
  MosaicQuery query;
  query.strip_deg = strip_deg;
  query.lst_start_h = lst_start_h;
  query.references_only = true;
  query.limit = 1;
  const std::vector<MosaicRow> rows = List(query);
  return rows.empty() ? std::nullopt : std::optional(rows.front());
}

std::vector<MosaicRow> MosaicStore::List(const MosaicQuery& selection) {
  Query query(db_, "SELECT " CONTIMG_MOSAIC_COLUMNS
                   " FROM mosaics AS m WHERE (?1 = '' OR kind = ?1) AND (?2 = '' OR state = ?2) AND (?3 IS NULL OR "
                   "abs(strip_deg - ?3) < ?12) AND (?4 IS NULL OR abs(lst_start_h - ?4) < ?13) AND (?5 IS NULL "
                   "OR end_mjd >= ?5) AND (?6 IS NULL OR start_mjd < ?6) AND (?7 = '' OR EXISTS (SELECT 1 FROM "
                   "mosaic_tiles AS t WHERE t.mosaic_id = m.mosaic_id AND t.group_id = ?7)) AND (?8 = 0 OR "
                   "is_reference = 1) AND (?9 IS NULL OR CASE WHEN lst_start_h <= lst_end_h THEN ?9 >= lst_start_h AND "
                   "?9 < lst_end_h ELSE ?9 >= lst_start_h OR ?9 < lst_end_h END) AND (?10 = '' OR (end_mjd, start_mjd, "
                   "name) < (SELECT end_mjd, start_mjd, name FROM mosaics WHERE name = ?10)) ORDER BY end_mjd DESC, "
                   "start_mjd DESC, name DESC LIMIT ?11");
  query.Bind(selection.kind, selection.state, selection.strip_deg, selection.lst_start_h, selection.from_mjd,
             selection.before_mjd, selection.group_id, selection.references_only, selection.lst_h, selection.after,
             selection.limit > 0 ? selection.limit : -1, kSameStripDeg, kSameLstH);
  std::vector<MosaicRow> rows;
  while (query.Next()) rows.push_back(ReadMosaic(query));
  return rows;
}

std::vector<double> MosaicStore::Strips() {
  Query query(db_, "SELECT DISTINCT strip_deg FROM mosaics ORDER BY strip_deg");
  std::vector<double> strips;
  while (query.Next()) strips.push_back(query.Number());
  return strips;
}

std::vector<TileStripRow> MosaicStore::StripsOfTiles(double from_mjd, double to_mjd) {
  Query query(
      db_,
      "SELECT t.group_id, m.strip_deg FROM mosaics AS m JOIN mosaic_tiles AS t USING (mosaic_id) WHERE m.kind = "
      "'hourly' AND m.end_mjd >= ? AND m.start_mjd <= ?");
  query.Bind(from_mjd, to_mjd);
  std::vector<TileStripRow> rows;
  while (query.Next()) {
    TileStripRow& row = rows.emplace_back();
    row.group_id = query.Text();
    row.strip_deg = query.Number();
  }
  return rows;
}

std::vector<MosaicTileRow> MosaicStore::Tiles(std::int64_t mosaic_id) {
  Query query(db_,
              "SELECT " CONTIMG_MOSAIC_TILE_COLUMNS " FROM mosaic_tiles WHERE mosaic_id = ? ORDER BY mjd, group_id");
  return ReadTiles(query.Bind(mosaic_id));
}

std::vector<MosaicTileRow> MosaicStore::JudgementsOf(std::string_view group_id) {
  Query query(db_,
              "SELECT " CONTIMG_MOSAIC_TILE_COLUMNS " FROM mosaic_tiles WHERE group_id = ? ORDER BY mosaic_id DESC");
  return ReadTiles(query.Bind(group_id));
}

#undef CONTIMG_MOSAIC_TILE_COLUMNS
#undef CONTIMG_SAME_WINDOW
#undef CONTIMG_MOSAIC_COLUMNS

}  // namespace contimg::state
