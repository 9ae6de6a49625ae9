#include "state/instruments.h"

#include <fmt/format.h>

#include <algorithm>

#include "config/telescope.h"
#include "state/mission.h"
#include "state/query.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

constexpr std::string_view kDsa110 = "DSA-110";
constexpr std::int64_t kDsa110Parts = kDsa110StationCount + 1;  // and the correlator

#define CONTIMG_INSTRUMENT_COLUMNS                                                                                  \
  "SELECT i.id, i.uuid, m.name, i.name, i.properties_json, i.parent_id, (SELECT count(*) FROM instruments p WHERE " \
  "p.parent_id = i.id) FROM instruments i JOIN missions m ON m.id = i.mission_id"

std::vector<InstrumentRow> ReadInstruments(Query& query) {
  std::vector<InstrumentRow> rows;
  while (query.Next()) {
    InstrumentRow& row = rows.emplace_back();
    row.id = query.Integer();
    row.uuid = query.Text();
    row.mission = query.Text();
    row.name = query.Text();
    row.properties_json = query.Text();
    row.parent_id = query.OptionalInteger();
    row.parts = query.Integer();
  }
  return rows;
}

Error BadInstrument(const InstrumentRow& row, const std::string& words) {
  return Error(ErrorKind::kBadInput, kStage, row.name.empty() ? "instrument" : row.name, words);
}

std::string PropertiesOf(const Station& station) {
  return fmt::format(
      R"({{"kind":"antenna","number":{},"latitude_deg":{},"longitude_deg":{},"height_m":{},"diameter_m":{},"active":{}}})",
      station.number, station.latitude_deg, station.longitude_deg, station.height_m, kDsa110DishDiameterM,
      station.active);
}

std::string PropertiesOfSubband(int subband) {
  const double half = kDsa110ChannelWidthHz / 2;
  return fmt::format(R"({{"kind":"subband","low_hz":{},"high_hz":{},"channels":{},"channel_width_hz":{}}})",
                     Dsa110ChannelFrequencyHz(subband, kDsa110ChannelsPerSubband - 1) - half,
                     Dsa110ChannelFrequencyHz(subband, 0) + half, kDsa110ChannelsPerSubband, kDsa110ChannelWidthHz);
}

void SaveDsa110(Database& database, std::int64_t id) {
  InstrumentStore store(database);
  InstrumentRow array;
  array.mission = array.name = kDsa110;
  array.properties_json =
      fmt::format(R"({{"kind":"array","latitude_deg":{},"longitude_deg":{},"height_m":{},"stations":{},"active":{}}})",
                  Angle::Radians(kDsa110Centre.latitude_rad).deg(), Angle::Radians(kDsa110Centre.longitude_rad).deg(),
                  kDsa110Centre.height_m, kDsa110StationCount, kDsa110ActiveCount);
  store.Save(array);
  const auto part = [&](std::int64_t of, std::string name, std::string properties) {
    InstrumentRow row;
    row.mission = kDsa110;
    row.name = std::move(name);
    row.properties_json = std::move(properties);
    row.parent_id = of;
    return store.Save(row);
  };
  for (const Station& station : Dsa110Stations()) {
    const std::int64_t antenna = part(id, fmt::format("antenna {}", station.number), PropertiesOf(station));
    for (const char* receptor : {"X", "Y"}) {
      part(antenna, receptor, fmt::format(R"({{"kind":"receptor","sefd_jy":{}}})", kDsa110SefdJy));
    }
  }
  const std::int64_t correlator = part(
      id, "correlator",
      fmt::format(R"({{"kind":"correlator","integration_s":{},"subbands":{}}})", kDsa110IntegrationS, kDsa110Subbands));
  for (int subband = 0; subband < kDsa110Subbands; ++subband) {
    part(correlator, fmt::format("sb{:02}", subband), PropertiesOfSubband(subband));
  }
}

}  // namespace

std::int64_t InstrumentId(Database& database, std::string_view name) {
  std::int64_t id = 0, parts = 0;
  {
    Query query(database,
                "SELECT id, (SELECT count(*) FROM instruments p WHERE p.parent_id = i.id) FROM instruments i WHERE "
                "name = ? AND parent_id IS NULL");
    query.Bind(name);
    if (query.Next()) {
      id = query.Integer();
      parts = query.Integer();
    }
  }
  if (id == 0) {
    InstrumentRow row;
    row.mission = row.name = name;
    id = InstrumentStore(database).Save(row);
  }
  if (name == kDsa110 && parts != kDsa110Parts) SaveDsa110(database, id);
  return id;
}

std::int64_t InstrumentStore::Save(const InstrumentRow& row) {
  if (row.name.empty()) throw BadInstrument(row, "an instrument needs a name");
  std::int64_t id = 0;
  db_.Write([&] {
    {
      Query query(db_,
                  "SELECT json_valid(?1) AND coalesce(json_type(CASE WHEN json_valid(?1) THEN ?1 END), '') = 'object'");
      query.Bind(row.properties_json);
      query.Next();
      if (!query.Flag()) {
        throw BadInstrument(row, fmt::format("expected properties as a JSON object, found {}", row.properties_json));
      }
    }
    if (row.parent_id && !Find(*row.parent_id)) {
      throw BadInstrument(row, fmt::format("is to be a part of instrument {}: there is none", *row.parent_id));
    }
    const std::int64_t mission = MissionId(db_, row.mission.empty() ? row.name : row.mission);
    Query query(
        db_,
        "INSERT INTO instruments (mission_id, name, properties_json, parent_id) VALUES (?, ?, ?, ?) ON CONFLICT "
        "(name) WHERE parent_id IS NULL DO UPDATE SET mission_id = excluded.mission_id, properties_json = "
        "excluded.properties_json ON CONFLICT (parent_id, name) WHERE parent_id IS NOT NULL DO UPDATE SET "
        "mission_id = excluded.mission_id, properties_json = excluded.properties_json RETURNING id");
    query.Bind(mission, row.name, row.properties_json, row.parent_id);
    query.Next();
    id = query.Integer();
  });
  return id;
}

std::optional<InstrumentRow> InstrumentStore::Find(std::int64_t id) {
  Query query(db_, CONTIMG_INSTRUMENT_COLUMNS " WHERE i.id = ?");
  query.Bind(id);
  std::vector<InstrumentRow> rows = ReadInstruments(query);
  if (rows.empty()) return std::nullopt;
  return std::move(rows.front());
}

std::vector<InstrumentRow> InstrumentStore::List(std::optional<std::int64_t> parent_id) {
  Query query(db_, CONTIMG_INSTRUMENT_COLUMNS " WHERE ?1 IS NULL OR i.parent_id = ?1 ORDER BY i.id");
  query.Bind(parent_id);
  return ReadInstruments(query);
}

}  // namespace contimg::state
