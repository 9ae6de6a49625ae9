#include "ops/records/maintenance_run.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>

#include "config/time.h"
#include "config/unfinished.h"
#include "ops/base/host_name.h"

namespace contimg::ops {
namespace {

constexpr double kProgressEveryS = 2;
// Where locks tell nothing (another host, a file system without them), a run that says nothing for so long is over. Its
// steps (one file copied, one archive read) report more often.
constexpr double kSilenceS = 6 * kSecondsPerHour;

std::filesystem::path LockOfRun(const std::filesystem::path& database, std::int64_t id) {
  return database.parent_path() / fmt::format(".maintenance-run-{}.lock", id);
}

bool Lives(const state::MaintenanceRow& row, const std::filesystem::path& database, double now) {
  if (row.host == HostName()) {
    const OwnerLock lock(LockOfRun(database, row.id));
    if (lock.answer() != OwnerLock::Answer::kUnknown) return lock.answer() == OwnerLock::Answer::kTaken;
  }
  return now - row.updated_at <= kSilenceS;
}

int CloseKilledRuns(state::MaintenanceStore& store, const std::filesystem::path& database, double now) {
  return store.CloseAbandoned([&](const state::MaintenanceRow& row) { return Lives(row, database, now); }, now);
}

// The row of one run. Failing to write it is told once.
class RunRow {
 public:
  RunRow(const MaintenanceRequest& request, Reporter& reporter) : kind_(request.kind), reporter_(reporter) {
    Try([&] {
      const double now = UtcTime::Now().unix_s();
      store_.emplace(request.database);
      state::MaintenanceRow row;
      row.kind = request.kind;
      row.actor = request.actor;
      row.host = HostName();
      row.pid = static_cast<int>(::getpid());
      row.dry_run = request.dry_run;
      CloseKilledRuns(*store_, request.database, now);
      id_ = store_->Begin(row, now, [&](std::int64_t id) { lock_ = OwnerLock(LockOfRun(request.database, id)); });
    });
  }
  void Progress(double fraction) {
    const double now = UtcTime::Now().unix_s();
    if (!id_ || (now >= said_at_ && now - said_at_ < kProgressEveryS)) return;
    said_at_ = now;
    Try([&] { store_->SetProgress(*id_, fraction, now); });
  }
  void Finish(state::RunOutcome outcome, const std::string& error, const nlohmann::ordered_json& figures) {
    if (!id_) return;
    Try([&] { store_->Finish(*id_, outcome, error, figures.dump(), UtcTime::Now().unix_s()); });
  }

 private:
  template <class Body>
  void Try(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      if (!std::exchange(told_, true)) {
        reporter_.Warn(kind_, fmt::format("this run is not on record: {}", error.what()));
      }
    }
  }
  std::string kind_;
  Reporter& reporter_;
  std::optional<state::MaintenanceStore> store_;
  std::optional<std::int64_t> id_;
  OwnerLock lock_;  // as long as the process lives
  double said_at_ = 0;
  bool told_ = false;
};

class RecordingReporter final : public Reporter {
 public:
  RecordingReporter(RunRow& row, Reporter& next) : row_(row), next_(next) {}
  void Progress(std::string_view stage, double fraction) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      row_.Progress(fraction);
    }
    next_.Progress(stage, fraction);
  }
  void Warn(std::string_view stage, std::string_view message) override { next_.Warn(stage, message); }
  void Info(std::string_view stage, std::string_view message) override { next_.Info(stage, message); }

 private:
  std::mutex mutex_;
  RunRow& row_;
  Reporter& next_;
};

}  // namespace

MaintenanceLock::MaintenanceLock(const std::filesystem::path& state_directory, const std::string& kind) {
  const std::filesystem::path path = state_directory / "maintenance.lock";
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file.open()) throw SystemError(kind, path.string(), "cannot open", errno);
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  if (::fcntl(file.get(), F_OFD_SETLK, &lock) != 0) {
    if (errno != EAGAIN && errno != EACCES) throw SystemError(kind, path.string(), "cannot lock", errno);
    char holder[128] = {};
    const ssize_t n = ::pread(file.get(), holder, sizeof holder - 1, 0);
    throw Error(ErrorKind::kBusy, kind, state_directory.string(),
                fmt::format("{} works on the products of this tree: try again when it is done",
                            n > 0 ? std::string(holder, static_cast<std::size_t>(n)) : "another process"));
  }
  const std::string text = fmt::format("{}, process {}", kind, ::getpid());
  (void)!::ftruncate(file.get(), 0);
  (void)!::pwrite(file.get(), text.data(), text.size(), 0);
  file_ = std::move(file);
}

state::RunOutcome RunMaintenance(const MaintenanceRequest& request, const RunContext& context,
                                 const MaintenanceWork& work) {
  RunRow row(request, *context.reporter);
  RecordingReporter reporter(row, *context.reporter);
  RunContext inner = context;
  inner.reporter = &reporter;
  nlohmann::ordered_json figures = nlohmann::ordered_json::object();
  try {
    const state::RunOutcome outcome = work(inner, figures);
    row.Finish(outcome, "", figures);
    return outcome;
  } catch (const Error& error) {
    row.Finish(error.kind() == ErrorKind::kCancelled ? state::RunOutcome::kCancelled : state::RunOutcome::kFailed,
               error.what(), figures);
    throw;
  } catch (const std::exception& error) {
    row.Finish(state::RunOutcome::kFailed, error.what(), figures);
    throw;
  }
}

int CloseKilledRuns(const std::filesystem::path& database) {
  state::MaintenanceStore store(database);
  return CloseKilledRuns(store, database, UtcTime::Now().unix_s());
}

std::string MaintenanceActor() {
  if (std::getenv("INVOCATION_ID") != nullptr) return "timer";
  return ::isatty(STDIN_FILENO) != 0 ? "operator" : "script";
}

}  // namespace contimg::ops
