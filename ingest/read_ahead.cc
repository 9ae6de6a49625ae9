#include "ingest/read_ahead.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <utility>

#include "config/descriptor.h"

namespace contimg::ingest {
namespace {

constexpr off_t kAtOnce = 4 << 20;

void Fetch(const std::filesystem::path& file, const std::stop_token& stop) {
  const Descriptor descriptor(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!descriptor.open() || ::fstat(descriptor.get(), &status) != 0) return;
  for (off_t at = 0; at < status.st_size && !stop.stop_requested(); at += kAtOnce) {
    if (::posix_fadvise(descriptor.get(), at, kAtOnce, POSIX_FADV_WILLNEED) != 0) return;
  }
}

}  // namespace

ReadAhead::ReadAhead(std::vector<std::filesystem::path> files)
    : thread_([files = std::move(files)](const std::stop_token& stop) {
        for (const std::filesystem::path& file : files) Fetch(file, stop);
      }) {}

}  // namespace contimg::ingest
