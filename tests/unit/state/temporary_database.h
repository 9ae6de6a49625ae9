// A directory for databases, removed after the test.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace contimg::state {

class TemporaryDatabase {
 public:
  TemporaryDatabase() {
    std::string name = (std::filesystem::temp_directory_path() / "contimg-state-XXXXXX").string();
    directory_ = ::mkdtemp(name.data());
  }
  ~TemporaryDatabase() { std::filesystem::remove_all(directory_); }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;
  const std::filesystem::path& directory() const { return directory_; }
  std::filesystem::path path() const { return directory_ / "test.sqlite3"; }

 private:
  std::filesystem::path directory_;
};

}  // namespace contimg::state
