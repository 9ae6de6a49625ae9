// `contimg cal`: the registry of calibration tables.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/choice.h"
#include "config/product_paths.h"
#include "config/telescope.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "ops/calibration/registration.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "state/cal_table_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::CalTableRow;
using state::CalTableStore;

CalTableStore OpenStore(const LoadedSettings& settings) {
  return CalTableStore(ProductPaths(Roots(settings.values)).Database(StateDatabase::kCalRegistry));
}

std::string Iso(double mjd) { return UtcTime::FromMjd(mjd).Iso8601(); }

nlohmann::json ToJson(const CalTableRow& row) {
  return {{"id", row.id},
          {"path", row.path},
          {"kind", row.kind},
          {"interval", row.interval},
          {"valid_from", Iso(row.valid_from_mjd)},
          {"valid_to", Iso(row.valid_to_mjd)},
          {"valid_from_mjd", row.valid_from_mjd},
          {"valid_to_mjd", row.valid_to_mjd},
          {"source_group", row.source_group},
          {"model", row.model},
          {"refant", row.refant},
          {"rests_on", row.rests_on},
          {"status", row.status},
          {"reason", row.reason},
          {"quality", nlohmann::json::parse(row.quality_json, nullptr, false)},
          {"flag_fractions", nlohmann::json::parse(row.flag_fractions_json, nullptr, false)},
          {"checksum", row.checksum}};
}

nlohmann::json ToJson(const state::SolveRow& row) {
  return {{"id", row.id},
          {"group", row.group_id},
          {"interval", row.interval},
          {"model", row.model},
          {"predicted_snr", row.predicted_snr},
          {"reason", row.reason},
          {"outcome", row.outcome},
          {"detail", row.detail},
          {"started_at", UtcTime::FromUnix(row.started_at).Iso8601()},
          {"finished_at",
           row.finished_at > 0 ? nlohmann::json(UtcTime::FromUnix(row.finished_at).Iso8601()) : nlohmann::json()}};
}

void PrintLine(const CalTableRow& row) {
  fmt::print("{:>6} {:<2} {:<3} {:<8} {} to {}  {}{}\n", row.id, row.kind, row.interval, row.status,
             Iso(row.valid_from_mjd), Iso(row.valid_to_mjd), row.path,
             row.reason.empty() ? "" : fmt::format(" ({})", row.reason));
}

// A row by id or path.
CalTableRow FindRow(CalTableStore& store, const std::string& what) {
  std::optional<CalTableRow> row;
  if (!what.empty() && what.find_first_not_of("0123456789") == std::string::npos) {
    row = store.Find(std::stoll(what));
  } else {
    row = store.FindByPath(fs::absolute(what).lexically_normal().string());
  }
  if (!row) throw Error(ErrorKind::kUsage, "cal", what, "is no registered table");
  return *row;
}

struct CalArgs {
  std::string what, kind, status, interval, group, model, reason, from, to, time;
  std::optional<double> declination;
  bool json = false;
};

void List(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  CalTableStore store = OpenStore(settings);
  state::CalTableQuery query;
  query.kind = args.kind;
  query.status = args.status;
  if (!args.from.empty()) query.from_mjd = UtcTime::FromIso8601(args.from).mjd();
  if (!args.to.empty()) query.before_mjd = UtcTime::FromIso8601(args.to).mjd();
  const auto rows = store.List(query);
  if (args.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const CalTableRow& row : rows) {
      nlohmann::json each = ToJson(row);
      each.erase("flag_fractions");
      out.push_back(std::move(each));
    }
    fmt::print("{}\n", out.dump(2));
  } else {
    for (const CalTableRow& row : rows) PrintLine(row);
  }
}

void Show(const CalArgs& args) {
  CalTableStore store = OpenStore(CurrentSettings());
  const CalTableRow row = FindRow(store, args.what);
  nlohmann::json out = ToJson(row);
  out["used_by"] = store.GroupsUsing(row.id);
  out["intact"] = fs::exists(row.path) && TableChecksum(row.path) == row.checksum;
  if (args.json) {
    fmt::print("{}\n", out.dump(2));
    return;
  }
  PrintLine(row);
  fmt::print("  solved on {}, model {}, reference antenna {}\n", row.source_group.empty() ? "-" : row.source_group,
             row.model, row.refant);
  for (const auto& [name, value] : out["quality"].items()) fmt::print("  {:<20} {}\n", name, value.dump());
  fmt::print("  used by {} groups; files {}\n", out["used_by"].size(),
             out["intact"].get<bool>() ? "as registered" : "missing or changed since registration");
}

void Register(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  CalTableStore store = OpenStore(settings);
  RegisterRequest request;
  request.path = args.what;
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
  CalTableStore store = OpenStore(CurrentSettings());
  const CalTableRow row = FindRow(store, args.what);
  store.SetStatus(row.id, "retired", args.reason, UtcTime::Now().unix_s());
  fmt::print("table {} is retired\n", row.id);
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
    out.mjd = UtcTime::FromIso8601(args.time).mjd();
  } else if (const auto seen = store.Observation(args.what)) {
    out.mjd = seen->mid_mjd;
    out.declination_deg = seen->dec_deg;
  } else {
    if (!IsTimestamp(args.what)) throw Error(ErrorKind::kUsage, "cal", args.what, "is no group: YYYY-MM-DDTHH:MM:SS");
    const fs::path ms = ProductPaths(Roots(settings.values)).ScienceMs(args.what);
    if (fs::exists(ms)) {
      const auto info = convert::DescribeMeasurementSet(ms);
      out.mjd = 0.5 * (info.start_mjd_s + info.end_mjd_s) / 86400;
      if (!info.fields.empty()) out.declination_deg = Angle::Radians(info.fields.front().centre.dec_rad).deg();
    } else {
      out.mjd = UtcTime::FromIso8601(args.what).mjd() + 0.5 * kDsa110IntegrationsPerFile * kDsa110IntegrationS / 86400;
    }
  }
  if (args.declination) out.declination_deg = args.declination;
  return out;
}

void Why(const CalArgs& args) {
  LoadedSettings settings = CurrentSettings();
  CalTableStore store = OpenStore(settings);
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
    nlohmann::json tables = nlohmann::json::array(), past = nlohmann::json::array();
    for (std::size_t i = 0; i < chosen.considered.size(); ++i) {
      const auto& verdict = chosen.choice.verdicts[i];
      tables.push_back({{"id", verdict.id},
                        {"kind", chosen.considered[i].kind},
                        {"path", chosen.considered[i].path},
                        {"chosen", verdict.chosen},
                        {"reason", verdict.reason}});
    }
    for (const auto& row : recorded) {
      past.push_back({{"kind", row.kind},
                      {"table", row.table_id ? nlohmann::json(*row.table_id) : nlohmann::json()},
                      {"reason", row.reason},
                      {"at", UtcTime::FromUnix(row.chosen_at).Iso8601()}});
    }
    nlohmann::json solved = nlohmann::json::array();
    for (const auto& solve : solves) solved.push_back(ToJson(solve));
    const nlohmann::json out{
        {"time", Iso(observation.mjd)},
        {"declination_deg",
         observation.declination_deg ? nlohmann::json(*observation.declination_deg) : nlohmann::json()},
        {"decision", decision ? nlohmann::json{{"action", decision->action},
                                               {"reason", decision->reason},
                                               {"at", UtcTime::FromUnix(decision->decided_at).Iso8601()}}
                              : nlohmann::json()},
        {"solves", solved},
        {"outcome", outcome},
        {"borrowed", chosen.choice.borrowed},
        {"tables", tables},
        {"recorded", past}};
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (decision) {
    fmt::print("decided {}: {}: {}\n", UtcTime::FromUnix(decision->decided_at).Iso8601(), decision->action,
               decision->reason);
  }
  for (const auto& solve : solves) {
    fmt::print("  {} solve on {}, predicted SNR {:.0f}: {}{}{}\n", solve.interval, solve.model, solve.predicted_snr,
               solve.outcome, solve.detail.empty() ? "" : ", ", solve.detail);
  }
  fmt::print("now, for {}: {}{}\n", Iso(observation.mjd), outcome,
             chosen.choice.borrowed ? ", with a borrowed table" : "");
  if (chosen.considered.empty()) fmt::print("  the registry holds no table near that time\n");
  for (std::size_t i = 0; i < chosen.considered.size(); ++i) {
    const auto& verdict = chosen.choice.verdicts[i];
    fmt::print("  {} {:<2} {:>6}  {}  {}\n", verdict.chosen ? "*" : " ", chosen.considered[i].kind, verdict.id,
               chosen.considered[i].path, verdict.reason);
  }
  for (const auto& row : recorded) {
    fmt::print("  used: {:<2} {}  {}\n", row.kind, row.table_id ? std::to_string(*row.table_id) : "none", row.reason);
  }
}

void Gaps(const CalArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  CalTableStore store = OpenStore(settings);
  const double now = UtcTime::Now().mjd();
  const double from = args.from.empty() ? now - 1 : UtcTime::FromIso8601(args.from).mjd();
  const double to = args.to.empty() ? now : UtcTime::FromIso8601(args.to).mjd();
  if (!(to > from)) throw Error(ErrorKind::kUsage, "cal", "--to", "must be later than --from");
  nlohmann::json out = nlohmann::json::array();
  for (const char* kind : {"BP", "G"}) {
    state::CalTableQuery query;
    query.kind = kind;
    query.status = "active";
    query.from_mjd = from;
    query.before_mjd = to;
    std::vector<std::pair<double, double>> windows;
    for (const CalTableRow& row : store.List(query)) {
      windows.emplace_back(row.valid_from_mjd - settings.values.calibrate.backward_s / 86400, row.valid_to_mjd);
    }
    std::sort(windows.begin(), windows.end());
    double covered = from;
    const auto gap = [&](double until) {
      // Less than a millisecond is rounding, not a gap.
      if (until - covered > 1e-8) {
        out.push_back({{"kind", kind}, {"from", Iso(covered)}, {"to", Iso(until)}, {"hours", 24 * (until - covered)}});
      }
    };
    for (const auto& [begin, end] : windows) {
      if (begin > covered) gap(std::min(begin, to));
      covered = std::max(covered, end);
    }
    if (covered < to) gap(to);
  }
  if (args.json) {
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (out.empty()) fmt::print("no gaps from {} to {}\n", Iso(from), Iso(to));
  for (const auto& each : out) {
    fmt::print("{:<2} {} to {}  {:.2f} h\n", each["kind"].get<std::string>(), each["from"].get<std::string>(),
               each["to"].get<std::string>(), each["hours"].get<double>());
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
    auto [sub, args] = add("list", "registered tables", List);
    sub->add_option("--kind", args->kind, "K, BP or G")->check(CLI::IsMember({"K", "BP", "G"}));
    sub->add_option("--status", args->status, "active, retired or failed")
        ->check(CLI::IsMember({"active", "retired", "failed"}));
    sub->add_option("--from", args->from, "valid after this time (UTC)");
    sub->add_option("--to", args->to, "valid before this time");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] = add("show", "everything about one table", Show);
    sub->add_option("table", args->what, "id or path")->required();
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] = add("register", "judge a table and add it to the registry", Register);
    sub->add_option("table", args->what, "the table")->type_name("PATH")->required();
    sub->add_option("--interval", args->interval, "24h or 1h (default: by kind)")->check(CLI::IsMember({"24h", "1h"}));
    sub->add_option("--group", args->group, "the group that was solved");
    sub->add_option("--model", args->model, "calibrator or catalogue (default: the table's field)");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] = add("retire", "take a table out of use", Retire);
    sub->add_option("table", args->what, "id or path")->required();
    sub->add_option("--reason", args->reason, "why");
  }
  {
    auto [sub, args] = add("gaps", "times that no active bandpass or gain covers", Gaps);
    sub->add_option("--from", args->from, "UTC (default: a day ago)");
    sub->add_option("--to", args->to, "UTC (default: now)");
    sub->add_flag("--json", args->json, "print as JSON");
  }
  {
    auto [sub, args] = add("why", "which tables a group gets, and why not the others", Why);
    sub->add_option("group", args->what, "timestamp of the group")->type_name("YYYY-MM-DDTHH:MM:SS")->required();
    sub->add_option("--time", args->time, "middle of the observation (UTC), if it is not the group's");
    sub->add_option("--dec", args->declination, "declination of the observation, degrees");
    sub->add_flag("--json", args->json, "print as JSON");
  }
}

}  // namespace contimg::ops
