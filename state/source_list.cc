#include "state/source_list.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "state/query.h"
#include "state/sky_index.h"
#include "state/stage_name.h"

namespace contimg::state {
namespace {

constexpr std::array<std::pair<SourceOrder, std::string_view>, 6> kOrders{{{SourceOrder::kName, "name"},
                                                                           {SourceOrder::kFlux, "flux"},
                                                                           {SourceOrder::kEta, "eta"},
                                                                           {SourceOrder::kV, "v"},
                                                                           {SourceOrder::kNewest, "newest"},
                                                                           {SourceOrder::kDistance, "distance"}}};

Error WrongList(const std::string& subject, const std::string& words) {
  return Error(ErrorKind::kUsage, kStage, subject, words);
}

// The column of the statistics that is ordered by; none for orders by other things.
const char* StatisticOf(SourceOrder order) {
  switch (order) {
    case SourceOrder::kFlux:
      return "mean_jy";
    case SourceOrder::kEta:
      return "eta";
    case SourceOrder::kV:
      return "v";
    default:
      return nullptr;
  }
}
double StatisticOf(SourceOrder order, const StatisticsRow& row) {
  return order == SourceOrder::kFlux ? row.mean_jy : order == SourceOrder::kEta ? row.eta : row.v;
}

// ?1 kind and ?2 level are of the statistics s; o is the source.
#define CONTIMG_WANTED_SOURCE "(?3 = '' OR o.origin = ?3) AND o.name >= ?4 AND o.name < ?5"
#define CONTIMG_WANTED_FIGURES                                                                               \
  "coalesce(s.n, 0) >= ?8 AND coalesce(s.eta, 0) >= ?9 AND coalesce(s.v, 0) >= ?10 AND coalesce(s.p, 1) <= " \
  "?11 AND coalesce(s.last_mjd, 0) >= ?12"
constexpr const char* kWhere =
    CONTIMG_WANTED_SOURCE " AND coalesce(s.mean_jy, o.flux_jy) BETWEEN ?6 AND ?7 AND " CONTIMG_WANTED_FIGURES;
// The same of what has statistics: the source is looked at only where something is wanted of it.
constexpr const char* kWhereOfStatistics =
    "s.mean_jy BETWEEN ?6 AND ?7 AND " CONTIMG_WANTED_FIGURES
    " AND ((?3 = '' AND ?4 = '') OR EXISTS (SELECT 1 FROM sources o WHERE o.id = s.source_id AND " CONTIMG_WANTED_SOURCE
    "))";
constexpr const char* kStatisticsOfSource =
    " LEFT JOIN light_curve_statistics s ON s.source_id = o.id AND s.kind = ?1 AND s.level = ?2";

class Lister {
 public:
  Lister(Database& db, const SourceListQuery& query) : db_(db), sources_(db), curves_(db), query_(query) {
    Query kind(db_, "SELECT id FROM photometric_sources WHERE name = ?");
    kind.Bind(query_.kind);
    if (!kind.Next()) throw WrongList(query_.kind, "there is no photometry of this name");
    kind_ = kind.Integer();
  }

  std::vector<ListedSource> List() {
    if (query_.cone || !query_.group_id.empty()) return Page(Candidates());
    std::vector<ListedSource> rows;
    for (const std::int64_t id : StatisticOf(query_.order) != nullptr ? ByStatistic() : BySource()) {
      rows.push_back(RowOf(id));
    }
    return rows;
  }

 private:
  Query& BindWhere(Query& query) const {
    // Of names that begin so the last is before these words with the last of all characters behind.
    return query.Bind(kind_, query_.level, query_.origin, query_.name_begins, query_.name_begins + "\x7f",
                      query_.min_flux_jy, query_.max_flux_jy, query_.min_n, query_.min_eta, query_.min_v, query_.max_p,
                      query_.since_mjd);
  }

  OwnSourceRow Behind() {
    const auto source = sources_.Find(query_.after);
    if (!source)
      throw WrongList(fmt::format("source {}", query_.after), "the list cannot go on behind it: there is none");
    return *source;
  }

  ListedSource RowOf(std::int64_t id) {
    ListedSource row{*sources_.Find(id), curves_.Statistics(id, query_.kind, query_.level), std::nullopt};
    if (query_.cone) {
      row.separation_deg =
          SeparationDeg(query_.cone->ra_deg, query_.cone->dec_deg, row.source.ra_deg, row.source.dec_deg);
    }
    return row;
  }

  // Those that have statistics, the largest first.
  std::vector<std::int64_t> ByStatistic() {
    const std::string column = StatisticOf(query_.order);
    double value = std::numeric_limits<double>::infinity();
    if (query_.after != 0) {
      const auto behind = curves_.Statistics(Behind().id, query_.kind, query_.level);
      if (behind) value = StatisticOf(query_.order, *behind);
    }
    Query query(db_,
                "SELECT s.source_id FROM light_curve_statistics s INDEXED BY light_curve_statistics_by_eta WHERE "
                "s.kind = ?1 AND s.level = ?2 AND s." +
                    column + " <= ?13 AND (s." + column + " < ?13 OR s.source_id > ?14) AND " + kWhereOfStatistics +
                    " ORDER BY s." + column + " DESC, s.source_id LIMIT ?15");
    return BindWhere(query).Bind(value, query_.after, query_.limit).Integers();
  }

  std::vector<std::int64_t> BySource() {
    const bool by_name = query_.order == SourceOrder::kName;
    std::string name;
    std::int64_t id = std::numeric_limits<std::int64_t>::max();
    if (query_.after != 0) {
      name = by_name ? Behind().name : "";
      id = by_name ? id : query_.after;
    }
    Query query(db_, std::string("SELECT o.id FROM sources o") + kStatisticsOfSource +
                         " WHERE o.name > ?13 AND o.id < ?14 AND " + kWhere + " ORDER BY " +
                         (by_name ? "o.name" : "o.id DESC") + " LIMIT ?15");
    return BindWhere(query).Bind(name, id, query_.limit).Integers();
  }

  // All that stand in the cone or in the tile, nearest first where there is a cone.
  std::vector<ListedSource> Candidates() {
    std::vector<std::int64_t> ids;
    if (!query_.group_id.empty()) {
      Query query(db_, std::string("SELECT DISTINCT o.id FROM observations t CROSS JOIN measurements m ON "
                                   "m.observation_id = t.id CROSS JOIN sources o ON o.id = m.source_id") +
                           kStatisticsOfSource +
                           " WHERE t.group_id = ?13 AND (?14 = 0 OR ((m.flags | t.flags) & ?14) <> 0) AND " + kWhere);
      ids = BindWhere(query).Bind(query_.group_id, static_cast<std::int64_t>(query_.flags)).Integers();
    } else {
      const SkyBox box = BoxOfCone(query_.cone->ra_deg, query_.cone->dec_deg, query_.cone->radius_deg);
      Query query(db_, std::string("SELECT o.id FROM sources_sky k CROSS JOIN sources o ON o.id = k.id") +
                           kStatisticsOfSource +
                           " WHERE k.x_max >= ?13 AND k.x_min <= ?14 AND k.y_max >= ?15 AND k.y_min <= ?16 AND "
                           "k.z_max >= ?17 AND k.z_min <= ?18 AND " +
                           kWhere);
      ids = BindWhere(query).Bind(box.low[0], box.high[0], box.low[1], box.high[1], box.low[2], box.high[2]).Integers();
    }
    std::vector<ListedSource> rows;
    for (const std::int64_t id : ids) {
      ListedSource row = RowOf(id);
      if (!query_.cone || *row.separation_deg <= query_.cone->radius_deg) rows.push_back(std::move(row));
    }
    return rows;
  }

  bool Before(const ListedSource& a, const ListedSource& b) const {
    switch (query_.order) {
      case SourceOrder::kName:
        return a.source.name < b.source.name;
      case SourceOrder::kNewest:
        return a.source.id > b.source.id;
      case SourceOrder::kDistance:
        if (a.separation_deg != b.separation_deg) return a.separation_deg < b.separation_deg;
        break;
      default:
        if (a.statistics.has_value() != b.statistics.has_value()) return a.statistics.has_value();
        if (a.statistics) {
          const double left = StatisticOf(query_.order, *a.statistics),
                       right = StatisticOf(query_.order, *b.statistics);
          if (left != right) return left > right;
        }
    }
    return a.source.id < b.source.id;
  }

  std::vector<ListedSource> Page(std::vector<ListedSource> rows) {
    if (StatisticOf(query_.order) != nullptr) {
      std::erase_if(rows, [](const ListedSource& row) { return !row.statistics; });
    }
    std::sort(rows.begin(), rows.end(), [&](const auto& a, const auto& b) { return Before(a, b); });
    if (query_.after != 0) {
      const ListedSource behind = RowOf(Behind().id);
      rows.erase(rows.begin(),
                 std::find_if(rows.begin(), rows.end(), [&](const auto& row) { return Before(behind, row); }));
    }
    if (rows.size() > static_cast<std::size_t>(query_.limit)) {
      rows.erase(rows.begin() + query_.limit, rows.end());
    }
    return rows;
  }

  Database& db_;
  OwnSourceStore sources_;
  LightCurveStore curves_;
  const SourceListQuery& query_;
  std::int64_t kind_ = 0;
};

}  // namespace

std::string_view ToString(SourceOrder order) {
  return std::find_if(kOrders.begin(), kOrders.end(), [&](const auto& each) { return each.first == order; })->second;
}

SourceOrder ParseSourceOrder(std::string_view word) {
  std::string words;
  for (const auto& [order, name] : kOrders) {
    if (name == word) return order;
    words += fmt::format("{}{}", words.empty() ? "" : ", ", name);
  }
  throw WrongList("sort", fmt::format("expected one of {}; found '{}'", words, word));
}

std::vector<ListedSource> ListSources(Database& database, const SourceListQuery& query) {
  if (query.cone && !(query.cone->radius_deg >= 0 && query.cone->radius_deg <= kLargestListedConeDeg)) {
    throw WrongList("radius",
                    fmt::format("expected 0 to {:g} deg, found {:g}", kLargestListedConeDeg, query.cone->radius_deg));
  }
  if (query.order == SourceOrder::kDistance && !query.cone) {
    throw WrongList("sort", "distance needs a place to be distant from");
  }
  if (query.flags != 0 && query.group_id.empty()) {
    throw WrongList("flags", "flags are of measurements: name the group in which they were set");
  }
  std::vector<ListedSource> rows;
  database.Read([&] { rows = Lister(database, query).List(); });
  return rows;
}

}  // namespace contimg::state
