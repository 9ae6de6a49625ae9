// Workers as processes of this machine.
#include "ops/daemon/local_executor.h"

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

// Whoever waits for all work to be over must hear of its end first: a stop would leave it unrecorded.
TEST(LocalExecutorTest, AJobCountsAsRunningUntilItsEndHasBeenTold) {
  const TemporaryFolder folder("executor");
  const std::filesystem::path program = folder.path() / "program";
  std::ofstream(program) << "#!/bin/sh\nexit 3\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);

  boost::asio::io_context io;
  int n_told = 0, status = 0;
  Executor::Events events;
  events.finished = [&](const JobOutcome& outcome) {
    ++n_told;
    status = outcome.exit_status;
  };
  LocalExecutor executor(io, {program, 0}, Settings{}, events);
  executor.Start({JobId::OfGroup("2025-10-13T13:28:03"), "test", folder.path(), {}});
  io.poll_one();  // begins the process
  for (int n = 0; n < 10000 && !executor.Running().empty(); ++n) {
    executor.Tick();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_TRUE(executor.Running().empty());
  EXPECT_EQ(n_told, 0);
  EXPECT_EQ(executor.n_running(), 1u);
  io.poll();
  EXPECT_EQ(n_told, 1);
  EXPECT_EQ(status, 3);
  EXPECT_EQ(executor.n_running(), 0u);
}

}  // namespace
}  // namespace contimg::ops
