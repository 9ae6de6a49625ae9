#include "ops/lightcurves/light_curve_table.h"

#include <fmt/format.h>

#include <cmath>
#include <utility>

#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/barycentre.h"

namespace contimg::ops {
namespace {

using mosaic::Table;
using mosaic::TableColumn;

constexpr int kTimeDecimals = 9;  // 0.1 ms
constexpr int kDigits = -8;       // of fluxes, significant

double BmjdOf(const state::OwnSourceRow& source, double mjd) {
  return convert::BarycentricMjdTdb(UtcTime::FromMjd(mjd), Angle::Degrees(source.ra_deg).rad(),
                                    Angle::Degrees(source.dec_deg).rad(), ToItrf(kDsa110Centre));
}

TableColumn MjdColumn(std::vector<double> values) {
  return {"mjd", "d", "time.epoch", "middle, MJD UTC at the telescope", kTimeDecimals, std::move(values), true, "UTC"};
}
TableColumn BmjdColumn(std::vector<double> values) {
  return {"bmjd_tdb",        "d",  "time.epoch", "the same at the barycentre, MJD TDB", kTimeDecimals,
          std::move(values), true, "TDB"};
}

Table TableOfSource(const state::OwnSourceRow& source, const std::string& what) {
  Table table;
  table.name = "lightcurve";
  table.description = fmt::format("{} of {}", what, source.name);
  table.facts = {{"source", source.name},
                 {"ra_deg", fmt::format("{:.7f}", source.ra_deg)},
                 {"dec_deg", fmt::format("{:.7f}", source.dec_deg)}};
  return table;
}

template <typename Row, typename Get>
auto ColumnOf(const std::vector<Row>& rows, const Get& get) {
  std::vector<std::decay_t<decltype(get(rows.front()))>> values;
  values.reserve(rows.size());
  for (const Row& row : rows) values.push_back(get(row));
  return values;
}

}  // namespace

Table LightCurveTable(const state::OwnSourceRow& source, const std::vector<LightCurvePoint>& points,
                      const LightCurveRequest& request) {
  using P = LightCurvePoint;
  Table table = TableOfSource(source, fmt::format("light curve, a point a {}", ToString(request.level)));
  table.facts.emplace_back("level", std::string(ToString(request.level)));
  table.facts.emplace_back("photometry", request.kind);
  table.facts.emplace_back("normalised", request.normalised ? "yes" : "no");
  table.facts.emplace_back("left_out", QualityFlagNames(request.mask));
  table.columns = {MjdColumn(ColumnOf(points, [](const P& p) { return p.mjd; })),
                   BmjdColumn(ColumnOf(points, [&](const P& p) { return BmjdOf(source, p.mjd); })),
                   {"flux_jy", "Jy", "phot.flux.density", "flux density", kDigits,
                    ColumnOf(points, [](const P& p) { return p.flux_jy; })},
                   {"flux_error_jy", "Jy", "stat.error;phot.flux.density", "its error of the noise", kDigits,
                    ColumnOf(points, [](const P& p) { return p.error_jy; })},
                   {"flags", "", "meta.code.qual", "quality, bit by bit", 0,
                    ColumnOf(points, [](const P& p) { return static_cast<std::int64_t>(p.flags); })}};
  const auto add = [&](TableColumn column) { table.columns.push_back(std::move(column)); };
  if (request.level == LightCurveLevel::kTile) {
    add({"local_rms_jy", "Jy", "stat.stdev", "noise of the image about it", kDigits,
         ColumnOf(points, [](const P& p) { return p.local_rms_jy; })});
    add({"response", "", "arith.factor;instr.beam", "primary beam", kDigits,
         ColumnOf(points, [](const P& p) { return p.response; })});
    add({"scale", "", "arith.factor", "by which flux and error were multiplied", kDigits,
         ColumnOf(points, [](const P& p) { return p.scale; })});
    add({"frequency_hz", "Hz", "em.freq", "of the image", 0,
         ColumnOf(points, [](const P& p) { return p.frequency_hz; })});
    add({"product", "", "meta.id", "the tile", 0, ColumnOf(points, [](const P& p) { return p.group_id; })});
  } else {
    add({"tiles", "", "meta.number", "of which it is the mean", 0,
         ColumnOf(points, [](const P& p) { return static_cast<std::int64_t>(p.tiles); })});
    add({"chi2", "", "stat.fit.chi2", "of the points about their mean", kDigits,
         ColumnOf(points, [](const P& p) { return p.chi2; })});
  }
  return table;
}

Table DatasetTable(const state::OwnSourceRow& source, const state::DatasetRow& dataset) {
  Table table = TableOfSource(source, fmt::format("data set {}", dataset.name));
  table.facts.emplace_back("dataset", dataset.name);
  table.facts.emplace_back("mission", dataset.mission);
  table.facts.emplace_back("photometry", dataset.photometry);
  table.facts.emplace_back("processing", dataset.method ? dataset.method->name : "raw");
  if (dataset.method) table.facts.emplace_back("parameters", dataset.method->parameters_json);
  const bool barycentric = dataset.time_frame == "bmjd_tdb";
  table.columns = {
      MjdColumn(ColumnOf(dataset.times, [&](double mjd) { return barycentric ? NAN : mjd; })),
      BmjdColumn(ColumnOf(dataset.times, [&](double mjd) { return barycentric ? mjd : BmjdOf(source, mjd); })),
      {"flux", dataset.unit, "phot.flux", "flux", kDigits, dataset.fluxes},
      {"flux_error", dataset.unit, "stat.error;phot.flux", "its error; 0: not known", kDigits, dataset.errors},
      {"flags", "", "meta.code.qual", "quality, bit by bit", 0,
       ColumnOf(dataset.flags, [](QualityFlags flags) { return static_cast<std::int64_t>(flags); })}};
  return table;
}

namespace {

// Columns of rows that have a source and perhaps statistics.
template <typename Row, typename SourceOf, typename StatisticsOf>
class SourceColumns {
 public:
  SourceColumns(Table& table, const std::vector<Row>& rows, SourceOf source_of, StatisticsOf statistics_of)
      : table_(table), rows_(rows), source_of_(source_of), statistics_of_(statistics_of) {}

  void Names() {
    OfSource("source_id", "", "meta.id", "of our own", 0, [](const auto& s) { return s.id; });
    OfSource("name", "", "meta.id;meta.main", "of our own", 0, [](const auto& s) { return s.name; });
    OfSource("ra_deg", "deg", "pos.eq.ra;meta.main", "ICRS", 7, [](const auto& s) { return s.ra_deg; });
    OfSource("dec_deg", "deg", "pos.eq.dec;meta.main", "ICRS", 7, [](const auto& s) { return s.dec_deg; });
  }
  void Origins() {
    OfSource("ra_error_arcsec", "arcsec", "stat.error;pos.eq.ra", "on the sky; 0: not known", 4,
             [](const auto& s) { return s.ra_error_arcsec; });
    OfSource("dec_error_arcsec", "arcsec", "stat.error;pos.eq.dec", "0: not known", 4,
             [](const auto& s) { return s.dec_error_arcsec; });
    OfSource("flux_jy", "Jy", "phot.flux.density", "expected; 0: not known", kDigits,
             [](const auto& s) { return s.flux_jy; });
    OfSource("origin", "", "meta.note", "catalogue, detection, transient or manual", 0,
             [](const auto& s) { return s.origin; });
  }
  void Figures() {
    Add("n", "", "meta.number", "points that count", 0, [&](const Row& row) {
      const state::StatisticsRow* s = statistics_of_(row);
      return s != nullptr ? s->n : std::int64_t{0};
    });
    Figure("mean_jy", "Jy", "phot.flux.density;stat.mean", "weighted mean", kDigits, &state::StatisticsRow::mean_jy);
    Figure("min_jy", "Jy", "phot.flux.density;stat.min", "least", kDigits, &state::StatisticsRow::min_jy);
    Figure("max_jy", "Jy", "phot.flux.density;stat.max", "largest", kDigits, &state::StatisticsRow::max_jy);
    Figure("eta", "", "stat.fit.chi2", "reduced chi2 of constancy", kDigits, &state::StatisticsRow::eta);
    Figure("v", "", "stat.variance", "standard deviation over mean", kDigits, &state::StatisticsRow::v);
    Figure("vs", "", "stat.value", "largest step from the mean before it, in errors", kDigits,
           &state::StatisticsRow::vs);
    Figure("m", "", "stat.value", "that step over the mean of both", kDigits, &state::StatisticsRow::m);
    Figure("p", "", "stat.probability", "chance of a constant source", -4, &state::StatisticsRow::p);
    Figure("first_mjd", "d", "time.epoch", "first point, MJD UTC", 6, &state::StatisticsRow::first_mjd);
    Figure("last_mjd", "d", "time.epoch", "last point, MJD UTC", 6, &state::StatisticsRow::last_mjd);
  }
  template <typename Get>
  void Add(const char* name, const char* unit, const char* ucd, const char* meaning, int decimals, const Get& get) {
    table_.columns.push_back({name, unit, ucd, meaning, decimals, ColumnOf(rows_, get)});
  }

 private:
  template <typename Get>
  void OfSource(const char* name, const char* unit, const char* ucd, const char* meaning, int decimals,
                const Get& get) {
    Add(name, unit, ucd, meaning, decimals, [&](const Row& row) { return get(source_of_(row)); });
  }
  void Figure(const char* name, const char* unit, const char* ucd, const char* meaning, int decimals,
              double state::StatisticsRow::*figure) {
    Add(name, unit, ucd, meaning, decimals, [&](const Row& row) {
      const state::StatisticsRow* s = statistics_of_(row);
      return s != nullptr ? s->*figure : NAN;
    });
  }

  Table& table_;
  const std::vector<Row>& rows_;
  SourceOf source_of_;
  StatisticsOf statistics_of_;
};

}  // namespace

Table VariablesTable(const std::vector<VariableSource>& variables) {
  Table table;
  table.name = "variables";
  table.description = "sources by how much they vary";
  SourceColumns columns(
      table, variables, [](const VariableSource& v) -> const state::OwnSourceRow& { return v.source; },
      [](const VariableSource& v) { return &v.statistics; });
  columns.Names();
  columns.Figures();
  return table;
}

Table SourcesTable(const std::vector<state::ListedSource>& sources) {
  Table table;
  table.name = "sources";
  table.description = "sources of our own";
  SourceColumns columns(
      table, sources, [](const state::ListedSource& s) -> const state::OwnSourceRow& { return s.source; },
      [](const state::ListedSource& s) { return s.statistics ? &*s.statistics : nullptr; });
  columns.Names();
  columns.Origins();
  columns.Figures();
  if (!sources.empty() && sources.front().separation_deg) {
    columns.Add("separation_arcsec", "arcsec", "pos.angDistance", "from the place that was asked for", 3,
                [](const state::ListedSource& s) { return *s.separation_deg * 3600; });
  }
  return table;
}

}  // namespace contimg::ops
