#include "ops/job/worker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <mutex>
#include <new>
#include <utility>

#include "config/os.h"
#include "config/stopwatch.h"
#include "config/time.h"
#include "ops/base/host_name.h"
#include "ops/base/last_words.h"
#include "ops/base/stop_signals.h"
#include "ops/base/version.h"
#include "ops/job/progress_file.h"

namespace contimg::ops {
namespace {

// Progress as JSON lines, at most one line per stage and percent: in a file of the job's folder, for whoever watches
// over it, and on stdout, for a person who repeats the job.
class LineReporter final : public Reporter {
 public:
  explicit LineReporter(const std::filesystem::path& file)
      : fd_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640)) {}
  ~LineReporter() override {
    if (fd_ >= 0) ::close(fd_);
  }
  LineReporter(const LineReporter&) = delete;
  LineReporter& operator=(const LineReporter&) = delete;
  void Progress(std::string_view stage, double fraction) override {
    const int percent = static_cast<int>(fraction * 100);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last_stage_ == stage && last_percent_ == percent) return;
    last_stage_ = stage;
    last_percent_ = percent;
    Print({ProgressLine::Kind::kProgress, std::string(stage), fraction, ""});
  }
  void Warn(std::string_view stage, std::string_view message) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    Print({ProgressLine::Kind::kWarning, std::string(stage), 0, std::string(message)});
  }
  void Info(std::string_view stage, std::string_view message) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    Print({ProgressLine::Kind::kInfo, std::string(stage), 0, std::string(message)});
  }

 private:
  // A line that cannot be written (a full disk) is no reason to end the work.
  void Print(const ProgressLine& line) const {
    const std::string text = FormatProgressLine(line) + "\n";
    fmt::print("{}", text);
    std::fflush(stdout);
    if (fd_ >= 0) (void)!::write(fd_, text.data(), text.size());
  }
  int fd_;
  std::mutex mutex_;
  std::string last_stage_;
  int last_percent_ = -1;
};

rusage Usage() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage;
}

// Of this process so far.
double ProcessorSeconds() {
  const rusage usage = Usage();
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void Fail(JobReport& report, const Error& error) {
  report.ok = false;
  report.error_kind = error.kind();
  report.error_stage = error.stage();
  report.error_subject = error.subject();
  report.error_message = error.message();
}

}  // namespace

std::uint64_t PeakMemoryBytes() { return static_cast<std::uint64_t>(Usage().ru_maxrss) * 1024; }

std::string InstructionSet() {
  // What decides which variant of the SIMD code runs, and with it the last bits of its results.
  std::string found;
  const auto add = [&](bool supported, const char* name) {
    if (supported) found += (found.empty() ? "" : " ") + std::string(name);
  };
#if defined(__x86_64__)
  add(__builtin_cpu_supports("sse4.2"), "sse4.2");
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512vl"), "avx512vl");
  add(__builtin_cpu_supports("avx512vbmi2"), "avx512vbmi2");
  add(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
#endif
  return found.empty() ? "generic" : found;
}

JobReport BeginReport(const JobId& job, int attempt) {
  JobReport report;
  report.job = job.text();
  if (job.is_group()) report.group = job.subject;
  report.attempt = attempt;
  report.started_at = UtcTime::Now().unix_s();
  report.program_version = kVersion;
  report.host = HostName();
  report.instruction_set = InstructionSet();
  return report;
}

void RunStage(const std::string& name, const RunContext& context, const ExpectedTrees& trees, JobReport& report,
              const std::function<void(nlohmann::json&)>& work) {
  context.CheckCancelled(name);
  RequireTrees(trees);
  context.reporter->Progress(name, 0);
  const Stopwatch watch;
  const double cpu = ProcessorSeconds();
  StageReport stage;
  stage.name = name;
  work(stage.figures);
  stage.seconds = watch.Seconds();
  stage.cpu_s = ProcessorSeconds() - cpu;
  stage.peak_memory_bytes = PeakMemoryBytes();
  report.stages.push_back(std::move(stage));
  context.reporter->Progress(name, 1);
}

void CompleteReport(JobReport& report, const std::function<void()>& stages) {
  const std::string subject = report.group.empty() ? report.job : report.group;
  try {
    stages();
    report.ok = true;
  } catch (const Error& error) {
    Fail(report, error);
  } catch (const std::bad_alloc&) {
    Fail(report, Error(ErrorKind::kResource, "worker", subject, "out of memory"));
  } catch (const std::exception& error) {
    Fail(report, Error(ErrorKind::kBug, "worker", subject, error.what()));
  }
  report.finished_at = UtcTime::Now().unix_s();
}

int RunWorkerProcess(const std::filesystem::path& job_file, Os& os, const WorkerIdentity& identity,
                     const std::function<JobReport(const RunContext&)>& work) {
  const std::filesystem::path folder = job_file.parent_path().empty() ? "." : job_file.parent_path();
  const std::filesystem::path report_file = ReportFile(folder);
  SetLastWords(
      [&os, report_file, job = identity.job, attempt = identity.attempt](ErrorKind kind, const std::string& words) {
        JobReport report = BeginReport(job, attempt);
        Fail(report, Error(kind, "worker", job.row_id(), words));
        WriteFileAtomically(os, report_file, ToJson(report).dump(2) + "\n");
        fmt::print(stderr, "contimg: {}\n", words);
      });

  LineReporter reporter(ProgressFile(folder));
  RunContext context;
  context.threads = identity.threads;
  context.memory_bytes = identity.memory_bytes;
  context.reporter = &reporter;
  context.cancelled = &StopOnSignals();
  GuardedOs guarded(os, identity.trees);
  context.os = &guarded;
  const JobReport report = work(context);
  WriteFileAtomically(os, report_file, ToJson(report).dump(2) + "\n");
  if (report.ok) return 0;
  fmt::print(stderr, "contimg: {}{}{}\n", report.error_subject, report.error_subject.empty() ? "" : ": ",
             report.error_message);
  return ExitStatus(*report.error_kind);
}

}  // namespace contimg::ops
