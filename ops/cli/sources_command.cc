// `contimg sources`: the sources in an image.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "config/os.h"
#include "config/source_list.h"
#include "config/text.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/find/catalogue_table.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/table/table_json.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/commands.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/tile_options.h"

namespace contimg::ops {
namespace {

using mosaic::FoundSource;
using nlohmann::ordered_json;

struct SourcesArgs {
  std::string image, out, regions, catalogue;
  TileFileOptions files;
  mosaic::FindOptions find;
  int threads = 0;
  bool json = false, overwrite = false;
};

ordered_json FalseAlarmsJson(const mosaic::SourceCatalogue& catalogue) {
  ordered_json list = ordered_json::array();
  for (const mosaic::FalseAlarms& alarms : catalogue.false_alarms) {
    list.push_back({{"threshold", alarms.threshold}, {"expected", alarms.expected}, {"negative", alarms.negative}});
  }
  return list;
}

void PrintCatalogue(const mosaic::SourceCatalogue& catalogue, const std::string& name, const SourcesArgs& args) {
  constexpr std::size_t kShown = 10;
  std::size_t resolved = 0, flagged = 0, blended = 0;
  for (const FoundSource& s : catalogue.sources) {
    resolved += s.resolved ? 1 : 0;
    flagged += (s.flags & quality::kArtefact.mask()) != 0 ? 1 : 0;
    blended += s.group_size > 1 ? 1 : 0;
  }
  fmt::print("{}: {} above {:g} times the local rms, {} told apart from neighbours, {} resolved, {} suspect\n", name,
             Counted(static_cast<std::int64_t>(catalogue.sources.size()), "source"), args.find.seed, blended, resolved,
             flagged);
  for (const mosaic::FalseAlarms& alarms : catalogue.false_alarms) {
    fmt::print("  above {:<4g} rms: {:.3g} maxima of noise expected, {} on the negative side of the residual\n",
               alarms.threshold, alarms.expected, alarms.negative);
  }
  for (std::size_t i = 0; i < std::min(kShown, catalogue.sources.size()); ++i) {
    const FoundSource& s = catalogue.sources[i];
    fmt::print("  {}  {:>10.3f} ± {:.3f} mJy  {:.2f}\" {:.2f}\"  {}\n", s.name, 1e3 * s.flux_jy, 1e3 * s.flux_error_jy,
               s.ra_error_arcsec, s.dec_error_arcsec, QualityFlagNames(s.flags));
  }
  if (catalogue.sources.size() > kShown && args.out.empty()) fmt::print("  … all of them: --out FILE or --json\n");
}

void Sources(const SourcesArgs& args) {
  if (!args.out.empty()) mosaic::CheckResult(args.out, args.overwrite);
  if (!args.regions.empty()) mosaic::CheckName(args.regions, args.overwrite);
  const std::vector<ListedSource> listed =
      args.catalogue.empty() ? std::vector<ListedSource>{} : ReadSourceList(args.catalogue);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(args.threads);
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const mosaic::TileFiles files(args.files.For(args.image, true), {.psf = true}, context);
  WarnOfMissing(files, *reporter);
  const mosaic::TileImages& images = files.images();
  mosaic::FindOptions options = args.find;
  options.known = mosaic::PlacesOfList(listed, images.header->frequency_hz);
  const mosaic::SourceCatalogue catalogue = mosaic::About(files.path(), [&] {
    return mosaic::FindSources(images, mosaic::NoiseOf(files, context.threads), options, context);
  });
  if (!listed.empty()) {
    reporter->Info("sources", fmt::format("{} told apart from known ones that are not found by themselves",
                                          Counted(static_cast<std::int64_t>(catalogue.told_from_known), "source")));
  }
  const mosaic::Table table = mosaic::CatalogueTable(catalogue, files.name(), args.find);
  if (!args.out.empty()) mosaic::WriteTable(RealOs(), args.out, WithProgram(table), args.overwrite);
  if (!args.regions.empty()) {
    mosaic::WriteResult(RealOs(), args.regions, mosaic::Ds9Regions(catalogue, *images.header->beam), args.overwrite);
  }
  if (!args.json) return PrintCatalogue(catalogue, files.name(), args);
  const ordered_json report{{"image", files.name()},
                            {"seed", args.find.seed},
                            {"maxima", catalogue.maxima},
                            {"searched_pixels", catalogue.searched_pixels},
                            {"point_ratio", catalogue.point_ratio},
                            {"false_alarms", FalseAlarmsJson(catalogue)},
                            {"sources", mosaic::RowsJson(table)}};
  fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

void AddSourcesCommand(CLI::App& app) {
  auto args = std::make_shared<SourcesArgs>();
  CLI::App* command = app.add_subcommand("sources", "find the sources in an image");
  command->add_option("image", args->image, "an image or a mosaic, or a prefix as `contimg image --out` takes it")
      ->type_name("PREFIX")
      ->required();
  command->add_option("--out", args->out, "the catalogue: C.csv, C.vot or C.fits")->type_name("FILE");
  command->add_option("--regions", args->regions, "regions for SAOImage DS9")->type_name("FILE");
  command
      ->add_option("--catalogue", args->catalogue, "a list of known sources, told apart from what is found beside them")
      ->type_name("CSV");
  args->files.Add(command);
  command->add_option("--seed", args->find.seed, "what a source must exceed, in local rms")
      ->check(Between(3, 1000))
      ->capture_default_str();
  command->add_option("--min-pb", args->find.min_pb, "primary beam below which nothing is looked for")
      ->check(Between(0.01, 1))
      ->capture_default_str();
  command->add_option("--threads", args->threads, "threads (default: all processors)")->check(Between(0, 1024));
  command->add_flag("--overwrite", args->overwrite, "replace what exists");
  command->add_flag("--json", args->json, "print figures and the whole catalogue as JSON");
  command->callback([args] { Sources(*args); });
}

}  // namespace contimg::ops
