#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr std::string_view kCalRegistry1 = R"sql(
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

constexpr std::string_view kCalRegistry2 = R"sql(
-- JSON list of the ids of the tables whose gains were taken out before this one was solved; [] not known.
ALTER TABLE tables ADD COLUMN rests_on TEXT NOT NULL DEFAULT '[]';

-- What the files' headers say about a group: where the telescope looked and how well it could be calibrated.
CREATE TABLE observations (
  group_id TEXT NOT NULL PRIMARY KEY,
  mid_mjd REAL NOT NULL,
  duration_s REAL NOT NULL,
  ra_deg REAL NOT NULL,
  dec_deg REAL NOT NULL,
  longitude_deg REAL NOT NULL,
  app_dec_deg REAL NOT NULL,
  antennas INTEGER NOT NULL,
  dish_m REAL NOT NULL,
  baseline_deciles_m TEXT NOT NULL,  -- JSON list: shortest, deciles, longest
  integration_s REAL NOT NULL,
  channel_width_hz REAL NOT NULL,
  low_hz REAL NOT NULL,
  high_hz REAL NOT NULL,
  subbands INTEGER NOT NULL
) STRICT;
CREATE INDEX observations_by_time ON observations (mid_mjd);

-- Every solve that was decided on, and what became of it.
CREATE TABLE solves (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  mid_mjd REAL NOT NULL,
  dec_deg REAL NOT NULL,
  interval TEXT NOT NULL CHECK (interval IN ('24h', '1h')),
  model TEXT NOT NULL,
  predicted_snr REAL NOT NULL,
  reason TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'passed', 'failed', 'abandoned')),
  detail TEXT NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL NOT NULL
) STRICT;
CREATE INDEX solves_by_group ON solves (group_id);
CREATE INDEX solves_by_time ON solves (mid_mjd);
CREATE INDEX solves_running ON solves (id) WHERE outcome = 'running';

-- The last decision on a group in one sentence: apply, solve, wait…
CREATE TABLE decisions (
  group_id TEXT NOT NULL PRIMARY KEY,
  action TEXT NOT NULL,
  reason TEXT NOT NULL,
  decided_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

}  // namespace

const Schema& CalRegistrySchema() {
  static const Schema schema{"cal_registry", 0x63696372, {kCalRegistry1, kCalRegistry2}};
  return schema;
}

}  // namespace contimg::state
