#include "ingest/read_ahead.h"

#include <utility>

namespace contimg::ingest {

ReadAhead::ReadAhead(std::vector<std::shared_ptr<FileBytes>> files)
    : files_(std::move(files)), loaded_(files_.size()), thread_([this](const std::stop_token& stop) { Run(stop); }) {}

ReadAhead::~ReadAhead() {
  thread_.request_stop();
  thread_.join();
  for (const auto& file : files_) {
    if (file) file->Forget();
  }
}

void ReadAhead::Run(const std::stop_token& stop) {
  for (std::size_t i = 0; i < files_.size() && !stop.stop_requested(); ++i) {
    Buffer<std::byte> memory;
    const bool wanted = files_[i] != nullptr;
    if (wanted) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return !free_.empty(); })) return;
      memory = std::move(free_.back());
      free_.pop_back();
    }
    const bool loaded = wanted && files_[i]->Load(memory);
    const std::lock_guard lock(mutex_);
    if (loaded) {
      loaded_[i] = std::move(memory);
    } else if (wanted) {
      free_.push_back(std::move(memory));
    }
    n_ready_ = i + 1;
    changed_.notify_all();
  }
}

void ReadAhead::WaitFor(std::size_t file) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return n_ready_ > file; });
}

void ReadAhead::Done(std::size_t file) {
  const std::lock_guard lock(mutex_);
  if (loaded_[file].empty()) return;
  files_[file]->Forget();
  free_.push_back(std::move(loaded_[file]));
  changed_.notify_all();
}

}  // namespace contimg::ingest
