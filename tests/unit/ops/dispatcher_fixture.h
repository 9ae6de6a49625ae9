// The dispatcher with workers of the test's own, and a clock that stands still until the test lets time pass: what its
// tests share.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ops/daemon/dispatcher.h"
#include "ops/metrics/metrics.h"
#include "state/group_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {

// Keeps the jobs until the test ends them.
class FakeExecutor final : public Executor {
 public:
  explicit FakeExecutor(Events events) : events_(std::move(events)) {}
  std::string_view kind() const override { return "fake"; }
  JobResources Resources() const override { return {3, 1000000}; }
  void Apply(const Settings&) override {}
  void Start(const JobRequest& request) override {
    running_[request.job.row_id()] = request;
    ++n_started_;
  }
  void Stop(const JobId& job, ErrorKind, const std::string&) override { stopped_.push_back(job.row_id()); }
  void Tick() override {}
  std::vector<RunningJob> Running() const override {
    std::vector<RunningJob> jobs;
    for (const auto& [id, request] : running_) jobs.push_back({request.job, "convert", 0, 0, "process 1", 0});
    return jobs;
  }
  std::size_t n_running() const override { return running_.size(); }
  void EndStrays(const std::vector<JobRequest>& jobs) override {
    for (const JobRequest& job : jobs) strays_.push_back(job.name);
  }

  // What a worker does when all went well: its report, then its end.
  static void WriteReport(const std::filesystem::path& folder) {
    const Job job = ParseJob(ReadJsonFile(JobFile(folder)), folder.string());
    JobReport report;
    report.group = job.group;
    report.attempt = job.attempt;
    report.ok = true;
    report.stages.push_back({"convert", 1.5, 0, 0, nlohmann::json::object()});
    report.products.push_back({ProductKind::kScienceMs, job.measurement_set, 10, "", {}});
    WriteFileAtomically(RealOs(), ReportFile(folder), ToJson(report).dump());
  }
  void Succeed(const std::string& group) {
    WriteReport(running_.at(group).folder);
    JobOutcome outcome;
    outcome.job = running_.at(group).job;
    outcome.ok = true;
    outcome.report =
        ParseJobReport(ReadJsonFile(ReportFile(running_.at(group).folder)), running_.at(group).folder.string());
    End(outcome);
  }
  void Fail(const std::string& group, ErrorKind kind, const std::string& message) {
    JobOutcome outcome;
    outcome.job = running_.at(group).job;
    outcome.kind = kind;
    outcome.message = message;
    outcome.last_stage = "convert";
    outcome.command = "contimg worker job.json";
    End(outcome);
  }
  void End(const JobOutcome& outcome) {
    running_.erase(outcome.job.row_id());
    events_.finished(outcome);
  }

  Events events_;
  std::map<std::string, JobRequest> running_;
  std::vector<std::string> stopped_;
  std::vector<std::string> strays_;  // names
  int n_started_ = 0;
};

// One daemon's life: what it holds in memory. The database and the folders outlive it.
struct DispatcherLife {
  DispatcherLife(const ProductPaths& paths, Os& os, const Settings& settings, std::function<double()> steady,
                 std::function<double()> system)
      : store(paths.Database(StateDatabase::kIngest), {.busy_timeout_s = 0.02}),
        clock(std::move(steady), std::move(system)),
        writes(store, metrics, clock),
        calibration(paths, os, metrics, settings),
        dispatcher({store, writes, metrics, clock, os, paths, calibration, "contimg-stream test 1", {}, {}, {}, 0.02},
                   settings) {
    auto made = std::make_unique<FakeExecutor>(dispatcher.Events());
    executor = made.get();
    dispatcher.SetExecutor(std::move(made));
  }
  state::GroupStore store;
  Metrics metrics;
  DaemonClock clock;
  WriteQueue writes;
  CalibrationScheduler calibration;
  Dispatcher dispatcher;
  FakeExecutor* executor = nullptr;
};

class DispatcherTest : public ::testing::Test {
 protected:
  static constexpr const char* kGroup = "2025-10-13T13:28:03";

  void SetUp() override {
    settings_.image.enabled = false;
    settings_.calibrate.policy = "uncalibrated";
    settings_.queue.backoff_first_s = 30;
    settings_.executor.jobs = 2;
  }

  void ForgetEverything() {
    folders_ = std::make_unique<WorkFolders>();
    paths_ = &folders_->paths;
  }

  std::unique_ptr<DispatcherLife> Begin(Os& os) {
    auto life = std::make_unique<DispatcherLife>(
        *paths_, os, settings_, [this] { return steady_; }, [this] { return system_; });
    life->dispatcher.Recover();
    return life;
  }
  std::unique_ptr<DispatcherLife> Begin() { return Begin(RealOs()); }

  void AddReadyGroup(const std::string& id = kGroup) {
    state::GroupStore store(paths_->Database(StateDatabase::kIngest));
    state::GroupRow row;
    row.id = id;
    row.subbands_expected = 1;
    row.first_file_at = system_;
    state::SubbandFileRow file;
    file.group_id = id;
    file.path = (paths_->roots().input / (id + "_sb00.hdf5")).string();
    std::ofstream(file.path) << "a subband";
    store.AddFiles(row, {file}, "watcher", system_);
    state::TransitionDetails details;
    details.actor = "watcher";
    store.Transition(id, state::GroupState::kReady, details, system_);
  }

  // Nobody else can write to a database while this exists.
  struct Lock {
    explicit Lock(const std::filesystem::path& path)
        : database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
      database.exec("BEGIN IMMEDIATE");
    }
    ~Lock() { database.exec("ROLLBACK"); }
    SQLite::Database database;
  };

  void Pass(DispatcherLife& life, double seconds) {
    for (double passed = 0; passed < seconds; passed += 1) {
      steady_ += 1;
      system_ += 1;
      life.dispatcher.Tick(true);
    }
  }

  state::GroupRow Row(const std::string& id = kGroup) {
    return *state::GroupStore(paths_->Database(StateDatabase::kIngest)).Find(id);
  }
  // States in the order of the trail; fails where one event does not begin where the last one ended.
  std::vector<std::string> Trail(const std::string& id = kGroup) {
    state::GroupStore store(paths_->Database(StateDatabase::kIngest));
    std::vector<std::string> states;
    for (const state::EventRow& event : store.Events(id)) {
      if (event.kind != "state") continue;
      if (!states.empty()) {
        EXPECT_EQ(event.from_state, states.back());
      }
      states.push_back(event.to_state);
    }
    return states;
  }
  int CountDone() {
    int n = 0;
    for (const std::string& state : Trail()) n += state == "done";
    return n;
  }

  std::unique_ptr<WorkFolders> folders_ = std::make_unique<WorkFolders>();
  const ProductPaths* paths_ = &folders_->paths;
  Settings settings_;
  double steady_ = 100, system_ = 1760362083;
};

}  // namespace contimg::ops
