#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

constexpr std::string_view kVersion1 = R"sql(
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
constexpr std::string_view kVersion2 = R"sql(
ALTER TABLE jobs ADD COLUMN job_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN report_json TEXT NOT NULL DEFAULT '{}';
ALTER TABLE jobs ADD COLUMN sky_model TEXT NOT NULL DEFAULT '';
ALTER TABLE jobs ADD COLUMN instruction_set TEXT NOT NULL DEFAULT '';
)sql";

// The newest of all kinds, as the pages list them.
constexpr std::string_view kVersion3 = R"sql(
CREATE INDEX products_by_start ON products (start_mjd, id);
)sql";

// SHA-256 besides the checksum, filled by who has the time (archive, release). Images that were recorded under the kind
// of another (bands as images) or of none get their own.
constexpr std::string_view kVersion4 = R"sql(
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

}  // namespace

const Schema& ProductsSchema() {
  static const Schema schema{"products", 0x63697064, {kVersion1, kVersion2, kVersion3, kVersion4}};
  return schema;
}

}  // namespace contimg::state
