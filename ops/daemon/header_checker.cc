#include "ops/daemon/header_checker.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <istream>
#include <utility>

namespace contimg::ops {
namespace {

constexpr double kIdleLimitS = 30;

}  // namespace

HeaderChecker::HeaderChecker(boost::asio::io_context& io, std::filesystem::path program, Callback done)
    : io_(io), program_(std::move(program)), done_(std::move(done)) {}

HeaderChecker::~HeaderChecker() {
  if (process_) SignalGroup(process_->child.pid, SIGKILL);
}

void HeaderChecker::Check(const std::filesystem::path& path) {
  queue_.push_back(path);
  if (!busy_) SendNext();
}

void HeaderChecker::SendNext() {
  since_ = Clock::now();
  if (queue_.empty()) return;
  busy_ = true;
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
  auto line = std::make_shared<std::string>(queue_.front().string() + "\n");
  boost::asio::async_write(process_->input, boost::asio::buffer(*line),
                           [line, process = process_](const boost::system::error_code&, std::size_t) {});
}

void HeaderChecker::ReadLine(const std::shared_ptr<Process>& process) {
  boost::asio::async_read_until(process->output, process->buffer, '\n',
                                [this, process](const boost::system::error_code& error, std::size_t) {
                                  if (process_ != process) return;  // given up meanwhile
                                  if (error) {
                                    EndProcess(ErrorKind::kCrash, "the process that reads headers died of this file");
                                    return;
                                  }
                                  std::istream stream(&process->buffer);
                                  std::string line;
                                  std::getline(stream, line);
                                  ReadLine(process);
                                  auto result = ParseCheckResult(line);
                                  if (busy_ && result && result->path == queue_.front()) Answer(std::move(*result));
                                });
}

void HeaderChecker::Answer(CheckResult result) {
  queue_.pop_front();
  busy_ = false;
  // Posted, so that a callback that checks further files finds this object in a settled state.
  boost::asio::post(io_, [this, result = std::move(result)] {
    done_(result);
    if (!busy_) SendNext();
  });
}

void HeaderChecker::EndProcess(ErrorKind kind, const std::string& message) {
  if (!process_) return;
  SignalGroup(process_->child.pid, SIGKILL);
  uncollected_.push_back(process_->child.pid);
  process_.reset();
  if (busy_) Answer({queue_.front(), std::nullopt, kind, message});
}

void HeaderChecker::Tick() {
  uncollected_.erase(
      std::remove_if(uncollected_.begin(), uncollected_.end(), [](pid_t pid) { return TryWait(pid).has_value(); }),
      uncollected_.end());
  const double elapsed = std::chrono::duration<double>(Clock::now() - since_).count();
  if (busy_ && elapsed > limit_s_) {
    EndProcess(ErrorKind::kTimeout, fmt::format("its header could not be read within {:.0f} s", limit_s_));
  } else if (!busy_ && process_ && elapsed > kIdleLimitS) {
    EndProcess(ErrorKind::kCancelled, "");
  }
}

}  // namespace contimg::ops
