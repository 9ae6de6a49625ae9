#include "ops/job/progress_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace contimg::ops {

std::filesystem::path ProgressFile(const std::filesystem::path& folder) { return folder / "progress.jsonl"; }

std::vector<ProgressLine> ProgressReader::Read() {
  constexpr std::size_t kAtOnce = 1 << 20;
  static_assert(kAtOnce > kLongestLine);
  std::vector<ProgressLine> lines;
  if (endless_) return lines;
  const int fd = ::open(file_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return lines;
  std::string text(kAtOnce, '\0');
  const ssize_t n = ::pread(fd, text.data(), text.size(), static_cast<off_t>(offset_));
  ::close(fd);
  if (n <= 0) return lines;
  text.resize(static_cast<std::size_t>(n));
  std::size_t begin = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', begin)) {
    if (end - begin > kLongestLine) break;
    if (auto line = ParseProgressLine(text.substr(begin, end - begin))) lines.push_back(std::move(*line));
    begin = end + 1;
  }
  const std::size_t rest = std::min(text.find('\n', begin), text.size()) - begin;
  endless_ = rest > kLongestLine;
  offset_ += begin;
  return lines;
}

}  // namespace contimg::ops
