// Reads rows of an uncompressed chunked data set from the file's bytes. Used within ingest only.
#pragma once

#include <atomic>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/buffer.h"
#include "ingest/chunk_index.h"
#include "ingest/uvh5_samples.h"

namespace contimg::ingest {

// A file read by pread: one that shrinks under us gives an error where a mapping would give SIGBUS.
class FileBytes : public ByteSource {
 public:
  explicit FileBytes(std::filesystem::path path);
  ~FileBytes() override;
  FileBytes(const FileBytes&) = delete;
  FileBytes& operator=(const FileBytes&) = delete;

  std::uint64_t size() const override { return size_; }
  // Throws Error{kIo}, or Error{kBadInput} when the file ends before.
  void Read(std::uint64_t offset, std::size_t count, void* out) const override;
  // Where the bytes from `offset` on are in memory; null unless Load has put them there.
  const std::byte* InMemory(std::uint64_t offset) const;

  // Whether the system has most of the file in its cache.
  bool IsCached() const;
  // Reads all of it into `memory`, which grows where it must, past the page cache. False, and nothing has changed, when
  // that does not work or takes more than 256 MiB.
  bool Load(Buffer<std::byte>& memory);
  // `memory` is needed no more.
  void Forget() { loaded_ = nullptr; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  std::atomic<const std::byte*> loaded_{nullptr};
};

// The part of one chunk that holds some of the wanted rows: `bytes` bytes of the file from `address`.
struct ChunkPiece {
  std::uint64_t address = 0;  // kNoChunk: never written
  std::size_t bytes = 0;
  std::size_t first_row = 0;  // relative to the first wanted row
  std::size_t rows = 0;
  std::size_t first_channel = 0;
  const std::byte* bytes_in_memory = nullptr;  // [row][channel][pol] of the chunk, once read
};

// The pieces that make up rows [first, first + count): by row, then channel, then polarisation. Geometry of rank 3, or
// 4 with a second axis of length 1.
std::vector<ChunkPiece> PiecesOfRows(const ChunkGeometry& geometry, const std::vector<std::uint64_t>& addresses,
                                     std::size_t first, std::size_t count);

// Copies all pieces from memory to their places in dense rows [row][channel][pol].
void ScatterPieces(const ChunkGeometry& geometry, const std::vector<ChunkPiece>& pieces, std::byte* rows);

class ChunkRows : public RowSource {
 public:
  ChunkRows(std::shared_ptr<const FileBytes> file, std::string name, ChunkGeometry geometry,
            std::vector<std::uint64_t> addresses)
      : file_(std::move(file)),
        name_(std::move(name)),
        geometry_(std::move(geometry)),
        addresses_(std::move(addresses)) {}
  void Read(std::size_t first, std::size_t count, void* out, std::vector<std::byte>& staging) const override;

 private:
  std::shared_ptr<const FileBytes> file_;
  std::string name_;
  ChunkGeometry geometry_;
  std::vector<std::uint64_t> addresses_;
};

}  // namespace contimg::ingest
