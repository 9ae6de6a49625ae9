#include "ops/base/log.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace contimg::ops {
namespace {

template <typename Body>
std::string Logged(const Body& body) {
  SetUpLog(LogLevel::kInfo, LogFormat::kText);
  testing::internal::CaptureStderr();
  body();
  return testing::internal::GetCapturedStderr();
}

auto Lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(Log, DoesNotRepeatATroubleWithoutEnd) {
  const std::string same = Logged([] {
    for (int i = 0; i < 1000; ++i) Log(LogLevel::kWarning, "", "log test: the disk is on fire");
  });
  EXPECT_EQ(Lines(same), 5);
  const std::string loop = Logged([] {
    for (int i = 0; i < 1000; ++i) LogNowAndThen(LogLevel::kError, "log test: the loop fails");
  });
  EXPECT_EQ(Lines(loop), 1);
  const std::string flapping = Logged([] {
    for (int i = 0; i < 100; ++i) {
      Log(LogLevel::kWarning, "", "log test: cannot be written");
      Log(LogLevel::kInfo, "", "log test: can be written again");
    }
  });
  EXPECT_EQ(Lines(flapping), 10);
  // Of each group.
  const std::string others = Logged([] {
    for (int i = 0; i < 100; ++i) Log(LogLevel::kError, "log test " + std::to_string(i), "given up");
  });
  EXPECT_EQ(Lines(others), 100);
}

TEST(Log, SpellsControlCharacters) {
  const std::string text = Logged([] { Log(LogLevel::kInfo, "g\x1b[1m", "log test: \x1b[2Jname\nsecond line"); });
  EXPECT_EQ(Lines(text), 1);
  EXPECT_NE(text.find("g\\x1b[1m: log test: \\x1b[2Jname\\nsecond line"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace contimg::ops
