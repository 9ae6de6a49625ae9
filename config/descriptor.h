// A file descriptor that is closed when its owner goes. C++17-clean.
#pragma once

#include <unistd.h>

#include <utility>

namespace contimg {

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }  // the caller closes it
  void Reset(int fd = -1) { *this = Descriptor(fd); }

 private:
  int fd_;
};

}  // namespace contimg
