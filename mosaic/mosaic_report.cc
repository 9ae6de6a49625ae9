#include "mosaic/mosaic_report.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "config/time.h"
#include "config/units.h"

namespace contimg::mosaic {
namespace {

using nlohmann::ordered_json;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

bool IsUsed(const MosaicTile& tile) { return tile.verdict.refusal == Refusal::kNone; }
bool IsKnown(const MosaicTile& tile) { return tile.verdict.refusal != Refusal::kUnreadable; }
double MjdOf(const TileFigures& f) {
  return f.start_mjd_s > 0 ? (f.start_mjd_s + std::max(f.start_mjd_s, f.end_mjd_s)) / 2 / kSecondsPerDay : kNone;
}

ordered_json TileJson(const MosaicTile& tile) {
  ordered_json json{{"name", tile.figures.name},
                    {"path", tile.path.string()},
                    {"used", IsUsed(tile)},
                    {"refusal", ToString(tile.verdict.refusal)},
                    {"why", tile.verdict.why}};
  if (!IsKnown(tile)) return json;
  const TileFigures& f = tile.figures;
  json["ra_deg"] = WrapPositive(Angle::Radians(f.grid.centre.ra_rad)).deg();
  json["dec_deg"] = Angle::Radians(f.grid.centre.dec_rad).deg();
  json["mjd"] = MjdOf(f);
  json["frequency_hz"] = f.frequency_hz;
  json["beam_arcsec"] = {Angle::Radians(f.beam.major_rad).arcsec(), Angle::Radians(f.beam.minor_rad).arcsec()};
  json["beam_angle_deg"] = Angle::Radians(f.beam.angle_rad).deg();
  json["rms_jy"] = f.rms_jy;
  json["grade"] = f.grade;
  const TileScale& scale = tile.verdict.scale;
  if (scale.references > 0) {
    json["scale"] = scale.scale;
    json["scale_error"] = scale.error;
  }
  json["references"] = scale.references;
  json["factor"] = tile.factor;
  json["restored"] = tile.restored;
  json["pixels"] = tile.pixels;
  if (tile.agreement.samples > 0) json["differences"] = tile.agreement.everywhere;
  if (tile.agreement.edge_samples > 0) json["seam"] = tile.agreement.at_edges;
  if (tile.thermal_jy > 0) json["thermal_jy"] = tile.thermal_jy;
  return json;
}

ordered_json QualityJson(const MosaicQuality& q) {
  ordered_json json{{"grade", q.grade},
                    {"reasons", q.reasons},
                    {"rms_median_jy", q.rms_median_jy},
                    {"rms_least_jy", q.rms_least_jy},
                    {"covered_deg2", q.covered_deg2},
                    {"largest_scale_error", q.largest_scale_error},
                    {"scales_unknown", q.scales_unknown},
                    {"resampling_error", q.resampling_error}};
  json["tiles_deep"] = q.tiles_deep;
  if (q.rms_over_thermal > 0) json["rms_over_thermal"] = q.rms_over_thermal;
  if (q.differences > 0) json["differences"] = q.differences;
  if (q.seams > 0) {
    json["seams"] = q.seams;
    json["worst_seam"] = q.worst_seam;
  }
  if (q.residual_over_rms > 0) json["residual_over_rms"] = q.residual_over_rms;
  if (q.catalogue) {
    json["catalogue"] = {{"expected", q.catalogue->expected},
                         {"matched", q.catalogue->matched},
                         {"sources", q.catalogue->sources},
                         {"flux_ratio_median", q.catalogue->flux_ratio_median},
                         {"flux_ratio_scatter", q.catalogue->flux_ratio_scatter},
                         {"offset_east_arcsec", q.catalogue->offset_east_arcsec},
                         {"offset_north_arcsec", q.catalogue->offset_north_arcsec},
                         {"offset_median_beams", q.catalogue->offset_median_beams}};
    if (q.catalogue->expected > 0) {
      json["catalogue"]["completeness"] = q.catalogue->completeness;
      json["catalogue"]["completeness_error"] = q.catalogue->completeness_error;
    }
  }
  json["gates"] = ordered_json::array();
  for (const image::QualityGate& gate : q.gates) json["gates"].push_back(ordered_json(image::ToJson(gate)));
  return json;
}

}  // namespace

std::size_t MosaicReport::used() const {
  return static_cast<std::size_t>(std::count_if(tiles.begin(), tiles.end(), IsUsed));
}

ordered_json ToJson(const MosaicReport& report) {
  const image::FitsHeader& h = report.header;
  ordered_json json{{"quality", QualityJson(report.quality)},
                    {"grid",
                     {{"projection", image::Code(h.geometry.projection)},
                      {"pixels", {h.geometry.nx, h.geometry.ny}},
                      {"cell_arcsec", Angle::Radians(h.geometry.cell_rad).arcsec()},
                      {"ra_deg", WrapPositive(Angle::Radians(h.centre.ra_rad)).deg()},
                      {"dec_deg", Angle::Radians(h.centre.dec_rad).deg()}}},
                    {"beam",
                     {{"major_arcsec", Angle::Radians(h.beam->major_rad).arcsec()},
                      {"minor_arcsec", Angle::Radians(h.beam->minor_rad).arcsec()},
                      {"angle_deg", Angle::Radians(h.beam->angle_rad).deg()},
                      {"kind", report.beams}}},
                    {"frequency_hz", h.frequency_hz},
                    {"tiles_used", report.used()},
                    {"tiles_refused", report.tiles.size() - report.used()},
                    {"scaled", report.scaled}};
  if (h.end_mjd_s > 0) {
    json["start"] = UtcTime::FromMjdSeconds(h.start_mjd_s).Stamp(3);
    json["end"] = UtcTime::FromMjdSeconds(h.end_mjd_s).Stamp(3);
  }
  json["tiles"] = ordered_json::array();
  for (const MosaicTile& tile : report.tiles) json["tiles"].push_back(TileJson(tile));
  const MosaicTimings& t = report.timings;
  json["seconds"] = {{"look", t.look_s},       {"add", t.add_s},         {"close", t.close_s},
                     {"quality", t.quality_s}, {"publish", t.publish_s}, {"total", t.total_s}};
  return json;
}

Table TileTable(const MosaicReport& report) {
  Table table;
  table.name = "TILES";
  table.description = "Tiles of a mosaic and tiles that were left out of it";
  const auto texts = [&](const char* name, const char* meaning, const auto& of) {
    std::vector<std::string> values;
    for (const MosaicTile& tile : report.tiles) values.push_back(of(tile));
    table.columns.push_back({name, "", "", meaning, 6, std::move(values)});
  };
  const auto numbers = [&](const char* name, const char* unit, const char* meaning, const auto& of) {
    std::vector<double> values;
    for (const MosaicTile& tile : report.tiles) values.push_back(IsKnown(tile) ? of(tile) : kNone);
    table.columns.push_back({name, unit, "", meaning, 6, std::move(values)});
  };
  const auto counts = [&](const char* name, const char* meaning, const auto& of) {
    std::vector<std::int64_t> values;
    for (const MosaicTile& tile : report.tiles) values.push_back(static_cast<std::int64_t>(of(tile)));
    table.columns.push_back({name, "", "", meaning, 6, std::move(values)});
  };
  texts("name", "tile", [](const MosaicTile& t) { return t.figures.name; });
  texts("path", "its image", [](const MosaicTile& t) { return t.path.string(); });
  texts("checksum", "XXH64 of the image's pixels", [](const MosaicTile& t) { return t.figures.pixels_checksum; });
  numbers("mjd", "d", "middle of the data, UTC", [](const MosaicTile& t) { return MjdOf(t.figures); });
  numbers("ra_deg", "deg", "centre, ICRS",
          [](const MosaicTile& t) { return WrapPositive(Angle::Radians(t.figures.grid.centre.ra_rad)).deg(); });
  numbers("dec_deg", "deg", "centre, ICRS",
          [](const MosaicTile& t) { return Angle::Radians(t.figures.grid.centre.dec_rad).deg(); });
  numbers("beam_major_arcsec", "arcsec", "restoring beam",
          [](const MosaicTile& t) { return Angle::Radians(t.figures.beam.major_rad).arcsec(); });
  numbers("beam_minor_arcsec", "arcsec", "restoring beam",
          [](const MosaicTile& t) { return Angle::Radians(t.figures.beam.minor_rad).arcsec(); });
  numbers("beam_angle_deg", "deg", "restoring beam, north through east at the tile",
          [](const MosaicTile& t) { return Angle::Radians(t.figures.beam.angle_rad).deg(); });
  numbers("frequency_hz", "Hz", "middle of the band", [](const MosaicTile& t) { return t.figures.frequency_hz; });
  numbers("rms_jy", "Jy/beam", "median noise, not divided by the primary beam",
          [](const MosaicTile& t) { return t.figures.rms_jy; });
  texts("grade", "of the image", [](const MosaicTile& t) { return t.figures.grade; });
  numbers("scale", "", "fluxes over those of the other tiles",
          [](const MosaicTile& t) { return t.verdict.scale.references > 0 ? t.verdict.scale.scale : kNone; });
  numbers("scale_error", "", "1 sigma",
          [](const MosaicTile& t) { return t.verdict.scale.references > 0 ? t.verdict.scale.error : kNone; });
  counts("scale_references", "sources shared with other tiles",
         [](const MosaicTile& t) { return t.verdict.scale.references; });
  numbers("factor", "", "by which its fluxes were multiplied", [](const MosaicTile& t) { return t.factor; });
  counts("restored", "1: brought to the beam of the mosaic", [](const MosaicTile& t) { return t.restored ? 1 : 0; });
  counts("used", "1: part of the mosaic", [](const MosaicTile& t) { return IsUsed(t) ? 1 : 0; });
  counts("pixels", "of the mosaic to which it gave something", [](const MosaicTile& t) { return t.pixels; });
  texts("refusal", "kind", [](const MosaicTile& t) { return std::string(ToString(t.verdict.refusal)); });
  texts("why", "why it was left out", [](const MosaicTile& t) { return t.verdict.why; });
  return table;
}

}  // namespace contimg::mosaic
