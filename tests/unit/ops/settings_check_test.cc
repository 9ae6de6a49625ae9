#include "ops/daemon/settings_check.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

const UtcTime kCheckedAt = UtcTime::FromIso8601("2026-03-01T12:00:00");

SettingsFindings Check(std::vector<std::string> overrides) {
  SettingsSources sources;
  overrides.push_back("calibrate.schedule=false");  // no word about catalogues
  sources.overrides = std::move(overrides);
  return CheckSettings(LoadSettings(sources), kCheckedAt);
}

std::string Written(const TemporaryFolder& folder, const std::string& name, const std::string& text) {
  std::ofstream(folder / name) << text;
  return (folder / name).string();
}

// A finals2000A table of `days` days from `first` on.
std::string Orientation(const TemporaryFolder& folder, const std::string& name, double first, int days) {
  std::string text;
  for (int i = 0; i < days; ++i) {
    text += fmt::format("{:7}{:8.2f} I {:9.6f}{:9.6f} {:9.6f}{:9.6f}  I{:10.7f}{:10.7f}\n", "", first + i, 0.1, 1e-5,
                        0.3, 1e-5, 0.02, 1e-6);
  }
  return Written(folder, name, text);
}

TEST(SettingsCheck, FindsNothingWrongWithTheDefaults) {
  const SettingsFindings found = Check({});
  EXPECT_TRUE(found.errors.empty() && found.outdated.empty() && found.warnings.empty());
}

TEST(SettingsCheck, HostsAreNamesSeparatedByCommas) {
  EXPECT_EQ(ParseHosts(" Pipeline.example.org,,b "), (std::vector<std::string>{"pipeline.example.org", "b"}));
  EXPECT_EQ(ParseHosts("*"), std::vector<std::string>{"*"});
  for (const char* wrong : {"a,b c", "http://a", "a:9110", "*.example.org"}) {
    EXPECT_EQ(Check({std::string("http.allowed_hosts=") + wrong}).errors.size(), 1u) << wrong;
  }
}

// Each of these would fail every group of a night.
TEST(SettingsCheck, RefusesWhatEveryJobWouldRefuse) {
  const TemporaryFolder folder("check");
  const std::string text = Written(folder, "text", "no table\n");
  const std::string catalogue = Written(folder, "bad.csv", "ra_deg,dec_deg,flux_jy\n10,20,1\n10,x,1\n");
  const std::string strategy = Written(folder, "bad.lua", "this is no Lua (\n");
  const struct {
    std::vector<std::string> overrides;
    const char* key;
    const char* sentence;  // a part of it
  } cases[] = {
      {{"image.size=511"}, "image.size = '511' (command line)", "expected an even number, found 511"},
      {{"image.size=65536", "image.cell_arcsec=3600"}, "image.size = '65536'", "reaches beyond the horizon"},
      {{"image.scales_px=0,eight"}, "image.scales_px = '0,eight'", "expected ascending numbers of pixels"},
      {{"image.scales_px=8,2"}, "image.scales_px = '8,2'", "expected ascending numbers of pixels"},
      {{"flag.bad_bands_mhz=1420.6-1420.2"},
       "flag.bad_bands_mhz = '1420.6-1420.2'",
       "expected bands as low-high in MHz"},
      {{"image.mask_file=/nowhere.fits"}, "image.mask_file = '/nowhere.fits'", "expected a file and there is none"},
      {{"image.mask_file=" + text}, "image.mask_file", "FITS"},
      {{"image.catalogue_file=/nowhere.csv"}, "image.catalogue_file = '/nowhere.csv'", "there is none"},
      {{"image.catalogue_file=" + catalogue}, "image.catalogue_file", "line 3"},
      {{"image.beam_file=/nowhere.fits"}, "image.beam_file = '/nowhere.fits'", "there is none"},
      {{"image.beam_file=" + text}, "image.beam_file", "FITS table"},
      {{"telescope.earth_orientation_file=/nowhere"}, "telescope.earth_orientation_file = '/nowhere'", "there is none"},
      {{"telescope.earth_orientation_file=" + text}, "telescope.earth_orientation_file", "finals2000A"},
      {{"flag.engine=aoflagger", "flag.strategy_file=/nowhere.lua"}, "flag.strategy_file", "there is none"},
      {{"calibrate.reference_antennas=24;25"}, "calibrate.reference_antennas = '24;25'", "separated by commas"},
      {{"http.listen=localhost"}, "http.listen = 'localhost'", "expected an address and port"},
  };
  for (const auto& each : cases) {
    const SettingsFindings found = Check(each.overrides);
    ASSERT_EQ(found.errors.size(), 1U) << each.key;
    EXPECT_EQ(found.errors[0].rfind(each.key, 0), 0U) << found.errors[0];
    EXPECT_NE(found.errors[0].find(each.sentence), std::string::npos) << found.errors[0];
    EXPECT_EQ(found.errors[0].find('\n'), std::string::npos);
    EXPECT_THROW(RequireWorkable(found, [](bool, const std::string&) {}), Error);
  }
  const SettingsFindings both = Check({"image.size=511", "flag.bad_bands_mhz=x"});
  EXPECT_EQ(both.errors.size(), 2U);  // all of them, not the first alone
}

TEST(SettingsCheck, AnEarthOrientationTableMustReachToday) {
  const TemporaryFolder folder("eop");
  const double today = std::floor(kCheckedAt.mjd());
  const auto check = [&](const std::string& name, double first, int days) {
    return Check({"telescope.earth_orientation_file=" + Orientation(folder, name, first, days)});
  };
  const SettingsFindings old = check("old", today - 100, 90);
  ASSERT_EQ(old.outdated.size(), 1U);
  EXPECT_NE(old.outdated[0].find("to 2026-02-18, and groups of today (2026-03-01) would fail"), std::string::npos)
      << old.outdated[0];
  EXPECT_TRUE(old.errors.empty());
  EXPECT_THROW(RequireWorkable(old, [](bool, const std::string&) {}), Error);
  EXPECT_EQ(check("soon", today - 10, 16).warnings.size(), 1U);
  const SettingsFindings good = check("good", today - 10, 200);
  EXPECT_TRUE(good.errors.empty() && good.outdated.empty() && good.warnings.empty());
}

TEST(SettingsCheck, SaysWhatHasNoEffect) {
  const TemporaryFolder folder("idle");
  const SettingsFindings found = Check({"flag.strategy_file=" + Written(folder, "a.lua", "x")});
  ASSERT_EQ(found.warnings.size(), 1U);
  EXPECT_NE(found.warnings[0].find("is not used, as it is for flag.engine = aoflagger alone"), std::string::npos);
}

TEST(SettingsCheck, BeamFilesMayStandAmongTheSitesModels) {
  const TemporaryFolder folder("beam");
  fs::create_directories(folder / "static/beam-model");
  Written(folder, "static/beam-model/dish.fits", "x");
  Settings settings;
  settings.paths.scratch_dir = folder.path().string();
  EXPECT_EQ(FindBeamFile("dish.fits", settings), (folder / "static/beam-model/dish.fits").string());
  EXPECT_EQ(FindBeamFile("other.fits", settings), "other.fits");
  EXPECT_EQ(FindBeamFile("/a/dish.fits", settings), "/a/dish.fits");
}

}  // namespace
}  // namespace contimg::ops
