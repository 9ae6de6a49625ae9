// Files on their way into memory before their rows are read. Used within ingest only.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "config/buffer.h"
#include "ingest/chunk_rows.h"

namespace contimg::ingest {

// Loads files, such as are not in the page cache, one after the other, in the order in which they are going to be read
// and in pieces as large as disks like them: rows of a chunked file are many small pieces of it. At most four files are
// loaded at a time. A file that cannot be loaded is left for its reader to read.
class ReadAhead {
 public:
  static constexpr std::size_t kAtATime = 4;

  // Null: nothing is to be done for that file. Objects stay until this one has ended.
  explicit ReadAhead(std::vector<std::shared_ptr<FileBytes>> files);
  ~ReadAhead();

  // Before anything of a file is read, and after all of it has been. Thread-safe.
  void WaitFor(std::size_t file);
  void Done(std::size_t file);

 private:
  void Run(const std::stop_token& stop);

  const std::vector<std::shared_ptr<FileBytes>> files_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t n_ready_ = 0;                                                         // files that need not be waited for
  std::vector<Buffer<std::byte>> free_ = std::vector<Buffer<std::byte>>(kAtATime);  // memory for files
  std::vector<Buffer<std::byte>> loaded_;  // [file]: its content; empty when it was not loaded
  std::jthread thread_;
};

}  // namespace contimg::ingest
