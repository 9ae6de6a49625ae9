// The NVSS source table as NRAO publishes it (CATALOG.FIT): raw Gaussian fits, and what its authors make of them
// (Condon et al. 1998, AJ 115, 1693, section 5; the program NVSSlist does the same). docs/formats/catalogues.md has the
// formulas.
#pragma once

#include <filesystem>
#include <vector>

#include "calibrate/catalogue.h"

namespace contimg::calibrate {

// One row: an elliptical Gaussian fitted to the image, nothing corrected.
struct NvssFit {
  double ra_deg = 0, dec_deg = 0;             // J2000
  double peak_jy = 0;                         // per beam of 45 arcsec
  double major_arcsec = 0, minor_arcsec = 0;  // full width at half maximum, beam included
  double position_angle_deg = 0;              // of the major axis, north through east
  double rms_jy = 0;                          // noise of the image there, per beam
};

// Positions, fluxes and sizes freed of the survey's known biases and its beam. A size that is not larger than the beam
// by 2.33 of its standard deviations is 0. The name is left empty.
CatalogueSource CorrectNvssFit(const NvssFit& fit);

// Throws Error{kIo} when the file cannot be read and Error{kBadInput} when it is no FITS file with a table that has the
// columns RA(2000), DEC(2000), PEAK INT, MAJOR AX, MINOR AX, POSANGLE and I RMS, or a row holds no numbers.
std::vector<NvssFit> ReadNvssTable(const std::filesystem::path& path);

}  // namespace contimg::calibrate
