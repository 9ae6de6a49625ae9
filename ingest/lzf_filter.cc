#include "ingest/lzf_filter.h"

#include <hdf5.h>

#include <cstdlib>
#include <cstring>

namespace contimg::ingest {
namespace {

// HDF5's filter call-back: decodes *buffer in place of a new allocation. Third client value: the unpacked size.
std::size_t LzfFilter(unsigned flags, std::size_t n_values, const unsigned* values, std::size_t packed_size,
                      std::size_t* buffer_size, void** buffer) {
  if ((flags & H5Z_FLAG_REVERSE) == 0) return 0;  // decoding only
  constexpr std::size_t kMostChunk = std::size_t{1} << 30;
  std::size_t out_size = n_values >= 3 && values[2] != 0 ? values[2] : *buffer_size;
  for (; out_size <= kMostChunk; out_size *= 2) {
    // Every byte that LzfDecode copies was written before (distance <= at); zeroed, so that no analyser has to see it.
    auto* out = static_cast<unsigned char*>(std::calloc(out_size, 1));
    if (out == nullptr) return 0;
    const std::size_t written = LzfDecode(static_cast<const unsigned char*>(*buffer), packed_size, out, out_size);
    if (written != 0) {
      std::free(*buffer);
      *buffer = out;
      *buffer_size = out_size;
      return written;
    }
    std::free(out);
    if (n_values >= 3 && values[2] != 0) return 0;
  }
  return 0;
}

}  // namespace

std::size_t LzfDecode(const unsigned char* packed, std::size_t packed_size, unsigned char* out, std::size_t out_size) {
  std::size_t in = 0;
  std::size_t at = 0;
  while (in < packed_size) {
    const std::size_t control = packed[in++];
    if (control < 32) {
      const std::size_t length = control + 1;
      if (length > packed_size - in || length > out_size - at) return 0;
      std::memcpy(out + at, packed + in, length);
      in += length;
      at += length;
      continue;
    }
    std::size_t length = control >> 5;
    if (length == 7) {
      if (in >= packed_size) return 0;
      length += packed[in++];
    }
    length += 2;
    if (in >= packed_size) return 0;
    const std::size_t distance = ((control & 31) << 8) + packed[in++] + 1;
    if (distance > at || length > out_size - at) return 0;
    for (std::size_t i = 0; i < length; ++i, ++at) out[at] = out[at - distance];
  }
  return at;
}

void RegisterLzfFilter() {
  const H5Z_class2_t filter{H5Z_CLASS_T_VERS, kLzfFilterId, 0, 1, "lzf", nullptr, nullptr, LzfFilter};
  if (H5Zfilter_avail(kLzfFilterId) <= 0) H5Zregister(&filter);
}

}  // namespace contimg::ingest
