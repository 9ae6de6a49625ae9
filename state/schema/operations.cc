#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

// What keeps the place in order, and what it found: neither queue nor products.
constexpr std::string_view kOperations1 = R"sql(
CREATE TABLE maintenance_runs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  dry_run INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
  started_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  finished_at REAL,
  outcome TEXT NOT NULL CHECK (outcome IN ('running', 'ok', 'failed', 'refused', 'cancelled')),
  error TEXT NOT NULL,
  progress REAL NOT NULL,
  figures_json TEXT NOT NULL
) STRICT;
CREATE INDEX maintenance_runs_by_kind ON maintenance_runs (kind, outcome, finished_at);

CREATE TABLE integrity_findings (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  place TEXT NOT NULL,
  subject TEXT NOT NULL,
  detail TEXT NOT NULL,
  resolved_at REAL
) STRICT;
CREATE INDEX integrity_findings_open ON integrity_findings (place, subject) WHERE resolved_at IS NULL;
)sql";

}  // namespace

const Schema& OperationsSchema() {
  static const Schema schema{"operations", 0x63696f70, {kOperations1}};
  return schema;
}

}  // namespace contimg::state
