// `contimg mosaic`: tiles to one map.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/source_list.h"
#include "config/text.h"
#include "config/units.h"
#include "image/plane/beam_algebra.h"
#include "mosaic/mosaic_stage.h"
#include "ops/base/stop_signals.h"
#include "ops/base/version.h"
#include "ops/cli/commands.h"
#include "ops/cli/mosaic_records.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/tile_options.h"

namespace contimg::ops {
namespace {

struct MosaicArgs {
  DeepArgs deep;
  std::vector<std::string> tiles;
  std::string out, centre, projection = "ZEA", beam = "common", catalogue, format = "fits";
  std::optional<double> max_beam_error;
  double cell_arcsec = 0;
  mosaic::MosaicRequest request;
  int threads = 0;
  bool no_residual = false, no_durable = false, json = false;
};

void PrintMosaic(const mosaic::MosaicReport& report) {
  const image::ImageGeometry& g = report.header.geometry;
  const mosaic::MosaicQuality& q = report.quality;
  for (const image::ImageProduct& product : report.products) fmt::print("{}\n", product.path.string());
  fmt::print("{} in it, {} left out; {} x {} pixels in {}, {:.1f} square degrees; beam {:.1f}\" x {:.1f}\"\n",
             Counted(static_cast<std::int64_t>(report.used()), "tile"), report.tiles.size() - report.used(), g.nx, g.ny,
             image::Code(g.projection), q.covered_deg2, Angle::Radians(report.header.beam->major_rad).arcsec(),
             Angle::Radians(report.header.beam->minor_rad).arcsec());
  fmt::print("rms {:.3f} mJy/beam at best, {:.3f} in the median; {:.1f} tiles deep\n", 1e3 * q.rms_least_jy,
             1e3 * q.rms_median_jy, q.tiles_deep);
  if (q.catalogue && q.catalogue->expected > 0) {
    fmt::print("completeness {:.3f} ± {:.3f} ({} of {} sources of the catalogue above 10 σ)\n",
               q.catalogue->completeness, q.catalogue->completeness_error, q.catalogue->matched, q.catalogue->expected);
  }
  const auto restored = std::count_if(report.tiles.begin(), report.tiles.end(),
                                      [](const mosaic::MosaicTile& tile) { return tile.restored; });
  if (restored > 0) fmt::print("{} restored anew with one beam\n", Counted(restored, "tile"));
  for (const mosaic::MosaicTile& tile : report.tiles) {
    const mosaic::TileScale& scale = tile.verdict.scale;
    const std::string scale_words = scale.references > 0
                                        ? fmt::format("scale {:.4f} ± {:.4f} by {}", scale.scale, scale.error,
                                                      Counted(static_cast<std::int64_t>(scale.references), "source"))
                                        : "scale not known";
    if (tile.verdict.refusal == mosaic::Refusal::kNone) {
      fmt::print("  {}  {}\n", tile.figures.name, scale_words);
    } else {
      fmt::print("  {}  left out ({}): {}\n", tile.figures.name, mosaic::ToString(tile.verdict.refusal),
                 tile.verdict.why);
    }
  }
  fmt::print("grade {}\n", q.grade);
  for (const std::string& reason : q.reasons) fmt::print("  {}\n", reason);
  const mosaic::MosaicTimings& t = report.timings;
  fmt::print("{:.2f} s: look {:.2f}, add {:.2f}, close {:.2f}, quality {:.2f}, publish {:.2f}\n", t.total_s, t.look_s,
             t.add_s, t.close_s, t.quality_s, t.publish_s);
}

// Products would take the place of what is read.
void RefuseNameOfATile(const MosaicArgs& args) {
  for (const std::string& tile : args.tiles) {
    for (const char* end : {"", ".image.fits", ".image.fits.fz", ".image"}) {
      if (Absolute(tile) != Absolute(args.out + end)) continue;
      throw Error(ErrorKind::kUsage, "mosaic", "--out",
                  fmt::format("expected a name of its own, found that of the tile {}", tile));
    }
  }
}

void Mosaic(MosaicArgs& args) {
  mosaic::MosaicRequest& request = args.request;
  CheckDeepOptions(args.deep);
  if (args.deep.asked) {
    if (!args.tiles.empty() || !args.out.empty()) {
      throw Error(ErrorKind::kUsage, "mosaic", "--state",
                  "takes tiles on record and names what it makes itself: no PREFIX, no --out");
    }
    return MakeDeepMosaic(args.deep, request.limits.scale_error, args.threads, args.json);
  }
  if (args.tiles.empty() || args.out.empty()) {
    throw Error(ErrorKind::kUsage, "mosaic", "",
                "expected PREFIX… --out X, or --state --lst FROM,TO, or list, show, why");
  }
  RefuseNameOfATile(args);
  request.tiles.assign(args.tiles.begin(), args.tiles.end());
  request.prefix = args.out;
  request.grid.projection = args.projection == "SIN" ? image::Projection::kSin : image::Projection::kZea;
  request.grid.cell_rad = Angle::Arcsec(args.cell_arcsec).rad();
  if (!args.centre.empty()) {
    const SkyDirection centre = ParsePlace("--centre", args.centre);
    request.grid.centre = PhaseCentre{centre.ra.rad(), centre.dec.rad()};
  }
  using Kind = mosaic::BeamWish::Kind;
  request.beam.kind = args.beam == "common" ? Kind::kCommon : args.beam == "per-tile" ? Kind::kPerTile : Kind::kGiven;
  if (request.beam.kind == Kind::kGiven) request.beam.beam = image::ParseBeam("--beam", args.beam);
  request.limits.beam_error =
      args.max_beam_error.value_or(request.beam.kind == Kind::kPerTile ? mosaic::kBeamsAgree : mosaic::kBeamsRelated);
  request.residual = !args.no_residual;
  request.durable = !args.no_durable;
  request.fits = args.format != "casacore";
  request.casacore = args.format != "fits";
  if (!args.catalogue.empty()) request.catalogue = ReadSourceList(args.catalogue);
  request.software = std::string("contimg ") + kVersion;
  request.settings_hash = SettingsHash(CurrentSettings().values);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(args.threads);
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  const mosaic::MosaicReport report = mosaic::RunMosaic(request, context);
  if (!args.json) return PrintMosaic(report);
  nlohmann::ordered_json json = mosaic::ToJson(report);
  for (const image::ImageProduct& product : report.products) json["products"].push_back(product.path.string());
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

void AddMosaicCommand(CLI::App& app) {
  auto args = std::make_shared<MosaicArgs>();
  mosaic::MosaicRequest& request = args->request;
  CLI::App* command = app.add_subcommand("mosaic", "tiles to one map of their sky; tiles that do not fit are left out");
  command->add_option("tiles", args->tiles, "images, or prefixes as `contimg image --out` takes them")
      ->type_name("PREFIX");
  command->add_option("-o,--out", args->out, "start of the products' names")->type_name("X");
  command->add_option("--centre", args->centre, "middle of the projection (default: of the tiles)")
      ->type_name("RA,DEC");
  command->add_option("--projection", args->projection, "ZEA: pixels of equal area; SIN: as tiles, up to 20 degrees")
      ->check(CLI::IsMember({"ZEA", "SIN"}))
      ->capture_default_str();
  command->add_option("--cell", args->cell_arcsec, "pixel, arcsec (default: that of the tiles)")
      ->check(Between(0.01, 3600));
  command->add_option("--min-pb", request.min_pb, "primary beam below which a tile is not used")
      ->check(Between(0.01, 1))
      ->capture_default_str();
  command
      ->add_option("--max-scale-error", request.limits.scale_error,
                   "tiles whose fluxes are off from those of the others by a larger part are left out")
      ->check(Between(0.001, 10))
      ->capture_default_str();
  command
      ->add_option("--beam", args->beam,
                   "of the mosaic: common, the smallest to which all tiles can be brought; per-tile, left as they are; "
                   "or MAJOR,MINOR,ANGLE in arcsec and degrees")
      ->type_name("common|per-tile|ASEC,ASEC,DEG")
      ->capture_default_str();
  command
      ->add_option("--max-beam-error", args->max_beam_error,
                   "tiles whose beam differs from the usual one in width by a larger part are left out (default: 0.2, "
                   "with --beam per-tile 0.02)")
      ->check(Between(0.001, 1));
  command->add_flag("--apply-scale", request.apply_scale, "divide each tile by its flux scale");
  command->add_flag("--no-residual", args->no_residual, "make no residual map");
  command->add_option("--catalogue", args->catalogue, "a list of sources with which the mosaic is compared")
      ->type_name("CSV");
  command->add_option("--format", args->format, "image files")
      ->check(CLI::IsMember({"fits", "casacore", "both"}))
      ->capture_default_str();
  command->add_flag("--compress", request.compress, "Rice-compressed FITS (.fits.fz)");
  command->add_flag("--overwrite", request.overwrite, "replace existing products");
  command->add_flag("--no-durable", args->no_durable, "do not wait until the result is safe on the disk");
  command->add_option("--threads", args->threads, "threads (default: all processors)")->check(Between(0, 1024));
  command->add_flag("--json", args->json, "print the report as JSON");
  AddDeepOptions(command, args->deep);
  command->require_subcommand(0, 1);
  command->callback([args, command] {
    if (command->get_subcommands().empty()) Mosaic(*args);
  });
  AddMosaicRecords(command);
}

}  // namespace contimg::ops
