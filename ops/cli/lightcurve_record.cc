// `contimg lightcurve record`, `forget`, `normalise`, `refine`, `rebuild`: measurements go on record, agree and leave
// it.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/product_kind.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/lightcurves/flux_scales.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/photometry_record.h"
#include "ops/lightcurves/refine_places.h"
#include "ops/mosaics/deep_places.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

struct RecordArgs {
  std::vector<std::string> files;
  std::string instrument = "DSA-110";
  bool follows = false;
  state::TrackingRow tracking;
  double exposure_s = 0;
  bool as_json = false;
};

void RecordTables(const RecordArgs& args) {
  const std::vector<std::string>& files = args.files;
  const bool as_json = args.as_json;
  ObservedAs as;
  as.instrument = args.instrument;
  if (args.follows) {
    as.tracking = args.tracking;
    if (args.exposure_s > 0) as.tracking->exposure_s = args.exposure_s;
  }
  if (as.instrument.empty() || (args.follows && as.tracking->target.empty())) {
    throw Error(ErrorKind::kUsage, "lightcurve", as.instrument.empty() ? "--instrument" : "--target",
                "expected a name, found none");
  }
  std::vector<mosaic::CsvTable> tables;
  for (const std::string& file : files) tables.push_back(mosaic::ReadCsv(file));
  const double now = UtcTime::Now().unix_s();
  state::SourceStore store(SourceStorePath());
  std::vector<RecordedPhotometry> done;
  store.database().Write([&] {
    for (const mosaic::CsvTable& table : tables) done.push_back(RecordPhotometry(store.database(), table, now, as));
  });
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < files.size(); ++i) {
    for (const RecordedTile& tile : done[i].tiles) {
      if (as_json) {
        out.push_back({{"product", tile.group_id}, {"measurements", tile.measurements}});
      } else {
        fmt::print("{}: {}\n", Printable(tile.group_id), Counted(tile.measurements, "measurement"));
      }
    }
    if (!as_json && done[i].new_sources > 0) {
      fmt::print("{}: {} met for the first time\n", Printable(files[i]), Counted(done[i].new_sources, "source"));
    }
  }
  if (as_json) {
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
}

// A mistyped directory must not become an empty database.
state::SourceStore SourcesToChange() {
  SourcesToRead();
  return state::SourceStore(SourceStorePath());
}

void ForgetTiles(const std::vector<std::string>& groups) {
  state::SourceStore store = SourcesToChange();
  LightCurveRecorder recorder(store.database());
  store.database().Write([&] {
    for (const std::string& group : groups) {
      if (!recorder.Forget(group)) {
        throw Error(ErrorKind::kUsage, "lightcurve", group, "no tile of this name is on record: nothing was taken out");
      }
    }
  });
  fmt::print("{} taken out\n", Counted(static_cast<std::int64_t>(groups.size()), "tile"));
}

void NormaliseTiles(const std::string& from, const std::string& to, bool as_json) {
  NormaliseRequest request;
  if (!from.empty()) request.from_mjd = UtcTime::FromPerson("--from", from).mjd();
  if (!to.empty()) request.to_mjd = UtcTime::FromPerson("--to", to).mjd();
  request.now = UtcTime::Now().unix_s();
  state::SourceStore store = SourcesToChange();
  const auto tiles = NormaliseTiles(store.database(), request, {}).tiles;
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const state::ObservationRow& tile : tiles) {
    if (as_json) {
      out.push_back(
          {{"product", tile.group_id},
           {"scale", tile.scale ? nlohmann::ordered_json(*tile.scale) : nlohmann::ordered_json()},
           {"scale_error", tile.scale ? nlohmann::ordered_json(*tile.scale_error) : nlohmann::ordered_json()}});
    } else if (tile.scale) {
      fmt::print("{}: {:.4f} +- {:.4f}\n", Printable(tile.group_id), *tile.scale, *tile.scale_error);
    } else {
      fmt::print("{}: too few sources that do not vary\n", Printable(tile.group_id));
    }
  }
  if (as_json) {
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (tiles.empty()) {
    fmt::print("no tile is on record\n");
  }
}

void ReckonAnew() {
  state::SourceStore store = SourcesToChange();
  const std::int64_t n = LightCurveRecorder(store.database()).Rebuild();
  fmt::print("transits and statistics of {} reckoned anew\n", Counted(n, "source"));
}

RefinedPlaces RefineFromMosaic(const PlaceRules& rules, const std::string& name, double now) {
  state::ProductStore products(ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kProducts),
                               state::DatabaseOptions::ForOneLook());
  const auto mosaic = state::MosaicStore(products.database()).Find(name);
  const auto catalogue = CatalogueOfMosaic(products, name);
  if (!mosaic || !catalogue) {
    throw Error(ErrorKind::kUsage, "lightcurve", name, "is no mosaic with a catalogue on record (contimg mosaic list)");
  }
  state::SourceStore store = SourcesToChange();
  return RefinePlacesFromMosaic(store.database(), *mosaic, *catalogue, rules, now);
}

void RefineAll(const PlaceRules& rules, const std::string& mosaic, bool as_json) {
  const double now = UtcTime::Now().unix_s();
  const RefinedPlaces done =
      mosaic.empty() ? RefinePlaces(SourcesToChange().database(), rules, now) : RefineFromMosaic(rules, mosaic, now);
  if (as_json) {
    fmt::print("{}\n",
               nlohmann::ordered_json{
                   {"place_version", done.version}, {"sources", done.sources}, {"median_arcsec", done.median_arcsec}}
                   .dump(2));
  } else if (done.sources == 0) {
    fmt::print("{}\n", mosaic.empty() ? "no source was found often enough" : "no source of ours is found in it");
  } else {
    fmt::print("{} at places of version {}, moved by {:.2f} arcsec (median)\n", Counted(done.sources, "source"),
               done.version, done.median_arcsec);
  }
}

}  // namespace

void AddLightCurveRecord(CLI::App* command) {
  auto args = std::make_shared<RecordArgs>();
  CLI::App* record = command->add_subcommand("record", "put tables of `contimg photometry` on record");
  record->add_option("files", args->files, "CSV; a tile that is on record already is replaced")
      ->type_name("P.csv")
      ->required();
  record->add_option("--instrument", args->instrument, "that observed")->type_name("NAME")->capture_default_str();
  CLI::Option* target =
      record->add_option("--target", args->tracking.target, "that the telescope followed; without: it stood still")
          ->type_name("NAME");
  record->add_option("--program", args->tracking.program, "whose time it was")->type_name("NAME")->needs(target);
  record->add_option("--band", args->tracking.band, "as the observatory calls it")->type_name("NAME")->needs(target);
  record->add_option("--exposure", args->exposure_s, "time on target, s")
      ->type_name("S")
      ->check(Between(0.001, 1e7))
      ->needs(target);
  record->add_flag("--json", args->as_json, "print the result as JSON");
  record->callback([args, target] {
    args->follows = target->count() > 0;
    RecordTables(*args);
  });

  auto groups = std::make_shared<std::vector<std::string>>();
  CLI::App* forget = command->add_subcommand("forget", "take the measurements of tiles out");
  forget->add_option("tiles", *groups, "as column product names them")->required();
  forget->callback([groups] { ForgetTiles(*groups); });

  struct NormaliseArgs {
    std::string from, to;
    bool as_json = false;
  };
  auto scales = std::make_shared<NormaliseArgs>();
  CLI::App* normalise =
      command->add_subcommand("normalise", "reckon the flux scale of tiles from the sources that do not vary");
  normalise->add_option("--from", scales->from, "references from tiles of this time on")->type_name("TIME");
  normalise->add_option("--to", scales->to, "references from tiles up to this time")->type_name("TIME");
  normalise->add_flag("--json", scales->as_json, "print as JSON");
  normalise->callback([scales] { NormaliseTiles(scales->from, scales->to, scales->as_json); });

  struct RefineArgs {
    PlaceRules rules;
    std::string mosaic;
    bool as_json = false;
  };
  auto places = std::make_shared<RefineArgs>();
  CLI::App* refine = command->add_subcommand("refine", "put sources where tiles have found them, as a new version");
  CLI::Option* often = refine->add_option("--min-n", places->rules.min_detections, "detections of a source at least")
                           ->check(Between(2, 1000000))
                           ->capture_default_str();
  refine->add_option("--min-snr", places->rules.min_snr, "of each of them at least")
      ->check(Between(3, 1000))
      ->capture_default_str();
  refine->add_option("--mosaic", places->mosaic, "where this mosaic on record has them, in place of tiles")
      ->type_name("NAME")
      ->excludes(often);
  refine->add_flag("--json", places->as_json, "print as JSON");
  refine->callback([places] { RefineAll(places->rules, places->mosaic, places->as_json); });

  CLI::App* rebuild = command->add_subcommand("rebuild", "reckon transits and statistics anew from the measurements");
  rebuild->callback([] { ReckonAnew(); });
}

}  // namespace contimg::ops
