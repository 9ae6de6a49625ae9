// Checksums and identities: XXH64 (Y. Collet's public specification), which `xxhsum` prints and which reads memory as
// fast as it comes. Not against malice: releases and archives carry SHA-256 besides.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

namespace contimg {

// Of bytes that come in pieces; seed 0.
class Xxh64 {
 public:
  Xxh64();
  ~Xxh64();
  Xxh64(const Xxh64&) = delete;
  Xxh64& operator=(const Xxh64&) = delete;
  void Add(const void* data, std::size_t size);
  void Add(std::string_view text) { Add(text.data(), text.size()); }
  template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
  void AddNumber(T value) {
    Add(&value, sizeof value);
  }
  std::uint64_t Digest() const;
  std::string Hex() const;  // 16 hexadecimal digits

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The hash of contimg 0.1 (FNV-1a, 64 bits, a byte at a time): only to compare with what it recorded.
class Fnv1a {
 public:
  void Add(const void* data, std::size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < size; ++i) hash_ = (hash_ ^ bytes[i]) * 1099511628211u;
  }
  std::string Hex() const;

 private:
  std::uint64_t hash_ = 14695981039346656037u;
};

// Gives the content of a file to `add(data, size)` in pieces. Throws SystemError's kinds with `stage` and the path, and
// Error{kIo} for what is no regular file.
void ReadInPieces(const std::filesystem::path& file, const char* stage,
                  const std::function<void(const void*, std::size_t)>& add);

}  // namespace contimg
