#include "config/quality_flags.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "config/error.h"

namespace contimg {
namespace {

// The bits are in databases and in files of others: they keep their places.
TEST(QualityFlags, KeepTheirBits) {
  EXPECT_EQ(quality::kEdge.mask(), 1u);
  EXPECT_EQ(quality::kBlend.mask(), 2u);
  EXPECT_EQ(quality::kLowResponse.mask(), 4u);
  EXPECT_EQ(quality::kArtefact.mask(), 8u);
  EXPECT_EQ(quality::kBadTile.mask(), 16u);
  EXPECT_EQ(quality::kPlaceUnrefined.mask(), 32u);
  EXPECT_EQ(quality::kResolved.mask(), 64u);
  EXPECT_EQ(quality::kBeamDiffers.mask(), 256u);
  EXPECT_EQ(quality::kPartialTile.mask(), 1024u);
  EXPECT_EQ(quality::kManual.mask(), 16384u);
  EXPECT_EQ(quality::kOutlier.mask(), 65536u);
  EXPECT_EQ(quality::kSunOrMoon.mask(), 131072u);
  EXPECT_EQ(quality::kSmearing.mask(), 262144u);
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < kQualityFlags.size(); ++i) {
    EXPECT_TRUE(i == 0 || kQualityFlags[i].bit > kQualityFlags[i - 1].bit);
    names.insert(kQualityFlags[i].name);
    // What default leaves out, hard does too.
    EXPECT_TRUE(!kQualityFlags[i].in_default || kQualityFlags[i].in_hard) << kQualityFlags[i].name;
  }
  EXPECT_EQ(names.size(), kQualityFlags.size());
}

TEST(QualityFlags, AreThoseOfTheManual) {
  std::ifstream file(std::string(CONTIMG_SOURCE_DIR) + "/docs/formats/light-curves.md");
  std::stringstream text;
  text << file.rdbuf();
  std::string rows;
  for (const QualityFlag& flag : kQualityFlags) {
    rows += "| " + std::to_string(flag.bit) + " | " + std::string(flag.name) + " |" +
            (flag.in_default ? " default, hard |"
             : flag.in_hard  ? " hard |"
                             : " |") +
            "\n";
  }
  EXPECT_NE(text.str().find("| bit | name | left out by |\n|---|---|---|\n" + rows + "\n"), std::string::npos) << rows;
}

TEST(QualityFlags, MasksAreWordsNamesOrNumbers) {
  EXPECT_EQ(ParseQualityMask("none"), 0u);
  EXPECT_EQ(ParseQualityMask("default"), kDefaultQualityMask);
  EXPECT_EQ(kDefaultQualityMask, 1u | 4u | 16u | 4096u | 8192u | 16384u);
  EXPECT_EQ(ParseQualityMask("hard") & kDefaultQualityMask, kDefaultQualityMask);
  EXPECT_NE(ParseQualityMask("hard") & quality::kOutlier.mask(), 0u);
  EXPECT_EQ(ParseQualityMask("hard") & quality::kResolved.mask(), 0u);
  EXPECT_EQ(ParseQualityMask("hardest"), 0xffffffffu);
  EXPECT_EQ(ParseQualityMask("edge,outlier"), 1u | 65536u);
  EXPECT_EQ(ParseQualityMask("65537"), 65537u);
  for (const char* wrong : {"", "edge,", "Edge", "-1", "4294967296", "1.5", "edge blend"}) {
    try {
      ParseQualityMask(wrong);
      ADD_FAILURE() << wrong;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kUsage) << wrong;
    }
  }
  EXPECT_EQ(QualityFlagNames(0), "");
  EXPECT_EQ(QualityFlagNames(65537), "edge,outlier");
  EXPECT_EQ(QualityFlagNames(1u << 30 | 2u), "blend,bit 30");
}

}  // namespace
}  // namespace contimg
