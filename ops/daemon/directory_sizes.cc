#include "ops/daemon/directory_sizes.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kShortestPauseS = 30;

void AddFile(const fs::path& path, DirectorySizes::Size& size) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) != 0 || !S_ISREG(found.st_mode)) return;  // what has gone meanwhile counts no more
  size.bytes += static_cast<std::uint64_t>(found.st_size);
  ++size.files;
  const double changed = static_cast<double>(found.st_mtim.tv_sec) + 1e-9 * static_cast<double>(found.st_mtim.tv_nsec);
  size.oldest_unix_s = size.files == 1 ? changed : std::min(size.oldest_unix_s, changed);
}

}  // namespace

DirectorySizes::DirectorySizes(std::map<std::string, fs::path> directories, double interval_s)
    : directories_(std::move(directories)), interval_s_(interval_s) {
  for (const auto& [name, path] : directories_) latest_[name];
  thread_ = std::thread([this] { Run(); });
}

DirectorySizes::~DirectorySizes() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

std::map<std::string, DirectorySizes::Size> DirectorySizes::Latest() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return latest_;
}

void DirectorySizes::Run() {
  using Clock = std::chrono::steady_clock;
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  // What growth is measured against: at least half an interval old, once there is such a measurement.
  std::map<std::string, Size> reference;
  auto reference_at = Clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    const auto begun = Clock::now();
    std::map<std::string, Size> measured;
    for (const auto& [name, path] : directories_) {
      lock.unlock();
      Size size;
      std::error_code error;
      // What vanishes meanwhile is left out; the next measurement is as good.
      fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error), end;
      for (std::size_t n = 0; !error && at != end; at.increment(error), ++n) {
        AddFile(at->path(), size);
        if (n % 1024 == 1023) {
          const std::lock_guard<std::mutex> check(mutex_);
          if (stop_) break;
        }
      }
      lock.lock();
      if (stop_) return;
      size.measured = true;
      size.growth_bytes_per_s = latest_[name].growth_bytes_per_s;
      size.growth_files_per_s = latest_[name].growth_files_per_s;
      // Each as soon as it is known: one tree of millions of files does not hold the others back.
      latest_[name] = measured[name] = size;
    }
    const auto now = Clock::now();
    if (reference.empty()) {
      reference = measured;
      reference_at = now;
    } else if (seconds(now - reference_at) >= interval_s_ / 2) {
      for (auto& [name, size] : measured) {
        const auto rate = [&](std::uint64_t after, std::uint64_t before) {
          return (static_cast<double>(after) - static_cast<double>(before)) / seconds(now - reference_at);
        };
        size.growth_bytes_per_s = rate(size.bytes, reference[name].bytes);
        size.growth_files_per_s = rate(size.files, reference[name].files);
      }
      latest_ = reference = measured;
      reference_at = now;
    }
    // Small trees are walked often, and no tree takes more than a hundredth of a processor.
    const double pause = std::clamp(100 * seconds(now - begun), std::min(kShortestPauseS, interval_s_), interval_s_);
    wake_.wait_for(lock, std::chrono::duration<double>(pause), [this] { return stop_; });
  }
}

}  // namespace contimg::ops
