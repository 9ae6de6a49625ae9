// Light curves and lists of variable sources as tables, in whose form commands and pages give them away.
#pragma once

#include <vector>

#include "mosaic/table/table.h"
#include "ops/lightcurves/light_curves.h"
#include "state/dataset_store.h"
#include "state/own_source_store.h"
#include "state/source_list.h"

namespace contimg::ops {

// mjd, bmjd_tdb, flux_jy, flux_error_jy, flags, tiles, chi2; of tiles instead of the last two local_rms_jy, response,
// scale, frequency_hz, product. Barycentric times are of the source's place and the DSA-110.
mosaic::Table LightCurveTable(const state::OwnSourceRow& source, const std::vector<LightCurvePoint>& points,
                              const LightCurveRequest& request);

// mjd (none where the data set has barycentric times alone), bmjd_tdb, flux, flux_error, flags.
mosaic::Table DatasetTable(const state::OwnSourceRow& source, const state::DatasetRow& dataset);

// source_id, name, ra_deg, dec_deg, n, mean_jy, min_jy, max_jy, eta, v, vs, m, p, first_mjd, last_mjd.
struct VariableSource {
  state::OwnSourceRow source;
  state::StatisticsRow statistics;
};
mosaic::Table VariablesTable(const std::vector<VariableSource>& variables);

// The same with origin, expected flux and errors of the place between place and figures, and for sources about a place
// separation_arcsec behind them; n is 0 and the figures are none for a source without statistics.
mosaic::Table SourcesTable(const std::vector<state::ListedSource>& sources);

}  // namespace contimg::ops
