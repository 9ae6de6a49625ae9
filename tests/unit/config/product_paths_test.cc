#include "config/product_paths.h"

#include <gtest/gtest.h>

#include <string>

#include "config/error.h"

namespace contimg {
namespace {

using Kind = ProductKind;
const char* const kStamp = "2025-10-13T13:28:03";

ProductPaths Paths() {
  return ProductPaths(
      {"/stage", "/data/state", "/stage/incoming", "/stage/ms", "/stage/images", "/stage/tmp", "/dev/shm/contimg"});
}

TEST(ProductPaths, MakesEveryNameOfTheTree) {
  const ProductPaths p = Paths();
  const struct {
    std::filesystem::path made;
    std::string expected;
  } cases[] = {
      {p.Incoming(kStamp, 7), "/stage/incoming/2025-10-13T13:28:03_sb07.hdf5"},
      {p.ScienceMs(kStamp), "/stage/ms/science/2025-10-13/2025-10-13T13:28:03.ms"},
      {p.CalibratorMs(kStamp, CalInterval::k24Hours), "/stage/ms/calibrators/2025-10-13/2025-10-13T13:28:03_24h.ms"},
      {p.CalibratorMs(kStamp, CalInterval::k1Hour), "/stage/ms/calibrators/2025-10-13/2025-10-13T13:28:03_1h.ms"},
      {p.CalTable(kStamp, CalInterval::k24Hours, CalKind::kDelay),
       "/stage/ms/calibrators/2025-10-13/2025-10-13T13:28:03_24h.kcal"},
      {p.CalTable(kStamp, CalInterval::k24Hours, CalKind::kBandpass),
       "/stage/ms/calibrators/2025-10-13/2025-10-13T13:28:03_24h.bpcal"},
      {p.CalTable(kStamp, CalInterval::k1Hour, CalKind::kGain),
       "/stage/ms/calibrators/2025-10-13/2025-10-13T13:28:03_1h.gpcal"},
      {p.FailedMs(kStamp), "/stage/ms/failed/2025-10-13/2025-10-13T13:28:03.ms"},
      {p.FailedLog(kStamp), "/stage/ms/failed/2025-10-13/2025-10-13T13:28:03.log"},
      {p.Image(kStamp, Kind::kPbcor), "/stage/images/single/2025-10-13/2025-10-13T13:28:03.image.pbcor.fits"},
      {p.Image(kStamp, Kind::kPsf, ImageFormat::kCasa), "/stage/images/single/2025-10-13/2025-10-13T13:28:03.psf"},
      {p.Image(kStamp, Kind::kBand, ImageFormat::kFitsCompressed, 1),
       "/stage/images/single/2025-10-13/2025-10-13T13:28:03.band01.image.fits.fz"},
      {p.Image(kStamp, Kind::kAlphaError), "/stage/images/single/2025-10-13/2025-10-13T13:28:03.alpha.error.fits"},
      {p.Mosaic(kStamp, "2025-10-13T14:28:03", 16.05, ImageFormat::kCasa),
       "/stage/images/mosaics/2025-10-13T13:28:03_2025-10-13T14:28:03_+16.1.image"},
      {p.Mosaic(kStamp, "2025-10-13T14:28:03", -5),
       "/stage/images/mosaics/2025-10-13T13:28:03_2025-10-13T14:28:03_-05.0.image.fits"},
      {p.Mosaic(kStamp, kStamp, -0.01),
       "/stage/images/mosaics/2025-10-13T13:28:03_2025-10-13T13:28:03_+00.0.image.fits"},
      {p.QaPicture(kStamp), "/stage/images/qa/2025-10-13/2025-10-13T13:28:03.qa.png"},
      {p.QaMetrics(kStamp), "/stage/images/qa/2025-10-13/2025-10-13T13:28:03.metrics.json"},
      {p.Database(StateDatabase::kCalRegistry), "/data/state/cal_registry.sqlite3"},
      {p.Static("catalogs"), "/stage/static/catalogs"},
      {p.Archive("ms"), "/stage/archive/ms"},
  };
  for (const auto& c : cases) EXPECT_EQ(c.made.string(), c.expected);
}

TEST(ProductPaths, RefusesWrongArguments) {
  const ProductPaths p = Paths();
  EXPECT_THROW(p.ScienceMs("2025-10-13 13:28:03"), Error);
  EXPECT_THROW(p.ScienceMs("../../etc/2025-10-13"), Error);
  EXPECT_THROW(p.ScienceMs("2025-13-13T13:28:03"), Error);
  EXPECT_THROW(p.Incoming(kStamp, 100), Error);
  EXPECT_THROW(p.CalTable(kStamp, CalInterval::k1Hour, CalKind::kBandpass), Error);
  EXPECT_THROW(p.Mosaic("2025-10-13T14:28:03", kStamp, 16), Error);
  try {
    ProductPaths({}).ScienceMs(kStamp);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
    EXPECT_EQ(error.subject(), "CONTIMG_OUTPUT_DIR");
  }
}

TEST(ProductPaths, ParsesWhatItMakes) {
  const ProductPaths p = Paths();
  for (const ImageFormat format : {ImageFormat::kFits, ImageFormat::kFitsCompressed, ImageFormat::kCasa}) {
    for (const Kind kind : AllProductKinds()) {
      if (!IsImage(kind)) continue;
      const int band = kind == Kind::kBand ? 7 : 0;
      const auto name = ParseProductName(p.Image(kStamp, kind, format, band));
      ASSERT_TRUE(name) << ToString(kind);
      EXPECT_EQ(name->kind, kind);
      EXPECT_EQ(name->band, band);
      EXPECT_EQ(name->format, format);
      EXPECT_EQ(name->timestamp, kStamp);
    }
    const auto mosaic = ParseProductName(p.Mosaic(kStamp, "2025-10-13T14:28:03", -16.4, format));
    ASSERT_TRUE(mosaic);
    EXPECT_EQ(mosaic->kind, Kind::kMosaic);
    EXPECT_EQ(mosaic->end, "2025-10-13T14:28:03");
    EXPECT_DOUBLE_EQ(mosaic->dec_deg, -16.4);
    EXPECT_EQ(mosaic->format, format);
    for (const auto& [suffix, kind] : {std::pair{Kind::kResidual, Kind::kMosaicResidual},
                                       {Kind::kRms, Kind::kRms},
                                       {Kind::kWeight, Kind::kWeight}}) {
      const auto of = ParseProductName(p.MosaicPrefix(kStamp, "2025-10-13T14:28:03", 16.1).string() + "." +
                                       ProductSuffix(suffix, format));
      ASSERT_TRUE(of) << ToString(kind);
      EXPECT_EQ(of->kind, kind);
      EXPECT_TRUE(of->of_mosaic());
      EXPECT_EQ(of->format, format);
    }
  }
  for (const auto& [suffix, kind] : {std::pair{Kind::kQaPicture, Kind::kMosaicPicture},
                                     {Kind::kQaMetrics, Kind::kMosaicMetrics},
                                     {Kind::kTileTable, Kind::kTileTable},
                                     {Kind::kPhotometry, Kind::kMosaicPhotometry},
                                     {Kind::kSources, Kind::kMosaicSources}}) {
    const auto of =
        ParseProductName(p.MosaicPrefix(kStamp, "2025-10-13T14:28:03", 16.1).string() + "." + ProductSuffix(suffix));
    ASSERT_TRUE(of) << ToString(kind);
    EXPECT_EQ(of->kind, kind);
    EXPECT_EQ(of->end, "2025-10-13T14:28:03");
    EXPECT_DOUBLE_EQ(of->dec_deg, 16.1);
  }
  for (const CalKind kind : {CalKind::kDelay, CalKind::kBandpass, CalKind::kGain}) {
    const auto table = ParseProductName(p.CalTable(kStamp, CalInterval::k24Hours, kind));
    ASSERT_TRUE(table);
    EXPECT_EQ(table->kind, Kind::kCalTable);
    EXPECT_EQ(table->cal_kind, kind);
    EXPECT_EQ(table->interval, CalInterval::k24Hours);
  }
  const auto hourly = ParseProductName(p.CalibratorMs(kStamp, CalInterval::k1Hour));
  ASSERT_TRUE(hourly);
  EXPECT_EQ(hourly->kind, Kind::kCalibratorMs);
  EXPECT_EQ(hourly->interval, CalInterval::k1Hour);
  EXPECT_EQ(ParseProductName(p.ScienceMs(kStamp))->kind, Kind::kScienceMs);
  EXPECT_EQ(ParseProductName(p.FailedLog(kStamp))->kind, Kind::kFailedLog);
  EXPECT_EQ(ParseProductName(p.QaPicture(kStamp))->kind, Kind::kQaPicture);
  EXPECT_EQ(ParseProductName(p.QaMetrics(kStamp))->kind, Kind::kQaMetrics);
  for (const Kind kind : {Kind::kPhotometry, Kind::kSources}) {
    EXPECT_EQ(ParseProductName(p.ImagePrefix(kStamp).string() + "." + ProductSuffix(kind))->kind, kind);
  }
}

TEST(ProductPaths, NamesOfMosaicsAreReadBack) {
  const std::string name = MosaicName(kStamp, "2025-10-13T14:30:46", -0.04);
  EXPECT_EQ(name, std::string(kStamp) + "_2025-10-13T14:30:46_+00.0");
  const auto span = ParseMosaicName(name);
  ASSERT_TRUE(span);
  EXPECT_EQ(span->start, kStamp);
  EXPECT_EQ(span->end, "2025-10-13T14:30:46");
  EXPECT_EQ(span->dec_deg, 0);
  for (const char* text : {"", "2025-10-13T13:28:03", "2025-10-13T13:28:03_2025-10-13T14:30:46",
                           "2025-10-13T14:30:46_2025-10-13T13:28:03_+16.1", "2025-10-13T13:28:03_24h",
                           "2025-10-13T13:28:03_2025-10-13T14:30:46_+16.12", "2025-10-13T13:28:03.image"}) {
    EXPECT_FALSE(ParseMosaicName(text)) << text;
  }
}

TEST(ProductKind, WordsAreReadBack) {
  for (const Kind kind : AllProductKinds()) EXPECT_EQ(ParseProductKind(ToString(kind)), kind) << ToString(kind);
  EXPECT_EQ(ToString(Kind::kPbcor), "image.pbcor");
  EXPECT_FALSE(FindProductKind("image_other"));
  EXPECT_THROW(ParseProductKind("images"), Error);
  EXPECT_FALSE(IsImage(Kind::kMosaic));
  EXPECT_TRUE(HasPixels(Kind::kMosaic) && HasPixels(Kind::kMosaicResidual) && HasPixels(Kind::kWeight));
  EXPECT_FALSE(HasPixels(Kind::kMosaicSources));
  EXPECT_EQ(ProductSuffix(Kind::kWeight), "weight.fits");
  EXPECT_EQ(ProductSuffix(Kind::kTileTable), "tiles.fits");
  EXPECT_THROW(ProductSuffix(Kind::kScienceMs), Error);
  EXPECT_THROW(ProductSuffix(Kind::kBand, ImageFormat::kFits, 100), Error);
}

TEST(ProductPaths, RejectsForeignProductNames) {
  for (const char* name : {"",
                           ".",
                           "2025-10-13T13:28:03",
                           "2025-10-13T13:28:03.",
                           "2025-10-13T13:28:03_",
                           "2025-10-13T13:28:03.ms.bak",
                           "2025-10-13T13:28:03.msx",
                           "2025-10-13T25:28:03.ms",
                           "2025-02-29T13:28:03.ms",
                           "2025-10-13T13:28:03_1h.bpcal",
                           "2025-10-13T13:28:03_1h.kcal",
                           "2025-10-13T13:28:03_2h.gpcal",
                           "2025-10-13T13:28:03_24h.image",
                           "x2025-10-13T13:28:03.ms",
                           "2025-10-13T13:28:03.image.pbcor.fits.fits",
                           "2025-10-13T13:28:03.IMAGE",
                           "concat.ms",
                           "stuff/sb00.ms",
                           "2025-10-13T13:28:03/sb0.ms",
                           "2025-10-13T13:28:03/sb000.ms",
                           "2025-10-13T13:28:03_2025-10-13T14:28:03_16.1.image",
                           "2025-10-13T13:28:03_2025-10-13T14:28:03_+91.0.image",
                           "2025-10-13T13:28:03_2025-10-13T14:28:03_-00.0.image",
                           "2025-10-13T14:28:03_2025-10-13T13:28:03_+16.1.image",
                           "2025-10-13T13:28:03.band1.image.fits",
                           "2025-10-13T13:28:03.band.image.fits",
                           "2025-10-13T13:28:03.image.fz",
                           "2025-10-13T13:28:03.uvh5",
                           ".2025-10-13T13:28:03.ms.part-12",
                           ".hidden.ms"}) {
    EXPECT_FALSE(ParseProductName(name)) << name;
  }
}

TEST(IncomingName, AcceptsBothSpellingsAndTheUnfinishedForm) {
  const struct {
    const char* file;
    int subband;
    bool incomplete;
  } good[] = {
      {"2025-10-13T13:28:03_sb00.hdf5", 0, false},           {"/a/b/2025-10-13T13:28:03_sb15.hdf5", 15, false},
      {"2025-10-13_13_28_03_sb07.hdf5", 7, false},           {"2025-10-13T13:28:03_sb03_incomplete.hdf5", 3, true},
      {"2025-10-13_13_28_03_sb03_incomplete.hdf5", 3, true},
  };
  for (const auto& c : good) {
    const auto name = ParseIncomingName(c.file);
    ASSERT_TRUE(name) << c.file;
    EXPECT_EQ(name->timestamp, kStamp) << c.file;
    EXPECT_EQ(name->subband, c.subband) << c.file;
    EXPECT_EQ(name->incomplete, c.incomplete) << c.file;
  }
}

TEST(IncomingName, RejectsEverythingElse) {
  for (const char* name :
       {"", "x.hdf5", "2025-10-13T13:28:03.hdf5", "2025-10-13T13:28:03_sb0.hdf5", "2025-10-13T13:28:03_sb000.hdf5",
        "2025-10-13T13:28:03_sbxx.hdf5", "2025-10-13T13:28:03_SB00.hdf5", "2025-10-13T13:28:03_sb00.hdf5.part",
        ".2025-10-13T13:28:03_sb00.hdf5.a8Xk2", ".2025-10-13T13:28:03_sb00.hdf5", "2025-10-13T13:28:60_sb00.hdf5",
        "2025-10-13T24:28:03_sb00.hdf5", "2025-02-30T13:28:03_sb00.hdf5", "2025-10-13T13_28_03_sb00.hdf5",
        "2025-10-13 13:28:03_sb00.hdf5", "2025-10-13T13:28:03_sb00_incomplete_incomplete.hdf5",
        "2025-10-13T13:28:03Z_sb00.hdf5", "2025-10-13T13:28:03_sb-1.hdf5", "2025-10-13T13:28:03_sb00.h5"}) {
    EXPECT_FALSE(ParseIncomingName(name)) << name;
  }
}

TEST(ProductPaths, ListsOnlyConfiguredDirectories) {
  DirectoryRoots roots;
  roots.state = "/s";
  for (const auto& path : ProductPaths(roots).StandingDirectories()) EXPECT_EQ(path.string().rfind("/s", 0), 0u);
  EXPECT_GT(Paths().StandingDirectories().size(), 15u);
  roots.state.clear();
  roots.tmp = "/t";
  EXPECT_EQ(ProductPaths(roots).StandingDirectories(), std::vector<std::filesystem::path>{"/t/staging"});
}

}  // namespace
}  // namespace contimg
