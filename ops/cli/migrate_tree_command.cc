// `contimg migrate tree`: a flat tree of another installation finds its places in this one.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/instance_lock.h"
#include "ops/base/standard_output.h"
#include "ops/base/stop_signals.h"
#include "ops/base/words.h"
#include "ops/cli/migrate_command.h"
#include "ops/cli/program_options.h"
#include "ops/job/tree_marker.h"
#include "ops/migration/stage_name.h"
#include "ops/migration/tree_journal.h"
#include "ops/migration/tree_mover.h"
#include "ops/migration/tree_plan.h"
#include "ops/migration/tree_records.h"
#include "ops/records/maintenance_run.h"
#include "ops/upkeep/restore_state.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

struct TreeArgs {
  std::string from, undo, classify = "auto";
  bool apply = false, copy = false, move = false, link = false, json = false;
  std::int64_t limit = 0;
  double min_age_s = 60;
};

// What is said of a run, whether of a plan or of a journal.
struct TreeReport {
  Journal journal;  // without a file: a plan
  std::vector<LeftItem> left;
  bool apply = false, resumed = false, undo = false;
  std::int64_t beyond_limit = 0;
  std::optional<RebuildFigures> records;
  std::int64_t waiting = 0;  // for the service to be stopped
};

std::int64_t Troubles(const TreeReport& report) {
  const auto left =
      std::count_if(report.left.begin(), report.left.end(), [](const auto& item) { return item.trouble; });
  const auto failed = std::count_if(report.journal.items.begin(), report.journal.items.end(),
                                    [](const auto& item) { return !item.error.empty(); });
  return left + failed + (report.records ? static_cast<std::int64_t>(report.records->troubles.size()) : 0);
}

ordered_json ToJson(const TreeReport& report) {
  ordered_json items = ordered_json::array(), left = ordered_json::array();
  for (const JournalItem& item : report.journal.items) {
    items.push_back({{"from", item.from.string()},
                     {"to", item.to.string()},
                     {"class", item.item_class},
                     {"reason", item.reason},
                     {"name", item.alias.empty() ? ordered_json() : ordered_json(item.alias.string())},
                     {"bytes", item.bytes},
                     {"state", ToString(item.state)},
                     {"error", item.error.empty() ? ordered_json() : ordered_json(item.error)}});
  }
  for (const LeftItem& item : report.left) {
    left.push_back({{"from", item.from.string()}, {"reason", item.reason}, {"trouble", item.trouble}});
  }
  return {{"dry_run", !report.apply},
          {"from", report.journal.from.string()},
          {"mode", ToString(report.journal.mode)},
          {"journal", report.journal.file.empty() ? ordered_json() : ordered_json(report.journal.file.string())},
          {"resumed", report.resumed},
          {"undo", report.undo},
          {"items", std::move(items)},
          {"left", std::move(left)},
          {"beyond_limit", report.beyond_limit},
          {"waiting_for_the_service_to_stop", report.waiting},
          {"troubles", Troubles(report)}};
}

ordered_json Figures(const TreeReport& report) {
  const Journal& journal = report.journal;
  return {{"from", journal.from.string()},
          {"journal", journal.file.string()},
          {"undo", report.undo},
          {"planned", journal.Count(ItemState::kPlanned)},
          {"moved", journal.Count(ItemState::kMoved)},
          {"recorded", journal.Count(ItemState::kRecorded)},
          {"failed", journal.Count(ItemState::kFailed)},
          {"undone", journal.Count(ItemState::kUndone)},
          {"left", report.left.size()}};
}

void PrintTable(const TreeReport& report) {
  const fs::path& from = report.journal.from;
  const auto short_name = [&](const fs::path& path) { return Printable(path.lexically_relative(from).string()); };
  std::size_t width = 4;
  for (const JournalItem& item : report.journal.items) width = std::max(width, short_name(item.from).size());
  width = std::min<std::size_t>(width, 60);
  if (!report.journal.items.empty()) {
    fmt::print("{:<{}}  {:<10}  {:<8}  {}\n", "from", width, "class", "state", "to, because");
  }
  for (const JournalItem& item : report.journal.items) {
    fmt::print("{:<{}}  {:<10}  {:<8}  {}: {}\n", short_name(item.from), width, item.item_class, ToString(item.state),
               Printable(item.to.string()), Printable(item.reason));
    if (!item.alias.empty()) fmt::print("{:<{}}  is called {}\n", "", width, Printable(item.alias.filename().string()));
    if (!item.error.empty()) fmt::print("{:<{}}  {}\n", "", width, Printable(item.error));
  }
  for (const LeftItem& item : report.left) {
    fmt::print("{:<7}  {} {}\n", item.trouble ? "trouble" : "stays", short_name(item.from), Printable(item.reason));
  }
}

void PrintEnd(const TreeReport& report) {
  const Journal& journal = report.journal;
  const auto n = static_cast<std::int64_t>(journal.items.size());
  std::uint64_t bytes = 0;
  for (const JournalItem& item : journal.items) bytes += item.bytes;
  const char* verb = journal.mode == TreeMode::kMove   ? "move"
                     : journal.mode == TreeMode::kLink ? "get a link"
                                                       : "get a copy";
  if (!report.apply) {
    if (report.undo) {
      fmt::print("{} would be given back. Nothing was changed; --apply does it.\n",
                 Counted(n - journal.Count(ItemState::kUndone) - journal.Count(ItemState::kFailed), "thing"));
    } else if (report.resumed) {
      fmt::print("{} is not at its end: {} to do. Nothing was changed; --apply goes on with it.\n",
                 Printable(journal.file.string()),
                 Counted(journal.Count(ItemState::kPlanned) + journal.Count(ItemState::kMoved), "thing"));
    } else {
      fmt::print("{} ({}) would {}, {} stay. Nothing was changed; --apply does it.\n", Counted(n, "thing"),
                 Bytes(static_cast<double>(bytes)), verb, report.left.size());
    }
    return;
  }
  if (report.undo) {
    fmt::print("{} given back\n", Counted(journal.Count(ItemState::kUndone), "thing"));
    return;
  }
  if (n == 0) return fmt::print("nothing to do\n");
  fmt::print("{} in place, {} of them on record, {} failed, {} still to do\n",
             journal.Count(ItemState::kMoved) + journal.Count(ItemState::kRecorded),
             journal.Count(ItemState::kRecorded), journal.Count(ItemState::kFailed),
             journal.Count(ItemState::kPlanned));
  if (report.beyond_limit > 0) fmt::print("{} more: the same command again\n", report.beyond_limit);
  fmt::print("to take it back: contimg migrate tree --undo {}\n", Printable(journal.file.stem().string()));
}

// A journal that says nothing yet, of a plan.
Journal JournalOf(const TreePlan& plan, const TreePlanRequest& request) {
  Journal journal;
  journal.from = Absolute(request.from / "").parent_path();
  journal.mode = request.mode;
  for (const PlannedItem& planned : plan.items) {
    JournalItem item;
    static_cast<PlannedItem&>(item) = planned;
    journal.items.push_back(std::move(item));
  }
  return journal;
}

class TreeMigration {
 public:
  TreeMigration(TreeArgs args, const RunContext& context)
      : args_(std::move(args)),
        settings_(CurrentSettings().values),
        paths_(Roots(settings_)),
        state_(paths_.roots().state),
        context_(context) {
    paths_.Database(StateDatabase::kIngest);  // says which setting is missing
  }

  void Run() {
    report_.apply = args_.apply;
    report_.undo = !args_.undo.empty();
    if (args_.apply) {
      Prepare();
      const MaintenanceLock lock(state_, kMigrateStage);
      RunMaintenance({paths_.Database(StateDatabase::kOperations), kMigrateStage, MaintenanceActor(), false}, context_,
                     [&](const RunContext& inner, ordered_json& figures) {
                       try {
                         Work(inner);
                       } catch (...) {
                         figures = Figures(report_);
                         throw;
                       }
                       figures = Figures(report_);
                       return Troubles(report_) == 0 ? state::RunOutcome::kOk : state::RunOutcome::kFailed;
                     });
    } else {
      Look();
    }
    if (args_.json) {
      fmt::print("{}\n", ToJson(report_).dump(2, ' ', false, ordered_json::error_handler_t::replace));
    } else {
      PrintTable(report_);
      PrintEnd(report_);
    }
    if (report_.waiting > 0) {
      throw Error(ErrorKind::kBusy, kMigrateStage, state_.string(),
                  fmt::format("contimg-stream runs: {} wait. Stop it and give the same command again",
                              Counted(report_.waiting, "thing")));
    }
    if (const std::int64_t n = Troubles(report_); n > 0) {
      throw Error(ErrorKind::kIo, kMigrateStage, report_.journal.from.string(),
                  fmt::format("{} named above", Counted(n, "trouble")));
    }
  }

 private:
  TreePlanRequest RequestOf() const {
    TreePlanRequest request;
    request.from = args_.from;
    request.classify = args_.classify == "calibrator" ? Classify::kCalibrator
                       : args_.classify == "science"  ? Classify::kScience
                                                      : Classify::kAuto;
    request.mode = args_.copy ? TreeMode::kCopy : args_.link ? TreeMode::kLink : TreeMode::kMove;
    request.dish_m = settings_.telescope.dish_diameter_m;
    request.min_age_s = args_.min_age_s;
    request.now_unix_s = UtcTime::Now().unix_s();
    return request;
  }
  void Prepare() {
    os_.CreateDirectories(state_);
    RequireNoUnfinishedRestore(state_, os_);
    if (const auto identity = ReadStateIdentity(state_)) RequireTrees({identity->identity, identity->roots});
  }
  // The journal to go on with; its plan is followed without another look at the tree.
  bool FindUnfinished() {
    auto journal = FindOpenJournal(Absolute(fs::path(args_.from) / "").parent_path(), state_, os_);
    if (!journal) return false;
    if (journal->undo_begun) {
      throw Error(
          ErrorKind::kUsage, kMigrateStage, journal->file.string(),
          fmt::format("is being taken back: contimg migrate tree --undo {} --apply", journal->file.stem().string()));
    }
    report_.journal = std::move(*journal);
    report_.resumed = true;
    return true;
  }
  TreePlan Plan(const TreePlanRequest& request, const RunContext& context) {
    TreePlan plan = PlanTree(request, paths_, context);
    if (args_.limit > 0 && plan.items.size() > static_cast<std::size_t>(args_.limit)) {
      report_.beyond_limit = static_cast<std::int64_t>(plan.items.size()) - args_.limit;
      plan.items.resize(static_cast<std::size_t>(args_.limit));
    }
    report_.left = plan.left;
    return plan;
  }

  void Look() {
    if (report_.undo) {
      report_.journal = ReadJournal(FindJournal(args_.undo, state_, os_), os_);
    } else if (!FindUnfinished()) {
      const TreePlanRequest request = RequestOf();
      report_.journal = JournalOf(Plan(request, context_), request);
    }
  }

  void Work(const RunContext& context) {
    if (report_.undo) return Undo(context);
    if (!FindUnfinished()) {
      const TreePlanRequest request = RequestOf();
      const TreePlan plan = Plan(request, context);
      report_.journal = JournalOf(plan, request);
      if (plan.items.empty()) return;
      report_.journal = BeginJournal(plan, request, state_, os_);
    }
    std::optional<InstanceLock> stopped;
    try {
      stopped.emplace(state_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBusy) throw;
    }
    Journal& journal = report_.journal;
    // A running service would take input for new before the records say what was made of it.
    MoveItems(journal, context, [&](const JournalItem& item) { return stopped || item.item_class != "incoming"; });
    if (stopped && journal.Count(ItemState::kMoved) > 0) {
      report_.records = RecordItems(journal, paths_, settings_, context, UtcTime::Now().unix_s());
    }
    if (!stopped) report_.waiting = journal.Count(ItemState::kMoved) + journal.Count(ItemState::kPlanned);
  }

  void Undo(const RunContext& context) {
    report_.journal = ReadJournal(FindJournal(args_.undo, state_, os_), os_);
    for (JournalItem& item : report_.journal.items) item.error.clear();  // of going forwards
    const InstanceLock stopped(state_);
    ForgetItems(report_.journal, paths_, context, UtcTime::Now().unix_s());
    UndoItems(report_.journal, context);
  }

  const TreeArgs args_;
  const Settings settings_;
  const ProductPaths paths_;
  const fs::path state_;
  const RunContext& context_;
  Os& os_ = RealOs();
  TreeReport report_;
};

void RunTree(const TreeArgs& args) {
  if (args.from.empty() == args.undo.empty()) {
    throw Error(ErrorKind::kUsage, kMigrateStage, "", "expected one of --from DIR and --undo JOURNAL");
  }
  if (args.copy + args.move + args.link > 1) {
    throw Error(ErrorKind::kUsage, kMigrateStage, "", "expected at most one of --copy, --move and --link");
  }
  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.reporter = reporter.get();
  context.threads = ThreadsOr(0);
  context.cancelled = &StopOnSignals();
  TreeMigration(args, context).Run();
}

}  // namespace

void AddMigrateTree(CLI::App& migrate) {
  auto args = std::make_shared<TreeArgs>();
  CLI::App* tree = migrate.add_subcommand(
      "tree", "Find the places of the things of a flat tree in this one; with --apply they go there and get records");
  tree->add_option("--from", args->from, "the flat tree")->type_name("DIR");
  tree->add_flag("--move", args->move, "rename what is there (default)");
  tree->add_flag("--link", args->link, "hard links: the old tree stays as it is, without another byte");
  tree->add_flag("--copy", args->copy, "copies: between disks");
  tree->add_option("--classify", args->classify, "what Measurement Sets are: found out, or all of one class")
      ->check(CLI::IsMember({"auto", "calibrator", "science"}));
  tree->add_option("--limit", args->limit, "at most so many at a time")->check(CLI::PositiveNumber);
  tree->add_option("--min-age", args->min_age_s, "pass over what changed in the last seconds: it may still be written")
      ->type_name("S")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  tree->add_option("--undo", args->undo, "instead: give back what was done by this journal")->type_name("JOURNAL");
  tree->add_flag("--apply", args->apply, "do it; otherwise it is only shown");
  tree->add_flag("--json", args->json, "one JSON object");
  tree->callback([args] { RunTree(*args); });
}

}  // namespace contimg::ops
