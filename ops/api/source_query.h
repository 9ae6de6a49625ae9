// What lists of sources, pages of one and light curves are asked for, as the API and the pages take it.
#pragma once

#include <optional>
#include <string>

#include "ops/http/http_server.h"
#include "ops/lightcurves/light_curves.h"
#include "state/dataset_store.h"
#include "state/own_source_store.h"
#include "state/source_list.h"
#include "state/source_store.h"

namespace contimg::ops {

inline constexpr double kSearchDeg = 0.05;             // about a place, unless radius_deg says otherwise
inline constexpr double kNeighbourDeg = 150.0 / 3600;  // five beams: what stands there may share a source's flux

// The parameters of a list: q (a name, how it begins, or a place; what is none of these finds nothing), at (RA,DEC)
// with radius_deg, group, flags (of the group's measurements), origin, min_flux_jy, max_flux_jy, level, kind, min_n,
// eta, v, p, since, sort, after, limit. A list about a place begins with the nearest, any other is by name unless sort
// says otherwise. Throws Error{kUsage} for what means nothing.
state::SourceListQuery SourceQueryOf(const HttpRequest& request, state::SourceStore& store, int otherwise, int most);

// By number or name.
std::optional<state::OwnSourceRow> SourceOfWord(state::SourceStore& store, const std::string& word);

// Which light curve: level, kind, normalised, quality, from and to; or dataset, which goes with none of these.
struct CurveQuery {
  LightCurveRequest request;
  std::string dataset;
};
// Throws Error{kUsage}.
CurveQuery CurveQueryOf(const HttpRequest& request, state::SourceStore& store);
// The source's data set with its points. Throws Error{kUsage} when there is none of this name or it is a view.
state::DatasetRow DatasetCalled(state::SourceStore& store, const state::OwnSourceRow& source, const std::string& name);

}  // namespace contimg::ops
