// A directory for databases, removed after the test.
#pragma once

#include <filesystem>
#include <string>

#include "tests/temporary_folder.h"

namespace contimg::state {

class TemporaryDatabase {
 public:
  const std::filesystem::path& directory() const { return folder_.path(); }
  std::filesystem::path path() const { return folder_ / "test.sqlite3"; }

 private:
  TemporaryFolder folder_{"state"};
};

}  // namespace contimg::state
