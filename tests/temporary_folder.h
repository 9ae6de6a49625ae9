// A folder for one test, removed with all that is in it.
#pragma once

#include <stdlib.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace contimg {

class TemporaryFolder {
 public:
  // Below $TEST_TMPDIR or the temporary directory of the system unless `parent` says otherwise; `name` helps to find
  // who left one.
  explicit TemporaryFolder(const std::string& name = "test", const std::filesystem::path& parent = Parent()) {
    std::string pattern = parent / ("contimg-" + name + "-XXXXXX");
    if (::mkdtemp(pattern.data()) == nullptr) throw std::system_error(errno, std::generic_category(), pattern);
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  static std::filesystem::path Parent() {
    const char* wanted = std::getenv("TEST_TMPDIR");
    return wanted != nullptr ? std::filesystem::path(wanted) : std::filesystem::temp_directory_path();
  }

  std::filesystem::path path_;
};

}  // namespace contimg
