// Checksums of products: XXH64 (Y. Collet's public specification), which `xxhsum` prints and which reads memory as fast
// as it comes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace contimg::ops {

// Of bytes that come in pieces; seed 0.
class Xxh64 {
 public:
  void Add(const void* data, std::size_t size);
  std::uint64_t Digest() const;

 private:
  void Block(const unsigned char* stripe);
  std::uint64_t lanes_[4] = {0x60ea27eeadc0b5d6u, 0xc2b2ae3d27d4eb4fu, 0, 0x61c8864e7a143579u};
  std::uint64_t total_ = 0;
  unsigned char rest_[32] = {};
  std::size_t n_rest_ = 0;
};

// 16 hexadecimal digits. Of a file: its content. Of a directory: the sorted lines "<checksum>  <relative name>\n" of
// the files in it, without casacore's table.lock, which changes whenever somebody opens a table. Throws Error{kIo}.
std::string ProductChecksum(const std::filesystem::path& path, int threads = 1);

// Bytes of the files at or below `path`.
std::uint64_t ProductBytes(const std::filesystem::path& path);

}  // namespace contimg::ops
