#include "ops/mosaicking/run_mosaic_task.h"

#include <fmt/format.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings_loader.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/job/tree_marker.h"
#include "ops/mosaicking/make_mosaic.h"
#include "ops/mosaics/deep_places.h"
#include "ops/mosaics/mosaic_task.h"
#include "state/mosaic_store.h"
#include "state/own_source_store.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

// As on record, where settings have become others.
MosaicWindow WindowOfSpan(const MosaicSpan& span, state::MosaicStore& store, const MosaicSettings& settings) {
  const auto row = store.Find(MosaicName(span.start, span.end, span.dec_deg));
  return row ? WindowOf(*row) : WindowOf(span, settings);
}

MosaicOrder OrderOf(const MosaicSubject& subject, state::ProductStore& products, const MosaicSettings& settings) {
  state::MosaicStore store(products.database());
  const MosaicWindow window = WindowOfSpan(subject.span, store, settings);
  if (!subject.deep) return OrderHourly(products, window);
  DeepRequest request;
  request.strip_deg = window.strip_deg;
  request.lst_start_h = window.lst_start_h;
  request.lst_end_h = window.lst_end_h;
  request.days = static_cast<int>(settings.deep_days);
  request.to_mjd = window.end_mjd;
  request.from_mjd = window.end_mjd - static_cast<double>(settings.deep_days) - kDeepLookBackDays;
  return OrderDeep(products, request);
}

// Version 0: there is nothing to refine.
RefinedPlaces RefineFrom(const state::MosaicRow& made, state::ProductStore& products, const fs::path& database,
                         const MosaicSettings& settings) {
  const auto catalogue = CatalogueOfMosaic(products, made.name);
  if (!settings.refine_places || !catalogue || !Exists(database)) return {};
  state::SourceStore sources(database);
  if (!DeepensPlaces(made, state::OwnSourceStore(sources.database()).PlaceVersions())) return {};
  PlaceRules rules;
  rules.min_snr = kDeepPlaceMinSnr;
  return RefinePlacesFromMosaic(sources.database(), made, *catalogue, rules, UtcTime::Now().unix_s());
}

}  // namespace

void RunMosaicTask(const nlohmann::json& work, const RunContext& context, nlohmann::json& figures) {
  SettingsSources sources;
  sources.overrides = work.at("settings").get<std::vector<std::string>>();
  const Settings settings = LoadSettings(sources).values;
  const ProductPaths paths(Roots(settings));
  if (const auto identity = ReadStateIdentity(paths.roots().state)) RequireTrees({identity->identity, identity->roots});
  state::ProductStore products(paths.Database(StateDatabase::kProducts));
  const std::string subject = work.at("subject").get<std::string>();
  MosaicOrder order = OrderOf(ParseMosaicSubject(subject), products, settings.mosaic);
  {
    state::TaskStore tasks(paths.Database(StateDatabase::kIngest), state::DatabaseOptions::ForOneLook());
    order.asked_at = AskedAt(tasks, subject);
  }
  const MadeMosaic made = MakeMosaic(order, paths, settings, products, context);
  const RefinedPlaces places =
      RefineFrom(made.row, products, paths.Database(StateDatabase::kMasterSources), settings.mosaic);
  figures["name"] = made.row.name;
  figures["marked"] = made.marked;
  std::string refined;
  if (places.version > 0) {
    figures["places"] = {
        {"version", places.version}, {"sources", places.sources}, {"median_arcsec", places.median_arcsec}};
    refined = fmt::format("; {} at places of version {}, moved by {:.2f} arcsec (median)",
                          Counted(places.sources, "source"), places.version, places.median_arcsec);
  }
  if (made.was_there) {
    figures["summary"] =
        fmt::format("{}: version {} is on record from an attempt before{}", made.row.name, made.row.version, refined);
    return;
  }
  figures["grade"] = made.row.grade;
  figures["tiles"] = made.row.n_used;
  figures["refused"] = made.row.n_refused;
  figures["refusals"] = nlohmann::json::object();
  for (const mosaic::MosaicTile& tile : made.report.tiles) {
    if (tile.verdict.refusal == mosaic::Refusal::kNone) continue;
    nlohmann::json& n = figures["refusals"][std::string(mosaic::ToString(tile.verdict.refusal))];
    n = n.is_null() ? 1 : n.get<int>() + 1;
  }
  figures["found"] = made.found;
  figures["measured"] = made.measured;
  figures["seconds"] = made.report.timings.total_s;
  figures["summary"] = fmt::format("{}: {} in it, {} left out, grade {}, version {}{}", made.row.name,
                                   Counted(static_cast<std::int64_t>(made.row.n_used), "tile"), made.row.n_refused,
                                   made.row.grade, made.row.version, refined);
}

}  // namespace contimg::ops
