#include "ops/daemon/directory_sizes.h"

#include <chrono>
#include <system_error>
#include <utility>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

}  // namespace

DirectorySizes::DirectorySizes(std::map<std::string, fs::path> directories, double interval_s)
    : directories_(std::move(directories)), interval_s_(interval_s), thread_([this] { Run(); }) {}

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
  auto last = std::chrono::steady_clock::now();
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stop_) {
    std::map<std::string, Size> measured;
    for (const auto& [name, path] : directories_) {
      lock.unlock();
      std::uint64_t bytes = 0;
      std::error_code error;
      // What vanishes meanwhile is left out; the next measurement is as good.
      fs::recursive_directory_iterator at(path, fs::directory_options::skip_permission_denied, error), end;
      for (std::size_t n = 0; !error && at != end; at.increment(error), ++n) {
        std::error_code gone;
        if (at->is_regular_file(gone)) {
          const std::uintmax_t size = at->file_size(gone);
          if (!gone) bytes += size;
        }
        if (n % 1024 == 1023) {
          const std::lock_guard<std::mutex> check(mutex_);
          if (stop_) break;
        }
      }
      measured[name].bytes = bytes;
      lock.lock();
      if (stop_) return;
    }
    const auto now = std::chrono::steady_clock::now();
    const double elapsed = std::chrono::duration<double>(now - last).count();
    for (auto& [name, size] : measured) {
      const auto before = latest_.find(name);
      if (before != latest_.end() && elapsed > 0) {
        size.growth_bytes_per_s =
            (static_cast<double>(size.bytes) - static_cast<double>(before->second.bytes)) / elapsed;
      }
    }
    last = now;
    latest_ = std::move(measured);
    wake_.wait_for(lock, std::chrono::duration<double>(interval_s_), [this] { return stop_; });
  }
}

}  // namespace contimg::ops
