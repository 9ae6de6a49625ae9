#include "ops/daemon/daemon.h"

#include <dirent.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cctype>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "config/machine.h"
#include "config/settings_loader.h"
#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "convert/frames.h"
#include "convert/staging.h"
#include "ops/base/host_name.h"
#include "ops/base/instance_lock.h"
#include "ops/base/log.h"
#include "ops/base/version.h"
#include "ops/daemon/background.h"
#include "ops/daemon/directory_sizes.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/health_watch.h"
#include "ops/daemon/ingest_service.h"
#include "ops/daemon/local_executor.h"
#include "ops/daemon/service_manager.h"
#include "ops/daemon/settings_check.h"
#include "ops/daemon/tree_guard.h"
#include "ops/daemon/upkeep_watch.h"
#include "ops/http/http_server.h"
#include "ops/http/work_thread.h"
#include "ops/records/reconciler.h"
#include "ops/records/row_json.h"
#include "ops/upkeep/task_kinds.h"
#include "ops/web/web.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr double kSummaryS = 2, kSweepS = 600, kDirectorySizesS = 900, kReconcileS = kSecondsPerDay, kTasksS = 5;
constexpr double kReconcileStepS = 0.01;  // of each tick
constexpr double kReconcilePauseS = 30, kMissingLookS = 5;
constexpr double kDatabaseTimeoutS = 1;  // then the write waits in its queue and the loop goes on

state::DatabaseOptions QueueOptions() {
  state::DatabaseOptions options;
  options.busy_timeout_s = kDatabaseTimeoutS;
  return options;
}

// Sentences hold names and messages of files; not all of those are UTF-8.
std::string Dump(const ordered_json& json) { return json.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

// The names by which this machine may be asked besides its addresses.
std::vector<std::string> AllowedHosts(const HttpSettings& settings) {
  std::string own = HostName();
  std::transform(own.begin(), own.end(), own.begin(), [](unsigned char c) { return std::tolower(c); });
  std::vector<std::string> names = ParseHosts(settings.allowed_hosts);
  names.insert(names.end(), {"localhost", own});
  return names;
}

std::unique_ptr<Executor> MakeExecutor(boost::asio::io_context& io, const DaemonOptions& options,
                                       Executor::Events events) {
  const std::string& kind = options.settings.executor.kind;
  if (kind == "local") {
    return std::make_unique<LocalExecutor>(io, LocalExecutorOptions{options.program, 5}, options.settings,
                                           std::move(events));
  }
  throw Error(ErrorKind::kUsage, "daemon", "executor.kind", fmt::format("expected local, found {}", kind));
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
  template <class Work>
  void Survive(const Work& work);
  void Sweep();
  void Reconcile();
  void Summarise();
  void AskForTasks();
  void TickSoon();
  void UpdateGauges();
  void AddRoutes();
  void AnswerHttp(const HttpRequest& request, HttpServer::Reply reply);
  std::string StatusLine();
  ordered_json Status();

  DaemonOptions options_;
  GuardedOs os_;  // makes nothing in a tree that is not there
  ServiceManager service_;
  ProductPaths paths_;
  InstanceLock lock_;
  TreeGuard trees_;
  boost::asio::io_context io_{1};
  DaemonClock clock_;
  Metrics metrics_;
  state::GroupStore store_;
  state::TaskStore tasks_;
  WriteQueue writes_;
  Background background_;
  UpkeepWatch upkeep_;
  CalibrationScheduler calibration_;
  IngestService ingest_;
  Dispatcher dispatcher_;
  Reconciler reconciler_;
  HealthWatch health_;
  DirectorySizes sizes_;
  HttpRouter router_;
  Web web_;
  WorkThread web_thread_;  // runs the slow routes; ends before what they use
  std::unique_ptr<HttpServer> http_;
  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  state::GroupSummary summary_;
  state::Database::ChangeMark summarised_;
  std::int64_t n_late_files_ = 0;
  std::map<std::string, std::map<state::WorkState, std::int64_t>> task_counts_;
  std::map<std::string, double> tasks_done_at_;
  std::optional<state::GroupRow> oldest_waiting_;
  std::size_t n_slow_answers_ = 0;
  double started_, started_unix_;
  double next_summary_ = 0, next_tasks_ = 0, next_disk_ = 0, next_sweep_ = 0, next_alive_ = 0, next_reconcile_ = 0,
         next_reconcile_step_ = 0, next_missing_look_ = 0;
  std::optional<double> stop_by_;
  bool clock_trouble_ = false;
  bool sweeping_ = false;
  bool tick_posted_ = false;
};

Daemon::Daemon(const DaemonOptions& options)
    : options_(options),
      os_(OsOr(options.os), {}),
      paths_(Roots(options.settings)),
      lock_(paths_.roots().state),
      trees_(options.settings, OsOr(options.os)),
      store_(paths_.Database(StateDatabase::kIngest), QueueOptions()),
      tasks_(store_.database()),
      writes_(store_, metrics_, clock_),
      background_(io_),
      upkeep_(options_.settings, paths_, background_, metrics_),
      calibration_(paths_, os_, metrics_, options.settings),
      ingest_(
          IngestContext{
              io_, store_, writes_, metrics_, clock_, os_, background_, paths_, options.program, options.watcher,
              [this](const std::string& group, const GroupObservation& seen) { calibration_.Observed(group, seen); }},
          options.settings),
      dispatcher_(DispatchContext{store_, writes_, metrics_, clock_, os_, paths_, calibration_,
                                  fmt::format("contimg-stream {} {}", HostName(), ::getpid()), trees_.expected()},
                  options.settings),
      reconciler_(paths_, store_, os_),
      health_({store_, writes_, ingest_, dispatcher_, calibration_, reconciler_, clock_, trees_, metrics_, os_, paths_},
              options.settings),
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
  os_.Expect(trees_.expected());
  dispatcher_.SetExecutor(MakeExecutor(io_, options, dispatcher_.Events()));
}

// Groups of any day may fail; days with failures are few.
int SweepFolders(const fs::path& root, Os& os) {
  int n = 0;
  if (!IsDirectory(root, os)) return n;
  for (const fs::path& folder : os.List(root)) n += SweepUnfinished(folder, os);
  return n;
}

// What dead workers have left may be gigabytes.
void Daemon::Sweep() {
  if (std::exchange(sweeping_, true)) return;
  const auto n = std::make_shared<int>(0);
  std::vector<fs::path> folders;
  // Unfinished siblings of products appear where those do: in the day folders of the last days.
  for (double day = 0; day < 3; day += 1) {
    const std::string stamp = (UtcTime::FromUnix(clock_.Unix()) - day * kSecondsPerDay).Iso8601();
    folders.push_back(paths_.ScienceMs(stamp).parent_path());
  }
  const fs::path failed = paths_.roots().output / "failed";
  const auto sweep = [this, n, folders, failed] {
    const auto attempt = [&](const auto& sweeper, const fs::path& folder) {
      try {
        *n += sweeper(folder, os_);
      } catch (const std::exception& error) {
        LogNowAndThen(LogLevel::kWarning, fmt::format("leftovers cannot be swept: {}", error.what()));
      }
    };
    for (const fs::path& root : {paths_.roots().staging, paths_.roots().tmp / "staging"}) {
      attempt(convert::SweepStaging, root);
    }
    for (const fs::path& folder : folders) attempt(SweepUnfinished, folder);
    attempt(SweepFolders, failed);
  };
  background_.Run(sweep, [this, n](const std::exception_ptr&) {
    sweeping_ = false;
    if (*n > 0) Log(LogLevel::kInfo, "", fmt::format("{} of dead workers removed", Counted(*n, "leftover")));
  });
}

// A turn of the loop is over when something in it throws; the service goes on.
template <class Work>
void Daemon::Survive(const Work& work) {
  try {
    work();
  } catch (const std::exception& error) {
    health_.Failed(error);
    if (dynamic_cast<const Error*>(&error) != nullptr) metrics_.DatabaseFailed();
    LogNowAndThen(LogLevel::kError, error.what());
  }
}

std::string Daemon::StatusLine() {
  std::int64_t waiting = 0;
  for (const auto& [state, count] : summary_.counts) {
    if (state == state::GroupState::kReady || state == state::GroupState::kFailed) waiting += count;
  }
  const auto findings = health_.Judge().findings;
  return fmt::format("{} collecting, {} waiting, {} running{}{}", ingest_.n_collecting(), waiting,
                     dispatcher_.n_running(), findings.empty() ? "" : "; ",
                     findings.empty() ? "" : findings.front().sentence);
}

ordered_json Daemon::Status() {
  const double now = clock_.Unix();
  ordered_json status;
  status["version"] = kVersion;
  status["pid"] = ::getpid();
  status["state_directory"] = paths_.roots().state.string();
  status["started_at"] = UtcTime::FromUnix(started_unix_).Stamp();
  status["uptime_s"] = clock_.Steady() - started_;
  const HealthWatch::Judgement health = health_.Judge();
  status["ready"] = health.verdict.ready;
  status["not_ready_because"] = health.verdict.why_not;
  status["verdict"] = health.verdict.words;
  status["health"] = ToJson(health.findings);
  ordered_json& troubles = status["troubles"] = ordered_json::array();
  for (const HealthFinding& finding : health.findings) troubles.push_back(finding.sentence);
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
  status["tasks"] = TaskCountsJson(task_counts_);
  status["last_done"] = LastDoneJson(tasks_done_at_);
  status["oldest_unprocessed"] =
      summary_.oldest_unprocessed.empty()
          ? ordered_json()
          : ordered_json{{"id", summary_.oldest_unprocessed}, {"age_s", now - summary_.oldest_unprocessed_since}};
  ordered_json jobs = ordered_json::array();
  for (const RunningJob& job : dispatcher_.Running()) {
    jobs.push_back({{"job", job.job.text()},
                    {"group", job.job.is_group() ? ordered_json(job.job.subject) : ordered_json()},
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
  // As it was asked for, so no finding; whoever looks at an image must know all the same.
  const std::string missing = calibration_.Facts().missing;
  status["calibration"]["goes_on"] =
      options_.settings.calibrate.policy == "uncalibrated" && !missing.empty()
          ? ordered_json(fmt::format("images go out uncalibrated, as calibrate.policy says: {}", missing))
          : ordered_json();
  status["sky"] = dispatcher_.sky().Status();
  status["dispatch_allowed"] = health_.may_start();
  for (const auto& [name, disk] : health_.disks().disks) {
    status["disks"][name] = {
        {"free_bytes", disk.space.free_bytes}, {"total_bytes", disk.space.total_bytes}, {"limits", disk.rule}};
  }
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
  for (const TaskKind& kind : TaskKinds()) {
    const auto& counts = task_counts_[std::string(kind.name)];
    for (const state::WorkState state : state::AllGroupStates()) {
      if (state == state::WorkState::kCollecting || state == state::WorkState::kAwaitingCalibration) continue;
      const auto found = counts.find(state);
      metrics_.SetTasks(kind.name, ToString(state), found == counts.end() ? 0 : found->second);
    }
  }
  upkeep_.SetGauges(tasks_done_at_, health_.disks());
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
  metrics_.SetDispatchAllowed(health_.may_start());
  const HealthWatch::Judgement health = health_.Judge();
  std::map<std::string_view, int> levels;
  for (const HealthCode code : AllHealthCodes()) levels[ToString(code)] = 0;
  for (const HealthFinding& finding : health.findings) {
    int& level = levels[ToString(finding.code)];
    level = std::max(level, finding.severity == HealthSeverity::kRed ? 2 : 1);
  }
  for (const auto& [code, level] : levels) metrics_.SetHealth(code, level);
  metrics_.SetReady(health.verdict.ready);
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
  metrics_.SetOwnResources(seconds(usage.ru_utime) + seconds(usage.ru_stime), ResidentMemory(::getpid()),
                           n_files > 3 ? n_files - 3 : 0);  // without ".", ".." and the listing's own
}

void Daemon::AddRoutes() {
  router_.Add({"GET", "/metrics", "Figures for Prometheus.", [this](const HttpRequest&) {
                 UpdateGauges();
                 return HttpResponse{200, std::string(Metrics::kContentType), metrics_.Serialize()};
               }});
  router_.Add({"GET", "/healthz", "200 while the service's loop turns.", [this](const HttpRequest&) {
                 const HealthVerdict verdict = health_.Judge().verdict;
                 const ordered_json body{{"alive", true}, {"ready", verdict.ready}, {"verdict", verdict.words}};
                 return HttpResponse{200, "application/json", body.dump() + "\n"};
               }});
  router_.Add({"GET", "/readyz", "200 unless something is red or it has not caught up yet, else 503 with the findings.",
               [this](const HttpRequest&) {
                 const auto [verdict, findings] = health_.Judge();
                 const ordered_json body{{"ready", verdict.ready},
                                         {"not_ready_because", verdict.why_not},
                                         {"verdict", verdict.words},
                                         {"health", ToJson(findings)}};
                 return HttpResponse{verdict.ready ? 200 : 503, "application/json", Dump(body) + "\n"};
               }});
  router_.Add({"GET", "/api/v1/status", "Everything on one screen, as JSON.", [this](const HttpRequest&) {
                 return HttpResponse{200, "application/json", Dump(Status()) + "\n"};
               }});
  web_.AddRoutes(router_);
}

void Daemon::AnswerHttp(const HttpRequest& request, HttpServer::Reply reply) {
  auto answer = [this, reply = std::move(reply)](HttpResponse response) {
    metrics_.HttpAnswered(response.status);
    reply(std::move(response));
  };
  if (!router_.IsSlow(request)) return answer(router_.Handle(request));
  // Pages wait for one thread; what is asked beyond these would only hold places that health and metrics need.
  constexpr std::size_t kSlowAtOnce = 24;
  if (n_slow_answers_ >= kSlowAtOnce) {
    return answer(HttpProblem(503, "too many pages are being made at this moment; try again"));
  }
  ++n_slow_answers_;
  web_.view().SetStatus(Status(), clock_.Unix());
  web_thread_.Post([this, request, answer = std::move(answer)]() mutable {
    auto response = std::make_shared<HttpResponse>(router_.Handle(request));
    // The answer goes along: the connection that it holds must not end on this thread.
    boost::asio::post(io_, [this, answer = std::move(answer), response] {
      --n_slow_answers_;
      answer(std::move(*response));
    });
  });
}

void Daemon::Tick() {
  const double now = clock_.Steady();
  if (service_.alive_interval_s() && now >= next_alive_) {
    next_alive_ = now + *service_.alive_interval_s();
    service_.Alive();
  }
  Survive([&] {
    health_.Tick(stop_by_.has_value());
    if (now < next_disk_) return;
    next_disk_ = now + options_.settings.disk.check_s;
    health_.LookAtDisks();
  });
  Survive([&] { upkeep_.Tick(now); });
  Survive([&] {
    if (now < next_sweep_ || !trees_.well()) return;
    next_sweep_ = now + kSweepS;
    Sweep();
  });
  Survive([&] {
    if (!stop_by_) ingest_.Tick();
    if (!stop_by_ && now >= next_tasks_) {
      next_tasks_ = now + kTasksS;
      AskForTasks();
    }
    dispatcher_.Tick(!stop_by_ && health_.may_start());
    if (now >= next_summary_) {
      next_summary_ = now + kSummaryS;
      Summarise();
      service_.Status(StatusLine());
    }
    if (!stop_by_ && trees_.well()) Reconcile();
    health_.WentWell();
  });
  const bool stepped = clock_.StepBack() > 1;
  if (stepped != clock_trouble_) {
    Log(LogLevel::kWarning, "",
        stepped ? "the system's clock has stepped back; records go on at a steady pace"
                : "the system's clock has caught up");
    clock_trouble_ = stepped;
  }
  if (!stop_by_) return;
  if (dispatcher_.n_running() == 0 && writes_.empty() && background_.n_waiting() == 0) io_.stop();
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
  task_counts_ = tasks_.Counts();
  tasks_done_at_ = tasks_.LastDone();
  const auto first = [this](std::vector<state::GroupState> states, bool newest) -> std::optional<state::GroupRow> {
    state::GroupQuery query;
    query.states = std::move(states);
    query.limit = 1;
    query.newest_first = newest;
    auto rows = store_.List(query);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  };
  health_.LookAtQueue();
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
  } catch (const std::exception& error) {
    next_reconcile_step_ = now + kReconcilePauseS;
    LogNowAndThen(LogLevel::kWarning, fmt::format("records and products cannot be compared now: {}", error.what()));
  }
}

void Daemon::AskForTasks() {
  const double now = clock_.Unix();
  // Where the operator lets the service make room: before the warning, and before that much is not free any more.
  std::string room;
  const auto scratch = health_.disks().disks.find("scratch");
  if (scratch != health_.disks().disks.end() && scratch->second.space.total_bytes > 0) {
    room = RoomWanted(scratch->second.space, options_.settings);
  }
  writes_.Add("tasks that are due", [settings = options_.settings, now, room](state::GroupStore& store) {
    state::TaskStore tasks(store.database());
    CreateDueTasks(tasks, settings, now);
    if (!room.empty()) CreateCleanup(tasks, room, now);
  });
}

// A group that became ready, or a worker that ended, does not wait for the next tick.
void Daemon::TickSoon() {
  if (std::exchange(tick_posted_, true)) return;
  boost::asio::post(io_, [this] {
    tick_posted_ = false;
    Survive([&] { Tick(); });
  });
}

void Daemon::AwaitTick() {
  timer_.expires_after(kTick);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    AwaitTick();
    Survive([&] { Tick(); });
  });
}

void Daemon::Reload() {
  service_.Reloading();
  try {
    Settings settings = options_.reload ? options_.reload() : options_.settings;
    settings.paths = options_.settings.paths;  // these need a restart
    settings.http = options_.settings.http;
    CheckRules(settings);
    health_.Apply(settings);
    options_.settings = settings;
    SetUpLog(ParseLogLevel(settings.daemon.log_level), ParseLogFormat(settings.daemon.log_format));
    ingest_.Apply(settings);
    dispatcher_.Apply(settings);
    calibration_.Apply(settings);
    next_disk_ = 0;
    Log(LogLevel::kInfo, "", "settings reloaded (paths and http need a restart)");
  } catch (const std::exception& error) {
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
    AwaitSignals();
    Survive([&] {
      if (signal == SIGHUP) {
        Reload();
      } else {
        Stop(signal == SIGTERM ? "SIGTERM" : "SIGINT");
      }
    });
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
  health_.LookAtDisks();
  Survive([&] { Sweep(); });
  next_sweep_ = clock_.Steady() + kSweepS;
  ingest_.Start();
  Summarise();
  writes_.SetHurry([this] { TickSoon(); });
  AddRoutes();
  if (options_.settings.http.enabled) {
    HttpServerOptions http;
    http.listen = options_.settings.http.listen;
    http.allowed_hosts = AllowedHosts(options_.settings.http);
    http_ = std::make_unique<HttpServer>(io_, http, [this](const HttpRequest& request, HttpServer::Reply reply) {
      AnswerHttp(request, std::move(reply));
    });
    const std::string host = http.listen.substr(0, http.listen.rfind(':'));
    if (ListensOpenly(http.listen)) {
      Log(LogLevel::kWarning, "",
          fmt::format("HTTP LISTENS ON EVERY ADDRESS OF THIS MACHINE ({}), without authentication; set http.listen to "
                      "127.0.0.1:9110 unless the whole network may read it",
                      http.listen));
    }
    lock_.Publish({::getpid(), fmt::format("{}:{}", host, http_->port()), ""});
    Log(LogLevel::kInfo, "", fmt::format("metrics and status on http://{}:{}", host, http_->port()));
  }
  AwaitSignals();
  AwaitTick();
  service_.Ready(StatusLine());
  // An exception ends a handler, not the service.
  for (bool ended = false; !ended;) {
    Survive([&] {
      io_.run();
      ended = true;
    });
  }
  Log(LogLevel::kInfo, "", "stopped");
}

}  // namespace

void RunDaemon(const DaemonOptions& options) {
  ::signal(SIGPIPE, SIG_IGN);
  CheckDirectories(options.settings);
  OsOr(options.os).CreateDirectories(Roots(options.settings).state);  // for the lock; the rest when the trees are known
  Daemon daemon(options);
  daemon.Run();
}

}  // namespace contimg::ops
