#include "ops/job/job.h"

#include <gtest/gtest.h>

#include "ops/job/header_check.h"

namespace contimg::ops {
namespace {

std::vector<std::string> Keys(const nlohmann::json& value) {
  std::vector<std::string> keys;
  for (const auto& each : value.items()) keys.push_back(each.key());
  return keys;
}

TEST(Job, SurvivesTheWayThroughItsFile) {
  Job job;
  job.group = "2025-10-13T13:28:03";
  job.attempt = 3;
  job.stages = {"convert", "flag"};
  job.inputs = {"/in/a b.hdf5", "/in/ü.hdf5"};
  job.measurement_set = "/out/x.ms";
  job.take_existing = true;
  job.memory_bytes = 3'000'000'000;
  job.settings.convert.durable = false;
  job.settings.image.cell_arcsec = 2.5;
  job.tables.push_back({3, "BP", "/cal/x.bpcal", "0123"});
  JobSolve solve;
  solve.kinds = {"G"};
  solve.model = "field";
  solve.apply = job.tables;
  solve.anchor = JobTable{4, "G", "/cal/x.gpcal", ""};
  job.solve = solve;
  job.places = {{7, "DSA J133108.2+303032", 202.7845, 30.5092, 15, -0.5, 32}, {0, "nvss x", 1, 2, 0, {}, 0}};
  job.tile_flags = 2048;
  const Job back = ParseJob(nlohmann::json::parse(ToJson(job).dump()), "test");
  EXPECT_EQ(ToJson(back), ToJson(job));
  EXPECT_EQ(Keys(ToJson(job)),
            (std::vector<std::string>{
                "attempt",       "expected_subbands", "fallback_root", "group",  "image_prefix", "inputs",
                "job",           "measurement_set",   "memory_bytes",  "places", "qa_prefix",    "replace_existing",
                "settings",      "sky_model",         "solve",         "stages", "staging_root", "tables",
                "take_existing", "threads",           "tile_flags",    "trees",  "version"}));
  EXPECT_EQ(ToJson(job)["solve"].dump(),
            R"({"anchor":{"checksum":"","id":4,"kind":"G","path":"/cal/x.gpcal"},)"
            R"("apply":[{"checksum":"0123","id":3,"kind":"BP","path":"/cal/x.bpcal"}],"interval":"","kinds":["G"],)"
            R"("model":"field","prefix":"","previous":[],"reference_antennas":[]})");
  EXPECT_EQ(ToJson(Job())["solve"], nullptr);
  EXPECT_EQ(back.memory_bytes, 3'000'000'000u);
  EXPECT_FALSE(back.settings.convert.durable);
  EXPECT_EQ(back.settings.image.cell_arcsec, 2.5);
  EXPECT_EQ(SettingsHash(back.settings), SettingsHash(job.settings));
}

TEST(Job, ReadsJobsOfEarlierVersions) {
  nlohmann::json value = ToJson(Job());
  value.erase("memory_bytes");
  value["settings"]["mosaic"] = {{"threads", "0"}};  // a setting that did nothing
  value.erase("trees");
  value.erase("places");
  value.erase("tile_flags");
  value["tables"] = {{{"kind", "K"}, {"path", "/cal/x.kcal"}}};
  const Job job = ParseJob(value, "test");
  EXPECT_EQ(job.memory_bytes, 0u);
  ASSERT_EQ(job.tables.size(), 1u);
  EXPECT_EQ(job.tables.front().id, 0);
  EXPECT_EQ(job.tables.front().path, "/cal/x.kcal");
}

TEST(Job, RefusesMissingFieldsAndOtherVersions) {
  nlohmann::json value = ToJson(Job());
  value.erase("group");
  EXPECT_THROW(ParseJob(value, "test"), Error);
  value = ToJson(Job());
  value["version"] = 99;
  EXPECT_THROW(ParseJob(value, "test"), Error);
  for (const char* key : {"inputs", "stages", "tables"}) {  // lists, not what might be one of a list
    value = ToJson(Job());
    value[key] = "x";
    EXPECT_THROW(ParseJob(value, "test"), Error) << key;
    value[key] = nlohmann::json{{"x", "y"}};
    EXPECT_THROW(ParseJob(value, "test"), Error) << key;
  }
  value = ToJson(Job());
  value["settings"] = {{"image", {{"sise", "4800"}}}};
  EXPECT_THROW(ParseJob(value, "test"), Error);
}

TEST(JobReport, SurvivesTheWayThroughItsFile) {
  JobReport report;
  report.group = "g";
  report.error_kind = ErrorKind::kNumeric;
  report.error_message = "no";
  report.stages.push_back({"convert", 1.5, 2.5, 1000, {{"rows", 3}}});
  report.products.push_back({ProductKind::kScienceMs, "/x.ms", 17, "0123", {"/a", "/b"}});
  report.observation = JobObservation{60000.1, 60000.2, 12.5, -3};
  JobCalibration table;
  table.kind = "G";
  table.path = "/x.gpcal";
  table.failures = {"too noisy"};
  report.calibration.push_back(table);
  report.applied = {"/x.gpcal"};
  EXPECT_EQ(ToJson(ParseJobReport(ToJson(report), "test")), ToJson(report));
  EXPECT_EQ(Keys(ToJson(report)),
            (std::vector<std::string>{"applied",     "attempt",         "calibration", "error",
                                      "finished_at", "group",           "host",        "instruction_set",
                                      "job",         "next_state",      "observation", "ok",
                                      "products",    "program_version", "quality",     "settings_hash",
                                      "stages",      "started_at",      "version",     "warnings"}));
  EXPECT_EQ(ToJson(report)["products"].dump(),
            R"([{"bytes":17,"checksum":"0123","kind":"science_ms","parents":["/a","/b"],"path":"/x.ms"}])");
}

TEST(JobReport, ReadsReportsOfEarlierVersions) {
  JobReport report;
  report.group = "2025-10-13T13:28:03";
  report.calibration.emplace_back().kind = "G";
  nlohmann::json value = ToJson(report);
  value.erase("job");
  value["calibration"][0].erase("table");
  const JobReport back = ParseJobReport(value, "test");
  EXPECT_EQ(back.job, "group/2025-10-13T13:28:03");
  EXPECT_EQ(back.calibration.front().kind, "G");
}

TEST(ProgressLine, IgnoresWhatIsNone) {
  for (const char* text :
       {"", "hello", "{}", "[1]", "{\"stage\":1}", "{\"stage\":\"x\"}", "{\"stage\":\"x\",\"fraction\":\"y\"}"}) {
    EXPECT_FALSE(ParseProgressLine(text)) << text;
  }
  const auto line = ParseProgressLine(FormatProgressLine({ProgressLine::Kind::kWarning, "convert", 0, "a \"b\"\n"}));
  ASSERT_TRUE(line);
  EXPECT_EQ(line->message, "a \"b\"\n");
}

TEST(CheckResult, SurvivesTheWayThroughTheLine) {
  CheckResult result;
  result.path = "/in/2025-10-13T13:28:03_sb07.hdf5";
  ingest::SubbandFile file;
  file.path = result.path;
  file.subband = 7;
  file.stamp = UtcTime::FromIso8601("2025-10-13T13:28:03");
  file.axis = {5267000000.123456, 5267000309.3, 24};
  file.size = 140'000'000'000;
  file.mtime_ns = 1'760'000'000'123'456'789;
  file.fingerprint = "abc";
  result.file = file;
  const auto back = ParseCheckResult(FormatCheckResult(result));
  ASSERT_TRUE(back && back->file);
  EXPECT_EQ(back->file->axis.first_mjd_s, file.axis.first_mjd_s);
  EXPECT_EQ(back->file->mtime_ns, file.mtime_ns);
  EXPECT_EQ(back->file->stamp.Iso8601(), "2025-10-13T13:28:03");
  EXPECT_FALSE(ParseCheckResult("{}"));
  EXPECT_FALSE(ParseCheckResult("garbage"));
}

TEST(CheckSubbandFile, ReportsWhatIsWrong) {
  EXPECT_FALSE(CheckSubbandFile("/nowhere/2025-10-13T13:28:03_sb07.hdf5").file);
  EXPECT_FALSE(CheckSubbandFile("/etc/passwd").file);
}

}  // namespace
}  // namespace contimg::ops
