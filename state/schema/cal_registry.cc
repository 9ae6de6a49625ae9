#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr std::string_view kVersion1 = R"sql(
CREATE TABLE tables (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('K', 'BP', 'G')),
  interval TEXT NOT NULL CHECK (interval IN ('24h', '1h')),
  valid_from_mjd REAL NOT NULL,
  valid_to_mjd REAL NOT NULL CHECK (valid_to_mjd > valid_from_mjd),
  source_group TEXT NOT NULL,
  model TEXT NOT NULL,
  refant TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('active', 'retired', 'failed')),
  reason TEXT NOT NULL,
  quality_json TEXT NOT NULL,
  flag_fractions_json TEXT NOT NULL,
  checksum TEXT NOT NULL,
  registered_at REAL NOT NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX tables_by_validity ON tables (kind, valid_from_mjd);
CREATE INDEX tables_by_status ON tables (status, kind, valid_from_mjd);

-- Which table a group was given, per kind; NULL: none was found.
CREATE TABLE choices (
  group_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('K', 'BP', 'G')),
  table_id INTEGER REFERENCES tables (id),
  reason TEXT NOT NULL,
  chosen_at REAL NOT NULL,
  PRIMARY KEY (group_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX choices_by_table ON choices (table_id);
)sql";

}  // namespace

const Schema& CalRegistrySchema() {
  static const Schema schema{"cal_registry", 0x63696372, false, {kVersion1}};
  return schema;
}

}  // namespace contimg::state
