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

// Sources of our own, apart from those of catalogues; their measurements, clustered by source and time; data sets. No
// program ever wrote measurements, light curves or candidates of version 1.
//   missions ─< catalogues ─< catalogue_sources >─ sources ─< measurements >─ observations ─ observations_drift
//   missions ─< instruments ─< observations        sources ─< datasets ─< dataset_lineage
//   photometric_sources ─< measurements, datasets; processing_methods ─< datasets
constexpr std::string_view kMasterSources2 = R"sql(
-- Telescopes and surveys. What a time in their files means: epoch + value × unit, on a scale.
CREATE TABLE missions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE DEFAULT (lower(format('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)),
    substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  time_unit TEXT NOT NULL CHECK (time_unit IN ('day', 'second')),
  time_epoch REAL NOT NULL,
  time_epoch_scale TEXT NOT NULL CHECK (time_epoch_scale IN ('utc', 'tdb', 'tai')),
  time_epoch_format TEXT NOT NULL CHECK (time_epoch_format IN ('mjd', 'jd')),
  time_format_name TEXT UNIQUE
) STRICT;

CREATE TABLE catalogues (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mission_id INTEGER NOT NULL REFERENCES missions (id) ON DELETE CASCADE,
  name TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  frequency_hz REAL NOT NULL,
  file TEXT NOT NULL,
  sha256 TEXT NOT NULL CHECK (sha256 = '' OR length(sha256) = 64),
  imported_at REAL NOT NULL
) STRICT;
CREATE INDEX catalogues_by_mission ON catalogues (mission_id);
INSERT INTO missions (name, description, time_unit, time_epoch, time_epoch_scale, time_epoch_format)
  SELECT DISTINCT catalogue, '', 'day', 0, 'utc', 'mjd' FROM sources;
INSERT INTO catalogues (mission_id, name, description, frequency_hz, file, sha256, imported_at)
  SELECT id, name, '', 1.4e9, '', '', 0 FROM missions;

-- Of our own. Ids are never given again, names follow the first place and never change.
CREATE TABLE own_sources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  ra_deg REAL NOT NULL CHECK (ra_deg >= 0 AND ra_deg < 360),
  dec_deg REAL NOT NULL CHECK (dec_deg >= -90 AND dec_deg <= 90),
  ra_error_arcsec REAL NOT NULL CHECK (ra_error_arcsec >= 0),
  dec_error_arcsec REAL NOT NULL CHECK (dec_error_arcsec >= 0),
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL CHECK (flux_error_jy >= 0),
  spectral_index REAL,
  origin TEXT NOT NULL CHECK (origin IN ('catalogue', 'detection', 'transient', 'manual')),
  made_at REAL NOT NULL
) STRICT;

CREATE TABLE catalogue_sources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  catalogue_id INTEGER NOT NULL REFERENCES catalogues (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  ra_deg REAL NOT NULL CHECK (ra_deg >= 0 AND ra_deg < 360),
  dec_deg REAL NOT NULL CHECK (dec_deg >= -90 AND dec_deg <= 90),
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL,
  spectral_index REAL,
  major_arcsec REAL NOT NULL,
  minor_arcsec REAL NOT NULL,
  position_angle_deg REAL NOT NULL,
  source_id INTEGER REFERENCES own_sources (id) ON DELETE SET NULL,
  UNIQUE (catalogue_id, name)
) STRICT;
INSERT INTO catalogue_sources
  SELECT s.id, c.id, s.name, s.ra_deg, s.dec_deg, s.flux_jy, s.flux_error_jy, s.spectral_index, s.major_arcsec,
         s.minor_arcsec, s.position_angle_deg, NULL
  FROM sources s JOIN catalogues c ON c.name = s.catalogue ORDER BY s.id;
CREATE INDEX catalogue_sources_by_flux ON catalogue_sources (catalogue_id, flux_jy);
CREATE INDEX catalogue_sources_by_name ON catalogue_sources (name);
CREATE INDEX catalogue_sources_by_source ON catalogue_sources (source_id) WHERE source_id IS NOT NULL;

DROP TRIGGER sources_leave_the_sky;
DROP TABLE candidates;
DROP TABLE light_curves;
DROP TABLE measurements;
DROP TABLE sources;
ALTER TABLE sources_sky RENAME TO catalogue_sources_sky;
CREATE TRIGGER catalogue_sources_leave_the_sky AFTER DELETE ON catalogue_sources
BEGIN DELETE FROM catalogue_sources_sky WHERE id = OLD.id; END;
ALTER TABLE own_sources RENAME TO sources;
CREATE VIRTUAL TABLE sources_sky USING rtree (id, x_min, x_max, y_min, y_max, z_min, z_max);
CREATE TRIGGER sources_leave_the_sky AFTER DELETE ON sources
BEGIN DELETE FROM sources_sky WHERE id = OLD.id; END;
CREATE TRIGGER sources_keep_their_names BEFORE UPDATE OF id, name ON sources
WHEN NEW.id IS NOT OLD.id OR NEW.name IS NOT OLD.name
BEGIN SELECT RAISE (ABORT, 'ids and names of sources never change'); END;

CREATE TABLE instruments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mission_id INTEGER NOT NULL REFERENCES missions (id) ON DELETE CASCADE,
  name TEXT NOT NULL UNIQUE CHECK (name <> '')
) STRICT;
CREATE INDEX instruments_by_mission ON instruments (mission_id);

-- What was looked at in one go; each type has a table of its own for what the others lack.
CREATE TABLE observations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL,
  instrument_id INTEGER NOT NULL REFERENCES instruments (id) ON DELETE CASCADE,
  group_id TEXT NOT NULL UNIQUE,
  mjd REAL NOT NULL,
  duration_s REAL NOT NULL CHECK (duration_s >= 0),
  ra_deg REAL CHECK (ra_deg >= 0 AND ra_deg < 360),
  dec_deg REAL CHECK (dec_deg >= -90 AND dec_deg <= 90),
  frequency_hz REAL NOT NULL CHECK (frequency_hz > 0),
  scale REAL CHECK (scale > 0),
  scale_error REAL,
  flags INTEGER NOT NULL,
  recorded_at REAL NOT NULL
) STRICT;
CREATE INDEX observations_by_time ON observations (mjd);
CREATE INDEX observations_by_instrument ON observations (instrument_id);
CREATE TABLE observations_drift (
  observation_id INTEGER PRIMARY KEY REFERENCES observations (id) ON DELETE CASCADE,
  lst_deg REAL NOT NULL CHECK (lst_deg >= 0 AND lst_deg < 360)
) STRICT;

CREATE TABLE photometric_sources (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  description TEXT NOT NULL
) STRICT;
INSERT INTO photometric_sources (name, description) VALUES
  ('forced', 'the restored image read at the known place, neighbours solved'),
  ('detection', 'found in the image without knowing the place');

CREATE TABLE processing_methods (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE CHECK (name <> ''),
  description TEXT NOT NULL,
  parameters_json TEXT NOT NULL CHECK (json_valid(parameters_json)),
  parameters_hash TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE measurements (
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  mjd REAL NOT NULL,
  observation_id INTEGER NOT NULL REFERENCES observations (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL REFERENCES photometric_sources (id) ON DELETE CASCADE,
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL CHECK (flux_error_jy > 0),
  local_rms_jy REAL NOT NULL CHECK (local_rms_jy >= 0),
  response REAL NOT NULL CHECK (response > 0),
  flags INTEGER NOT NULL,
  PRIMARY KEY (source_id, mjd, observation_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX measurements_by_observation ON measurements (observation_id);

-- Of the tiles of one passage through the meridian the mean, at the time of the passage.
CREATE TABLE transit_points (
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL REFERENCES photometric_sources (id) ON DELETE CASCADE,
  mjd REAL NOT NULL,
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL CHECK (flux_error_jy > 0),
  tiles INTEGER NOT NULL CHECK (tiles > 0),
  chi2 REAL NOT NULL,
  flags INTEGER NOT NULL,
  PRIMARY KEY (source_id, kind, mjd)
) STRICT, WITHOUT ROWID;

-- Running sums of all points but the last (which may still change), and what follows from them and the last.
CREATE TABLE light_curve_statistics (
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  kind INTEGER NOT NULL REFERENCES photometric_sources (id) ON DELETE CASCADE,
  level TEXT NOT NULL CHECK (level IN ('tile', 'transit')),
  n_before INTEGER NOT NULL,
  reference_jy REAL NOT NULL,
  sum_w REAL NOT NULL,
  sum_wi REAL NOT NULL,
  sum_wii REAL NOT NULL,
  sum_i REAL NOT NULL,
  sum_ii REAL NOT NULL,
  before_min_jy REAL NOT NULL,
  before_max_jy REAL NOT NULL,
  before_vs REAL NOT NULL,
  before_m REAL NOT NULL,
  n INTEGER NOT NULL,
  first_mjd REAL NOT NULL,
  last_mjd REAL NOT NULL,
  mean_jy REAL NOT NULL,
  min_jy REAL NOT NULL,
  max_jy REAL NOT NULL,
  eta REAL NOT NULL,
  v REAL NOT NULL,
  vs REAL NOT NULL,
  m REAL NOT NULL,
  p REAL NOT NULL,
  PRIMARY KEY (source_id, kind, level)
) STRICT, WITHOUT ROWID;
CREATE INDEX light_curve_statistics_by_eta ON light_curve_statistics (kind, level, eta);

-- Series: those of others, and what processing made. Times are MJD days, float64 little-endian as all arrays but the
-- flags (uint32). One without arrays is a view of our own photometry, whose points live once, in measurements.
CREATE TABLE datasets (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
  mission_id INTEGER NOT NULL REFERENCES missions (id) ON DELETE CASCADE,
  photometric_source_id INTEGER NOT NULL REFERENCES photometric_sources (id) ON DELETE CASCADE,
  processing_method_id INTEGER REFERENCES processing_methods (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (name <> ''),
  unit TEXT NOT NULL,
  time_frame TEXT NOT NULL CHECK (time_frame IN ('utc', 'bmjd_tdb')),
  n INTEGER NOT NULL,
  times BLOB,
  fluxes BLOB,
  errors BLOB,
  flags BLOB,
  input_hash TEXT NOT NULL,
  provenance_json TEXT NOT NULL CHECK (json_valid(provenance_json)),
  made_at REAL NOT NULL,
  UNIQUE (source_id, name),
  CHECK ((times IS NULL AND fluxes IS NULL AND errors IS NULL AND flags IS NULL AND n = 0) OR
         (length(times) = 8 * n AND length(fluxes) = 8 * n AND length(errors) = 8 * n AND length(flags) = 4 * n))
) STRICT;
CREATE INDEX datasets_by_mission ON datasets (mission_id);
CREATE INDEX datasets_by_photometry ON datasets (photometric_source_id);
CREATE INDEX datasets_by_method ON datasets (processing_method_id);
CREATE TABLE dataset_lineage (
  child_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
  parent_id INTEGER NOT NULL REFERENCES datasets (id) ON DELETE CASCADE,
  PRIMARY KEY (child_id, parent_id),
  CHECK (child_id <> parent_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX dataset_lineage_by_parent ON dataset_lineage (parent_id);
CREATE TRIGGER dataset_lineage_has_no_circles BEFORE INSERT ON dataset_lineage
WHEN NEW.parent_id IN (WITH RECURSIVE below (id) AS (SELECT NEW.child_id UNION
                         SELECT l.child_id FROM dataset_lineage l JOIN below b ON l.parent_id = b.id) SELECT id FROM below)
BEGIN SELECT RAISE (ABORT, 'a data set cannot be made of itself'); END;

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
CREATE INDEX candidates_by_source ON candidates (source_id);
)sql";

// What tiles have shown that nobody knew, and which tables of photometry are on record.
constexpr std::string_view kMasterSources3 = R"sql(
CREATE TABLE detections (
  observation_id INTEGER NOT NULL REFERENCES observations (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  source_id INTEGER REFERENCES sources (id) ON DELETE SET NULL,
  ra_deg REAL NOT NULL CHECK (ra_deg >= 0 AND ra_deg < 360),
  dec_deg REAL NOT NULL CHECK (dec_deg >= -90 AND dec_deg <= 90),
  ra_error_arcsec REAL NOT NULL,
  dec_error_arcsec REAL NOT NULL,
  flux_jy REAL NOT NULL,
  flux_error_jy REAL NOT NULL CHECK (flux_error_jy > 0),
  snr REAL NOT NULL,
  local_rms_jy REAL NOT NULL,
  response REAL NOT NULL CHECK (response > 0),
  resolved INTEGER NOT NULL,
  flags INTEGER NOT NULL,
  PRIMARY KEY (observation_id, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX detections_by_source ON detections (source_id) WHERE source_id IS NOT NULL;

-- By the name of the group: it stays when a person takes the tile out, so that the service does not bring it back.
CREATE TABLE recorded_photometry (
  group_id TEXT PRIMARY KEY,
  checksum TEXT NOT NULL,
  recorded_at REAL NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// Places of our own sources that were refined: each time all that could be, as one version. 0: as they came.
constexpr std::string_view kMasterSources4 = R"sql(
CREATE TABLE place_versions (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  made_at REAL NOT NULL
) STRICT;
ALTER TABLE sources ADD COLUMN place_version INTEGER NOT NULL DEFAULT 0;
)sql";

// Mean fluxes of sources that do not vary, found together as one version; what tells tiles their flux scale.
constexpr std::string_view kMasterSources5 = R"sql(
CREATE TABLE flux_reference_versions (
  version INTEGER PRIMARY KEY AUTOINCREMENT,
  made_at REAL NOT NULL,
  tiles INTEGER NOT NULL CHECK (tiles >= 0),
  finished INTEGER NOT NULL CHECK (finished IN (0, 1))
) STRICT;
CREATE TABLE flux_references (
  source_id INTEGER PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
  flux_jy REAL NOT NULL CHECK (flux_jy > 0)
) STRICT;
)sql";

// The beams of tiles, and what is usual at a declination (of whole degrees).
constexpr std::string_view kMasterSources6 = R"sql(
ALTER TABLE observations ADD COLUMN beam_major_arcsec REAL CHECK (beam_major_arcsec > 0);
ALTER TABLE observations ADD COLUMN beam_minor_arcsec REAL CHECK (beam_minor_arcsec > 0);
CREATE TABLE usual_beams (
  declination_deg INTEGER PRIMARY KEY,
  major_arcsec REAL NOT NULL CHECK (major_arcsec > 0),
  minor_arcsec REAL NOT NULL CHECK (minor_arcsec > 0)
) STRICT;
)sql";

// All that lists of sources filter and order by, so that they walk through this and not through rows three times as
// long.
constexpr std::string_view kMasterSources7 = R"sql(
DROP INDEX light_curve_statistics_by_eta;
CREATE INDEX light_curve_statistics_by_eta
  ON light_curve_statistics (kind, level, eta, mean_jy, n, v, p, last_mjd);
)sql";

// What instruments are made of; observations that follow a target; the headers of a tile's images; flags of single
// integrations.
constexpr std::string_view kMasterSources8 = R"sql(
CREATE TABLE instruments_with_parts (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  uuid TEXT NOT NULL UNIQUE DEFAULT (lower(format('%s-%s-4%s-a%s-%s', hex(randomblob(4)), hex(randomblob(2)),
    substr(hex(randomblob(2)), 2), substr(hex(randomblob(2)), 2), hex(randomblob(6))))),
  mission_id INTEGER NOT NULL REFERENCES missions (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (name <> ''),
  properties_json TEXT NOT NULL DEFAULT '{}'
    CHECK (CASE WHEN json_valid(properties_json) THEN json_type(properties_json) = 'object' ELSE 0 END),
  parent_id INTEGER REFERENCES instruments_with_parts (id) ON DELETE CASCADE CHECK (parent_id <> id)
) STRICT;
INSERT INTO instruments_with_parts (id, mission_id, name) SELECT id, mission_id, name FROM instruments;
DROP TABLE instruments;
ALTER TABLE instruments_with_parts RENAME TO instruments;
CREATE INDEX instruments_by_mission ON instruments (mission_id);
CREATE UNIQUE INDEX instruments_whole ON instruments (name) WHERE parent_id IS NULL;
CREATE UNIQUE INDEX instruments_by_parent ON instruments (parent_id, name) WHERE parent_id IS NOT NULL;
CREATE TRIGGER instruments_have_no_circles BEFORE UPDATE OF parent_id ON instruments
WHEN NEW.parent_id IN (WITH RECURSIVE below (id) AS (SELECT NEW.id UNION
                         SELECT i.id FROM instruments i JOIN below b ON i.parent_id = b.id) SELECT id FROM below)
BEGIN SELECT RAISE (ABORT, 'an instrument cannot be a part of itself'); END;
CREATE TRIGGER dataset_lineage_stays_without_circles BEFORE UPDATE ON dataset_lineage
WHEN NEW.parent_id IN (WITH RECURSIVE below (id) AS (SELECT NEW.child_id UNION
                         SELECT l.child_id FROM dataset_lineage l JOIN below b ON l.parent_id = b.id) SELECT id FROM below)
BEGIN SELECT RAISE (ABORT, 'a data set cannot be made of itself'); END;

ALTER TABLE observations ADD COLUMN step_s REAL CHECK (step_s > 0);
ALTER TABLE observations ADD COLUMN n_integrations INTEGER CHECK (n_integrations > 0);
CREATE TABLE observations_tracking (
  observation_id INTEGER PRIMARY KEY REFERENCES observations (id) ON DELETE CASCADE,
  lst_deg REAL NOT NULL CHECK (lst_deg >= 0 AND lst_deg < 360),
  target TEXT NOT NULL CHECK (target <> ''),
  program TEXT NOT NULL,
  band TEXT NOT NULL,
  exposure_s REAL CHECK (exposure_s > 0)
) STRICT;
CREATE TRIGGER observations_drift_are_of_their_type BEFORE INSERT ON observations_drift
WHEN (SELECT type FROM observations WHERE id = NEW.observation_id) <> 'drift_tile'
BEGIN SELECT RAISE (ABORT, 'only observations of type drift_tile drift'); END;
CREATE TRIGGER observations_tracking_are_of_their_type BEFORE INSERT ON observations_tracking
WHEN (SELECT type FROM observations WHERE id = NEW.observation_id) <> 'tracking'
BEGIN SELECT RAISE (ABORT, 'only observations of type tracking track'); END;

-- By path, which products.sqlite3 has once: its ids are given anew when that database is made anew.
CREATE TABLE fits_frames (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL DEFAULT 'basefits' CHECK (type <> ''),
  role TEXT NOT NULL AS (CASE WHEN type IN ('psf', 'pb', 'smear') THEN 'calibration' ELSE 'science' END),
  cadence INTEGER NOT NULL CHECK (cadence >= 0),
  observation_id INTEGER NOT NULL REFERENCES observations (id) ON DELETE CASCADE,
  path TEXT NOT NULL CHECK (path <> ''),
  simple INTEGER NOT NULL CHECK (simple IN (0, 1)),
  bitpix INTEGER NOT NULL CHECK (bitpix IN (8, 16, 32, 64, -32, -64)),
  naxis INTEGER NOT NULL CHECK (naxis BETWEEN 0 AND 999),
  naxis_values_json TEXT NOT NULL CHECK (json_valid(naxis_values_json) AND json_array_length(naxis_values_json) = naxis),
  extended INTEGER NOT NULL CHECK (extended IN (0, 1)),
  bscale REAL NOT NULL,
  bzero REAL NOT NULL,
  UNIQUE (type, cadence, observation_id)
) STRICT;
CREATE INDEX fits_frames_by_observation ON fits_frames (observation_id);

-- A word (uint32, little-endian) for each integration; with those of the observation, and with a source for it alone.
CREATE TABLE quality_flag_arrays (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  type TEXT NOT NULL DEFAULT 'base_quality_flag' CHECK (type <> ''),
  observation_id INTEGER NOT NULL REFERENCES observations (id) ON DELETE CASCADE,
  source_id INTEGER REFERENCES sources (id) ON DELETE CASCADE,
  flags BLOB NOT NULL CHECK (length(flags) > 0 AND length(flags) % 4 = 0),
  created_on REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX quality_flag_arrays_of_observations ON quality_flag_arrays (type, observation_id)
  WHERE source_id IS NULL;
CREATE UNIQUE INDEX quality_flag_arrays_of_sources ON quality_flag_arrays (type, observation_id, source_id)
  WHERE source_id IS NOT NULL;
CREATE INDEX quality_flag_arrays_by_observation ON quality_flag_arrays (observation_id);
CREATE INDEX quality_flag_arrays_by_source ON quality_flag_arrays (source_id) WHERE source_id IS NOT NULL;
)sql";

// From which mosaic places were refined, and of how many tiles it is; empty: from what tiles have found.
constexpr std::string_view kMasterSources9 = R"sql(
ALTER TABLE place_versions ADD COLUMN mosaic TEXT NOT NULL DEFAULT '';
ALTER TABLE place_versions ADD COLUMN strip_deg REAL NOT NULL DEFAULT 0;
ALTER TABLE place_versions ADD COLUMN lst_start_h REAL NOT NULL DEFAULT 0;
ALTER TABLE place_versions ADD COLUMN tiles INTEGER NOT NULL DEFAULT 0;
)sql";

}  // namespace

const Schema& MasterSourcesSchema() {
  static const Schema schema{"master_sources",
                             0x63696d73,
                             {kMasterSources1, kMasterSources2, kMasterSources3, kMasterSources4, kMasterSources5,
                              kMasterSources6, kMasterSources7, kMasterSources8, kMasterSources9}};
  return schema;
}

}  // namespace contimg::state
