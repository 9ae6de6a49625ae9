// `contimg mosaic list|windows|show|why`: mosaics on record, which windows have none, of which tiles they are and of
// which not.
#include "ops/cli/mosaic_records.h"

#include <fmt/format.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/quantity.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"
#include "ops/mosaicking/make_mosaic.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/mosaics/window_states.h"
#include "ops/records/mosaic_words.h"
#include "ops/records/row_json.h"
#include "state/group_store.h"
#include "state/mosaic_store.h"
#include "state/own_source_store.h"
#include "state/product_store.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;
using state::MosaicRow;
using state::MosaicStore;
using state::MosaicTileRow;

struct ListArgs {
  std::string kind, state, from, to, tile, name;
  std::optional<double> strip_deg;
  int limit = 100;
  bool references = false, json = false;
};

state::ProductStore ProductsToRead() {
  return state::ProductStore(ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kProducts),
                             state::DatabaseOptions::ForOneLook());
}

void ListMosaics(const ListArgs& args) {
  state::MosaicQuery query;
  query.kind = args.kind;
  query.state = args.state;
  query.strip_deg = args.strip_deg;
  if (!args.from.empty()) query.from_mjd = UtcTime::FromPerson("--from", args.from).mjd();
  if (!args.to.empty()) query.before_mjd = UtcTime::FromPerson("--to", args.to).mjd();
  query.group_id = args.tile;
  query.references_only = args.references;
  query.limit = args.limit;
  state::ProductStore products = ProductsToRead();
  const std::vector<MosaicRow> rows = MosaicStore(products.database()).List(query);
  if (args.json) {
    fmt::print("{}\n", RowsJson(rows).dump(2));
    return;
  }
  for (const MosaicRow& row : rows) {
    fmt::print("{:<45} {:<6} {}-{} {:<6} {:<1} {:>3} in, {:>2} out  version {}{}\n", row.name, row.kind,
               LstWords(row.lst_start_h), LstWords(row.lst_end_h), row.state, row.grade, row.n_used, row.n_refused,
               row.version, row.is_reference ? ", reference" : "");
  }
  if (rows.empty()) fmt::print(stderr, "no mosaic on record fits\n");
  if (args.limit > 0 && rows.size() == static_cast<std::size_t>(args.limit)) {
    fmt::print(stderr, "the newest {} are shown; --limit 0 shows all\n", args.limit);
  }
}

void PrintWindow(const WindowState& each) {
  std::string words(SpokenState(each));
  if (each.state == "made") {
    words += fmt::format(", grade {}, {} in, {} out, version {}", each.made->grade, each.made->n_used,
                         each.made->n_refused, each.made->version);
  }
  fmt::print("{:<45} {}-{} {:>2} on disk  {}{}\n", each.window.name, LstWords(each.window.lst_start_h),
             LstWords(each.window.lst_end_h), each.tiles, words, each.why.empty() ? "" : ": " + each.why);
}

void ListWindows(const ListArgs& args) {
  const Settings settings = CurrentSettings().values;
  const ProductPaths paths(Roots(settings));
  state::ProductStore products = ProductsToRead();
  std::optional<state::GroupStore> groups;
  if (const auto database = paths.Database(StateDatabase::kIngest); Exists(database)) {
    groups.emplace(database, state::DatabaseOptions::ForOneLook());
  }
  const auto mjd = [](const char* option, const std::string& text) {
    return text.empty() ? std::nullopt : std::optional(UtcTime::FromPerson(option, text).mjd());
  };
  WindowsOfTime told = WindowStates(products, groups ? &*groups : nullptr, settings.mosaic, mjd("--from", args.from),
                                    mjd("--to", args.to), UtcTime::Now().unix_s());
  if (args.strip_deg) KeepStrip(told, *args.strip_deg);
  const std::vector<WindowState>& windows = told.windows;
  if (args.json) {
    fmt::print("{}\n", RowsJson(windows).dump(2));
    return;
  }
  for (const WindowState& each : windows) PrintWindow(each);
  fmt::print(stderr, "{} to {}: {}\n", UtcTime::FromMjd(told.from_mjd).Stamp(), UtcTime::FromMjd(told.to_mjd).Stamp(),
             windows.empty() ? "no tiles and no mosaics" : CountedStates(windows));
  if (!settings.mosaic.enabled) fmt::print(stderr, "mosaic.enabled is off: the service makes none\n");
}

// By its name, or by the task that makes it. (That of a deep one is named after the hourly one that brought it about.)
MosaicRow FindMosaic(state::ProductStore& products, const std::string& word) {
  std::string name = word;
  const std::string task = fmt::format("{}/", kMosaicTask);
  if (word.rfind(task, 0) == 0) {
    const MosaicSubject subject = ParseMosaicSubject(word.substr(task.size()));
    if (!subject.deep) name = MosaicName(subject.span.start, subject.span.end, subject.span.dec_deg);
  }
  if (auto row = MosaicStore(products.database()).Find(name)) return std::move(*row);
  throw Error(ErrorKind::kUsage, "mosaic", word, "is no mosaic on record (contimg mosaic list)");
}

std::vector<state::ProductRow> ProductsOf(state::ProductStore& products, const std::string& name) {
  state::ProductQuery query;
  query.group_id = name;
  query.newest_first = false;  // the image first
  return products.List(query);
}

std::string TileWords(const MosaicTileRow& tile) {
  std::string words = fmt::format("{}  ", tile.group_id);
  words += tile.used ? "in it" : fmt::format("left out ({}): {}", tile.refusal, tile.why);
  if (tile.scale && tile.refusal != "scale") {  // which says it already
    words += fmt::format("{} fluxes {:.4f} ± {:.4f} of the others' by {}", tile.used ? "," : ";", *tile.scale,
                         tile.scale_error.value_or(0), Counted(tile.n_references, "source"));
  } else if (tile.used) {
    words += ", flux scale not known: it shares too few bright sources with others";
  }
  return words;
}

// Noise, sky, beam and completeness; empty where its products do not say.
std::string FigureWords(const std::vector<state::ProductRow>& files) {
  const state::ProductRow* image = MosaicImage(files);
  const auto json = nlohmann::json::parse(image != nullptr ? image->qa_json : "", nullptr, false);
  const auto number = [&](const char* pointer) -> std::optional<double> {
    const nlohmann::json::json_pointer at(pointer);
    if (!json.contains(at) || !json[at].is_number()) return std::nullopt;
    return json[at].get<double>();
  };
  std::vector<std::string> words;
  if (const auto rms = number("/quality/rms_median_jy")) words.push_back(fmt::format("noise {}/beam", Flux(*rms)));
  if (const auto covered = number("/quality/covered_deg2")) {
    words.push_back(fmt::format("{:.1f} square degrees", *covered));
  }
  const auto major = number("/beam/major_arcsec"), minor = number("/beam/minor_arcsec");
  if (major && minor) words.push_back(fmt::format("beam {:.1f}\" x {:.1f}\"", *major, *minor));
  if (const auto complete = number("/quality/catalogue/completeness")) {
    words.push_back(fmt::format("completeness {:.3f}", *complete));
  }
  return fmt::format("{}", fmt::join(words, ", "));
}

// The version of places of our own sources that is from it.
std::optional<std::int64_t> PlacesFrom(const std::string& name) {
  const std::filesystem::path file =
      ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kMasterSources);
  if (!Exists(file)) return std::nullopt;
  state::SourceStore store(file, state::DatabaseOptions::ForOneLook());
  std::optional<std::int64_t> version;
  for (const state::PlaceVersionRow& row : state::OwnSourceStore(store.database()).PlaceVersions()) {
    if (row.mosaic == name) version = row.version;
  }
  return version;
}

void ShowMosaic(const ListArgs& args) {
  state::ProductStore products = ProductsToRead();
  const MosaicRow row = FindMosaic(products, args.name);
  const auto tiles = MosaicStore(products.database()).Tiles(row.id);
  const auto files = ProductsOf(products, row.name);
  const auto places = PlacesFrom(row.name);
  if (args.json) {
    ordered_json out = RowJson(row);
    out["place_version"] = places ? ordered_json(*places) : ordered_json();
    out["tiles"] = RowsJson(tiles);
    out["products"] = ordered_json::array();
    for (const state::ProductRow& file : files) {
      out["products"].push_back({{"id", file.id}, {"kind", file.kind}, {"path", file.path}, {"status", file.status}});
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  fmt::print("{}  {}, {}{}\n", row.name, row.kind, row.state, row.why.empty() ? "" : ": " + row.why);
  fmt::print("  strip     {:+.1f} deg, sidereal time {} to {}\n", row.strip_deg, LstWords(row.lst_start_h),
             LstWords(row.lst_end_h));
  fmt::print("  time      {} to {}\n", UtcTime::FromMjd(row.start_mjd).Stamp(), UtcTime::FromMjd(row.end_mjd).Stamp());
  if (row.version > 0) {
    fmt::print("  made      version {} at {}, grade {}{}\n", row.version, UtcTime::FromUnix(row.updated_at).Stamp(),
               row.grade, row.is_reference ? ", the reference of its strip there" : "");
  }
  if (const std::string figures = FigureWords(files); !figures.empty()) fmt::print("  figures   {}\n", figures);
  fmt::print("  tiles     {} in it, {} left out (contimg mosaic why {})\n", row.n_used, row.n_refused, row.name);
  if (places) fmt::print("  places    of our own sources, version {}, are from it\n", *places);
  for (const state::ProductRow& file : files) {
    fmt::print("  {:<17} {:<8} {}\n", file.kind, file.status, Printable(file.path));
  }
}

void ExplainMosaic(const ListArgs& args) {
  state::ProductStore products = ProductsToRead();
  const MosaicRow row = FindMosaic(products, args.name);
  const auto tiles = MosaicStore(products.database()).Tiles(row.id);
  const auto reasons = GradeReasons(ProductsOf(products, row.name));
  if (args.json) {
    ordered_json out{{"name", row.name},           {"state", row.state},
                     {"why", TextOrNull(row.why)}, {"grade", TextOrNull(row.grade)},
                     {"reasons", reasons},         {"tiles", RowsJson(tiles)}};
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (row.version == 0) {
    fmt::print("{} is {}{}\n", row.name, row.state == "open" ? "not made yet" : "not made",
               row.why.empty() ? "" : ": " + row.why);
    return;
  }
  fmt::print("{}: {} in it, {} left out, grade {}\n", row.name, Counted(static_cast<std::int64_t>(row.n_used), "tile"),
             row.n_refused, row.grade);
  for (const std::string& reason : reasons) fmt::print("  {}\n", reason);
  for (const MosaicTileRow& tile : tiles) fmt::print("  {}\n", TileWords(tile));
}

// "22.0,23.0", hours.
std::pair<double, double> LstOf(const std::string& text) {
  const auto refuse = [&]() -> Error {
    return Error(ErrorKind::kUsage, "mosaic", "--lst",
                 fmt::format("expected two sidereal times in hours, as 22.0,23.0, found '{}'", text));
  };
  const std::size_t comma = text.find(',');
  if (comma == std::string::npos) throw refuse();
  const auto hours = [&](const std::string& word) {
    constexpr double kHoursADay = 24;
    const auto value = ParseQuantity(word, "h");
    if (!value || !(*value >= 0 && *value <= kHoursADay)) throw refuse();
    return *value == kHoursADay ? 0 : *value;
  };
  const std::pair<double, double> lst{hours(text.substr(0, comma)), hours(text.substr(comma + 1))};
  if (lst.first == lst.second) throw refuse();
  return lst;
}

}  // namespace

void AddDeepOptions(CLI::App* command, DeepArgs& args) {
  command->add_flag("--state", args.asked,
                    "of tiles on record, all days of one sidereal time, and put on record itself");
  command->add_option("--lst", args.lst, "with --state: from and to, hours of sidereal time, as 22.0,23.0")
      ->type_name("FROM,TO");
  command->add_option("--strip", args.strip_deg, "with --state: declination (default: the only one with tiles there)")
      ->type_name("DEG")
      ->check(Between(-90, 90));
  command->add_option("--days", args.days, "with --state: the newest so many days that have tiles (default: all)")
      ->check(Between(1, 36500));
  command->add_option("--since", args.since, "with --state: data from this time on")->type_name("TIME");
}

void CheckDeepOptions(const DeepArgs& args) {
  if (args.asked && args.lst.empty()) {
    throw Error(ErrorKind::kUsage, "mosaic", "--state", "needs --lst FROM,TO, hours of sidereal time");
  }
  const bool of_state = !args.lst.empty() || !args.since.empty() || args.days > 0 || args.strip_deg <= 90;
  if (!args.asked && of_state) {
    throw Error(ErrorKind::kUsage, "mosaic", "--lst, --strip, --days, --since",
                "choose among tiles on record: give --state");
  }
}

void MakeDeepMosaic(const DeepArgs& args, double max_scale_error, int threads, bool json) {
  DeepRequest request;
  std::tie(request.lst_start_h, request.lst_end_h) = LstOf(args.lst);
  if (args.strip_deg <= 90) request.strip_deg = args.strip_deg;
  request.days = args.days;
  if (!args.since.empty()) request.from_mjd = UtcTime::FromPerson("--since", args.since).mjd();
  Settings settings = CurrentSettings().values;
  settings.mosaic.max_scale_error = max_scale_error;
  const ProductPaths paths(Roots(settings));
  const std::filesystem::path database = paths.Database(StateDatabase::kProducts);
  if (!Exists(database)) {
    throw Error(ErrorKind::kUsage, "mosaic", database.string(), "is not there: nothing is on record");
  }
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(threads);
  context.reporter = reporter.get();
  context.cancelled = &StopOnSignals();
  state::ProductStore products(database);
  const MadeMosaic made = MakeMosaic(OrderDeep(products, request), paths, settings, products, context);
  ListArgs shown;
  shown.name = made.row.name;
  shown.json = json;
  ShowMosaic(shown);
}

void AddMosaicRecords(CLI::App* command) {
  const auto args = std::make_shared<ListArgs>();
  const auto add_json = [&](CLI::App* sub) { sub->add_flag("--json", args->json, "print JSON"); };
  CLI::App* list = command->add_subcommand("list", "mosaics on record, newest data first");
  list->add_option("--kind", args->kind, "hourly, deep")->check(CLI::IsMember({"hourly", "deep"}));
  list->add_option("--status", args->state, "open (being made), closed, failed")
      ->check(CLI::IsMember({"open", "closed", "failed"}));
  list->add_option("--strip", args->strip_deg, "of this declination")->type_name("DEG")->check(Between(-90, 90));
  list->add_option("--from", args->from, "data that end at or after this time (UTC)")->type_name("TIME");
  list->add_option("--to", args->to, "data that begin before this time")->type_name("TIME");
  list->add_option("--tile", args->tile, "with this tile, used or left out")->type_name("ID");
  list->add_flag("--references", args->references, "deep ones that are the reference of their strip");
  list->add_option("--limit", args->limit, "at most so many (0: all)")
      ->check(Between(0, 1000000))
      ->capture_default_str();
  add_json(list);
  list->callback([args] { ListMosaics(*args); });

  CLI::App* windows = command->add_subcommand(
      "windows", "what became of each window of sidereal time with tiles, by time (default: of the newest day)");
  windows->add_option("--strip", args->strip_deg, "of this declination")->type_name("DEG")->check(Between(-90, 90));
  windows->add_option("--from", args->from, "from this time on (UTC; default: a day before --to)")->type_name("TIME");
  windows->add_option("--to", args->to, "before this time (default: a day after --from, or the end of the newest tile)")
      ->type_name("TIME");
  add_json(windows);
  windows->callback([args] { ListWindows(*args); });

  const auto add_name = [&](CLI::App* sub) {
    sub->add_option("name", args->name, "as contimg mosaic list has it")->type_name("NAME")->required();
  };
  CLI::App* show = command->add_subcommand("show", "one mosaic: window, version, grade, products");
  add_name(show);
  add_json(show);
  show->callback([args] { ShowMosaic(*args); });

  CLI::App* why = command->add_subcommand("why", "which tiles a mosaic is made of and which not, and why");
  add_name(why);
  add_json(why);
  why->callback([args] { ExplainMosaic(*args); });
}

}  // namespace contimg::ops
