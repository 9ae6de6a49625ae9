// The seeds of the fuzz targets, replayed: the targets abort when the reader breaks a promise.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "tests/fuzz/targets.h"

namespace contimg::fuzz {
namespace {

using Target = void (*)(const std::uint8_t*, std::size_t);

std::size_t Replay(const std::string& name, Target target) {
  std::size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(CONTIMG_SOURCE_DIR) / "tests/fuzz/corpus" / name)) {
    std::ifstream in(entry.path(), std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(in), {});
    SCOPED_TRACE(entry.path().string());
    target(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    ++count;
  }
  return count;
}

TEST(FuzzCorpus, ChunkIndexKeepsItsPromises) { EXPECT_GT(Replay("chunk_index", FuzzChunkIndex), 5u); }

TEST(FuzzCorpus, Uvh5KeepsItsPromises) { EXPECT_GT(Replay("uvh5", FuzzUvh5), 5u); }

}  // namespace
}  // namespace contimg::fuzz
