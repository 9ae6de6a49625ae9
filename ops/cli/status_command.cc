// `contimg status`: one screen that says whether it is healthy, what it is doing and what needs a hand.
#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <cctype>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "config/product_paths.h"
#include "config/settings.h"
#include "config/time.h"
#include "ops/base/instance_lock.h"
#include "ops/base/standard_output.h"
#include "ops/base/words.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/records/health.h"
#include "ops/records/row_json.h"
#include "state/group_store.h"
#include "state/task_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

// GET /api/v1/status of the running daemon; nullopt when it does not answer within two seconds.
std::optional<ordered_json> AskDaemon(const std::string& listen) {
  namespace beast = boost::beast;
  namespace http = beast::http;
  const std::size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return std::nullopt;
  std::string host = listen.substr(0, colon);
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "[::]") host = "::1";
  if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);

  boost::asio::io_context io;
  beast::tcp_stream stream(io);
  stream.expires_after(std::chrono::seconds(2));
  http::request<http::empty_body> request{http::verb::get, "/api/v1/status", 11};
  request.set(http::field::host, host);
  request.keep_alive(false);
  beast::flat_buffer buffer;
  http::response<http::string_body> response;
  bool good = false;
  boost::system::error_code address_error;
  const auto address = boost::asio::ip::make_address(host, address_error);
  if (address_error) return std::nullopt;
  const auto port = static_cast<std::uint16_t>(std::atoi(listen.c_str() + colon + 1));
  stream.async_connect(boost::asio::ip::tcp::endpoint(address, port), [&](beast::error_code error) {
    if (error) return;
    http::async_write(stream, request, [&](beast::error_code write_error, std::size_t) {
      if (write_error) return;
      http::async_read(stream, buffer, response, [&](beast::error_code read_error, std::size_t) {
        good = !read_error && response.result() == http::status::ok;
      });
    });
  });
  io.run();
  if (!good) return std::nullopt;
  ordered_json value = ordered_json::parse(response.body(), nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

// What the database alone can tell, in the daemon's own form. Without a database: nothing has come in yet.
ordered_json FromDatabase(const ProductPaths& paths) {
  ordered_json status;
  status["groups"] = ordered_json::object();
  status["oldest_unprocessed"] = nullptr;
  const auto path = paths.Database(StateDatabase::kIngest);
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return status;
  state::GroupStore store(path, state::DatabaseOptions::ForOneLook());
  const state::GroupSummary summary = store.Summary();
  for (const auto& [state, count] : summary.counts) status["groups"][std::string(ToString(state))] = count;
  state::TaskStore tasks(store.database());
  status["tasks"] = TaskCountsJson(tasks.Counts());
  const double now = UtcTime::Now().unix_s();
  status["last_done"] = LastDoneJson(tasks.LastDone(now));
  if (!summary.oldest_unprocessed.empty()) {
    status["oldest_unprocessed"] = {{"id", summary.oldest_unprocessed},
                                    {"age_s", now - summary.oldest_unprocessed_since}};
  }
  return status;
}

// The daemon of this state directory, asked at the address of its lock file or, when that may not be read, at
// http.listen.
ordered_json Collect() {
  const LoadedSettings settings = CurrentSettings();
  const ProductPaths paths(Roots(settings.values));
  const std::filesystem::path state = paths.Database(StateDatabase::kIngest).parent_path();
  const InstanceInfo instance = FindInstance(state);
  const bool unknown = !instance.unknown_because.empty();
  ordered_json status;
  std::optional<ordered_json> live;
  if (!instance.listen.empty()) live = AskDaemon(instance.listen);
  if (unknown && settings.values.http.enabled) {
    live = AskDaemon(settings.values.http.listen);
    // The daemon of another state directory may listen there.
    if (live && live->value("state_directory", "") != state.string()) live.reset();
  }
  if (live) {
    status["daemon"] = "running";
    status.update(*live);
    return status;
  }
  std::string why;
  if (unknown) {
    status["daemon"] = "unknown";
    why = fmt::format("cannot tell whether contimg-stream runs: {}", instance.unknown_because);
    if (settings.values.http.enabled) {
      why += fmt::format("; nothing that works on {} answers at {}", state.string(), settings.values.http.listen);
    }
  } else if (instance.pid == 0) {
    status["daemon"] = "stopped";
    why = "contimg-stream is not running";
  } else if (!settings.values.http.enabled) {
    status["daemon"] = "running";
    why = fmt::format("contimg-stream (process {}) serves no HTTP, so that its health cannot be asked", instance.pid);
  } else {
    status["daemon"] = instance.listen.empty() ? "starting" : "not answering";
    why = fmt::format("contimg-stream (process {}) does not answer{}", instance.pid,
                      instance.listen.empty() ? " yet" : "");
  }
  ordered_json troubles{why};
  try {
    status.update(FromDatabase(paths));
  } catch (const Error& error) {
    troubles.push_back(fmt::format("the queue cannot be read: {}", error.what()));
    status["groups"] = ordered_json::object();
    status["oldest_unprocessed"] = nullptr;
  }
  status["ready"] = false;
  status["not_ready_because"] = why;
  status["verdict"] = unknown ? "Unknown" : "Not working";
  status["troubles"] = troubles;
  return status;
}

std::string FreeOf(const ordered_json& disk) {
  return fmt::format("{} of {} free", Bytes(disk["free_bytes"].get<double>()),
                     Bytes(disk["total_bytes"].get<double>()));
}

// Groups by their ids, as everywhere; other work by its job's.
std::string JobName(const ordered_json& job) {
  return (job["group"].is_string() ? job["group"] : job["job"]).get<std::string>();
}

std::string Screen(const ordered_json& s) {
  std::string text;
  std::string verdict = s.value("verdict", "");
  if (!verdict.empty()) verdict[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(verdict[0])));
  text += fmt::format("contimg-stream  {}, {}\n", s.value("daemon", "?"), verdict);
  if (s.contains("uptime_s")) {
    text += fmt::format("  process {} for {}, version {}\n", s["pid"].get<int>(), Duration(s["uptime_s"]),
                        s["version"].get<std::string>());
  }
  const std::vector<HealthFinding> findings = FindingsOf(s);
  if (findings.empty()) {
    if (const std::string why = s.value("not_ready_because", ""); !why.empty()) text += fmt::format("  {}\n", why);
  } else {
    text += "needs a hand\n";
    for (const HealthFinding& finding : findings) {
      text += fmt::format("  {:<5}  {}\n", ToString(finding.severity), finding.sentence);
      if (!finding.cure.empty()) text += fmt::format("         > {}\n", finding.cure);
    }
  }
  if (s.contains("calibration") && s["calibration"].contains("goes_on") && s["calibration"]["goes_on"].is_string()) {
    text += fmt::format("calibration  {}\n", s["calibration"]["goes_on"].get<std::string>());
  }
  std::string groups;
  for (const auto& [state, count] : s["groups"].items()) {
    if (count.get<std::int64_t>() > 0) groups += fmt::format(" {} {} ", count.get<std::int64_t>(), state);
  }
  text += fmt::format("groups\n {}\n", groups.empty() ? " none yet" : groups);
  if (s.contains("tasks") && !s["tasks"].empty()) {
    text += "tasks\n";
    for (const auto& [kind, states] : s["tasks"].items()) {
      text += fmt::format("  {} ", kind);
      for (const auto& [state, count] : states.items())
        text += fmt::format(" {} {} ", count.get<std::int64_t>(), state);
      if (s.contains("last_done") && s["last_done"].contains(kind)) {
        text += fmt::format(" (last done {})", s["last_done"][kind].get<std::string>());
      }
      text += "\n";
    }
  }
  if (s.value("late_subbands", 0) > 0) {
    text += fmt::format("  {} late subbands not used yet (contimg queue list --late, contimg queue requeue --late)\n",
                        s["late_subbands"].get<std::int64_t>());
  }
  if (s["oldest_unprocessed"].is_object()) {
    text += fmt::format("  oldest not finished: {}, seen {} ago\n", s["oldest_unprocessed"]["id"].get<std::string>(),
                        Duration(s["oldest_unprocessed"]["age_s"]));
  }
  if (s.contains("jobs")) {
    text += fmt::format("at work\n{}", s["jobs"].empty() ? "  nothing\n" : "");
    for (const auto& job : s["jobs"]) {
      text += fmt::format("  {}  {:<10} {:3.0f} %  {:>8}  {:>7}  {}\n", JobName(job), job["stage"].get<std::string>(),
                          100 * job["fraction"].get<double>(), Duration(job["running_s"]),
                          Bytes(job["memory_bytes"].get<double>()), job["where"].get<std::string>());
    }
  }
  if (s.contains("incoming")) {
    const auto& in = s["incoming"];
    text += fmt::format("incoming  {}: {} files, {} not looked into, {} to be tried again{}\n",
                        in["directory"].get<std::string>(), in["files"].get<std::int64_t>(),
                        in["pending"].get<std::int64_t>(), in["retrying"].get<std::int64_t>(),
                        in["polling"].get<bool>() ? " (polling)" : "");
    if (in["last_file_at"].is_string()) text += fmt::format("  last file {}\n", in["last_file_at"].get<std::string>());
  }
  if (s.contains("disks")) {
    text += fmt::format("disks  scratch {}, state {}, staging {}{}\n", FreeOf(s["disks"]["scratch"]),
                        FreeOf(s["disks"]["state"]), FreeOf(s["disks"]["staging"]),
                        s["dispatch_allowed"].get<bool>() ? "" : "; no new work starts");
    if (const std::string rule = s["disks"]["scratch"].value("limits", ""); !rule.empty()) {
      text += fmt::format("  scratch: {}\n", rule);
    }
    if (const auto& full = s["disks"]["scratch"]["full_in_s"]; full.is_number()) {
      text += fmt::format("  scratch: no room for new work in {}, by what it did in the last days\n",
                          Duration(full.get<double>()));
    }
  }
  return text;
}

}  // namespace

void AddStatusCommand(CLI::App& app) {
  struct Args {
    bool json = false, watch = false;
    double interval_s = 2;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command = app.add_subcommand(
      "status", "Is it healthy, what is it doing, what needs a hand; exit status 1 when it is not ready");
  command->add_flag("--json", args->json, "print everything as one JSON object");
  command->add_flag("--watch", args->watch, "repeat until interrupted");
  command->add_option("--interval", args->interval_s, "seconds between repetitions")->capture_default_str();
  command->callback([args] {
    if (!(args->interval_s >= 0.2 && args->interval_s <= kSecondsPerDay)) {
      throw Error(ErrorKind::kUsage, "status", "--interval",
                  fmt::format("expected 0.2 to {:.0f} seconds, found {}", kSecondsPerDay, args->interval_s));
    }
    for (;;) {
      const ordered_json status = Collect();
      if (args->json) {
        fmt::print("{}\n", status.dump(args->watch ? -1 : 2));
      } else {
        if (args->watch && ::isatty(STDOUT_FILENO) == 1) fmt::print("\033[H\033[2J");
        fmt::print("{}", Screen(status));
      }
      if (!args->watch) {
        if (status.value("ready", false)) return;
        throw Error(ErrorKind::kIo, "status", "", fmt::format("not well: {}", status.value("not_ready_because", "?")));
      }
      FinishOutput();
      std::this_thread::sleep_for(std::chrono::duration<double>(args->interval_s));
    }
  });
}

}  // namespace contimg::ops
