// `contimg image`: a Measurement Set to images.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/quantity.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "image/image_stage.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/version.h"

namespace contimg::ops {
namespace {

struct ImageArgs {
  std::string measurement_set, out, column;
  int field = -1;
  std::vector<int> windows;
  std::vector<std::size_t> channels;  // first, last
  std::optional<std::int64_t> size, niter;
  std::string cell, taper, threshold;
  std::string weight, scales, mask, catalogue, beam, beam_file, format;
  std::optional<std::int64_t> bands, terms;
  std::optional<double> catalogue_mask, robust, min_uv, max_uv, gain, major_gain, auto_mask, auto_threshold;
  bool local_rms = false, no_negative = false, compress = false;
  bool dirty_only = false, psf_only = false, predict = false, overwrite = false, no_durable = false, json = false;
  int threads = 0;
};

double Quantity(const std::string& text, const char* unit, const char* option) {
  const auto value = ParseQuantity(text, unit);
  if (!value) {
    throw Error(
        ErrorKind::kUsage, "image", option,
        fmt::format("expected a number of {} (or with a unit: {}), found '{}'", unit, CompatibleUnits(unit), text));
  }
  return *value;
}

template <typename T, typename U>
void Override(T& setting, const std::optional<U>& option) {
  if (option) setting = *option;
}
void Override(std::string& setting, const std::string& option) {
  if (!option.empty()) setting = option;
}

ImageSettings SettingsOf(const ImageArgs& args, ImageSettings s) {
  Override(s.size, args.size);
  if (!args.cell.empty()) s.cell_arcsec = Quantity(args.cell, "arcsec", "--cell");
  if (!args.taper.empty()) s.taper_arcsec = Quantity(args.taper, "arcsec", "--taper");
  if (!args.threshold.empty()) s.threshold_jy = Quantity(args.threshold, "Jy", "--threshold");
  Override(s.weight, args.weight);
  if (args.robust && args.weight.empty()) s.weight = "briggs";
  Override(s.robust, args.robust);
  Override(s.min_uv_lambda, args.min_uv);
  Override(s.max_uv_lambda, args.max_uv);
  Override(s.max_iterations, args.niter);
  Override(s.gain, args.gain);
  Override(s.major_gain, args.major_gain);
  Override(s.auto_mask, args.auto_mask);
  Override(s.auto_threshold, args.auto_threshold);
  Override(s.scales_px, args.scales);
  Override(s.mask_file, args.mask);
  Override(s.catalogue_file, args.catalogue);
  Override(s.catalogue_mask_arcsec, args.catalogue_mask);
  Override(s.beam_file, args.beam_file);
  Override(s.format, args.format);
  Override(s.spectral_channels, args.bands);
  Override(s.spectral_terms, args.terms);
  s.local_rms = s.local_rms || args.local_rms;
  s.negative = s.negative && !args.no_negative;
  s.compress = s.compress || args.compress;
  return s;
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

// A beam file without a folder may stand among the site's beam models.
std::string FindBeamFile(const std::string& name, const Settings& settings) {
  if (name.empty() || std::filesystem::path(name).has_parent_path() || std::filesystem::exists(name)) return name;
  const std::filesystem::path known = ProductPaths(Roots(settings)).Static("beam-model") / name;
  return std::filesystem::exists(known) ? known.string() : name;
}

void PrintReport(const image::ImageReport& r) {
  for (const auto& path : r.products) fmt::print("{}\n", path.string());
  fmt::print("beam {:.2f} x {:.2f} arcsec, position angle {:.1f} deg\n", Angle::Radians(r.beam.major_rad).arcsec(),
             Angle::Radians(r.beam.minor_rad).arcsec(), Angle::Radians(r.beam.angle_rad).deg());
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
      "{:.2f} s: prepare {:.2f}, dirty and PSF {:.2f}, CLEAN {:.2f} (major cycles {:.2f}), products {:.2f}, "
      "quality {:.2f}, publish {:.2f}\n",
      t.total_s, t.prepare_s, t.dirty_s, t.clean_s, t.major_s, t.products_s, t.quality_s, t.publish_s);
}

void Image(const ImageArgs& args) {
  if (args.dirty_only + args.psf_only + args.predict > 1) {
    throw Error(ErrorKind::kUsage, "image", "", "--dirty-only, --psf-only and --predict exclude each other");
  }
  const LoadedSettings settings = CurrentSettings();
  image::ImageRequest request;
  request.prefix = args.out;
  request.settings = SettingsOf(args, settings.values.image);
  request.telescope = settings.values.telescope;
  Override(request.telescope.beam, args.beam);
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
  if (!request.telescope.earth_orientation_file.empty()) {
    request.orientation = convert::EarthOrientationTable::Load(request.telescope.earth_orientation_file);
  }

  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(args.threads > 0 ? args.threads : request.settings.threads);
  context.reporter = reporter.get();
  std::optional<convert::MeasurementSetLock> lock;
  if (args.predict) lock.emplace(args.measurement_set, context);
  convert::MeasurementSetSelection selection;
  selection.column = args.column;
  selection.field = args.field;
  selection.windows = args.windows;
  const std::unique_ptr<VisibilityBlock> block = convert::ReadMeasurementSet(args.measurement_set, selection, context);
  if (block->data_state == DataState::kCorrected) {
    request.calibration = CalibrationOf(convert::DescribeMeasurementSet(args.measurement_set));
  }
  const image::ImageReport report = image::RunImage(*block, request, context);
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
    for (const auto& path : report.products) json["products"].push_back(path.string());
    fmt::print("{}\n", json.dump(2));
  } else {
    PrintReport(report);
  }
}

}  // namespace

void AddImageCommand(CLI::App& app) {
  auto args = std::make_shared<ImageArgs>();
  CLI::App* command = app.add_subcommand("image", "images of a Measurement Set: CLEAN, primary beam, quality");
  command->add_option("ms", args->measurement_set, "the Measurement Set")->type_name("X.ms")->required();
  command->add_option("--out,-o", args->out, "start of the products' names")->type_name("PREFIX")->required();
  command->add_option("--column", args->column, "DATA or CORRECTED_DATA (default: corrected when present)");
  command->add_option("--field", args->field, "row of FIELD (default: the only one with data)");
  command->add_option("--spws,--spw", args->windows, "rows of SPECTRAL_WINDOW (default: all)")->delimiter(',');
  command->add_option("--channels", args->channels, "first and last channel of the joined band")
      ->type_name("FIRST LAST")
      ->expected(2);
  command->add_option("--size", args->size, "pixels on a side, even");
  command->add_option("--cell", args->cell, "pixel, arcsec or with a unit");
  command->add_option("--weight", args->weight, "density weighting")
      ->check(CLI::IsMember({"natural", "uniform", "briggs"}));
  command->add_option("--robust", args->robust, "Briggs robustness, -2 to 2")->check(CLI::Range(-2.0, 2.0));
  command->add_option("--minuv", args->min_uv, "shortest baseline, wavelengths");
  command->add_option("--maxuv", args->max_uv, "longest baseline, wavelengths");
  command->add_option("--taper", args->taper, "Gaussian taper, FWHM in the image, arcsec or with a unit");
  command->add_option("--niter", args->niter, "CLEAN components at most; 0: no deconvolution");
  command->add_option("--gain", args->gain, "part of the peak one component takes");
  command->add_option("--mgain", args->major_gain, "part of the peak one major cycle takes");
  command->add_option("--auto-mask", args->auto_mask, "clean everywhere down to this many sigma, then inside the mask");
  command->add_option("--auto-threshold", args->auto_threshold, "final level in sigma");
  command->add_option("--threshold", args->threshold, "absolute level, Jy or with a unit");
  command->add_option("--multiscale", args->scales, "scales in pixels, for example 0,8,20");
  command->add_option("--mask", args->mask, "FITS mask")->type_name("FILE");
  command->add_option("--catalogue", args->catalogue, "catalogue for the quality check (and mask)")->type_name("CSV");
  command->add_option("--catalogue-mask", args->catalogue_mask, "clean only this near to catalogue sources, arcsec");
  command->add_option("--bands", args->bands, "bands imaged apart and cleaned together, with spectra of the sources");
  command->add_option("--terms", args->terms, "terms of these spectra: 1 flat, 2 with a spectral index");
  command->add_option("--beam-file", args->beam_file, "FITS table of the dishes' voltage pattern")->type_name("FILE");
  command->add_option("--beam", args->beam, "primary beam")->check(CLI::IsMember({"drift", "tracking", "none"}));
  command->add_flag("--local-rms", args->local_rms, "search relative to the local rms");
  command->add_flag("--no-negative", args->no_negative, "no negative components");
  command->add_option("--format", args->format, "image files")->check(CLI::IsMember({"fits", "casacore", "both"}));
  command->add_flag("--compress", args->compress, "Rice-compressed FITS (.fits.fz)");
  command->add_flag("--dirty-only", args->dirty_only, "no deconvolution: dirty image, PSF, beam");
  command->add_flag("--psf-only", args->psf_only, "only the PSF");
  command->add_flag("--predict", args->predict, "write the CLEAN model back to MODEL_DATA");
  command->add_flag("--overwrite", args->overwrite, "replace existing products");
  command->add_flag("--no-durable", args->no_durable, "do not wait until the result is safe on the disk");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->add_option("--threads", args->threads, "threads (default: all processors)");
  command->callback([args] { Image(*args); });
}

}  // namespace contimg::ops
