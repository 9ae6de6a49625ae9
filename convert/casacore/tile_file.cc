#include "convert/casacore/tile_file.h"

#include <casacore/casa/Arrays/IPosition.h>
#include <casacore/casa/Containers/Record.h>
#include <casacore/casa/OS/HostInfo.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "config/error.h"

namespace contimg::convert::internal {
namespace {

// The description of the column's own storage manager; empty when it shares one or has another kind.
casacore::Record ManagerOf(const casacore::Table& table, const std::string& column) {
  const casacore::Record managers = table.dataManagerInfo();
  for (casacore::uInt i = 0; i < managers.nfields(); ++i) {
    const casacore::Record& manager = managers.subRecord(i);
    const casacore::Vector<casacore::String> columns = manager.asArrayString("COLUMNS");
    if (columns.nelements() != 1 || std::string(columns[0]) != column) continue;
    if (manager.asString("TYPE") == "TiledColumnStMan") return manager;
  }
  return {};
}

// Whether the tiles of a hypercube span all its axes but the last, that of rows.
bool SpansCells(const casacore::IPosition& cube, const casacore::IPosition& tile) {
  if (cube.nelements() == 0 || cube.nelements() != tile.nelements()) return false;
  for (std::size_t axis = 0; axis + 1 < cube.nelements(); ++axis) {
    if (cube[axis] != tile[axis]) return false;
  }
  return true;
}

// Eight bits, lowest first, as eight bytes.
const std::array<std::uint64_t, 256>& Unpacked() {
  static const std::array<std::uint64_t, 256> table = [] {
    std::array<std::uint64_t, 256> t{};
    for (std::size_t byte = 0; byte < 256; ++byte) {
      std::array<std::uint8_t, 8> eight{};
      for (std::size_t k = 0; k < 8; ++k) eight[k] = static_cast<std::uint8_t>(byte >> k & 1u);
      std::memcpy(&t[byte], eight.data(), 8);
    }
    return t;
  }();
  return table;
}

}  // namespace

std::optional<TileFile> TileFile::Find(const casacore::Table& table, const std::string& column, std::size_t bits) {
  const bool native = (table.endianFormat() == casacore::Table::BigEndian) == casacore::HostInfo::bigEndian();
  const casacore::Record manager = ManagerOf(table, column);
  if (!native || manager.nfields() == 0) return std::nullopt;
  const casacore::Record& cubes = manager.subRecord("SPEC").subRecord("HYPERCUBES");
  if (cubes.nfields() != 1) return std::nullopt;
  const casacore::Record& cube = cubes.subRecord(0);
  const casacore::IPosition shape(cube.toArrayInt("CubeShape")), tile(cube.toArrayInt("TileShape"));
  if (!SpansCells(shape, tile) || static_cast<std::size_t>(shape.last()) != table.nrow()) return std::nullopt;
  const std::size_t tile_bits = static_cast<std::size_t>(tile.product()) * bits;
  if (static_cast<std::size_t>(cube.asInt("BucketSize")) * 8 != tile_bits) return std::nullopt;

  std::filesystem::path path(std::string(table.tableName()));
  path /= "table.f" + std::to_string(manager.asuInt("SEQNR")) + "_TSM0";
  const std::size_t bits_per_row = tile_bits / static_cast<std::size_t>(tile.last());
  std::error_code failed;
  const auto size = std::filesystem::file_size(path, failed);
  if (failed || size < (table.nrow() * bits_per_row + 7) / 8) return std::nullopt;
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!descriptor.open()) throw SystemError("convert", path.string(), "cannot open", errno);
  return TileFile(std::move(descriptor), path, bits_per_row);
}

void TileFile::ReadBytes(std::uint64_t offset, std::size_t size, void* to) const {
  auto* bytes = static_cast<char*>(to);
  while (size > 0) {
    const ssize_t n = ::pread(descriptor_.get(), bytes, size, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw SystemError("convert", path_.string(), "cannot read", errno);
    if (n == 0) throw Error(ErrorKind::kIo, "convert", path_.string(), "ended while it was read");
    bytes += n;
    offset += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
}

void TileFile::Read(std::size_t first_row, std::size_t rows, void* to) const {
  ReadBytes(first_row * bits_per_row_ / 8, rows * bits_per_row_ / 8, to);
}

void TileFile::ReadBits(std::size_t first_row, std::size_t rows, std::vector<std::uint8_t>& scratch,
                        std::uint8_t* to) const {
  const std::size_t begin = first_row * bits_per_row_, end = begin + rows * bits_per_row_, n = end - begin;
  scratch.resize((end + 7) / 8 - begin / 8);
  ReadBytes(begin / 8, scratch.size(), scratch.data());
  std::size_t i = 0;
  if (begin % 8 == 0) {
    for (; i + 8 <= n; i += 8) std::memcpy(to + i, &Unpacked()[scratch[i / 8]], 8);
  }
  for (; i < n; ++i) {
    const std::size_t bit = begin % 8 + i;
    to[i] = static_cast<std::uint8_t>(scratch[bit / 8] >> (bit % 8) & 1u);
  }
}

}  // namespace contimg::convert::internal
