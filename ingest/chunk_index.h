// Where the chunks of an HDF5 data set lie in the file, read from the file's own bytes.
//
// The library answers the question one chunk at a time, each answer a walk over all of them: seconds for the 7000
// chunks of a correlator file. This is a walk over the version-1 B-tree that indexes them, all in one go (HDF5 File
// Format Specification 3.0: III.A.1 "Version 1 B-trees", IV.A.1.a "Version 1 Data Object Header Prefix", IV.A.2.i "Data
// Layout Message"). Every byte is checked before it is believed; structures that are sound but unknown here are left
// to the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <vector>

namespace contimg::ingest {

// The bytes of a file.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  virtual std::uint64_t size() const = 0;
  // Copies [offset, offset + count); the caller has checked that the range is inside size().
  virtual void Read(std::uint64_t offset, std::size_t count, void* out) const = 0;
};

// The structures contradict the specification or each other. The message is a clause: "a B-tree node at … is …".
class DamagedIndex : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct ChunkGeometry {
  std::vector<std::uint64_t> shape;  // of the data set
  std::vector<std::uint64_t> chunk;  // same rank, no zeros
  std::size_t element_bytes = 0;

  std::uint64_t ChunkBytes() const;
  std::vector<std::uint64_t> Grid() const;  // number of chunks along each axis
};

constexpr std::uint64_t kNoChunk = ~std::uint64_t{0};  // never written: reads as the fill value

// Address of each chunk, in C order over the grid, kNoChunk for absent ones. All chunks lie within the file.
//
// `object_header` is the address of the data set's object header. Returns nothing when the library has to do the
// reading: another version of the header or the layout, or a grid far larger than the file. Throws DamagedIndex.
std::optional<std::vector<std::uint64_t>> ReadChunkIndex(const ByteSource& file, std::uint64_t object_header,
                                                         const ChunkGeometry& geometry);

}  // namespace contimg::ingest
