// `contimg photometry`: fluxes of known places in images.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/source_list.h"
#include "config/text.h"
#include "config/time.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/photometry/photometry_table.h"
#include "mosaic/table/table_json.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/commands.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/tile_options.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

struct PhotometryArgs {
  std::vector<std::string> images, at;
  std::string catalogue, out, from, to;
  TileFileOptions files;
  double min_response = mosaic::ForcedOptions{}.min_response;
  int threads = 0;
  bool no_cluster = false, json = false, overwrite = false;
};

struct Asked {
  std::vector<ListedSource> sources;  // whose fluxes are asked for
  std::vector<ListedSource> beside;   // known besides, told apart from them
};

Asked SourcesOf(const PhotometryArgs& args) {
  if (args.at.empty() && args.catalogue.empty())
    throw Error(ErrorKind::kUsage, "photometry", "", "name places: --at RA,DEC or --catalogue CSV");
  Asked asked;
  for (const std::string& text : args.at) {
    const SkyDirection place = ParsePlace("--at", text);
    ListedSource source;
    source.name = text;
    source.ra_deg = place.ra.deg();
    source.dec_deg = place.dec.deg();
    asked.sources.push_back(source);
  }
  if (!args.catalogue.empty()) {
    (args.at.empty() ? asked.sources : asked.beside) = ReadSourceList(args.catalogue);
  }
  return asked;
}

// The restored images on record that may show one of the places, by time; from the middle of an image to its corner.
std::vector<std::string> ImagesOnRecord(const PhotometryArgs& args, const std::vector<ListedSource>& places) {
  const Settings settings = CurrentSettings().values;
  const double reach_deg =
      Angle::Arcsec(std::hypot(settings.image.size, settings.image.size) / 2 * settings.image.cell_arcsec).deg();
  state::ProductQuery query;
  query.kind = ToString(ProductKind::kImage);
  query.status = "present";
  query.newest_first = false;
  if (!args.from.empty()) query.from_mjd = UtcTime::FromPerson("--from", args.from).mjd();
  if (!args.to.empty()) query.before_mjd = UtcTime::FromPerson("--to", args.to).mjd();
  state::ProductStore products(ProductPaths(Roots(settings)).Database(StateDatabase::kProducts),
                               state::DatabaseOptions::ForOneLook());
  std::vector<std::string> images;
  for (const state::ProductRow& row : products.List(query)) {
    if (!row.ra_deg || !row.dec_deg) continue;
    const SkyDirection centre{Angle::Degrees(*row.ra_deg), Angle::Degrees(*row.dec_deg)};
    const bool shows = std::any_of(places.begin(), places.end(), [&](const ListedSource& place) {
      return Separation(centre, {Angle::Degrees(place.ra_deg), Angle::Degrees(place.dec_deg)}).deg() < reach_deg;
    });
    if (shows) images.push_back(row.path);
  }
  return images;
}

// Sources of our own about the places, told apart from them where no list is given.
std::vector<ListedSource> OursAbout(const std::vector<ListedSource>& places) {
  constexpr double kAboutDeg = 0.1;
  std::vector<ListedSource> ours;
  if (!Exists(SourceStorePath())) return ours;
  state::SourceStore store = SourcesToRead();
  state::OwnSourceStore sources(store.database());
  std::set<std::int64_t> taken;
  for (const ListedSource& place : places) {
    for (const state::OwnSourceRow& own : sources.Near(place.ra_deg, place.dec_deg, kAboutDeg)) {
      if (!taken.insert(own.id).second) continue;
      ListedSource& source = ours.emplace_back();
      source.name = own.name;
      source.ra_deg = own.ra_deg;
      source.dec_deg = own.dec_deg;
      source.flux_jy = own.flux_jy;
      source.spectral_index = own.spectral_index;
    }
  }
  return ours;
}

// Measures one tile and appends its rows; returns what was not measured, in words.
std::string MeasureTile(const PhotometryArgs& args, const std::string& image, const Asked& asked,
                        const RunContext& context, std::vector<mosaic::PhotometryRow>& rows) {
  const mosaic::TileFiles files(args.files.For(image, args.images.size() == 1), {.psf = true}, context);
  WarnOfMissing(files, *context.reporter);
  const mosaic::TileImages& images = files.images();
  const image::CoarseMap rms = mosaic::About(files.path(), [&] { return mosaic::NoiseOf(files, context.threads); });
  mosaic::ForcedOptions options;
  options.min_response = args.min_response;
  options.solve_clusters = !args.no_cluster;
  const double frequency_hz = images.header->frequency_hz;
  std::vector<mosaic::ForcedPlace> places = mosaic::PlacesOfList(asked.sources, frequency_hz);
  const auto half_beam = 0.5 * Angle::Radians(images.header->beam->minor_rad);
  const auto others = mosaic::Others(mosaic::PlacesOfList(asked.beside, frequency_hz), places, half_beam);
  places.insert(places.end(), others.begin(), others.end());
  const mosaic::ForcedPhotometry measured = mosaic::MeasureForced(images, rms, places, options, context.threads);
  std::size_t found = 0;
  for (const mosaic::ForcedMeasurement& measurement : measured.measurements) {
    if (measurement.index >= asked.sources.size()) continue;
    mosaic::PhotometryRow row;
    row.source_id = static_cast<std::int64_t>(measurement.index) + 1;
    row.name = asked.sources[measurement.index].name;
    row.product = files.name();
    row.mjd = files.mjd();
    row.frequency_hz = measurement.frequency_hz;
    row.measurement = measurement;
    rows.push_back(std::move(row));
    ++found;
  }
  return fmt::format(
      "{}: {} of {} measured; of all places {} outside, {} at blank pixels, {} with a response below {:g}",
      files.name(), found, Counted(static_cast<std::int64_t>(asked.sources.size()), "source"), measured.outside,
      measured.blank, measured.low_response, args.min_response);
}

void Photometry(const PhotometryArgs& given) {
  PhotometryArgs args = given;
  Asked asked = SourcesOf(args);
  if (!args.images.empty() && !(args.from.empty() && args.to.empty())) {
    throw Error(ErrorKind::kUsage, "photometry", "--from, --to", "choose among the images on record: name no images");
  }
  if (args.images.empty() && args.at.empty()) {
    throw Error(ErrorKind::kUsage, "photometry", "", "name images, or with --at take those on record");
  }
  if (!args.out.empty()) mosaic::CheckResult(args.out, args.overwrite);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(args.threads);
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  if (args.images.empty()) {
    args.images = ImagesOnRecord(args, asked.sources);
    if (args.catalogue.empty()) asked.beside = OursAbout(asked.sources);
    reporter->Info("photometry", fmt::format("{} on record may show it",
                                             Counted(static_cast<std::int64_t>(args.images.size()), "image")));
  }
  std::vector<mosaic::PhotometryRow> rows;
  for (const std::string& image : args.images) {
    reporter->Info("photometry", MeasureTile(args, image, asked, context, rows));
  }
  const mosaic::Table table = mosaic::PhotometryTable(rows);
  if (!args.out.empty()) mosaic::WriteTable(RealOs(), args.out, WithProgram(table), args.overwrite);
  if (args.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"measurements", mosaic::RowsJson(table)}}.dump(
                           2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (args.out.empty()) {
    fmt::print("{}", mosaic::CsvText(table));
  }
}

}  // namespace

void AddPhotometryCommand(CLI::App& app) {
  auto args = std::make_shared<PhotometryArgs>();
  CLI::App* command = app.add_subcommand("photometry", "fluxes of known places in images");
  command
      ->add_option("images", args->images,
                   "images or mosaics, or prefixes as `contimg image --out` takes them (default, with --at: all images "
                   "on record there)")
      ->type_name("PREFIX");
  command->add_option("--at", args->at, "a place, in degrees or hh:mm:ss,dd:mm:ss; may be given several times")
      ->type_name("RA,DEC")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--catalogue", args->catalogue,
                   "a list of sources: measured, or with --at told apart from what is measured")
      ->type_name("CSV");
  command->add_option("--from", args->from, "images on record from this time on")->type_name("TIME");
  command->add_option("--to", args->to, "images on record before this time")->type_name("TIME");
  command->add_option("--out", args->out, "the table: P.csv, P.vot or P.fits (default: CSV to standard output)")
      ->type_name("FILE");
  args->files.Add(command);
  command
      ->add_option("--min-response", args->min_response,
                   "places where less is left of a source (primary beam times smearing) are not measured")
      ->check(Between(0.01, 1))
      ->capture_default_str();
  command->add_flag("--no-cluster", args->no_cluster, "read every place as if it were alone");
  command->add_option("--threads", args->threads, "threads (default: all processors)")->check(Between(0, 1024));
  command->add_flag("--overwrite", args->overwrite, "replace the table if it exists");
  command->add_flag("--json", args->json, "print the measurements as JSON");
  command->callback([args] { Photometry(*args); });
}

}  // namespace contimg::ops
