// `contimg lightcurve export`: light curves as files for others' programs.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/program_options.h"
#include "ops/lightcurves/light_curve_export.h"

namespace contimg::ops {
namespace {

struct SeriesExportArgs {
  std::vector<std::string> sources;
  std::string out, level = "tile", quality = "none", format = "fits";
  LightCurveExport request;
  bool json = false;
};

void ExportSeries(const SeriesExportArgs& args) {
  LightCurveExport request = args.request;
  request.folder = args.out;
  request.ending = args.format == "votable" ? ".vot" : "." + args.format;
  request.curve.level = ParseLightCurveLevel(args.level);
  request.curve.mask = ParseQualityMask(args.quality);
  state::SourceStore store = SourcesToRead();
  for (const std::string& name : args.sources) request.only.push_back(FindOwnSource(store, name));
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const ExportedLightCurves done = ExportLightCurves(store.database(), request, context);
  if (args.json) {
    const nlohmann::ordered_json out{{"written", done.written}, {"unchanged", done.unchanged}, {"points", done.points}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{} of {} written below {}, {} were there as they are\n", Counted(done.written, "light curve"),
               Counted(done.points, "point"), Printable((request.folder / "lightcurves").string()), done.unchanged);
  }
}

}  // namespace

void AddLightCurveExport(CLI::App* command) {
  auto args = std::make_shared<SeriesExportArgs>();
  CLI::App* exporting = command->add_subcommand("export", "light curves as a tree of files for other programs");
  exporting->add_option("sources", args->sources, "names, here or in a catalogue, or RA,DEC (default: all)")
      ->type_name("NAME|RA,DEC");
  exporting->add_option("--out", args->out, "DIR/lightcurves/CATALOGUE/SOURCE.fits is made")
      ->type_name("DIR")
      ->required();
  exporting->add_option("--format", args->format, "of the files")
      ->check(CLI::IsMember({"fits", "csv", "votable"}))
      ->capture_default_str();
  exporting->add_option("--level", args->level, "a point a tile, transit or night")
      ->type_name("tile|transit|night")
      ->capture_default_str();
  exporting->add_flag("--normalised", args->request.curve.normalised,
                      "times the flux scale of each tile, where it has one");
  exporting->add_option("--kind", args->request.curve.kind, "of photometry")
      ->type_name("forced|detection")
      ->capture_default_str();
  exporting->add_option("--quality", args->quality, "what is left out: none, default, hard, hardest, names, a number")
      ->capture_default_str();
  exporting->add_flag("--datasets", args->request.datasets, "also data sets that were imported or made");
  exporting->add_flag("--json", args->json, "print the result as JSON");
  exporting->callback([args] { ExportSeries(*args); });
}

}  // namespace contimg::ops
