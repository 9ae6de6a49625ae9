#include "ops/daemon/local_executor.h"

#include <fmt/format.h>
#include <signal.h>
#include <string.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <fstream>
#include <utility>

#include "config/machine.h"
#include "ops/base/log.h"
#include "ops/base/words.h"

namespace contimg::ops {
namespace {

double Seconds(std::chrono::steady_clock::duration d) { return std::chrono::duration<double>(d).count(); }

// "<pid> <start time>" of the worker, in its job's folder.
std::filesystem::path ProcessFile(const std::filesystem::path& folder) { return folder / "process"; }

}  // namespace

LocalExecutor::LocalExecutor(boost::asio::io_context& io, LocalExecutorOptions options, const Settings& settings,
                             Events events)
    : io_(io),
      options_(std::move(options)),
      settings_(settings.executor),
      events_(std::move(events)),
      child_signals_(io, SIGCHLD) {
  AwaitChildren();
}

LocalExecutor::~LocalExecutor() {
  for (const auto& [id, job] : jobs_) {
    if (job->child && !job->end) SignalGroup(job->child->pid, SIGKILL);
  }
}

JobResources LocalExecutor::Resources() const {
  JobResources resources;
  const int jobs = static_cast<int>(std::max<std::int64_t>(1, settings_.jobs));
  resources.threads =
      settings_.threads > 0 ? static_cast<int>(settings_.threads) : std::max(1, AvailableProcessors() / jobs);
  resources.memory_bytes = static_cast<std::uint64_t>(settings_.memory_bytes);
  return resources;
}

void LocalExecutor::AwaitChildren() {
  child_signals_.async_wait([this](const boost::system::error_code& error, int) {
    if (error) return;
    AwaitChildren();  // first: whoever is told of an end may throw
    Collect();
  });
}

void LocalExecutor::Start(const JobRequest& request) {
  auto job = std::make_shared<RunningProcess>(request);
  job->started = job->stage_started = job->last_sign = Clock::now();
  jobs_[request.job.text()] = job;
  boost::asio::post(io_, [this, job] { StartProcess(job); });
}

void LocalExecutor::StartProcess(const std::shared_ptr<RunningProcess>& job) {
  if (job->stopped) return NotStarted(*job, job->stopped->first, job->stopped->second);
  try {
    ChildOptions options;
    options.arguments = {options_.program.string(), "worker", JobFile(job->request.folder).string()};
    options.error_file = OutputFile(job->request.folder);
    options.standard_output = false;  // its progress is in a file
    options.nice = options_.nice;
    job->child = StartChild(options);
  } catch (const Error& error) {
    return NotStarted(*job, error.kind(), fmt::format("the worker cannot be started: {}", error.what()));
  }
  // For the next daemon, should this one be killed in such a way that the kernel does not end its children.
  std::ofstream(ProcessFile(job->request.folder))
      << job->child->pid << ' ' << ProcessStartTime(job->child->pid) << '\n';
}

void LocalExecutor::NotStarted(const RunningProcess& job, ErrorKind kind, const std::string& message) {
  JobOutcome outcome;
  outcome.job = job.request.job;
  outcome.kind = kind;
  outcome.message = message;
  jobs_.erase(job.request.job.text());
  events_.finished(outcome);
}

void LocalExecutor::ReadProgress(RunningProcess& job) {
  for (const ProgressLine& line : job.progress.Read()) {
    job.last_sign = Clock::now();
    if (line.kind == ProgressLine::Kind::kProgress) {
      if (job.stage != line.stage) job.stage_started = job.last_sign;
      job.stage = line.stage;
      job.fraction = line.fraction;
    }
    if (events_.progress) events_.progress(job.request.job, line);
  }
  if (job.progress.endless()) {
    Terminate(job, ErrorKind::kBug,
              fmt::format("the worker wrote a line of more than {} bytes", ProgressReader::kLongestLine));
  }
}

void LocalExecutor::Terminate(RunningProcess& job, ErrorKind kind, const std::string& message) {
  if (job.stopped || job.end) return;
  job.stopped = {kind, message};
  job.kill_at = Clock::now() +
                std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(job.request.limits.grace_s));
  if (job.child) SignalGroup(job.child->pid, SIGTERM);
}

void LocalExecutor::Stop(const JobId& id, ErrorKind kind, const std::string& message) {
  const auto at = jobs_.find(id.text());
  if (at != jobs_.end()) Terminate(*at->second, kind, message);
}

void LocalExecutor::Tick() {
  const auto now = Clock::now();
  for (const auto& [id, job] : jobs_) {
    if (!job->child || job->end) continue;
    const JobLimits& limits = job->request.limits;
    ReadProgress(*job);
    job->memory = ResidentMemory(job->child->pid);  // workers have no children of their own
    job->peak_memory = std::max(job->peak_memory, job->memory);
    if (limits.memory_bytes > 0 && job->memory > limits.memory_bytes) {
      Terminate(*job, ErrorKind::kResource,
                fmt::format("the worker held {} of memory and may use {}", Bytes(static_cast<double>(job->memory)),
                            Bytes(static_cast<double>(limits.memory_bytes))));
      SignalGroup(job->child->pid, SIGKILL);  // there is no time to be polite
    }
    const double running = Seconds(now - job->started), in_stage = Seconds(now - job->stage_started);
    const auto stage_limit = limits.stage_s.find(job->stage);
    if (running > limits.job_s) {
      Terminate(*job, ErrorKind::kTimeout, fmt::format("the job took longer than {:.0f} s", limits.job_s));
    } else if (stage_limit != limits.stage_s.end() && in_stage > stage_limit->second) {
      Terminate(*job, ErrorKind::kTimeout,
                fmt::format("stage {} took longer than {:.0f} s", job->stage, stage_limit->second));
    } else if (limits.silence_s > 0 && Seconds(now - job->last_sign) > limits.silence_s) {
      Terminate(*job, ErrorKind::kTimeout, fmt::format("no progress for {:.0f} s", limits.silence_s));
    }
    if (job->stopped && !job->killed && now >= job->kill_at) {
      job->killed = true;
      SignalGroup(job->child->pid, SIGKILL);
    }
  }
  Collect();
}

void LocalExecutor::Collect() {
  std::vector<std::shared_ptr<RunningProcess>> finished;
  for (auto at = jobs_.begin(); at != jobs_.end();) {
    RunningProcess& job = *at->second;
    if (job.child && !job.end) {
      job.end = TryWait(job.child->pid);
      if (job.end) SignalGroup(job.child->pid, SIGKILL);  // whatever it may have left behind
    }
    if (job.end) {
      ReadProgress(job);  // its last lines
      finished.push_back(at->second);
      at = jobs_.erase(at);
    } else {
      ++at;
    }
  }
  for (const auto& job : finished) {
    const JobOutcome outcome = MakeOutcome(*job);
    ++n_untold_;
    boost::asio::post(io_, [this, outcome] {
      --n_untold_;
      events_.finished(outcome);
    });
  }
}

JobOutcome LocalExecutor::MakeOutcome(const RunningProcess& job) const {
  JobOutcome outcome;
  outcome.job = job.request.job;
  outcome.exit_status = job.end->exit_status;
  outcome.signal = job.end->signal;
  outcome.wall_s = Seconds(Clock::now() - job.started);
  outcome.user_s = job.end->user_s;
  outcome.system_s = job.end->system_s;
  outcome.peak_memory_bytes = std::max(job.end->peak_memory_bytes, job.peak_memory);
  outcome.last_stage = job.stage;
  outcome.command = fmt::format("{} worker {}", options_.program.string(), JobFile(job.request.folder).string());
  outcome.last_output = TailOf(OutputFile(job.request.folder), 4096);
  std::optional<Error> unread;
  try {
    const auto path = ReportFile(job.request.folder);
    if (Exists(path)) outcome.report = ParseJobReport(ReadJsonFile(path), path.string());
  } catch (const Error& error) {
    unread = error;
    outcome.last_output += fmt::format("\n{}", error.what());
  }

  if (outcome.report && outcome.report->ok && outcome.exit_status == 0 && outcome.signal == 0) {
    outcome.ok = true;
  } else if (job.stopped) {
    outcome.kind = job.stopped->first;
    outcome.message = job.stopped->second;
  } else if (outcome.signal != 0) {
    outcome.kind = ErrorKind::kCrash;
    outcome.message = fmt::format("the worker died of signal {} ({}){}", outcome.signal, ::strsignal(outcome.signal),
                                  job.stage.empty() ? "" : " in stage " + job.stage);
    if (outcome.signal == SIGKILL) outcome.message += "; the kernel may have run out of memory";
  } else if (outcome.report && outcome.report->error_kind) {
    outcome.kind = *outcome.report->error_kind;
    outcome.message = outcome.report->error_subject.empty()
                          ? outcome.report->error_message
                          : outcome.report->error_subject + ": " + outcome.report->error_message;
  } else if (unread && unread->kind() != ErrorKind::kBadInput) {  // the disk's fault, not the worker's
    outcome.kind = unread->kind();
    outcome.message = fmt::format("the worker's report cannot be read: {}", unread->what());
  } else {
    outcome.kind = ErrorKind::kCrash;
    outcome.message = fmt::format("the worker ended with status {} without a report", outcome.exit_status);
  }
  return outcome;
}

std::vector<RunningJob> LocalExecutor::Running() const {
  std::vector<RunningJob> running;
  for (const auto& [id, job] : jobs_) {
    running.push_back({job->request.job, job->stage, job->fraction, Seconds(Clock::now() - job->started),
                       job->child ? fmt::format("process {}", job->child->pid) : "", job->memory});
  }
  return running;
}

void LocalExecutor::EndStrays(const std::vector<JobRequest>& jobs) {
  std::vector<std::pair<pid_t, std::uint64_t>> strays;
  for (const JobRequest& job : jobs) {
    pid_t pid = 0;
    std::uint64_t start_time = 0;
    std::ifstream(ProcessFile(job.folder)) >> pid >> start_time;
    if (pid <= 1 || start_time == 0) continue;
    if (ProcessStartTime(pid) == start_time) SignalGroup(pid, SIGKILL);
    strays.emplace_back(pid, start_time);
  }
  constexpr double kLimitS = 5;
  for (const auto& [pid, start_time] : strays) {
    if (!EndStrayProcess(pid, start_time, kLimitS)) {
      Log(LogLevel::kWarning, "", fmt::format("process {} of an earlier daemon does not die", pid));
    }
  }
}

std::string TailOf(const std::filesystem::path& path, std::size_t max_bytes) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return "";
  const std::streamoff end = file.tellg();
  if (end < 0) return "";
  const auto size = static_cast<std::size_t>(end);
  const std::size_t length = std::min(size, max_bytes);
  std::string text(length, '\0');
  file.seekg(static_cast<std::streamoff>(size - length));
  file.read(text.data(), static_cast<std::streamsize>(length));
  text.resize(static_cast<std::size_t>(file.gcount()));
  if (length < size) {
    const std::size_t line_end = text.find('\n');
    if (line_end != std::string::npos) text.erase(0, line_end + 1);
  }
  return text;
}

}  // namespace contimg::ops
