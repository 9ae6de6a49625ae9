#include "ingest/chunk_rows.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "config/descriptor.h"
#include "config/error.h"
#include "config/os.h"

namespace contimg::ingest {
namespace {

// The axes of the chunks and of the data set; the window axis of rank 4 has length 1 and drops out.
struct RowAxes {
  explicit RowAxes(const ChunkGeometry& g)
      : channels(g.shape[g.shape.size() - 2]),
        pols(g.shape.back()),
        chunk_rows(g.chunk.front()),
        chunk_channels(g.chunk[g.chunk.size() - 2]),
        chunk_pols(g.chunk.back()),
        chunk_row(g.ChunkBytes() / g.element_bytes / g.chunk.front()) {}
  std::size_t pol_blocks() const { return (pols + chunk_pols - 1) / chunk_pols; }

  std::size_t channels, pols;  // of the data set
  std::size_t chunk_rows, chunk_channels, chunk_pols;
  std::size_t chunk_row;  // elements of one row of a chunk
};

// The pieces of one channel block that together hold all polarisations.
template <typename T>
void Scatter(const RowAxes& axes, const ChunkPiece* pieces, std::size_t chunk_row, std::byte* rows_bytes) {
  const ChunkPiece& first = pieces[0];
  const std::size_t n_channels = std::min(axes.chunk_channels, axes.channels - first.first_channel);
  T* rows = reinterpret_cast<T*>(rows_bytes) + (first.first_row * axes.channels + first.first_channel) * axes.pols;
  const std::size_t row = axes.channels * axes.pols;
  const auto source = [&](std::size_t p) { return reinterpret_cast<const T*>(pieces[p].bytes_in_memory); };
  if (axes.chunk_pols == axes.pols) {
    for (std::size_t r = 0; r < first.rows; ++r)
      std::copy_n(source(0) + r * chunk_row, n_channels * axes.pols, rows + r * row);
    return;
  }
  if (axes.chunk_pols == 1 && axes.pols == 2) {  // the correlator's: two polarisations are interleaved
    for (std::size_t r = 0; r < first.rows; ++r) {
      const T* x = source(0) + r * chunk_row;
      const T* y = source(1) + r * chunk_row;
      T* out = rows + r * row;
      for (std::size_t c = 0; c < n_channels; ++c) {
        out[2 * c] = x[c];
        out[2 * c + 1] = y[c];
      }
    }
    return;
  }
  for (std::size_t pol = 0; pol < axes.pols; ++pol) {
    const T* in = source(pol / axes.chunk_pols) + pol % axes.chunk_pols;
    for (std::size_t r = 0; r < first.rows; ++r) {
      for (std::size_t c = 0; c < n_channels; ++c) {
        rows[r * row + c * axes.pols + pol] = in[r * chunk_row + c * axes.chunk_pols];
      }
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
  if (const std::byte* in_memory = InMemory(offset)) {
    std::memcpy(out, in_memory, count);
    return;
  }
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

const std::byte* FileBytes::InMemory(std::uint64_t offset) const {
  const std::byte* loaded = loaded_;
  return loaded == nullptr ? nullptr : loaded + offset;
}

bool FileBytes::IsCached() const {
  if (size_ == 0) return true;
  void* map = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd_, 0);
  if (map == MAP_FAILED) return true;
  std::vector<unsigned char> pages((size_ + kDirectBlock - 1) / kDirectBlock);
  const bool told = mincore(map, size_, pages.data()) == 0;
  munmap(map, size_);
  const auto cached = std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return (page & 1u) != 0; });
  return !told || 2 * static_cast<std::size_t>(cached) > pages.size();
}

bool FileBytes::Load(Buffer<std::byte>& memory) {
  constexpr std::size_t kMostBytes = std::size_t{256} << 20, kAtOnce = std::size_t{8} << 20;
  const std::size_t whole_blocks = (size_ + kDirectBlock - 1) / kDirectBlock * kDirectBlock;
  const Descriptor direct(open(path_.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
  if (!direct.open() || whole_blocks > kMostBytes) return false;
  try {
    if (memory.size() < whole_blocks) memory = Buffer<std::byte>(whole_blocks);
  } catch (const Error&) {  // no memory to spare
    return false;
  }
  for (std::size_t at = 0; at < size_;) {
    const ssize_t got =
        pread(direct.get(), memory.data() + at, std::min(kAtOnce, whole_blocks - at), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0 || (at + static_cast<std::size_t>(got) < size_ && got % kDirectBlock != 0)) return false;
    at += static_cast<std::size_t>(got);
  }
  loaded_ = memory.data();
  return true;
}

std::vector<ChunkPiece> PiecesOfRows(const ChunkGeometry& geometry, const std::vector<std::uint64_t>& addresses,
                                     std::size_t first, std::size_t count) {
  const RowAxes axes(geometry);
  const std::size_t channel_blocks = (axes.channels + axes.chunk_channels - 1) / axes.chunk_channels;
  const std::size_t row_bytes = axes.chunk_row * geometry.element_bytes;
  std::vector<ChunkPiece> pieces;
  for (std::size_t block = first / axes.chunk_rows; block * axes.chunk_rows < first + count; ++block) {
    const std::size_t begin = std::max(first, block * axes.chunk_rows);
    const std::size_t end = std::min(first + count, (block + 1) * axes.chunk_rows);
    for (std::size_t c = 0; c < channel_blocks; ++c) {
      for (std::size_t p = 0; p < axes.pol_blocks(); ++p) {
        const std::uint64_t address = addresses[(block * channel_blocks + c) * axes.pol_blocks() + p];
        const std::uint64_t skip = (begin - block * axes.chunk_rows) * row_bytes;
        pieces.push_back({address == kNoChunk ? kNoChunk : address + skip, (end - begin) * row_bytes, begin - first,
                          end - begin, c * axes.chunk_channels, nullptr});
      }
    }
  }
  return pieces;
}

void ScatterPieces(const ChunkGeometry& geometry, const std::vector<ChunkPiece>& pieces, std::byte* rows) {
  const RowAxes axes(geometry);
  for (std::size_t i = 0; i < pieces.size(); i += axes.pol_blocks()) {
    switch (geometry.element_bytes) {
      case 1:
        Scatter<std::uint8_t>(axes, &pieces[i], axes.chunk_row, rows);
        break;
      case 4:
        Scatter<std::uint32_t>(axes, &pieces[i], axes.chunk_row, rows);
        break;
      case 8:
        Scatter<std::uint64_t>(axes, &pieces[i], axes.chunk_row, rows);
        break;
      default:
        throw Error(ErrorKind::kBug, "ingest", "", "chunk elements of an unexpected size");
    }
  }
}

void ChunkRows::Read(std::size_t first, std::size_t count, void* out, std::vector<std::byte>& staging) const {
  std::vector<ChunkPiece> pieces = PiecesOfRows(geometry_, addresses_, first, count);
  std::vector<ChunkPiece*> in_file_order;
  std::size_t bytes = 0;
  for (ChunkPiece& piece : pieces) {
    in_file_order.push_back(&piece);
    bytes += piece.bytes;
  }
  std::sort(in_file_order.begin(), in_file_order.end(),
            [](const ChunkPiece* a, const ChunkPiece* b) { return a->address < b->address; });
  if (staging.size() < bytes) staging.resize(bytes);

  std::byte* at = staging.data();
  for (std::size_t i = 0; i < in_file_order.size();) {  // neighbours in the file are read in one call
    const std::uint64_t address = in_file_order[i]->address;
    const bool aligned = address != kNoChunk && address % geometry_.element_bytes == 0;
    if (const std::byte* in_memory = aligned ? file_->InMemory(address) : nullptr) {
      in_file_order[i++]->bytes_in_memory = in_memory;
      continue;
    }
    std::size_t run = 0;
    const auto belongs = [&](const ChunkPiece& piece) {
      return address == kNoChunk ? piece.address == kNoChunk : piece.address == address + run;
    };
    for (; i < in_file_order.size() && belongs(*in_file_order[i]); ++i) {
      in_file_order[i]->bytes_in_memory = at + run;
      run += in_file_order[i]->bytes;
    }
    if (address == kNoChunk) {
      std::memset(at, 0, run);  // the fill value
    } else {
      file_->Read(address, run, at);
    }
    at += run;
  }
  ScatterPieces(geometry_, pieces, static_cast<std::byte*>(out));
}

}  // namespace contimg::ingest
