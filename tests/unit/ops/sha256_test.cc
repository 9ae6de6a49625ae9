#include "ops/base/sha256.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

// The examples of FIPS 180-4.
TEST(Sha256Test, GivesTheStandardsExamples) {
  EXPECT_EQ(Sha256().Hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  Sha256 hash;
  hash.Add("a");
  const std::string half = hash.Hex();
  hash.Add("bc");
  EXPECT_EQ(hash.Hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_NE(half, hash.Hex());
}

TEST(Sha256Test, OfAFileIsThatOfItsContent) {
  const TemporaryFolder folder("sha256");
  std::ofstream(folder / "million", std::ios::binary) << std::string(1000000, 'a');
  EXPECT_EQ(FileSha256(folder / "million"), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_ANY_THROW(FileSha256(folder / "none"));
}

}  // namespace
}  // namespace contimg::ops
