// A catalogue of found sources as a table and as regions.
#pragma once

#include <string>

#include "mosaic/find/find_sources.h"
#include "mosaic/table/table.h"

namespace contimg::mosaic {

// name, ra_deg, dec_deg, ra_error_arcsec, dec_error_arcsec, flux_jy, flux_error_jy, snr, sigma_jy, response, resolved,
// group, flags in CSV (others read these by name and order); peaks and sizes besides in the other forms. `image` and
// `options` are among its facts.
Table CatalogueTable(const SourceCatalogue& catalogue, const std::string& image, const FindOptions& options);

// Region file of SAOImage DS9 (ICRS): an ellipse a source, of the beam or of its fitted size, with its name.
std::string Ds9Regions(const SourceCatalogue& catalogue, const image::GaussianBeam& beam);

}  // namespace contimg::mosaic
