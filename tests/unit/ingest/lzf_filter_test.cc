#include "ingest/lzf_filter.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace contimg::ingest {
namespace {

std::string Decode(const std::vector<unsigned char>& packed, std::size_t room) {
  std::string out(room, '?');
  const std::size_t n =
      LzfDecode(packed.data(), packed.size(), reinterpret_cast<unsigned char*>(out.data()), out.size());
  return out.substr(0, n);
}

TEST(LzfDecode, CopiesLiterals) { EXPECT_EQ(Decode({2, 'a', 'b', 'c'}, 8), "abc"); }

TEST(LzfDecode, CopiesFromBeforeWithOverlap) {
  // "ab", then 4 + 2 - 2 = 4 bytes from 2 back: length code 2 (2 + 2 bytes), distance code 1.
  EXPECT_EQ(Decode({1, 'a', 'b', 2 << 5, 1}, 8), "ababab");
  // One byte repeated 2 + 7 + 10 times: the long form of the length.
  EXPECT_EQ(Decode({0, 'z', 7 << 5, 10, 0}, 32), std::string(20, 'z'));
}

TEST(LzfDecode, RefusesDamage) {
  EXPECT_EQ(Decode({5, 'a'}, 8), "");                 // literals missing
  EXPECT_EQ(Decode({0, 'a', 1 << 5, 9}, 8), "");      // a distance before the start
  EXPECT_EQ(Decode({3, 'a', 'b', 'c', 'd'}, 2), "");  // no room
  EXPECT_EQ(Decode({0, 'a', 7 << 5}, 8), "");         // ends inside a copy
}

}  // namespace
}  // namespace contimg::ingest
