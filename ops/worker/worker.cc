#include "ops/worker/worker.h"

#include <fmt/format.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <exception>
#include <functional>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include "config/os.h"
#include "config/stopwatch.h"
#include "config/time.h"
#include "ops/base/last_words.h"
#include "ops/base/version.h"
#include "ops/worker/stages.h"

namespace contimg::ops {
namespace {

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

void AskStop(int) { stop_asked.store(true, std::memory_order_relaxed); }

// Progress as JSON lines on stdout, at most one line per stage and percent.
class LineReporter final : public Reporter {
 public:
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
  static void Print(const ProgressLine& line) {
    fmt::print("{}\n", FormatProgressLine(line));
    std::fflush(stdout);
  }
  std::mutex mutex_;
  std::string last_stage_;
  int last_percent_ = -1;
};

// Processor seconds and largest resident memory of this process so far.
std::pair<double, std::uint64_t> Usage() {
  struct rusage usage {};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return {seconds(usage.ru_utime) + seconds(usage.ru_stime), static_cast<std::uint64_t>(usage.ru_maxrss) * 1024};
}

std::string HostName() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

void Fail(JobReport& report, const Error& error) {
  report.ok = false;
  report.error_kind = error.kind();
  report.error_stage = error.stage();
  report.error_subject = error.subject();
  report.error_message = error.message();
}

}  // namespace

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

JobReport RunJob(const Job& job, const RunContext& context) {
  JobState state;
  state.report.group = job.group;
  state.report.attempt = job.attempt;
  state.report.started_at = UtcTime::Now().unix_s();
  state.report.program_version = kVersion;
  state.report.host = HostName();
  state.report.settings_hash = SettingsHash(job.settings);
  state.report.instruction_set = InstructionSet();
  const auto run = [&](const std::string& name, const std::function<void(nlohmann::json&)>& work) {
    context.CheckCancelled(name);
    RequireTrees(job.trees);
    context.reporter->Progress(name, 0);
    const Stopwatch watch;
    const double cpu = Usage().first;
    StageReport report;
    report.name = name;
    work(report.figures);
    report.seconds = watch.Seconds();
    const auto [cpu_end, memory] = Usage();
    report.cpu_s = cpu_end - cpu;
    report.peak_memory_bytes = memory;
    state.report.stages.push_back(std::move(report));
    context.reporter->Progress(name, 1);
  };
  try {
    std::size_t last_change = 0;
    for (std::size_t i = 0; i < job.stages.size(); ++i) {
      if (FindStage(job.stages[i]).changes_data) last_change = i + 1;
    }
    for (std::size_t i = 0; i < job.stages.size(); ++i) {
      const Stage& stage = FindStage(job.stages[i]);
      const bool has_its_data = !state.taken || stage.name == "apply";
      if (has_its_data && !(state.waiting && stage.name == "image")) {
        run(job.stages[i], [&](nlohmann::json& figures) { stage.run(job, context, state, figures); });
      }
      if (i + 1 == last_change) StartWriting(job, context, state);
    }
    run("write", [&](nlohmann::json& figures) { FinishWriting(job, state, figures); });
    state.report.ok = true;
  } catch (const Error& error) {
    Fail(state.report, error);
  } catch (const std::bad_alloc&) {
    Fail(state.report, Error(ErrorKind::kResource, "worker", job.group, "out of memory"));
  } catch (const std::exception& error) {
    Fail(state.report, Error(ErrorKind::kBug, "worker", job.group, error.what()));
  }
  state.report.finished_at = UtcTime::Now().unix_s();
  return std::move(state.report);
}

int RunWorker(const std::filesystem::path& job_file, Os& os) {
  const Job job = ParseJob(ReadJsonFile(job_file), job_file.string());
  struct sigaction action {};
  action.sa_handler = AskStop;
  ::sigaction(SIGTERM, &action, nullptr);
  ::sigaction(SIGINT, &action, nullptr);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, nullptr);  // whoever reads the progress may go away

  const std::filesystem::path report_file = ReportFile(job_file.parent_path().empty() ? "." : job_file.parent_path());
  SetLastWords([&os, report_file, group = job.group, attempt = job.attempt](ErrorKind kind, const std::string& words) {
    JobReport report;
    report.group = group;
    report.attempt = attempt;
    Fail(report, Error(kind, "worker", group, words));
    WriteFileAtomically(os, report_file, ToJson(report).dump(2) + "\n");
    fmt::print(stderr, "contimg: {}\n", words);
  });

  LineReporter reporter;
  RunContext context;
  context.threads = job.threads;
  context.memory_bytes = job.memory_bytes;
  context.reporter = &reporter;
  context.cancelled = &stop_asked;
  GuardedOs guarded(os, job.trees);
  context.os = &guarded;
  const JobReport report = RunJob(job, context);
  WriteFileAtomically(os, report_file, ToJson(report).dump(2) + "\n");
  if (report.ok) return 0;
  fmt::print(stderr, "contimg: {}{}{}\n", report.error_subject, report.error_subject.empty() ? "" : ": ",
             report.error_message);
  return ExitStatus(*report.error_kind);
}

}  // namespace contimg::ops
