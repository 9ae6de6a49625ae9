// What children say is bounded: a worker, or a process that reads a hostile file, which writes without end costs its
// own life and not the daemon's memory. Shell scripts stand in for the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/daemon/header_checker.h"
#include "ops/daemon/local_executor.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kEndless = "head -c 1000000 /dev/zero | tr '\\0' x";

class ChildOutput : public ::testing::Test {
 protected:
  fs::path Script(const std::string& body) {
    fs::path path = folder_ / "program";
    std::ofstream(path) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }
  // Turns the loop until `done`; a bound keeps a broken program from hanging the tests.
  template <typename Done, typename EachTurn>
  void RunUntil(const Done& done, const EachTurn& each_turn) {
    for (int turn = 0; turn < 600 && !done(); ++turn) {
      each_turn();
      io_.restart();
      io_.run_for(std::chrono::milliseconds(50));
    }
  }

  TemporaryFolder folder_{"children"};
  boost::asio::io_context io_;
};

class ExecutorTest : public ChildOutput {
 protected:
  LocalExecutor::Events Events() {
    LocalExecutor::Events events;
    events.progress = [this](const JobId& job, const ProgressLine& line) {
      EXPECT_EQ(job, request_.job);
      lines_.push_back(line.stage + " " + line.message);
    };
    events.finished = [this](const JobOutcome& ended) { outcome_ = ended; };
    return events;
  }
  void Run(const std::string& body) {
    LocalExecutor executor(io_, {Script(body), 0}, Settings{}, Events());
    request_.job = JobId::OfGroup("2025-10-13T13:28:03");
    request_.folder = folder_.path();
    request_.limits.grace_s = 1;
    executor.Start(request_);
    EXPECT_EQ(executor.n_running(), 1u);
    EXPECT_FALSE(outcome_) << "never from inside Start";
    RunUntil([&] { return outcome_.has_value(); }, [&] { executor.Tick(); });
    ASSERT_TRUE(outcome_);
    EXPECT_EQ(outcome_->job, request_.job);
    EXPECT_EQ(executor.n_running(), 0u);
  }
  // What a script says as a worker does.
  static std::string Say(const ProgressLine& line) {
    return "echo '" + FormatProgressLine(line) + "' >> \"$(dirname \"$2\")/progress.jsonl\"\n";
  }

  JobRequest request_;
  std::vector<std::string> lines_;
  std::optional<JobOutcome> outcome_;
};

TEST_F(ExecutorTest, ProgressComesFromTheFileInTheJobsFolder) {
  Run(Say({ProgressLine::Kind::kProgress, "convert", 0.5, ""}) + Say({ProgressLine::Kind::kWarning, "flag", 0, "hot"}) +
      "exit 3");
  EXPECT_THAT(lines_, ::testing::ElementsAre("convert ", "flag hot"));
  EXPECT_EQ(outcome_->last_stage, "convert");
  EXPECT_EQ(outcome_->exit_status, 3);
  EXPECT_THAT(outcome_->message, HasSubstr("status 3 without a report"));
}

TEST_F(ExecutorTest, AWorkerThatWritesWithoutEndIsEnded) {
  Run(std::string(kEndless) + " > \"$(dirname \"$2\")/progress.jsonl\"; exec sleep 1000");
  EXPECT_FALSE(outcome_->ok);
  EXPECT_EQ(outcome_->kind, ErrorKind::kBug);
  EXPECT_THAT(outcome_->message, HasSubstr("a line of more than 65536 bytes"));
}

TEST_F(ExecutorTest, AWorkerThatCannotBeStartedIsAnEndLikeAnyOther) {
  LocalExecutor executor(io_, {folder_ / "program", 0}, Settings{}, Events());
  request_.job = JobId::OfGroup("2025-10-13T13:28:03");
  request_.folder = folder_ / "gone";  // its output file cannot be made
  executor.Start(request_);
  RunUntil([&] { return outcome_.has_value(); }, [&] { executor.Tick(); });
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->kind, ErrorKind::kIo);
  EXPECT_THAT(outcome_->message, HasSubstr("the worker cannot be started"));
  EXPECT_EQ(executor.n_running(), 0u);
}

TEST_F(ExecutorTest, ANewDaemonFindsTheWorkersOfTheOldOneByTheirFolders) {
  auto executor =
      std::make_unique<LocalExecutor>(io_, LocalExecutorOptions{Script("exec sleep 1000"), 0}, Settings{}, Events());
  request_.job = JobId::Parse("backup/2025-10-14T03:00:00");
  request_.name = request_.job.AttemptName(2);
  EXPECT_EQ(request_.name, "contimg-backup-2025-10-14T03:00:00-2");
  request_.folder = folder_.path();
  executor->Start(request_);
  const auto stray = folder_ / "process";
  RunUntil([&] { return fs::exists(stray) && fs::file_size(stray) > 0; }, [&] { executor->Tick(); });
  LocalExecutor next(io_, {folder_ / "program", 0}, Settings{}, {});
  next.EndStrays({request_});
  RunUntil([&] { return outcome_.has_value(); }, [&] { executor->Tick(); });
  ASSERT_TRUE(outcome_);
  EXPECT_EQ(outcome_->signal, SIGKILL);
}

TEST_F(ChildOutput, AHeaderReaderThatWritesWithoutEndIsReplacedAndTheFileIsNamed) {
  std::vector<CheckResult> results;
  const fs::path program = Script(std::string("read line; ") + kEndless + "; exec sleep 1000");
  HeaderChecker checker(io_, program, [&](const CheckResult& result) { results.push_back(result); });
  checker.Check("/in/a.hdf5");
  checker.Check("/in/b.hdf5");
  RunUntil([&] { return results.size() == 2; }, [&] { checker.Tick(); });
  ASSERT_EQ(results.size(), 2u);
  EXPECT_EQ(results[0].path, "/in/a.hdf5");
  EXPECT_EQ(results[1].path, "/in/b.hdf5");
  EXPECT_EQ(results[1].kind, ErrorKind::kCrash);
  EXPECT_THAT(results[1].message, HasSubstr("wrote without end"));
}

}  // namespace
}  // namespace contimg::ops
