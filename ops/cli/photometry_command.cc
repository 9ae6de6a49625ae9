// `contimg photometry`: fluxes of known places in images.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/source_list.h"
#include "config/text.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/photometry/photometry_table.h"
#include "mosaic/table/table_json.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/tile_options.h"

namespace contimg::ops {
namespace {

struct PhotometryArgs {
  std::vector<std::string> images, at;
  std::string catalogue, out;
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

// Measures one tile and appends its rows; returns what was not measured, in words.
std::string MeasureTile(const PhotometryArgs& args, const std::string& image, const Asked& asked,
                        const RunContext& context, std::vector<mosaic::PhotometryRow>& rows) {
  const mosaic::TileFiles files(args.files.For(image, args.images.size() == 1), {}, context);
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
    row.frequency_hz = frequency_hz;
    row.measurement = measurement;
    rows.push_back(std::move(row));
    ++found;
  }
  return fmt::format(
      "{}: {} of {} measured; of all places {} outside, {} at blank pixels, {} with a response below {:g}",
      files.name(), found, Counted(static_cast<std::int64_t>(asked.sources.size()), "source"), measured.outside,
      measured.blank, measured.low_response, args.min_response);
}

void Photometry(const PhotometryArgs& args) {
  const Asked asked = SourcesOf(args);
  if (!args.out.empty()) mosaic::CheckResult(args.out, args.overwrite);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(args.threads);
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  std::vector<mosaic::PhotometryRow> rows;
  for (const std::string& image : args.images) {
    reporter->Info("photometry", MeasureTile(args, image, asked, context, rows));
  }
  const mosaic::Table table = mosaic::PhotometryTable(rows);
  if (!args.out.empty()) mosaic::WriteTable(RealOs(), args.out, table, args.overwrite);
  if (args.json) {
    fmt::print("{}\n", nlohmann::ordered_json{{"measurements", mosaic::RowsJson(table)}}.dump(2));
  } else if (args.out.empty()) {
    fmt::print("{}", mosaic::CsvText(table));
  }
}

}  // namespace

void AddPhotometryCommand(CLI::App& app) {
  auto args = std::make_shared<PhotometryArgs>();
  CLI::App* command = app.add_subcommand("photometry", "fluxes of known places in images");
  command->add_option("images", args->images, "images, or prefixes as `contimg image --out` takes them")
      ->type_name("PREFIX")
      ->required();
  command->add_option("--at", args->at, "a place, in degrees or hh:mm:ss,dd:mm:ss; may be given several times")
      ->type_name("RA,DEC")
      ->expected(1)
      ->take_all();
  command
      ->add_option("--catalogue", args->catalogue,
                   "a list of sources: measured, or with --at told apart from what is measured")
      ->type_name("CSV");
  command->add_option("--out", args->out, "the table: P.csv, P.vot or P.fits (default: CSV to standard output)")
      ->type_name("FILE");
  args->files.Add(command);
  command
      ->add_option("--min-response", args->min_response,
                   "places where less is left of a source (primary beam times smearing) are not measured")
      ->check(Between(0.01, 1))
      ->capture_default_str();
  command->add_flag("--no-cluster", args->no_cluster, "read every place as if it were alone");
  command->add_option("--threads", args->threads, "threads (default: all processors)")->check(CLI::Range(0, 1024));
  command->add_flag("--overwrite", args->overwrite, "replace the table if it exists");
  command->add_flag("--json", args->json, "print the measurements as JSON");
  command->callback([args] { Photometry(*args); });
}

}  // namespace contimg::ops
