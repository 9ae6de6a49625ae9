#include "ops/lightcurves/derived_series.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/checksum.h"
#include "config/error.h"
#include "ops/base/version.h"

namespace contimg::ops {
namespace {

std::string HashOf(const std::string& text) {
  Xxh64 hash;
  hash.Add(text);
  return hash.Hex();
}

state::ProcessingMethodRow ViewMethod(const char* name, const char* description) {
  return {name, description, "{}", HashOf(name)};
}

state::DatasetRow SaveView(state::DatasetStore& datasets, std::int64_t source_id, const std::string& kind,
                           const std::string& name, std::optional<state::ProcessingMethodRow> method,
                           const std::vector<std::int64_t>& parents, double now) {
  if (const auto known = datasets.FindByName(source_id, name)) return *known;
  state::DatasetRow row;
  row.source_id = source_id;
  row.name = name;
  row.photometry = kind;
  row.method = std::move(method);
  return datasets.Save(row, parents, now);
}

// The view of our own photometry that a request is, with all that it is made of.
state::DatasetRow ViewOf(state::DatasetStore& datasets, std::int64_t source_id, const LightCurveRequest& request,
                         double now) {
  const std::string& kind = request.kind;
  const auto save = [&](const std::string& what, std::optional<state::ProcessingMethodRow> method,
                        const std::vector<std::int64_t>& parents) {
    return SaveView(datasets, source_id, kind, kind + " " + what, std::move(method), parents, now);
  };
  state::DatasetRow view = save("tile", std::nullopt, {});
  const std::string suffix = request.normalised ? " normalised" : "";
  if (request.normalised) {
    view = save("tile" + suffix, ViewMethod("normalised", "times the flux scale of each tile"), {view.id});
  }
  if (request.level == LightCurveLevel::kTile) return view;
  view = save("transit" + suffix, ViewMethod("transit", "mean of the tiles of a passage"), {view.id});
  if (request.level == LightCurveLevel::kTransit) return view;
  return save("night" + suffix, ViewMethod("night", "mean of the transits of a night"), {view.id});
}

mosaic::PreprocessPoints PointsOf(state::Database& database, const state::OwnSourceRow& source,
                                  LightCurveRequest request) {
  state::LightCurveStore curves(database);
  // Tiles that are flagged must not enter means; of single tiles preprocessing itself leaves them out.
  if (request.level == LightCurveLevel::kTile) request.mask = 0;
  mosaic::PreprocessPoints points;
  for (const LightCurvePoint& point : LightCurveOf(curves, source, request)) {
    points.times.push_back(point.mjd);
    points.values.push_back(point.flux_jy);
    points.errors.push_back(point.error_jy);
    points.flags.push_back(point.flags);
  }
  return points;
}

std::string HashOf(const mosaic::PreprocessPoints& points) {
  Xxh64 hash;
  for (const std::vector<double>* values : {&points.times, &points.values, &points.errors}) {
    hash.Add(values->data(), values->size() * sizeof(double));
  }
  hash.Add(points.flags.data(), points.flags.size() * sizeof(QualityFlags));
  return hash.Hex();
}

}  // namespace

void RequireFreeName(const std::string& name, const std::string& photometry) {
  for (const std::string& kind : {std::string("forced"), std::string("detection"), photometry}) {
    for (const char* level : {"tile", "transit", "night"}) {
      const std::string view = fmt::format("{} {}", kind, level);
      if (name != view && name != view + " normalised") continue;
      throw Error(ErrorKind::kUsage, "lightcurve", name,
                  "is the name of a view of our own measurements: give the data set another --name");
    }
  }
}

std::string ParametersJson(const mosaic::PreprocessParameters& p) {
  return nlohmann::ordered_json{{"quality_bitmask", p.quality_bitmask},
                                {"remove_outliers", p.remove_outliers},
                                {"outlier_method", std::string(ToString(p.outlier_method))},
                                {"sigma_clip_sigma", p.sigma_clip_sigma},
                                {"sigma_clip_maxiters", p.sigma_clip_maxiters},
                                {"gap_threshold_hours", p.gap_threshold_hours},
                                {"min_points_per_segment", p.min_points_per_segment},
                                {"baseline_window_length", p.baseline_window_length},
                                {"baseline_polyorder", p.baseline_polyorder},
                                {"wavelet_denoising", p.wavelet_denoising},
                                {"wavelet_type", p.wavelet_type},
                                {"wavelet_levels", p.wavelet_levels},
                                {"normalize_method", std::string(ToString(p.normalize_method))}}
      .dump();
}

DerivedSeries DeriveSeries(state::Database& database, const state::OwnSourceRow& source, const SeriesParent& wanted,
                           const mosaic::PreprocessParameters& parameters, const std::string& name, bool replace,
                           double now) {
  mosaic::CheckParameters(parameters);
  RequireFreeName(name, wanted.photometry.kind);
  DerivedSeries derived;
  database.Write([&] {
    state::DatasetStore datasets(database);
    state::DatasetRow parent, row;
    mosaic::PreprocessPoints points;
    if (wanted.dataset.empty()) {
      parent = ViewOf(datasets, source.id, wanted.photometry, now);
      points = PointsOf(database, source, wanted.photometry);
    } else {
      const auto known = datasets.FindByName(source.id, wanted.dataset);
      if (!known || known->times.empty()) {
        const std::string words =
            known ? "is a view of our measurements: give --level in its place" : "is no data set of " + source.name;
        throw Error(ErrorKind::kUsage, "lightcurve", wanted.dataset, words);
      }
      parent = *known;
      points = {parent.times, parent.fluxes, parent.errors, parent.flags};
      row.time_frame = parent.time_frame;
    }
    const std::string json = ParametersJson(parameters), hash = HashOf(json);
    row.source_id = source.id;
    row.name = name.empty() ? fmt::format("preprocess {}", HashOf(parent.name + hash).substr(0, 8)) : name;
    row.mission = parent.mission;
    row.photometry = parent.photometry;
    row.method = state::ProcessingMethodRow{"preprocess " + hash, "quality, outliers, gaps, baseline, wavelet, scale",
                                            json, hash};
    row.input_hash = HashOf(points);
    row.unit = "";
    row.provenance_json = nlohmann::ordered_json{{"program", kVersion}}.dump();
    if (const auto known = datasets.FindByName(source.id, row.name)) {
      const bool same_way = known->method && known->method->parameters_hash == hash &&
                            datasets.Parents(known->id) == std::vector{parent.id};
      if (same_way && known->input_hash == row.input_hash) {
        derived.dataset = *known;
        return;
      }
      if (!same_way && !replace) {
        throw Error(ErrorKind::kUsage, "lightcurve", row.name,
                    fmt::format("{} has a data set of this name made in another way: give another --name, or --refresh "
                                "to put this in its place",
                                source.name));
      }
    }
    derived.result = mosaic::Preprocess(points, parameters);
    row.times = derived.result.points.times;
    row.fluxes = derived.result.points.values;
    row.errors = derived.result.points.errors;
    row.flags = derived.result.points.flags;
    derived.dataset = datasets.Save(row, {parent.id}, now);
    derived.made = true;
  });
  return derived;
}

}  // namespace contimg::ops
