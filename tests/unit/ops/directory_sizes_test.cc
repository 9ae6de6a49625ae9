#include "ops/daemon/directory_sizes.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

DirectorySizes::Size Await(const DirectorySizes& sizes, const std::string& name, std::uint64_t bytes) {
  for (int i = 0; i < 3000; ++i) {
    const auto size = sizes.Latest().at(name);
    if (size.measured && size.bytes == bytes) return size;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return sizes.Latest().at(name);
}

TEST(DirectorySizes, EveryDirectoryIsNamedFromTheStartAndMeasuredAgainSoon) {
  const TemporaryFolder folder("sizes");
  std::filesystem::create_directories(folder / "a/b");
  DirectorySizes sizes({{"a", folder / "a"}, {"gone", folder / "gone"}}, 0.05);
  ASSERT_EQ(sizes.Latest().size(), 2U);  // before anything is measured: known by name, marked as not measured
  EXPECT_EQ(Await(sizes, "a", 0).bytes, 0U);
  std::ofstream(folder / "a/b/file") << std::string(1000, 'x');
  const auto found = Await(sizes, "a", 1000);
  EXPECT_EQ(found.bytes, 1000U);
  EXPECT_EQ(found.files, 1U);
  EXPECT_GT(found.oldest_unix_s, 1.7e9);
  EXPECT_EQ(Await(sizes, "gone", 0).oldest_unix_s, 0);
  EXPECT_TRUE(Await(sizes, "gone", 0).measured);
}

}  // namespace
}  // namespace contimg::ops
