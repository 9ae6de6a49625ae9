// The kinds of products and the words by which databases, reports, options and the API call them. C++17-clean.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace contimg {

enum class ProductKind {
  kUvh5,          // a subband file as it arrived
  kScienceMs,     // Measurement Set of a group
  kCalibratorMs,  // of a calibrator's observation
  kCalTable,      // calibration table of any kind
  kFailedLog,     // what a group that was given up left behind
  kPbcor,         // image divided by the primary beam
  kImage,         // restored image, apparent sky
  kResidual,
  kModel,
  kPsf,
  kPb,     // primary beam
  kSmear,  // loss by smearing
  kDirty,
  kAlpha,       // spectral index
  kAlphaError,  // its uncertainty
  kRms,         // local noise of a mosaic
  kWeight,      // one over its square
  kBand,        // restored image of one band
  kMosaic,      // image of a mosaic
  kMosaicResidual,
  kTileTable,         // which tiles a mosaic has and which not, and why
  kMosaicPhotometry,  // as kPhotometry and kSources, and no points of light curves: the tiles have them
  kMosaicSources,
  kMosaicPicture,
  kMosaicMetrics,
  kQaPicture,
  kQaMetrics,
  kPhotometry,  // table of fluxes of known sources in an image
  kSources,     // catalogue of what is found in it
};

// "uvh5", "science_ms", "calibrator_ms", "caltable", "failed_log", "image.pbcor", "image", "residual", "model", "psf",
// "pb", "smear", "dirty", "alpha", "alpha.error", "rms", "weight", "band.image", "mosaic", "mosaic.residual", "tiles",
// "mosaic.photometry", "mosaic.sources", "mosaic.qa_picture", "mosaic.qa_metrics", "qa_picture", "qa_metrics",
// "photometry", "sources".
std::string_view ToString(ProductKind kind);
// The inverse; nothing for any other word.
std::optional<ProductKind> FindProductKind(std::string_view word);
// The inverse for what must be one: Error{kBadInput} for any other word.
ProductKind ParseProductKind(std::string_view word);
const std::vector<ProductKind>& AllProductKinds();

// An image under a name of its own kind ("rms.fits"), of one group or a mosaic: kPbcor to kBand.
bool IsImage(ProductKind kind);
// The same, or the image or residual of a mosaic.
bool HasPixels(ProductKind kind);

}  // namespace contimg
