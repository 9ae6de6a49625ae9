// The dispatcher with workers of the test's own: what is recorded, what is tried again, and that a daemon may die at
// any of its steps, between a worker's report and the record of it above all.
#include "ops/daemon/dispatcher.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "ops/metrics/metrics.h"
#include "ops/records/operator_actions.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/source_store.h"
#include "state/task_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;
using testkit::FaultyOs;

constexpr const char* kGroup = "2025-10-13T13:28:03";

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
  static void WriteReport(const fs::path& folder) {
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
struct Life {
  Life(const ProductPaths& paths, Os& os, const Settings& settings, std::function<double()> steady,
       std::function<double()> system)
      : store(paths.Database(StateDatabase::kIngest), {.busy_timeout_s = 0.02}),
        clock(std::move(steady), std::move(system)),
        writes(store, metrics, clock),
        calibration(paths, os, metrics, settings),
        dispatcher({store, writes, metrics, clock, os, paths, calibration, "contimg-stream test 1", {}, 0.02},
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

  std::unique_ptr<Life> Begin(Os& os) {
    auto life = std::make_unique<Life>(
        *paths_, os, settings_, [this] { return steady_; }, [this] { return system_; });
    life->dispatcher.Recover();
    return life;
  }
  std::unique_ptr<Life> Begin() { return Begin(RealOs()); }

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
    store.Transition(id, GroupState::kReady, details, system_);
  }

  // Nobody else can write to a database while this exists.
  struct Lock {
    explicit Lock(const fs::path& path) : database(path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE) {
      database.exec("BEGIN IMMEDIATE");
    }
    ~Lock() { database.exec("ROLLBACK"); }
    SQLite::Database database;
  };

  void Pass(Life& life, double seconds) {
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

TEST_F(DispatcherTest, WorksOffAReadyGroupAndExplainsIt) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kRunning);
  EXPECT_EQ(life->executor->n_running(), 1u);
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup)));
}

TEST_F(DispatcherTest, StartsNothingWhileADiskIsFull) {
  AddReadyGroup();
  auto life = Begin();
  for (int i = 0; i < 5; ++i) {
    steady_ += 1;
    life->dispatcher.Tick(false);
  }
  EXPECT_EQ(Row().state, GroupState::kReady);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, AGroupWhoseFilesWereTakenAwayIsGivenUpAtOnce) {
  AddReadyGroup();
  std::filesystem::remove(paths_->roots().input / (std::string(kGroup) + "_sb00.hdf5"));
  auto life = Begin();
  Pass(*life, 5);
  const auto row = Row();
  EXPECT_EQ(row.state, GroupState::kDead);
  EXPECT_EQ(row.error_kind, ErrorKind::kIncomplete);
  EXPECT_EQ(row.error, "0 of 1 subbands are there and at least 1 are needed (ingest.min_subbands)");
  EXPECT_EQ(row.subbands_present, 0);
}

TEST_F(DispatcherTest, TriesPassingTroubleAgainWithGrowingDelay) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  EXPECT_NEAR(Row().next_attempt_at - system_, 30, 0.2 * 30);
  Pass(*life, 20);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  Pass(*life, 20);
  EXPECT_EQ(Row().state, GroupState::kRunning);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  EXPECT_NEAR(Row().next_attempt_at - system_, 60, 0.2 * 60);
}

TEST_F(DispatcherTest, RetriesComeDueAlthoughTheClockStepsBack) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
  life->dispatcher.Tick(true);
  system_ -= 7200;
  Pass(*life, 40);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, AClockSetBackBetweenTwoLivesLeavesNoGroupWaitingForHours) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    life->executor->Fail(kGroup, ErrorKind::kIo, "no space");
    life->dispatcher.Tick(true);
  }
  system_ -= 10 * 86400;
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Row().state, GroupState::kRunning);
}

TEST_F(DispatcherTest, CrashesTwiceThenWritesDownWhy) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  Pass(*life, 40);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDead);
  EXPECT_TRUE(fs::exists(paths_->FailedLog(kGroup)));
}

TEST_F(DispatcherTest, AttemptsThatTheDaemonCutShortAreNotTheGroupsFault) {
  AddReadyGroup();
  for (int i = 0; i < 5; ++i) {
    auto life = Begin();
    life->dispatcher.Tick(true);
    EXPECT_EQ(Row().state, GroupState::kRunning);
  }  // dies without a word
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(kGroup, ErrorKind::kCrash, "signal 11");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kFailed);  // the first crash of two
}

TEST_F(DispatcherTest, NeverHasTwoWorkersOnOneGroup) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  ASSERT_EQ(life->executor->n_started_, 1);
  {  // cancelled and given back before the daemon has looked
    state::GroupStore operator_store(paths_->Database(StateDatabase::kIngest));
    state::TransitionDetails details;
    details.actor = "operator";
    operator_store.Transition(kGroup, GroupState::kCancelled, details, system_);
    operator_store.Transition(kGroup, GroupState::kReady, details, system_);
  }
  Pass(*life, 5);
  EXPECT_EQ(life->executor->n_started_, 1);
  EXPECT_FALSE(life->executor->stopped_.empty());
  // The old worker's success comes too late to count for the new attempt.
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(CountDone(), 0);
  Pass(*life, 5);
  EXPECT_EQ(life->executor->n_started_, 2);
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
}

TEST_F(DispatcherTest, StoppingHandsGroupsBack) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->dispatcher.StopAll();
  life->executor->Fail(kGroup, ErrorKind::kCancelled, "the daemon stops");
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kReady);
  EXPECT_FALSE(fs::exists(paths_->FailedLog(kGroup)));
}

TEST_F(DispatcherTest, AFullStateDiskDelaysRecordsAndLosesNone) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  // SQLite's own "disk full": the database may not grow by a single page.
  SQLite::Database& database = life->store.database().handle();
  const int pages = database.execAndGet("PRAGMA page_count").getInt();
  database.exec("PRAGMA max_page_count = " + std::to_string(pages));
  life->executor->Succeed(kGroup);
  // Many small records fill what is left of the last pages.
  for (int i = 0; i < 2000; ++i) {
    life->writes.Add("note", [](state::GroupStore& store) {
      state::EventRow event;
      event.group_id = kGroup;
      event.kind = "note";
      event.detail = std::string(200, 'x');
      store.AddEvent(event);
    });
  }
  Pass(*life, 3);
  EXPECT_FALSE(life->writes.trouble().empty());
  EXPECT_NE(life->writes.trouble().find("no space left"), std::string::npos) << life->writes.trouble();
  EXPECT_FALSE(life->writes.empty());
  database.exec("PRAGMA max_page_count = 1000000");
  Pass(*life, 2);
  EXPECT_TRUE(life->writes.empty());
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(life->store.Events(kGroup).size(), 2000u + 6u);  // file, three transitions, product, done
}

// --- a database that somebody else holds for longer than a lease
// -------------------------------------------------------
constexpr const char* kOther = "2025-10-13T13:33:12";

class BusyDatabase : public DispatcherTest, public ::testing::WithParamInterface<StateDatabase> {};

TEST_P(BusyDatabase, CostsNoWorkAndNoLease) {
  AddReadyGroup();
  AddReadyGroup(kOther);
  auto life = Begin();
  Pass(*life, 2);
  ASSERT_EQ(life->executor->n_running(), 2u);
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  {
    const Lock lock(paths_->Database(GetParam()));
    life->executor->Succeed(kGroup);
    for (double passed = 0; passed < 2.5 * settings_.queue.lease_s; passed += 50) {
      steady_ += 50;
      system_ += 50;
      life->dispatcher.Tick(true);
    }
    const bool holds_up = GetParam() != StateDatabase::kMasterSources;
    EXPECT_EQ(!life->writes.empty(), holds_up);
    EXPECT_EQ(Row().state, holds_up ? GroupState::kRunning : GroupState::kDone);
    EXPECT_EQ(Row(kOther).state, GroupState::kRunning);
    if (GetParam() != StateDatabase::kIngest) {
      EXPECT_GT(Row(kOther).lease_expires_at, system_) << "its lease is not kept";
      EXPECT_TRUE(life->writes.settled());
    }
  }
  Pass(*life, 3);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup)));
  EXPECT_EQ(state::ProductStore(paths_->Database(StateDatabase::kProducts)).JobsOf(kGroup).size(), 1u);
  EXPECT_TRUE(life->executor->stopped_.empty());
  life->executor->Succeed(kOther);
  Pass(*life, 2);
  EXPECT_EQ(Trail(kOther), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
  EXPECT_EQ(life->executor->n_started_, 2);
}

TEST_P(BusyDatabase, AtTheStartIsWaitedFor) {
  AddReadyGroup();
  AddReadyGroup(kOther);
  {
    auto life = Begin();
    Pass(*life, 2);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
  }  // died with both at work, one of them with its report
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  std::unique_ptr<Life> life;
  {
    const Lock lock(paths_->Database(GetParam()));
    life = Begin();
    Pass(*life, 3);
  }
  Pass(*life, 3);
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
  EXPECT_EQ(Row(kOther).state, GroupState::kRunning);
  EXPECT_EQ(life->executor->n_started_, 1);
}

TEST_P(BusyDatabase, BeforeAJobCostsNoAttempt) {
  auto life = Begin();
  state::ProductStore(paths_->Database(StateDatabase::kProducts));
  state::SourceStore(paths_->Database(StateDatabase::kMasterSources));
  AddReadyGroup();
  {
    const Lock lock(paths_->Database(GetParam()));
    Pass(*life, 3);
  }
  Pass(*life, 3);
  EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running"}));
  EXPECT_EQ(Row().attempts, 1);
}

INSTANTIATE_TEST_SUITE_P(EachAlone, BusyDatabase,
                         ::testing::Values(StateDatabase::kIngest, StateDatabase::kCalRegistry,
                                           StateDatabase::kProducts, StateDatabase::kMasterSources));

TEST_F(DispatcherTest, StepsOfTheClockTakeNoRunningJobAway) {
  for (const double step : {600.0, 86400.0, -600.0, -86400.0}) {
    for (int phase = 0; phase < 120; phase += 15) {  // of the look for expired leases
      SCOPED_TRACE(step + phase);
      ForgetEverything();
      AddReadyGroup();
      auto life = Begin();
      Pass(*life, 1 + phase);
      system_ += step;
      steady_ += 1;
      life->dispatcher.Tick(true);
      Pass(*life, 130);
      EXPECT_TRUE(life->executor->stopped_.empty());
      life->executor->Succeed(kGroup);
      Pass(*life, 2);
      EXPECT_EQ(Trail(), (std::vector<std::string>{"collecting", "ready", "running", "done"}));
    }
  }
}

TEST_F(DispatcherTest, ALeaseThatNobodyHereHoldsIsTakenBack) {
  AddReadyGroup();
  auto life = Begin();
  state::GroupStore(paths_->Database(StateDatabase::kIngest))
      .Acquire(kGroup, "another runner", settings_.queue.lease_s, system_);
  Pass(*life, settings_.queue.lease_s - 20);
  EXPECT_EQ(life->executor->n_started_, 0);
  Pass(*life, 2 * settings_.queue.lease_s);
  EXPECT_EQ(life->executor->n_started_, 1);
}

TEST_F(DispatcherTest, ASuccessThatComesTooLateIsOnRecord) {
  AddReadyGroup();
  auto life = Begin();
  life->dispatcher.Tick(true);
  {
    state::GroupStore operators(paths_->Database(StateDatabase::kIngest));
    state::TransitionDetails details;
    details.actor = "operator";
    operators.Transition(kGroup, GroupState::kHeld, details, system_);
  }
  life->executor->Succeed(kGroup);
  life->dispatcher.Tick(true);
  EXPECT_EQ(Row().state, GroupState::kHeld);
  const auto events = life->store.Events(kGroup);
  EXPECT_EQ(events.back().kind, "note");
  EXPECT_EQ(events.back().detail, "attempt 1 had succeeded; not recorded, for the group is held");
  EXPECT_TRUE(fs::exists(paths_->Jobs(kGroup))) << "the folder may be a later attempt's";
}

TEST_F(DispatcherTest, ASuccessThatCannotBeRecordedIsAFailureAndLeavesNothingHalf) {
  AddReadyGroup();
  auto life = Begin();
  life->store.database().handle().exec(
      "CREATE TRIGGER no_done BEFORE UPDATE ON groups WHEN NEW.state = 'done' BEGIN SELECT RAISE(ABORT, 'no'); END");
  life->dispatcher.Tick(true);
  life->executor->Succeed(kGroup);
  Pass(*life, 2);
  EXPECT_EQ(Row().state, GroupState::kFailed);
  EXPECT_EQ(Row().error_kind, ErrorKind::kBug);
  EXPECT_NE(Row().error.find("its worker had succeeded, and that cannot be recorded"), std::string::npos);
  for (const state::EventRow& event : life->store.Events(kGroup)) EXPECT_NE(event.kind, "product");
  EXPECT_TRUE(fs::exists(ReportFile(paths_->Jobs(kGroup)))) << "what the worker said must stay";
}

// --- tasks go the same way
// ----------------------------------------------------------------------------------------------
class TaskTest : public DispatcherTest {
 protected:
  std::string AddTask(const std::string& subject = "2025-10-14T03:00:00") {
    return state::TaskStore(paths_->Database(StateDatabase::kIngest)).Create("backup", subject, "test", "", system_).id;
  }
  state::TaskRow Task(const std::string& id) {
    return *state::TaskStore(paths_->Database(StateDatabase::kIngest)).Find(id);
  }
  void Act(const std::string& id, GroupState to) {
    state::TransitionDetails details;
    details.actor = "operator";
    state::TaskStore(paths_->Database(StateDatabase::kIngest)).Transition(id, to, details, system_);
  }
  static void SucceedTask(Life& life, const std::string& id) {
    JobReport report;
    report.job = id;
    report.attempt = 1;
    report.ok = true;
    report.stages.push_back({"backup", 1, 0, 0, {{"summary", "3 databases, 1.0 MB, in /b"}}});
    JobOutcome outcome;
    outcome.job = JobId::Parse(id);
    outcome.ok = true;
    outcome.report = report;
    life.executor->End(outcome);
  }
};

TEST_F(TaskTest, IsDoneBesideTheGroupsAndOneAtATime) {
  settings_.executor.jobs = 1;
  AddReadyGroup();
  const std::string first = AddTask(), second = AddTask("2025-10-15T03:00:00");
  auto life = Begin();
  life->dispatcher.Tick(true);
  EXPECT_EQ(life->executor->n_running(), 2u);
  const fs::path job = JobFile(paths_->TaskJob("backup", "2025-10-14T03:00:00"));
  const auto json = ReadJsonFile(job);
  EXPECT_EQ(json.at("job"), first);
  EXPECT_EQ(json.at("threads"), 3) << "the executor's decision";
  EXPECT_EQ(json.at("memory_bytes"), 1000000);
  Pass(*life, 2);
  EXPECT_EQ(Task(first).executor_id, "contimg-backup-2025-10-14T03:00:00-1");
  EXPECT_EQ(Task(first).executor, "fake");
  EXPECT_EQ(Task(second).state, GroupState::kReady);
  SucceedTask(*life, first);
  Pass(*life, 2);
  EXPECT_EQ(Task(first).state, GroupState::kDone);
  EXPECT_EQ(Trail(first), (std::vector<std::string>{"ready", "running", "done"}));
  EXPECT_EQ(life->store.Events(first).back().detail, "3 databases, 1.0 MB, in /b");
  EXPECT_FALSE(fs::exists(job.parent_path()));
  EXPECT_EQ(Task(second).state, GroupState::kRunning);
}

TEST_F(TaskTest, GoesOnWhereAFullDiskStopsTheImaging) {
  AddReadyGroup();
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(false);
  EXPECT_EQ(Row().state, GroupState::kReady);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
}

TEST_F(TaskTest, IsTriedAgainAndGivenUpLikeAGroup) {
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(true);
  life->executor->Fail(id, ErrorKind::kIo, "no space");
  Pass(*life, 1);
  EXPECT_EQ(Task(id).state, GroupState::kFailed);
  Pass(*life, 40);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  life->executor->Fail(id, ErrorKind::kCrash, "signal 11");  // the second failure of two
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDead);
  EXPECT_EQ(Task(id).error_kind, ErrorKind::kCrash);
  state::TaskStore tasks(paths_->Database(StateDatabase::kIngest));
  ASSERT_EQ(tasks.Troubled().size(), 1u);
  RequeueTask(tasks, *tasks.Find(id), {"operator", "mended", system_, {}});
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
}

TEST_F(TaskTest, IsHeldWhileAtWorkAndReleased) {
  const std::string id = AddTask();
  auto life = Begin();
  life->dispatcher.Tick(true);
  Act(id, GroupState::kHeld);
  Pass(*life, 2);
  EXPECT_EQ(life->executor->stopped_, std::vector<std::string>{id});
  life->executor->Fail(id, ErrorKind::kCancelled, "cancelled by the operator");
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kHeld);
  Act(id, GroupState::kReady);
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  EXPECT_EQ(Task(id).attempts, 2);
}

TEST_F(TaskTest, OfAKindThatThisProgramDoesNotKnowIsGivenUpWithItsReason) {
  const std::string id =
      state::TaskStore(paths_->Database(StateDatabase::kIngest)).Create("mosaic", "x", "test", "", system_).id;
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDead);
  EXPECT_NE(Task(id).error.find("is no kind of task that this program knows"), std::string::npos);
}

TEST_F(TaskTest, OfADeadDaemonIsTakenUpAgain) {
  const std::string id = AddTask();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    EXPECT_EQ(Task(id).state, GroupState::kRunning);
  }
  auto life = Begin();
  EXPECT_EQ(life->executor->strays_, std::vector<std::string>{"contimg-backup-2025-10-14T03:00:00-1"});
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kRunning);
  EXPECT_EQ(Task(id).attempts, 2);
}

TEST_F(TaskTest, ThatHadFinishedWhenTheDaemonDiedIsDone) {
  const std::string id = AddTask();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    JobReport report;
    report.job = id;
    report.attempt = 1;
    report.ok = true;
    WriteFileAtomically(RealOs(), ReportFile(paths_->TaskJob("backup", "2025-10-14T03:00:00")), ToJson(report).dump());
  }
  auto life = Begin();
  Pass(*life, 2);
  EXPECT_EQ(Task(id).state, GroupState::kDone);
  EXPECT_EQ(life->executor->n_started_, 0);
}

// --- the daemon dies at each of its steps ---------------------------------------------------------------------------
// From a ready group to the last step after the record of its success, in a process of its own that is killed at the
// n-th call that changes a file. False when it was not killed.
bool LiveUntilKilled(const std::function<void(Os&)>& live, FaultyOs::Fault fault, int at) {
  const pid_t child = ::fork();
  if (child == 0) {
    FaultyOs os(fault, at);
    live(os);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

TEST_F(DispatcherTest, KilledAtAnyStepTheNextLifeFinishesEachGroupOnce) {
  const auto live = [this](Os& os) {
    auto life = Begin(os);
    life->dispatcher.Tick(true);
    if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
    life->dispatcher.Tick(true);
  };
  int n_kills = 0;
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      AddReadyGroup();
      if (!LiveUntilKilled(live, fault, at)) break;
      ++n_kills;
      auto life = Begin();
      Pass(*life, 3);
      if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
      Pass(*life, 3);
      EXPECT_EQ(Row().state, GroupState::kDone);
      EXPECT_EQ(CountDone(), 1);
      life.reset();
      ForgetEverything();
    }
    ForgetEverything();
  }
  EXPECT_GT(n_kills, 8);
}

// Each look at the disk fails in turn, from the group's start to its record: it is tried again and done once.
TEST_F(DispatcherTest, ALookThatFailsDelaysAndLosesNothing) {
  for (int n = 1;; ++n) {
    SCOPED_TRACE("look " + std::to_string(n));
    ASSERT_LT(n, 100);
    ForgetEverything();
    AddReadyGroup();
    FaultyOs os;
    auto life = Begin(os);
    os.FailReads(n);
    for (int turn = 0; turn < 60 && Row().state != GroupState::kDone; ++turn) {
      EXPECT_NO_THROW(Pass(*life, 2)) << os.read_fault_at();
      if (life->executor->n_running() == 1) life->executor->Succeed(kGroup);
    }
    EXPECT_EQ(CountDone(), 1) << os.read_fault_at();
    EXPECT_FALSE(fs::exists(paths_->Jobs(kGroup))) << os.read_fault_at();
    if (os.read_fault_at().empty()) {
      EXPECT_EQ(n, 4) << "the input file, the job's file and what is in it are looked at";
      break;
    }
  }
}

// Between the record and its log the daemon was killed, or the disk was full.
TEST_F(DispatcherTest, AGroupThatWasGivenUpHasItsLogAfterTheNextStart) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    life->executor->Fail(kGroup, ErrorKind::kBadInput, "the subbands contradict each other");
    life->dispatcher.Tick(true);
  }
  ASSERT_EQ(Row().state, GroupState::kDead);
  const fs::path log = paths_->FailedLog(kGroup);
  ASSERT_TRUE(fs::remove(log));
  auto life = Begin();
  std::ostringstream text;
  text << std::ifstream(log).rdbuf();
  EXPECT_NE(text.str().find("the subbands contradict each other (bad_input)"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("after 1 attempt"), std::string::npos) << text.str();
}

TEST_F(DispatcherTest, KilledBetweenReportAndRecordTheReportIsTakenOver) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
  }  // died: nothing recorded
  ASSERT_EQ(Row().state, GroupState::kRunning);
  auto life = Begin();
  EXPECT_EQ(life->executor->strays_, std::vector<std::string>{"contimg-group-2025-10-13T13:28:03-1"});
  EXPECT_EQ(Row().state, GroupState::kDone);
  EXPECT_EQ(CountDone(), 1);
  Pass(*life, 3);
  EXPECT_EQ(life->executor->n_started_, 0);
}

TEST_F(DispatcherTest, AReportOfAnEarlierAttemptIsNotTakenOver) {
  AddReadyGroup();
  {
    auto life = Begin();
    life->dispatcher.Tick(true);
    FakeExecutor::WriteReport(paths_->Jobs(kGroup));
    state::GroupStore(paths_->Database(StateDatabase::kIngest))
        .database()
        .handle()
        .exec("UPDATE groups SET attempts = attempts + 1");
  }
  auto life = Begin();
  EXPECT_EQ(Row().state, GroupState::kReady);
}

}  // namespace
}  // namespace contimg::ops
