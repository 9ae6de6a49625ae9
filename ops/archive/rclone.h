// The program rclone, the only way by which anything leaves or comes: each call a process of its own, in its own
// process group, without a shell, with a time limit. Of its verbs copy, copyto, move, moveto, cat, hashsum and lsjson
// are used, rcat, delete and rmdirs on our own folder of parts, and delete by their names on the files of our own
// backups alone: never sync or purge.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace contimg::ops {

struct RcloneOptions {
  std::filesystem::path program;  // FindRclone
  std::filesystem::path config;   // empty: rclone's own default
  std::string bandwidth;          // --bwlimit; empty: none
  double kill_after_s = 10;       // between asking it to end (TERM) and ending it (KILL)
  const std::atomic<bool>* cancelled = nullptr;
};

// Where it is on PATH; empty: nowhere.
std::filesystem::path FindRclone();

// How it ended, by rclone's exit status.
struct RcloneEnd {
  enum class Kind {
    kOk,       // 0
    kMissing,  // 3, 4: no such directory or file
    kPassing,  // 1, 2, 5, 6, 9: no answer, a lock, an error of the network: another time
    kFatal,    // 7, 8: no sense in trying again
  };
  Kind kind = Kind::kOk;
  int status = 0;
  std::string words;  // its last complaint, one line
};

class Rclone {
 public:
  explicit Rclone(RcloneOptions options) : options_(std::move(options)) {}

  // Runs `rclone WORDS…` with `input` to read; what it prints goes to `output` in pieces (may throw: rclone is ended
  // then). SIGPIPE must be ignored (StopOnSignals). Throws
  // Error{kTimeout} when it took longer than `timeout_s`, Error{kCancelled}, Error{kUsage} when there is no rclone.
  using Sink = std::function<void(const char* data, std::size_t size)>;
  RcloneEnd Run(const std::vector<std::string>& words, double timeout_s, const Sink& output = {},
                std::string_view input = {}) const;

  const RcloneOptions& options() const { return options_; }

 private:
  RcloneOptions options_;
};

// The remotes that a configuration of rclone describes ("[lake]"). Error{kIo} when it cannot be read.
std::vector<std::string> ConfiguredRemotes(const std::filesystem::path& config);

}  // namespace contimg::ops
