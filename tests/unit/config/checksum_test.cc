#include "config/checksum.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

std::uint64_t Hash(const std::string& text) {
  Xxh64 hash;
  hash.Add(text);
  return hash.Digest();
}

TEST(Xxh64, AgreesWithPublishedValues) {
  EXPECT_EQ(Hash(""), 0xef46db3751d8e999u);
  EXPECT_EQ(Hash("a"), 0xd24ec4f1a98c6e5bu);
  EXPECT_EQ(Hash("abc"), 0x44bc2cf5ad770999u);
  EXPECT_EQ(Hash("Nobody inspects the spammish repetition"), 0xfbcea83c8a378bf1u);
}

TEST(Xxh64, DoesNotDependOnThePieces) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
  for (const std::size_t piece : {1u, 5u, 31u, 32u, 33u, 64u, 999u}) {
    Xxh64 pieces;
    for (std::size_t at = 0; at < text.size(); at += piece) pieces.Add(text.substr(at, piece));
    EXPECT_EQ(pieces.Digest(), Hash(text)) << piece;
    EXPECT_EQ(pieces.Hex().size(), 16u);
  }
}

TEST(Fnv1a, AgreesWithPublishedValues) {
  EXPECT_EQ(Fnv1a().Hex(), "cbf29ce484222325");
  Fnv1a hash;
  hash.Add("foobar", 6);
  EXPECT_EQ(hash.Hex(), "85944171f73967e8");
}

TEST(ReadInPieces, GivesAllOfAFileAndNamesOneThatIsNotThere) {
  const TemporaryFolder folder("checksum");
  const std::string text((3 << 20) + 5, 'y');
  std::ofstream(folder / "f") << text;
  Xxh64 hash;
  ReadInPieces(folder / "f", "test", [&](const void* data, std::size_t n) { hash.Add(data, n); });
  EXPECT_EQ(hash.Digest(), Hash(text));
  try {
    ReadInPieces(folder / "absent", "test", [](const void*, std::size_t) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_EQ(error.subject(), (folder / "absent").string());
  }
}

}  // namespace
}  // namespace contimg
