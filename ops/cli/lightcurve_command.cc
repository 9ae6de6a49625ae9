// `contimg lightcurve`: what a source did over time; `contimg variables`: which sources did something.
#include "ops/cli/lightcurve_command.h"

#include <fmt/format.h>

#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/settings.h"
#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "mosaic/table/table_json.h"
#include "mosaic/variability/light_curve_plot.h"
#include "ops/base/version.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/lightcurves/find_source.h"
#include "ops/lightcurves/light_curve_table.h"
#include "state/dataset_store.h"

namespace contimg::ops {
namespace {

constexpr double kSearchArcsec = 60;  // about RA,DEC: what a person reads off a picture

struct LightCurveArgs {
  std::string source, level = "tile", kind = "forced", quality = "default", from, to, dataset;
  std::string plot;
  bool normalised = false;
  TableOutput output;
};

// True when a picture was asked for, which is then made.
bool DrawIfAsked(const LightCurveArgs& args, const mosaic::LightCurvePlot& plot) {
  if (args.plot.empty()) return false;
  mosaic::WriteResult(RealOs(), args.plot, mosaic::DrawLightCurve(plot, mosaic::PlotFormOf(args.plot)),
                      args.output.overwrite);
  return true;
}

std::optional<state::OwnSourceRow> NearestTo(state::SourceStore& store, const SkyPlace& place, double radius_arcsec) {
  const auto near =
      state::OwnSourceStore(store.database()).Near(place.ra_deg, place.dec_deg, Angle::Arcsec(radius_arcsec).deg());
  return near.empty() ? std::nullopt : std::optional(near.front());
}

double MjdOption(const char* option, const std::string& text, double otherwise) {
  return text.empty() ? otherwise : UtcTime::FromPerson(option, text).mjd();
}

void PrintSource(state::SourceStore& store, const state::OwnSourceRow& source) {
  const auto names = state::OwnSourceStore(store.database()).NamesElsewhere(source.id);
  fmt::print("{}  {:.6f} {:+.6f} deg{}{}\n", source.name, source.ra_deg, source.dec_deg, names.empty() ? "" : "  ",
             Printable(fmt::format("{}", fmt::join(names, ", "))));
}

void PrintStatistics(state::LightCurveStore& curves, const state::OwnSourceRow& source, const std::string& kind) {
  for (const char* level : {"tile", "transit"}) {
    const auto s = curves.Statistics(source.id, kind, level);
    if (!s) continue;
    fmt::print("{}: mean {:.6g} Jy ({:.6g} to {:.6g}), eta {:.4g}, V {:.4g}, V_s {:.3g}, m {:.3g}, p {:.2g}\n",
               Counted(s->n, level), s->mean_jy, s->min_jy, s->max_jy, s->eta, s->v, s->vs, s->m, s->p);
  }
}

void ShowDataset(state::SourceStore& store, const state::OwnSourceRow& source, const LightCurveArgs& args) {
  state::DatasetStore datasets(store.database());
  const auto dataset = datasets.FindByName(source.id, args.dataset);
  if (!dataset) {
    std::vector<std::string> names;
    for (const state::DatasetRow& row : datasets.Of(source.id)) names.push_back(row.name);
    throw Error(ErrorKind::kUsage, "lightcurve", args.dataset,
                fmt::format("{} has no data set of this name{}{}", source.name, names.empty() ? "" : "; it has ",
                            fmt::join(names, ", ")));
  }
  if (dataset->times.empty()) {
    throw Error(ErrorKind::kUsage, "lightcurve", args.dataset,
                "is a view of our measurements: --level and --normalised show it");
  }
  const mosaic::Table table = DatasetTable(source, *dataset);
  mosaic::LightCurvePlot plot{
      source.name, fmt::format("data set {}, {}", dataset->name, dataset->mission), dataset->unit, {}, {}};
  for (std::size_t i = 0; i < dataset->times.size(); ++i) {
    plot.points.push_back({dataset->times[i], dataset->fluxes[i], dataset->errors[i]});
  }
  const bool drawn = DrawIfAsked(args, plot);
  if (args.output.Write(table, "points") || drawn) return;
  PrintSource(store, source);
  fmt::print("{}: {}, {} photometry, {}\n", Printable(dataset->name), Printable(dataset->mission),
             Printable(dataset->photometry), dataset->method ? Printable(dataset->method->name) : "raw");
  for (const std::int64_t parent : datasets.Parents(dataset->id)) {
    fmt::print("made of {}\n", Printable(datasets.Find(parent)->name));
  }
  for (const std::int64_t child : datasets.Children(dataset->id)) {
    fmt::print("{} is made of it\n", Printable(datasets.Find(child)->name));
  }
  for (std::size_t i = 0; i < dataset->times.size(); ++i) {
    fmt::print("{:16.8f} {:14.8g} +- {:.4g} {}{}{}\n", dataset->times[i], dataset->fluxes[i], dataset->errors[i],
               dataset->unit, dataset->flags[i] != 0 ? "  " : "", QualityFlagNames(dataset->flags[i]));
  }
}

void ShowLightCurve(const LightCurveArgs& args) {
  if (args.source.empty()) throw Error(ErrorKind::kUsage, "lightcurve", "", "name a source, or give RA,DEC");
  LightCurveRequest request;
  request.level = ParseLightCurveLevel(args.level);
  request.kind = args.kind;
  request.normalised = args.normalised;
  request.mask = ParseQualityMask(args.quality);
  request.from_mjd = MjdOption("--from", args.from, 0);
  request.to_mjd = MjdOption("--to", args.to, 1e9);
  args.output.Check();
  if (!args.plot.empty()) {
    mosaic::PlotFormOf(args.plot);
    mosaic::CheckName(args.plot, args.output.overwrite);
  }
  state::SourceStore store = SourcesToRead();
  const state::OwnSourceRow source = FindOwnSource(store, args.source);
  if (!args.dataset.empty()) return ShowDataset(store, source, args);
  state::LightCurveStore curves(store.database());
  const std::vector<LightCurvePoint> points = LightCurveOf(curves, source, request);
  mosaic::LightCurvePlot plot{source.name, "", "Jy", {}, {}};
  for (const LightCurvePoint& p : points) plot.points.push_back({p.mjd, p.flux_jy, p.error_jy});
  const mosaic::Variability figures = mosaic::VariabilityOf(plot.points);
  plot.subtitle = fmt::format("{}{}, mean {:.4g} Jy, eta {:.3g}, V {:.3g}", Counted(figures.n, args.level),
                              args.normalised ? ", normalised" : "", figures.mean_jy, figures.eta, figures.v);
  const bool drawn = DrawIfAsked(args, plot);
  if (args.output.Write(LightCurveTable(source, points, request), "points") || drawn) return;
  PrintSource(store, source);
  PrintStatistics(curves, source, request.kind);
  for (const LightCurvePoint& p : points) {
    fmt::print("{}  {:12.6g} +- {:.3g} Jy{}{}\n", UtcTime::FromMjd(p.mjd).Stamp(), p.flux_jy, p.error_jy,
               p.flags != 0 ? "  " : "", QualityFlagNames(p.flags));
  }
  if (points.empty()) fmt::print("no measurement of it is left (--quality none shows all)\n");
  for (const state::DatasetRow& row : state::DatasetStore(store.database()).Of(source.id)) {
    fmt::print("data set {}: {}\n", Printable(row.name), Printable(row.mission));
  }
}

struct VariablesArgs {
  state::VariableQuery query;
  std::string since;
  TableOutput output;
};

void ListVariables(const VariablesArgs& args) {
  state::VariableQuery query = args.query;
  ParseLightCurveLevel(query.level);
  if (query.level == "night") {
    throw Error(ErrorKind::kUsage, "variables", "--level",
                "expected tile or transit: nights have no figures of their own");
  }
  query.since_mjd = MjdOption("--since", args.since, 0);
  args.output.Check();
  state::SourceStore store = SourcesToRead();
  state::OwnSourceStore sources(store.database());
  std::vector<VariableSource> variables;
  for (const state::StatisticsRow& row : state::LightCurveStore(store.database()).VariableSources(query)) {
    variables.push_back({*sources.Find(row.source_id), row});
  }
  if (args.output.Write(VariablesTable(variables), "variables")) return;
  if (variables.empty()) {
    fmt::print("no source has such figures\n");
    return;
  }
  fmt::print("{:<24} {:>10} {:>10} {:>6} {:>11} {:>9} {:>8} {:>8} {:>9}\n", "name", "ra", "dec", "n", "mean Jy", "eta",
             "V", "V_s", "p");
  for (const VariableSource& v : variables) {
    const state::StatisticsRow& s = v.statistics;
    fmt::print("{:<24} {:10.5f} {:+10.5f} {:6} {:11.5g} {:9.4g} {:8.3g} {:8.3g} {:9.2g}\n", v.source.name,
               v.source.ra_deg, v.source.dec_deg, s.n, s.mean_jy, s.eta, s.v, s.vs, s.p);
  }
}

}  // namespace

std::filesystem::path SourceStorePath() {
  return ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kMasterSources);
}

bool AreSourcesOnRecord() { return !Roots(CurrentSettings().values).state.empty() && Exists(SourceStorePath()); }

state::SourceStore SourcesToRead() {
  return state::SourceStore(SourceStorePath(), state::DatabaseOptions::ForOneLook());
}

state::OwnSourceRow FindOwnSource(state::SourceStore& store, const std::string& text) {
  if (const auto called = SourceCalled(store, text)) return *called;
  const auto place = PlaceOf(text);
  if (!place) {
    throw Error(ErrorKind::kUsage, "lightcurve", text,
                "no source of our own is called so; a place is RA,DEC (202.78,30.51 or 13:31:08,+30:30:33)");
  }
  if (const auto near = NearestTo(store, *place, kSearchArcsec)) return *near;
  throw Error(ErrorKind::kUsage, "lightcurve", text,
              fmt::format("no source of our own stands within {:g} arcsec of it", kSearchArcsec));
}

state::OwnSourceRow FindOrMakeOwnSource(state::SourceStore& store, const std::string& text, double now) {
  state::OwnSourceStore sources(store.database());
  if (const auto called = SourceCalled(store, text)) return *called;
  const auto place = PlaceOf(text);
  if (!place) {
    const auto known = store.FindByName(text);
    if (!known.empty()) return sources.Identify(known.front().id, now);
    return FindOwnSource(store, text);  // says why not
  }
  return sources.AtPlace(place->ra_deg, place->dec_deg, {}, now);
}

mosaic::Table WithProgram(mosaic::Table table) {
  table.facts.emplace_back("program", std::string("contimg ") + kVersion);
  return table;
}

void TableOutput::Add(CLI::App* command) {
  command->add_option("--out", out, "write the table: F.csv, F.vot or F.fits")->type_name("FILE");
  command->add_flag("--overwrite", overwrite, "replace the file if it exists");
  command->add_flag("--csv", csv, "print as CSV");
  command->add_flag("--json", json, "print as JSON");
}

void TableOutput::Check() const {
  if (csv && json) throw Error(ErrorKind::kUsage, "output", "--csv", "goes not with --json: one of them is printed");
  if (!out.empty()) mosaic::CheckResult(out, overwrite);
}

bool TableOutput::Write(const mosaic::Table& table, const char* rows_name) const {
  if (!out.empty()) mosaic::WriteTable(RealOs(), out, WithProgram(table), overwrite);
  if (csv) fmt::print("{}", mosaic::CsvText(table));
  if (json) {
    nlohmann::ordered_json document;
    for (const auto& [name, value] : table.facts) document[name] = value;
    document[rows_name] = mosaic::RowsJson(table);
    fmt::print("{}\n", document.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  }
  return csv || json || !out.empty();
}

void AddLightCurveCommand(CLI::App& app) {
  auto args = std::make_shared<LightCurveArgs>();
  CLI::App* command = app.add_subcommand("lightcurve", "what a source did over time");
  command->require_subcommand(0, 1);
  command->add_option("source", args->source, "its name, here or in a catalogue, or RA,DEC")->type_name("NAME|RA,DEC");
  command->add_option("--level", args->level, "a point a tile, transit or night")
      ->type_name("tile|transit|night")
      ->capture_default_str();
  command->add_flag("--normalised", args->normalised, "times the flux scale of each tile, where it has one");
  command->add_option("--kind", args->kind, "of photometry")->type_name("forced|detection")->capture_default_str();
  command
      ->add_option("--quality", args->quality,
                   "what is left out: none, default, hard, hardest, names of flags with commas between, or a number")
      ->capture_default_str();
  command->add_option("--from", args->from, "from this time on")->type_name("TIME");
  command->add_option("--to", args->to, "up to this time")->type_name("TIME");
  command->add_option("--dataset", args->dataset, "a data set that was imported or made, in place of our measurements");
  command->add_option("--plot", args->plot, "draw it: F.svg or F.png")->type_name("FILE");
  args->output.Add(command);
  command->callback([args, command] {
    if (command->get_subcommands().empty()) ShowLightCurve(*args);
  });
  AddLightCurveImport(command);
  AddLightCurveExport(command);
  AddLightCurvePreprocess(command);
  AddLightCurveRecord(command);
}

void AddVariablesCommand(CLI::App& app) {
  auto args = std::make_shared<VariablesArgs>();
  CLI::App* command = app.add_subcommand("variables", "sources by how much they vary, the most variable first");
  state::VariableQuery& query = args->query;
  command->add_option("--level", query.level, "figures of points of tiles or of transits")
      ->type_name("tile|transit")
      ->capture_default_str();
  command->add_option("--eta", query.min_eta, "reduced chi2 of constancy at least");
  command->add_option("--v", query.min_v, "standard deviation over mean at least");
  command->add_option("--p", query.max_p, "chance of a constant source at most");
  command->add_option("--min-n", query.min_n, "points at least")->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--since", args->since, "seen at this time or later")->type_name("TIME");
  command->add_option("--kind", query.kind, "of photometry")->type_name("forced|detection")->capture_default_str();
  command->add_option("--limit", query.limit, "at most so many (0: all)")->check(CLI::NonNegativeNumber);
  args->output.Add(command);
  command->callback([args] { ListVariables(*args); });
}

}  // namespace contimg::ops
