// The sky of a mosaic or a tile about any place, at "/mosaics/NAME/map" and "/groups/ID/map".
#pragma once

#include <string>
#include <vector>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

// request.tail: the name; query: MapParameters; q (a place or a source's name: goes to its address, 303); side and
// click, of a picture that was clicked on ("?x,y" as browsers write it): goes to the address of that place.
HttpResponse MapPage(const HttpRequest& request, PipelineView& view);
const std::vector<std::string>& MapPageParameters();

// The address of the map of a mosaic or group; empty when no image of it is on the disk.
std::string MapAddress(PipelineView& view, const std::string& name);
// Of twenty arcminutes about a place.
std::string MapAddressAt(const std::string& name, double ra_deg, double dec_deg);
// A link to the map; nothing where there is none.
Html MapLink(PipelineView& view, const std::string& name);

}  // namespace contimg::ops
