// The first half of the daemon with a header reader of the test's own: what happens to files that cannot be read,
// moved, compared or even looked at.
#include "ops/daemon/ingest_service.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "ops/daemon/background.h"
#include "state/group_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::GroupState;
using testkit::FaultyOs;

class IngestServiceTest : public ::testing::Test {
 protected:
  IngestServiceTest() {
    settings_.ingest.expected_subbands = 2;
    settings_.ingest.min_subbands = 2;
    settings_.ingest.quarantine_after_s = 0;
    settings_.ingest.watch = "poll";
    settings_.ingest.poll_s = 0.05;
    settings_.ingest.stable_s = 0;
    // Gives the answer that the test has written down for the file.
    fs::create_directories(Answers());
    std::ofstream(Program()) << "#!/bin/bash\nwhile read -r path; do cat '" << Answers().string()
                             << "'/\"${path##*/}\"; done\n";
    fs::permissions(Program(), fs::perms::owner_all);
  }

  fs::path Answers() const { return folders_.folder / "answers"; }
  fs::path Program() const { return folders_.folder / "program"; }
  const fs::path& Incoming() const { return folders_.paths.roots().input; }

  // Puts a file there and what its reader will say of it.
  void Arrive(const std::string& name, const std::string& content, CheckResult result) {
    result.path = Incoming() / name;
    std::ofstream(Answers() / name) << FormatCheckResult(result) << "\n";
    std::ofstream(result.path) << content;
  }
  void ArriveUnreadable(const std::string& name, ErrorKind kind = ErrorKind::kBadInput) {
    CheckResult result;
    result.kind = kind;
    result.message = "is no HDF5 file";
    Arrive(name, "garbage", result);
  }
  // Files of one observation, whatever their stamps.
  void ArriveSubband(const std::string& name, const std::string& content, const std::string& fingerprint) {
    const auto parsed = ParseIncomingName(name);
    ingest::SubbandFile file;
    file.path = Incoming() / name;
    file.subband = parsed->subband;
    file.stamp = UtcTime::FromIso8601(parsed->timestamp);
    const double first = UtcTime::FromIso8601("2025-10-13T13:28:03").mjd_s();
    file.axis = {first, first + 300, 24};
    file.size = content.size();
    file.mtime_ns = 1;
    file.fingerprint = fingerprint;
    CheckResult result;
    result.file = file;
    Arrive(name, content, result);
  }

  void Begin(Os& os) {
    service_.reset();
    background_.reset();
    work_.reset();
    io_ = std::make_unique<boost::asio::io_context>();
    work_.emplace(io_->get_executor());
    background_ = std::make_unique<Background>(*io_);
    writes_ = std::make_unique<WriteQueue>(store_, metrics_, clock_);
    service_ = std::make_unique<IngestService>(
        IngestContext{*io_, store_, *writes_, metrics_, clock_, os, *background_, folders_.paths, Program(), {}, {}},
        settings_);
    service_->Start();
  }

  // Turns the loop until `done`; a bound keeps a broken program from hanging the tests.
  template <typename Done>
  bool Run(Done done) {
    for (int turn = 0; turn < 1500; ++turn) {
      if (done()) return true;
      try {
        service_->Tick();
        io_->run_for(std::chrono::milliseconds(20));
      } catch (const Error& error) {
        ADD_FAILURE() << "an entry of the loop threw: " << error.what();
      }
    }
    return done();
  }

  std::vector<state::EventRow> EventsOf(const std::string& kind) {
    std::vector<state::EventRow> found;
    for (const state::EventRow& event : store_.Events("")) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }
  std::size_t CountBelow(const fs::path& directory, const std::string& name) {
    std::size_t n = 0;
    for (const auto& entry : fs::recursive_directory_iterator(directory)) n += entry.path().filename() == name ? 1 : 0;
    return n;
  }

  WorkFolders folders_;
  Settings settings_;
  Metrics metrics_;
  DaemonClock clock_;
  state::GroupStore store_{folders_.paths.Database(StateDatabase::kIngest)};
  std::unique_ptr<boost::asio::io_context> io_;
  std::optional<boost::asio::executor_work_guard<boost::asio::io_context::executor_type>> work_;
  std::unique_ptr<Background> background_;
  std::unique_ptr<WriteQueue> writes_;
  std::unique_ptr<IngestService> service_;
};

constexpr const char* kFirst = "2025-10-13T13:28:03_sb00.hdf5";
constexpr const char* kSecond = "2025-10-13T13:28:03_sb01.hdf5";
constexpr const char* kRepeated = "2025-10-13T13:28:04_sb00.hdf5";

TEST_F(IngestServiceTest, AnUnreadableFileGoesToQuarantineWithItsReason) {
  ArriveUnreadable(kFirst);
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return !EventsOf("move").empty(); }));
  EXPECT_FALSE(fs::exists(Incoming() / kFirst));
  EXPECT_EQ(CountBelow(folders_.paths.Quarantine(), kFirst), 1u);
  EXPECT_EQ(CountBelow(folders_.paths.Quarantine(), std::string(kFirst) + ".reason"), 1u);
}

// Each step of the move fails in turn: the file is in one place, and where it was moved its event says so.
TEST_F(IngestServiceTest, AQuarantineThatFailsHalfWayIsToldAsItIs) {
  bool came = true;
  for (int n = 1; came && n < 50; ++n) {
    fs::remove_all(folders_.paths.Quarantine());
    const std::size_t events = EventsOf("move").size();
    ArriveUnreadable(kFirst);
    FaultyOs os(FaultyOs::Fault::kFailBefore, n, ENOSPC);
    Begin(os);
    // Moved in the end: at once, or when it came up again.
    ASSERT_TRUE(Run([&] { return EventsOf("move").size() > events; })) << n << " " << os.fault_at();
    came = !os.fault_at().empty();
    EXPECT_FALSE(fs::exists(Incoming() / kFirst)) << os.fault_at();
    EXPECT_EQ(CountBelow(folders_.paths.Quarantine(), kFirst), 1u) << os.fault_at();
    EXPECT_EQ(CountBelow(folders_.paths.Quarantine(), std::string(kFirst) + ".1"), 0u) << os.fault_at();
    EXPECT_EQ(EventsOf("move").size(), events + 1) << os.fault_at();
  }
  EXPECT_FALSE(came) << "not all steps were tried";
}

// Why a file cannot be read is known while it is still tried again, also when its reader was killed.
TEST_F(IngestServiceTest, AFileThatIsTriedAgainSaysWhy) {
  settings_.ingest.quarantine_after_s = 600;
  ArriveUnreadable(kFirst);
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return service_->n_retrying() == 1; }));
  EXPECT_EQ(service_->AnyRetrying(), std::string(kFirst) + ": is no HDF5 file");
}

TEST_F(IngestServiceTest, AKilledHeaderReaderIsNamedWithItsSignal) {
  settings_.ingest.quarantine_after_s = 600;
  std::ofstream(Program()) << "#!/bin/bash\nread -r path; kill -9 $$\n";
  std::ofstream(Incoming() / kFirst) << "content";
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return service_->n_retrying() == 1; }));
  EXPECT_EQ(service_->AnyRetrying(), std::string(kFirst) +
                                         ": the process that reads headers died of signal 9 (Killed) at this file; the "
                                         "kernel may have run out of memory");
}

TEST_F(IngestServiceTest, AMachineInNeedIsNoReasonForQuarantine) {
  ArriveUnreadable(kFirst, ErrorKind::kResource);
  Begin(RealOs());
  Run([turns = 0]() mutable { return ++turns > 30; });
  EXPECT_TRUE(fs::exists(Incoming() / kFirst));
  EXPECT_TRUE(EventsOf("move").empty());
  EXPECT_FALSE(service_->caught_up());
}

TEST_F(IngestServiceTest, FilesOfTheSameFingerprintAreComparedOffTheLoop) {
  ArriveSubband(kFirst, "the same", "f");
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return service_->n_collecting() == 1; }));
  // A pipe that nobody writes to: whoever opens it stands still.
  fs::rename(Incoming() / kFirst, folders_.folder / "kept");
  ASSERT_EQ(::mkfifo((Incoming() / kFirst).c_str(), 0600), 0);
  ArriveSubband(kRepeated, "the same", "f");
  ASSERT_TRUE(Run([&] { return background_->n_waiting() == 1; }));
  ArriveSubband(kSecond, "another", "g");
  EXPECT_TRUE(Run([&] { return store_.FindFile((Incoming() / kSecond).string()).has_value(); }))
      << "the loop stood still";
  EXPECT_EQ(background_->n_waiting(), 1u);
  ::close(::open((Incoming() / kFirst).c_str(), O_WRONLY | O_NONBLOCK));
  fs::rename(folders_.folder / "kept", Incoming() / kFirst);
  ASSERT_TRUE(Run([&] { return store_.FindFile((Incoming() / kRepeated).string()).has_value(); }));
  EXPECT_EQ(store_.FindFile((Incoming() / kRepeated).string())->status, "duplicate");
}

TEST_F(IngestServiceTest, OtherBytesUnderTheSameFingerprintAreAConflict) {
  ArriveSubband(kFirst, "this one", "f");
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return service_->n_collecting() == 1; }));
  ArriveSubband(kRepeated, "that one", "f");
  ASSERT_TRUE(Run([&] { return store_.FindFile((Incoming() / kRepeated).string()).has_value(); }));
  EXPECT_EQ(store_.FindFile((Incoming() / kRepeated).string())->status, "conflict");
}

// A disk that cannot be read says nothing of what is on it: no person is asked to choose.
TEST_F(IngestServiceTest, FilesThatCannotBeComparedWait) {
  ArriveSubband(kFirst, "the same", "f");
  Begin(RealOs());
  ASSERT_TRUE(Run([&] { return service_->n_collecting() == 1; }));
  fs::rename(Incoming() / kFirst, folders_.folder / "kept");
  fs::create_symlink("/proc/self/mem", Incoming() / kFirst);  // gives EIO
  ArriveSubband(kRepeated, "the same", "f");
  Run([turns = 0]() mutable { return ++turns > 30; });
  EXPECT_FALSE(store_.FindFile((Incoming() / kRepeated).string()));
  EXPECT_EQ(service_->n_collecting(), 1u);
  fs::remove(Incoming() / kFirst);
  fs::rename(folders_.folder / "kept", Incoming() / kFirst);
  ASSERT_TRUE(Run([&] { return store_.FindFile((Incoming() / kRepeated).string()).has_value(); }));
  EXPECT_EQ(store_.FindFile((Incoming() / kRepeated).string())->status, "duplicate");
}

// Every look at the disk fails in turn, then all of them for a while: nothing is lost, nothing thrown.
TEST_F(IngestServiceTest, LooksThatFailDelayAndLoseNothing) {
  for (int n = 0; n < 8; ++n) {
    const std::string stamp = fmt::format("2025-10-13T14:00:{:02}", n);
    FaultyOs os;
    Begin(os);
    ArriveSubband(stamp + "_sb00.hdf5", "a", "fa" + std::to_string(n));
    ArriveSubband(stamp + "_sb01.hdf5", "b", "fb" + std::to_string(n));
    os.FailReads(n == 0 ? FaultyOs::kAlways : n);
    Run([&, turns = 0]() mutable { return ++turns > 10; });
    os.FailReads(0);
    ASSERT_TRUE(Run([&] {
      const auto file = store_.FindFile((Incoming() / (stamp + "_sb01.hdf5")).string());
      return file.has_value();
    })) << n;
    EXPECT_TRUE(fs::exists(Incoming() / (stamp + "_sb00.hdf5")));
  }
}

}  // namespace
}  // namespace contimg::ops
