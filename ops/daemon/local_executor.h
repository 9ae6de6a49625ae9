// Jobs as worker processes on this machine.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "ops/base/child_process.h"
#include "ops/job/executor.h"
#include "ops/job/progress_file.h"

namespace contimg::ops {

struct LocalExecutorOptions {
  std::filesystem::path program;  // the contimg binary
  int nice = 5;
};

class LocalExecutor final : public Executor {
 public:
  // Runs on `io`; all calls and events on its thread.
  LocalExecutor(boost::asio::io_context& io, LocalExecutorOptions options, const Settings& settings, Events events);
  // Kills what still runs.
  ~LocalExecutor() override;

  std::string_view kind() const override { return "local"; }
  // An equal part of this machine's processors for each of executor.jobs, unless the settings say otherwise.
  JobResources Resources() const override;
  void Apply(const Settings& settings) override { settings_ = settings.executor; }

  void Start(const JobRequest& request) override;
  void Stop(const JobId& job, ErrorKind kind, const std::string& message) override;
  void Tick() override;
  std::vector<RunningJob> Running() const override;
  std::size_t n_running() const override { return jobs_.size() + n_untold_; }
  void EndStrays(const std::vector<JobRequest>& jobs) override;

 private:
  using Clock = std::chrono::steady_clock;
  struct RunningProcess {
    explicit RunningProcess(JobRequest r) : request(std::move(r)), progress(ProgressFile(request.folder)) {}
    JobRequest request;
    std::optional<Child> child;  // nothing until it has been started
    ProgressReader progress;
    Clock::time_point started, stage_started, last_sign;
    std::string stage;
    double fraction = 0;
    std::uint64_t memory = 0, peak_memory = 0;
    std::optional<std::pair<ErrorKind, std::string>> stopped;  // why it is asked to end
    Clock::time_point kill_at{};
    bool killed = false;
    std::optional<ChildEnd> end;
  };
  void StartProcess(const std::shared_ptr<RunningProcess>& job);
  void NotStarted(const RunningProcess& job, ErrorKind kind, const std::string& message);
  void ReadProgress(RunningProcess& job);
  void AwaitChildren();
  void Collect();
  void Terminate(RunningProcess& job, ErrorKind kind, const std::string& message);
  JobOutcome MakeOutcome(const RunningProcess& job) const;

  boost::asio::io_context& io_;
  LocalExecutorOptions options_;
  ExecutorSettings settings_;
  Events events_;
  boost::asio::signal_set child_signals_;
  std::map<std::string, std::shared_ptr<RunningProcess>> jobs_;  // by the job's id
  std::size_t n_untold_ = 0;                                     // ended, and `finished` is still to be called
};

// The last `max_bytes` of a file, from the start of a line; empty when there is none.
std::string TailOf(const std::filesystem::path& path, std::size_t max_bytes);

}  // namespace contimg::ops
