#include "ops/daemon/directory_sizes.h"

#include <algorithm>
#include <chrono>
#include <system_error>
#include <utility>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kShortestPauseS = 30;

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
      lock.lock();
      if (stop_) return;
      Size& size = measured[name];
      size.bytes = bytes;
      size.measured = true;
      size.growth_bytes_per_s = latest_[name].growth_bytes_per_s;
      // Each as soon as it is known: one tree of millions of files does not hold the others back.
      latest_[name] = size;
    }
    const auto now = Clock::now();
    if (reference.empty()) {
      reference = measured;
      reference_at = now;
    } else if (seconds(now - reference_at) >= interval_s_ / 2) {
      for (auto& [name, size] : measured) {
        size.growth_bytes_per_s = (static_cast<double>(size.bytes) - static_cast<double>(reference[name].bytes)) /
                                  seconds(now - reference_at);
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
