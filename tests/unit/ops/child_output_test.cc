// What children say is bounded: a worker, or a process that reads a hostile file, which writes without end costs its
// own life and not the daemon's memory. Shell scripts stand in for the program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
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

TEST_F(ChildOutput, AWorkerThatWritesWithoutEndIsEnded) {
  std::optional<JobOutcome> outcome;
  LocalExecutor::Events events;
  events.finished = [&](const JobOutcome& ended) { outcome = ended; };
  LocalExecutor executor(io_, {Script(std::string(kEndless) + "; exec sleep 1000"), 0}, events);
  JobRequest request;
  request.group = "2025-10-13T13:28:03";
  request.folder = folder_.path();
  request.limits.grace_s = 1;
  executor.Start(request);
  RunUntil([&] { return outcome.has_value(); }, [&] { executor.Tick(); });
  ASSERT_TRUE(outcome);
  EXPECT_FALSE(outcome->ok);
  EXPECT_EQ(outcome->kind, ErrorKind::kBug);
  EXPECT_THAT(outcome->message, HasSubstr("a line of more than 65536 bytes"));
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
