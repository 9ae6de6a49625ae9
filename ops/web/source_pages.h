// The list of sources at "/sources", the page of one source at "/sources/ID", and its light curve as a picture.
#pragma once

#include <string>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

// query: as ops/api/source_query.h takes it; a search that finds one source alone goes to its page (303).
HttpResponse SourceListPage(const HttpRequest& request, PipelineView& view);
// request.tail: number or name; query: which light curve, as ops/api/source_query.h takes it.
HttpResponse SourcePage(const HttpRequest& request, PipelineView& view);
// request.tail: "ID.svg" or "ID.png"; the same query, and size: large (1000 × 480) or small (400 × 300). What `quality`
// leaves out is drawn hollow.
HttpResponse LightCurvePicture(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
