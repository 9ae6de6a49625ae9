#include "convert/casacore/casacore_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

namespace contimg::convert::internal {
namespace {

namespace fs = std::filesystem;

// The file below `folder` that a message speaks of, as far as it names one.
fs::path FileNamedIn(const std::string& message, const fs::path& folder) {
  fs::path longest;
  std::size_t begin = 0;
  while (begin < message.size()) {
    const std::size_t end = std::min(message.find_first_of(" \t\n,;'\"()", begin), message.size());
    std::string word = message.substr(begin, end - begin);
    while (!word.empty() && (word.back() == ':' || word.back() == '.')) word.pop_back();
    begin = end + 1;
    const fs::path relative = fs::path(word).lexically_relative(folder);
    if (relative.empty() || relative == "." || relative.begin()->string() == "..") continue;
    if (relative.string().size() > longest.string().size()) longest = relative;
  }
  return longest;
}

// The first file of a tree of tables that holds nothing.
fs::path EmptyFileIn(const fs::path& folder) {
  std::error_code failed;
  std::vector<fs::path> files;
  for (fs::recursive_directory_iterator it(folder, failed), end; !failed && it != end; it.increment(failed)) {
    if (it->path().filename().string().rfind("table.", 0) == 0 && it->path().filename() != "table.lock") {
      files.push_back(it->path());
    }
  }
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    if (fs::is_regular_file(file, failed) && fs::file_size(file, failed) == 0) return file.lexically_relative(folder);
  }
  return {};
}

}  // namespace

Error InOurWords(ErrorKind kind, const std::string& stage, const std::string& subject, const std::string& message) {
  const bool reading = kind == ErrorKind::kBadInput;
  if (const int error_number = ErrorNumberIn(message); error_number != 0) {
    return SystemError(stage, subject, reading ? "cannot be read" : "cannot be written", error_number);
  }
  fs::path file = FileNamedIn(message, subject);
  if (file.empty() && reading) file = EmptyFileIn(subject);
  const std::string where = file.empty() ? "a file of it" : file.string();
  if (reading) {
    return Error(
        kind, stage, subject,
        fmt::format("expected complete tables of casacore, found {} damaged, cut off or missing; copy the whole "
                    "directory anew from where it was made",
                    where));
  }
  return Error(
      kind, stage, subject,
      fmt::format("cannot be written: casacore failed at {}; look at the disk and at who may write there", where));
}

}  // namespace contimg::convert::internal
