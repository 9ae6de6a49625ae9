// What a mosaic is made of and how good it is; as JSON the content of its X.metrics.json, as a table its X.tiles.fits.
#pragma once

#include <cstddef>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "image/products/fits_image.h"
#include "image/products/image_products.h"
#include "image/quality/quality_gates.h"
#include "mosaic/gate/tile_gate.h"
#include "mosaic/table/table.h"

namespace contimg::mosaic {

// A tile against the others where they overlap: robust root mean squares of differences over their noise, about 1 or
// less (what is the same in all of them, like sources that CLEAN left, is in their noise and not in the differences).
struct TileAgreement {
  double everywhere = 0;
  double at_edges = 0;  // where its primary beam is below 0.3
  std::size_t samples = 0, edge_samples = 0;
};

struct MosaicTile {
  std::filesystem::path path;  // of its image; as it was asked for when there is none
  TileFigures figures;
  TileVerdict verdict;
  double factor = 1;         // by which its fluxes were multiplied
  image::GaussianBeam beam;  // in the mosaic: figures.beam, or what it was restored with anew
  bool restored = false;     // anew
  std::size_t pixels = 0;    // of the mosaic to which it gave something
  TileAgreement agreement;
  double thermal_jy = 0;  // of its image, by its metrics; 0: not known
  std::vector<image::CalibrationUsed> calibration;
};

// The mosaic at the places of a list of sources: isolated ones.
struct MosaicComparison {
  std::size_t expected = 0;                                // above 10 σ by the list
  std::size_t matched = 0;                                 // of these with a peak above 5 σ within half a beam
  double completeness = 0;                                 // matched / expected
  double completeness_error = 0;                           // of so many: 1 σ
  std::size_t sources = 0;                                 // above 20 σ by the list: what the other figures are from
  double flux_ratio_median = 0, flux_ratio_scatter = 0;    // over the list; 1.4826 × MAD
  double offset_east_arcsec = 0, offset_north_arcsec = 0;  // medians
  double offset_median_beams = 0;                          // of the lengths, over the minor axis
};

struct MosaicQuality {
  double rms_median_jy = 0, rms_least_jy = 0;  // of the rms map
  double covered_deg2 = 0;
  double tiles_deep = 0;         // mean number of tiles over what is covered
  double rms_over_thermal = 0;   // tiles' noise over their thermal noise, root mean square; 0: not known of all
  double differences = 0;        // of tiles from the others, over the noise; median of the tiles; 0: none overlaps
  double seams = 0;              // the same at a tile's edges, of the worst one
  std::string worst_seam;        // its name
  double residual_over_rms = 0;  // robust scatter of residual / rms; 0: there is no residual map
  double largest_scale_error = 0;
  std::size_t scales_unknown = 0;  // tiles that share too few sources with others
  double resampling_error = 0;     // of a source, between the pixels of the tile with the narrowest beam
  std::optional<MosaicComparison> catalogue;
  std::vector<image::QualityGate> gates;
  std::string grade;
  std::vector<std::string> reasons;
};

struct MosaicTimings {
  double look_s = 0, add_s = 0, close_s = 0, quality_s = 0, publish_s = 0, total_s = 0;
};

struct MosaicReport {
  std::vector<image::ImageProduct> products;
  image::FitsHeader header;       // of the image
  std::vector<MosaicTile> tiles;  // by time
  bool scaled = false;            // whether the tiles' scales were applied
  std::string beams = "common";   // as asked for: "common", "per-tile", "given"
  MosaicQuality quality;
  MosaicTimings timings;

  std::size_t used() const;
};

nlohmann::ordered_json ToJson(const MosaicReport& report);
// A row a tile: path, checksum, mjd, ra_deg, dec_deg, beam, frequency, rms, scale with error and references, factor,
// used, refusal, why.
Table TileTable(const MosaicReport& report);

}  // namespace contimg::mosaic
