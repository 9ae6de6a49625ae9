// SHA-256 (FIPS 180-4): for what leaves this machine or has to be checked by others (`sha256sum -c`): backups,
// archives.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

namespace contimg::ops {

// Of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void Add(const void* data, std::size_t size);
  void Add(std::string_view text) { Add(text.data(), text.size()); }
  std::string Hex() const;  // 64 hexadecimal digits, of what was added so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of the content of a file. Throws SystemError's kinds.
std::string FileSha256(const std::filesystem::path& file);

}  // namespace contimg::ops
