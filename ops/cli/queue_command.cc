// `contimg queue`: look at the groups and tasks and steer them, while the daemon runs or not.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/instance_lock.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/queue_listing.h"
#include "ops/job/job.h"
#include "ops/records/cure.h"
#include "ops/records/input_review.h"
#include "ops/records/operator_actions.h"
#include "ops/records/row_json.h"
#include "state/group_store.h"
#include "state/task_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;
using state::TaskRow;
using state::TaskStore;

constexpr const char* kActor = "operator";

struct QueueArgs {
  std::vector<std::string> ids;
  std::vector<std::string> states;
  std::string from, before, error_kind, reason;
  bool failed = false, late = false, all = false, json = false, oldest = false;
  int limit = -1;
  int events = 50;
  int priority = 0;
};

GroupStore QueueToRead(const LoadedSettings& settings) {
  return GroupStore(ProductPaths(Roots(settings.values)).Database(StateDatabase::kIngest),
                    state::DatabaseOptions::ForOneLook());
}

// A mistyped directory must not become an empty queue.
GroupStore OpenToWrite(const LoadedSettings& settings) {
  const auto path = ProductPaths(Roots(settings.values)).Database(StateDatabase::kIngest);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) QueueToRead(settings);  // says why not
  return GroupStore(path);
}

Error NoSuchWork(const std::string& id) {
  return Error(ErrorKind::kUsage, "queue", id,
               fmt::format("there is no such {} (contimg queue list shows them all)",
                           TaskStore::IsTaskId(id) ? "task" : "group"));
}

std::string TimeOrDash(double unix_s) { return unix_s > 0 ? UtcTime::FromUnix(unix_s).Stamp() : "-"; }

// The least id of a group that begins at that time or later.
std::string IdOf(const char* option, const std::string& text) {
  const UtcTime time = UtcTime::FromPerson(option, text);
  return UtcTime::FromMjdSeconds(std::ceil(time.mjd_s() - 1e-6)).Iso8601();
}

ErrorKind ErrorKindOf(const std::string& word) {
  try {
    return ParseErrorKind(word);
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, "queue", "--error-kind", error.what());
  }
}

state::GroupQuery MakeQuery(const QueueArgs& args) {
  state::GroupQuery query;
  for (const std::string& word : args.states) query.states.push_back(state::ParseGroupState(word));
  if (args.failed) {
    query.states.push_back(GroupState::kFailed);
    query.states.push_back(GroupState::kDead);
  }
  if (!args.error_kind.empty()) query.error_kind = ErrorKindOf(args.error_kind);
  query.late_files = args.late;
  if (!args.from.empty()) query.id_from = IdOf("--from", args.from);
  if (!args.before.empty()) query.id_before = IdOf("--before", args.before);
  query.newest_first = !args.oldest;
  return query;
}

// The tasks of the same selection; nothing where it asks for what only groups have.
std::vector<TaskRow> SelectTasks(TaskStore& tasks, const QueueArgs& args, const state::GroupQuery& groups) {
  if (args.late) return {};
  state::TaskQuery query;
  query.states = groups.states;
  query.error_kind = groups.error_kind;
  query.subject_from = groups.id_from;
  query.subject_before = groups.id_before;
  query.newest_first = groups.newest_first;
  return tasks.List(query);
}

std::string Dump(const ordered_json& value) {
  return value.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

void List(const QueueArgs& args) {
  constexpr int kScreenful = 200;
  const state::GroupQuery wanted = MakeQuery(args);
  GroupStore store = QueueToRead(CurrentSettings());
  state::GroupQuery query = wanted;
  const bool shortened = args.limit < 0 && !args.json;  // a person wants the newest, a script all
  query.limit = shortened ? kScreenful : std::max(0, args.limit);
  QueueListing listing(args.json ? QueueListing::Form::kJson : QueueListing::Form::kTable, stdout);
  TaskStore task_store(store.database());
  const std::vector<TaskRow> tasks = SelectTasks(task_store, args, wanted);
  const std::size_t most = query.limit > 0 ? static_cast<std::size_t>(query.limit) : tasks.size();
  for (std::size_t i = 0; i < std::min(most, tasks.size()); ++i) {
    const TaskRow& task = tasks[i];
    state::GroupLine line;
    line.id = task.id;
    line.state = ToString(task.state);
    if (task.error_kind) line.error_kind = ToString(*task.error_kind);
    line.error = task.error;
    line.attempts = task.attempts;
    line.updated_at = task.updated_at;
    listing.Add(line);
  }
  store.ForEach(query, [&](const state::GroupLine& line) { listing.Add(line); });
  std::int64_t n_more = 0;
  if (shortened && listing.n_added() >= kScreenful) {
    query.limit = 0;
    n_more = std::max<std::int64_t>(0, store.Count(query) - kScreenful);
  }
  listing.Finish(n_more);
}

// Subbands that have no file, "3 7": what a person asks first of an incomplete group.
std::string Lacking(const std::vector<state::SubbandFileRow>& files, int expected) {
  std::string lacking;
  for (int subband = 0; subband < expected; ++subband) {
    const bool present = std::any_of(files.begin(), files.end(),
                                     [&](const auto& f) { return f.subband == subband && f.status == "present"; });
    if (!present) lacking += fmt::format("{}{}", lacking.empty() ? "" : " ", subband);
  }
  return lacking;
}

// What a person does about it, in a line; empty where nothing needs doing.
template <class Row>
std::string NextStep(const Row& row) {
  const Cure cure = CureOf(row);
  std::string text = cure.sentence;
  for (const std::string& command : cure.commands) text += (text.empty() ? "" : " ") + command + ";";
  if (!text.empty() && text.back() == ';') text.pop_back();
  if (row.state == GroupState::kFailed) text += fmt::format(" (by itself at {})", TimeOrDash(row.next_attempt_at));
  return text;
}

void PrintGroup(const ordered_json& group) {
  const auto text = [&](const char* key) { return group[key].is_string() ? group[key].get<std::string>() : ""; };
  const auto line = [](const char* key, const std::string& value) {
    if (!value.empty()) fmt::print("  {:<10} {}\n", key, Printable(value));
  };
  const int attempts = group["attempts"].get<int>();
  fmt::print("{}  {}, {}\n", text("id"), text("state"), Counted(attempts, "attempt"));
  if (!text("error").empty()) {
    line("cause", text("error_kind").empty() ? text("error") : text("error_kind") + ": " + text("error"));
  }
  line("next", text("next"));
  if (group.contains("log")) line("log", text("log"));
  if (group.contains("subbands_expected")) {
    line("subbands",
         fmt::format("{} of {}{}", group["subbands_present"].get<int>(), group["subbands_expected"].get<int>(),
                     text("lacking").empty() ? "" : ", without " + text("lacking")));
    line("data", text("data_start").empty() ? "" : text("data_start") + " to " + text("data_end"));
    line("first file", text("first_file_at"));
  } else {
    line("asked for", text("created_at"));
  }
  line("started", text("started_at"));
  line("finished", text("finished_at"));
  if (text("state") == "running") {
    line("at work",
         fmt::format("{}, {:.0f} %, {}", text("stage"), 100 * group["progress"].get<double>(), text("executor_id")));
  }
  if (group["priority"] != 0) line("priority", group["priority"].dump());
  std::string timings;
  if (group["timings_s"].is_object()) {
    for (const auto& [stage, seconds] : group["timings_s"].items()) {
      if (seconds.is_number())
        timings += fmt::format("{}{} {:.1f} s", timings.empty() ? "" : ", ", stage, seconds.get<double>());
    }
  }
  line("took", timings);
  if (!group["files"].empty()) {
    fmt::print("files\n");
    for (const auto& file : group["files"]) {
      fmt::print("  sb{:02d} {:<9} {}\n", file["subband"].get<int>(), file["status"].get<std::string>(),
                 Printable(file["path"].get<std::string>()));
    }
  }
  if (!group["events"].empty()) {
    fmt::print("events\n");
    for (const auto& event : group["events"]) {
      const auto field = [&](const char* key) { return event[key].is_string() ? event[key].get<std::string>() : ""; };
      const std::string change = field("to").empty()     ? field("kind")
                                 : field("from").empty() ? field("to")
                                                         : field("from") + " -> " + field("to");
      fmt::print("  {} {:<24} {:<10} {}\n", field("at"), change, Printable(field("actor")), Printable(field("detail")));
    }
  }
}

void Show(const QueueArgs& args) {
  const LoadedSettings settings = CurrentSettings();
  GroupStore store = QueueToRead(settings);
  const ProductPaths paths(Roots(settings.values));
  ordered_json all = ordered_json::array();
  TaskStore tasks(store.database());
  for (const std::string& id : args.ids) {
    if (TaskStore::IsTaskId(id)) {
      const auto task = tasks.Find(id);
      if (!task) throw NoSuchWork(id);
      ordered_json value = RowJson(*task);
      value["next"] = TextOrNull(NextStep(*task));
      if (task->state == GroupState::kDead) {
        value["log"] = OutputFile(paths.TaskJob(task->kind, task->subject)).string();
      }
      value["files"] = ordered_json::array();
      value["events"] = RowsJson(tasks.Events(id, args.events));
      all.push_back(std::move(value));
      continue;
    }
    const auto row = store.Find(id);
    if (!row) throw NoSuchWork(id);
    const auto files = store.Files(id);
    ordered_json value = RowJson(*row);
    value["lacking"] = TextOrNull(Lacking(files, row->subbands_expected));
    value["next"] = TextOrNull(NextStep(*row));
    if (row->state == GroupState::kDead) value["log"] = paths.FailedLog(id).string();
    value["files"] = RowsJson(files);
    value["events"] = RowsJson(store.Events(id, args.events));
    all.push_back(std::move(value));
  }
  if (args.json) {
    fmt::print("{}\n", Dump(all));
    return;
  }
  for (const ordered_json& value : all) PrintGroup(value);
}

// What one action does to a group and to a task.
struct Action {
  const char* verb;
  std::vector<GroupState> default_states;  // of what is selected without a word about states
  std::function<void(GroupStore&, const GroupRow&)> on_group;
  std::function<void(TaskStore&, const TaskRow&)> on_task;
};

// Acts on what is named or what the selection finds; refusals of single ones do not stop the others and make the
// command fail at the end.
void ForSelected(const QueueArgs& args, const Action& action) {
  const char* verb = action.verb;
  const state::GroupQuery wanted = MakeQuery(args);
  GroupStore store = OpenToWrite(CurrentSettings());
  TaskStore tasks(store.database());
  std::vector<std::string> ids = args.ids;
  const bool selection = args.all || args.failed || args.late || !args.states.empty() || !args.from.empty() ||
                         !args.before.empty() || !args.error_kind.empty();
  if (ids.empty() && !selection) {
    throw Error(ErrorKind::kUsage, "queue", "",
                "nothing is named: name groups or tasks, or select them (--failed, --late, --state, --from, --all)");
  }
  if (ids.empty()) {
    state::GroupQuery query = wanted;
    if (query.states.empty() && !args.late) query.states = action.default_states;
    for (const GroupRow& row : store.List(query)) ids.push_back(row.id);
    for (const TaskRow& row : SelectTasks(tasks, args, query)) ids.push_back(row.id);
  }
  constexpr std::size_t kBatch = 200;  // in one transaction; the daemon gets its turn between them
  int n_refused = 0;
  std::int64_t n_tasks = 0;
  std::string refusal;
  ordered_json changed = ordered_json::array();
  for (std::size_t first = 0; first < ids.size(); first += kBatch) {
    store.database().Write([&] {
      for (std::size_t i = first; i < std::min(ids.size(), first + kBatch); ++i) {
        try {
          if (TaskStore::IsTaskId(ids[i])) {
            const auto task = tasks.Find(ids[i]);
            if (!task) throw NoSuchWork(ids[i]);
            action.on_task(tasks, *task);
            changed.push_back(RowJson(*tasks.Find(ids[i])));
            ++n_tasks;
            continue;
          }
          const auto row = store.Find(ids[i]);
          if (!row) throw NoSuchWork(ids[i]);
          action.on_group(store, *row);
          changed.push_back(RowJson(*store.Find(ids[i])));
        } catch (const Error& error) {
          if (error.kind() != ErrorKind::kUsage || ids.size() == 1) throw;
          ++n_refused;
          if (refusal.empty()) refusal = error.what();
        }
      }
    });
  }
  if (args.json) {
    fmt::print("{}\n", Dump(changed));
  } else {
    const bool running = FindInstance(store.database().path().parent_path()).pid != 0;
    const std::int64_t n_groups = static_cast<std::int64_t>(changed.size()) - n_tasks;
    std::string what = n_groups > 0 || n_tasks == 0 ? Counted(n_groups, "group") : "";
    if (n_tasks > 0) what += (what.empty() ? "" : ", ") + Counted(n_tasks, "task");
    fmt::print("{}: {}{}\n", verb, what, running ? "" : " (contimg-stream is not running)");
  }
  if (n_refused > 0) {
    throw Error(ErrorKind::kUsage, "queue", "",
                fmt::format("{} refused, the first: {}", Counted(n_refused, "group"), refusal));
  }
}

OperatorRequest RequestOf(const QueueArgs& args) {
  return {kActor, args.reason, UtcTime::Now().unix_s(), [](const auto& path) { return FileIsThere(path); }};
}

void AddSelection(CLI::App* command, const std::shared_ptr<QueueArgs>& args) {
  command->add_option("--state", args->states,
                      "only groups in this state (collecting, ready, running, awaiting_calibration, done, failed, "
                      "dead, held, cancelled; repeatable)");
  command->add_flag("--failed", args->failed, "groups that failed or were given up");
  command->add_flag("--late", args->late,
                    "groups with subbands that came too late or were sent again since; requeue takes them along");
  command->add_option("--error-kind", args->error_kind, "only groups whose last error is of this kind");
  command->add_option("--from", args->from,
                      "only groups from this time on (UTC): 2025-10-13T13:28:03, 2025-10-13, now, today, yesterday");
  command->add_option("--before", args->before, "only groups before this time");
}

CLI::App* AddAction(CLI::App* queue, const char* name, const char* help, const std::shared_ptr<QueueArgs>& args) {
  CLI::App* command = queue->add_subcommand(name, help);
  command->add_option("id", args->ids, "groups (2025-10-13T13:28:03) or tasks (backup/2025-10-14T03:00:00)");
  AddSelection(command, args);
  command->add_flag("--all", args->all, "every group that the action applies to");
  command->add_option("--reason", args->reason, "a sentence for the audit trail");
  command->add_flag("--json", args->json, "print the changed groups as JSON");
  return command;
}

}  // namespace

void AddQueueCommand(CLI::App& app) {
  CLI::App* queue = app.add_subcommand("queue", "Look at the groups and tasks in the queue and steer them");
  queue->require_subcommand(1);
  auto args = std::make_shared<QueueArgs>();

  CLI::App* list = queue->add_subcommand("list", "Tasks and groups and their states, newest first");
  AddSelection(list, args);
  list->add_option("--limit", args->limit, "at most this many; 0: all (default: 200 as a table, all as JSON)");
  list->add_flag("--oldest-first", args->oldest, "oldest first");
  list->add_flag("--json", args->json, "one JSON array");
  list->callback([args] { List(*args); });

  CLI::App* show = queue->add_subcommand("show", "Everything about groups and tasks: files, times, audit trail");
  show->add_option("id", args->ids, "groups or tasks")->required();
  show->add_option("--events", args->events, "at most this many of the newest events (0: all)")->capture_default_str();
  show->add_flag("--json", args->json, "one JSON array");
  show->callback([args] { Show(*args); });

  AddAction(queue, "requeue", "Try again: what failed, was given up or cancelled; done groups are processed anew", args)
      ->callback([args] {
        const IngestSettings rules = CurrentSettings().values.ingest;
        ForSelected(*args, {"requeued",
                            {GroupState::kFailed, GroupState::kDead},
                            [&](auto& store, const auto& row) { RequeueGroup(store, row, RequestOf(*args), rules); },
                            [&](auto& store, const auto& row) { RequeueTask(store, row, RequestOf(*args)); }});
      });
  const auto hold = [args](state::WorkTable& table, const state::WorkRow& row) { Hold(table, row, RequestOf(*args)); };
  AddAction(queue, "hold", "Keep groups or tasks from being worked on; a running worker is ended", args)
      ->callback([args, hold] {
        ForSelected(*args, {"held", {GroupState::kReady, GroupState::kFailed}, hold, hold});
      });
  AddAction(queue, "release", "Let held groups or tasks go on", args)->callback([args] {
    const IngestSettings rules = CurrentSettings().values.ingest;
    ForSelected(*args, {"released",
                        {GroupState::kHeld},
                        [&](auto& store, const auto& row) { ReleaseGroup(store, row, RequestOf(*args), rules); },
                        [&](auto& store, const auto& row) { ReleaseTask(store, row, RequestOf(*args)); }});
  });
  const auto cancel = [args](state::WorkTable& table, const state::WorkRow& row) {
    Cancel(table, row, RequestOf(*args));
  };
  AddAction(queue, "cancel", "Give groups or tasks up for good; a running worker is ended", args)
      ->callback([args, cancel] {
        ForSelected(*args, {"cancelled", {GroupState::kReady, GroupState::kFailed}, cancel, cancel});
      });
  CLI::App* prioritise = AddAction(queue, "priority", "Set the priority of groups or tasks; larger goes first", args);
  prioritise->add_option("--to", args->priority, "the new priority (0 is normal)")->required();
  const auto set = [args](state::WorkTable& table, const state::WorkRow& row) {
    table.SetPriority(row.id, args->priority, kActor, UtcTime::Now().unix_s());
  };
  prioritise->callback([args, set] { ForSelected(*args, {"prioritised", {GroupState::kReady}, set, set}); });
}

}  // namespace contimg::ops
