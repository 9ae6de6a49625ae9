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

// Reads comma-separated text: lines starting with # are comments, the first other line names the columns: ra_deg,
// dec_deg and one of flux_jy, flux_mjy, peak_mjy, and perhaps alpha or spectral_index; others are ignored. Keeps
// sources within `radius_rad` of `centre`. Throws Error{kIo} when it cannot be read and Error{kBadInput} with the line
// number when it is malformed.
std::vector<CatalogueSource> ReadCatalogue(const std::filesystem::path& path, const SkyDirection& centre,
                                           double radius_rad);

}  // namespace contimg::image
