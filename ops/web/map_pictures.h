// Parts of mosaics and tiles as pictures and as FITS images.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "mosaic/map/map_view.h"
#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/remembered_pictures.h"
#include "ops/web/served_files.h"

namespace contimg::ops {

// Of the map, in CSS pixels: on wide screens, and on a phone.
inline constexpr int kMapSidePx = mosaic::kUsualSidePx, kNarrowMapSidePx = 340;

class MapServer {
 public:
  // request.tail: the name of a mosaic or group; query: MapParameters, side (pixels of the map), scale (1, or 2 for
  // screens of twice as many dots). A PNG with the sources of our own; the last ones are remembered.
  HttpResponse Picture(const HttpRequest& request, PipelineView& view);
  // The same part as a FITS image; LargeAnswers.
  HttpResponse Cutout(const HttpRequest& request, PipelineView& view);
  static const std::vector<std::string>& PictureParameters();

 private:
  static constexpr std::size_t kMapsKept = 32;
  RememberedPictures pictures_{kMapsKept};
  LargeAnswers large_;
};

}  // namespace contimg::ops
