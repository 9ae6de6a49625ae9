// `contimg lightcurve preprocess`: a light curve made ready for who looks for something in it.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "config/error.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/lightcurves/derived_series.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

struct PreprocessArgs {
  std::string source, level = "tile", quality = "default", outliers = "sigma_clip", normalize = "median", name;
  SeriesParent parent;
  mosaic::PreprocessParameters parameters;
  bool refresh = false, as_json = false;
};

void PreprocessSeries(const PreprocessArgs& args) {
  mosaic::PreprocessParameters parameters = args.parameters;
  parameters.quality_bitmask = ParseQualityMask(args.quality);
  parameters.outlier_method = mosaic::ParseOutlierMethod(args.outliers);
  parameters.normalize_method = mosaic::ParseNormalizeMethod(args.normalize);
  SeriesParent parent = args.parent;
  parent.photometry.level = ParseLightCurveLevel(args.level);
  parent.photometry.mask = parameters.quality_bitmask;
  SourcesToRead();  // a mistyped directory must not become an empty database
  state::SourceStore store(SourceStorePath());
  const state::OwnSourceRow source = FindOwnSource(store, args.source);
  const DerivedSeries derived =
      DeriveSeries(store.database(), source, parent, parameters, args.name, args.refresh, UtcTime::Now().unix_s());
  const mosaic::Preprocessed& result = derived.result;
  if (args.as_json) {
    ordered_json out{{"source", source.name},
                     {"dataset", derived.dataset.name},
                     {"made", derived.made},
                     {"points", derived.dataset.times.size()},
                     {"parameters", ordered_json::parse(derived.dataset.method->parameters_json)}};
    if (derived.made) {
      out["flagged"] = result.flagged;
      out["outliers"] = result.outliers;
      out["segments"] = result.segments;
      out["notes"] = result.notes;
    }
    fmt::print("{}\n", out.dump(2, ' ', false, ordered_json::error_handler_t::replace));
    return;
  }
  const std::string points = Counted(static_cast<std::int64_t>(derived.dataset.times.size()), "point");
  if (!derived.made) {
    fmt::print("{}: {} of {}, on record already\n", Printable(derived.dataset.name), points, source.name);
    return;
  }
  fmt::print("{}: {} of {} in {}; {} were flagged, {} outliers\n", Printable(derived.dataset.name), points, source.name,
             Counted(static_cast<std::int64_t>(result.segments), "segment"), result.flagged, result.outliers);
  for (const std::string& note : result.notes) fmt::print("{}\n", note);
}

}  // namespace

void AddLightCurvePreprocess(CLI::App* command) {
  auto args = std::make_shared<PreprocessArgs>();
  mosaic::PreprocessParameters& p = args->parameters;
  CLI::App* pre = command->add_subcommand("preprocess", "a light curve without bad points, slow changes and noise");
  pre->add_option("source", args->source, "its name, here or in a catalogue, or RA,DEC")
      ->type_name("NAME|RA,DEC")
      ->required();
  pre->add_option("--level", args->level, "of our measurements: a point a tile, transit or night")
      ->type_name("tile|transit|night")
      ->capture_default_str();
  pre->add_flag("--normalised", args->parent.photometry.normalised, "times the flux scale of each tile");
  pre->add_option("--kind", args->parent.photometry.kind, "of photometry")->capture_default_str();
  pre->add_option("--dataset", args->parent.dataset, "a data set in place of our measurements");
  pre->add_option("--name", args->name, "of the data set that is made (default: a hash of what it is)");
  pre->add_option("--quality_bitmask", args->quality, "what is left out: none, default, hard, hardest, names, a number")
      ->capture_default_str();
  pre->add_option("--remove_outliers", p.remove_outliers, "true or false")->capture_default_str();
  pre->add_option("--outlier_method", args->outliers,
                  "sigma_clip, mad, iqr, modified_z, isolation_forest, or ensemble (three of these five)")
      ->capture_default_str();
  pre->add_option("--sigma_clip_sigma", p.sigma_clip_sigma, "of sigma_clip and mad")->capture_default_str();
  pre->add_option("--sigma_clip_maxiters", p.sigma_clip_maxiters, "rounds of sigma_clip")->capture_default_str();
  pre->add_option("--gap_threshold_hours", p.gap_threshold_hours, "a longer gap ends a segment")->capture_default_str();
  pre->add_option("--min_points_per_segment", p.min_points_per_segment, "shorter segments keep their baseline")
      ->capture_default_str();
  pre->add_option("--baseline_window_length", p.baseline_window_length, "points, odd")->capture_default_str();
  pre->add_option("--baseline_polyorder", p.baseline_polyorder, "degree of the polynomials")->capture_default_str();
  pre->add_option("--wavelet_denoising", p.wavelet_denoising, "true or false")->capture_default_str();
  pre->add_option("--wavelet_type", p.wavelet_type, "haar, db1, db2 or db4")->capture_default_str();
  pre->add_option("--wavelet_levels", p.wavelet_levels, "fewer where a segment is short")->capture_default_str();
  pre->add_option("--normalize_method", args->normalize,
                  "median, mean, robust (5th to 95th percentile), unity, minmax, zscore or quantile (median and MAD)")
      ->capture_default_str();
  pre->add_flag("--refresh", args->refresh, "in the place of a data set of that name made in another way");
  pre->add_flag("--json", args->as_json, "print the result as JSON");
  pre->callback([args] { PreprocessSeries(*args); });
}

}  // namespace contimg::ops
