#include "ops/base/checksum.h"
#include "tests/temporary_folder.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

std::uint64_t Digest(const std::string& text, std::size_t piece) {
  Xxh64 hash;
  for (std::size_t at = 0; at < text.size(); at += piece) hash.Add(text.data() + at, std::min(piece, text.size() - at));
  return hash.Digest();
}

// Values that the reference program prints.
TEST(Xxh64, AgreesWithPublishedValues) {
  EXPECT_EQ(Digest("", 1), 0xef46db3751d8e999u);
  EXPECT_EQ(Digest("a", 1), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(Digest("abc", 3), 0x44bc2cf5ad770999u);
  EXPECT_EQ(Digest("Nobody inspects the spammish repetition", 64), 0xfbcea83c8a378bf1u);
}

TEST(Xxh64, DoesNotDependOnThePieces) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
  for (std::size_t piece : {1u, 5u, 31u, 32u, 33u, 64u, 999u}) EXPECT_EQ(Digest(text, piece), Digest(text, 1000));
}

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

}  // namespace
}  // namespace contimg::ops
