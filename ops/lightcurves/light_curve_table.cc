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
  return {"mjd", "d", "time.epoch", "middle, MJD UTC at the telescope", kTimeDecimals, std::move(values)};
}
TableColumn BmjdColumn(std::vector<double> values) {
  return {"bmjd_tdb", "d", "time.epoch", "the same at the barycentre, MJD TDB", kTimeDecimals, std::move(values)};
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

Table VariablesTable(const std::vector<VariableSource>& variables) {
  using V = VariableSource;
  Table table;
  table.name = "variables";
  table.description = "sources by how much they vary";
  const auto number = [&](const char* name, const char* unit, const char* ucd, const char* meaning, int decimals,
                          const auto& get) {
    table.columns.push_back({name, unit, ucd, meaning, decimals, ColumnOf(variables, get)});
  };
  number("source_id", "", "meta.id", "of our own", 0, [](const V& v) { return v.source.id; });
  number("name", "", "meta.id;meta.main", "of our own", 0, [](const V& v) { return v.source.name; });
  number("ra_deg", "deg", "pos.eq.ra;meta.main", "ICRS", 7, [](const V& v) { return v.source.ra_deg; });
  number("dec_deg", "deg", "pos.eq.dec;meta.main", "ICRS", 7, [](const V& v) { return v.source.dec_deg; });
  number("n", "", "meta.number", "points that count", 0, [](const V& v) { return v.statistics.n; });
  number("mean_jy", "Jy", "phot.flux.density;stat.mean", "weighted mean", kDigits,
         [](const V& v) { return v.statistics.mean_jy; });
  number("min_jy", "Jy", "phot.flux.density;stat.min", "least", kDigits,
         [](const V& v) { return v.statistics.min_jy; });
  number("max_jy", "Jy", "phot.flux.density;stat.max", "largest", kDigits,
         [](const V& v) { return v.statistics.max_jy; });
  number("eta", "", "stat.fit.chi2", "reduced chi2 of constancy", kDigits, [](const V& v) { return v.statistics.eta; });
  number("v", "", "stat.variance", "standard deviation over mean", kDigits, [](const V& v) { return v.statistics.v; });
  number("vs", "", "stat.value", "largest step from the mean before it, in errors", kDigits,
         [](const V& v) { return v.statistics.vs; });
  number("m", "", "stat.value", "that step over the mean of both", kDigits, [](const V& v) { return v.statistics.m; });
  number("p", "", "stat.probability", "chance of a constant source", -4, [](const V& v) { return v.statistics.p; });
  number("first_mjd", "d", "time.epoch", "first point, MJD UTC", 6, [](const V& v) { return v.statistics.first_mjd; });
  number("last_mjd", "d", "time.epoch", "last point, MJD UTC", 6, [](const V& v) { return v.statistics.last_mjd; });
  return table;
}

}  // namespace contimg::ops
