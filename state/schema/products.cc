#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr std::string_view kProducts1 = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  group_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  settings_hash TEXT NOT NULL,
  settings_json TEXT NOT NULL,
  program_version TEXT NOT NULL,
  host TEXT NOT NULL,
  command TEXT NOT NULL,
  started_at REAL NOT NULL,
  finished_at REAL NOT NULL,
  outcome TEXT NOT NULL,
  error TEXT NOT NULL,
  peak_memory_bytes INTEGER NOT NULL,
  timings_json TEXT NOT NULL
) STRICT;
CREATE INDEX jobs_by_group ON jobs (group_id, id);

CREATE TABLE products (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  kind TEXT NOT NULL,
  path TEXT NOT NULL UNIQUE,
  group_id TEXT NOT NULL,
  start_mjd REAL NOT NULL,
  end_mjd REAL NOT NULL,
  ra_deg REAL,
  dec_deg REAL,
  size_bytes INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  qa_json TEXT NOT NULL,
  qa_grade TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('present', 'archived', 'removed', 'missing')),
  archive_path TEXT NOT NULL,
  job_id INTEGER REFERENCES jobs (id),
  created_at REAL NOT NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX products_by_group ON products (group_id, kind);
CREATE INDEX products_by_time ON products (kind, start_mjd);
CREATE INDEX products_by_status ON products (status, kind, start_mjd);
CREATE INDEX products_by_job ON products (job_id);

CREATE TABLE lineage (
  child_id INTEGER NOT NULL REFERENCES products (id) ON DELETE CASCADE,
  parent_id INTEGER NOT NULL REFERENCES products (id) ON DELETE CASCADE,
  PRIMARY KEY (child_id, parent_id),
  CHECK (child_id <> parent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX lineage_by_parent ON lineage (parent_id);
)sql";

// What it takes to repeat a job, and all it reported.
constexpr std::string_view kProducts2 = R"sql(
ALTER TABLE jobs ADD COLUMN job_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN report_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN sky_model TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN instruction_set TEXT NOT NULL DEFAULT '';
)sql";

// The newest of all kinds, as the pages list them.
constexpr std::string_view kProducts3 = R"sql(
CREATE INDEX products_by_start ON products (start_mjd, id);
)sql";

// SHA-256 besides the checksum, filled by who has the time (archive, release). Images that were recorded under the kind
// of another (bands as images) or of none get their own.
constexpr std::string_view kProducts4 = R"sql(
ALTER TABLE products ADD COLUMN sha256 TEXT CHECK (sha256 IS NULL OR length(sha256) = 64);
UPDATE products SET kind = 'band.image', qa_json = '{}', qa_grade = ''
  WHERE kind IN ('image', 'image_other')
    AND (path GLOB '*.band[0-9][0-9].image' OR path GLOB '*.band[0-9][0-9].image.fits'
         OR path GLOB '*.band[0-9][0-9].image.fits.fz');
UPDATE products SET kind = 'alpha'
  WHERE kind = 'image_other' AND (path GLOB '*.alpha' OR path GLOB '*.alpha.fits' OR path GLOB '*.alpha.fits.fz');
UPDATE products SET kind = 'alpha.error'
  WHERE kind = 'image_other'
    AND (path GLOB '*.alpha.error' OR path GLOB '*.alpha.error.fits' OR path GLOB '*.alpha.error.fits.fz');
)sql";

// What becomes of products: copies in archives, leave-taking, pins. A copy counts as long as its member is the product
// as it is now: one that was made anew has no copies until it is archived again.
constexpr std::string_view kProducts5 = R"sql(
ALTER TABLE products ADD COLUMN checked_at REAL;
CREATE INDEX products_by_check ON products (checked_at) WHERE status = 'present';

CREATE TABLE archives (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  remote TEXT NOT NULL,
  object TEXT NOT NULL,
  class TEXT NOT NULL,
  group_id TEXT NOT NULL,
  format TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  lossy INTEGER NOT NULL CHECK (lossy IN (0, 1)),
  manifest_json TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('staged', 'copied', 'verified', 'lost', 'retired')),
  attempts INTEGER NOT NULL,
  error TEXT NOT NULL,
  made_at REAL NOT NULL,
  copied_at REAL,
  verified_at REAL,
  checked_at REAL,
  UNIQUE (remote, object)
) STRICT;
CREATE INDEX archives_by_state ON archives (state, checked_at);
CREATE INDEX archives_by_group ON archives (group_id, class);

CREATE TABLE archive_members (
  archive_id INTEGER NOT NULL REFERENCES archives (id) ON DELETE RESTRICT,
  product_id INTEGER NOT NULL REFERENCES products (id) ON DELETE RESTRICT,
  member TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  checksum TEXT NOT NULL,
  PRIMARY KEY (archive_id, product_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX archive_members_by_product ON archive_members (product_id);

CREATE TABLE purges (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  product_id INTEGER REFERENCES products (id) ON DELETE RESTRICT,
  class TEXT NOT NULL,
  path TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  rule TEXT NOT NULL,
  actor TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('planned', 'hidden', 'removed', 'undone', 'restored')),
  at REAL NOT NULL,
  finished_at REAL
) STRICT;
CREATE INDEX purges_by_product ON purges (product_id, id);
CREATE INDEX purges_open ON purges (state) WHERE state IN ('planned', 'hidden');
CREATE INDEX purges_by_end ON purges (state, class, finished_at);

CREATE TABLE pins (
  product_id INTEGER PRIMARY KEY REFERENCES products (id) ON DELETE CASCADE,
  reason TEXT NOT NULL,
  actor TEXT NOT NULL,
  at REAL NOT NULL
) STRICT;

CREATE VIEW product_copies AS
  SELECT m.product_id AS product_id, a.id AS archive_id, a.remote AS remote, a.object AS object, a.state AS state,
         a.lossy AS lossy
  FROM archive_members m JOIN archives a ON a.id = m.archive_id JOIN products p ON p.id = m.product_id
  WHERE m.checksum = p.checksum AND a.state IN ('copied', 'verified');
)sql";

// Whether a copy is lossy is asked of each member: in one object there may be both.
constexpr std::string_view kProducts6 = R"sql(
ALTER TABLE archive_members ADD COLUMN lossy INTEGER NOT NULL DEFAULT 0 CHECK (lossy IN (0, 1));
DROP VIEW product_copies;
CREATE VIEW product_copies AS
  SELECT m.product_id AS product_id, a.id AS archive_id, a.remote AS remote, a.object AS object, a.state AS state,
         m.lossy AS lossy
  FROM archive_members m JOIN archives a ON a.id = m.archive_id JOIN products p ON p.id = m.product_id
  WHERE m.checksum = p.checksum AND a.state IN ('copied', 'verified');
)sql";

// Mosaics and their tiles (state/mosaic_store.h).
constexpr std::string_view kProducts7 = R"sql(
CREATE TABLE mosaics (
  mosaic_id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  kind TEXT NOT NULL CHECK (kind IN ('hourly', 'deep')),
  strip_deg REAL NOT NULL CHECK (strip_deg BETWEEN -90 AND 90),
  lst_start_h REAL NOT NULL,
  lst_end_h REAL NOT NULL,
  start_mjd REAL NOT NULL,
  end_mjd REAL NOT NULL,
  version INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('open', 'closed', 'failed')),
  why TEXT NOT NULL,
  grade TEXT NOT NULL,
  n_used INTEGER NOT NULL,
  n_refused INTEGER NOT NULL,
  settings_hash TEXT NOT NULL,
  is_reference INTEGER NOT NULL CHECK (is_reference IN (0, 1)),
  image_id INTEGER REFERENCES products (id) ON DELETE SET NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX mosaics_by_time ON mosaics (end_mjd, start_mjd);

CREATE TABLE mosaic_tiles (
  mosaic_id INTEGER NOT NULL REFERENCES mosaics (mosaic_id) ON DELETE CASCADE,
  group_id TEXT NOT NULL,
  image_id INTEGER REFERENCES products (id) ON DELETE SET NULL,
  checksum TEXT NOT NULL,
  mjd REAL NOT NULL,
  used INTEGER NOT NULL CHECK (used IN (0, 1)),
  refusal TEXT NOT NULL,
  why TEXT NOT NULL,
  scale REAL,
  scale_error REAL,
  n_references INTEGER NOT NULL,
  PRIMARY KEY (mosaic_id, group_id),
  CHECK (used = (refusal = ''))
) STRICT, WITHOUT ROWID;
CREATE INDEX mosaic_tiles_by_group ON mosaic_tiles (group_id);
)sql";

}  // namespace

const Schema& ProductsSchema() {
  static const Schema schema{
      "products", 0x63697064, {kProducts1, kProducts2, kProducts3, kProducts4, kProducts5, kProducts6, kProducts7}};
  return schema;
}

}  // namespace contimg::state
