// The image stage: a phased tile in, images and their quality out.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_context.h"
#include "config/settings.h"
#include "convert/frames.h"
#include "image/image_report.h"
#include "image/plane/plane.h"
#include "image/products/fits_image.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::image {

enum class ImageProducts {
  // dirty, psf, model, residual, image, image.pbcor, pb, smear; with image.spectral_channels also band<N>.image and
  // alpha, alpha.error (spectral index)
  kAll,
  kDirtyOnly,  // dirty, psf, pb, smear
  kPsfOnly,    // psf
};

// The images of a finished run, for whoever goes on with them: as in the files, all of one shape.
struct FinishedImages {
  FitsHeader header;  // of the restored image
  Plane image, residual, pb, smear, psf;
};

struct ImageRequest {
  std::filesystem::path prefix;     // PREFIX.image.fits and so on
  std::filesystem::path qa_prefix;  // PREFIX.qa.png, PREFIX.metrics.json; empty: `prefix`
  ImageProducts products = ImageProducts::kAll;
  ImageSettings settings;
  TelescopeSettings telescope;
  bool overwrite = false;                                               // replace existing products
  bool durable = true;                                                  // synced before they get their names
  double dead_antenna_fraction = FlagSettings{}.dead_antenna_fraction;  // ingest/flag_count.h
  bool predict = false;  // leave the model's visibilities in the block (DataState::kModel)
  std::optional<std::pair<std::size_t, std::size_t>> channels;  // first and last to use; none: all
  std::string software = "contimg";
  std::string settings_hash;
  std::vector<CalibrationUsed> calibration;
  std::vector<std::string> history;
  std::vector<std::string> antennas_without_sky;  // flagged for it, by name: for the report
  convert::EarthOrientationTable orientation;
  FinishedImages* keep = nullptr;  // filled when the products are published (kAll alone); null: nobody wants them
};

// Throws Error{kUsage} when a product of the request exists and `overwrite` is not set, or the prefix names none:
// before the data are read. RunImage looks again.
void CheckProducts(const ImageRequest& request, Os& os = RealOs());

// Makes and publishes the products of one tile. `block`: kPhased; raw data are imaged as they are, so the caller
// chooses the column. Every file is finished under a hidden name beside its place before the first gets its own, so an
// error leaves nothing behind. Reports one line per major cycle to the context. Throws Error: kUsage when a product
// exists and `overwrite` is not set, or a setting makes no sense, at all or for these data; kBadInput when the data
// hold nothing to image; kResource when memory does not suffice (the message says how much is needed); kIo when the
// output cannot be written; kCancelled.
ImageReport RunImage(VisibilityBlock& block, const ImageRequest& request, const RunContext& context);
// The same for a tile whose visibilities are elsewhere (`vis`). Its flags and weights are gone afterwards: their memory
// serves for the images. Not for requests that need the block's own visibilities.
ImageReport RunImage(VisibilityBlock& block, const VisibilityParts& vis, const ImageRequest& request,
                     const RunContext& context);
// A prediction, a part of the band, bands.
bool NeedsWholeTile(const ImageRequest& request);

}  // namespace contimg::image
