#include "ingest/chunk_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string>

namespace contimg::ingest {
namespace {

constexpr std::size_t kMostHeaderBytes = std::size_t{1} << 20;
constexpr std::size_t kMostHeaderBlocks = 64;
constexpr unsigned kMostLevels = 16;

// A piece of the file in memory with a reading position. Numbers are little-endian.
class Cursor {
 public:
  Cursor(const ByteSource& file, std::uint64_t offset, std::size_t count, const char* what) : what_(what) {
    if (offset > file.size() || count > file.size() - offset) {
      throw DamagedIndex(fmt::format("{} at byte {} reaches beyond the end of the file", what, offset));
    }
    bytes_.resize(count);
    if (count != 0) file.Read(offset, count, bytes_.data());
  }

  std::size_t left() const { return bytes_.size() - at_; }
  void Skip(std::size_t count) {
    Need(count);
    at_ += count;
  }
  std::uint64_t Unsigned(std::size_t width) {
    Need(width);
    std::uint64_t value = 0;
    for (std::size_t i = width; i-- > 0;) value = value << 8 | bytes_[at_ + i];
    at_ += width;
    return value;
  }
  bool StartsWith(const char (&signature)[5]) {
    Need(4);
    const bool same = std::memcmp(&bytes_[at_], signature, 4) == 0;
    at_ += 4;
    return same;
  }

 private:
  void Need(std::size_t count) const {
    if (count > left()) throw DamagedIndex(fmt::format("{} ends early", what_));
  }

  std::vector<unsigned char> bytes_;
  std::size_t at_ = 0;
  const char* what_;
};

// Root of the B-tree from the layout message of a version-1 object header; nothing when the header or the layout is of
// another kind.
std::optional<std::uint64_t> FindRoot(const ByteSource& file, std::uint64_t object_header,
                                      const ChunkGeometry& geometry) {
  constexpr std::uint64_t kLayout = 0x0008, kContinuation = 0x0010;
  constexpr unsigned kShared = 2;
  struct Block {
    std::uint64_t offset, size;
  };
  Cursor prefix(file, object_header, 12, "an object header");
  if (prefix.Unsigned(1) != 1) return std::nullopt;
  prefix.Skip(7);
  std::vector<Block> blocks{{object_header + 16, prefix.Unsigned(4)}};
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    if (blocks[b].size > kMostHeaderBytes || blocks.size() > kMostHeaderBlocks) {
      throw DamagedIndex(fmt::format("the object header at byte {} is implausibly long", object_header));
    }
    Cursor messages(file, blocks[b].offset, blocks[b].size, "an object header");
    while (messages.left() >= 8) {
      const std::uint64_t type = messages.Unsigned(2);
      const std::size_t size = messages.Unsigned(2);
      const std::uint64_t flags = messages.Unsigned(1);
      messages.Skip(3);
      if (type == kContinuation) {
        if (size < 16) throw DamagedIndex("an object header continues nowhere");
        const std::uint64_t offset = messages.Unsigned(8);
        blocks.push_back({offset, messages.Unsigned(8)});
        messages.Skip(size - 16);
        continue;
      }
      if (type != kLayout) {
        messages.Skip(size);
        continue;
      }
      const std::size_t rank = geometry.shape.size();
      if ((flags & kShared) != 0 || size < 2) return std::nullopt;
      if (messages.Unsigned(1) != 3 || messages.Unsigned(1) != 2) return std::nullopt;  // not version 3, not chunked
      if (messages.Unsigned(1) != rank + 1) throw DamagedIndex("the layout message has another rank than the data set");
      const std::uint64_t root = messages.Unsigned(8);
      for (std::size_t axis = 0; axis <= rank; ++axis) {
        const std::uint64_t expected = axis < rank ? geometry.chunk[axis] : geometry.element_bytes;
        if (messages.Unsigned(4) != expected) throw DamagedIndex("the layout message has another chunk shape");
      }
      return root;
    }
  }
  return std::nullopt;
}

class Walk {
 public:
  Walk(const ByteSource& file, const ChunkGeometry& geometry, std::uint64_t n_chunks)
      : file_(file),
        geometry_(geometry),
        grid_(geometry.Grid()),
        chunk_bytes_(geometry.ChunkBytes()),
        addresses_(n_chunks, kNoChunk),
        nodes_left_(n_chunks * 2 + kMostLevels) {}

  // A tree's nodes number fewer than twice its leaves' entries, so a damaged one cannot keep us busy.
  void Node(std::uint64_t address, std::optional<unsigned> expected_level) {
    if (nodes_left_-- == 0) throw DamagedIndex("the B-tree of its chunks has more nodes than entries");
    Cursor head(file_, address, 24, "a B-tree node");
    if (!head.StartsWith("TREE") || head.Unsigned(1) != 1) {
      throw DamagedIndex(fmt::format("there is no B-tree node of chunks at byte {}", address));
    }
    const auto level = static_cast<unsigned>(head.Unsigned(1));
    if (expected_level ? level != *expected_level : level > kMostLevels) {
      throw DamagedIndex(fmt::format("the B-tree node at byte {} has the wrong level {}", address, level));
    }
    const std::size_t entries = head.Unsigned(2);
    if (entries == 0 && expected_level) {
      throw DamagedIndex(fmt::format("the B-tree node at byte {} is empty", address));
    }
    const std::size_t key_bytes = 8 + 8 * (grid_.size() + 1);
    Cursor body(file_, address + 24, entries * (key_bytes + 8), "a B-tree node");
    for (std::size_t i = 0; i < entries; ++i) {
      const std::uint64_t stored_bytes = body.Unsigned(4);
      body.Skip(4);  // filter mask: there are no filters
      std::uint64_t index = 0;
      for (std::size_t axis = 0; axis < grid_.size(); ++axis) {
        const std::uint64_t offset = body.Unsigned(8);
        const std::uint64_t position = offset / geometry_.chunk[axis];
        if (level == 0 && (offset % geometry_.chunk[axis] != 0 || position >= grid_[axis])) {
          throw DamagedIndex(fmt::format("the B-tree node at byte {} names a chunk outside the data set", address));
        }
        index = index * grid_[axis] + position;
      }
      body.Skip(8);  // offset within the element: 0
      const std::uint64_t child = body.Unsigned(8);
      if (level > 0) {
        Node(child, level - 1);
      } else {
        Chunk(index, child, stored_bytes);
      }
    }
  }

  std::vector<std::uint64_t> Take() { return std::move(addresses_); }

 private:
  void Chunk(std::uint64_t index, std::uint64_t address, std::uint64_t stored_bytes) {
    if (stored_bytes != chunk_bytes_) {
      throw DamagedIndex(
          fmt::format("a chunk at byte {} has {} bytes instead of {}", address, stored_bytes, chunk_bytes_));
    }
    if (address > file_.size() || chunk_bytes_ > file_.size() - address) {
      throw DamagedIndex(fmt::format("a chunk at byte {} reaches beyond the end of the file", address));
    }
    if (addresses_[index] != kNoChunk) throw DamagedIndex(fmt::format("chunk {} is indexed twice", index));
    addresses_[index] = address;
  }

  const ByteSource& file_;
  const ChunkGeometry& geometry_;
  const std::vector<std::uint64_t> grid_;
  const std::uint64_t chunk_bytes_;
  std::vector<std::uint64_t> addresses_;
  std::uint64_t nodes_left_;
};

}  // namespace

std::uint64_t ChunkGeometry::ChunkBytes() const {
  std::uint64_t bytes = element_bytes;
  for (const std::uint64_t extent : chunk) bytes *= extent;
  return bytes;
}

std::vector<std::uint64_t> ChunkGeometry::Grid() const {
  std::vector<std::uint64_t> grid(shape.size());
  for (std::size_t axis = 0; axis < grid.size(); ++axis) grid[axis] = (shape[axis] + chunk[axis] - 1) / chunk[axis];
  return grid;
}

std::optional<std::vector<std::uint64_t>> ReadChunkIndex(const ByteSource& file, std::uint64_t object_header,
                                                         const ChunkGeometry& geometry) {
  // Files store what they claim, give or take chunks that were never written.
  const std::uint64_t most_chunks = 4 * (file.size() / std::max<std::uint64_t>(geometry.ChunkBytes(), 1)) + 1024;
  std::uint64_t n_chunks = 1;
  for (const std::uint64_t extent : geometry.Grid()) {
    if (extent != 0 && n_chunks > most_chunks / extent) return std::nullopt;
    n_chunks *= extent;
  }
  const std::optional<std::uint64_t> root = FindRoot(file, object_header, geometry);
  if (!root) return std::nullopt;
  Walk walk(file, geometry, n_chunks);
  if (*root != kNoChunk) walk.Node(*root, std::nullopt);
  return walk.Take();
}

}  // namespace contimg::ingest
