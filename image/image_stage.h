// The image stage: a phased tile in, images and their quality out.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "config/settings.h"
#include "convert/frames.h"
#include "image/clean.h"
#include "image/fits_image.h"
#include "image/image_quality.h"
#include "image/measurement_operator.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

enum class ImageProducts {
  kAll,        // dirty, psf, model, residual, image, image.pbcor, pb, smear
  kDirtyOnly,  // dirty, psf, pb, smear
  kPsfOnly,    // psf
};

struct ImageRequest {
  std::filesystem::path prefix;     // PREFIX.image.fits and so on
  std::filesystem::path qa_prefix;  // PREFIX.qa.png, PREFIX.metrics.json; empty: `prefix`
  ImageProducts products = ImageProducts::kAll;
  ImageSettings settings;
  TelescopeSettings telescope;
  bool overwrite = false;  // replace existing products
  bool durable = true;     // synced before they get their names
  bool predict = false;    // leave the model's visibilities in the block (DataState::kModel)
  std::string software = "contimg";
  std::string settings_hash;
  std::vector<CalibrationUsed> calibration;
  std::vector<std::string> history;
  convert::EarthOrientationTable orientation;
};

struct ImageTimings {
  double prepare_s = 0;   // weights, plan, compression
  double dirty_s = 0;     // dirty image and PSF
  double clean_s = 0;     // minor and major cycles
  double major_s = 0;     // of which in major cycles
  double products_s = 0;  // restore, resample, beam, smearing, FITS
  double quality_s = 0;
  double total_s = 0;
};

struct ImageReport {
  std::vector<std::filesystem::path> products;
  GaussianBeam beam;
  CleanReport clean;
  OperatorFigures figures;
  ImageQuality quality;
  double model_flux_jy = 0;
  double thermal_jy = 0;
  ImageTimings timings;
};

// Makes and publishes the products of one tile. `block`: kPhased; raw data are imaged as they are, so the caller
// chooses the column. Every file is finished under a hidden name beside its place before the first gets its own, so an
// error leaves nothing behind. Reports one line per major cycle to the context. Throws Error: kUsage when a product
// exists and `overwrite` is not set or a setting makes no sense; kBadInput when the data hold nothing to image or the
// field reaches beyond the horizon; kResource when memory does not suffice (the message says how much is needed); kIo
// when the output cannot be written; kCancelled.
ImageReport RunImage(VisibilityBlock& block, const ImageRequest& request, const RunContext& context);

// The report as JSON; the content of PREFIX.metrics.json.
nlohmann::json ToJson(const ImageReport& report);

}  // namespace contimg::image
