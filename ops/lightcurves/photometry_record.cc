#include "ops/lightcurves/photometry_record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "config/error.h"
#include "config/product_paths.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/meridian.h"

namespace contimg::ops {
namespace {

// The group's timestamp where the name of the tile has one.
std::string GroupOf(const std::string& product) {
  const std::filesystem::path path(product);
  if (const auto name = ParseProductName(path)) return name->timestamp;
  return path.filename().string();
}

struct PhotometryColumns {
  explicit PhotometryColumns(const mosaic::CsvTable& table)
      : ra(table.Require({"ra_deg"}, "right ascensions")),
        dec(table.Require({"dec_deg"}, "declinations")),
        mjd(table.Require({"mjd"}, "times")),
        product(table.Require({"product"}, "names of tiles")),
        flux(table.Require({"flux_jy"}, "fluxes")),
        error(table.Require({"flux_error_jy"}, "errors of fluxes")),
        rms(table.Require({"sigma_jy"}, "local noise")),
        response(table.Require({"response"}, "responses")),
        scale(table.Require({"scale"}, "flux scales")),
        frequency(table.Require({"frequency_hz"}, "frequencies")),
        flags(table.Require({"flags"}, "flags")) {}
  std::size_t ra, dec, mjd, product, flux, error, rms, response, scale, frequency, flags;
};

QualityFlags FlagsOf(const mosaic::CsvTable& table, std::size_t row, std::size_t column) {
  const double value = table.Number(row, column);
  if (value >= 0 && value <= std::numeric_limits<QualityFlags>::max() && value == std::floor(value)) {
    return static_cast<QualityFlags>(value);
  }
  throw Error(ErrorKind::kBadInput, "photometry", table.subject,
              fmt::format("line {}: expected flags, a whole number of 32 bits, found '{}'", table.lines[row],
                          table.rows[row][column]));
}

// Where the beam is narrow the effective frequency is lower, by up to this; the highest is nearest to the tile's own.
constexpr double kOneFrequency = 0.02;

struct TileRows {
  state::ObservationRow tile;
  std::vector<PlacedMeasurement> rows;
};

}  // namespace

RecordedPhotometry RecordPhotometry(state::Database& database, const mosaic::CsvTable& table, double now,
                                    const ObservedAs& as) {
  const PhotometryColumns columns(table);
  RecordedPhotometry done;
  database.Write([&] {
    std::map<std::string, TileRows> tiles;
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      const auto bad = [&](const std::string& words) {
        return Error(ErrorKind::kBadInput, "photometry", table.subject,
                     fmt::format("line {}: {}", table.lines[i], words));
      };
      const double ra_deg = table.Number(i, columns.ra), dec_deg = table.Number(i, columns.dec);
      if (!(ra_deg >= 0 && ra_deg < 360 && std::abs(dec_deg) <= 90)) {
        throw bad(fmt::format("expected a place on the sky, found {} {}", ra_deg, dec_deg));
      }
      const double mjd = table.Number(i, columns.mjd), frequency_hz = table.Number(i, columns.frequency);
      const double scale = table.Number(i, columns.scale);
      if (!std::isfinite(mjd)) throw bad("expected a time, found none");
      if (!(scale > 0)) throw bad(fmt::format("expected a flux scale above 0, found {}", scale));
      const std::string group = GroupOf(table.rows[i][columns.product]);
      const auto known = tiles.find(group);
      TileRows& tile = known != tiles.end() ? known->second : tiles[group];
      if (known == tiles.end()) {
        tile.tile.group_id = group;
        tile.tile.mjd = mjd;
        tile.tile.lst_deg = MeridianDeg(mjd, dec_deg);
        tile.tile.frequency_hz = frequency_hz;
        tile.tile.recorded_at = now;
        tile.tile.instrument = as.instrument;
        tile.tile.tracking = as.tracking;
        if (as.tracking) tile.tile.type = "tracking";
        // Fluxes in tables were divided by it; on record they are as the image has them.
        if (scale != 1) tile.tile.scale = 1 / scale;
      } else if (tile.tile.mjd != mjd || std::abs(frequency_hz / tile.tile.frequency_hz - 1) > kOneFrequency ||
                 tile.tile.scale.value_or(1) != 1 / scale) {
        throw bad(fmt::format("tile {} has another time, frequency or flux scale than in lines before", group));
      }
      tile.tile.frequency_hz = std::max(tile.tile.frequency_hz, frequency_hz);
      PlacedMeasurement row;
      row.ra_deg = ra_deg;
      row.dec_deg = dec_deg;
      row.flux_jy = table.Number(i, columns.flux) * scale;
      row.flux_error_jy = table.Number(i, columns.error) * scale;
      row.local_rms_jy = table.Number(i, columns.rms);
      row.response = table.Number(i, columns.response);
      row.flags = FlagsOf(table, i, columns.flags);
      tile.rows.push_back(row);
    }
    LightCurveRecorder recorder(database);
    for (const auto& [group, tile] : tiles) {
      done.new_sources += recorder.Record(tile.tile, tile.rows, now);
      done.tiles.push_back({group, static_cast<std::int64_t>(tile.rows.size())});
    }
  });
  return done;
}

}  // namespace contimg::ops
