#include <fmt/format.h>

#include <string>

#include "config/error.h"
#include "config/text.h"
#include "mosaic/variability/light_curve_plot.h"
#include "ops/api/source_query.h"
#include "ops/web/source_pages.h"

namespace contimg::ops {
namespace {

using mosaic::FluxPoint;
using mosaic::LightCurvePlot;

void AddOurs(state::SourceStore& store, const state::OwnSourceRow& source, const LightCurveRequest& wanted,
             LightCurvePlot& plot) {
  LightCurveRequest request = wanted;
  const bool tiles = request.level == LightCurveLevel::kTile;
  if (tiles) request.mask = 0;  // what is flagged is shown, too; means are of what is not
  state::LightCurveStore curves(store.database());
  for (const LightCurvePoint& p : LightCurveOf(curves, source, request)) {
    ((p.flags & wanted.mask) != 0 && tiles ? plot.flagged : plot.points).push_back({p.mjd, p.flux_jy, p.error_jy});
  }
  const mosaic::Variability figures = mosaic::VariabilityOf(plot.points);
  plot.unit = "Jy";
  plot.subtitle = fmt::format("{}{}, eta {:.3g}, V {:.3g}", Counted(figures.n, ToString(request.level)),
                              request.normalised ? ", normalised" : "", figures.eta, figures.v);
  if (!plot.flagged.empty()) plot.subtitle += fmt::format(", {} flagged", plot.flagged.size());
}

void AddDataset(const state::DatasetRow& dataset, LightCurvePlot& plot) {
  plot.unit = dataset.unit;
  plot.subtitle = fmt::format("{}, {}", dataset.name, dataset.mission);
  for (std::size_t i = 0; i < dataset.times.size(); ++i) {
    (dataset.flags[i] != 0 ? plot.flagged : plot.points)
        .push_back({dataset.times[i], dataset.fluxes[i], dataset.errors[i]});
  }
}

}  // namespace

HttpResponse LightCurvePicture(const HttpRequest& request, PipelineView& view) {
  const std::size_t point = request.tail.rfind('.');
  const std::string ending = point == std::string::npos ? "" : request.tail.substr(point);
  state::SourceStore* store = view.Sources();
  std::optional<state::OwnSourceRow> source;
  if (store != nullptr && (ending == ".svg" || ending == ".png")) {
    source = SourceOfWord(*store, request.tail.substr(0, point));
  }
  if (!source) return HttpProblem(404, fmt::format("there is no light curve {}", request.tail));
  const CurveQuery query = CurveQueryOf(request, *store);
  LightCurvePlot plot;
  plot.title = source->name;
  if (const std::string size = request.Parameter("size"); size == "small") {
    plot.width = 400;
    plot.height = 300;
  } else if (!size.empty() && size != "large") {
    throw Error(ErrorKind::kUsage, "http", "size", fmt::format("expected large or small and found '{}'", size));
  }
  if (query.dataset.empty()) {
    AddOurs(*store, *source, query.request, plot);
  } else {
    AddDataset(DatasetCalled(*store, *source, query.dataset), plot);
  }
  HttpResponse response;
  response.body = mosaic::DrawLightCurve(plot, mosaic::PlotFormOf(request.tail));
  response.content_type = ending == ".svg" ? "image/svg+xml" : "image/png";
  return response;
}

}  // namespace contimg::ops
