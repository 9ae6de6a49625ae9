#include "ops/web/web.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include "ops/api/api.h"
#include "ops/web/assets.h"
#include "ops/web/group_pages.h"
#include "ops/web/status_page.h"

namespace contimg::ops {

Web::Web(const ProductPaths& paths) : view_(paths), files_(paths.roots().images) {}

void Web::AddRoutes(HttpRouter& router) {
  const auto add = [&](const char* path, const char* help, HttpResponse (*handler)(const HttpRequest&, PipelineView&)) {
    router.Add(
        {"GET", path, help, [this, handler](const HttpRequest& request) { return handler(request, view_); }, true});
  };
  add("/", "The status page.", StatusPage);
  add("/groups", "The list of groups.", GroupListPage);
  add("/groups/*", "The page of one group.", GroupPage);
  add("/api/v1/groups", "Groups, newest first.", ApiGroups);
  add("/api/v1/groups/*", "One group with its files, products, jobs, calibration and events.", ApiGroup);
  add("/api/v1/tasks", "Tasks (backups), newest first.", ApiTasks);
  add("/api/v1/products", "Products, newest first.", ApiProducts);
  add("/api/v1/products/*", "One product with its lineage.", ApiProduct);
  add("/api/v1/calibration", "Calibration tables.", ApiCalibration);
  router.Add({"GET", "/images/*", "Pictures and metrics of the images directory.",
              [this](const HttpRequest& request) { return files_.Whole(request); }, true});
  router.Add({"GET", "/thumbnails/*", "Small versions of its pictures.",
              [this](const HttpRequest& request) { return files_.Thumbnail(request); }, true});
  router.Add({"GET", "/static/*", "Style sheet, script and icons of the pages.", ServeAsset});
}

}  // namespace contimg::ops
