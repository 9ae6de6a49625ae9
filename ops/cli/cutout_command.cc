// `contimg cutout`: a part of an image as a picture or an image of its own, and what the images say at its middle.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "config/sky_text.h"
#include "image/products/fits_part.h"
#include "mosaic/map/map_view.h"
#include "mosaic/table/table.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/setting_options.h"
#include "ops/cli/tile_options.h"
#include "ops/lightcurves/find_source.h"
#include "ops/lightcurves/sources_in_view.h"

namespace contimg::ops {
namespace {

using mosaic::MapLayer;

struct CutoutArgs {
  std::string image, place, size = "20arcmin", out, kind;
  int side_px = mosaic::kUsualSidePx;
  bool names = false, unmarked = false, json = false, overwrite = false;
};

enum class CutoutForm { kNone, kFits, kPng };

CutoutForm FormOfCutout(const std::string& out) {
  if (out.empty()) return CutoutForm::kNone;
  const std::string ending = std::filesystem::path(out).extension().string();
  if (ending == ".fits") return CutoutForm::kFits;
  if (ending == ".png") return CutoutForm::kPng;
  throw Error(ErrorKind::kUsage, "cutout", "--out", fmt::format("expected a name in .fits or .png, found '{}'", out));
}

// RA,DEC in any form, or the name of a source on record.
SkyDirection CutoutPlace(const std::string& text) {
  if (const auto place = PlaceOf(text)) return {Angle::Degrees(place->ra_deg), Angle::Degrees(place->dec_deg)};
  const bool name = text.find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string::npos;
  if (!name || !AreSourcesOnRecord()) return ParsePlace("PLACE", text);  // says what is expected
  state::SourceStore store = SourcesToRead();
  const state::OwnSourceRow source = FindOwnSource(store, text);
  return {Angle::Degrees(source.ra_deg), Angle::Degrees(source.dec_deg)};
}

Angle CutoutSize(const std::string& text) {
  const auto degrees = ParseAngularSize(text);
  if (degrees) return Angle::Degrees(*degrees);
  throw Error(ErrorKind::kUsage, "cutout", "--size",
              fmt::format("expected an angle as 20arcmin or 0.5 (degrees), found '{}'", text));
}

MapLayer CutoutLayer(const CutoutArgs& args, const mosaic::NamedMap& map) {
  if (args.kind.empty()) return map.layer;
  if (const auto layer = mosaic::FindMapLayer(args.kind, map.files)) return *layer;
  throw Error(ErrorKind::kUsage, "cutout", "--kind",
              fmt::format("expected {}, which stand beside each other there, found '{}'", mosaic::LayerWords(map.files),
                          args.kind));
}

std::vector<mosaic::MapMark> MarksOnRecord(const CutoutArgs& args, const mosaic::MapSquare& square) {
  if (args.unmarked || !AreSourcesOnRecord()) return {};
  state::SourceStore store = SourcesToRead();
  return MarksOf(SourcesInView(store.database(), square, kMostMapSources));
}

void DrawCutout(const CutoutArgs& args, const mosaic::NamedMap& map, MapLayer layer, const mosaic::MapSquare& square,
                const mosaic::PlaceFigures& figures) {
  mosaic::MapPicture picture;
  picture.layer = layer;
  picture.noise_jy = mosaic::NoiseOfLayer(figures, layer);
  picture.side_px = args.side_px;
  picture.scale = std::max(1.0, static_cast<double>(args.side_px) / mosaic::kUsualSidePx);
  picture.names = args.names;
  picture.marks = MarksOnRecord(args, square);
  mosaic::WriteResult(RealOs(), args.out, mosaic::MapPng(map.files.at(layer), square, picture), args.overwrite);
}

nlohmann::ordered_json CutoutJson(const CutoutArgs& args, const std::filesystem::path& image, MapLayer layer,
                                  const SkyDirection& place, const mosaic::MapSquare& square,
                                  const mosaic::PlaceFigures& figures) {
  nlohmann::ordered_json report{
      {"image", image.string()},
      {"kind", mosaic::ToString(layer)},
      {"ra_deg", place.ra.deg()},
      {"dec_deg", place.dec.deg()},
      {"size_deg", Angle::Radians(square.side_rad()).deg()},
      {"pixels", square.part.nx},
      {"values", nlohmann::ordered_json::object()},
      {"noise_jy", figures.noise_jy ? nlohmann::ordered_json(*figures.noise_jy) : nlohmann::ordered_json()},
      {"out", args.out}};
  for (const auto& [each, value] : figures.values) report["values"][std::string(mosaic::ToString(each))] = value;
  return report;
}

void PrintCutout(const CutoutArgs& args, const std::filesystem::path& image, MapLayer layer, const SkyDirection& place,
                 const mosaic::MapSquare& square, const mosaic::PlaceFigures& figures) {
  fmt::print("{}: {} by {} pixels, {:.4g}', about {:.5f} {:+.5f} deg\n",
             args.out.empty() ? image.filename().string() : args.out, square.part.nx, square.part.ny,
             Angle::Radians(square.side_rad()).arcsec() / 60, place.ra.deg(), place.dec.deg());
  for (const auto& [each, value] : figures.values) {
    const bool flux = each != MapLayer::kWeight && each != MapLayer::kResponse;
    fmt::print("  {:<9} {}\n", mosaic::ToString(each), flux ? Flux(value) + "/beam" : fmt::format("{:.4g}", value));
  }
  const auto value = figures.values.find(layer);
  const auto noise = mosaic::NoiseOfLayer(figures, layer);
  if (value == figures.values.end()) fmt::print("  {:<9} blank\n", mosaic::ToString(layer));
  if (!noise || value == figures.values.end()) return;
  fmt::print("  {:<9} {}/beam\n", "noise", Flux(*noise));
  const bool fluxes = layer == MapLayer::kImage || layer == MapLayer::kCorrected;
  if (fluxes) fmt::print("  {:<9} {:.1f}\n", "S/N", value->second / *noise);
}

void Cutout(const CutoutArgs& args) {
  const CutoutForm form = FormOfCutout(args.out);
  if (form != CutoutForm::kNone) mosaic::CheckName(args.out, args.overwrite);
  const SkyDirection place = CutoutPlace(args.place);
  const Angle size = CutoutSize(args.size);
  const mosaic::NamedMap map = mosaic::MapOfName(args.image);
  const MapLayer layer = CutoutLayer(args, map);
  const std::filesystem::path& image = map.files.at(layer);
  const mosaic::MapSquare square = mosaic::SquareAbout(image::ReadFitsHeader(image), image, place, size);
  const mosaic::PlaceFigures figures = mosaic::FiguresAt(map.files, place);
  if (form == CutoutForm::kFits) {
    mosaic::PublishResult(RealOs(), args.out, args.overwrite, [&](const std::filesystem::path& hidden) {
      image::WriteFitsCutout(image, square.part, hidden);
    });
  } else if (form == CutoutForm::kPng) {
    DrawCutout(args, map, layer, square, figures);
  }
  if (!args.json) return PrintCutout(args, image, layer, place, square, figures);
  fmt::print("{}\n", CutoutJson(args, image, layer, place, square, figures)
                         .dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

}  // namespace

void AddCutoutCommand(CLI::App& app) {
  auto args = std::make_shared<CutoutArgs>();
  CLI::App* command = app.add_subcommand("cutout", "look at a place of an image or a mosaic: a part of it, and values");
  command->add_option("image", args->image, "an image or a mosaic, or a prefix as `contimg image --out` takes it")
      ->type_name("PREFIX")
      ->required();
  command
      ->add_option("place", args->place, "RA,DEC in degrees or as hh:mm:ss,dd:mm:ss, or the name of a source on record")
      ->type_name("RA,DEC")
      ->required();
  command->add_option("--size", args->size, "side of the square: degrees, or as 20arcmin, 90arcsec")
      ->capture_default_str();
  command
      ->add_option("--out", args->out,
                   "X.fits: the part as an image of its own; X.png: a picture of it (default: values alone)")
      ->type_name("FILE");
  command->add_option("--kind", args->kind, "image, pbcor, residual, rms, weight or pb (default: the one named)");
  command->add_option("--side", args->side_px, "pixels of the picture")
      ->check(Between(mosaic::kFewestSidePx, mosaic::kMostSidePx))
      ->capture_default_str();
  command->add_flag("--names", args->names, "names beside the rings of our own sources");
  command->add_flag("--no-sources", args->unmarked, "a picture without rings of our own sources");
  command->add_flag("--overwrite", args->overwrite, "replace what exists");
  command->add_flag("--json", args->json, "print the values as JSON");
  command->callback([args] { Cutout(*args); });
}

}  // namespace contimg::ops
