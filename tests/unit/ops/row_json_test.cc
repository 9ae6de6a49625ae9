#include "ops/records/row_json.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

std::set<std::string> Keys(const ordered_json& value) {
  std::set<std::string> keys;
  for (const auto& [key, each] : value.items()) keys.insert(key);
  return keys;
}

// The fields of the API's first version: they may be joined by others, and none may go or change its name.
TEST(RowJson, KeepsTheFieldsOfTheApi) {
  const auto has = [](const ordered_json& value, const std::set<std::string>& wanted) {
    const auto keys = Keys(value);
    for (const std::string& key : wanted) EXPECT_EQ(keys.count(key), 1u) << key;
  };
  has(RowJson(state::GroupRow{}), {"id",
                                   "state",
                                   "priority",
                                   "attempts",
                                   "next_attempt_at",
                                   "error_kind",
                                   "error",
                                   "subbands_present",
                                   "subbands_expected",
                                   "data_start",
                                   "data_end",
                                   "first_file_at",
                                   "created_at",
                                   "updated_at",
                                   "started_at",
                                   "finished_at",
                                   "executor",
                                   "executor_id",
                                   "stage",
                                   "progress",
                                   "timings_s"});
  has(RowJson(state::ProductRow{}),
      {"id", "kind", "path", "group", "start", "end", "ra_deg", "dec_deg", "size_bytes", "checksum", "sha256", "grade",
       "qa", "status", "archive_path", "job", "created_at", "updated_at"});
  has(RowJson(state::JobRow{}),
      {"id", "group", "kind", "settings_hash", "settings", "version", "host", "command", "started_at", "finished_at",
       "outcome", "error", "peak_memory_bytes", "timings", "report"});
  has(RowJson(state::CalTableRow{}),
      {"id", "kind", "interval", "path", "valid_from", "valid_to", "source_group", "model", "refant", "status",
       "reason", "quality", "flag_fractions", "checksum", "registered_at"});
  has(RowJson(state::SubbandFileRow{}), {"subband", "path", "size_bytes", "status", "seen_at"});
  has(RowJson(state::EventRow{}), {"at", "kind", "from", "to", "actor", "detail"});
  has(RowJson(state::CalChoiceRow{}), {"kind", "table", "reason", "chosen_at"});
}

TEST(RowJson, WhatIsAbsentIsNullAndTimesHaveOneForm) {
  state::ProductRow row;
  EXPECT_TRUE(RowJson(row)["start"].is_null());
  EXPECT_TRUE(RowJson(row)["sha256"].is_null());
  EXPECT_TRUE(RowJson(row)["checksum"].is_null());
  row.created_at = 1760362083.25;
  row.qa_json = R"({"rms_jy": 0.5})";
  EXPECT_EQ(RowJson(row)["created_at"], "2025-10-13T13:28:03.250Z");
  EXPECT_EQ(RowJson(row)["qa"]["rms_jy"], 0.5);
  row.qa_json = "no JSON";
  EXPECT_EQ(RowJson(row)["qa"], "no JSON");
}

}  // namespace
}  // namespace contimg::ops
