// `contimg doctor`: is everything in order here, and if not, what cures it; and records made anew from the tree.
#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/instance_lock.h"
#include "ops/base/standard_output.h"
#include "ops/base/stop_signals.h"
#include "ops/cli/archive_runs.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/daemon/settings_check.h"
#include "ops/daemon/tree_guard.h"
#include "ops/migration/doctor.h"
#include "ops/migration/rebuild.h"
#include "ops/records/maintenance_run.h"
#include "ops/records/reconciler.h"
#include "ops/records/watermarks.h"
#include "ops/upkeep/restore_state.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct DoctorArgs {
  bool strict = false, fix = false, network = false, rebuild = false, apply = false, json = false;
};

// Settings and directory trees, by the checks of the service itself.
std::vector<DoctorLine> ExamineSettings(const LoadedSettings& loaded, Os& os) {
  std::vector<DoctorLine> lines;
  const auto add = [&](const char* name, Verdict verdict, std::string sentence, const char* cure) {
    lines.push_back({name, verdict, std::move(sentence), cure});
  };
  const SettingsFindings findings = CheckSettings(loaded, UtcTime::Now(), CheckDepth::kNoForeignLibraries);
  for (const std::string& each : findings.errors) add("settings", Verdict::kFail, each, "contimg config check");
  for (const std::string& each : findings.outdated) add("settings", Verdict::kFail, each, "contimg config check");
  for (const std::string& each : findings.warnings) add("settings", Verdict::kWarn, each, "contimg config check");
  for (const std::string& each : UnknownVariables(ProcessEnvironment())) {
    add("settings", Verdict::kWarn, each, "contimg config reference");
  }
  if (lines.empty()) {
    add("settings", Verdict::kOk, fmt::format("valid (hash {})", SettingsHash(loaded.values)), "");
  }
  try {
    CheckDirectories(loaded.values);
    add("directories", Verdict::kOk, "there, and of this state or of nobody yet", "");
  } catch (const Error& error) {
    add("directories", Verdict::kFail, error.what(), "contimg scratch show");
  }
  const DiskReport disks = LookAtDisks(os, Roots(loaded.values), loaded.values.disk);
  for (const auto& [name, disk] : disks.disks) {
    const Verdict verdict = disk.level == DiskLevel::kGood      ? Verdict::kOk
                            : disk.level == DiskLevel::kWarning ? Verdict::kWarn
                                                                : Verdict::kFail;
    lines.push_back({"disk " + name, verdict,
                     verdict == Verdict::kOk ? fmt::format("{} free of {}: {}", SpaceWords(disk.space.free_bytes),
                                                           SpaceWords(disk.space.total_bytes), disk.rule)
                                             : disk.sentence,
                     verdict == Verdict::kOk ? "" : "df -h " + disk.path});
  }
  return lines;
}

std::vector<DoctorLine> Examine(const LoadedSettings& loaded, const ProductPaths& paths, bool network,
                                const std::atomic<bool>* cancelled) {
  Os& os = RealOs();
  const DoctorRequest request{loaded.values, paths, UtcTime::Now().unix_s(), "/proc"};
  std::vector<DoctorLine> lines = ExamineSettings(loaded, os);
  for (const auto& more : {ExamineMachine(request, os), ExamineState(request, os), ExamineRecords(request, os)}) {
    lines.insert(lines.end(), more.begin(), more.end());
  }
  if (network) {
    const auto more = ExamineNetwork(request, PartOwner(paths) + "-doctor", cancelled, os);
    lines.insert(lines.end(), more.begin(), more.end());
  }
  return lines;
}

// What can be put right without a decision: directories that are missing, leftovers of killed processes, links that
// lead nowhere, records of products that are not there.
void Fix(const LoadedSettings& loaded, const ProductPaths& paths, const RunContext& context) {
  Os& os = RealOs();
  MakeDirectories(loaded.values);
  const InstanceLock lock(paths.roots().state);
  RequireNoUnfinishedRestore(paths.roots().state, os);
  SweepUnfinished(paths.roots().state, os);
  for (const fs::path& link : CalibratorLinks(paths, os)) {
    if (!Exists(link, os)) os.RemoveAll(link);
  }
  state::GroupStore groups(paths.Database(StateDatabase::kIngest));
  Reconciler reconciler(paths, groups, os);
  reconciler.Begin();
  while (!reconciler.Step(1, UtcTime::Now().unix_s())) context.CheckCancelled("doctor");
}

ordered_json ToJson(const RebuildFigures& figures) {
  return {{"groups", figures.groups},
          {"groups_left_to_the_service", figures.groups_left},
          {"input_files", figures.files},
          {"tables", figures.tables},
          {"tables_refused", figures.tables_refused},
          {"products", figures.products},
          {"tiles_measured", figures.tiles_measured},
          {"products_missing", figures.lost},
          {"troubles", figures.troubles}};
}

void Rebuild(const DoctorArgs& args, const LoadedSettings& loaded, const ProductPaths& paths,
             const RunContext& context) {
  Os& os = RealOs();
  const fs::path& state = paths.roots().state;
  if (!args.apply) {
    throw Error(
        ErrorKind::kUsage, "doctor", "--rebuild",
        "writes records of everything in the tree that has none: add --apply, while contimg-stream does not run");
  }
  os.CreateDirectories(state);
  const InstanceLock instance(state);
  const MaintenanceLock lock(state, "rebuild");
  RequireNoUnfinishedRestore(state, os);
  RebuildFigures figures;
  RunMaintenance({paths.Database(StateDatabase::kOperations), "rebuild", MaintenanceActor(), false}, context,
                 [&](const RunContext& inner, ordered_json& written) {
                   figures = RebuildRecords(paths, loaded.values, inner, UtcTime::Now().unix_s(), "doctor");
                   written = ToJson(figures);
                   return figures.troubles.empty() ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
                 });
  if (args.json) {
    fmt::print("{}\n", ToJson(figures).dump(2));
  } else {
    fmt::print("{} and {} recorded as done, {} registered ({} refused by the quality gate), {} recorded\n",
               Counted(figures.groups, "group"), Counted(figures.files, "input file"), Counted(figures.tables, "table"),
               figures.tables_refused, Counted(figures.products, "product"));
    if (figures.tiles_measured > 0) {
      fmt::print("measurements of {} recorded\n", Counted(figures.tiles_measured, "tile"));
    }
    if (figures.groups_left > 0) {
      fmt::print("{} without an image: contimg-stream goes on with {}\n", Counted(figures.groups_left, "group"),
                 figures.groups_left == 1 ? "it" : "them");
    }
    for (const std::string& trouble : figures.troubles) fmt::print("not read: {}\n", Printable(trouble));
  }
  if (!figures.troubles.empty()) {
    throw Error(ErrorKind::kIo, "doctor", "",
                Counted(static_cast<std::int64_t>(figures.troubles.size()), "thing") + " could not be read");
  }
}

void Run(const DoctorArgs& args) {
  const LoadedSettings loaded = CurrentSettings();
  const ProductPaths paths(Roots(loaded.values));
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.threads = ThreadsOr(0);
  if (args.fix || args.rebuild || args.network) context.cancelled = &StopOnSignals();
  paths.Database(StateDatabase::kIngest);  // says which setting is missing
  if (args.rebuild) return Rebuild(args, loaded, paths, context);
  if (args.fix) Fix(loaded, paths, context);
  std::vector<DoctorLine> lines = Examine(loaded, paths, args.network, context.cancelled);
  if (args.strict) {
    for (DoctorLine& line : lines) {
      if (line.verdict == Verdict::kWarn) line.verdict = Verdict::kFail;
    }
  }
  if (args.json) {
    ordered_json all = ordered_json::array();
    for (const DoctorLine& line : lines) {
      all.push_back({{"name", line.name},
                     {"verdict", ToString(line.verdict)},
                     {"sentence", line.sentence},
                     {"cure", line.cure.empty() ? ordered_json() : ordered_json(line.cure)}});
    }
    fmt::print("{}\n", all.dump(2));
  } else {
    for (const DoctorLine& line : lines) {
      fmt::print("{:<4}  {:<22}  {}\n", ToString(line.verdict), line.name, Printable(line.sentence));
      if (!line.cure.empty()) fmt::print("{:<30}{}\n", "", Printable(line.cure));
    }
  }
  const auto n = std::count_if(lines.begin(), lines.end(), [](const auto& l) { return l.verdict == Verdict::kFail; });
  if (n > 0) throw Error(ErrorKind::kIo, "doctor", "", Counted(n, "thing") + " not in order");
}

}  // namespace

void AddDoctorCommand(CLI::App& app) {
  auto args = std::make_shared<DoctorArgs>();
  CLI::App* command = app.add_subcommand("doctor", "Is everything in order here, and if not, what cures it");
  command->add_flag("--strict", args->strict, "what is only advised against fails, too");
  command->add_flag("--fix", args->fix,
                    "put right what needs no decision (directories, leftovers, links, records of what is gone)");
  CLI::Option* network = command->add_flag(
      "--network", args->network, "ask the remotes, too: each takes, gives back and removes 1 kB (a minute at most)");
  CLI::Option* rebuild = command->add_flag(
      "--rebuild", args->rebuild, "instead: make records of everything in the tree that has none (with --apply)");
  command->add_flag("--apply", args->apply, "carry out --rebuild")->needs(rebuild);
  rebuild->excludes(network);
  command->add_flag("--json", args->json, "print JSON");
  command->callback([args] { Run(*args); });
}

}  // namespace contimg::ops
