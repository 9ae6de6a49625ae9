#include "ops/cli/setting_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <map>
#include <string>
#include <vector>

#include "config/error.h"
#include "ops/cli/commands.h"

namespace contimg::ops {
namespace {

// The message of the refusal, or "" when `--option text` was taken.
std::string Refusal(const std::string& key, const std::string& text, Settings& settings) {
  CLI::App app;
  SettingOptions options;
  options.Add(&app, "--option", key, "");
  try {
    app.parse(std::vector<std::string>{text, "--option"});  // CLI11 wants them last first
    options.Apply(settings);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(SettingOptions, TakeWhatTheSettingTakes) {
  Settings settings;
  EXPECT_EQ(Refusal("image.gain", "0.2", settings), "");
  EXPECT_EQ(settings.image.gain, 0.2);
  EXPECT_EQ(Refusal("image.cell_arcsec", "0.1arcmin", settings), "");
  EXPECT_DOUBLE_EQ(settings.image.cell_arcsec, 6);
  EXPECT_EQ(Refusal("image.weight", "natural", settings), "");
  EXPECT_EQ(settings.image.weight, "natural");
}

TEST(SettingOptions, RefuseWhatTheSettingRefusesAndNameOptionRangeAndValue) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"image.gain", "5"},          {"image.gain", "nan"},       {"image.max_iterations", "-1"},
      {"image.size", "-100"},       {"image.size", "3.5"},       {"image.cell_arcsec", "0"},
      {"image.cell_arcsec", "inf"}, {"image.robust", "nan"},     {"image.major_gain", "0"},
      {"image.threads", "-2"},      {"image.weight", "heavy"},   {"image.spectral_channels", "0"},
      {"flag.threads", "1e9"},      {"calibrate.min_snr", "-5"}, {"image.threshold_jy", "5 m"}};
  for (const auto& [key, text] : cases) {
    Settings settings;
    const std::string message = Refusal(key, text, settings);
    EXPECT_THAT(message, testing::HasSubstr("--option")) << key;
    EXPECT_THAT(message, testing::HasSubstr(std::string("'") + text + "'")) << key;
    EXPECT_THAT(message, testing::HasSubstr("expected")) << key;
    for (const SettingInfo& info : AllSettings()) EXPECT_EQ(ToText(settings, info), ToText(Settings(), info));
  }
}

TEST(Between, IsAClosedRangeWithoutNan) {
  const CLI::Validator range = Between(0, 10);
  for (const char* good : {"0", "10", "2.5"}) {
    std::string text = good;
    EXPECT_EQ(range(text), "");
  }
  for (const char* bad : {"-1", "11", "nan", "inf", "x", ""}) {
    std::string text = bad;
    EXPECT_THAT(range(text), testing::HasSubstr("from 0 to 10")) << bad;
  }
}

}  // namespace
}  // namespace contimg::ops
