// `contimg cal`: the registry of calibration tables.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/choice.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/telescope.h"
#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "ops/base/table_checksum.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/registration.h"
#include "ops/records/row_json.h"
#include "ops/worker/measure_table.h"
#include "state/cal_table_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;
using state::CalTableRow;
using state::CalTableStore;

fs::path RegistryPath(const LoadedSettings& settings) {
  return ProductPaths(Roots(settings.values)).Database(StateDatabase::kCalRegistry);
}

CalTableStore OpenToRead(const LoadedSettings& settings) {
  return CalTableStore(RegistryPath(settings), state::DatabaseOptions::ForOneLook());
}

// Why an active table does not serve all the same; empty: it serves.
std::string Damage(const CalTableRow& row) {
  static TableConditions conditions(TableConditions::Depth::kSuspicion);
  return row.status == "active" ? TableConditions::Words(conditions.Of(row)) : "";
}
std::string Iso(double mjd) { return UtcTime::FromMjd(mjd).Stamp(); }

double Mjd(const char* option, const std::string& text) { return UtcTime::FromPerson(option, text).mjd(); }

ordered_json ToJson(const CalTableRow& row) {
  ordered_json out = RowJson(row);
  out["damage"] = TextOrNull(Damage(row));
  return out;
}

void PrintLine(const CalTableRow& row) {
  const std::string damage = Damage(row);
  const std::string& reason = damage.empty() ? row.reason : damage;
  fmt::print("{:>6} {:<2} {:<3} {:<8} {} to {}  {}{}\n", row.id, row.kind, row.interval,
             damage.empty() ? row.status : "damaged", Iso(row.valid_from_mjd), Iso(row.valid_to_mjd),
             Printable(row.path), reason.empty() ? "" : fmt::format(" ({})", Printable(reason)));
}

// A row by id or path.
CalTableRow FindRow(CalTableStore& store, const std::string& what) {
  std::optional<CalTableRow> row;
  if (const auto id = RecordNumber(what)) {
    row = store.Find(*id);
  } else {
    row = store.FindByPath(Absolute(what).string());
  }
  if (!row)
    throw Error(ErrorKind::kUsage, "cal", what,
                "is neither the number nor the path of a registered table (contimg cal list)");
  return *row;
}

struct CalArgs {
  std::string what, kind, status, interval, group, model, reason, from, to, time;
  std::optional<double> declination;
  bool json = false;
};

void List(const CalArgs& args) {
  state::CalTableQuery query;
  query.kind = args.kind;
  query.status = args.status;
  if (!args.from.empty()) query.from_mjd = Mjd("--from", args.from);
  if (!args.to.empty()) query.before_mjd = Mjd("--to", args.to);
  const auto rows = OpenToRead(CurrentSettings()).List(query);
  if (args.json) {
    ordered_json out = ordered_json::array();
    for (const CalTableRow& row : rows) {
      ordered_json each = ToJson(row);
      each.erase("flag_fractions");
      out.push_back(std::move(each));
    }
    fmt::print("{}\n", out.dump(2));
  } else {
    for (const CalTableRow& row : rows) PrintLine(row);
    if (rows.empty()) {
      const bool all = args.kind.empty() && args.status.empty() && args.from.empty() && args.to.empty();
      fmt::print("{}\n", all ? "no table has been registered yet" : "no registered table is like that");
    }
  }
}

void Show(const CalArgs& args) {
  CalTableStore store = OpenToRead(CurrentSettings());
  const CalTableRow row = FindRow(store, args.what);
  ordered_json out = ToJson(row);
  out["used_by"] = store.GroupsUsing(row.id);
  const TableCondition condition = TableConditions().Of(row);
  out["intact"] = condition == TableCondition::kIntact;
  if (args.json) {
    fmt::print("{}\n", out.dump(2));
    return;
  }
  PrintLine(row);
  fmt::print("  solved on {}, model {}, reference antenna {}\n", row.source_group.empty() ? "-" : row.source_group,
             Printable(row.model), Printable(row.refant));
  for (const auto& [name, value] : out["quality"].items()) fmt::print("  {:<20} {}\n", name, value.dump());
  fmt::print("  used by {}; {}\n", Counted(static_cast<std::int64_t>(out["used_by"].size()), "group"),
             condition == TableCondition::kIntact ? "its files are as registered" : TableConditions::Words(condition));
}

// The last accepted table of the kind, for comparison; one that cannot be read any more is not worth failing over.
std::optional<calibrate::SolutionSet> LastActive(CalTableStore& store, const calibrate::SolutionSet& solutions) {
  state::CalTableQuery query;
  query.kind = ToString(solutions.kind);
  query.status = "active";
  query.before_mjd = calibrate::MiddleOf(solutions) / kSecondsPerDay;
  const auto earlier = store.List(query);
  try {
    if (!earlier.empty()) return calibrate::ReadCalibrationTable(earlier.back().path);
  } catch (const Error&) {
  }
  return std::nullopt;
}

void Register(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  CalTableStore store(RegistryPath(settings));
  const calibrate::SolutionSet solutions = calibrate::ReadCalibrationTable(args.what);
  const auto previous = LastActive(store, solutions);
  const auto quality = calibrate::MeasureQuality(solutions, previous ? &*previous : nullptr, 0, 0);
  RegisterRequest request;
  request.path = args.what;
  request.facts = FactsOf(args.what, solutions, quality);
  const auto known = store.FindByPath(Absolute(args.what).string());
  if (known && HasTableChecksum(args.what, known->checksum)) {
    request.facts.checksum = known->checksum;  // an earlier version hashed otherwise
  }
  request.verdict = calibrate::JudgeQuality(solutions.kind, quality, 0, {});
  request.interval = args.interval;
  request.source_group = args.group;
  request.model = args.model;
  const Registration done = RegisterTable(store, request, settings.values.calibrate, UtcTime::Now().unix_s());
  if (args.json) {
    const nlohmann::json out{{"id", done.id}, {"status", done.status}, {"failures", done.failures}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("table {} is {}\n", done.id, done.status);
    for (const std::string& failure : done.failures) fmt::print("  {}\n", failure);
  }
}

void Retire(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  { const CalTableStore there = OpenToRead(settings); }  // a mistyped directory must not become an empty registry
  CalTableStore store(RegistryPath(settings));
  const CalTableRow row = FindRow(store, args.what);
  const std::size_t n_groups = store.GroupsUsing(row.id).size();
  store.SetStatus(row.id, "retired", args.reason, UtcTime::Now().unix_s());
  fmt::print("table {} ({} {}) is retired: from now on no group gets it\n", row.id, row.kind, Iso(row.valid_from_mjd));
  if (n_groups > 0) {
    fmt::print("  {} calibrated with it stay{} as before; contimg cal show {} --json names {}\n",
               Counted(static_cast<std::int64_t>(n_groups), "group"), n_groups == 1 ? "s" : "", row.id,
               n_groups == 1 ? "it" : "them");
  }
}

// The time and declination of a group: as the daemon recorded them, else of its Measurement Set, else the middle of a
// tile that began at its timestamp.
struct Observation {
  double mjd = 0;
  std::optional<double> declination_deg;
};

Observation Observe(const CalArgs& args, const LoadedSettings& settings, CalTableStore& store) {
  Observation out;
  if (!args.time.empty()) {
    out.mjd = Mjd("--time", args.time);
  } else if (const auto seen = store.Observation(args.what)) {
    out.mjd = seen->mid_mjd;
    out.declination_deg = seen->dec_deg;
  } else {
    if (!IsTimestamp(args.what))
      throw Error(ErrorKind::kUsage, "cal", args.what,
                  "is no group: a group is a time like 2025-10-13T13:28:03 (contimg queue list)");
    const fs::path ms = ProductPaths(Roots(settings.values)).ScienceMs(args.what);
    if (fs::exists(ms)) {
      const auto info = convert::DescribeMeasurementSet(ms);
      out.mjd = 0.5 * (info.start_mjd_s + info.end_mjd_s) / kSecondsPerDay;
      if (!info.fields.empty()) out.declination_deg = Angle::Radians(info.fields.front().centre.dec_rad).deg();
    } else {
      out.mjd = UtcTime::FromIso8601(args.what).mjd() +
                0.5 * kDsa110IntegrationsPerFile * kDsa110IntegrationS / kSecondsPerDay;
    }
  }
  if (args.declination) out.declination_deg = args.declination;
  return out;
}

void Why(const CalArgs& args) {
  LoadedSettings settings = CurrentSettings();
  CalTableStore store = OpenToRead(settings);
  const Observation observation = Observe(args, settings, store);
  CalibrateSettings rule = settings.values.calibrate;
  if (!observation.declination_deg) rule.max_declination_offset_deg = 0;
  const ChosenTables chosen = ChooseFromRegistry(store, observation.mjd, observation.declination_deg.value_or(0), rule);
  const char* outcome = chosen.choice.outcome == calibrate::ChoiceOutcome::kComplete ? "complete"
                        : chosen.choice.outcome == calibrate::ChoiceOutcome::kWait   ? "wait"
                                                                                     : "uncalibrated";
  const auto recorded = store.Choices(args.what);
  const auto decision = store.Decision(args.what);
  const auto solves = store.SolvesOf(args.what);
  if (args.json) {
    ordered_json tables = ordered_json::array();
    for (std::size_t i = 0; i < chosen.considered.size(); ++i) {
      const auto& verdict = chosen.choice.verdicts[i];
      tables.push_back({{"id", verdict.id},
                        {"kind", chosen.considered[i].kind},
                        {"path", chosen.considered[i].path},
                        {"chosen", verdict.chosen},
                        {"reason", verdict.reason}});
    }
    const ordered_json out{
        {"time", TimeOfMjdJson(observation.mjd)},
        {"declination_deg", observation.declination_deg ? ordered_json(*observation.declination_deg) : ordered_json()},
        {"decision", decision ? ordered_json{{"action", decision->action},
                                             {"reason", decision->reason},
                                             {"decided_at", TimeJson(decision->decided_at)}}
                              : ordered_json()},
        {"solves", RowsJson(solves)},
        {"outcome", outcome},
        {"borrowed", chosen.choice.borrowed},
        {"tables", tables},
        {"recorded", RowsJson(recorded)}};
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (decision) {
    fmt::print("decided {}: {}: {}\n", UtcTime::FromUnix(decision->decided_at).Stamp(), decision->action,
               Printable(decision->reason));
  }
  for (const auto& solve : solves) {
    fmt::print("  {} solve on {}, predicted SNR {:.0f}: {}{}{}\n", solve.interval, solve.model, solve.predicted_snr,
               solve.outcome, solve.detail.empty() ? "" : ", ", Printable(solve.detail));
  }
  fmt::print("now, for {}: {}{}\n", Iso(observation.mjd), outcome,
             chosen.choice.borrowed ? ", with a borrowed table" : "");
  if (chosen.considered.empty()) fmt::print("  the registry holds no table near that time\n");
  for (std::size_t i = 0; i < chosen.considered.size(); ++i) {
    const auto& verdict = chosen.choice.verdicts[i];
    fmt::print("  {} {:<2} {:>6}  {}  {}\n", verdict.chosen ? "*" : " ", chosen.considered[i].kind, verdict.id,
               Printable(chosen.considered[i].path), Printable(verdict.reason));
  }
  for (const auto& [kind, id] : {std::pair{"BP", chosen.choice.bandpass}, {"G", chosen.choice.gain}}) {
    if (!id) fmt::print("  - {:<2} {:>6}  none serves this time (contimg cal gaps)\n", kind, "-");
  }
  for (const auto& row : recorded) {
    fmt::print("  used: {:<2} {}  {}\n", row.kind, row.table_id ? std::to_string(*row.table_id) : "none",
               Printable(row.reason));
  }
}

void Gaps(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  const double now = UtcTime::Now().mjd();
  const double from = args.from.empty() ? now - 1 : Mjd("--from", args.from);
  const double to = args.to.empty() ? now : Mjd("--to", args.to);
  if (!(to > from)) {
    throw Error(ErrorKind::kUsage, "cal", args.to.empty() ? "--from" : "--to",
                args.to.empty() ? "must be in the past, or --to be given" : "must be later than --from");
  }
  CalTableStore store = OpenToRead(settings);
  const auto gaps = FindGaps(store, from, to, args.declination, settings.values.calibrate);
  if (args.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const CalibrationGap& gap : gaps) {
      out.push_back({{"kind", gap.kind},
                     {"from", Iso(gap.from_mjd)},
                     {"to", Iso(gap.to_mjd)},
                     {"hours", 24 * (gap.to_mjd - gap.from_mjd)}});
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  for (const CalibrationGap& gap : gaps) {
    fmt::print("{:<2} {} to {}  {:.2f} h\n", gap.kind, Iso(gap.from_mjd), Iso(gap.to_mjd),
               24 * (gap.to_mjd - gap.from_mjd));
  }
  if (gaps.empty()) {
    fmt::print("no gaps from {} to {}\n", Iso(from), Iso(to));
  } else {
    fmt::print("groups whose middle is in a gap: calibrate.policy = {}; contimg cal why GROUP says what is missing\n",
               settings.values.calibrate.policy);
  }
}

}  // namespace

void AddCalCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("cal", "the registry of calibration tables");
  command->require_subcommand(1);
  const auto add = [&](const char* name, const char* help, void (*run)(const CalArgs&)) {
    auto args = std::make_shared<CalArgs>();
    CLI::App* sub = command->add_subcommand(name, help);
    sub->callback([args, run] { run(*args); });
    return std::pair{sub, args};
  };
  {
    auto [sub, args] = add("list", "registered tables, with the times they serve and why some do not", List);
    sub->add_option("--kind", args->kind, "K, BP or G")->check(CLI::IsMember({"K", "BP", "G"}));
    sub->add_option("--status", args->status, "active, retired or failed")
        ->check(CLI::IsMember({"active", "retired", "failed"}));
    sub->add_option("--from", args->from,
                    "only those valid after this time (UTC): 2025-10-13T13:28:03, 2025-10-13, now, today, yesterday");
    sub->add_option("--to", args->to, "only those valid before this time");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] =
        add("show", "one table: its figures, the groups that use it, whether its files are intact", Show);
    sub->add_option("table", args->what, "its number in contimg cal list, or its path")->required();
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] =
        add("register", "judge a table by the quality gate and add it: it serves at once when it passes", Register);
    sub->add_option("table", args->what, "the table")->type_name("PATH")->required();
    sub->add_option("--interval", args->interval, "24h or 1h (default: by kind)")->check(CLI::IsMember({"24h", "1h"}));
    sub->add_option("--group", args->group, "the group that was solved");
    sub->add_option("--model", args->model, "calibrator or catalogue (default: the table's field)");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] = add("retire", "take a table out of use; groups calibrated with it stay as they are", Retire);
    sub->add_option("table", args->what, "its number in contimg cal list, or its path")->required();
    sub->add_option("--reason", args->reason, "why, for those who come after");
  }
  {
    auto [sub, args] = add("gaps", "times whose groups find no bandpass, or no gain that goes with it", Gaps);
    sub->add_option("--from", args->from,
                    "UTC: 2025-10-13T13:28:03, 2025-10-13, now, today, yesterday (default: a day ago)");
    sub->add_option("--to", args->to, "likewise (default: now)");
    sub->add_option("--dec", args->declination, "for groups at this declination, degrees (default: all strips as one)");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] =
        add("why", "what was decided for a group, which tables it gets now, and why not the others", Why);
    sub->add_option("group", args->what, "timestamp of the group (contimg queue list)")
        ->type_name("YYYY-MM-DDTHH:MM:SS")
        ->required();
    sub->add_option("--time", args->time, "middle of the observation (UTC), if it is not the group's");
    sub->add_option("--dec", args->declination, "declination of the observation, degrees");
    sub->add_flag("--json", args->json, "print as JSON");
  }
}

}  // namespace contimg::ops
