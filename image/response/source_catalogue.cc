#include "image/response/source_catalogue.h"

#include <cmath>

#include "config/source_list.h"

namespace contimg::image {

std::vector<CatalogueSource> ReadCatalogue(const std::filesystem::path& path, const SkyDirection& centre,
                                           double radius_rad) {
  std::vector<CatalogueSource> sources;
  for (const ListedSource& listed : ReadSourceList(path)) {
    const SkyDirection at{Angle::Degrees(listed.ra_deg), Angle::Degrees(listed.dec_deg)};
    if (!(listed.flux_jy > 0) || std::abs(at.dec.rad() - centre.dec.rad()) > radius_rad) continue;
    if (Separation(at, centre).rad() > radius_rad) continue;
    sources.push_back({at, listed.flux_jy});
    if (listed.spectral_index) sources.back().alpha = *listed.spectral_index;
  }
  return sources;
}

}  // namespace contimg::image
