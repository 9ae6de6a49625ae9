#include "ops/mosaicking/mosaic_job.h"

#include <fmt/format.h>

#include <optional>

#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/find/catalogue_table.h"
#include "mosaic/mosaic_stage.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/photometry/photometry_table.h"
#include "mosaic/tile/tile_files.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMosaicStage = "mosaic";

// The stage calls products by what they show, the record by what they are of.
ProductKind KindOnRecord(ProductKind kind) {
  if (kind == ProductKind::kImage) return ProductKind::kMosaic;
  if (kind == ProductKind::kResidual) return ProductKind::kMosaicResidual;
  if (kind == ProductKind::kQaPicture) return ProductKind::kMosaicPicture;
  if (kind == ProductKind::kQaMetrics) return ProductKind::kMosaicMetrics;
  return kind;
}

std::vector<mosaic::ForcedPlace> PlacesIn(const MosaicJob& job, double frequency_hz) {
  std::vector<mosaic::ForcedPlace> places =
      mosaic::PlacesOfList({job.sources.begin(), job.sources.end()}, frequency_hz);
  for (std::size_t i = 0; i < places.size(); ++i) places[i].flags = job.sources[i].flags;
  return places;
}

void Measure(const MosaicJob& job, const RunContext& context, MosaicJobResult& result) {
  const mosaic::TileFiles files(mosaic::TileFileNames{job.prefix, {}, {}, {}, {}}, {}, context);
  const mosaic::TileImages& images = files.images();
  const image::CoarseMap rms = mosaic::NoiseOf(files, context.threads);
  const std::vector<mosaic::ForcedPlace> places = PlacesIn(job, images.header->frequency_hz);
  mosaic::ForcedOptions forced;
  forced.min_response = job.min_response;
  std::vector<mosaic::PhotometryRow> rows;
  for (const auto& measurement : mosaic::MeasureForced(images, rms, places, forced, context.threads).measurements) {
    const MosaicJobSource& source = job.sources[measurement.index];
    rows.push_back(
        {source.source_id, source.name, files.name(), files.mjd(), 1, images.header->frequency_hz, measurement});
  }
  context.CheckCancelled(kMosaicStage);
  mosaic::FindOptions find;
  find.seed = job.seed;
  find.known = places;
  const mosaic::SourceCatalogue catalogue = mosaic::FindSources(images, rms, find, context);
  const auto publish = [&](ProductKind form, ProductKind kind, const mosaic::Table& table) {
    const fs::path path = job.prefix.string() + "." + ProductSuffix(form);
    mosaic::WriteTable(OsOr(context.os), path, table, true);
    result.products.emplace_back(kind, path);
  };
  publish(ProductKind::kPhotometry, ProductKind::kMosaicPhotometry, mosaic::PhotometryTable(rows));
  publish(ProductKind::kSources, ProductKind::kMosaicSources, mosaic::CatalogueTable(catalogue, files.name(), find));
  result.found = catalogue.sources.size();
  result.measured = rows.size();
}

}  // namespace

json ToJson(const MosaicJob& job) {
  json tiles = json::array(), sources = json::array();
  for (const MosaicJobTile& tile : job.tiles) {
    tiles.push_back({{"group", tile.group},
                     {"image", tile.image.string()},
                     {"checksum", tile.checksum},
                     {"grade", tile.grade},
                     {"thermal_jy", tile.thermal_jy}});
  }
  for (const MosaicJobSource& source : job.sources) {
    json each{{"source_id", source.source_id}, {"name", source.name},       {"ra_deg", source.ra_deg},
              {"dec_deg", source.dec_deg},     {"flux_jy", source.flux_jy}, {"flags", source.flags}};
    if (source.spectral_index) each["spectral_index"] = *source.spectral_index;
    sources.push_back(std::move(each));
  }
  return {{"mosaic_version", 1},
          {"tiles", tiles},
          {"prefix", job.prefix.string()},
          {"sources", sources},
          {"max_scale_error", job.max_scale_error},
          {"fits", job.fits},
          {"casacore", job.casacore},
          {"compress", job.compress},
          {"durable", job.durable},
          {"seed", job.seed},
          {"min_response", job.min_response},
          {"software", job.software},
          {"settings_hash", job.settings_hash}};
}

MosaicJob ParseMosaicJob(const json& value, const std::string& subject) {
  try {
    MosaicJob job;
    if (value.at("mosaic_version") != 1) {
      throw Error(ErrorKind::kBadInput, kMosaicStage, subject,
                  fmt::format("expected version 1 of a mosaic's job, found {}", value.at("mosaic_version").dump()));
    }
    for (const json& each : value.at("tiles")) {
      job.tiles.push_back({each.at("group"), each.at("image").get<std::string>(), each.at("checksum"), each.at("grade"),
                           each.at("thermal_jy")});
    }
    job.prefix = value.at("prefix").get<std::string>();
    for (const json& each : value.at("sources")) {
      MosaicJobSource& source = job.sources.emplace_back();
      source.source_id = each.at("source_id");
      source.name = each.at("name");
      source.ra_deg = each.at("ra_deg");
      source.dec_deg = each.at("dec_deg");
      source.flux_jy = each.at("flux_jy");
      source.flags = each.at("flags");
      if (each.contains("spectral_index")) source.spectral_index = each.at("spectral_index").get<double>();
    }
    job.max_scale_error = value.at("max_scale_error");
    job.fits = value.at("fits");
    job.casacore = value.at("casacore");
    job.compress = value.at("compress");
    job.durable = value.at("durable");
    job.seed = value.at("seed");
    job.min_response = value.at("min_response");
    job.software = value.at("software");
    job.settings_hash = value.at("settings_hash");
    return job;
  } catch (const json::exception& error) {
    throw Error(ErrorKind::kBadInput, kMosaicStage, subject, fmt::format("is no job of a mosaic: {}", error.what()));
  }
}

MosaicJobResult RunMosaicJob(const MosaicJob& job, const RunContext& context) {
  mosaic::MosaicRequest request;
  for (const MosaicJobTile& tile : job.tiles) {
    request.tiles.push_back(tile.image);
    request.known[tile.image] = {tile.grade, tile.thermal_jy};
  }
  request.prefix = job.prefix;
  request.limits.scale_error = job.max_scale_error;
  request.catalogue = {job.sources.begin(), job.sources.end()};
  request.fits = job.fits;
  request.casacore = job.casacore;
  request.compress = job.compress;
  request.overwrite = true;
  request.durable = job.durable;
  request.software = job.software;
  request.settings_hash = job.settings_hash;
  MosaicJobResult result;
  result.report = mosaic::RunMosaic(request, context);
  for (const image::ImageProduct& product : result.report.products) {
    result.products.emplace_back(KindOnRecord(product.kind), product.path);
  }
  try {
    mosaic::About(job.prefix, [&] { Measure(job, context, result); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput && error.kind() != ErrorKind::kNumeric) throw;
    context.reporter->Warn(kMosaicStage, fmt::format("nothing is measured in it: {}", error.what()));
  }
  return result;
}

}  // namespace contimg::ops
