#include "image/expected_products.h"

namespace contimg::image {

ProductPlan PlanOf(const ImageRequest& request) {
  return {.prefix = request.prefix,
          .qa_prefix = request.qa_prefix,
          .fits = request.settings.format != "casacore",
          .casacore = request.settings.format != "fits",
          .compress = request.settings.compress,
          .overwrite = request.overwrite,
          .durable = request.durable};
}

bool HasSpectra(const ImageRequest& request) {
  return request.products == ImageProducts::kAll && request.settings.spectral_channels > 1 &&
         request.settings.max_iterations > 0;
}

void ExpectProducts(const ImageRequest& request, StagedProducts& staged) {
  using Kind = ProductKind;
  staged.Expect(Kind::kPsf);
  staged.Expect(Kind::kQaMetrics);
  if (request.products == ImageProducts::kPsfOnly) return;
  for (const Kind kind : {Kind::kQaPicture, Kind::kDirty, Kind::kPb, Kind::kSmear}) staged.Expect(kind);
  if (request.products != ImageProducts::kAll) return;
  for (const Kind kind : {Kind::kModel, Kind::kResidual, Kind::kImage, Kind::kPbcor}) staged.Expect(kind);
  if (!HasSpectra(request)) return;
  for (const Kind kind : {Kind::kAlpha, Kind::kAlphaError}) staged.Expect(kind);
  for (int i = 0; i < request.settings.spectral_channels; ++i) staged.Expect(Kind::kBand, i);
}

void CheckProducts(const ImageRequest& request, Os& os) {
  const std::filesystem::path folder =
      request.prefix.has_parent_path() ? request.prefix.parent_path() : std::filesystem::path(".");
  if (!request.prefix.filename().empty() && !Exists(folder, os)) return;  // which would be made
  StagedProducts staged(PlanOf(request), os);
  ExpectProducts(request, staged);
}

}  // namespace contimg::image
