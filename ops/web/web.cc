#include "ops/web/web.h"

#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "ops/api/api.h"
#include "ops/api/map_query.h"
#include "ops/api/mosaic_api.h"
#include "ops/api/record_api.h"
#include "ops/api/source_api.h"
#include "ops/web/assets.h"
#include "ops/web/group_pages.h"
#include "ops/web/map_page.h"
#include "ops/web/mosaic_pages.h"
#include "ops/web/page.h"
#include "ops/web/source_pages.h"
#include "ops/web/status_page.h"

namespace contimg::ops {

Web::Web(const ProductPaths& paths) : view_(paths), files_(paths.roots().images) {}

void Web::AddRoutes(HttpRouter& router) {
  using Names = std::vector<std::string>;
  const auto add = [&](const char* path, const char* help, HttpResponse (*handler)(const HttpRequest&, PipelineView&),
                       const Names& parameters) {
    const bool page = std::string_view(path).rfind("/api/", 0) != 0;
    router.Add({"GET", path, help, [this, handler](const HttpRequest& request) { return handler(request, view_); },
                true, parameters, page});
  };
  const Names groups{"state", "error_kind", "q", "from", "before", "after", "limit"};
  add("/", "The status page.", StatusPage, {"span", "end"});
  add("/groups", "The list of groups.", GroupListPage, groups);
  add("/groups/*", "The page of one group.", GroupPage, {});
  add("/sources", "The list of sources.", SourceListPage, SourceListParameters());
  add("/sources/*", "The page of one source.", SourcePage, LightCurveParameters());
  add("/mosaics", "The list of mosaics.", MosaicListPage, MosaicListParameters());
  add("/mosaics/*", "The page of one mosaic.", MosaicPage, {});
  for (const std::string of : {"/mosaics", "/groups"}) {
    add((of + "/*/map").c_str(), "The sky of it about a place.", MapPage, MapPageParameters());
    router.Add({"GET", of + "/*/map.png", "The same as a picture.",
                [this](const HttpRequest& request) { return maps_.Picture(request, view_); }, true,
                MapServer::PictureParameters()});
    router.Add({"GET", of + "/*/map.fits", "The same as a FITS image.",
                [this](const HttpRequest& request) { return maps_.Cutout(request, view_); }, true, MapParameters()});
  }
  const auto with = [](Names names, const char* further) {
    names.emplace_back(further);
    return names;
  };
  add("/lightcurves/*", "A light curve as a picture.", LightCurvePicture, with(LightCurveParameters(), "size"));
  router.Add({"GET", "/cutouts/*", "A tile's image about one source.",
              [this](const HttpRequest& request) { return cutouts_.Answer(request, view_); }, true, Names{}});
  add("/api/v1/groups", "Groups, newest first.", ApiGroups, groups);
  add("/api/v1/groups/*", "One group with its files, products, jobs, calibration and events.", ApiGroup, {});
  add("/api/v1/tasks", "Tasks (backups), newest first.", ApiTasks, {"kind", "state", "limit"});
  add("/api/v1/products", "Products, newest first.", ApiProducts,
      {"kind", "group", "status", "from", "before", "limit"});
  add("/api/v1/products/*", "One product with its lineage.", ApiProduct, {});
  add("/api/v1/calibration", "Calibration tables.", ApiCalibration,
      {"kind", "status", "from", "before", "at", "limit"});
  add("/api/v1/sources", "Sources of our own with their statistics.", ApiSources,
      with(SourceListParameters(), "format"));
  add("/api/v1/sources/*", "One source with statistics, data sets, neighbours and catalogue matches.", ApiSource, {});
  add("/api/v1/variables", "Sources by how much they vary.", ApiVariables, with(SourceListParameters(), "format"));
  add("/api/v1/lightcurves/*", "The light curve of one source.", ApiLightCurve, with(LightCurveParameters(), "format"));
  add("/api/v1/mosaics", "Mosaics, newest data first.", ApiMosaics, MosaicListParameters());
  add("/api/v1/mosaics/*", "One mosaic with its tiles, products and others of its window.", ApiMosaic, {});
  add("/api/v1/mosaic-windows", "What became of each window of sidereal time, by time.", ApiMosaicWindows,
      MosaicWindowParameters());
  add("/api/v1/maps/*", "What images say at a place, and the sources about it.", ApiMap, MapParameters());
  add("/api/v1/missions", "Telescopes and surveys, and what their times mean.", ApiMissions, {});
  add("/api/v1/catalogues", "Catalogues that were imported.", ApiCatalogues, {});
  add("/api/v1/instruments", "Instruments and their parts.", ApiInstruments, {"parent"});
  add("/api/v1/instruments/*", "One instrument with its parts.", ApiInstrument, {});
  add("/api/v1/observations", "Observations with measurements, by time.", ApiObservations, ObservationParameters());
  add("/api/v1/observations/*", "One observation with frames and flags.", ApiObservation, {});
  add("/api/v1/frames", "Headers of images.", ApiFrames, FrameParameters());
  add("/api/v1/photometric-sources", "Kinds of photometry.", ApiPhotometricSources, {});
  add("/api/v1/processing-methods", "How data sets were made.", ApiProcessingMethods, {});
  add("/api/v1/quality-flags", "What flags mean, and those of an observation.", ApiQualityFlags, {"group"});
  const Names version{"v"};
  router.Add({"GET", "/images/*", "Pictures and metrics of the images directory.",
              [this](const HttpRequest& request) { return files_.Whole(request); }, true, version});
  router.Add({"GET", "/thumbnails/*", "Small versions of its pictures.",
              [this](const HttpRequest& request) { return files_.Thumbnail(request); }, true, Names{"v", "size"}});
  router.Add({"GET", "/static/*", "Style sheet, script and icons of the pages.", ServeAsset, false, version});
  router.DrawProblems([this](int status, const std::string& sentence) {
    Page page;
    page.title = "This cannot be shown";
    page.body.Add("<h1>This cannot be shown</h1><p class=\"problem\">{}</p><p><a href=\"/\">Status</a></p>\n",
                  sentence);
    return RenderPage(page, view_, status);
  });
}

}  // namespace contimg::ops
