// The page at "/": is it well, what came in, what came out, what needs a hand.
#pragma once

#include "ops/http/http_server.h"
#include "ops/web/pipeline_view.h"

namespace contimg::ops {

// query: span = 24h | 7d | 30d, end = a timestamp (the axis ends there instead of at the newest data).
HttpResponse StatusPage(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
