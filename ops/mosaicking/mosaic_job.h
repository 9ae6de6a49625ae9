// One mosaic on paper, and made: what it is made of and how, so that it can be made again bit for bit (`contimg
// products reproduce`), without a database.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/product_kind.h"
#include "config/quality_flags.h"
#include "config/run_context.h"
#include "config/source_list.h"
#include "mosaic/mosaic_report.h"

namespace contimg::ops {

struct MosaicJobTile {
  std::string group;
  std::filesystem::path image;
  std::string checksum;  // of the image, as recorded
  std::string grade;
  double thermal_jy = 0;  // noise that the receivers explain; 0: not known
};

struct MosaicJobSource : ListedSource {
  std::int64_t source_id = 0;
  QualityFlags flags = 0;  // of the place
};

struct MosaicJob {
  std::vector<MosaicJobTile> tiles;
  std::filesystem::path prefix;          // PREFIX.image.fits and so on
  std::vector<MosaicJobSource> sources;  // of our own: measured in it, told apart from what is found
  double max_scale_error = 0.05;
  bool fits = true, casacore = false, compress = false, durable = true;
  double seed = 5.5, min_response = 0.25;  // of what is found and measured
  std::string software, settings_hash;
};
nlohmann::json ToJson(const MosaicJob& job);
// Throws Error{kBadInput} for missing or wrong fields.
MosaicJob ParseMosaicJob(const nlohmann::json& json, const std::string& subject);

struct MosaicJobResult {
  mosaic::MosaicReport report;
  std::vector<std::pair<ProductKind, std::filesystem::path>> products;  // as they are called on record
  std::size_t found = 0, measured = 0;                                  // sources
};
// Makes the mosaic (mosaic/mosaic_stage.h, whose errors it throws), then PREFIX.sources.fits and PREFIX.photometry.fits
// of it; a mosaic in which nothing can be measured has neither, and a warning says so. What exists is replaced.
MosaicJobResult RunMosaicJob(const MosaicJob& job, const RunContext& context);

}  // namespace contimg::ops
