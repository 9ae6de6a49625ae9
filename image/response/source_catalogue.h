// A catalogue of point sources: for masks and for the quality check.
#pragma once

#include <filesystem>
#include <vector>

#include "config/units.h"

namespace contimg::image {

struct CatalogueSource {
  SkyDirection direction;  // ICRS
  double flux_jy = 0;      // true sky, at 1.4 GHz
  double alpha = -0.7;     // spectral index: S ∝ ν^alpha
};

// The sources of a list (config/source_list.h, which says what is refused) within `radius_rad` of `centre`, without
// those whose flux density the list does not know.
std::vector<CatalogueSource> ReadCatalogue(const std::filesystem::path& path, const SkyDirection& centre,
                                           double radius_rad);

}  // namespace contimg::image
