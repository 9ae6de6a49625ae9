// Measurements as a table, with the columns that light curves everywhere here have.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "mosaic/photometry/forced.h"
#include "mosaic/table/table.h"

namespace contimg::mosaic {

// One measurement and where it comes from.
struct PhotometryRow {
  std::int64_t source_id = 0;  // of the source in its list
  std::string name;
  std::string product;  // the tile
  double mjd = 0;       // UTC, middle of the tile
  double scale = 1;     // by which fluxes of the tile were divided
  double frequency_hz = 0;
  ForcedMeasurement measurement;
};

// source_id, name, ra_deg, dec_deg, mjd, product, flux_jy, flux_error_jy, sigma_jy, response, scale, frequency_hz,
// flags in CSV (others read these by name and order); quality figures besides in the other forms.
Table PhotometryTable(const std::vector<PhotometryRow>& rows);

}  // namespace contimg::mosaic
