#include "ops/cli/queue_listing.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/time.h"

namespace contimg::ops {
namespace {

std::string Written(QueueListing::Form form, const std::vector<state::GroupLine>& lines, std::int64_t n_more = 0) {
  char* text = nullptr;
  std::size_t size = 0;
  std::FILE* file = ::open_memstream(&text, &size);
  QueueListing listing(form, file);
  for (const state::GroupLine& line : lines) listing.Add(line);
  listing.Finish(n_more);
  std::fclose(file);
  std::string written(text, size);
  std::free(text);
  return written;
}

TEST(QueueListing, WritesOneJsonArrayThatAnyParserReads) {
  const std::string hostile = "cannot read \"sb\\07\"\n\ttab, \x01, µ and broken \xff UTF-8";
  const std::vector<state::GroupLine> lines = {{"2025-10-13T13:28:03", "done", "", "", 1, 16, 16, 1760362083.4},
                                               {"2025-10-13T13:33:12", "dead", "io", hostile, 20, 15, 16, 0}};
  const auto parsed = nlohmann::json::parse(Written(QueueListing::Form::kJson, lines));
  ASSERT_EQ(parsed.size(), 2u);
  EXPECT_EQ(parsed[0], (nlohmann::json{{"id", "2025-10-13T13:28:03"},
                                       {"state", "done"},
                                       {"attempts", 1},
                                       {"error_kind", nullptr},
                                       {"error", nullptr},
                                       {"subbands_present", 16},
                                       {"subbands_expected", 16},
                                       {"updated_at", "2025-10-13T13:28:03.400Z"}}));
  EXPECT_EQ(parsed[1]["error_kind"], "io");
  EXPECT_TRUE(parsed[1]["updated_at"].is_null());
  const std::string error = parsed[1]["error"];
  EXPECT_EQ(error.substr(0, 40), hostile.substr(0, 40));
}

TEST(QueueListing, AnEmptyArrayIsStillJson) { EXPECT_EQ(Written(QueueListing::Form::kJson, {}), "[]\n"); }

TEST(QueueListing, TimesAreThoseOfUtcTime) {
  for (const double unix_s : {0.6, 86399.4, 86399.6, 951782399.7, 1760362083.49, 1760362083.51, 4102444800.0}) {
    const auto parsed = nlohmann::json::parse(
        Written(QueueListing::Form::kJson, {{"2025-10-13T13:28:03", "done", "", "", 1, 16, 16, unix_s}}));
    EXPECT_EQ(parsed[0]["updated_at"], UtcTime::FromUnix(unix_s).Stamp(3)) << unix_s;
  }
}

TEST(QueueListing, TableShowsTheReasonOfAHeldGroupAndNoControlCharacter) {
  const std::string text =
      Written(QueueListing::Form::kTable,
              {{"2025-10-13T13:28:03", "held", "", "hold: \x1b[2Jlook at sb03", 1, 16, 16, 1760362083},
               {"2025-10-13T13:33:12", "dead", "io", "no disk", 1, 16, 16, 1760362083}});
  EXPECT_NE(text.find("2025-10-13T13:28:03Z  hold: \\x1b[2Jlook at sb03\n"), std::string::npos) << text;
  EXPECT_NE(text.find("2025-10-13T13:28:03Z  io: no disk\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(QueueListing, TableSaysWhatWasLeftOut) {
  const std::string text =
      Written(QueueListing::Form::kTable, {{"2025-10-13T13:28:03", "dead", "crash", "signal 11", 2, 16, 16, 1e9}}, 41);
  EXPECT_NE(text.find("crash: signal 11\n"), std::string::npos) << text;
  EXPECT_NE(text.find("… and 41 more (--limit 0 shows all)\n"), std::string::npos) << text;
}

}  // namespace
}  // namespace contimg::ops
