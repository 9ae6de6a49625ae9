// The daemon's web face: status page, pages of groups and sources, pictures, and the JSON API. Everything is read-only.
#pragma once

#include <memory>

#include "ops/http/http_server.h"
#include "ops/records/pipeline_view.h"
#include "ops/web/cutouts.h"
#include "ops/web/map_pictures.h"
#include "ops/web/served_files.h"

namespace contimg::ops {

class Web {
 public:
  explicit Web(const ProductPaths& paths);
  // Adds the pages, "/images/*", "/thumbnails/*", "/lightcurves/*", "/cutouts/*", maps, "/static/*" and the API. All
  // but "/static/*" are slow: they read databases and files. `this` must outlive the router; its handlers belong to
  // one thread.
  void AddRoutes(HttpRouter& router);
  PipelineView& view() { return view_; }

 private:
  PipelineView view_;
  FileServer files_;
  CutoutServer cutouts_;
  MapServer maps_;
};

}  // namespace contimg::ops
