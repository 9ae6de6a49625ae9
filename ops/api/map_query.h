// Which part of which image is looked at, as pages, pictures and API take it from a request.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "mosaic/map/map_view.h"
#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "state/source_list.h"

namespace contimg::ops {

inline constexpr double kUsualMapDeg = 1;

// What is on record and on the disk of one mosaic, or of one tile (a group).
struct MapImages {
  std::string name;
  bool mosaic = false;
  mosaic::MapFiles files;
  std::map<mosaic::MapLayer, state::ProductRow> products;  // of the same

  mosaic::MapLayer Usual() const { return files.begin()->first; }  // there is one
};
// By its name. Nothing when nothing of it is on the disk as FITS.
std::optional<MapImages> MapImagesOf(PipelineView& view, const std::string& name);

// One part of one of them.
struct MapLook {
  mosaic::MapLayer layer = mosaic::MapLayer::kImage;
  image::FitsHeader header;
  SkyDirection place;
  Angle size;
  bool names = false;
  mosaic::MapSquare square;
};
// From the parameters ra and dec (degrees or sexagesimal; without them the middle of the image), size (degrees, or with
// a unit; without it kUsualMapDeg or what the image has), kind (as mosaic/map/map_view.h calls layers) and names.
// Throws Error{kUsage} for what means nothing and for a place or a size that the image does not have, Error{kIo,
// kBadInput} when it cannot be read.
MapLook MapLookOf(const HttpRequest& request, const MapImages& images);
const std::vector<std::string>& MapParameters();  // those

// The place that q means: RA and Dec in any form of PlaceOf, or a source's name. Throws Error{kUsage}.
SkyDirection PlaceOfWords(PipelineView& view, const std::string& words);

// "ra=0.36671&dec=16.20111&size=20arcmin&kind=image", in addresses; names where they are wanted.
std::string MapParametersOf(const MapLook& look);
std::string MapSizeWords(Angle size);  // "20arcmin", as size takes it

// Our own sources in the square, the brightest kMostMapSources; none without a database of sources.
std::vector<state::ListedSource> SourcesIn(PipelineView& view, const mosaic::MapSquare& square);

// Whether the error is that a file of these is not there any more, or damaged.
bool IsGone(const Error& error, const MapImages& images);

// Answers with answer(images, look) of request.tail, the name, and the parameters: 404 when no image of it is on the
// disk or one IsGone. Throws Error{kUsage} as MapLookOf.
HttpResponse AnswerMap(const HttpRequest& request, PipelineView& view,
                       const std::function<HttpResponse(const MapImages&, const MapLook&)>& answer);

// request.tail: the name; what the images say at the place, and the sources about it.
HttpResponse ApiMap(const HttpRequest& request, PipelineView& view);

}  // namespace contimg::ops
