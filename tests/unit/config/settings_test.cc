#include "config/settings.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include "config/error.h"
#include "config/quantity.h"
#include "config/settings_loader.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

fs::path Write(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name) << text;
  return folder / name;
}

// The sentence of the Error{kUsage} that loading throws; empty when it does not.
std::string UsageError(const SettingsSources& sources) {
  try {
    LoadSettings(sources);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

std::size_t IndexOf(std::string_view key) { return static_cast<std::size_t>(FindSetting(key) - AllSettings().data()); }

// What cannot be read is no wrong TOML.
TEST(LoadSettings, AFileThatCannotBeReadIsAnErrorOfTheDisk) {
  const TemporaryFolder folder("settings");
  fs::create_symlink("/proc/self/mem", folder / "contimg.toml");  // gives EIO
  SettingsSources sources;
  sources.file = folder / "contimg.toml";
  try {
    LoadSettings(sources);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo) << error.what();
  }
}

TEST(Quantity, ConvertsUnitsOfOneDimension) {
  EXPECT_DOUBLE_EQ(ParseQuantity("10min", "s").value(), 600);
  EXPECT_DOUBLE_EQ(ParseQuantity("30 min", "h").value(), 0.5);
  EXPECT_DOUBLE_EQ(ParseQuantity("200GB", "B").value(), 200e9);
  EXPECT_DOUBLE_EQ(ParseQuantity("1GiB", "MiB").value(), 1024);
  EXPECT_DOUBLE_EQ(ParseQuantity("95%", "fraction").value(), 0.95);
  EXPECT_DOUBLE_EQ(ParseQuantity("30deg", "deg").value(), 30);
  EXPECT_DOUBLE_EQ(ParseQuantity("0.5deg", "arcsec").value(), 1800);
  EXPECT_DOUBLE_EQ(ParseQuantity("1GHz", "Hz").value(), 1e9);
  EXPECT_DOUBLE_EQ(ParseQuantity("2mJy", "Jy").value(), 0.002);
  EXPECT_DOUBLE_EQ(ParseQuantity(" -1.5e3 ", "m").value(), -1500);
  EXPECT_DOUBLE_EQ(ParseQuantity("+7", "").value(), 7);
}

TEST(Quantity, RefusesOtherDimensionsAndNonNumbers) {
  for (const auto& [text, unit] : {std::pair{"10min", "B"},
                                   {"", "s"},
                                   {"min", "s"},
                                   {"1e999", "s"},
                                   {"nan", "s"},
                                   {"inf", "s"},
                                   {"10parsec", "m"},
                                   {"5s", ""},
                                   {"1 2", "s"}}) {
    EXPECT_FALSE(ParseQuantity(text, unit)) << text << " in " << unit;
  }
}

TEST(Settings, DeclaresEverythingConsistently) {
  std::set<std::string> keys, variables;
  const Settings defaults;
  Settings copy;
  for (const SettingInfo& info : AllSettings()) {
    EXPECT_TRUE(keys.insert(info.key()).second) << info.key();
    EXPECT_TRUE(variables.insert(info.environment()).second) << info.environment();
    EXPECT_TRUE(IsUnit(info.unit)) << info.key();
    EXPECT_FALSE(info.help.empty()) << info.key();
    EXPECT_EQ(info.help.find('|'), std::string_view::npos) << "breaks the table: " << info.key();
    // Every default passes its own checks and reads back.
    EXPECT_NO_THROW(SetFromText(copy, info, ToText(defaults, info), "test")) << info.key();
    EXPECT_EQ(ToText(copy, info), ToText(defaults, info));
  }
  EXPECT_NO_THROW(CheckRules(defaults));
}

TEST(Settings, NamesTheVariablesThatScriptsRelyOn) {
  for (const auto& [key, variable] : {std::pair{"ingest.expected_subbands", "CONTIMG_INGEST_EXPECTED_SUBBANDS"},
                                      {"ingest.min_subbands", "CONTIMG_INGEST_MIN_SUBBANDS"},
                                      {"ingest.deadline_s", "CONTIMG_INGEST_DEADLINE_S"},
                                      {"calibrate.policy", "CONTIMG_CALIBRATE_POLICY"},
                                      {"image.enabled", "CONTIMG_IMAGE_ENABLED"},
                                      {"http.listen", "CONTIMG_HTTP_LISTEN"},
                                      {"paths.scratch_dir", "CONTIMG_SCRATCH_DIR"},
                                      {"paths.state_dir", "CONTIMG_STATE_DIR"},
                                      {"paths.input_dir", "CONTIMG_INPUT_DIR"},
                                      {"paths.output_dir", "CONTIMG_OUTPUT_DIR"},
                                      {"paths.images_dir", "CONTIMG_IMAGES_DIR"},
                                      {"paths.tmp_dir", "CONTIMG_TMP_DIR"},
                                      {"paths.staging_dir", "CONTIMG_STAGING_DIR"}}) {
    ASSERT_NE(FindSetting(key), nullptr) << key;
    EXPECT_EQ(FindSetting(key)->environment(), variable);
  }
  EXPECT_EQ(FindSetting("ingest.nothing"), nullptr);
  EXPECT_EQ(FindSetting("ingest"), nullptr);
}

// What one override alone leads to; the sentence of its refusal otherwise.
LoadedSettings With(const std::string& override_text) {
  SettingsSources sources;
  sources.overrides = {override_text};
  return LoadSettings(sources);
}

TEST(SettingsLoader, DefaultsFollowTheSettingTheyDependOn) {
  EXPECT_EQ(With("ingest.expected_subbands=4").values.ingest.min_subbands, 4);
  EXPECT_EQ(With("ingest.expected_subbands=24").values.ingest.min_subbands, 24);
  EXPECT_EQ(With("ingest.min_subbands=12").values.ingest.expected_subbands, 16);
  EXPECT_EQ(With("queue.lease_s=30").values.queue.heartbeat_s, 10);
  EXPECT_EQ(With("queue.heartbeat_s=100").values.queue.lease_s, 300);
  EXPECT_EQ(With("queue.backoff_limit_s=5").values.queue.backoff_first_s, 5);
  EXPECT_EQ(With("queue.backoff_first_s=7200").values.queue.backoff_limit_s, 7200);
  EXPECT_EQ(With("disk.staging_warn_used_fraction=98%").values.disk.staging_critical_used_fraction, 0.98);
  EXPECT_EQ(With("disk.staging_critical_used_fraction=50%").values.disk.staging_warn_used_fraction, 0.5);
  const LoadedSettings followed = With("ingest.expected_subbands=4");
  EXPECT_EQ(followed.origins[IndexOf("ingest.min_subbands")].kind, SettingOrigin::kDefault);
  EXPECT_EQ(followed.origins[IndexOf("ingest.min_subbands")].source, "default, following another");
}

// Any one setting at either end of its range, all others at their defaults, is a configuration that holds together; but
// for the few whose partner is a fact or a wish of its own.
TEST(SettingsLoader, NoSettingAloneContradictsADefault) {
  for (const SettingInfo& info : AllSettings()) {
    if (info.type != SettingType::kInteger && info.type != SettingType::kNumber) continue;
    for (const double end : {info.minimum, info.maximum}) {
      if (info.key() == "ingest.min_subbands" && end > 16) continue;  // more than the array has
      const std::string text =
          info.key() + "=" +
          (info.type == SettingType::kInteger ? std::to_string(static_cast<std::int64_t>(end)) : std::to_string(end));
      EXPECT_NO_THROW(With(text)) << text;
    }
  }
}

TEST(SettingsLoader, WhatWasSetIsNotMovedButRefused) {
  SettingsSources sources;
  sources.overrides = {"ingest.expected_subbands=4", "ingest.min_subbands=8"};
  EXPECT_NE(UsageError(sources).find("ingest.min_subbands: is 8"), std::string::npos);
  sources.overrides = {"image.min_uv_lambda=2000", "image.max_uv_lambda=900"};
  EXPECT_NE(UsageError(sources).find("image.min_uv_lambda: is 2000, which must be below"), std::string::npos);
}

TEST(SettingsLoader, RefusesWhatDoesNothing) {
  SettingsSources sources;
  sources.overrides = {"executor.kind=slurm"};
  EXPECT_NE(UsageError(sources).find("expected local, as nothing else is available yet, found 'slurm'"),
            std::string::npos);
  sources.overrides = {"mosaic.min_overlap=3"};
  EXPECT_NE(UsageError(sources).find("mosaic.min_overlap: is no setting"), std::string::npos);
}

TEST(SettingsLoader, FollowsThePrecedence) {
  const TemporaryFolder dir("settings");
  const fs::path file =
      Write(dir, "c.toml", "[ingest]\ndeadline_s = \"5min\"\nmin_subbands = 12\n[http]\nlisten = \"a:1\"\n");
  SettingsSources sources;
  sources.file = file;
  sources.environment = {{"CONTIMG_INGEST_MIN_SUBBANDS", "13"}, {"CONTIMG_HTTP_LISTEN", "b:2"}, {"HOME", "/"}};
  sources.overrides = {"http.listen=c:3"};
  const LoadedSettings loaded = LoadSettings(sources);
  EXPECT_EQ(loaded.values.ingest.expected_subbands, 16);
  EXPECT_EQ(loaded.values.ingest.deadline_s, 300);
  EXPECT_EQ(loaded.values.ingest.min_subbands, 13);
  EXPECT_EQ(loaded.values.http.listen, "c:3");
  EXPECT_EQ(loaded.origins[IndexOf("ingest.expected_subbands")].kind, SettingOrigin::kDefault);
  EXPECT_EQ(loaded.origins[IndexOf("ingest.deadline_s")].kind, SettingOrigin::kFile);
  EXPECT_EQ(loaded.origins[IndexOf("ingest.deadline_s")].source, file.string() + " line 2");
  EXPECT_EQ(loaded.origins[IndexOf("ingest.min_subbands")].source, "CONTIMG_INGEST_MIN_SUBBANDS");
  EXPECT_EQ(loaded.origins[IndexOf("http.listen")].kind, SettingOrigin::kCommandLine);
}

TEST(SettingsLoader, TakesTheFileFromTheEnvironment) {
  const TemporaryFolder dir("settings");
  const fs::path file = Write(dir, "c.toml", "[image]\nenabled = false\n[disk]\nwarn_used_fraction = \"80%\"\n");
  SettingsSources sources;
  sources.environment = {{"CONTIMG_CONFIG", file.string()}};
  const LoadedSettings loaded = LoadSettings(sources);
  EXPECT_FALSE(loaded.values.image.enabled);
  EXPECT_DOUBLE_EQ(loaded.values.disk.warn_used_fraction, 0.8);
  EXPECT_EQ(loaded.file, file);
}

TEST(SettingsLoader, RefusesUnknownNamesAndSuggestsTheNearest) {
  const TemporaryFolder dir("settings");
  SettingsSources sources;
  sources.file = Write(dir, "a.toml", "[ingest]\nmin_subands = 12\n");
  EXPECT_NE(UsageError(sources).find("did you mean 'ingest.min_subbands'?"), std::string::npos) << UsageError(sources);
  EXPECT_NE(UsageError(sources).find("line 2"), std::string::npos);
  sources.file = Write(dir, "b.toml", "[imgae]\nenabled = true\n");
  EXPECT_NE(UsageError(sources).find("did you mean 'image'?"), std::string::npos) << UsageError(sources);
  sources.file.reset();
  sources.environment = {{"CONTIMG_INGEST_DEADLIN_S", "5"}};
  EXPECT_NE(UsageError(sources).find("did you mean 'CONTIMG_INGEST_DEADLINE_S'?"), std::string::npos);
  sources.environment = {{"CONTIMG_TEST_DATA", "/x"}, {"CONTIMG_IMAGES_DIR", "/i"}};
  EXPECT_EQ(UsageError(sources), "");
  sources.overrides = {"calibrate.polciy=wait"};
  EXPECT_NE(UsageError(sources).find("did you mean 'calibrate.policy'?"), std::string::npos);
  sources.overrides = {"zzzzzzzzzzzzzzzzzzzzzzzzzzzz=1"};
  EXPECT_EQ(UsageError(sources).find("did you mean"), std::string::npos);
  sources.overrides = {"http.listen"};
  EXPECT_NE(UsageError(sources).find("section.key=value"), std::string::npos);
}

TEST(UnknownVariables, AreThoseThatDoNothing) {
  EXPECT_TRUE(
      UnknownVariables({{"CONTIMG_CONFIG", "x"}, {"CONTIMG_IMAGE_SIZE", "512"}, {"CONTIMG_NOSUCH", ""}}).empty());
  const auto sentences = UnknownVariables({{"CONTIMG_NOSUCH", "1"}, {"CONTIMG_LOG_LEVEL", "debug"}});
  ASSERT_EQ(sentences.size(), 2u);
  EXPECT_EQ(sentences[0], "CONTIMG_NOSUCH: is no setting and does nothing (environment variable)");
  EXPECT_EQ(sentences[1],
            "CONTIMG_LOG_LEVEL: is no setting and does nothing (environment variable), did you mean "
            "'CONTIMG_DAEMON_LOG_LEVEL'?");
}

TEST(SettingsLoader, NamesRangeUnitAndSourceOfBadValues) {
  SettingsSources sources;
  sources.environment = {{"CONTIMG_INGEST_DEADLINE_S", "3d"}};
  const std::string sentence = UsageError(sources);
  for (const char* part : {"ingest.deadline_s", "1 to 86400 s", "'3d'", "CONTIMG_INGEST_DEADLINE_S", "min"}) {
    EXPECT_NE(sentence.find(part), std::string::npos) << part << " in " << sentence;
  }
  sources.environment.clear();
  for (const char* bad : {"ingest.min_subbands=12.5", "ingest.min_subbands=0", "ingest.min_subbands=x",
                          "calibrate.policy=maybe", "image.enabled=2", "disk.warn_free_bytes=10s",
                          "ingest.expected_subbands=", "ingest.min_subbands=17", "executor.kind=slurm"}) {
    sources.overrides = {bad};
    EXPECT_NE(UsageError(sources), "") << bad;
  }
}

TEST(SettingsLoader, RefusesBadFiles) {
  const TemporaryFolder dir("settings");
  SettingsSources sources;
  sources.file = dir.path() / "absent.toml";
  EXPECT_NE(UsageError(sources).find("missing"), std::string::npos);
  for (const char* text :
       {"[ingest\n", "ingest = 3\n", "[ingest]\ndeadline_s = [1, 2]\n", "[ingest]\ndeadline_s = 2025-01-01\n",
        "top = 1\n", "[ingest]\nmin_subbands = \"twelve\"\n"}) {
    sources.file = Write(dir, "bad.toml", text);
    EXPECT_NE(UsageError(sources), "") << text;
  }
}

TEST(Settings, CarryOverAsOverrides) {
  SettingsSources sources;
  sources.overrides = {"ingest.deadline_s=0.1h", "disk.warn_used_fraction=91.3%", "http.listen=[::1]:80",
                       "paths.scratch_dir=/s=1", "image.enabled=off"};
  const Settings original = LoadSettings(sources).values;
  SettingsSources again;
  again.overrides = AsOverrides(original);
  const Settings copy = LoadSettings(again).values;
  for (const SettingInfo& info : AllSettings()) EXPECT_EQ(ToText(copy, info), ToText(original, info)) << info.key();
  EXPECT_EQ(copy.ingest.deadline_s, original.ingest.deadline_s);
  EXPECT_EQ(copy.paths.scratch_dir, "/s=1");
}

TEST(Settings, HashFollowsEverythingButPaths) {
  const Settings defaults;
  EXPECT_EQ(SettingsHash(defaults).size(), 16u);
  EXPECT_EQ(SettingsHash(defaults), SettingsHash(Settings()));
  Settings moved;
  moved.paths.scratch_dir = "/elsewhere";
  EXPECT_EQ(SettingsHash(moved), SettingsHash(defaults));
  Settings other;
  other.image.enabled = false;
  EXPECT_NE(SettingsHash(other), SettingsHash(defaults));
}

TEST(Settings, DerivesDirectoriesFromTheScratchRoot) {
  Settings settings;
  settings.paths.scratch_dir = "/stage";
  settings.paths.images_dir = "/pictures";
  const DirectoryRoots roots = Roots(settings);
  EXPECT_EQ(roots.input, "/stage/incoming");
  EXPECT_EQ(roots.output, "/stage/ms");
  EXPECT_EQ(roots.images, "/pictures");
  EXPECT_EQ(roots.tmp, "/stage/tmp");
  EXPECT_EQ(roots.staging, "/dev/shm/contimg");
  EXPECT_TRUE(Roots(Settings()).input.empty());
}

TEST(MakeDirectories, MakesTheTreeAndExplainsWhatIsWrong) {
  const TemporaryFolder dir("settings");
  Settings settings;
  EXPECT_THROW(CheckPaths(settings), Error);
  settings.paths.scratch_dir = (dir.path() / "scratch").string();
  settings.paths.state_dir = (dir.path() / "state").string();
  settings.paths.staging_dir = (dir.path() / "shm").string();
  CheckPaths(settings);
  EXPECT_TRUE(fs::is_empty(dir.path()));  // a check changes nothing
  MakeDirectories(settings);
  CheckPaths(settings);
  EXPECT_TRUE(fs::is_directory(dir.path() / "scratch/ms/science"));
  EXPECT_TRUE(fs::is_directory(dir.path() / "shm"));
  settings.paths.staging_dir = "relative";
  try {
    CheckPaths(settings);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.subject(), "CONTIMG_STAGING_DIR");
  }
  settings.paths.staging_dir = Write(dir, "file", "x").string();
  try {
    CheckPaths(settings);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
  }
}

// What is made at the root of the file system is a name mistyped; /proc holds no files, whatever it says of
// permissions.
TEST(CheckPaths, StagingMustBeAPlaceForFiles) {
  const TemporaryFolder dir("settings");
  Settings settings;
  settings.paths.scratch_dir = (dir.path() / "scratch").string();
  settings.paths.state_dir = (dir.path() / "state").string();
  for (const char* place : {"/proc", "/sys", "/nonexistent-of-contimg", "/nonexistent-of-contimg/below"}) {
    settings.paths.staging_dir = place;
    EXPECT_THROW(CheckPaths(settings), Error) << place;
  }
  settings.paths.staging_dir = (dir.path() / "not" / "yet").string();
  CheckPaths(settings);
}

TEST(SettingsReference, IsTheCommittedDocument) {
  std::ifstream file(fs::path(CONTIMG_SOURCE_DIR) / "docs" / "configuration.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), GenerateSettingsReference())
      << "docs/configuration.md is not what config/settings.def says: write it again with `contimg config reference`";
}

TEST(NearestWord, CountsSwapsAndGivesUpOnStrangers) {
  EXPECT_EQ(NearestWord("imgae", {"ingest", "image"}), "image");
  EXPECT_EQ(NearestWord("xyz", {"ingest", "image"}), "");
  EXPECT_EQ(NearestWord("x", {}), "");
}

}  // namespace
}  // namespace contimg
