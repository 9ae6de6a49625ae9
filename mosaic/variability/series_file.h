// Light curves of others, from files: CSV and FITS binary tables (as of TESS, Kepler, and what is written here).
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"

namespace contimg::mosaic {

// What a number for a time means: epoch (a date of the format) + number × unit. Scale "utc": when it was seen; "tdb":
// when it passed the barycentre.
struct TimeMeaning {
  std::string unit = "day";    // day | second
  double epoch = 0;            // in days of the format
  std::string scale = "utc";   // utc | tdb
  std::string format = "mjd";  // mjd | jd
};
// What the words for times say: mjd, jd, bmjd, bjd, btjd (TESS), bkjd (Kepler), unix; nothing for others.
std::optional<TimeMeaning> MeaningOfTime(std::string_view word);
// MJD days, on the scale of the meaning.
double MjdOf(double number, const TimeMeaning& meaning);

// Names of columns; empty: the usual ones.
struct SeriesColumns {
  std::string time, flux, error, flags;
};

struct Series {
  std::vector<double> times;   // as in the file, rising
  std::vector<double> fluxes;  // Jy when the unit is one of Jy
  std::vector<double> errors;  // 0: not known
  // Of others: a word that is not 0 becomes `manual`, since their bits mean other things.
  std::vector<QualityFlags> flags;
  std::optional<TimeMeaning> meaning;  // what the file says of its times; none: nothing
  std::string unit;                    // of the fluxes: "Jy", or what the file says
  std::string columns;                 // that were read, "TIME, PDCSAP_FLUX, PDCSAP_FLUX_ERR, QUALITY"
  std::size_t left_out = 0;            // rows without a time, a flux or an error that is a number
};

// By the content: a FITS file, else text. Rows come in any order. Throws Error{kIo} when the file cannot be read and
// Error{kBadInput} when it holds no light curve: no such columns, no rows left, a time twice, an error below 0,
// a column of something else than a number a row, less data than its header says, more than ten million points.
Series ReadSeries(const std::filesystem::path& path, const SeriesColumns& columns);

}  // namespace contimg::mosaic
