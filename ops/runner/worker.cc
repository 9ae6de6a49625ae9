#include "ops/runner/worker.h"

#include <fmt/format.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <mutex>
#include <new>

#include "config/os.h"
#include "ops/runner/last_words.h"
#include "ops/runner/stages.h"

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

void Fail(JobReport& report, const Error& error) {
  report.ok = false;
  report.error_kind = error.kind();
  report.error_stage = error.stage();
  report.error_subject = error.subject();
  report.error_message = error.message();
}

}  // namespace

JobReport RunJob(const Job& job, const RunContext& context) {
  JobState state;
  state.report.group = job.group;
  state.report.attempt = job.attempt;
  try {
    for (const std::string& name : job.stages) {
      const Stage& stage = FindStage(name);
      context.CheckCancelled(name);
      context.reporter->Progress(name, 0);
      const auto start = std::chrono::steady_clock::now();
      StageReport stage_report;
      stage_report.name = name;
      stage.run(job, context, state, stage_report.figures);
      stage_report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      state.report.stages.push_back(std::move(stage_report));
      context.reporter->Progress(name, 1);
    }
    state.report.ok = true;
  } catch (const Error& error) {
    Fail(state.report, error);
  } catch (const std::bad_alloc&) {
    Fail(state.report, Error(ErrorKind::kResource, "worker", job.group, "out of memory"));
  } catch (const std::exception& error) {
    Fail(state.report, Error(ErrorKind::kBug, "worker", job.group, error.what()));
  }
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
  context.reporter = &reporter;
  context.cancelled = &stop_asked;
  context.os = &os;
  const JobReport report = RunJob(job, context);
  WriteFileAtomically(os, report_file, ToJson(report).dump(2) + "\n");
  if (report.ok) return 0;
  fmt::print(stderr, "contimg: {}{}{}\n", report.error_subject, report.error_subject.empty() ? "" : ": ",
             report.error_message);
  return ExitStatus(*report.error_kind);
}

}  // namespace contimg::ops
