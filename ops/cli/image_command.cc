// `contimg image`: a Measurement Set to images.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calibrate/lost_sky.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "image/image_plan.h"
#include "image/image_stage.h"
#include "ops/base/version.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/daemon/settings_check.h"

namespace contimg::ops {
namespace {

struct ImageArgs {
  std::string measurement_set, out, column;
  int field = -1;
  std::vector<int> windows;
  std::vector<std::size_t> channels;  // first, last
  SettingOptions settings;
  bool local_rms = false, no_negative = false, compress = false;
  bool dirty_only = false, psf_only = false, predict = false, overwrite = false, no_durable = false, json = false;
};

void ApplyOptions(const ImageArgs& args, Settings& settings) {
  if (args.settings.Given("--robust")) settings.image.weight = "briggs";  // unless --weight says otherwise
  args.settings.Apply(settings);
  ImageSettings& s = settings.image;
  s.local_rms = s.local_rms || args.local_rms;
  s.negative = s.negative && !args.no_negative;
  s.compress = s.compress || args.compress;
  image::CheckImageSettings(s);
}

// The tables that `contimg apply` put into CORRECTED_DATA, from the set's history: those of the last apply. A name that
// begins with a time stamp tells the start of validity.
std::vector<image::CalibrationUsed> CalibrationOf(const convert::MeasurementSetInfo& info) {
  static constexpr std::string_view kApplied = " applied to DATA";
  std::vector<image::CalibrationUsed> tables;
  bool together = false;
  for (const std::string& line : info.history) {
    const std::size_t end = line.find(kApplied), begin = line.find(' ');
    if (end == std::string::npos || begin >= end) {
      together = false;
      continue;
    }
    if (!together) tables.clear();
    together = true;
    image::CalibrationUsed table{line.substr(begin + 1, end - begin - 1), ""};
    try {
      table.date = UtcTime::FromIso8601(table.name.substr(0, 19)).Iso8601();
    } catch (const Error&) {  // a name of another kind
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

void PrintReport(const image::ImageReport& r) {
  for (const image::ImageProduct& product : r.products) fmt::print("{}\n", product.path.string());
  const SmallAngleUnit unit = UnitFor(Angle::Radians(r.beam.minor_rad));
  fmt::print("beam {:.2f} x {:.2f} {}, position angle {:.1f} deg\n", unit.Of(Angle::Radians(r.beam.major_rad)),
             unit.Of(Angle::Radians(r.beam.minor_rad)), unit.name, Angle::Radians(r.beam.angle_rad).deg());
  fmt::print("primary beam {}\n", r.primary_beam.description);
  if (!r.quality.grade.empty()) {
    fmt::print("peak {:.4g} mJy/beam, rms {:.4g} mJy/beam ({:.2f} x thermal), dynamic range {:.0f}, quality {}\n",
               1e3 * r.quality.peak_jy, 1e3 * r.quality.rms_jy, r.quality.rms_over_thermal, r.quality.dynamic_range,
               r.quality.grade);
    for (const std::string& reason : r.quality.reasons) fmt::print("  {}\n", reason);
  }
  if (!r.clean.cycles.empty()) {
    fmt::print("CLEAN: {} components, {:.4g} Jy, {} major cycles, stopped by {}\n", r.clean.iterations, r.model_flux_jy,
               r.clean.cycles.size(), image::ToString(r.clean.stop));
  }
  const image::ImageTimings& t = r.timings;
  fmt::print(
      "{:.2f} s: read {:.2f}, prepare {:.2f}, dirty and PSF {:.2f}, CLEAN {:.2f} (major cycles {:.2f}), products "
      "{:.2f}, "
      "quality {:.2f}, publish {:.2f}\n",
      t.total_s, t.read_s, t.prepare_s, t.dirty_s, t.clean_s, t.major_s, t.products_s, t.quality_s, t.publish_s);
}

void Image(const ImageArgs& args) {
  if (args.dirty_only + args.psf_only + args.predict > 1) {
    throw Error(ErrorKind::kUsage, "image", "", "--dirty-only, --psf-only and --predict exclude each other");
  }
  LoadedSettings settings = CurrentSettings();
  ApplyOptions(args, settings.values);
  image::ImageRequest request;
  request.prefix = args.out;
  request.settings = settings.values.image;
  request.telescope = settings.values.telescope;
  request.products = args.dirty_only ? image::ImageProducts::kDirtyOnly
                     : args.psf_only ? image::ImageProducts::kPsfOnly
                                     : image::ImageProducts::kAll;
  request.dead_antenna_fraction = settings.values.flag.dead_antenna_fraction;
  request.overwrite = args.overwrite;
  request.durable = !args.no_durable;
  request.predict = args.predict;
  request.settings.beam_file = FindBeamFile(request.settings.beam_file, settings.values);
  if (!args.channels.empty()) request.channels = {args.channels[0], args.channels[1]};
  request.software = std::string("contimg ") + kVersion;
  Settings effective = settings.values;
  effective.image = request.settings;
  effective.telescope = request.telescope;
  request.settings_hash = SettingsHash(effective);
  request.history = {"from " + std::filesystem::path(args.measurement_set).filename().string()};
  request.orientation = convert::EarthOrientationTable::LoadIfSet(request.telescope.earth_orientation_file);

  image::CheckProducts(request);
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(request.settings.threads);
  context.reporter = reporter.get();
  std::optional<convert::MeasurementSetLock> lock;
  if (args.predict) lock.emplace(args.measurement_set, context);
  convert::MeasurementSetSelection selection;
  selection.column = args.column;
  selection.field = args.field;
  selection.windows = args.windows;
  convert::TileOfSet tile;
  if (image::NeedsWholeTile(request)) {
    tile.block = convert::ReadMeasurementSet(args.measurement_set, selection, context);
  } else {
    tile = convert::OpenMeasurementSet(args.measurement_set, selection, context);
  }
  const std::unique_ptr<VisibilityBlock>& block = tile.block;
  const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(args.measurement_set);
  if (block->data_state == DataState::kCorrected) request.calibration = CalibrationOf(info);
  request.antennas_without_sky = calibrate::NamesWithoutSky(info.history);
  const std::string lost = calibrate::LostSkyHistory(request.antennas_without_sky);
  if (!lost.empty()) request.history.push_back(lost);
  const image::ImageReport report =
      tile.vis ? image::RunImage(*block, *tile.vis, request, context) : image::RunImage(*block, request, context);
  if (args.predict) {
    convert::MeasurementSetChanges changes;
    changes.model = block->vis.data();
    changes.replace = true;
    changes.application = "contimg image";
    changes.history = {"MODEL_DATA predicted from the CLEAN model of " + args.out};
    convert::UpdateMeasurementSet(args.measurement_set, selection, *block, changes, context);
  }
  if (args.json) {
    nlohmann::json json = image::ToJson(report);
    for (const auto& product : report.products) json["products"].push_back(product.path.string());
    fmt::print("{}\n", json.dump(2));
  } else {
    PrintReport(report);
  }
}

}  // namespace

void AddImageCommand(CLI::App& app) {
  auto args = std::make_shared<ImageArgs>();
  SettingOptions& settings = args->settings;
  CLI::App* command = app.add_subcommand("image", "images of a Measurement Set: CLEAN, primary beam, quality");
  command->add_option("ms", args->measurement_set, "the Measurement Set")->type_name("X.ms")->required();
  command->add_option("--out,-o", args->out, "start of the products' names")->type_name("PREFIX")->required();
  command->add_option("--column", args->column, "DATA or CORRECTED_DATA (default: corrected when present)");
  command->add_option("--field", args->field, "row of FIELD (default: the only one with data)");
  command->add_option("--spws,--spw", args->windows, "rows of SPECTRAL_WINDOW (default: all)")->delimiter(',');
  command->add_option("--channels", args->channels, "first and last channel of the joined band")
      ->type_name("FIRST LAST")
      ->expected(2);
  settings.Add(command, "--size", "image.size", "pixels on a side, even");
  settings.Add(command, "--cell", "image.cell_arcsec", "pixel, arcsec or with a unit");
  settings.Add(command, "--weight", "image.weight", "density weighting");
  settings.Add(command, "--robust", "image.robust", "Briggs robustness, -2 to 2");
  settings.Add(command, "--minuv", "image.min_uv_lambda", "shortest baseline, wavelengths");
  settings.Add(command, "--maxuv", "image.max_uv_lambda", "longest baseline, wavelengths");
  settings.Add(command, "--taper", "image.taper_arcsec", "Gaussian taper, FWHM in the image, arcsec or with a unit");
  settings.Add(command, "--niter", "image.max_iterations", "CLEAN components at most; 0: no deconvolution");
  settings.Add(command, "--gain", "image.gain", "part of the peak one component takes");
  settings.Add(command, "--mgain", "image.major_gain", "part of the peak one major cycle takes");
  settings.Add(command, "--auto-mask", "image.auto_mask",
               "clean everywhere down to this many sigma, then inside the mask");
  settings.Add(command, "--auto-threshold", "image.auto_threshold", "final level in sigma");
  settings.Add(command, "--threshold", "image.threshold_jy", "absolute level, Jy or with a unit");
  settings.Add(command, "--multiscale", "image.scales_px", "scales in pixels, for example 0,8,20");
  settings
      .Add(command, "--restore-beam", "image.restore_beam", "restoring beam, arcsec and degrees (default: the PSF's)")
      ->type_name("MAJ,MIN,PA");
  settings.Add(command, "--mask", "image.mask_file", "FITS mask")->type_name("FILE");
  settings.Add(command, "--catalogue", "image.catalogue_file", "catalogue for the quality check (and mask)")
      ->type_name("CSV");
  settings.Add(command, "--catalogue-mask", "image.catalogue_mask_arcsec",
               "clean only this near to catalogue sources, arcsec");
  settings.Add(command, "--bands", "image.spectral_channels",
               "bands imaged apart and cleaned together, with spectra of the sources");
  settings.Add(command, "--terms", "image.spectral_terms", "terms of these spectra: 1 flat, 2 with a spectral index");
  settings.Add(command, "--beam-file", "image.beam_file", "FITS table of the dishes' voltage pattern")
      ->type_name("FILE");
  settings.Add(command, "--beam", "telescope.beam", "primary beam");
  command->add_flag("--local-rms", args->local_rms, "search relative to the local rms");
  command->add_flag("--no-negative", args->no_negative, "no negative components");
  settings.Add(command, "--format", "image.format", "image files");
  command->add_flag("--compress", args->compress, "Rice-compressed FITS (.fits.fz)");
  command->add_flag("--dirty-only", args->dirty_only, "no deconvolution: dirty image, PSF, beam");
  command->add_flag("--psf-only", args->psf_only, "only the PSF");
  command->add_flag("--predict", args->predict, "write the CLEAN model back to MODEL_DATA");
  command->add_flag("--overwrite", args->overwrite, "replace existing products");
  command->add_flag("--no-durable", args->no_durable, "do not wait until the result is safe on the disk");
  command->add_flag("--json", args->json, "print the report as JSON");
  settings.Add(command, "--threads", "image.threads", "threads (default: all processors)");
  command->callback([args] { Image(*args); });
}

}  // namespace contimg::ops
