#include "ops/daemon/daemon.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "config/settings_loader.h"
#include "config/text.h"
#include "convert/frames.h"
#include "ops/base/host_name.h"
#include "ops/base/instance_lock.h"
#include "ops/base/log.h"
#include "ops/base/version.h"
#include "ops/calibration/sky_models.h"
#include "ops/daemon/background.h"
#include "ops/daemon/directory_sizes.h"
#include "ops/daemon/dispatcher.h"
#include "ops/daemon/health_watch.h"
#include "ops/daemon/housekeeping.h"
#include "ops/daemon/http_service.h"
#include "ops/daemon/ingest_service.h"
#include "ops/daemon/local_executor.h"
#include "ops/daemon/mosaic_watch.h"
#include "ops/daemon/photometry_recorder.h"
#include "ops/daemon/queue_summary.h"
#include "ops/daemon/service_manager.h"
#include "ops/daemon/settings_check.h"
#include "ops/daemon/status_report.h"
#include "ops/daemon/tree_guard.h"
#include "ops/daemon/upkeep_watch.h"
#include "ops/records/reconciler.h"

namespace contimg::ops {
namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr double kSummaryS = 2, kDirectorySizesS = 900;
constexpr double kDatabaseTimeoutS = 1;  // then the write waits in its queue and the loop goes on

state::DatabaseOptions QueueOptions() {
  state::DatabaseOptions options;
  options.busy_timeout_s = kDatabaseTimeoutS;
  return options;
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
  void Summarise();
  void TickSoon();
  void SayClockTrouble();
  void StopWhenDone(double now);

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
  PhotometryRecorder photometry_;
  MosaicWatch mosaics_;
  Dispatcher dispatcher_;
  Reconciler reconciler_;
  HealthWatch health_;
  DirectorySizes sizes_;
  QueueSummary queue_;
  StatusReport status_;
  Housekeeping housekeeping_;
  HttpService http_;
  boost::asio::steady_timer timer_;
  boost::asio::signal_set signals_;
  double next_summary_ = 0, next_disk_ = 0, next_alive_ = 0;
  std::optional<double> stop_by_;
  bool clock_trouble_ = false;
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
      upkeep_(options_.settings, paths_, background_, metrics_, clock_.Unix()),
      calibration_(paths_, os_, metrics_, options.settings),
      ingest_(
          IngestContext{
              io_, store_, writes_, metrics_, clock_, os_, background_, paths_, options.program, options.watcher,
              [this](const std::string& group, const GroupObservation& seen) { calibration_.Observed(group, seen); }},
          options.settings),
      photometry_(io_, paths_, os_, clock_, metrics_),
      mosaics_(io_, options_.settings, paths_, clock_, writes_),
      dispatcher_(DispatchContext{store_, writes_, metrics_, clock_, os_, paths_, calibration_,
                                  fmt::format("contimg-stream {} {}", HostName(), ::getpid()), trees_.expected(),
                                  [this](const std::string& group) { photometry_.Add(group); },
                                  [this](const std::string& group) { mosaics_.Add(group); }},
                  options.settings),
      reconciler_(paths_, store_, os_),
      health_({store_, writes_, ingest_, dispatcher_, calibration_, reconciler_, clock_, trees_, metrics_, upkeep_, os_,
               paths_},
              options.settings),
      sizes_({{"incoming", paths_.roots().input},
              {"ms", paths_.roots().output},
              {"images", paths_.roots().images},
              {"tmp", paths_.roots().tmp},
              {"state", paths_.roots().state}},
             kDirectorySizesS),
      queue_(store_, tasks_),
      status_({options_.settings, paths_, clock_, metrics_, queue_, upkeep_, calibration_, ingest_, dispatcher_,
               reconciler_, health_, sizes_}),
      housekeeping_({options_.settings, paths_, os_, clock_, background_, writes_, reconciler_}),
      http_({io_, paths_, clock_, metrics_, health_, status_}),
      timer_(io_),
      signals_(io_, SIGTERM, SIGINT, SIGHUP) {
  os_.Expect(trees_.expected());
  try {
    OpenSourcesIfAny(options.settings);  // an older one is brought up to date now, while no group waits
  } catch (const Error& error) {
    Log(LogLevel::kWarning, "", error.what());  // groups that need it will fail, and say so
  }
  dispatcher_.SetExecutor(MakeExecutor(io_, options, dispatcher_.Events()));
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
  Survive([&] { upkeep_.Tick(now, clock_.Unix(), trees_.well() ? &health_.disks() : nullptr); });
  Survive([&] {
    if (trees_.well()) housekeeping_.SweepLeftovers();
  });
  Survive([&] {
    if (!stop_by_) ingest_.Tick();
    if (!stop_by_) housekeeping_.QueueDueTasks(health_.disks());
    dispatcher_.Tick(!stop_by_ && health_.may_start());
    if (!stop_by_ && trees_.well()) photometry_.Tick();
    if (!stop_by_ && trees_.well()) mosaics_.Tick();
    if (now >= next_summary_) {
      next_summary_ = now + kSummaryS;
      Summarise();
      service_.Status(status_.Line());
    }
    if (!stop_by_ && trees_.well()) housekeeping_.CompareRecords();
    health_.WentWell();
  });
  SayClockTrouble();
  if (stop_by_) StopWhenDone(now);
}

void Daemon::Summarise() {
  if (queue_.Refresh(clock_.Unix())) health_.LookAtQueue();
}

void Daemon::SayClockTrouble() {
  const bool stepped = clock_.StepBack() > 1;
  if (stepped == clock_trouble_) return;
  Log(LogLevel::kWarning, "",
      stepped ? "the system's clock has stepped back; records go on at a steady pace"
              : "the system's clock has caught up");
  clock_trouble_ = stepped;
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
  service_.Ready(status_.Line());
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

void Daemon::StopWhenDone(double now) {
  if (dispatcher_.n_running() == 0 && writes_.empty() && background_.n_waiting() == 0 && photometry_.idle() &&
      mosaics_.idle()) {
    io_.stop();
  }
  if (now >= *stop_by_) {
    Log(LogLevel::kWarning, "", "stopping although something is left; the next start takes it up");
    io_.stop();
  }
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
  Survive([&] { housekeeping_.SweepLeftovers(); });
  ingest_.Start();
  Summarise();
  writes_.SetHurry([this] { TickSoon(); });
  if (options_.settings.http.enabled) {
    const std::string address = http_.Listen(options_.settings.http);
    lock_.Publish({::getpid(), address, ""});
    Log(LogLevel::kInfo, "", fmt::format("metrics and status on http://{}", address));
  }
  AwaitSignals();
  AwaitTick();
  service_.Ready(status_.Line());
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
