#include "ops/mosaics/deep_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <variant>

#include "config/error.h"
#include "config/product_kind.h"
#include "config/quality_flags.h"
#include "config/robust_statistics.h"
#include "config/units.h"
#include "mosaic/table/fits_table.h"
#include "ops/lightcurves/light_curves.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct Found {
  double ra_deg = 0, dec_deg = 0, ra_error_arcsec = 0, dec_error_arcsec = 0;
};

template <class Value>
const std::vector<Value>& CatalogueColumn(const mosaic::Table& table, const std::string& name, const fs::path& path) {
  for (const mosaic::TableColumn& column : table.columns) {
    if (column.name != name) continue;
    if (const auto* values = std::get_if<std::vector<Value>>(&column.values)) return *values;
  }
  throw Error(ErrorKind::kBadInput, "lightcurve", path.string(), fmt::format("expected a column {}, found none", name));
}

std::vector<Found> FitToTell(const fs::path& path, double min_snr) {
  const mosaic::Table table = mosaic::ReadFitsTable(path);
  const auto numbers = [&](const char* name) -> const std::vector<double>& {
    return CatalogueColumn<double>(table, name, path);
  };
  const auto &ra = numbers("ra_deg"), &dec = numbers("dec_deg"), &ra_error = numbers("ra_error_arcsec"),
             &dec_error = numbers("dec_error_arcsec"), &snr = numbers("snr");
  const auto &flags = CatalogueColumn<std::int64_t>(table, "flags", path),
             &resolved = CatalogueColumn<std::int64_t>(table, "resolved", path);
  const QualityFlags unfit = ParseQualityMask("hard") | quality::kResolved.mask();
  std::vector<Found> found;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    if ((static_cast<QualityFlags>(flags[i]) & unfit) != 0 || resolved[i] != 0 || !(snr[i] >= min_snr)) continue;
    found.push_back({ra[i], dec[i], ra_error[i], dec_error[i]});
  }
  return found;
}

}  // namespace

bool DeepensPlaces(const state::MosaicRow& mosaic, const std::vector<state::PlaceVersionRow>& earlier) {
  return mosaic.is_reference && std::all_of(earlier.begin(), earlier.end(), [&](const state::PlaceVersionRow& row) {
           const bool same = !row.mosaic.empty() &&
                             state::SameWindow(mosaic.strip_deg, mosaic.lst_start_h, row.strip_deg, row.lst_start_h);
           return !same || row.tiles < mosaic.n_used;
         });
}

std::optional<fs::path> CatalogueOfMosaic(state::ProductStore& products, const std::string& name) {
  state::ProductQuery query;
  query.group_id = name;
  query.kind = ToString(ProductKind::kMosaicSources);
  query.status = "present";
  const auto rows = products.List(query);
  return rows.empty() ? std::nullopt : std::optional<fs::path>(rows.front().path);
}

RefinedPlaces RefinePlacesFromMosaic(state::Database& database, const state::MosaicRow& mosaic,
                                     const fs::path& catalogue, const PlaceRules& rules, double now) {
  const std::vector<Found> found = FitToTell(catalogue, rules.min_snr);
  RefinedPlaces done;
  std::vector<double> moved_arcsec;
  database.Write([&] {
    state::OwnSourceStore sources(database);
    LightCurveRecorder recorder(database);
    struct Match {
      const Found* found = nullptr;
      double arcsec = 0;
      state::OwnSourceRow source;
    };
    std::map<std::int64_t, Match> matches;  // by source; of two that are found near one the nearer
    for (const Found& each : found) {
      const auto near = sources.Near(each.ra_deg, each.dec_deg, Angle::Arcsec(state::kSamePlaceArcsec).deg());
      if (near.empty()) continue;
      const SkyDirection there{Angle::Degrees(each.ra_deg), Angle::Degrees(each.dec_deg)};
      const SkyDirection here{Angle::Degrees(near.front().ra_deg), Angle::Degrees(near.front().dec_deg)};
      const double arcsec = Separation(here, there).arcsec();
      const auto [match, fresh] = matches.try_emplace(near.front().id);
      if (fresh || arcsec < match->second.arcsec) match->second = {&each, arcsec, near.front()};
    }
    if (!matches.empty()) {
      done.version =
          sources.AddPlaceVersion({0, now, mosaic.name, mosaic.strip_deg, mosaic.lst_start_h, mosaic.n_used});
    }
    for (const auto& [id, match] : matches) {
      sources.Move(id, match.found->ra_deg, match.found->dec_deg,
                   std::hypot(match.found->ra_error_arcsec, rules.floor_arcsec),
                   std::hypot(match.found->dec_error_arcsec, rules.floor_arcsec), done.version);
      recorder.ReckonSource(id);
      moved_arcsec.push_back(match.arcsec);
    }
  });
  done.sources = static_cast<std::int64_t>(moved_arcsec.size());
  done.median_arcsec = moved_arcsec.empty() ? 0 : Median(moved_arcsec);
  return done;
}

}  // namespace contimg::ops
