#include "ops/lightcurves/tile_photometry.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>

#include "config/error.h"
#include "config/product_kind.h"
#include "config/units.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/table/fits_table.h"
#include "ops/base/checksum.h"
#include "ops/job/tile_facts.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/meridian.h"
#include "state/detection_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using mosaic::Table;
using state::DetectionRow;
using state::OwnSourceRow;

constexpr double kTransitDays = 0.25;  // tiles of one transit are within it, but for places at the pole

std::string MarkOf(const TileTables& tables) { return tables.photometry_checksum + " " + tables.sources_checksum; }

template <typename Value>
const std::vector<Value>& ColumnNamed(const Table& table, const std::string& name, const fs::path& path) {
  for (const mosaic::TableColumn& column : table.columns) {
    if (column.name != name) continue;
    if (const auto* values = std::get_if<std::vector<Value>>(&column.values)) return *values;
  }
  throw Error(ErrorKind::kBadInput, "photometry", path.string(), fmt::format("expected a column {}, found none", name));
}
const std::vector<double>& Numbers(const Table& table, const std::string& name, const fs::path& path) {
  return ColumnNamed<double>(table, name, path);
}
const std::vector<std::int64_t>& Whole(const Table& table, const std::string& name, const fs::path& path) {
  return ColumnNamed<std::int64_t>(table, name, path);
}

Table ReadChecked(const fs::path& path, const std::string& checksum, Os& os) {
  const std::string found = ProductChecksum(path, 1, os);
  if (found != checksum) {
    throw Error(ErrorKind::kBadInput, "photometry", path.string(),
                fmt::format("expected the checksum {} of its record, found {}: contimg queue requeue makes it anew",
                            checksum, found));
  }
  return mosaic::ReadFitsTable(path);
}

std::vector<PlacedMeasurement> MeasurementsOf(const Table& table, const fs::path& path) {
  const auto &ra = Numbers(table, "ra_deg", path), &dec = Numbers(table, "dec_deg", path),
             &flux = Numbers(table, "flux_jy", path), &error = Numbers(table, "flux_error_jy", path),
             &rms = Numbers(table, "sigma_jy", path), &response = Numbers(table, "response", path);
  const auto &flags = Whole(table, "flags", path), &source = Whole(table, "source_id", path);
  const auto& name = ColumnNamed<std::string>(table, "name", path);
  std::vector<PlacedMeasurement> rows(table.rows());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {ra[i],
               dec[i],
               flux[i],
               error[i],
               rms[i],
               response[i],
               static_cast<QualityFlags>(flags[i]),
               source[i] != 0 ? name[i] : ""};
  }
  return rows;
}

std::vector<DetectionRow> DetectionsOf(const Table& table, const fs::path& path, const TileFacts& tile) {
  const auto &ra = Numbers(table, "ra_deg", path), &dec = Numbers(table, "dec_deg", path),
             &ra_error = Numbers(table, "ra_error_arcsec", path), &dec_error = Numbers(table, "dec_error_arcsec", path),
             &flux = Numbers(table, "flux_jy", path), &error = Numbers(table, "flux_error_jy", path),
             &snr = Numbers(table, "snr", path), &rms = Numbers(table, "sigma_jy", path),
             &response = Numbers(table, "response", path);
  const auto &resolved = Whole(table, "resolved", path), &flags = Whole(table, "flags", path);
  std::vector<DetectionRow> rows(table.rows());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    DetectionRow& row = rows[i];
    row.number = static_cast<std::int64_t>(i) + 1;
    row.ra_deg = ra[i];
    row.dec_deg = dec[i];
    row.ra_error_arcsec = ra_error[i];
    row.dec_error_arcsec = dec_error[i];
    row.flux_jy = flux[i];
    row.flux_error_jy = error[i];
    row.snr = snr[i];
    row.local_rms_jy = rms[i];
    row.response = response[i];
    row.resolved = resolved[i] != 0;
    row.flags = static_cast<QualityFlags>(flags[i]);
    row.group_id = tile.group;
    row.mjd = tile.mjd;
  }
  return rows;
}

SkyDirection PlaceOf(const DetectionRow& row) { return {Angle::Degrees(row.ra_deg), Angle::Degrees(row.dec_deg)}; }

bool Suspect(QualityFlags flags) { return (flags & (kDefaultQualityMask | quality::kArtefact.mask())) != 0; }

// Two views of a source that nobody knew, in the order of time, become one of our own.
std::int64_t AddFound(state::OwnSourceStore& sources, const DetectionRow& first, const DetectionRow& second,
                      double frequency_hz, double now) {
  OwnSourceRow row;
  row.ra_deg = first.ra_deg;
  row.dec_deg = first.dec_deg;
  row.origin = "detection";
  row.made_at = now;
  const auto weight = [](double error) { return error > 0 ? 1 / (error * error) : 1; };
  const double flux_1 = weight(first.flux_error_jy), flux_2 = weight(second.flux_error_jy);
  const double to_usual = std::pow(mosaic::kListFrequencyHz / frequency_hz, mosaic::kUsualAlpha);
  row.flux_jy = to_usual * (flux_1 * first.flux_jy + flux_2 * second.flux_jy) / (flux_1 + flux_2);
  row.flux_error_jy = to_usual / std::sqrt(flux_1 + flux_2);
  const std::int64_t id = sources.Add(row).id;
  const double ra_1 = weight(first.ra_error_arcsec), ra_2 = weight(second.ra_error_arcsec);
  const double dec_1 = weight(first.dec_error_arcsec), dec_2 = weight(second.dec_error_arcsec);
  const double east = WrapSigned(Angle::Degrees(second.ra_deg - first.ra_deg)).deg();
  double ra_deg = first.ra_deg + east * ra_2 / (ra_1 + ra_2);
  ra_deg += ra_deg < 0 ? 360 : ra_deg >= 360 ? -360 : 0;
  sources.Move(id, ra_deg, first.dec_deg + (second.dec_deg - first.dec_deg) * dec_2 / (dec_1 + dec_2),
               1 / std::sqrt(ra_1 + ra_2), 1 / std::sqrt(dec_1 + dec_2), 0);
  return id;
}

class DetectionMatch {
 public:
  DetectionMatch(state::Database& database, const TileFacts& tile, double now)
      : sources_(database),
        detections_(database),
        tile_(tile),
        now_(now),
        radius_(Angle::Arcsec(std::max(state::kSamePlaceArcsec, tile.beam_minor_arcsec / 2))) {}

  // Returns how many became sources of our own.
  std::int64_t Record(std::vector<DetectionRow> rows) {
    const std::vector<DetectionRow> before = Unknown();
    std::int64_t found = 0;
    std::vector<std::pair<DetectionRow, std::int64_t>> confirmed;
    for (DetectionRow& row : rows) {
      const auto near = sources_.Near(row.ra_deg, row.dec_deg, radius_.deg());
      if (!near.empty()) {
        row.source_id = near.front().id;
        continue;
      }
      if (Suspect(row.flags | tile_.flags)) continue;
      const DetectionRow* other = NearestOf(before, row);
      if (other == nullptr) continue;
      const bool later = other->mjd <= row.mjd;
      row.source_id = AddFound(sources_, later ? *other : row, later ? row : *other, tile_.frequency_hz, now_);
      confirmed.emplace_back(*other, *row.source_id);
      ++found;
    }
    detections_.Replace(tile_.group, rows);
    for (const auto& [other, id] : confirmed) detections_.SetSource(other, id);
    return found;
  }

 private:
  // Of the other tiles of the transit.
  std::vector<DetectionRow> Unknown() {
    auto rows = detections_.WithoutSource(tile_.mjd - kTransitDays, tile_.mjd + kTransitDays);
    std::erase_if(rows, [&](const DetectionRow& row) { return row.group_id == tile_.group || Suspect(row.flags); });
    return rows;
  }
  const DetectionRow* NearestOf(const std::vector<DetectionRow>& others, const DetectionRow& row) const {
    const DetectionRow* nearest = nullptr;
    Angle least = radius_;
    for (const DetectionRow& other : others) {
      if (std::abs(other.dec_deg - row.dec_deg) > radius_.deg()) continue;
      const Angle separation = Separation(PlaceOf(other), PlaceOf(row));
      if (least < separation) continue;
      least = separation;
      nearest = &other;
    }
    return nearest;
  }

  state::OwnSourceStore sources_;
  state::DetectionStore detections_;
  const TileFacts& tile_;
  double now_;
  Angle radius_;
};

// The letters of IEEE 521; empty below and above them.
std::string BandOf(double frequency_hz) {
  constexpr std::array<std::pair<double, const char*>, 9> kFrom{{{0.3e9, "P"},
                                                                 {1e9, "L"},
                                                                 {2e9, "S"},
                                                                 {4e9, "C"},
                                                                 {8e9, "X"},
                                                                 {12e9, "Ku"},
                                                                 {18e9, "K"},
                                                                 {27e9, "Ka"},
                                                                 {40e9, ""}}};
  std::string band;
  for (const auto& [from_hz, name] : kFrom) {
    if (frequency_hz >= from_hz) band = name;
  }
  return band;
}

state::ObservationRow ObservationOf(const TileFacts& facts, double now) {
  state::ObservationRow tile;
  tile.group_id = facts.group;
  tile.mjd = facts.mjd;
  tile.duration_s = facts.duration_s;
  tile.ra_deg = facts.ra_deg;
  tile.dec_deg = facts.dec_deg;
  tile.lst_deg = MeridianDeg(facts.mjd, facts.dec_deg);
  tile.frequency_hz = facts.frequency_hz;
  if (facts.beam_major_arcsec > 0) tile.beam_major_arcsec = facts.beam_major_arcsec;
  if (facts.beam_minor_arcsec > 0) tile.beam_minor_arcsec = facts.beam_minor_arcsec;
  tile.flags = facts.flags;
  tile.recorded_at = now;
  if (facts.integration_s > 0) tile.step_s = facts.integration_s;
  if (facts.integrations > 0) tile.n_integrations = facts.integrations;
  tile.integration_flags = facts.integration_flags;
  if (facts.target.empty()) return tile;
  tile.type = "tracking";
  if (!facts.telescope.empty()) tile.instrument = facts.telescope;
  tile.tracking.emplace();
  tile.tracking->target = facts.target;
  tile.tracking->band = BandOf(facts.frequency_hz);
  if (facts.integration_s > 0 && facts.integrations > 0) {
    tile.tracking->exposure_s = facts.integration_s * static_cast<double>(facts.integrations);
  }
  return tile;
}

}  // namespace

std::vector<TileTables> UnrecordedTables(state::ProductStore& products, state::Database& sources,
                                         std::string_view group) {
  const std::map<std::string, std::string> recorded = state::DetectionStore(sources).Recorded();
  state::ProductQuery query;
  query.group_id = group;
  query.status = "present";
  query.newest_first = false;
  query.kind = ToString(ProductKind::kSources);
  std::map<std::string, state::ProductRow> catalogues;
  for (state::ProductRow& row : products.List(query)) catalogues[row.group_id] = std::move(row);
  query.kind = ToString(ProductKind::kPhotometry);
  std::vector<TileTables> tables;
  for (const state::ProductRow& row : products.List(query)) {
    const auto catalogue = catalogues.find(row.group_id);
    if (catalogue == catalogues.end()) continue;  // made together: the other one has gone
    TileTables each{row.group_id, row.path, catalogue->second.path, row.checksum, catalogue->second.checksum};
    const auto known = recorded.find(row.group_id);
    if (known != recorded.end() && known->second == MarkOf(each)) continue;
    each.images = FrameFilesOf(products, each.group);
    tables.push_back(std::move(each));
  }
  return tables;
}

RecordedTables RecordTables(state::Database& database, const TileTables& tables, double now, Os& os) {
  const Table photometry = ReadChecked(tables.photometry, tables.photometry_checksum, os);
  const Table sources = ReadChecked(tables.sources, tables.sources_checksum, os);
  const TileFacts tile = ParseTileFacts(photometry, tables.photometry.string());
  if (tile.group != tables.group) {
    throw Error(ErrorKind::kBadInput, "photometry", tables.photometry.string(),
                fmt::format("expected measurements of {}, found such of {}", tables.group, tile.group));
  }
  const std::vector<PlacedMeasurement> measurements = MeasurementsOf(photometry, tables.photometry);
  const std::vector<DetectionRow> detections = DetectionsOf(sources, tables.sources, tile);
  const std::vector<state::FrameRow> frames = FramesOf(tables.images);
  RecordedTables done;
  done.measurements = static_cast<std::int64_t>(measurements.size());
  done.detections = static_cast<std::int64_t>(detections.size());
  database.Write([&] {
    done.first_met = LightCurveRecorder(database).Record(ObservationOf(tile, now), measurements, now);
    done.found = DetectionMatch(database, tile, now).Record(detections);
    state::ObservationStore(database).ReplaceFrames(tile.group, frames);
    state::DetectionStore(database).SetRecorded(tile.group, MarkOf(tables), now);
  });
  return done;
}

}  // namespace contimg::ops
