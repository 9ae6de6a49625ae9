// The list of groups at "/groups" and the page of one group at "/groups/ID".
#pragma once

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

// query: state (several words with commas between), error_kind, q (how ids begin: a day, an hour, a whole id), from,
// before (times or days), after (an id: the list goes on behind it).
HttpResponse GroupListPage(const HttpRequest& request, PipelineView& view);
// request.tail: the id.
HttpResponse GroupPage(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
