#include "ops/base/instance_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "config/error.h"

namespace contimg::ops {
namespace {

std::filesystem::path LockFile(const std::filesystem::path& state_directory) {
  return state_directory / "contimg-stream.lock";
}

// A lock on the whole file that belongs to the open description, so that asking for it does not need taking it.
struct flock WholeFile() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

InstanceInfo ReadInfo(const std::filesystem::path& path) {
  std::ifstream file(path);
  InstanceInfo info;
  file >> info.pid >> info.listen;
  return info;
}

}  // namespace

InstanceLock::InstanceLock(const std::filesystem::path& state_directory) {
  const auto path = LockFile(state_directory);
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640));
  if (!file.open()) throw SystemError("daemon", path.string(), "cannot open", errno);
  struct flock lock = WholeFile();
  if (::fcntl(file.get(), F_OFD_SETLK, &lock) != 0) {
    const int error_number = errno;
    if (error_number == EAGAIN || error_number == EACCES) {
      throw Error(ErrorKind::kBusy, "daemon", state_directory.string(),
                  fmt::format("another contimg-stream (process {}) works on this state directory", ReadInfo(path).pid));
    }
    throw SystemError("daemon", path.string(), "cannot lock", error_number);
  }
  file_ = std::move(file);
  Publish({::getpid(), "", ""});
}

InstanceLock::~InstanceLock() {
  if (file_.open()) (void)!::ftruncate(file_.get(), 0);
}

void InstanceLock::Publish(const InstanceInfo& info) {
  const std::string text = fmt::format("{} {}\n", info.pid, info.listen);
  (void)!::ftruncate(file_.get(), 0);
  (void)!::pwrite(file_.get(), text.data(), text.size(), 0);
}

InstanceInfo FindInstance(const std::filesystem::path& state_directory) {
  const auto path = LockFile(state_directory);
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) {
    if (errno == ENOENT || errno == ENOTDIR) return {};
    return {0, "", fmt::format("{} ({})", std::strerror(errno), path.string())};
  }
  struct flock lock = WholeFile();
  const bool held = ::fcntl(file.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  return held ? ReadInfo(path) : InstanceInfo{};
}

}  // namespace contimg::ops
