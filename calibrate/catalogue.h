// Reads the source catalogues that people have. The rows go into master_sources.sqlite3; docs/formats/catalogues.md
// shows the columns.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace contimg::calibrate {

struct CatalogueSource {
  std::string name;  // unique within the file; made from the position where the file has none
  double ra_deg = 0, dec_deg = 0;
  double flux_jy = 0;  // at 1.4 GHz; 0: the catalogue knows none
  double flux_error_jy = 0;
  std::optional<double> spectral_index;
  double major_arcsec = 0, minor_arcsec = 0, position_angle_deg = 0;  // 0: point or only an upper limit known
};

struct CatalogueFile {
  std::vector<CatalogueSource> sources;
  std::size_t without_flux = 0;
};

enum class CatalogueFormat {
  // NVSS as published (Condon et al. 1998), told apart by what the file holds: NRAO's FITS table of raw fits
  // (CATALOG.FIT), a listing of its program NVSSlist, the fixed-width file nvss.dat of CDS VIII/65, or a table exported
  // from VizieR with a line of column names (RAJ2000, DEJ2000, S1.4 in mJy…) between tabs, semicolons, bars or commas.
  kNvss,
  // A header line with ra_deg, dec_deg and flux_jy (or flux_mjy, peak_mjy); optionally name, alpha or spectral_index,
  // flux_error_jy, major_arcsec, minor_arcsec, pa_deg. Lines beginning with # are comments.
  kCsv,
  // The VLA calibrator list as a table: name, ra_deg, dec_deg, L_jy, C_jy. The spectral index comes from L and C band.
  kVlaCalibrators,
};
CatalogueFormat ParseCatalogueFormat(std::string_view word);  // nvss, csv, vla-calibrators; throws Error{kUsage}

// Throws Error{kIo} when the file cannot be read, Error{kBadInput} naming file and line for a line that does not fit
// the format, a position that is not on the sky, or a file without sources.
CatalogueFile ReadCatalogue(const std::filesystem::path& path, CatalogueFormat format);

}  // namespace contimg::calibrate
