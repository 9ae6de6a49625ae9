// Jobs as worker processes on this machine.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/streambuf.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "ops/base/child_process.h"
#include "ops/job/executor.h"

namespace contimg::ops {

struct LocalExecutorOptions {
  std::filesystem::path program;  // the contimg binary
  int nice = 5;
};

class LocalExecutor final : public Executor {
 public:
  // Runs on `io`; all calls and events on its thread.
  LocalExecutor(boost::asio::io_context& io, LocalExecutorOptions options, Events events);
  // Kills what still runs.
  ~LocalExecutor() override;

  std::string Start(const JobRequest& request) override;
  void Stop(const std::string& group, ErrorKind kind, const std::string& message) override;
  void Tick() override;
  std::vector<RunningJob> Running() const override;
  std::size_t n_running() const override { return jobs_.size(); }
  void EndStray(const std::string& id) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct RunningProcess {
    RunningProcess(boost::asio::io_context& io, JobRequest r) : request(std::move(r)), output(io) {}
    JobRequest request;
    Child child;
    boost::asio::posix::stream_descriptor output;
    boost::asio::streambuf buffer{kLongestChildLine};
    Clock::time_point started, stage_started, last_sign;
    std::string stage;
    double fraction = 0;
    std::uint64_t memory = 0, peak_memory = 0;
    std::optional<std::pair<ErrorKind, std::string>> stopped;  // why TERM was sent
    Clock::time_point kill_at{};
    bool killed = false;
    std::optional<ChildEnd> end;
    bool output_closed = false;
  };
  void ReadLines(const std::shared_ptr<RunningProcess>& job);
  void TakeLine(RunningProcess& job, const std::string& line);
  void AwaitChildren();
  void Collect();
  void Terminate(RunningProcess& job, ErrorKind kind, const std::string& message);
  JobOutcome MakeOutcome(const RunningProcess& job) const;

  boost::asio::io_context& io_;
  LocalExecutorOptions options_;
  Events events_;
  boost::asio::signal_set child_signals_;
  std::map<std::string, std::shared_ptr<RunningProcess>> jobs_;  // by group
};

// The last `max_bytes` of a file, from the start of a line; empty when there is none.
std::string TailOf(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace contimg::ops
