#include "ops/base/standard_output.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>

#include "config/error.h"

namespace contimg::ops {

void KeepStandardStreams() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) == 0 || errno != EBADF) continue;
    // The lowest free number is this one.
    if (::open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0) return;
  }
}

void FinishOutput() {
  std::cout.flush();
  const bool failed_before = std::ferror(stdout) != 0;
  errno = 0;
  if (std::fflush(stdout) == 0 && !failed_before && std::cout.good()) return;
  // When an earlier write failed, what was left may well have been written: the reason is asked for once more.
  int reason = errno;
  if (reason == 0) {
    std::clearerr(stdout);
    if (std::fputc('\n', stdout) == EOF || std::fflush(stdout) != 0) reason = errno;
  }
  std::clearerr(stdout);
  // No path: SystemError would speak of the free bytes of some disk.
  throw Error(ErrorKind::kIo, "output", "standard output",
              fmt::format("cannot write: {}", std::strerror(reason != 0 ? reason : EIO)));
}

}  // namespace contimg::ops
