#include "config/product_kind.h"

#include <array>
#include <string>
#include <utility>

#include "config/error.h"

namespace contimg {
namespace {

constexpr std::array<std::pair<ProductKind, std::string_view>, 29> kWords{{
    {ProductKind::kUvh5, "uvh5"},
    {ProductKind::kScienceMs, "science_ms"},
    {ProductKind::kCalibratorMs, "calibrator_ms"},
    {ProductKind::kCalTable, "caltable"},
    {ProductKind::kFailedLog, "failed_log"},
    {ProductKind::kPbcor, "image.pbcor"},
    {ProductKind::kImage, "image"},
    {ProductKind::kResidual, "residual"},
    {ProductKind::kModel, "model"},
    {ProductKind::kPsf, "psf"},
    {ProductKind::kPb, "pb"},
    {ProductKind::kSmear, "smear"},
    {ProductKind::kDirty, "dirty"},
    {ProductKind::kAlpha, "alpha"},
    {ProductKind::kAlphaError, "alpha.error"},
    {ProductKind::kRms, "rms"},
    {ProductKind::kWeight, "weight"},
    {ProductKind::kBand, "band.image"},
    {ProductKind::kMosaic, "mosaic"},
    {ProductKind::kMosaicResidual, "mosaic.residual"},
    {ProductKind::kTileTable, "tiles"},
    {ProductKind::kMosaicPhotometry, "mosaic.photometry"},
    {ProductKind::kMosaicSources, "mosaic.sources"},
    {ProductKind::kMosaicPicture, "mosaic.qa_picture"},
    {ProductKind::kMosaicMetrics, "mosaic.qa_metrics"},
    {ProductKind::kQaPicture, "qa_picture"},
    {ProductKind::kQaMetrics, "qa_metrics"},
    {ProductKind::kPhotometry, "photometry"},
    {ProductKind::kSources, "sources"},
}};

}  // namespace

std::string_view ToString(ProductKind kind) {
  for (const auto& [candidate, word] : kWords) {
    if (candidate == kind) return word;
  }
  return "";
}

std::optional<ProductKind> FindProductKind(std::string_view word) {
  for (const auto& [kind, candidate] : kWords) {
    if (candidate == word) return kind;
  }
  return std::nullopt;
}

ProductKind ParseProductKind(std::string_view word) {
  if (const auto kind = FindProductKind(word)) return *kind;
  throw Error(ErrorKind::kBadInput, "config", std::string(word), "is no kind of product");
}

const std::vector<ProductKind>& AllProductKinds() {
  static const std::vector<ProductKind> all = [] {
    std::vector<ProductKind> kinds;
    for (const auto& [kind, word] : kWords) kinds.push_back(kind);
    return kinds;
  }();
  return all;
}

bool IsImage(ProductKind kind) { return kind >= ProductKind::kPbcor && kind <= ProductKind::kBand; }

bool HasPixels(ProductKind kind) {
  return IsImage(kind) || kind == ProductKind::kMosaic || kind == ProductKind::kMosaicResidual;
}

}  // namespace contimg
