// Cut-outs: the image of a tile or mosaic about one source, as a small picture.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/remembered_pictures.h"
#include "state/light_curve_store.h"
#include "state/mosaic_store.h"
#include "state/own_source_store.h"

namespace contimg::ops {

// The image of a group from which cut-outs are made: its newest one corrected for the primary beam that is on disk; of
// a mosaic, by name, its image.
std::optional<state::ProductRow> ImageForCutouts(PipelineView& view, const std::string& group);
// The newest reference mosaic whose image is on disk and holds the source.
std::optional<state::MosaicRow> ReferenceAt(PipelineView& view, const state::OwnSourceRow& source);

class CutoutServer {
 public:
  // request.tail: "ID/GROUP.png" or "ID/MOSAIC.png". Reads the rows about the source alone; remembers the last
  // pictures. 404 where there is no image on disk or it does not hold the place. One source's pictures have one scale
  // as long as its mean flux is well above the noise.
  HttpResponse Answer(const HttpRequest& request, PipelineView& view);

 private:
  static constexpr std::size_t kCutoutsKept = 128;
  RememberedPictures pictures_{kCutoutsKept};
};

}  // namespace contimg::ops
