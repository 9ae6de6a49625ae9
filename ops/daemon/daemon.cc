#include "ops/daemon/daemon.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/settings_loader.h"
#include "config/text.h"
#include "convert/frames.h"
#include "convert/staging.h"
#include "ops/daemon/directory_sizes.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/ingest_service.h"
#include "ops/daemon/instance_lock.h"
#include "ops/daemon/local_executor.h"
#include "ops/daemon/log.h"
#include "ops/daemon/reconciler.h"
#include "ops/daemon/service_manager.h"
#include "ops/daemon/watermarks.h"
#include "ops/http/http_server.h"
#include "ops/http/work_thread.h"
#include "ops/version.h"
#include "ops/web/web.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr double kSummaryS = 2, kSweepS = 600, kDirectorySizesS = 900, kReconcileS = 86400;
constexpr double kReconcileStepS = 0.01;  // of each tick
constexpr double kReconcilePauseS = 30, kMissingLookS = 5;
constexpr double kDatabaseTimeoutS = 1;  // then the write waits in its queue and the loop goes on

std::string HostName() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

state::DatabaseOptions QueueOptions() {
  state::DatabaseOptions options;
  options.busy_timeout_s = kDatabaseTimeoutS;
  return options;
}

std::string ErrorWord(const state::GroupRow& row) {
  return row.error_kind ? std::string(ToString(*row.error_kind)) : "unknown";
}

class Daemon {
 public:
  explicit Daemon(const DaemonOptions& options);
  void Run();

 private:
  void Tick();
  void AwaitTick();
  void AwaitSignals();
  void Reload();
  void Stop(const char* why);
  void LookAtDisk();
  void Sweep();
  void Reconcile();
  void Summarise();
  void TickSoon();
  void UpdateGauges();
  void AddRoutes();
  void AnswerHttp(const HttpRequest& request, HttpServer::Reply reply);
  std::vector<std::string> Troubles();
  std::string StatusLine();
  bool Ready() const { return NotReadyBecause().empty(); }
  std::string NotReadyBecause() const;
  ordered_json Status();

  DaemonOptions options_;
  Os& os_;
  ServiceManager service_;
  ProductPaths paths_;
  InstanceLock lock_;
  boost::asio::io_context io_{1};
  DaemonClock clock_;
  Metrics metrics_;
  state::GroupStore store_;
  WriteQueue writes_;
  CalibrationScheduler calibration_;
  IngestService ingest_;
  Dispatcher dispatcher_;
  Reconciler reconciler_;
  DirectorySizes sizes_;
  HttpRouter router_;
  Web web_;
  WorkThread web_thread_;  // runs the slow routes; ends before what they use
  std::unique_ptr<HttpServer> http_;
  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  DiskReport disks_;
  std::map<std::string, DiskLevel> disk_levels_before_;
  state::GroupSummary summary_;
  state::Database::ChangeMark summarised_;
  std::int64_t n_late_files_ = 0;
  std::optional<state::GroupRow> newest_dead_, oldest_waiting_;
  double started_, started_unix_;
  double next_summary_ = 0, next_disk_ = 0, next_sweep_ = 0, next_alive_ = 0, next_reconcile_ = 0,
         next_reconcile_step_ = 0, next_missing_look_ = 0;
  std::optional<double> stop_by_;
  bool clock_trouble_ = false;
  bool tick_posted_ = false;
};

Daemon::Daemon(const DaemonOptions& options)
    : options_(options),
      os_(OsOr(options.os)),
      paths_(Roots(options.settings)),
      lock_(paths_.roots().state),
      store_(paths_.Database(StateDatabase::kIngest), QueueOptions()),
      writes_(store_, metrics_),
      calibration_(paths_, os_, metrics_, options.settings),
      ingest_(IngestContext{io_, store_, writes_, metrics_, clock_, os_, paths_, options.program, options.watcher,
                            [this](const std::string& group, const state::ObservationRow& seen) {
                              calibration_.Observed(group, seen);
                            }},
              options.settings),
      dispatcher_(DispatchContext{store_, writes_, metrics_, clock_, os_, paths_, calibration_,
                                  fmt::format("contimg-stream {} {}", HostName(), ::getpid())},
                  options.settings),
      reconciler_(paths_, store_),
      sizes_({{"incoming", paths_.roots().input},
              {"ms", paths_.roots().output},
              {"images", paths_.roots().images},
              {"tmp", paths_.roots().tmp},
              {"state", paths_.roots().state}},
             kDirectorySizesS),
      web_(paths_),
      timer_(io_),
      signals_(io_, SIGTERM, SIGINT, SIGHUP),
      started_(clock_.Steady()),
      started_unix_(clock_.Unix()) {
  dispatcher_.SetExecutor(
      std::make_unique<LocalExecutor>(io_, LocalExecutorOptions{options.program, 5}, dispatcher_.Events()));
}

void Daemon::Sweep() {
  int n = 0;
  for (const fs::path& root : {paths_.roots().staging, paths_.roots().tmp / "staging"}) {
    try {
      n += convert::SweepStaging(root, os_);
    } catch (const Error& error) {
      Log(LogLevel::kWarning, "", fmt::format("staging cannot be swept: {}", error.what()));
    }
  }
  // Unfinished siblings appear only where products do: in the day folders of the last days.
  for (double day = 0; day < 3; day += 1) {
    const std::string stamp = (UtcTime::FromUnix(clock_.Unix()) - day * kSecondsPerDay).Iso8601();
    for (const fs::path& folder : {paths_.ScienceMs(stamp).parent_path(), paths_.FailedMs(stamp).parent_path()}) {
      try {
        if (fs::is_directory(folder)) n += convert::SweepUnfinished(folder, os_);
      } catch (const Error& error) {
        Log(LogLevel::kWarning, "", fmt::format("unfinished products cannot be swept: {}", error.what()));
      }
    }
  }
  if (n > 0) Log(LogLevel::kInfo, "", fmt::format("{} of dead workers removed", Counted(n, "leftover")));
}

void Daemon::LookAtDisk() {
  disks_ = LookAtDisks(os_, paths_.roots(), options_.settings.disk);
  metrics_.SetDisk("scratch", disks_.scratch.free_bytes, disks_.scratch.total_bytes);
  metrics_.SetDisk("state", disks_.state.free_bytes, disks_.state.total_bytes);
  metrics_.SetDisk("staging", disks_.staging.free_bytes, disks_.staging.total_bytes);
  metrics_.SetDispatchAllowed(disks_.dispatch_allowed);
  // The figures change all the time: sentences when a level changes are enough.
  if (disks_.levels != disk_levels_before_) {
    for (const std::string& trouble : disks_.troubles) Log(LogLevel::kWarning, "", trouble);
    if (disks_.troubles.empty() && !disk_levels_before_.empty()) {
      Log(LogLevel::kInfo, "", "all disks have room again");
    }
  }
  disk_levels_before_ = disks_.levels;
}

// Empty when ready.
std::string Daemon::NotReadyBecause() const {
  if (stop_by_) return "it is stopping";
  if (!writes_.trouble().empty()) return "the queue cannot be written";
  if (!ingest_.directory_present()) return "the incoming directory cannot be read";
  if (!ingest_.caught_up()) {
    return fmt::format("{} files of the incoming directory are still to be looked into", ingest_.n_pending());
  }
  return "";
}

std::vector<std::string> Daemon::Troubles() {
  std::vector<std::string> troubles = disks_.troubles;
  for (std::string& trouble : ingest_.Troubles()) troubles.push_back(std::move(trouble));
  if (!writes_.trouble().empty()) {
    troubles.push_back(
        fmt::format("the queue cannot be written ({}); {} changes wait", writes_.trouble(), writes_.size()));
  }
  for (std::string& trouble : calibration_.Troubles()) troubles.push_back(std::move(trouble));
  for (std::string& trouble : dispatcher_.sky().Troubles()) troubles.push_back(std::move(trouble));
  if (clock_.StepBack() > 1) {
    troubles.push_back(fmt::format("the system's clock has stepped back by {:.0f} s", clock_.StepBack()));
  }
  for (const auto& [state, count] : summary_.counts) {
    if (count == 0) continue;
    if (state == state::GroupState::kDead) {
      troubles.push_back(fmt::format("{} given up (contimg queue list --state dead){}", Counted(count, "group"),
                                     newest_dead_ ? fmt::format(", the newest {}: {}: {}", newest_dead_->id,
                                                                ErrorWord(*newest_dead_), newest_dead_->error)
                                                  : ""));
    } else if (state == state::GroupState::kHeld) {
      troubles.push_back(
          fmt::format("{} held for a decision (contimg queue list --state held)", Counted(count, "group")));
    }
  }
  if (reconciler_.n_missing() > 0) {
    troubles.push_back(fmt::format("{} recorded and missing on disk (contimg products list --status missing)",
                                   Counted(reconciler_.n_missing(), "product")));
  }
  if (reconciler_.figures().n_strange > 0) {
    troubles.push_back(fmt::format("{} on disk of no known group (named in the log)",
                                   Counted(reconciler_.figures().n_strange, "product")));
  }
  return troubles;
}

std::string Daemon::StatusLine() {
  std::int64_t waiting = 0;
  for (const auto& [state, count] : summary_.counts) {
    if (state == state::GroupState::kReady || state == state::GroupState::kFailed) waiting += count;
  }
  const auto troubles = Troubles();
  return fmt::format("{} collecting, {} waiting, {} running{}{}", ingest_.n_collecting(), waiting,
                     dispatcher_.n_running(), troubles.empty() ? "" : "; ", troubles.empty() ? "" : troubles.front());
}

ordered_json Daemon::Status() {
  const double now = clock_.Unix();
  ordered_json status;
  status["version"] = kVersion;
  status["pid"] = ::getpid();
  status["started_at"] = UtcTime::FromUnix(started_unix_).Stamp();
  status["uptime_s"] = clock_.Steady() - started_;
  status["ready"] = Ready();
  status["not_ready_because"] = NotReadyBecause();
  status["troubles"] = Troubles();
  ordered_json& incoming = status["incoming"];
  incoming["directory"] = paths_.roots().input.string();
  incoming["files"] = ingest_.n_incoming();
  incoming["pending"] = ingest_.n_pending();
  incoming["retrying"] = ingest_.n_retrying();
  incoming["polling"] = ingest_.polling();
  incoming["caught_up"] = ingest_.caught_up();
  incoming["last_file_at"] =
      ingest_.last_file_unix() ? ordered_json(UtcTime::FromUnix(*ingest_.last_file_unix()).Stamp()) : ordered_json();
  ordered_json groups = ordered_json::object();
  for (const auto& [state, count] : summary_.counts) groups[std::string(ToString(state))] = count;
  status["groups"] = groups;
  status["oldest_unprocessed"] =
      summary_.oldest_unprocessed.empty()
          ? ordered_json()
          : ordered_json{{"id", summary_.oldest_unprocessed}, {"age_s", now - summary_.oldest_unprocessed_since}};
  ordered_json jobs = ordered_json::array();
  for (const RunningJob& job : dispatcher_.Running()) {
    jobs.push_back({{"group", job.group},
                    {"stage", job.stage},
                    {"fraction", job.fraction},
                    {"running_s", job.running_s},
                    {"where", job.where},
                    {"memory_bytes", job.memory_bytes}});
  }
  status["jobs"] = jobs;
  status["late_subbands"] = n_late_files_;
  status["products_missing"] = reconciler_.n_missing();
  status["comparing_records"] = reconciler_.active();
  status["calibration"] = calibration_.Status();
  status["sky"] = dispatcher_.sky().Status();
  status["dispatch_allowed"] = disks_.dispatch_allowed;
  const auto disk = [](const DiskSpace& space) {
    return ordered_json{{"free_bytes", space.free_bytes}, {"total_bytes", space.total_bytes}};
  };
  status["disks"] = {
      {"scratch", disk(disks_.scratch)}, {"state", disk(disks_.state)}, {"staging", disk(disks_.staging)}};
  ordered_json directories = ordered_json::object();
  for (const auto& [name, size] : sizes_.Latest()) {
    directories[name] = size.measured
                            ? ordered_json{{"bytes", size.bytes}, {"growth_bytes_per_s", size.growth_bytes_per_s}}
                            : ordered_json{{"bytes", nullptr}, {"growth_bytes_per_s", nullptr}};
  }
  status["directories"] = directories;
  return status;
}

void Daemon::UpdateGauges() {
  const double now = clock_.Unix();
  std::map<std::string, std::int64_t> groups;
  for (const auto& [state, count] : summary_.counts) groups[std::string(ToString(state))] = count;
  metrics_.SetGroups(groups);
  const double due = oldest_waiting_ ? std::max(oldest_waiting_->next_attempt_at, oldest_waiting_->first_file_at) : now;
  metrics_.SetOldestDispatchable(std::max(0.0, now - due));
  metrics_.SetProducts(reconciler_.n_missing(), reconciler_.figures().n_strange);
  metrics_.SetLateFiles(n_late_files_);
  metrics_.SetOldestUnprocessed(
      summary_.oldest_unprocessed.empty() ? 0 : std::max(0.0, now - summary_.oldest_unprocessed_since));
  if (ingest_.last_file_unix()) metrics_.SetSinceLastFile(std::max(0.0, now - *ingest_.last_file_unix()));
  std::uint64_t memory = 0;
  for (const RunningJob& job : dispatcher_.Running()) memory += job.memory_bytes;
  metrics_.SetWorkers(dispatcher_.n_running(), static_cast<std::size_t>(options_.settings.executor.jobs), memory);
  metrics_.SetIncoming(ingest_.n_incoming(), ingest_.n_pending(), ingest_.n_retrying());
  metrics_.SetPolling(ingest_.polling());
  for (const auto& [name, size] : sizes_.Latest()) {
    if (size.measured) metrics_.SetDirectory(name, size.bytes, size.growth_bytes_per_s);
  }

  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  std::size_t n_files = 0;
  if (DIR* directory = ::opendir("/proc/self/fd")) {
    while (::readdir(directory) != nullptr) ++n_files;
    ::closedir(directory);
  }
  metrics_.SetOwnResources(seconds(usage.ru_utime) + seconds(usage.ru_stime), GroupMemoryBytes(::getpid()),
                           n_files > 3 ? n_files - 3 : 0);  // without ".", ".." and the listing's own
}

void Daemon::AddRoutes() {
  router_.Add({"GET", "/metrics", "Figures for Prometheus.", [this](const HttpRequest&) {
                 UpdateGauges();
                 return HttpResponse{200, std::string(Metrics::kContentType), metrics_.Serialize()};
               }});
  router_.Add({"GET", "/healthz", "200 while the service's loop turns.", [](const HttpRequest&) {
                 return HttpResponse{200, "application/json", "{\"alive\":true}\n"};
               }});
  router_.Add(
      {"GET", "/readyz", "200 when files are noticed and the queue can be written, else 503.",
       [this](const HttpRequest&) {
         const bool ready = Ready();
         return HttpResponse{
             ready ? 200 : 503, "application/json",
             ordered_json{{"ready", ready}, {"not_ready_because", NotReadyBecause()}, {"troubles", Troubles()}}.dump() +
                 "\n"};
       }});
  router_.Add({"GET", "/api/v1/status", "Everything on one screen, as JSON.", [this](const HttpRequest&) {
                 return HttpResponse{200, "application/json", Status().dump() + "\n"};
               }});
  web_.AddRoutes(router_);
}

void Daemon::AnswerHttp(const HttpRequest& request, HttpServer::Reply reply) {
  const auto answer = [this, reply = std::move(reply)](HttpResponse response) {
    metrics_.HttpAnswered(response.status);
    reply(std::move(response));
  };
  if (!router_.IsSlow(request)) return answer(router_.Handle(request));
  web_.view().SetStatus(Status(), clock_.Unix());
  web_thread_.Post([this, request, answer] {
    auto response = std::make_shared<HttpResponse>(router_.Handle(request));
    boost::asio::post(io_, [answer, response] { answer(std::move(*response)); });
  });
}

void Daemon::Tick() {
  const double now = clock_.Steady();
  if (service_.alive_interval_s() && now >= next_alive_) {
    next_alive_ = now + *service_.alive_interval_s();
    service_.Alive();
  }
  if (now >= next_disk_) {
    next_disk_ = now + options_.settings.disk.check_s;
    LookAtDisk();
  }
  if (now >= next_sweep_) {
    next_sweep_ = now + kSweepS;
    Sweep();
  }
  try {
    if (!stop_by_) ingest_.Tick();
    dispatcher_.Tick(!stop_by_ && disks_.dispatch_allowed);
    if (now >= next_summary_) {
      next_summary_ = now + kSummaryS;
      Summarise();
      service_.Status(StatusLine());
    }
    if (!stop_by_) Reconcile();
  } catch (const Error& error) {
    metrics_.DatabaseFailed();
    LogNowAndThen(LogLevel::kError, error.what());
  }
  const bool stepped = clock_.StepBack() > 1;
  if (stepped != clock_trouble_) {
    Log(LogLevel::kWarning, "",
        stepped ? "the system's clock has stepped back; records go on at a steady pace"
                : "the system's clock has caught up");
    clock_trouble_ = stepped;
  }
  if (!stop_by_) return;
  if (dispatcher_.n_running() == 0 && writes_.empty()) io_.stop();
  if (now >= *stop_by_) {
    Log(LogLevel::kWarning, "", "stopping although something is left; the next start takes it up");
    io_.stop();
  }
}

// Counting a year of groups takes some milliseconds: only when something has changed.
void Daemon::Summarise() {
  const auto mark = store_.database().Changes();
  if (mark == summarised_) return;
  summarised_ = mark;
  summary_ = store_.Summary();
  n_late_files_ = store_.CountFiles("late");
  const auto first = [this](std::vector<state::GroupState> states, bool newest) -> std::optional<state::GroupRow> {
    state::GroupQuery query;
    query.states = std::move(states);
    query.limit = 1;
    query.newest_first = newest;
    auto rows = store_.List(query);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  };
  newest_dead_ = first({state::GroupState::kDead}, true);
  oldest_waiting_ = first({state::GroupState::kReady, state::GroupState::kFailed}, false);
}

void Daemon::Reconcile() {
  const double now = clock_.Steady();
  if (now >= next_reconcile_) {
    next_reconcile_ = now + kReconcileS;
    reconciler_.Begin();
  }
  if (!reconciler_.active() && now >= next_missing_look_) {
    next_missing_look_ = now + kMissingLookS;
    try {
      reconciler_.LookForMissing(clock_.Unix());
    } catch (const Error& error) {
      LogNowAndThen(LogLevel::kWarning, fmt::format("missing products cannot be looked for now: {}", error.what()));
    }
  }
  // Not while results wait to be recorded: a product that its group's record does not know yet is no stray.
  if (!reconciler_.active() || !writes_.empty()) return;
  if (now < next_reconcile_step_) return;
  try {
    reconciler_.Step(kReconcileStepS, clock_.Unix());
  } catch (const Error& error) {
    next_reconcile_step_ = now + kReconcilePauseS;
    LogNowAndThen(LogLevel::kWarning, fmt::format("records and products cannot be compared now: {}", error.what()));
  }
}

// A group that became ready, or a worker that ended, does not wait for the next tick.
void Daemon::TickSoon() {
  if (std::exchange(tick_posted_, true)) return;
  boost::asio::post(io_, [this] {
    tick_posted_ = false;
    Tick();
  });
}

void Daemon::AwaitTick() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    Tick();
    AwaitTick();
  });
}

void Daemon::Reload() {
  service_.Reloading();
  try {
    Settings settings = options_.reload ? options_.reload() : options_.settings;
    settings.paths = options_.settings.paths;  // these need a restart
    settings.http = options_.settings.http;
    CheckRules(settings);
    options_.settings = settings;
    SetUpLog(ParseLogLevel(settings.daemon.log_level), ParseLogFormat(settings.daemon.log_format));
    ingest_.Apply(settings);
    dispatcher_.Apply(settings);
    calibration_.Apply(settings);
    next_disk_ = 0;
    Log(LogLevel::kInfo, "", "settings reloaded (paths and http need a restart)");
  } catch (const Error& error) {
    Log(LogLevel::kError, "", fmt::format("the old settings stay: {}", error.what()));
  }
  service_.Ready(StatusLine());
}

void Daemon::Stop(const char* why) {
  if (stop_by_) return;
  Log(LogLevel::kInfo, "",
      fmt::format(
          "{}: stopping; {}", why,
          dispatcher_.n_running() == 0
              ? std::string("no worker is running")
              : fmt::format("{} asked to end", Counted(static_cast<std::int64_t>(dispatcher_.n_running()), "worker"))));
  service_.Stopping();
  stop_by_ = clock_.Steady() + options_.settings.daemon.stop_limit_s;
  dispatcher_.StopAll();
}

void Daemon::AwaitSignals() {
  signals_.async_wait([this](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal == SIGHUP) {
      Reload();
    } else {
      Stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
    }
    AwaitSignals();
  });
}

void Daemon::Run() {
  Log(LogLevel::kInfo, "",
      fmt::format("contimg-stream {} starts: input {}, state {}", kVersion, paths_.roots().input.string(),
                  paths_.roots().state.string()));
  if (options_.settings.telescope.earth_orientation_file.empty()) {
    Log(LogLevel::kWarning, "", convert::kNoEarthOrientation);
  }
  dispatcher_.Recover();
  Sweep();
  next_sweep_ = clock_.Steady() + kSweepS;
  LookAtDisk();
  ingest_.Start();
  Summarise();
  writes_.SetHurry([this] { TickSoon(); });
  AddRoutes();
  if (options_.settings.http.enabled) {
    HttpServerOptions http;
    http.listen = options_.settings.http.listen;
    http_ = std::make_unique<HttpServer>(io_, http, [this](const HttpRequest& request, HttpServer::Reply reply) {
      AnswerHttp(request, std::move(reply));
    });
    const std::string host = http.listen.substr(0, http.listen.rfind(':'));
    lock_.Publish({::getpid(), fmt::format("{}:{}", host, http_->port())});
    Log(LogLevel::kInfo, "", fmt::format("metrics and status on http://{}:{}", host, http_->port()));
  }
  AwaitSignals();
  AwaitTick();
  service_.Ready(StatusLine());
  io_.run();
  Log(LogLevel::kInfo, "", "stopped");
}

}  // namespace

void RunDaemon(const DaemonOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  ValidatePaths(options.settings);
  Daemon daemon(options);
  daemon.Run();
}

}  // namespace contimg::ops
