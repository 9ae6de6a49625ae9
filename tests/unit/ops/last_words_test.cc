#include "ops/base/last_words.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <stdexcept>

namespace contimg::ops {
namespace {

struct WritesInItsDestructor {
  ~WritesInItsDestructor() noexcept(true) { Throw(); }
  static void Throw() { throw std::runtime_error("write error for file table.dat: No space left on device"); }
};

void FillTheDisk() {
  SetLastWords([](ErrorKind kind, const std::string& words) {
    std::fprintf(stderr, "%s: %s\n", std::string(ToString(kind)).c_str(), words.c_str());
  });
  const WritesInItsDestructor table;
  throw std::runtime_error("the first error");
}

TEST(LastWords, AnExceptionFromADestructorIsSaidWithItsKind) {
  EXPECT_EXIT(
      {
        try {
          FillTheDisk();
        } catch (const std::exception&) {
        }
      },
      ::testing::ExitedWithCode(1), "resource: table.dat: cannot be written: no space left on the disk");
}

TEST(LastWords, OtherWordsAreACrash) {
  EXPECT_EQ(KindOfLastWords("Read-only file system"), ErrorKind::kIo);
  EXPECT_EQ(KindOfLastWords("index out of range"), ErrorKind::kCrash);
}

}  // namespace
}  // namespace contimg::ops
