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
    std::uint64_t files = 0;        // regular ones
    double oldest_unix_s = 0;       // when the oldest of them was last changed; 0: there is none
    bool measured = false;          // false: the first walk is still under way; the rest says nothing
    double growth_bytes_per_s = 0;  // over the last half interval or more; 0 before
    double growth_files_per_s = 0;
  };
  // Measures `directories` (name → path) at once and then at least every `interval_s`; more often, down to every 30 s,
  // while that takes no more than a hundredth of the time.
  DirectorySizes(std::map<std::string, std::filesystem::path> directories, double interval_s);
  ~DirectorySizes();
  // What the last measurement of each directory found.
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
