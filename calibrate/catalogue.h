// Reads the source catalogues that people have. The rows go into master_sources.sqlite3; docs/formats/catalogues.md
// shows the columns.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/source_list.h"

namespace contimg::calibrate {

// Names are unique within the file; made from the position where the file has none.
using CatalogueSource = ListedSource;

struct CatalogueFile {
  std::vector<CatalogueSource> sources;
  std::size_t without_flux = 0;
};

enum class CatalogueFormat {
  // NVSS as published (Condon et al. 1998), told apart by what the file holds: NRAO's FITS table of raw fits
  // (CATALOG.FIT), a listing of its program NVSSlist, the fixed-width file nvss.dat of CDS VIII/65, or a table exported
  // from VizieR with a line of column names (RAJ2000, DEJ2000, S1.4 in mJy…) between tabs, semicolons, bars or commas.
  kNvss,
  // A list of sources (config/source_list.h).
  kCsv,
  // The VLA calibrator list as such a list: name, ra_deg, dec_deg, L_jy, C_jy. The spectral index comes from L and C
  // band; an empty L_jy is a flux density that nobody knows.
  kVlaCalibrators,
};
CatalogueFormat ParseCatalogueFormat(std::string_view word);  // nvss, csv, vla-calibrators; throws Error{kUsage}

// Throws Error{kIo} when the file cannot be read, Error{kBadInput} naming file and line for a line that does not fit
// the format, a position that is not on the sky, or a file without sources.
CatalogueFile ReadCatalogue(const std::filesystem::path& path, CatalogueFormat format);

}  // namespace contimg::calibrate
