#include "ops/daemon/header_checker.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstring>
#include <istream>
#include <utility>

namespace contimg::ops {
namespace {

constexpr double kIdleLimitS = 30;
constexpr double kLimitS = 60;      // for one file
constexpr std::size_t kAhead = 16;  // files named to the process before their turn: its answers then come in a stream

}  // namespace

HeaderChecker::HeaderChecker(boost::asio::io_context& io, std::filesystem::path program, Callback done)
    : io_(io), program_(std::move(program)), done_(std::move(done)) {}

HeaderChecker::~HeaderChecker() {
  if (process_ && process_->child.pid > 0) SignalGroup(process_->child.pid, SIGKILL);
}

void HeaderChecker::Check(const std::filesystem::path& path) {
  queue_.push_back(path);
  SendNext();
}

void HeaderChecker::SendNext() {
  if (n_sent_ == 0) since_ = Clock::now();
  if (queue_.empty() || n_sent_ >= kAhead || n_sent_ == queue_.size()) return;
  try {
    if (!process_) {
      auto process = std::make_shared<Process>(io_);
      ChildOptions options;
      options.arguments = {program_.string(), "worker", "--check-files"};
      options.standard_input = true;
      process->child = StartChild(options);
      process->input.assign(process->child.input);
      process->output.assign(process->child.output);
      process_ = process;
      ReadLine(process);
    }
  } catch (const Error& error) {
    Answer({queue_.front(), std::nullopt, error.kind(), error.what()});
    return;
  }
  while (n_sent_ < std::min(kAhead, queue_.size())) process_->unsent += queue_[n_sent_++].string() + "\n";
  Write(process_);
}

void HeaderChecker::Write(const std::shared_ptr<Process>& process) {
  if (!process->sending.empty() || process->unsent.empty()) return;
  process->sending.swap(process->unsent);
  boost::asio::async_write(process->input, boost::asio::buffer(process->sending),
                           [this, process](const boost::system::error_code& error, std::size_t) {
                             if (error || process_ != process) return;  // its end is noticed by ReadLine
                             process->sending.clear();
                             Write(process);
                           });
}

void HeaderChecker::ReadLine(const std::shared_ptr<Process>& process) {
  boost::asio::async_read_until(
      process->output, process->buffer, '\n', [this, process](const boost::system::error_code& error, std::size_t) {
        if (process_ != process) return;  // given up meanwhile
        if (error) {
          if (error != boost::asio::error::not_found) return AwaitEnd(process, 100);
          return EndProcess(ErrorKind::kCrash, "the process that reads headers wrote without end about this file");
        }
        std::istream stream(&process->buffer);
        std::string line;
        std::getline(stream, line);
        ReadLine(process);
        auto result = ParseCheckResult(line);
        if (n_sent_ > 0 && result && result->path == queue_.front()) {
          Answer(std::move(*result));
        }
      });
}

// Its output has ended. How it died is known when it can be collected, a moment later.
void HeaderChecker::AwaitEnd(const std::shared_ptr<Process>& process, int tries) {
  if (process_ != process) return;
  const std::optional<ChildEnd> end = TryWait(process->child.pid);
  if (!end && tries > 0) {
    auto pause = std::make_shared<boost::asio::steady_timer>(io_, std::chrono::milliseconds(10));
    pause->async_wait([this, pause, process, tries](const boost::system::error_code& stopped) {
      if (!stopped) AwaitEnd(process, tries - 1);
    });
    return;
  }
  std::string words = "the process that reads headers ended at this file";
  if (end) {
    process->child.pid = -1;  // collected: the number may be another's by now
    words = end->signal == 0
                ? fmt::format("the process that reads headers ended with status {} at this file", end->exit_status)
                : fmt::format("the process that reads headers died of signal {} ({}) at this file{}", end->signal,
                              ::strsignal(end->signal),
                              end->signal == SIGKILL ? "; the kernel may have run out of memory" : "");
  }
  EndProcess(ErrorKind::kCrash, words);
}

void HeaderChecker::Answer(CheckResult result) {
  queue_.pop_front();
  if (n_sent_ > 0) --n_sent_;
  since_ = Clock::now();
  // Posted, so that a callback that checks further files finds this object in a settled state.
  boost::asio::post(io_, [this, result = std::move(result)] {
    SendNext();  // first: whoever is told may throw
    done_(result);
  });
}

void HeaderChecker::EndProcess(ErrorKind kind, const std::string& message) {
  if (!process_) return;
  if (process_->child.pid > 0) {
    SignalGroup(process_->child.pid, SIGKILL);
    uncollected_.push_back(process_->child.pid);
  }
  process_.reset();
  const bool busy = n_sent_ > 0;
  n_sent_ = 0;  // what it was given beyond the first one is asked again of the next process
  if (busy) Answer({queue_.front(), std::nullopt, kind, message});
}

void HeaderChecker::Tick() {
  uncollected_.erase(
      std::remove_if(uncollected_.begin(), uncollected_.end(), [](pid_t pid) { return TryWait(pid).has_value(); }),
      uncollected_.end());
  const double elapsed = std::chrono::duration<double>(Clock::now() - since_).count();
  const bool busy = n_sent_ > 0;
  if (busy && elapsed > kLimitS) {
    EndProcess(ErrorKind::kTimeout, fmt::format("its header could not be read within {:.0f} s", kLimitS));
  } else if (!busy && process_ && elapsed > kIdleLimitS) {
    EndProcess(ErrorKind::kCancelled, "");
  }
}

}  // namespace contimg::ops
