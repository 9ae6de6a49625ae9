// Lists of our own sources with their statistics, by place, by name, or by what is known of them.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/quality_flags.h"
#include "state/light_curve_store.h"
#include "state/own_source_store.h"

namespace contimg::state {

enum class SourceOrder { kName, kFlux, kEta, kV, kNewest, kDistance };
std::string_view ToString(SourceOrder order);  // "name", "flux", "eta", "v", "newest", "distance"
// Throws Error{kUsage} with the words that there are.
SourceOrder ParseSourceOrder(std::string_view word);

struct SourceCone {
  double ra_deg = 0, dec_deg = 0;
  double radius_deg = 0;  // [0, kLargestListedConeDeg]
};
inline constexpr double kLargestListedConeDeg = 5;

// What a source must be to be listed; whatever is not set holds for all. Of a source without statistics n is 0, η 0, V
// 0 and p 1, and its flux the one that is expected of it.
struct SourceListQuery {
  std::string kind = "forced";    // of the photometry whose statistics are meant
  std::string level = "transit";  // tile | transit
  std::string name_begins;
  std::optional<SourceCone> cone;
  std::string group_id;    // measured in this tile
  QualityFlags flags = 0;  // with one of these in the tile; goes with group_id
  std::string origin;      // catalogue | detection | transient | manual
  double min_flux_jy = -std::numeric_limits<double>::infinity(), max_flux_jy = std::numeric_limits<double>::infinity();
  std::int64_t min_n = 0;
  double min_eta = 0;
  double min_v = -std::numeric_limits<double>::infinity();
  double max_p = 1;
  double since_mjd = 0;  // seen then or later
  // Names and distances rise, all others fall. kDistance goes with a cone. kEta and kV list what has statistics.
  SourceOrder order = SourceOrder::kName;
  std::int64_t after = 0;  // the id of the source behind which the list goes on; 0: from its beginning
  int limit = 100;         // > 0
};

struct ListedSource {
  OwnSourceRow source;
  std::optional<StatisticsRow> statistics;
  std::optional<double> separation_deg;  // from the cone's middle
};

// Throws Error{kUsage} for a cone that is too wide, an order without what it orders by, flags without a tile, a source
// to go on behind that is not there, and a kind of photometry that there is not.
std::vector<ListedSource> ListSources(Database& database, const SourceListQuery& query);

}  // namespace contimg::state
