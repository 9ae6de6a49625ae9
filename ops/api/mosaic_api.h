// Mosaics over HTTP, read-only: /api/v1/mosaics, /api/v1/mosaic-windows. docs/operations/http-api.md describes them.
#pragma once

#include <string>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

// kind, strip, state, lst, from, before, group, reference, after, limit.
const std::vector<std::string>& MosaicListParameters();
// What they ask for, the newest data first. Throws Error{kUsage} for what means nothing.
state::MosaicQuery MosaicQueryOf(const HttpRequest& request, PipelineView& view, int otherwise, int most);
// Other mosaics of the same window of sidereal time, of other days or of many, the newest data first.
std::vector<state::MosaicRow> OfTheSameWindow(PipelineView& view, const state::MosaicRow& mosaic, int limit);

HttpResponse ApiMosaics(const HttpRequest& request, PipelineView& view);
// strip, from, before.
const std::vector<std::string>& MosaicWindowParameters();
// What became of each window (PipelineView::MosaicWindows).
HttpResponse ApiMosaicWindows(const HttpRequest& request, PipelineView& view);
// request.tail: the name; with its tiles, the reasons of its grade, its products and others of its window.
HttpResponse ApiMosaic(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
