// The daemon's side of ops/job/header_check.h: a queue of files and one checking process, started when there is
// something to check, ended when there is not, replaced when it crashes or hangs.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/streambuf.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ops/base/child_process.h"
#include "ops/job/header_check.h"

namespace contimg::ops {

class HeaderChecker {
 public:
  using Callback = std::function<void(const CheckResult&)>;
  // `done` is called once for every path given to Check, from the io context.
  HeaderChecker(boost::asio::io_context& io, std::filesystem::path program, Callback done);
  ~HeaderChecker();

  void Check(const std::filesystem::path& path);
  std::size_t n_waiting() const { return queue_.size(); }
  // Called about once a second: ends a hanging or idle process.
  void Tick();

 private:
  using Clock = std::chrono::steady_clock;
  struct Process {
    explicit Process(boost::asio::io_context& io) : input(io), output(io) {}
    Child child;
    boost::asio::posix::stream_descriptor input, output;
    boost::asio::streambuf buffer{kLongestChildLine};
    std::string unsent, sending;  // lines for its input
  };
  void SendNext();
  void Write(const std::shared_ptr<Process>& process);
  void ReadLine(const std::shared_ptr<Process>& process);
  void Answer(CheckResult result);
  void AwaitEnd(const std::shared_ptr<Process>& process, int tries);
  void EndProcess(ErrorKind kind, const std::string& message);

  boost::asio::io_context& io_;
  std::filesystem::path program_;
  Callback done_;
  std::deque<std::filesystem::path> queue_;  // the first n_sent_ are with the process, which answers in order
  std::size_t n_sent_ = 0;
  std::shared_ptr<Process> process_;
  Clock::time_point since_{};  // with the first one, or idle, since
  std::vector<pid_t> uncollected_;
};

}  // namespace contimg::ops
