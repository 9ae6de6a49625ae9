#include "tests/fuzz/targets.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  contimg::fuzz::FuzzChunkIndex(data, size);
  return 0;
}
