#include "config/buffer.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <utility>

namespace contimg {
namespace {

TEST(Buffer, BecomesOneOfAnotherTypeAndKeepsItsBytes) {
  for (const std::size_t size : {1U, 511U, 512U, 513U, 100000U}) {
    Buffer<double> sums(size);
    for (std::size_t i = 0; i < size; ++i) {
      const float both[2] = {static_cast<float>(i), -static_cast<float>(i)};
      std::memcpy(reinterpret_cast<char*>(sums.data()) + i * sizeof(double), both, sizeof(both));
    }
    const void* at = sums.data();
    Buffer<float> maps = std::move(sums).Become<float>(size);
    EXPECT_EQ(sums.data(), nullptr);
    EXPECT_EQ(sums.size(), 0U);
    EXPECT_EQ(maps.data(), at);
    ASSERT_EQ(maps.size(), size);
    for (std::size_t i = 0; i < size; ++i) {
      ASSERT_EQ(maps[i], i % 2 == 0 ? static_cast<float>(i / 2) : -static_cast<float>(i / 2));
    }
  }
  EXPECT_TRUE(Buffer<double>(100).Become<float>(0).empty());
  EXPECT_TRUE(Buffer<double>().Become<float>(0).empty());
}

// What is not needed goes back: otherwise a mosaic's sums would stay beside its maps.
TEST(Buffer, GivesBackWhatItNoLongerNeeds) {
  constexpr std::size_t kMany = std::size_t{1} << 22;
  Buffer<double> sums(kMany);
  for (double& v : sums) v = 1;
  char* const behind = reinterpret_cast<char*>(sums.data()) + kMany * sizeof(float);
  EXPECT_EQ(msync(behind, kMany * sizeof(float), MS_ASYNC), 0);
  const Buffer<float> maps = std::move(sums).Become<float>(kMany);
  EXPECT_EQ(msync(behind, kMany * sizeof(float), MS_ASYNC), -1);  // not mapped
  EXPECT_EQ(errno, ENOMEM);
  EXPECT_EQ(maps[kMany - 1], maps[1]);
}

}  // namespace
}  // namespace contimg
