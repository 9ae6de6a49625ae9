// The page at "/": is it well, what came in, what came out, what needs a hand.
#pragma once

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

// query: span = 1h | 6h | 24h | 7d | 30d (default: the smallest that holds the last day's groups), end = a timestamp
// (the axis ends there instead of at the newest data).
HttpResponse StatusPage(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
