// One daemon per state directory.
#pragma once

#include <filesystem>
#include <string>

#include "config/descriptor.h"

namespace contimg::ops {

// What a running daemon tells others through its lock file.
struct InstanceInfo {
  int pid = 0;
  std::string listen;           // address:port of its HTTP server; empty until it listens
  std::string unknown_because;  // why it cannot be told whether one runs; empty: it can
};

// An exclusive lock on <state>/contimg-stream.lock that the kernel drops with the process.
class InstanceLock {
 public:
  // Throws Error{kBusy} naming the process that holds it.
  explicit InstanceLock(const std::filesystem::path& state_directory);
  ~InstanceLock();
  InstanceLock(const InstanceLock&) = delete;
  InstanceLock& operator=(const InstanceLock&) = delete;
  void Publish(const InstanceInfo& info);

 private:
  Descriptor file_;
};

// The daemon that holds the lock now; pid 0 when none does, or when the lock file cannot be looked at.
InstanceInfo FindInstance(const std::filesystem::path& state_directory);

}  // namespace contimg::ops
