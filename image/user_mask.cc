#include "image/user_mask.h"

#include "config/array_view.h"
#include "config/units.h"
#include "image/clean/clean_masks.h"
#include "image/products/fits_image.h"

namespace contimg::image {

Buffer<std::uint8_t> MakeUserMask(const ImageSettings& settings, const std::vector<CatalogueSource>& catalogue,
                                  const ImageGeometry& slant, const PhaseCentre& centre, int threads) {
  Buffer<std::uint8_t> mask;
  const bool from_catalogue = settings.catalogue_mask_arcsec > 0 && !settings.catalogue_file.empty();
  if (settings.mask_file.empty() && !from_catalogue) return mask;
  mask = Buffer<std::uint8_t>(slant.nx * slant.ny);
  const ArrayView<std::uint8_t, 2> view{mask.data(), {slant.ny, slant.nx}};
  if (!settings.mask_file.empty()) MaskFromImage(ReadFitsImage(settings.mask_file), slant, centre, view, threads);
  if (from_catalogue) {
    MaskFromCatalogue(catalogue, Angle::Arcsec(settings.catalogue_mask_arcsec).rad(), slant, centre, view);
  }
  return mask;
}

}  // namespace contimg::image
