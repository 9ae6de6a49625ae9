// Sizes of the big directory trees, measured by a thread of its own: walking them takes seconds on a full disk.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <thread>

namespace contimg::ops {

class DirectorySizes {
 public:
  struct Size {
    std::uint64_t bytes = 0;
    double growth_bytes_per_s = 0;  // since the measurement before; 0 after the first
  };
  // Measures `directories` (name → path) at once and then every `interval_s`.
  DirectorySizes(std::map<std::string, std::filesystem::path> directories, double interval_s);
  ~DirectorySizes();
  // What the last measurement found; empty before the first.
  std::map<std::string, Size> Latest() const;

 private:
  void Run();
  std::map<std::string, std::filesystem::path> directories_;
  double interval_s_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  bool stop_ = false;
  std::map<std::string, Size> latest_;
  std::thread thread_;
};

}  // namespace contimg::ops
