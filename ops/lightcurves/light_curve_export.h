// Light curves as files for others' programs, a tree of them: FOLDER/lightcurves/CATALOGUE/SOURCE.fits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/run_context.h"
#include "mosaic/table/table.h"
#include "ops/lightcurves/light_curves.h"
#include "state/dataset_store.h"
#include "state/own_source_store.h"

namespace contimg::ops {

// A light curve with the names of columns that light curves of Kepler, TESS and their readers have: TIME (BMJD TDB),
// FLUX, FLUX_ERR, QUALITY, MJD_UTC, then what there is besides; and the keywords of the FITS paper on time (Rots et al.
// 2015, A&A 574, A36): TIMESYS, TIMEUNIT, MJDREFI, MJDREFF, TREFPOS, TREFDIR, beside BJDREFI and BJDREFF of those
// missions. What it was made with (level, photometry, scale, flags left out; method and parameters of a data set)
// stands in HISTORY. `contimg lightcurve import` reads it back.
mosaic::Table ExportedLightCurve(const state::OwnSourceRow& source, const std::vector<LightCurvePoint>& points,
                                 const LightCurveRequest& request);
mosaic::Table ExportedDataset(const state::OwnSourceRow& source, const state::DatasetRow& dataset);

struct LightCurveExport {
  std::filesystem::path folder;
  std::string ending = ".fits";           // or .csv, .vot
  LightCurveRequest curve;                // of our own measurements
  bool datasets = false;                  // the data sets with points, too: …/MISSION/SOURCE.NAME.fits
  std::vector<state::OwnSourceRow> only;  // empty: all that have points
};

struct ExportedLightCurves {
  std::int64_t written = 0, unchanged = 0;
  std::int64_t points = 0;
};

// CATALOGUE is that which has the source, the first by name; "dsa-110" for one that none has. Letters, digits and
// "+-._" of names stay, "_" stands for others. Files that hold the same bytes are not written again. Throws
// Error{kUsage} when FOLDER/lightcurves is there and no export of before, Error{kIo, kResource} when it cannot be
// written.
ExportedLightCurves ExportLightCurves(state::Database& database, const LightCurveExport& request,
                                      const RunContext& context);

}  // namespace contimg::ops
