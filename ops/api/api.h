// The JSON twins of the pages, read-only: /api/v1/groups, tasks, products, calibration (sources and light curves:
// ops/api/source_api.h). docs/operations/http-api.md
// describes them. Times are ISO 8601 UTC with a Z, null where there is none.
#pragma once

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

HttpResponse ApiGroups(const HttpRequest& request, PipelineView& view);  // selection as the list page's
HttpResponse ApiGroup(const HttpRequest& request, PipelineView& view);   // request.tail: id
HttpResponse ApiTasks(const HttpRequest& request, PipelineView& view);   // query: kind, state, limit
HttpResponse ApiProducts(const HttpRequest& request,
                         PipelineView& view);  // query: kind, group, status, from, before, limit
HttpResponse ApiProduct(const HttpRequest& request, PipelineView& view);  // request.tail: id; with its lineage
HttpResponse ApiCalibration(const HttpRequest& request,
                            PipelineView& view);  // query: kind, status, from, before, at, limit

}  // namespace contimg::ops
