#include "state/dataset_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "state/mission.h"
#include "state/query.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are stored as they lie in memory");

#define CONTIMG_DATASET_COLUMNS                                                                                      \
  "d.id, d.source_id, d.name, m.name, k.name, p.name, p.description, p.parameters_json, p.parameters_hash, d.unit, " \
  "d.time_frame, d.input_hash, d.provenance_json, d.made_at"
#define CONTIMG_DATASET_TABLES                                                                    \
  " FROM datasets d JOIN missions m ON m.id = d.mission_id JOIN photometric_sources k ON k.id = " \
  "d.photometric_source_id LEFT JOIN processing_methods p ON p.id = d.processing_method_id"

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> ValuesOf(std::string_view bytes) {
  std::vector<T> values(bytes.size() / sizeof(T));
  if (!values.empty()) std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

DatasetRow ReadDataset(Query& query) {
  DatasetRow row;
  row.id = query.Integer();
  row.source_id = query.Integer();
  row.name = query.Text();
  row.mission = query.Text();
  row.photometry = query.Text();
  ProcessingMethodRow method;
  method.name = query.Text();
  method.description = query.Text();
  method.parameters_json = query.Text();
  method.parameters_hash = query.Text();
  if (!method.name.empty()) row.method = std::move(method);
  row.unit = query.Text();
  row.time_frame = query.Text();
  row.input_hash = query.Text();
  row.provenance_json = query.Text();
  row.made_at = query.Number();
  return row;
}

void ReadPoints(Query& query, DatasetRow& row) {
  row.times = ValuesOf<double>(query.Bytes());
  row.fluxes = ValuesOf<double>(query.Bytes());
  row.errors = ValuesOf<double>(query.Bytes());
  row.flags = ValuesOf<QualityFlags>(query.Bytes());
}

void RequireSeries(const DatasetRow& row) {
  const std::size_t n = row.times.size();
  if (row.fluxes.size() != n || row.errors.size() != n || row.flags.size() != n) {
    throw Error(ErrorKind::kBadInput, kStage, row.name,
                fmt::format("expected as many fluxes, errors and flags as times, found {}, {}, {} and {}",
                            row.fluxes.size(), row.errors.size(), row.flags.size(), n));
  }
  if (const auto fall =
          std::adjacent_find(row.times.begin(), row.times.end(), [](double a, double b) { return !(a < b); });
      fall != row.times.end()) {
    throw Error(ErrorKind::kBadInput, kStage, row.name,
                fmt::format("expected rising times, found {} before {}", *fall, *(fall + 1)));
  }
}

}  // namespace

void DatasetStore::SaveMission(const MissionRow& row) {
  db_.Write([&] {
    MissionId(db_, row.name);
    Query query(db_,
                "UPDATE missions SET description = ?, time_unit = ?, time_epoch = ?, time_epoch_scale = ?, "
                "time_epoch_format = ?, time_format_name = ? WHERE name = ?");
    query
        .Bind(row.description, row.time_unit, row.time_epoch, row.time_epoch_scale, row.time_epoch_format,
              row.time_format_name.empty() ? std::nullopt : std::optional(row.time_format_name), row.name)
        .Run();
  });
}

std::optional<MissionRow> DatasetStore::Mission(std::string_view name) {
  Query query(db_,
              "SELECT uuid, name, description, time_unit, time_epoch, time_epoch_scale, time_epoch_format, "
              "coalesce(time_format_name, '') FROM missions WHERE name = ?");
  query.Bind(name);
  if (!query.Next()) return std::nullopt;
  MissionRow row;
  row.uuid = query.Text();
  row.name = query.Text();
  row.description = query.Text();
  row.time_unit = query.Text();
  row.time_epoch = query.Number();
  row.time_epoch_scale = query.Text();
  row.time_epoch_format = query.Text();
  row.time_format_name = query.Text();
  return row;
}

std::vector<std::string> DatasetStore::Missions() {
  Query query(db_, "SELECT name FROM missions ORDER BY id");
  return query.Texts();
}

std::vector<ProcessingMethodRow> DatasetStore::Methods() {
  Query query(db_, "SELECT name, description, parameters_json, parameters_hash FROM processing_methods ORDER BY id");
  std::vector<ProcessingMethodRow> rows;
  while (query.Next()) {
    ProcessingMethodRow& row = rows.emplace_back();
    row.name = query.Text();
    row.description = query.Text();
    row.parameters_json = query.Text();
    row.parameters_hash = query.Text();
  }
  return rows;
}

std::vector<std::pair<std::string, std::string>> DatasetStore::Photometry() {
  Query query(db_, "SELECT name, description FROM photometric_sources ORDER BY id");
  std::vector<std::pair<std::string, std::string>> rows;
  while (query.Next()) {
    std::string name = query.Text();
    rows.emplace_back(std::move(name), query.Text());
  }
  return rows;
}

void DatasetStore::SavePhotometry(std::string_view name, std::string_view description) {
  db_.Write([&] {
    Query(db_, "INSERT INTO photometric_sources (name, description) VALUES (?, ?) ON CONFLICT (name) DO NOTHING")
        .Bind(name, description)
        .Run();
  });
}

DatasetRow DatasetStore::Save(const DatasetRow& row, const std::vector<std::int64_t>& parents, double now) {
  RequireSeries(row);
  std::int64_t id = 0;
  db_.Write([&] {
    const std::int64_t mission = MissionId(db_, row.mission);
    if (row.method) {
      Query(db_,
            "INSERT INTO processing_methods (name, description, parameters_json, parameters_hash) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (parameters_hash) DO NOTHING")
          .Bind(row.method->name, row.method->description, row.method->parameters_json, row.method->parameters_hash)
          .Run();
    }
    {
      Query query(db_,
                  "INSERT INTO datasets (source_id, mission_id, photometric_source_id, processing_method_id, name, "
                  "unit, time_frame, n, times, fluxes, errors, flags, input_hash, provenance_json, made_at) VALUES "
                  "(?1, ?2, (SELECT id FROM photometric_sources WHERE name = ?3), (SELECT id FROM processing_methods "
                  "WHERE parameters_hash = ?4), ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT "
                  "(source_id, name) DO UPDATE SET mission_id = "
                  "excluded.mission_id, photometric_source_id = excluded.photometric_source_id, processing_method_id "
                  "= excluded.processing_method_id, unit = excluded.unit, time_frame = excluded.time_frame, n = "
                  "excluded.n, times = excluded.times, fluxes = excluded.fluxes, errors = excluded.errors, flags = "
                  "excluded.flags, input_hash = excluded.input_hash, provenance_json = excluded.provenance_json, "
                  "made_at = excluded.made_at RETURNING id");
      const auto blob = [&](std::string_view bytes) {
        return row.times.empty() ? std::nullopt : std::optional(Blob{bytes});
      };
      query.Bind(row.source_id, mission, row.photometry,
                 row.method ? std::optional(row.method->parameters_hash) : std::nullopt, row.name, row.unit,
                 row.time_frame, static_cast<std::int64_t>(row.times.size()), blob(BytesOf(row.times)),
                 blob(BytesOf(row.fluxes)), blob(BytesOf(row.errors)), blob(BytesOf(row.flags)), row.input_hash,
                 row.provenance_json, now);
      query.Next();
      id = query.Integer();
    }
    Query(db_, "DELETE FROM dataset_lineage WHERE child_id = ?").Bind(id).Run();
    for (const std::int64_t parent : parents) {
      const auto above = Ancestors(parent);
      if (parent == id || std::find(above.begin(), above.end(), id) != above.end()) {
        throw Error(ErrorKind::kUsage, kStage, row.name, "a data set cannot be made of itself");
      }
      Query(db_, "INSERT OR IGNORE INTO dataset_lineage (child_id, parent_id) VALUES (?, ?)").Bind(id, parent).Run();
    }
  });
  return *Find(id);
}

std::optional<DatasetRow> DatasetStore::Find(std::int64_t id) {
  Query query(db_, "SELECT " CONTIMG_DATASET_COLUMNS ", d.times, d.fluxes, d.errors, d.flags" CONTIMG_DATASET_TABLES
                   " WHERE d.id = ?");
  query.Bind(id);
  if (!query.Next()) return std::nullopt;
  DatasetRow row = ReadDataset(query);
  ReadPoints(query, row);
  return row;
}

std::optional<DatasetRow> DatasetStore::FindByName(std::int64_t source_id, std::string_view name) {
  Query query(db_, "SELECT " CONTIMG_DATASET_COLUMNS ", d.times, d.fluxes, d.errors, d.flags" CONTIMG_DATASET_TABLES
                   " WHERE d.source_id = ? AND d.name = ?");
  query.Bind(source_id, name);
  if (!query.Next()) return std::nullopt;
  DatasetRow row = ReadDataset(query);
  ReadPoints(query, row);
  return row;
}

std::vector<DatasetRow> DatasetStore::Of(std::int64_t source_id) {
  Query query(db_, "SELECT " CONTIMG_DATASET_COLUMNS CONTIMG_DATASET_TABLES " WHERE d.source_id = ? ORDER BY d.id");
  query.Bind(source_id);
  std::vector<DatasetRow> rows;
  while (query.Next()) rows.push_back(ReadDataset(query));
  return rows;
}

std::vector<std::int64_t> DatasetStore::SourcesWithPoints() {
  Query query(db_, "SELECT DISTINCT source_id FROM datasets WHERE times IS NOT NULL ORDER BY source_id");
  return query.Integers();
}

std::vector<std::int64_t> DatasetStore::Parents(std::int64_t id) {
  Query query(db_, "SELECT parent_id FROM dataset_lineage WHERE child_id = ? ORDER BY parent_id");
  query.Bind(id);
  return query.Integers();
}

std::vector<std::int64_t> DatasetStore::Children(std::int64_t id) {
  Query query(db_, "SELECT child_id FROM dataset_lineage WHERE parent_id = ? ORDER BY child_id");
  query.Bind(id);
  return query.Integers();
}

std::vector<std::int64_t> DatasetStore::Ancestors(std::int64_t id) {
  Query query(db_,
              "WITH RECURSIVE above (id) AS (SELECT parent_id FROM dataset_lineage WHERE child_id = ?1 UNION SELECT "
              "l.parent_id FROM dataset_lineage l JOIN above a ON l.child_id = a.id) SELECT id FROM above ORDER BY id");
  query.Bind(id);
  return query.Integers();
}

}  // namespace contimg::state
