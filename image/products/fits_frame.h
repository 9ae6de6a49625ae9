// What the header of an image says of its structure, of plain files and compressed ones alike.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace contimg::image {

struct FitsFrame {
  bool simple = false;             // SIMPLE of the file
  int bitpix = 0;                  // of the pixels, 8 to 64 or −32, −64; of a compressed image what it unpacks to
  std::vector<std::int64_t> axes;  // lengths, NAXIS1 first
  bool extended = false;           // EXTEND of the file
  double bscale = 1, bzero = 0;    // 1 and 0 where the header has none
};

// Of the first image of the file. Throws Error{kIo} when it cannot be opened and Error{kBadInput} when there is none.
FitsFrame ReadFitsFrame(const std::filesystem::path& path);

}  // namespace contimg::image
