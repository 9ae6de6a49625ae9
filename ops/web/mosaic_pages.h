// The list of mosaics at "/mosaics", the page of one at "/mosaics/NAME", and what mosaics say of a group, as a part of
// its page.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// query: as ops/api/mosaic_api.h takes it.
HttpResponse MosaicListPage(const HttpRequest& request, PipelineView& view);
// request.tail: the name.
HttpResponse MosaicPage(const HttpRequest& request, PipelineView& view);

// The mosaics that a tile is in or was left out of. Nothing where there are none.
void DrawMosaicsOfGroup(PipelineView& view, const std::string& group, Html& html);

std::string MosaicAddress(std::string_view name);  // "/mosaics/2025-10-13T13:28:03_2025-10-13T14:30:46_%2B16.1"
Html MosaicLink(std::string_view name);
Html MosaicTimeLink(const state::MosaicRow& row);  // in fewer words: "2025-10-13 13:28 to 14:30"
// Kind, whether it is the reference, its state where it is not closed.
Html MosaicMarks(PipelineView& view, const state::MosaicRow& row);
std::string StripWords(double strip_deg);  // "+16.1°"

// The newest task for it; nothing: there is none, as for deep ones.
std::optional<state::TaskRow> TaskOfMosaic(PipelineView& view, const state::MosaicRow& row);
// Given up or held: an operator's to look at.
bool IsGivenUp(const std::optional<state::TaskRow>& task);

}  // namespace contimg::ops
