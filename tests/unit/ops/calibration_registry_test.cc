// Tables on their way into the registry, and whether those that are in it can still be trusted.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "ops/base/table_checksum.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/calibration_scheduler_fixture.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using calibrate::SolutionKind;

class CalibrationRegistryTest : public CalibrationSchedulerTest {};

TEST_F(CalibrationRegistryTest, ADamagedTableIsNotUsedAndServesAgainWhenItsFilesAreBack) {
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

TEST_F(CalibrationRegistryTest, TablesRegisteredByHandReleaseToo) {
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

TEST_F(CalibrationRegistryTest, TheRegistryIsFreeWhileFilesAreRead) {
  AskingOs os(paths_->Database(StateDatabase::kCalRegistry));
  scheduler_ = std::make_unique<CalibrationScheduler>(*paths_, os, metrics_, settings_);
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  os.n_asked_ = 0;
  Finish(first, report);
  EXPECT_GE(os.n_asked_, 3);  // the checksum of each table
}

// Whatever is in a table, the daemon does not open it: what crashes casacore costs the worker that met it.
TEST_F(CalibrationRegistryTest, NoTableIsOpenedWhenItIsRegistered) {
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

TEST_F(CalibrationRegistryTest, ATableChangedSinceItsWorkerEndedIsNotRegistered) {
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
TEST_F(CalibrationRegistryTest, ATableThatCouldNotBeReadIsLookedAtAgain) {
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

TEST_F(CalibrationRegistryTest, RegistersAllTablesOrNone) {
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
TEST_F(CalibrationRegistryTest, ATableThatCannotBeReadForAMomentIsRegisteredLater) {
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

TEST_F(CalibrationRegistryTest, ATableThatIsGoneIsRefused) {
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  fs::remove_all(report.calibration.at(0).path);
  ASSERT_TRUE(scheduler_->Record(first, report, now_));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
}

TEST_F(CalibrationRegistryTest, RefusesATableThatChangedSinceItWasMade) {
  const auto first = Group(0);
  JobReport report = Solve(Plan(first));
  report.calibration.at(1).table.checksum = "0123456789abcdef";
  ASSERT_TRUE(scheduler_->Record(first, report, now_));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_TRUE(store.List({}).empty());
}

TEST_F(CalibrationRegistryTest, RecordingTwiceChangesNothing) {
  const auto first = Group(0);
  const JobReport report = Solve(Plan(first));
  EXPECT_FALSE(scheduler_->Record(first, report, now_));
  Open();  // a daemon that was killed between the registry and the queue
  EXPECT_FALSE(scheduler_->Record(first, report, now_ + 5));
  state::CalTableStore store(paths_->Database(StateDatabase::kCalRegistry));
  EXPECT_EQ(store.List({}).size(), 3u);
  EXPECT_EQ(store.SolvesOf(first.id).size(), 1u);
}

}  // namespace
}  // namespace contimg::ops
