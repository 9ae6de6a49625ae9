// What an image run made and how it went; as JSON the content of PREFIX.metrics.json.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "convert/tile_beam.h"
#include "image/clean/clean.h"
#include "image/clean/spectral_index.h"
#include "image/operator/measurement_operator.h"
#include "image/plane/beam_fit.h"
#include "image/products/image_products.h"
#include "image/quality/image_quality.h"

namespace contimg::image {

struct ImageTimings {
  double read_s = 0;      // of visibilities that are not in memory
  double prepare_s = 0;   // weights, plan, compression
  double dirty_s = 0;     // dirty image and PSF
  double clean_s = 0;     // minor and major cycles
  double major_s = 0;     // of which in major cycles
  double products_s = 0;  // restore, resample, beam, smearing, FITS
  double quality_s = 0;
  double publish_s = 0;  // until the files are safe on the disk and have their names
  double total_s = 0;
};

// One band of a spectral run.
struct BandFigures {
  double frequency_hz = 0;  // weighted mean
  double bandwidth_hz = 0;
  double rms_jy = 0;  // of the band's residual
};

struct ImageReport {
  std::vector<ImageProduct> products;
  GaussianBeam beam;
  convert::TileBeam primary_beam;
  CleanReport clean;
  OperatorFigures figures;
  ImageQuality quality;
  double model_flux_jy = 0;
  double thermal_jy = 0;
  std::vector<BandFigures> bands;                 // empty without spectra
  std::vector<SpectralIndex> spectra;             // brightest first
  std::vector<std::string> antennas_without_sky;  // as the request names them
  ImageTimings timings;
};

nlohmann::json ToJson(const ImageReport& report);

}  // namespace contimg::image
