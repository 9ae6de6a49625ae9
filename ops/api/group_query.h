// What a request asks for, as pages and API read it from its parameters.
#pragma once

#include "ops/http/http_server.h"
#include "state/group_store.h"

namespace contimg::ops {

// The parameter "limit", at most `most`, else `otherwise`. Error{kUsage} when it is no number.
int LimitOf(const HttpRequest& request, int otherwise, int most);
// The selection that a request asks for, newest first. Error{kUsage} for words that mean nothing.
state::GroupQuery QueryOf(const HttpRequest& request, int otherwise, int most);

}  // namespace contimg::ops
