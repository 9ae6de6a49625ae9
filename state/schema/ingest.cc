#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

// Times are UTC seconds since 1970 unless the name says mjd. Ids are ISO timestamps, so their order is the order of
// time.
constexpr std::string_view kIngest1 = R"sql(
CREATE TABLE groups (
  id TEXT NOT NULL PRIMARY KEY CHECK (length(id) > 0),
  state TEXT NOT NULL CHECK (state IN ('collecting', 'ready', 'running', 'awaiting_calibration', 'done', 'failed',
                                       'dead', 'held', 'cancelled')),
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_attempt_at REAL NOT NULL,
  error_kind TEXT,
  error TEXT NOT NULL,
  subbands_present INTEGER NOT NULL,
  subbands_expected INTEGER NOT NULL,
  data_start_mjd REAL NOT NULL,
  data_end_mjd REAL NOT NULL,
  first_file_at REAL NOT NULL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL NOT NULL,
  executor TEXT NOT NULL,
  executor_id TEXT NOT NULL,
  lease_owner TEXT NOT NULL,
  lease_expires_at REAL NOT NULL,
  stage TEXT NOT NULL,
  progress REAL NOT NULL,
  timings_json TEXT NOT NULL,
  CHECK ((state = 'running') = (lease_owner <> ''))
) STRICT;
CREATE INDEX groups_by_state ON groups (state, id);
CREATE INDEX groups_by_error ON groups (error_kind, id) WHERE error_kind IS NOT NULL;
CREATE INDEX groups_due_newest ON groups (priority DESC, id DESC, next_attempt_at) WHERE state IN ('ready', 'failed');
CREATE INDEX groups_due_oldest ON groups (priority DESC, id ASC, next_attempt_at) WHERE state IN ('ready', 'failed');
CREATE INDEX groups_next_due ON groups (next_attempt_at) WHERE state IN ('ready', 'failed');
CREATE INDEX groups_leases ON groups (lease_expires_at) WHERE state = 'running';

CREATE TABLE subband_files (
  group_id TEXT NOT NULL REFERENCES groups (id) ON UPDATE CASCADE ON DELETE CASCADE,
  subband INTEGER NOT NULL,
  path TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  mtime REAL NOT NULL,
  checksum TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('present', 'late', 'duplicate', 'conflict', 'quarantined', 'removed')),
  seen_at REAL NOT NULL,
  PRIMARY KEY (group_id, subband, path)
) STRICT, WITHOUT ROWID;
CREATE INDEX subband_files_by_path ON subband_files (path);
CREATE INDEX subband_files_by_status ON subband_files (status);
CREATE INDEX subband_files_by_time ON subband_files (seen_at);

-- The audit trail outlives its groups, so group_id is no foreign key; only a renamed group changes it.
CREATE TABLE events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at REAL NOT NULL,
  group_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  from_state TEXT NOT NULL,
  to_state TEXT NOT NULL,
  actor TEXT NOT NULL,
  detail TEXT NOT NULL
) STRICT;
CREATE INDEX events_by_group ON events (group_id, id);
CREATE TRIGGER events_are_never_edited BEFORE UPDATE OF id, at, kind, from_state, to_state, actor, detail ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
CREATE TRIGGER events_are_never_removed BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END;
)sql";

// Done groups whose input has changed since.
constexpr std::string_view kIngest2 = R"sql(
CREATE INDEX groups_marked ON groups (id) WHERE state = 'done' AND error <> '';
)sql";

// Work that is no group. Its id is "<kind>/<subject>"; its events are in the same trail under that id.
constexpr std::string_view kIngest3 = R"sql(
CREATE TABLE tasks (
  id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL CHECK (state IN ('ready', 'running', 'done', 'failed', 'dead', 'held', 'cancelled')),
  priority INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_attempt_at REAL NOT NULL,
  error_kind TEXT,
  error TEXT NOT NULL,
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL NOT NULL,
  executor TEXT NOT NULL,
  executor_id TEXT NOT NULL,
  lease_owner TEXT NOT NULL,
  lease_expires_at REAL NOT NULL,
  stage TEXT NOT NULL,
  progress REAL NOT NULL,
  timings_json TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (length(kind) > 0),
  subject TEXT NOT NULL CHECK (length(subject) > 0),
  CHECK (id = kind || '/' || subject),
  CHECK ((state = 'running') = (lease_owner <> ''))
) STRICT;
CREATE INDEX tasks_by_kind ON tasks (kind, created_at);
CREATE INDEX tasks_due_newest ON tasks (priority DESC, id DESC, next_attempt_at) WHERE state IN ('ready', 'failed');
CREATE INDEX tasks_due_oldest ON tasks (priority DESC, id ASC, next_attempt_at) WHERE state IN ('ready', 'failed');
CREATE INDEX tasks_leases ON tasks (lease_expires_at) WHERE state = 'running';
)sql";

}  // namespace

const Schema& IngestSchema() {
  static const Schema schema{"ingest", 0x63696e67, {kIngest1, kIngest2, kIngest3}};
  return schema;
}

}  // namespace contimg::state
