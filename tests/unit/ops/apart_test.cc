// Work in a process apart: who dies costs itself alone.
#include "ops/migration/apart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <map>

#include "config/error.h"

namespace contimg::ops {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

TEST(EachApart, WhoDiesCostsItselfAlone) {
  std::map<std::size_t, std::string> said;
  EachApart(
      6,
      [](std::size_t i) -> std::string {
        if (i == 0 || i == 3) ::raise(SIGSEGV);
        if (i == 4) ::_exit(7);
        return i == 2 ? std::string(300000, 'x') : std::to_string(i);
      },
      [&](std::size_t i, const std::string& text, const std::string& death) {
        said[i] = death.empty() ? std::to_string(text.size()) : death;
      },
      RunContext{});
  EXPECT_THAT(said, ElementsAre(Pair(0, "died of signal 11"), Pair(1, "1"), Pair(2, "300000"),
                                Pair(3, "died of signal 11"), Pair(4, "ended with status 7"), Pair(5, "1")));
}

TEST(EachApart, WhatTakesTooLongIsEnded) {
  std::map<std::size_t, std::string> said;
  EachApart(
      3,
      [](std::size_t i) -> std::string {
        if (i == 1) ::pause();
        return "x";
      },
      [&](std::size_t i, const std::string& text, const std::string& death) { said[i] = text + death; }, RunContext{},
      {0.2});
  EXPECT_THAT(said, ElementsAre(Pair(0, "x"), Pair(1, "took longer than 0.2 s"), Pair(2, "x")));
}

TEST(EachApart, CancelledItEndsAtOnce) {
  std::atomic<bool> cancelled{false};
  RunContext context;
  context.cancelled = &cancelled;
  try {
    EachApart(
        2,
        [](std::size_t i) -> std::string {
          if (i == 1) ::pause();
          return "x";
        },
        [&](std::size_t, const std::string&, const std::string&) { cancelled = true; }, context);
    FAIL() << "must be cancelled";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kCancelled);
  }
}

TEST(EachApart, NothingIsNothing) {
  EachApart(
      0, [](std::size_t) -> std::string { return ""; },
      [](std::size_t, const std::string&, const std::string&) { FAIL(); }, RunContext{});
}

}  // namespace
}  // namespace contimg::ops
