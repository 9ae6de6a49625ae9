// What light curves rest on, over HTTP, read-only: /api/v1/missions, catalogues, instruments, observations, frames,
// photometric-sources, processing-methods, quality-flags. docs/operations/http-api.md describes them.
#pragma once

#include <string>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"

namespace contimg::ops {

const std::vector<std::string>& ObservationParameters();
const std::vector<std::string>& FrameParameters();

HttpResponse ApiMissions(const HttpRequest& request, PipelineView& view);
HttpResponse ApiCatalogues(const HttpRequest& request, PipelineView& view);
HttpResponse ApiInstruments(const HttpRequest& request, PipelineView& view);   // query: parent
HttpResponse ApiInstrument(const HttpRequest& request, PipelineView& view);    // request.tail: number; with its parts
HttpResponse ApiObservations(const HttpRequest& request, PipelineView& view);  // by time
HttpResponse ApiObservation(const HttpRequest& request, PipelineView& view);   // request.tail: group; with its frames
HttpResponse ApiFrames(const HttpRequest& request, PipelineView& view);
HttpResponse ApiPhotometricSources(const HttpRequest& request, PipelineView& view);
HttpResponse ApiProcessingMethods(const HttpRequest& request, PipelineView& view);
HttpResponse ApiQualityFlags(const HttpRequest& request, PipelineView& view);  // query: group

}  // namespace contimg::ops
