#include "ops/calibration/scheduler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "calibrate/casacore/calibration_table.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/table_checksum.h"
#include "ops/records/registration.h"
#include "ops/worker/measure_table.h"
#include "tests/faulty_os.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;
using state::GroupState;

constexpr double kTile = 309.24;
const UtcTime kStart = UtcTime::FromIso8601("2025-10-13T13:00:00");

// Solutions of six antennas, all 1 with a signal-to-noise ratio of 100.
calibrate::SolutionSet Solutions(SolutionKind kind, double mid_mjd, double dec_deg, const std::string& refant) {
  calibrate::SolutionSet s;
  s.kind = kind;
  for (const char* name : {"24", "25", "26", "27", "28", "29"}) {
    const double x = static_cast<double>(s.antennas.size()) * 30;
    s.antennas.push_back({name, {-2409000 + x, -4478000, 3838000}, 4.65});
  }
  s.windows.push_back({{1.400e9, 1.401e9, 1.402e9, 1.403e9}, 1e6, 1.4015e9});
  s.intervals.push_back({mid_mjd * 86400, kTile});
  s.field_dec_rad = Angle::Degrees(dec_deg).rad();
  s.field_name = "field";
  s.source_ms = "tile.ms";
  for (std::size_t a = 0; a < s.antennas.size(); ++a) {
    if (s.antennas[a].name == refant) s.reference_antenna = static_cast<int>(a);
  }
  s.Allocate();
  for (std::size_t i = 0; i < s.size(); ++i) {
    s.value[i] = 1;
    s.error[i] = 0.01f;
    s.snr[i] = 100;
    s.flag[i] = calibrate::kSolved;
  }
  if (kind == SolutionKind::kBandpass) s.normalisation.assign(s.antennas.size() * s.n_receptors, 1);
  return s;
}

TableFacts Measured(const fs::path& path) {
  const calibrate::SolutionSet solutions = calibrate::ReadCalibrationTable(path);
  return FactsOf(path, solutions, calibrate::MeasureQuality(solutions, nullptr, 0, 0));
}

class CalibrationSchedulerTest : public ::testing::Test {
 protected:
  CalibrationSchedulerTest() {
    DirectoryRoots roots;
    roots.scratch = place_.directory() / "scratch";
    roots.state = place_.directory() / "state";
    roots.output = roots.scratch / "ms";
    fs::create_directories(roots.state);
    paths_ = std::make_unique<ProductPaths>(roots);
    settings_.paths.scratch_dir = roots.scratch.string();
    settings_.paths.state_dir = roots.state.string();
    settings_.calibrate.max_declination_offset_deg = 2.5;
    // A bright source in the beam of every tile of the test, and one on another strip.
    state::SourceStore sources(paths_->Database(StateDatabase::kMasterSources));
    state::SourceRow row;
    row.catalogue = "nvss";
    row.name = "bright";
    row.ra_deg = 200;
    row.dec_deg = 16;
    row.flux_jy = 5;
    sources.Save({row});
    groups_ = std::make_unique<state::GroupStore>(paths_->Database(StateDatabase::kIngest));
    Open();
  }

  void Open() {
    scheduler_.reset();
    scheduler_ = std::make_unique<CalibrationScheduler>(*paths_, RealOs(), metrics_, settings_);
  }

  // The n-th tile of the drift as a running group.
  state::GroupRow Group(int n, double dec_deg = 16, int antennas = 60) {
    const UtcTime begin = kStart + n * kTile;
    const std::string id = begin.Iso8601();
    state::GroupRow row;
    row.id = id;
    row.state = GroupState::kReady;
    row.subbands_expected = 16;
    groups_->Create(row, "test", now_);
    GroupObservation seen;
    seen.mid_mjd = (begin + kTile / 2).mjd();
    seen.duration_s = kTile;
    seen.ra_deg = 199.5 + 0.01 * n;  // near enough to the source in all of them
    seen.dec_deg = seen.app_dec_deg = dec_deg;
    seen.antennas = antennas;
    seen.dish_m = 4.65;
    seen.baseline_deciles_m = {300, 500, 700, 900, 1100, 1300, 1500, 1700, 1900, 2100, 2600};
    seen.integration_s = kTile / 24;
    seen.channel_width_hz = 244140.625;
    seen.low_hz = 1.311e9;
    seen.high_hz = 1.4986e9;
    seen.subbands = 16;
    scheduler_->Observed(id, seen);
    return Take(id);
  }
  std::vector<HealthFinding> Health() {
    HealthFacts facts;
    facts.now = now_;
    facts.calibration = scheduler_->Facts();
    return JudgeHealth(facts);
  }
  state::GroupRow Take(const std::string& id) { return groups_->Acquire(id, "test", 100, now_).value(); }

  Job Plan(const state::GroupRow& row, bool flagged = false) {
    Job job;
    job.group = row.id;
    job.measurement_set = paths_->ScienceMs(row.id);
    const fs::path folder = paths_->Jobs(row.id);
    fs::create_directories(folder);
    scheduler_->PlanJob(row, flagged, folder, job, now_);
    std::ofstream(JobFile(folder)) << ToJson(job);
    return job;
  }

  // What a worker would report after the job's solve.
  JobReport Solve(const Job& job, bool accepted = true, const std::string& refant = "24") {
    JobReport report;
    report.group = job.group;
    report.ok = true;
    const double mid = (UtcTime::FromIso8601(job.group) + kTile / 2).mjd();
    fs::create_directories(job.solve->prefix.parent_path());
    for (const std::string& kind : job.solve->kinds) {
      JobCalibration made;
      made.kind = kind;
      made.path = job.solve->prefix.string() + (kind == "K" ? ".kcal" : kind == "BP" ? ".bpcal" : ".gpcal");
      made.interval = job.solve->interval;
      made.model = job.solve->model;
      made.reference_antenna = refant;
      made.accepted = accepted || kind != "G";
      if (!made.accepted) made.failures = {"median SNR is 3.0, the limit is 10.0"};
      calibrate::WriteCalibrationTable(Solutions(KindOf(kind), mid, 16, refant), made.path);
      made.table = Measured(made.path);
      report.calibration.push_back(made);
      if (accepted) report.applied.push_back(made.path);
    }
    if (accepted) {
      for (const JobTable& table : job.solve->apply) report.applied.push_back(table.path);
    } else {
      for (const JobTable& table : job.tables) report.applied.push_back(table.path);
      if (job.tables.empty()) report.next_state = "awaiting_calibration";
    }
    return report;
  }

  void Finish(const state::GroupRow& row, const JobReport& report) {
    const auto error = scheduler_->Record(row, report, now_);
    ASSERT_FALSE(error) << error->what();
    state::TransitionDetails details;
    details.actor = "test";
    groups_->Transition(row.id, state::ParseGroupState(report.next_state), details, now_);
  }

  // A group that waits, as a job without tables leaves it.
  std::string Waiting(int n, double dec_deg = 16) {
    const auto row = Group(n, dec_deg, 3);  // three antennas: no solve on it
    const Job job = Plan(row);
    EXPECT_FALSE(job.solve);
    JobReport report;
    report.group = row.id;
    report.ok = true;
    report.next_state = "awaiting_calibration";
    Finish(row, report);
    return row.id;
  }

  // The groups that Tick lets go, with the words for them.
  std::map<std::string, CalibrationScheduler::Release> Released() {
    std::map<std::string, CalibrationScheduler::Release> out;
    for (int i = 0; i < 100; ++i) {
      scheduler_->Tick(*groups_, now_, [&](const auto& release) { out[release.group] = release; });
    }
    return out;
  }

  state::TemporaryDatabase place_;
  std::unique_ptr<ProductPaths> paths_;
  Settings settings_;
  Metrics metrics_;
  std::unique_ptr<state::GroupStore> groups_;
  std::unique_ptr<CalibrationScheduler> scheduler_;
  double now_ = 1.76e9;
};

// Why an image is of uncalibrated data is known afterwards, too.
TEST_F(CalibrationSchedulerTest, AnUncalibratedGroupKeepsTheReasonWhyNoTableServed) {
  settings_.calibrate.policy = "uncalibrated";
  settings_.calibrate.schedule = false;
  scheduler_->Apply(settings_);
  const auto group = Group(0);
  Plan(group);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const std::string reason = store.Choices(group.id).at(0).reason;
  EXPECT_NE(reason.find("no bandpass or gain serves this time"), std::string::npos) << reason;
  JobReport report;
  report.group = group.id;
  report.next_state = "done";
  EXPECT_FALSE(scheduler_->Record(group, report, now_));
  for (const state::CalChoiceRow& choice : store.Choices(group.id)) {
    EXPECT_EQ(choice.reason, reason) << choice.kind;
    EXPECT_FALSE(choice.table_id);
  }
}

TEST_F(CalibrationSchedulerTest, AColdStartSolvesEverythingAndTheNextGroupIsServed) {
  const auto first = Group(0);
  const Job job = Plan(first);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"convert", "flag", "solve", "apply", "image"}));
  ASSERT_TRUE(job.solve);
  EXPECT_EQ(job.solve->kinds, (std::vector<std::string>{"K", "BP", "G"}));
  EXPECT_EQ(job.solve->model, "field");
  EXPECT_EQ(job.solve->interval, "24h");
  EXPECT_EQ(job.solve->prefix, paths_->CalTablePrefix(first.id, CalInterval::k24Hours));
  EXPECT_TRUE(fs::exists(job.sky_model));
  EXPECT_TRUE(job.tables.empty());
  Finish(first, Solve(job));

  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const auto tables = store.List({});
  ASSERT_EQ(tables.size(), 3u);  // BP, G, K
  EXPECT_EQ(tables[0].status, "active");
  EXPECT_EQ(tables[0].rests_on, (std::vector<std::int64_t>{tables[2].id}));
  EXPECT_EQ(tables[1].rests_on, (std::vector<std::int64_t>{tables[2].id, tables[0].id}));
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "passed");
  EXPECT_EQ(store.Choices(first.id).at(0).reason, "solved on this group");

  const auto second = Group(1);
  const Job applied = Plan(second);
  EXPECT_EQ(applied.stages, (std::vector<std::string>{"convert", "flag", "apply", "image"}));
  EXPECT_EQ(applied.tables.size(), 3u);
  EXPECT_EQ(store.Decision(second.id)->action, "apply");
  EXPECT_EQ(store.Choices(second.id).at(1).table_id, tables[1].id);
}

TEST_F(CalibrationSchedulerTest, ADamagedTableIsNotUsedAndServesAgainWhenItsFilesAreBack) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first)));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const auto tables = store.List({});
  const fs::path bandpass = tables[0].path, copy = place_.directory() / "copy";
  ASSERT_EQ(tables[0].kind, "BP");
  fs::copy(bandpass, copy, fs::copy_options::recursive);
  ASSERT_EQ(Plan(Group(1)).tables.size(), 3u);

  // One byte of it turns over.
  const fs::path file = bandpass / "table.f0";
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).put('!');
  const Job damaged = Plan(Group(2));
  EXPECT_TRUE(damaged.tables.empty());
  ASSERT_TRUE(damaged.solve);  // everything is solved anew
  EXPECT_EQ(damaged.solve->kinds.size(), 3u);
  for (const JobTable& table : damaged.solve->previous) EXPECT_NE(table.path, bandpass);
  scheduler_->Tick(*groups_, now_ + 100, [](const auto&) {});
  const auto findings = Health();
  EXPECT_TRUE(std::any_of(findings.begin(), findings.end(), [](const HealthFinding& each) {
    return each.code == HealthCode::kCalibrationDamaged &&
           each.sentence.find("its files have changed since it was registered") != std::string::npos;
  }));
  EXPECT_NE(metrics_.Serialize().find("contimg_calibration_tables_damaged 1"), std::string::npos);
  // `cal why` says so, too.
  const auto chosen = ChooseFromRegistry(store, tables[0].valid_from_mjd, 16, settings_.calibrate);
  EXPECT_FALSE(chosen.choice.bandpass);

  fs::remove_all(bandpass);
  EXPECT_TRUE(Plan(Group(3)).tables.empty());  // gone: no other answer
  fs::copy(copy, bandpass, fs::copy_options::recursive);
  EXPECT_EQ(Plan(Group(4)).tables.size(), 3u);
  scheduler_->Tick(*groups_, now_ + 200, [](const auto&) {});
  EXPECT_NE(metrics_.Serialize().find("contimg_calibration_tables_damaged 0"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, HourlyGainsRestOnTheDaysTablesAndAreAnchored) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first)));
  const auto later = Group(11);  // 56.7 minutes on: less than two tiles of validity remain
  const Job job = Plan(later);
  ASSERT_TRUE(job.solve);
  EXPECT_EQ(job.solve->kinds, (std::vector<std::string>{"G"}));
  EXPECT_EQ(job.solve->interval, "1h");
  ASSERT_EQ(job.solve->apply.size(), 2u);
  EXPECT_EQ(job.solve->apply[0].kind, "K");
  EXPECT_EQ(job.solve->apply[1].kind, "BP");
  EXPECT_EQ(job.solve->reference_antennas, (std::vector<std::string>{"24"}));
  ASSERT_TRUE(job.solve->anchor);
  EXPECT_EQ(job.solve->anchor->path.extension(), ".gpcal");
  EXPECT_EQ(job.solve->previous.at(0).kind, "G");
  EXPECT_EQ(job.tables.size(), 3u);  // should it fail
  Finish(later, Solve(job));
  const auto served = Group(13);  // only the new gain covers it
  const Job applied = Plan(served);
  EXPECT_FALSE(applied.solve);
  ASSERT_EQ(applied.tables.size(), 3u);
  EXPECT_NE(applied.tables.back().path.string().find("_1h.gpcal"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, WhatFailsTheGateIsRecordedAndNeverUsed) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first), false));
  EXPECT_EQ(groups_->Find(first.id)->state, GroupState::kAwaitingCalibration);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  state::CalTableQuery gains;
  gains.kind = "G";
  ASSERT_EQ(store.List(gains).size(), 1u);
  EXPECT_EQ(store.List(gains)[0].status, "failed");
  EXPECT_EQ(store.List(gains)[0].reason, "median SNR is 3.0, the limit is 10.0");
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
  // K and BP passed: the gains alone are solved, on this very group; when they fail as well it waits for others.
  auto released = Released();
  EXPECT_FALSE(Health().empty());  // as of the tick
  ASSERT_EQ(released.count(first.id), 1u);
  EXPECT_EQ(released[first.id].to, GroupState::kReady);
  const auto again = Take(first.id);
  const Job job = Plan(again, true);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"solve", "apply", "image"}));
  EXPECT_EQ(job.solve->interval, "1h");
  Finish(again, Solve(job, false));
  EXPECT_TRUE(Released().empty());
}

TEST_F(CalibrationSchedulerTest, ASolveWithoutAnySolutionHasNoTable) {
  const auto first = Group(0);
  Plan(first);
  JobReport report;
  report.group = first.id;
  report.ok = true;
  report.next_state = "awaiting_calibration";
  for (const char* kind : {"K", "BP", "G"}) {
    JobCalibration made;
    made.kind = kind;
    made.failures = {"no usable solution"};
    report.calibration.push_back(made);
  }
  Finish(first, report);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
  EXPECT_NE(store.SolvesOf(first.id).at(0).detail.find("no usable solution"), std::string::npos);
}

TEST_F(CalibrationSchedulerTest, WaitingGroupsGoOnWhenTablesServeTheirTime) {
  const auto before = Waiting(-3), much_earlier = Waiting(-8), elsewhere = Waiting(-2, 54);
  EXPECT_TRUE(Released().empty());
  EXPECT_FALSE(Health().empty());
  const auto first = Group(0);
  const Job job = Plan(first);
  EXPECT_TRUE(Released().empty());  // the solve is under way
  Finish(first, Solve(job));
  auto released = Released();
  ASSERT_EQ(released.size(), 1u);  // within half an hour before; not earlier, not on another strip
  EXPECT_EQ(released.begin()->first, before);
  EXPECT_EQ(released.begin()->second.to, GroupState::kReady);
  // In place of the daemon.
  const auto row = Take(before);
  const Job applied = Plan(row, true);
  EXPECT_EQ(applied.stages, (std::vector<std::string>{"apply", "image"}));
  EXPECT_EQ(applied.tables.size(), 3u);
}

TEST_F(CalibrationSchedulerTest, TablesRegisteredByHandReleaseToo) {
  const auto id = Waiting(1);
  EXPECT_TRUE(Released().empty());
  state::CalTableStore other(paths_->Database(StateDatabase::kCalRegistry));
  for (const SolutionKind kind : {SolutionKind::kBandpass, SolutionKind::kGain}) {
    const fs::path path = place_.directory() / ("by_hand." + std::string(ToString(kind)));
    calibrate::WriteCalibrationTable(Solutions(kind, kStart.mjd(), 16, "24"), path);
    RegisterRequest request;
    request.path = path;
    request.facts = Measured(path);
    request.verdict.accepted = true;
    EXPECT_EQ(RegisterTable(other, request, settings_.calibrate, now_).status, "active");
  }
  EXPECT_EQ(Released().count(id), 1u);
}

// An operating system that asks, whenever a directory is listed, whether somebody holds the registry.
class AskingOs : public testkit::FaultyOs {
 public:
  explicit AskingOs(fs::path registry) : registry_(std::move(registry)) {}
  std::vector<Path> List(const Path& directory) override {
    state::DatabaseOptions at_once;
    at_once.busy_timeout_s = 0;
    state::CalTableStore other(registry_, at_once);
    EXPECT_NO_THROW(other.database().Write([] {})) << directory;
    ++n_asked_;
    return FaultyOs::List(directory);
  }
  int n_asked_ = 0;

 private:
  fs::path registry_;
};

TEST_F(CalibrationSchedulerTest, TheRegistryIsFreeWhileFilesAreRead) {
  AskingOs os(paths_->Database(StateDatabase::kCalRegistry));
  scheduler_ = std::make_unique<CalibrationScheduler>(*paths_, os, metrics_, settings_);
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  os.n_asked_ = 0;
  Finish(first, report);
  EXPECT_GE(os.n_asked_, 3);  // the checksum of each table
}

// Whatever is in a table, the daemon does not open it: what crashes casacore costs the worker that met it.
TEST_F(CalibrationSchedulerTest, NoTableIsOpenedWhenItIsRegistered) {
  const auto first = Group(0);
  JobReport report = Solve(Plan(first));
  for (JobCalibration& made : report.calibration) {
    for (const auto& entry : fs::directory_iterator(made.path)) std::ofstream(entry.path()) << "no table at all";
    EXPECT_THROW(calibrate::ReadCalibrationTable(made.path), Error);
    made.table.checksum = TableChecksum(made.path);
  }
  Finish(first, report);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.List({}).size(), 3u);
  EXPECT_EQ(Plan(Group(1)).tables.size(), 3u);
}

TEST_F(CalibrationSchedulerTest, ATableChangedSinceItsWorkerEndedIsNotRegistered) {
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  std::ofstream(report.calibration.at(1).path / "table.info", std::ios::app) << "!";
  const auto error = scheduler_->Record(first, report, now_);
  ASSERT_TRUE(error);
  EXPECT_EQ(error->kind(), ErrorKind::kIo) << error->what();
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
}

// A disk that cannot be read for a moment says nothing of a table, above all not that it is intact.
TEST_F(CalibrationSchedulerTest, ATableThatCouldNotBeReadIsLookedAtAgain) {
  const auto first = Group(0);
  Finish(first, Solve(Plan(first)));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  const state::CalTableRow row = store.List({}).at(0);
  testkit::FaultyOs os;
  for (int n = 1;; ++n) {  // each looking call in turn
    TableConditions conditions(TableConditions::Depth::kContent, os);
    os.FailReads(n);
    const TableCondition condition = conditions.Of(row);
    if (os.read_fault_at().empty()) break;
    EXPECT_EQ(condition, TableCondition::kChanged) << os.read_fault_at();
    os.FailReads(0);
    EXPECT_EQ(conditions.Of(row), TableCondition::kIntact);
    ASSERT_LT(n, 1000);
  }
  // Its content cannot be read, and it has changed: still so when it can be.
  TableConditions conditions;
  const fs::path file = fs::path(row.path) / "table.f0";
  std::fstream(file, std::ios::in | std::ios::out | std::ios::binary).put('!');
  fs::rename(file, file.string() + ".kept");
  fs::create_symlink("/proc/self/mem", file);  // a regular file that gives EIO
  EXPECT_EQ(conditions.Of(row), TableCondition::kChanged);
  EXPECT_EQ(conditions.Of(row), TableCondition::kChanged);
}

TEST_F(CalibrationSchedulerTest, WaitingHasALimit) {
  const auto id = Waiting(1);
  now_ += 24 * 3600 - 1;
  EXPECT_TRUE(Released().empty());
  now_ += 62;  // looked at once a minute
  auto released = Released();
  ASSERT_EQ(released.count(id), 1u);
  EXPECT_EQ(released[id].to, GroupState::kDead);
  EXPECT_NE(released[id].reason.find("it has waited for 24.0 h"), std::string::npos) << released[id].reason;
}

TEST_F(CalibrationSchedulerTest, PoliciesDecideWithoutTables) {
  settings_.calibrate.policy = "uncalibrated";
  Open();
  EXPECT_EQ(Plan(Group(0, 16, 3)).stages, (std::vector<std::string>{"convert", "flag", "image"}));
  settings_.calibrate.policy = "wait";
  settings_.calibrate.schedule = false;
  Open();
  const Job job = Plan(Group(1));
  EXPECT_FALSE(job.solve);
  EXPECT_EQ(job.stages, (std::vector<std::string>{"convert", "flag", "apply", "image"}));
  EXPECT_TRUE(job.tables.empty());
}

TEST_F(CalibrationSchedulerTest, RegistersAllTablesOrNone) {
  const auto first = Group(0);
  const Job job = Plan(first);
  const JobReport report = Solve(job);
  fs::resize_file(fs::path(report.calibration[2].path) / "table.dat", 40);
  const auto error = scheduler_->Record(first, report, now_);
  ASSERT_TRUE(error);
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "failed");
}

// What may pass is asked again: a solve is not lost to a disk that fails for a moment.
TEST_F(CalibrationSchedulerTest, ATableThatCannotBeReadForAMomentIsRegisteredLater) {
  testkit::FaultyOs os;
  scheduler_ = std::make_unique<CalibrationScheduler>(*paths_, os, metrics_, settings_);
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  for (int n = 1;; ++n) {  // each looking call in turn
    ASSERT_LT(n, 1000);
    os.FailReads(n);
    try {
      ASSERT_FALSE(scheduler_->Record(first, report, now_));
      break;  // nothing was left to fail
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
    }
    state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
    EXPECT_TRUE(store.List({}).empty());
    EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "running");
  }
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.List({}).size(), 3u);
}

TEST_F(CalibrationSchedulerTest, ATableThatIsGoneIsRefused) {
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  fs::remove_all(report.calibration.at(0).path);
  ASSERT_TRUE(scheduler_->Record(first, report, now_));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
}

TEST_F(CalibrationSchedulerTest, RefusesATableThatChangedSinceItWasMade) {
  const auto first = Group(0);
  JobReport report = Solve(Plan(first));
  report.calibration.at(1).table.checksum = "0123456789abcdef";
  ASSERT_TRUE(scheduler_->Record(first, report, now_));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
}

TEST_F(CalibrationSchedulerTest, RecordingTwiceChangesNothing) {
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  EXPECT_FALSE(scheduler_->Record(first, report, now_));
  Open();  // a daemon that was killed between the registry and the queue
  EXPECT_FALSE(scheduler_->Record(first, report, now_ + 5));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.List({}).size(), 3u);
  EXPECT_EQ(store.SolvesOf(first.id).size(), 1u);
}

TEST_F(CalibrationSchedulerTest, ASolveWhoseWorkerIsLostDoesNotBlockOthers) {
  const auto first = Group(0);
  Plan(first);
  const auto second = Group(1);
  EXPECT_FALSE(Plan(second).solve);  // the first one's is under way
  state::TransitionDetails details;
  details.actor = "operator";
  groups_->Transition(first.id, GroupState::kCancelled, details, now_);
  Open();
  Released();
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.SolvesOf(first.id).at(0).outcome, "abandoned");
  EXPECT_TRUE(Plan(second).solve);
}

TEST_F(CalibrationSchedulerTest, ShowsWhatIsMissing) {
  Waiting(0);
  Released();
  const std::string before = metrics_.Serialize();
  EXPECT_NE(before.find("contimg_calibration_missing 1"), std::string::npos);
  EXPECT_NE(before.find("contimg_calibration_seconds_until_expiry{kind=\"BP\"} 0\n"), std::string::npos);
  const auto row = Group(1);
  Finish(row, Solve(Plan(row)));
  for (const auto& [id, release] : Released()) {
    const auto taken = Take(id);
    const Job job = Plan(taken, true);
    JobReport report;
    report.group = id;
    for (const JobTable& table : job.tables) report.applied.push_back(table.path);
    Finish(taken, report);
  }
  now_ += 100;
  Released();
  const std::string after = metrics_.Serialize();
  EXPECT_NE(after.find("contimg_calibration_missing 0"), std::string::npos) << after;
  const std::string expiry = "contimg_calibration_seconds_until_expiry{kind=\"BP\"} ";
  ASSERT_NE(after.find(expiry), std::string::npos) << after;
  EXPECT_NEAR(std::stod(after.substr(after.find(expiry) + expiry.size())), 86400, 180);
  EXPECT_NE(after.find("contimg_calibration_solves_total{interval=\"24h\",outcome=\"passed\"} 1"), std::string::npos);
  EXPECT_TRUE(Health().empty());
}

}  // namespace
}  // namespace contimg::ops
