// Sources of our own and their light curves over HTTP, read-only: /api/v1/sources, variables, lightcurves.
// docs/operations/http-api.md describes them.
#pragma once

#include <string>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

// The parameters of ops/api/source_query.h, besides which the API takes "format".
const std::vector<std::string>& SourceListParameters();
const std::vector<std::string>& LightCurveParameters();

HttpResponse ApiSources(const HttpRequest& request, PipelineView& view);
// The same of what has at least two points, the most variable first.
HttpResponse ApiVariables(const HttpRequest& request, PipelineView& view);
// request.tail: number or name; with statistics, data sets, neighbours and what catalogues have there.
HttpResponse ApiSource(const HttpRequest& request, PipelineView& view);
// request.tail: number or name.
HttpResponse ApiLightCurve(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
