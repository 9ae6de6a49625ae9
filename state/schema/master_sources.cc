#include "state/schema/schemas.h"

namespace contimg::state {
namespace {

// The sky index holds unit vectors, so neither RA 0 nor the poles are special. It stores 32-bit boxes rounded outwards;
// exact positions are in `sources`.
constexpr std::string_view kMasterSources1 = R"sql(
CREATE TABLE sources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  catalogue TEXT NOT NULL,
  name TEXT NOT NULL,
  ra_deg REAL NOT NULL CHECK (ra_deg >= 0 AND ra_deg < 360),
  dec_deg REAL NOT NULL CHECK (dec_deg >= -90 AND dec_deg <= 90),
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL,
  spectral_index REAL,
  major_arcsec REAL NOT NULL,
  minor_arcsec REAL NOT NULL,
  position_angle_deg REAL NOT NULL,
  UNIQUE (catalogue, name)
) STRICT;
CREATE INDEX sources_by_flux ON sources (catalogue, flux_jy);
CREATE VIRTUAL TABLE sources_sky USING rtree (id, x_min, x_max, y_min, y_max, z_min, z_max);
CREATE TRIGGER sources_leave_the_sky AFTER DELETE ON sources
BEGIN DELETE FROM sources_sky WHERE id = OLD.id; END;

CREATE TABLE measurements (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  product_id INTEGER NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('forced', 'detection')),
  mjd REAL NOT NULL,
  flux_jy REAL NOT NULL,
  error_jy REAL NOT NULL,
  ra_deg REAL NOT NULL,
  dec_deg REAL NOT NULL,
  flags INTEGER NOT NULL,
  UNIQUE (source_id, product_id, kind)
) STRICT;
CREATE INDEX measurements_by_time ON measurements (source_id, mjd);
CREATE INDEX measurements_by_product ON measurements (product_id);

CREATE TABLE light_curves (
  source_id INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
  count INTEGER NOT NULL,
  first_mjd REAL NOT NULL,
  last_mjd REAL NOT NULL,
  mean_jy REAL NOT NULL,
  std_jy REAL NOT NULL,
  weighted_mean_jy REAL NOT NULL,
  v REAL NOT NULL,
  eta REAL NOT NULL,
  updated_at REAL NOT NULL
) STRICT;
CREATE INDEX light_curves_by_eta ON light_curves (eta);

CREATE TABLE candidates (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source_id INTEGER REFERENCES sources (id) ON DELETE SET NULL,
  product_id INTEGER NOT NULL,
  kind TEXT NOT NULL,
  mjd REAL NOT NULL,
  ra_deg REAL NOT NULL,
  dec_deg REAL NOT NULL,
  flux_jy REAL NOT NULL,
  error_jy REAL NOT NULL,
  score REAL NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('new', 'confirmed', 'rejected')),
  reviewer TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at REAL NOT NULL,
  reviewed_at REAL NOT NULL
) STRICT;
CREATE INDEX candidates_by_status ON candidates (status, score);
)sql";

}  // namespace

const Schema& MasterSourcesSchema() {
  static const Schema schema{"master_sources", 0x63696d73, {kMasterSources1}};
  return schema;
}

}  // namespace contimg::state
