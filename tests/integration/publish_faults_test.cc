// One job, ended or failed at the calls that change the disk: whatever the moment, the next attempt leaves exactly one
// whole product, an empty staging and no hidden leftovers. Of the long runs of equal calls (the same sync or copy for
// each of a hundred files) the first, the last and every sixteenth are taken, and of the errors every other one at
// each; with CONTIMG_EVERY_FAULT set, all.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "convert/measurement_set_reader.h"
#include "convert/staging.h"
#include "ops/job/job.h"
#include "ops/worker/worker.h"
#include "tests/faulty_os.h"
#include "tests/simulator/simulate.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using Fault = testkit::FaultyOs::Fault;

class PublishFaultsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    input_folder_.emplace("input");
    input_ = input_folder_->path();
    simulator::GroupSpec spec;
    spec.out_dir = input_;
    spec.n_integrations = 2;
    spec.n_channels = 4;
    spec.n_subbands = 2;
    spec.write_truth = false;
    files_.clear();
    for (const auto& file : simulator::SimulateGroup({}, simulator::Dsa110Array(3), {}, spec).files) {
      files_.push_back(file.path);
    }
  }
  static void TearDownTestSuite() { input_folder_.reset(); }

  Job MakeJob(bool across_file_systems) const {
    Job job;
    job.group = "2025-10-13T13:28:03";
    job.stages = {"convert"};
    job.inputs = files_;
    job.expected_subbands = 2;
    const fs::path place = across_file_systems ? root_ : memory_;
    job.measurement_set = place / "ms" / "2025-10-13T13:28:03.ms";
    job.staging_root = memory_ / "staging";
    job.fallback_root = place / "fallback";
    job.take_existing = true;
    return job;
  }

  static JobReport Run(const Job& job, Os& os) {
    RunContext context;
    context.os = &os;
    return RunJob(job, context);
  }

  static bool EveryFault() { return std::getenv("CONTIMG_EVERY_FAULT") != nullptr; }

  // In a process of its own; true when it was killed.
  static bool RunUntilKilled(const Job& job, Fault fault, int at) {
    const pid_t child = ::fork();
    if (child == 0) {
      testkit::FaultyOs os(fault, at);
      const JobReport report = Run(job, os);
      ::_exit(report.ok ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

  // What the daemon does before the next attempt, then that attempt.
  void Recover(const Job& job) {
    convert::SweepStaging(job.staging_root, RealOs());
    convert::SweepStaging(job.fallback_root, RealOs());
    if (fs::exists(job.measurement_set.parent_path())) {
      SweepUnfinished(job.measurement_set.parent_path(), RealOs());
    }
    testkit::FaultyOs no_fault;
    const JobReport report = Run(job, no_fault);
    ASSERT_TRUE(report.ok) << report.error_message;
    const auto info = convert::DescribeMeasurementSet(job.measurement_set);
    EXPECT_EQ(info.windows.size(), 2u);
    EXPECT_GT(info.n_rows, 0u);
    std::size_t n_entries = 0;
    for (const auto& entry : fs::directory_iterator(job.measurement_set.parent_path())) {
      ++n_entries;
      EXPECT_EQ(entry.path(), job.measurement_set);
    }
    EXPECT_EQ(n_entries, 1u);
    for (const fs::path& root : {job.staging_root, job.fallback_root}) {
      EXPECT_TRUE(!fs::exists(root) || fs::is_empty(root)) << root;
    }
  }

  // A tree is copied, or synced, file by file and folder by folder.
  static std::string LikeCalls(const std::string& call) {
    return call == "create directories" ? "copy" : call == "sync directory" ? "sync file" : call;
  }

  static std::vector<int> Choose(const std::vector<std::string>& calls) {
    const auto alike = [&](std::size_t i) { return LikeCalls(calls[i]) == LikeCalls(calls[i - 1]); };
    std::vector<int> chosen;
    int in_run = 0;
    for (std::size_t i = 0; i < calls.size(); ++i) {
      in_run = i > 0 && alike(i) ? in_run + 1 : 0;
      const bool last = i + 1 == calls.size() || !alike(i + 1);
      if (in_run % 16 == 0 || last || EveryFault()) chosen.push_back(static_cast<int>(i) + 1);
    }
    return chosen;
  }

  static std::vector<int> FaultPoints(const Job& job) {
    testkit::FaultyOs os;
    const JobReport report = Run(job, os);
    EXPECT_TRUE(report.ok) << report.error_message;
    EXPECT_GT(os.n_calls(), 10);
    if (!job.replace_existing) fs::remove_all(job.measurement_set.parent_path());
    return Choose(os.calls());
  }

  // What a kill after one call leaves is what one before the next call finds.
  void KillEverywhere(bool across_file_systems) {
    const Job job = MakeJob(across_file_systems);
    std::vector<int> points = FaultPoints(job);
    points.insert(points.begin(), 0);
    for (const int at : points) {
      SCOPED_TRACE("call " + std::to_string(at));
      EXPECT_TRUE(at == 0 ? RunUntilKilled(job, Fault::kKillBefore, 1) : RunUntilKilled(job, Fault::kKillAfter, at));
      Recover(job);
      fs::remove_all(job.measurement_set.parent_path());
      if (HasFatalFailure()) return;
    }
  }

  void Fail(const Job& job, int at, int error_number, ErrorKind kind) {
    testkit::FaultyOs os(Fault::kFailBefore, at, error_number);
    const JobReport report = Run(job, os);
    SCOPED_TRACE("call " + std::to_string(at) + ": " + os.fault_at());
    // Some failures are repaired on the spot (another staging folder) or do not matter (removing a leftover).
    EXPECT_TRUE(report.ok || report.error_kind == kind) << report.error_message;
    Recover(job);
    fs::remove_all(job.measurement_set.parent_path());
  }

  inline static std::optional<TemporaryFolder> input_folder_;
  static fs::path input_;
  static std::vector<fs::path> files_;
  // Staging and output on different file systems where the machine has them (a copy), or on one (a rename).
  TemporaryFolder folder_{"faults"}, memory_folder_{"faults", "/dev/shm"};
  const fs::path root_ = folder_.path(), memory_ = memory_folder_.path();
};
fs::path PublishFaultsTest::input_;
std::vector<fs::path> PublishFaultsTest::files_;

TEST_F(PublishFaultsTest, KilledAfterEachCallOnOneFileSystem) { KillEverywhere(false); }
TEST_F(PublishFaultsTest, KilledAfterEachCallAcrossFileSystems) { KillEverywhere(true); }

TEST_F(PublishFaultsTest, DiskFullOrReadOnlyAtEachCall) {
  const Job job = MakeJob(true);
  bool full = true;
  for (const int at : FaultPoints(job)) {
    if (full || EveryFault()) Fail(job, at, ENOSPC, ErrorKind::kResource);
    if (!full || EveryFault()) Fail(job, at, EROFS, ErrorKind::kIo);
    full = !full;
    if (HasFatalFailure()) return;
  }
}

TEST_F(PublishFaultsTest, ReplacingIsWholeWhereverItIsKilled) {
  Job job = MakeJob(true);
  ASSERT_TRUE(Run(job, RealOs()).ok);
  Job again = job;
  again.replace_existing = true;
  again.take_existing = false;
  for (int at : FaultPoints(again)) {
    SCOPED_TRACE("call " + std::to_string(at));
    RunUntilKilled(again, Fault::kKillAfter, at);
    // At no moment is there no product under the final name.
    EXPECT_EQ(convert::DescribeMeasurementSet(job.measurement_set).windows.size(), 2u);
    Recover(again);
    if (HasFatalFailure()) return;
  }
}

TEST_F(PublishFaultsTest, ForeignProductUnderTheNameIsLeftAlone) {
  Job job = MakeJob(false);
  Job one_subband = job;
  one_subband.inputs.resize(1);
  ASSERT_TRUE(Run(one_subband, RealOs()).ok);
  const JobReport report = Run(job, RealOs());
  EXPECT_FALSE(report.ok);
  EXPECT_EQ(report.error_kind, ErrorKind::kUsage);
  EXPECT_EQ(convert::DescribeMeasurementSet(job.measurement_set).windows.size(), 1u);
}

}  // namespace
}  // namespace contimg::ops
