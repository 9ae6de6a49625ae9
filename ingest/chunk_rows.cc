#include "ingest/chunk_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "config/error.h"

namespace contimg::ingest {
namespace {

// The axes of a row in the chunk and in the data set; the window axis of rank 4 has length 1 and drops out.
struct RowAxes {
  std::size_t channels, pols;  // of the data set
  std::size_t chunk_rows, chunk_channels, chunk_pols;

  explicit RowAxes(const ChunkGeometry& g)
      : channels(g.shape[g.shape.size() - 2]),
        pols(g.shape.back()),
        chunk_rows(g.chunk.front()),
        chunk_channels(g.chunk[g.chunk.size() - 2]),
        chunk_pols(g.chunk.back()) {}
  // Elements of one row of a chunk (a chunk may be longer than the window axis).
  static std::size_t ChunkRowElements(const ChunkGeometry& g) {
    std::size_t n = 1;
    for (std::size_t axis = 1; axis < g.chunk.size(); ++axis) n *= g.chunk[axis];
    return n;
  }
};

template <typename T>
void Scatter(const RowAxes& axes, const ChunkPiece& piece, std::size_t chunk_row, const std::byte* from_bytes,
             std::byte* rows_bytes) {
  const std::size_t n_channels = std::min(axes.chunk_channels, axes.channels - piece.first_channel);
  const std::size_t n_pols = std::min(axes.chunk_pols, axes.pols - piece.first_pol);
  const T* from = reinterpret_cast<const T*>(from_bytes);
  T* rows = reinterpret_cast<T*>(rows_bytes);
  for (std::size_t r = 0; r < piece.rows; ++r) {
    const T* in = from + r * chunk_row;
    T* out = rows + ((piece.first_row + r) * axes.channels + piece.first_channel) * axes.pols + piece.first_pol;
    if (n_pols == axes.pols && axes.chunk_pols == axes.pols) {
      std::copy_n(in, n_channels * n_pols, out);
      continue;
    }
    for (std::size_t c = 0; c < n_channels; ++c) {
      for (std::size_t p = 0; p < n_pols; ++p) out[c * axes.pols + p] = in[c * axes.chunk_pols + p];
    }
  }
}

}  // namespace

FileBytes::FileBytes(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) throw SystemError("ingest", path_.string(), "cannot open", errno);
  struct stat status {};
  if (fstat(fd_, &status) != 0) {
    const int error = errno;
    close(fd_);
    throw SystemError("ingest", path_.string(), "cannot read", error);
  }
  size_ = static_cast<std::uint64_t>(status.st_size);
}

FileBytes::~FileBytes() { close(fd_); }

void FileBytes::Read(std::uint64_t offset, std::size_t count, void* out) const {
  auto* to = static_cast<char*>(out);
  while (count > 0) {
    const ssize_t got = pread(fd_, to, count, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw SystemError("ingest", path_.string(), "cannot read", errno);
    if (got == 0) {
      throw Error(ErrorKind::kBadInput, "ingest", path_.string(),
                  fmt::format("is truncated: expected {} bytes, found it to end before byte {} while reading", size_,
                              offset + count));
    }
    to += got;
    offset += static_cast<std::uint64_t>(got);
    count -= static_cast<std::size_t>(got);
  }
}

std::vector<ChunkPiece> PiecesOfRows(const ChunkGeometry& geometry, const std::vector<std::uint64_t>& addresses,
                                     std::size_t first, std::size_t count) {
  const RowAxes axes(geometry);
  const std::vector<std::uint64_t> grid = geometry.Grid();
  const std::size_t channel_blocks = grid[grid.size() - 2];
  const std::size_t pol_blocks = grid.back();
  const std::size_t row_bytes = RowAxes::ChunkRowElements(geometry) * geometry.element_bytes;
  std::vector<ChunkPiece> pieces;
  for (std::size_t block = first / axes.chunk_rows; block * axes.chunk_rows < first + count; ++block) {
    const std::size_t begin = std::max(first, block * axes.chunk_rows);
    const std::size_t end = std::min(first + count, (block + 1) * axes.chunk_rows);
    for (std::size_t c = 0; c < channel_blocks; ++c) {
      for (std::size_t p = 0; p < pol_blocks; ++p) {
        const std::uint64_t address = addresses[(block * channel_blocks + c) * pol_blocks + p];
        const std::uint64_t skip = (begin - block * axes.chunk_rows) * row_bytes;
        pieces.push_back({address == kNoChunk ? kNoChunk : address + skip, (end - begin) * row_bytes, begin - first,
                          end - begin, c * axes.chunk_channels, p * axes.chunk_pols});
      }
    }
  }
  std::sort(pieces.begin(), pieces.end(),
            [](const ChunkPiece& a, const ChunkPiece& b) { return a.address < b.address; });
  return pieces;
}

void ScatterPiece(const ChunkGeometry& geometry, const ChunkPiece& piece, const std::byte* from, std::byte* rows) {
  const RowAxes axes(geometry);
  const std::size_t chunk_row = RowAxes::ChunkRowElements(geometry);
  switch (geometry.element_bytes) {
    case 1:
      return Scatter<std::uint8_t>(axes, piece, chunk_row, from, rows);
    case 4:
      return Scatter<std::uint32_t>(axes, piece, chunk_row, from, rows);
    case 8:
      return Scatter<std::uint64_t>(axes, piece, chunk_row, from, rows);
    default:
      throw Error(ErrorKind::kBug, "ingest", "", "chunk elements of an unexpected size");
  }
}

void ChunkRows::Read(std::size_t first, std::size_t count, void* out, std::vector<std::byte>& staging) const {
  const std::vector<ChunkPiece> pieces = PiecesOfRows(geometry_, addresses_, first, count);
  std::size_t bytes = 0;
  for (const ChunkPiece& piece : pieces) bytes += piece.address == kNoChunk ? 0 : piece.bytes;
  if (staging.size() < bytes) staging.resize(bytes);
  if (!pieces.empty() && pieces.back().address == kNoChunk) {  // absent chunks read as 0
    const RowAxes axes(geometry_);
    std::memset(out, 0, count * axes.channels * axes.pols * geometry_.element_bytes);
  }
  std::byte* at = staging.data();
  auto* rows = static_cast<std::byte*>(out);
  for (std::size_t i = 0; i < pieces.size() && pieces[i].address != kNoChunk;) {
    std::size_t run = pieces[i].bytes;  // neighbours in the file are read in one call
    std::size_t end = i + 1;
    while (end < pieces.size() && pieces[end].address == pieces[i].address + run) run += pieces[end++].bytes;
    file_->Read(pieces[i].address, run, at);
    for (; i < end; ++i) {
      ScatterPiece(geometry_, pieces[i], at, rows);
      at += pieces[i].bytes;
    }
  }
}

}  // namespace contimg::ingest
