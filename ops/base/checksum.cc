#include "ops/base/checksum.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kPrime1 = 0x9e3779b185ebca87u, kPrime2 = 0xc2b2ae3d27d4eb4fu, kPrime3 = 0x165667b19e3779f9u,
                        kPrime4 = 0x85ebca77c2b2ae63u, kPrime5 = 0x27d4eb2f165667c5u;

template <typename T>
T Read(const unsigned char* from) {  // little-endian, as x86-64 is
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::uint64_t Round(std::uint64_t lane, std::uint64_t input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }

std::string FileChecksum(const fs::path& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) throw SystemError("checksum", path.string(), "cannot open", errno);
  constexpr std::size_t kBuffer = 1u << 20;
  const auto buffer = std::make_unique<unsigned char[]>(kBuffer);
  Xxh64 hash;
  for (;;) {
    const ssize_t n = ::read(fd, buffer.get(), kBuffer);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      ::close(fd);
      throw SystemError("checksum", path.string(), "cannot read", error);
    }
    if (n == 0) break;
    hash.Add(buffer.get(), static_cast<std::size_t>(n));
  }
  ::close(fd);
  return fmt::format("{:016x}", hash.Digest());
}

}  // namespace

void Xxh64::Block(const unsigned char* stripe) {
  for (std::size_t i = 0; i < 4; ++i) lanes_[i] = Round(lanes_[i], Read<std::uint64_t>(stripe + 8 * i));
}

void Xxh64::Add(const void* data, std::size_t size) {
  const auto* at = static_cast<const unsigned char*>(data);
  total_ += size;
  if (n_rest_ > 0) {
    const std::size_t n = std::min(size, sizeof rest_ - n_rest_);
    std::memcpy(rest_ + n_rest_, at, n);
    n_rest_ += n;
    at += n;
    size -= n;
    if (n_rest_ < sizeof rest_) return;
    Block(rest_);
    n_rest_ = 0;
  }
  for (; size >= sizeof rest_; size -= sizeof rest_, at += sizeof rest_) Block(at);
  std::memcpy(rest_, at, size);
  n_rest_ = size;
}

std::uint64_t Xxh64::Digest() const {
  std::uint64_t hash = kPrime5;
  if (total_ >= sizeof rest_) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) + std::rotl(lanes_[3], 18);
    for (const std::uint64_t lane : lanes_) hash = (hash ^ Round(0, lane)) * kPrime1 + kPrime4;
  }
  hash += total_;
  const unsigned char *at = rest_, *const end = rest_ + n_rest_;
  for (; at + 8 <= end; at += 8) hash = std::rotl(hash ^ Round(0, Read<std::uint64_t>(at)), 27) * kPrime1 + kPrime4;
  if (at + 4 <= end) {
    hash = std::rotl(hash ^ Read<std::uint32_t>(at) * kPrime1, 23) * kPrime2 + kPrime3;
    at += 4;
  }
  for (; at < end; ++at) hash = std::rotl(hash ^ *at * kPrime5, 11) * kPrime1;
  hash = (hash ^ hash >> 33) * kPrime2;
  hash = (hash ^ hash >> 29) * kPrime3;
  return hash ^ hash >> 32;
}

std::string ProductChecksum(const fs::path& path, int threads) {
  if (!IsDirectory(path)) return FileChecksum(path);
  std::vector<fs::path> files = FilesBelow(path);
  files.erase(std::remove_if(files.begin(), files.end(), [](const auto& f) { return f.filename() == "table.lock"; }),
              files.end());
  std::vector<std::string> lines(files.size());
  ParallelFor(threads, files.size(), [&](std::size_t i) {
    lines[i] = fmt::format("{}  {}\n", FileChecksum(files[i]), files[i].lexically_relative(path).string());
  });
  Xxh64 hash;
  for (const std::string& line : lines) hash.Add(line.data(), line.size());
  return fmt::format("{:016x}", hash.Digest());
}

std::uint64_t ProductBytes(const fs::path& path) {
  if (!IsDirectory(path)) return FileSize(path);
  std::uint64_t bytes = 0;
  for (const fs::path& file : FilesBelow(path)) bytes += FileSize(file);
  return bytes;
}

}  // namespace contimg::ops
