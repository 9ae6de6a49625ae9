// What a tile's image is worth, as its products record it, and where its picture is served.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ops/records/pipeline_view.h"
#include "ops/web/html.h"

namespace contimg::ops {

struct TileQuality {
  std::string grade;                                  // "A"…"F"; empty: not known
  nlohmann::json figures = nlohmann::json::object();  // content of the metrics file
  std::optional<state::ProductRow> picture;           // the quick look, when it is present
  std::optional<double> rms_jy, rms_over_thermal, dynamic_range, flagged_fraction, flux_ratio, offset_arcsec;
  std::optional<double> beam_major_arcsec, beam_minor_arcsec, matched;
};
TileQuality QualityOf(const std::vector<state::ProductRow>& products_of_group);

Html GradeBadge(const std::string& grade);

// "/images/qa/2025-10-13/….qa.png?v=…", or "/thumbnails/…"; empty for files outside of the images directory.
std::string PictureAddress(const char* route, const PipelineView& view, const state::ProductRow& product);

}  // namespace contimg::ops
