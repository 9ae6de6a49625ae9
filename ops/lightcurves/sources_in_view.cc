#include "ops/lightcurves/sources_in_view.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace contimg::ops {

std::vector<state::ListedSource> SourcesInView(state::Database& sources, const mosaic::MapSquare& square, int most) {
  const auto middle = square.DirectionAt(0.5, 0.5);
  if (!middle) return {};
  // To the farthest corner, which in a projection is a little more than half of the diagonal.
  const double reach_deg = 1.02 * Angle::Radians(square.side_rad() / std::sqrt(2.0)).deg();
  state::SourceListQuery query;
  query.cone = {middle->ra.deg(), middle->dec.deg(), std::min(reach_deg, state::kLargestListedConeDeg)};
  query.order = state::SourceOrder::kFlux;
  query.limit = 2 * most;  // the circle has more than the square
  std::vector<state::ListedSource> found;
  for (state::ListedSource& listed : state::ListSources(sources, query)) {
    const auto at = square.PlaceOf({Angle::Degrees(listed.source.ra_deg), Angle::Degrees(listed.source.dec_deg)});
    const auto inside = [](double v) { return v >= 0 && v <= 1; };
    if (at && inside((*at)[0]) && inside((*at)[1])) found.push_back(std::move(listed));
    if (found.size() == static_cast<std::size_t>(most)) break;
  }
  return found;
}

std::vector<mosaic::MapMark> MarksOf(const std::vector<state::ListedSource>& sources) {
  std::vector<mosaic::MapMark> marks;
  for (const state::ListedSource& listed : sources) {
    marks.push_back(
        {{Angle::Degrees(listed.source.ra_deg), Angle::Degrees(listed.source.dec_deg)}, listed.source.name});
  }
  return marks;
}

}  // namespace contimg::ops
