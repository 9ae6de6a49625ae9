// archive.remotes: the same list from a TOML file, from a variable, from the command line; what is wrong is named.
#include "config/archive_remotes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/error.h"
#include "config/product_class.h"
#include "config/settings_loader.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

std::string Refusal(const std::string& text) {
  try {
    ParseArchiveRemotes(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    return error.what();
  }
  return "";
}

TEST(ArchiveRemotes, OneTargetIsAList) {
  EXPECT_THAT(ParseArchiveRemotes(""), IsEmpty());
  EXPECT_THAT(ParseArchiveRemotes(" "), IsEmpty());
  EXPECT_THAT(ParseArchiveRemotes("[]"), IsEmpty());
  const auto remotes = ParseArchiveRemotes("lake:contimg/one");
  ASSERT_THAT(remotes, SizeIs(1));
  EXPECT_EQ(remotes[0].name, "lake");
  EXPECT_EQ(remotes[0].target, "lake:contimg/one");
  EXPECT_EQ(remotes[0].timeout_s, 3600);
  EXPECT_EQ(remotes[0].retries, 5);
  EXPECT_THAT(remotes[0].classes, IsEmpty());
}

TEST(ArchiveRemotes, ComeFromAFileAsFromAVariable) {
  const TemporaryFolder folder("remotes");
  const auto file = folder / "c.toml";
  std::ofstream(file)
      << "[archive]\ncopies = 2\n[[archive.remotes]]\nname = \"near\"\ntarget = \"/data/a \\\"b\\\\c\"\n"
         "[[archive.remotes]]\ntarget = \"far:x\"\ntimeout_s = 7200.5\nretries = 0\nclasses = \"images, "
         "caltables,images,incoming,mosaics,qa\"\n";
  SettingsSources sources;
  sources.file = file;
  const LoadedSettings loaded = LoadSettings(sources);
  const auto remotes = RemotesOf(loaded.values.archive);
  ASSERT_THAT(remotes, SizeIs(2));
  EXPECT_EQ(remotes[0].name, "near");
  EXPECT_EQ(remotes[0].target, "/data/a \"b\\c");
  EXPECT_THAT(remotes[0].classes, ElementsAre("incoming", "caltables", "images", "mosaics", "qa"));
  EXPECT_EQ(remotes[1].name, "far");
  EXPECT_EQ(remotes[1].timeout_s, 7200.5);
  EXPECT_EQ(remotes[1].retries, 0);
  EXPECT_THAT(remotes[1].classes, ElementsAre("images", "caltables", "incoming", "mosaics", "qa"));
  // What `config show` prints is what a variable takes, and what a job's settings carry.
  SettingsSources again;
  again.environment = {{"CONTIMG_ARCHIVE_REMOTES", loaded.values.archive.remotes}};
  EXPECT_EQ(LoadSettings(again).values.archive.remotes, loaded.values.archive.remotes);
  EXPECT_EQ(RemotesOf(LoadSettings(again).values.archive)[0].target, "/data/a \"b\\c");
  SettingsSources carried;
  carried.overrides = AsOverrides(loaded.values);
  EXPECT_EQ(SettingsHash(LoadSettings(carried).values), SettingsHash(loaded.values));
}

TEST(ArchiveRemotes, WhatIsWrongIsNamed) {
  EXPECT_THAT(Refusal("lake"), HasSubstr("expected a target like NAME:PATH or an absolute directory, found 'lake'"));
  EXPECT_THAT(Refusal("--config=x:y"), HasSubstr("expected a target"));
  EXPECT_THAT(Refusal("/data/archive"), HasSubstr("expected a name"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", target = \"c:d\"}]"), HasSubstr("expected a list of tables like"));
  EXPECT_THAT(Refusal("[{target = \"a:b\"}]\nx = 1"), HasSubstr("expected one list"));
  EXPECT_THAT(Refusal("[\"a:b\"]"), HasSubstr("one for each remote"));
  EXPECT_THAT(Refusal("[{name = \"a\"}]"), HasSubstr("expected a target in each"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", timeout = 3}]"), HasSubstr("has no key 'timeout'"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", timeout_s = 0}]"), HasSubstr("expected timeout_s from 1"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", timeout_s = nan}]"), HasSubstr("expected timeout_s from 1"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", retries = \"5\"}]"), HasSubstr("expected a whole number for retries"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", retries = 1000}]"), HasSubstr("expected retries from 0 to 100"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", classes = \"pictures\"}]"), HasSubstr("found 'pictures'"));
  EXPECT_THAT(Refusal("[{target = \"a:b\"}, {target = \"a:b\", name = \"c\"}]"), HasSubstr("twice"));
  EXPECT_THAT(Refusal("[{target = \"a:b\"}, {target = \"a:c\"}]"), HasSubstr("expected remotes that differ"));
  EXPECT_THAT(Refusal("[{target = \"a:b\", name = \"x/y\"}]"), HasSubstr("expected a name of letters"));
  SettingsSources few;
  few.overrides = {"archive.remotes=lake:x", "archive.copies=2"};
  EXPECT_THROW(LoadSettings(few), Error);
  few.overrides = {"archive.copies=2"};
  EXPECT_NO_THROW(LoadSettings(few)) << "nothing is archived anywhere";
  few.overrides = {"archive.classes=images,movies"};
  EXPECT_THROW(LoadSettings(few), Error);
}

TEST(ProductClass, OfEveryKind) {
  DirectoryRoots roots;
  roots.output = "/s/ms";
  EXPECT_EQ(ProductClass(ProductKind::kScienceMs, "/s/ms/science/d/x.ms", roots), "science_ms");
  EXPECT_EQ(ProductClass(ProductKind::kScienceMs, "/s/ms/failed/d/x.ms", roots), "failed");
  EXPECT_EQ(ProductClass(ProductKind::kScienceMs, "/s/ms/failed2/x.ms", roots), "science_ms");
  EXPECT_EQ(ProductClass(ProductKind::kUvh5, "/s/incoming/a.hdf5", roots), "incoming");
  for (const ProductKind kind : AllProductKinds()) {
    const auto& all = AllProductClasses();
    EXPECT_NE(std::find(all.begin(), all.end(), ProductClass(kind, "/x", roots)), all.end()) << ToString(kind);
    const bool of_mosaic = kind == ProductKind::kRms || kind == ProductKind::kWeight;
    if (IsImage(kind)) {
      EXPECT_EQ(ProductClass(kind, "/x", roots), of_mosaic ? "mosaics" : "images");
    }
  }
  for (const ProductKind kind : {ProductKind::kMosaic, ProductKind::kMosaicResidual, ProductKind::kTileTable,
                                 ProductKind::kMosaicPhotometry, ProductKind::kMosaicSources}) {
    EXPECT_EQ(ProductClass(kind, "/x", roots), "mosaics") << ToString(kind);
  }
}

}  // namespace
}  // namespace contimg
