// `contimg queue`: look at the groups and steer them, while the daemon runs or not.
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
#include "ops/records/cure.h"
#include "ops/records/input_review.h"
#include "ops/records/operator_actions.h"
#include "ops/records/row_json.h"
#include "state/group_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;
using state::GroupRow;
using state::GroupState;
using state::GroupStore;

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

GroupStore OpenToRead(const LoadedSettings& settings) {
  return GroupStore(ProductPaths(Roots(settings.values)).Database(StateDatabase::kIngest),
                    state::DatabaseOptions::ForOneLook());
}

// A mistyped directory must not become an empty queue.
GroupStore OpenToWrite(const LoadedSettings& settings) {
  const auto path = ProductPaths(Roots(settings.values)).Database(StateDatabase::kIngest);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) OpenToRead(settings);  // says why not
  return GroupStore(path);
}

Error NoSuchGroup(const std::string& id) {
  return Error(ErrorKind::kUsage, "queue", id, "there is no such group (contimg queue list shows them all)");
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

std::string Dump(const ordered_json& value) {
  return value.dump(2, ' ', false, ordered_json::error_handler_t::replace);
}

void List(const QueueArgs& args) {
  constexpr int kScreenful = 200;
  const state::GroupQuery wanted = MakeQuery(args);
  GroupStore store = OpenToRead(CurrentSettings());
  state::GroupQuery query = wanted;
  const bool shortened = args.limit < 0 && !args.json;  // a person wants the newest, a script all
  query.limit = shortened ? kScreenful : std::max(0, args.limit);
  QueueListing listing(args.json ? QueueListing::Form::kJson : QueueListing::Form::kTable, stdout);
  store.ForEach(query, [&](const state::GroupLine& line) { listing.Add(line); });
  std::int64_t n_more = 0;
  if (shortened && listing.n_added() == kScreenful) {
    query.limit = 0;
    n_more = store.Count(query) - kScreenful;
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

// What a person does about the group, in a line; empty where nothing needs doing.
std::string NextStep(const GroupRow& row) {
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
  line("subbands",
       fmt::format("{} of {}{}", group["subbands_present"].get<int>(), group["subbands_expected"].get<int>(),
                   text("lacking").empty() ? "" : ", without " + text("lacking")));
  line("data", text("data_start").empty() ? "" : text("data_start") + " to " + text("data_end"));
  line("first file", text("first_file_at"));
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
  GroupStore store = OpenToRead(settings);
  const ProductPaths paths(Roots(settings.values));
  ordered_json all = ordered_json::array();
  for (const std::string& id : args.ids) {
    const auto row = store.Find(id);
    if (!row) throw NoSuchGroup(id);
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

// Applies `act` to the named groups or to those that the selection finds; refusals of single groups do not stop the
// others and make the command fail at the end.
void ForSelected(const QueueArgs& args, const std::vector<GroupState>& default_states, const char* verb,
                 const std::function<void(GroupStore&, const GroupRow&)>& act) {
  const state::GroupQuery wanted = MakeQuery(args);
  GroupStore store = OpenToWrite(CurrentSettings());
  std::vector<std::string> ids = args.ids;
  const bool selection = args.all || args.failed || args.late || !args.states.empty() || !args.from.empty() ||
                         !args.before.empty() || !args.error_kind.empty();
  if (ids.empty() && !selection) {
    throw Error(ErrorKind::kUsage, "queue", verb,
                "name groups, or select them (--failed, --late, --state, --from, --all)");
  }
  if (ids.empty()) {
    state::GroupQuery query = wanted;
    if (query.states.empty() && !args.late) query.states = default_states;
    for (const GroupRow& row : store.List(query)) ids.push_back(row.id);
  }
  constexpr std::size_t kBatch = 200;  // in one transaction; the daemon gets its turn between them
  int n_refused = 0;
  std::string refusal;
  ordered_json changed = ordered_json::array();
  for (std::size_t first = 0; first < ids.size(); first += kBatch) {
    store.database().Write([&] {
      for (std::size_t i = first; i < std::min(ids.size(), first + kBatch); ++i) {
        try {
          const auto row = store.Find(ids[i]);
          if (!row) throw NoSuchGroup(ids[i]);
          act(store, *row);
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
    fmt::print("{}: {}{}\n", verb, Counted(static_cast<std::int64_t>(changed.size()), "group"),
               running ? "" : " (contimg-stream is not running)");
  }
  if (n_refused > 0) {
    throw Error(ErrorKind::kUsage, "queue", verb,
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
  command->add_option("group", args->ids, "group ids (2025-10-13T13:28:03)");
  AddSelection(command, args);
  command->add_flag("--all", args->all, "every group that the action applies to");
  command->add_option("--reason", args->reason, "a sentence for the audit trail");
  command->add_flag("--json", args->json, "print the changed groups as JSON");
  return command;
}

}  // namespace

void AddQueueCommand(CLI::App& app) {
  CLI::App* queue = app.add_subcommand("queue", "Look at the groups in the queue and steer them");
  queue->require_subcommand(1);
  auto args = std::make_shared<QueueArgs>();

  CLI::App* list = queue->add_subcommand("list", "Groups and their states, newest first");
  AddSelection(list, args);
  list->add_option("--limit", args->limit, "at most this many; 0: all (default: 200 as a table, all as JSON)");
  list->add_flag("--oldest-first", args->oldest, "oldest first");
  list->add_flag("--json", args->json, "one JSON array");
  list->callback([args] { List(*args); });

  CLI::App* show = queue->add_subcommand("show", "Everything about groups: files, times, audit trail");
  show->add_option("group", args->ids, "group ids")->required();
  show->add_option("--events", args->events, "at most this many of the newest events (0: all)")->capture_default_str();
  show->add_flag("--json", args->json, "one JSON array");
  show->callback([args] { Show(*args); });

  AddAction(queue, "requeue", "Try again: failed, dead and cancelled groups; done ones are processed anew", args)
      ->callback([args] {
        const IngestSettings rules = CurrentSettings().values.ingest;
        ForSelected(*args, {GroupState::kFailed, GroupState::kDead}, "requeued",
                    [&](GroupStore& store, const GroupRow& row) { RequeueGroup(store, row, RequestOf(*args), rules); });
      });
  AddAction(queue, "hold", "Keep groups from being processed; a running worker is ended", args)->callback([args] {
    ForSelected(*args, {GroupState::kReady, GroupState::kFailed}, "held",
                [&](GroupStore& store, const GroupRow& row) { HoldGroup(store, row, RequestOf(*args)); });
  });
  AddAction(queue, "release", "Let held groups go on", args)->callback([args] {
    const IngestSettings rules = CurrentSettings().values.ingest;
    ForSelected(*args, {GroupState::kHeld}, "released",
                [&](GroupStore& store, const GroupRow& row) { ReleaseGroup(store, row, RequestOf(*args), rules); });
  });
  AddAction(queue, "cancel", "Give groups up for good; a running worker is ended", args)->callback([args] {
    ForSelected(*args, {GroupState::kReady, GroupState::kFailed}, "cancelled",
                [&](GroupStore& store, const GroupRow& row) { CancelGroup(store, row, RequestOf(*args)); });
  });
  CLI::App* prioritise = AddAction(queue, "priority", "Set the priority of groups; larger goes first", args);
  prioritise->add_option("--to", args->priority, "the new priority (0 is normal)")->required();
  prioritise->callback([args] {
    ForSelected(*args, {GroupState::kReady}, "prioritised", [&](GroupStore& store, const GroupRow& row) {
      store.SetPriority(row.id, args->priority, kActor, UtcTime::Now().unix_s());
    });
  });
}

}  // namespace contimg::ops
