#include <cstdlib>
#include <cstring>
#include <vector>

#include "ingest/chunk_index.h"
#include "ingest/chunk_rows.h"
#include "tests/fuzz/targets.h"

namespace contimg::fuzz {
namespace {

using ingest::ChunkGeometry;

class MemoryBytes : public ingest::ByteSource {
 public:
  MemoryBytes(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::uint64_t size() const override { return size_; }
  void Read(std::uint64_t offset, std::size_t count, void* out) const override {
    if (offset > size_ || count > size_ - offset) std::abort();  // the contract: checked by the caller
    std::memcpy(out, data_ + offset, count);
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

// Geometry from the first 8 bytes: every shape is possible, also ones that do not fit the file.
ChunkGeometry GeometryOf(const std::uint8_t* bytes) {
  constexpr std::size_t kElement[3] = {1, 4, 8};
  ChunkGeometry geometry;
  const std::uint64_t rows = bytes[1] + 256u * (bytes[2] % 16), channels = bytes[3] % 64, pols = 1 + bytes[4] % 4;
  const std::uint64_t chunk_rows = 1 + bytes[5], chunk_channels = 1 + bytes[6] % 32, chunk_pols = 1 + bytes[7] % 4;
  geometry.shape = {rows, 1, channels, pols};
  geometry.chunk = {chunk_rows, 1, chunk_channels, chunk_pols};
  if (bytes[0] / 3 % 2 == 1) {
    geometry.shape.erase(geometry.shape.begin() + 1);
    geometry.chunk.erase(geometry.chunk.begin() + 1);
  }
  geometry.element_bytes = kElement[bytes[0] % 3];
  return geometry;
}

}  // namespace

void FuzzChunkIndex(const std::uint8_t* data, std::size_t size) {
  if (size < 8) return;
  const ChunkGeometry geometry = GeometryOf(data);
  const MemoryBytes file(data + 8, size - 8);
  std::optional<std::vector<std::uint64_t>> addresses;
  try {
    addresses = ReadChunkIndex(file, 0, geometry);
  } catch (const ingest::DamagedIndex&) {
    return;
  }
  if (!addresses) return;
  for (const std::uint64_t address : *addresses) {
    if (address != ingest::kNoChunk && address + geometry.ChunkBytes() > file.size()) std::abort();
  }
  const std::size_t rows = geometry.shape.front();
  const std::size_t row_bytes =
      geometry.shape[geometry.shape.size() - 2] * geometry.shape.back() * geometry.element_bytes;
  if (rows == 0 || row_bytes == 0) return;
  const std::size_t first = rows / 3;
  const std::size_t count = rows - first;
  std::vector<ingest::ChunkPiece> pieces = PiecesOfRows(geometry, *addresses, first, count);
  std::vector<std::vector<std::byte>> memory;
  for (ingest::ChunkPiece& piece : pieces) {
    memory.emplace_back(piece.bytes);
    if (piece.address != ingest::kNoChunk) file.Read(piece.address, piece.bytes, memory.back().data());
  }
  for (std::size_t i = 0; i < pieces.size(); ++i) pieces[i].bytes_in_memory = memory[i].data();
  std::vector<std::byte> out(count * row_bytes);
  ScatterPieces(geometry, pieces, out.data());
}

}  // namespace contimg::fuzz
