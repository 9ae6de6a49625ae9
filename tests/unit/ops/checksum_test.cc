#include "ops/base/checksum.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

TEST(ProductChecksum, OfAFolderFollowsNamesAndContentsButNotLocks) {
  const TemporaryFolder root("checksum");
  fs::create_directories(root / "t" / "SUB");
  std::ofstream(root / "t" / "a") << "one";
  std::ofstream(root / "t" / "SUB" / "b") << "two";
  const std::string first = ProductChecksum(root / "t");
  EXPECT_EQ(first, ProductChecksum(root / "t", 2));
  std::ofstream(root / "t" / "table.lock") << "x";
  EXPECT_EQ(first, ProductChecksum(root / "t"));
  EXPECT_EQ(ProductBytes(root / "t"), 7u);
  fs::rename(root / "t" / "a", root / "t" / "c");
  EXPECT_NE(first, ProductChecksum(root / "t"));
  fs::rename(root / "t" / "c", root / "t" / "a");
  std::ofstream(root / "t" / "a") << "onf";
  EXPECT_NE(first, ProductChecksum(root / "t"));
}

// What earlier versions recorded must go on to be found equal.
TEST(ProductChecksum, KeepsItsMeaning) {
  const TemporaryFolder folder("checksum");
  fs::create_directories(folder / "t" / "sub");
  std::ofstream(folder / "t" / "b") << "two\n";
  std::ofstream(folder / "t" / "sub" / "a") << "one\n";
  EXPECT_EQ(ProductChecksum(folder / "t" / "b"), "6e15961ef9042d0f");
  EXPECT_EQ(ProductChecksum(folder / "t"), "0555f6d82436125a");
  const std::string a = ProductChecksum(folder / "t" / "sub" / "a");
  std::ofstream(folder / "t" / "sub" / "a") << "need not be read\n";
  EXPECT_EQ(ProductChecksum(folder / "t", 1, RealOs(), {{"sub/a", a}}), "0555f6d82436125a");
}

}  // namespace
}  // namespace contimg::ops
