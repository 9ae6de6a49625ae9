#include "calibrate/catalogue.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

class ReadCatalogueTest : public ::testing::Test {
 protected:
  fs::path Write(const std::string& text) {
    const fs::path path = folder_ / "catalogue.txt";
    std::ofstream(path) << text;
    return path;
  }
  TemporaryFolder folder_{"catalogue"};
};

// A line in the layout of nvss.dat (CDS VIII/65), put together by its byte positions.
std::string NvssLine(const std::string& name, const std::string& ra, const std::string& dec, const std::string& flux,
                     const std::string& axes) {
  std::string line(158, ' ');
  const auto put = [&](std::size_t byte, const std::string& text) { line.replace(byte - 1, text.size(), text); };
  put(1, "C1330P30");
  put(26, name);
  put(41, ra);
  put(53, dec);
  put(76, flux);
  put(85, "    0.5");
  put(93, axes);
  return line + "\n";
}

TEST_F(ReadCatalogueTest, ReadsThePublishedNvssFile) {
  const fs::path path = Write(NvssLine("133108+303033", "13 31 08.29", "+30 30 33.0", " 14902.7", "< 12.0  <  9.0") +
                              NvssLine("000012-001030", "00 00 12.50", "-00 10 30.0", "    55.3", "  36.1  < 15.2"));
  const CatalogueFile file = ReadCatalogue(path, CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 2U);
  EXPECT_EQ(file.sources[0].name, "133108+303033");
  EXPECT_NEAR(file.sources[0].ra_deg, 202.784542, 1e-6);
  EXPECT_NEAR(file.sources[0].dec_deg, 30.509167, 1e-6);
  EXPECT_NEAR(file.sources[0].flux_jy, 14.9027, 1e-9);
  EXPECT_NEAR(file.sources[0].flux_error_jy, 0.0005, 1e-9);
  EXPECT_EQ(file.sources[0].major_arcsec, 0);          // an upper limit is no size
  EXPECT_NEAR(file.sources[1].dec_deg, -0.175, 1e-9);  // the sign of −00
  EXPECT_NEAR(file.sources[1].major_arcsec, 36.1, 1e-9);
  EXPECT_EQ(file.sources[1].minor_arcsec, 0);
}

TEST_F(ReadCatalogueTest, TheOneResolvedAxisIsTheMajorOne) {
  std::string line = NvssLine("000012-001030", "00 00 12.50", "-00 10 30.0", "    55.3", "< 36.1   25.2");
  line.replace(106, 5, " 70.0");
  const CatalogueFile file = ReadCatalogue(Write(line), CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 1U);
  EXPECT_NEAR(file.sources[0].major_arcsec, 25.2, 1e-9);
  EXPECT_EQ(file.sources[0].minor_arcsec, 0);
  EXPECT_NEAR(file.sources[0].position_angle_deg, -20, 1e-9);
}

TEST_F(ReadCatalogueTest, ReadsAnExportOfVizier) {
  EXPECT_THROW(ReadCatalogue(Write("no columns here\n"), CatalogueFormat::kNvss), Error);
  const CatalogueFile file =
      ReadCatalogue(Write("# VizieR\n_RAJ2000\t_DEJ2000\tNVSS\tS1.4\te_S1.4\ndeg\tdeg\t \tmJy\tmJy\n"
                          "-----\t-----\t---\t---\t---\n202.7845\t30.5091\t133108+303033\t14902.7\t447.1\n"),
                    CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 1U);
  EXPECT_NEAR(file.sources[0].flux_jy, 14.9027, 1e-9);
  EXPECT_NEAR(file.sources[0].flux_error_jy, 0.4471, 1e-9);
}

// What NVSSlist prints: a greeting, titles on each page, and two lines a source.
TEST_F(ReadCatalogueTest, ReadsAListingOfNvssList) {
  const std::string title =
      "   RA[2000]  Dec[2000] Dist(\")  Flux  Major Minor    PA   Res P_Flux P_ang   Field    X_pix  Y_pix\n"
      " h  m    s    d  m   s   ori      mJy   \"     \"     deg        mJy   deg\n";
  const std::string one =
      "13 31  8.28 +30 30 32.9  0.51 14902.7  < 9.8  <8.4            1421.10  33.0   C1332P32  559.61  161.20\n"
      "       0.03         0.6    45   447.1                              0.42   0.3\n";
  const std::string two =
      "00 00 12.50 -00 10 30.0   1200    55.3   36.1 < 15.2  -41.2  p*   0.31  12.0   C0000P00  512.00  471.00\n"
      "       0.10         1.2   -45     2.1    3.0           9.0   21   0.30  26.0\n";
  const CatalogueFile file = ReadCatalogue(Write("NRAO/VLA Sky Survey (NVSS) catalog search, ver 2.18\n\n" + title +
                                                 one + "\n" + title + two + "Found         2 entries\n"),
                                           CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 2U);
  EXPECT_EQ(file.sources[0].name, "133108+303032");
  EXPECT_NEAR(file.sources[0].ra_deg, 202.7845, 1e-6);
  EXPECT_NEAR(file.sources[0].dec_deg, 30 + 30.0 / 60 + 32.9 / 3600, 1e-9);
  EXPECT_NEAR(file.sources[0].flux_jy, 14.9027, 1e-9);
  EXPECT_NEAR(file.sources[0].flux_error_jy, 0.4471, 1e-9);
  EXPECT_EQ(file.sources[0].major_arcsec, 0);
  EXPECT_EQ(file.sources[0].minor_arcsec, 0);
  EXPECT_EQ(file.sources[0].position_angle_deg, 0);
  EXPECT_NEAR(file.sources[1].dec_deg, -0.175, 1e-9);
  EXPECT_NEAR(file.sources[1].flux_jy, 0.0553, 1e-9);
  EXPECT_NEAR(file.sources[1].flux_error_jy, 0.0021, 1e-9);
  EXPECT_NEAR(file.sources[1].major_arcsec, 36.1, 1e-9);
  EXPECT_EQ(file.sources[1].minor_arcsec, 0);
  EXPECT_NEAR(file.sources[1].position_angle_deg, -41.2, 1e-9);
}

TEST_F(ReadCatalogueTest, ReadsAListingOfTheWholeCatalogue) {
  const CatalogueFile file = ReadCatalogue(
      Write("   RA[2000]   Dec[2000]   Flux  Major Minor    PA   Res P_Flux P_ang   Field    X_pix    Y_pix\n"
            "13 31  8.28 +30 30 32.9 14902.7  < 9.8  < 8.4            1421.10  33.0   C1332P32  559.61  161.20\n"
            "       0.03         0.6   447.1                              0.42   0.3\n"),
      CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 1U);
  EXPECT_NEAR(file.sources[0].flux_jy, 14.9027, 1e-9);
  EXPECT_NEAR(file.sources[0].flux_error_jy, 0.4471, 1e-9);
}

TEST_F(ReadCatalogueTest, RefusesListingsOfWhatIsNoCatalogue) {
  const auto refusal = [&](const std::string& title, const std::string& line) {
    try {
      ReadCatalogue(Write("greeting, with a comma\n" + title + line), CatalogueFormat::kNvss);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string rest = "  Major Minor    PA   Res P_Flux P_ang   Field    X_pix  Y_pix\n";
  const std::string line = "13 31  8.28 +30 30 32.9 14902.7  < 9.8  < 8.4  1421.10  33.0   C1332P32  559.61  161.20\n";
  EXPECT_NE(refusal("   RA[2000]   Dec[2000]   Peak" + rest, line).find("deconvolved"), std::string::npos);
  EXPECT_NE(refusal("   RA[1950]   Dec[1950]   Flux" + rest, line).find("J2000"), std::string::npos);
  EXPECT_NE(refusal("   RA[2000]   Dec[2000]   Flux" + rest, "13 31  8.28 +30 30 32.9 14902.7\n").find("line 3"),
            std::string::npos);
  EXPECT_NE(refusal("   RA[2000]   Dec[2000]   Flux" + rest, "Found         0 entries\n").find("no sources"),
            std::string::npos);
}

TEST_F(ReadCatalogueTest, ReadsCsvAndMakesNames) {
  const fs::path path =
      Write("# comment\nra_deg,dec_deg,flux_jy,alpha\n202.784533,30.509155,14.9,-0.5\n10,-5.5,0.5,\n10,-5.5,0.4,\n");
  const CatalogueFile file = ReadCatalogue(path, CatalogueFormat::kCsv);
  ASSERT_EQ(file.sources.size(), 3U);
  EXPECT_EQ(file.sources[0].name, "J133108+303032");
  EXPECT_EQ(file.sources[0].spectral_index, -0.5);
  EXPECT_FALSE(file.sources[1].spectral_index.has_value());
  EXPECT_EQ(file.sources[2].name, file.sources[1].name + "b");  // names stay unique
}

TEST_F(ReadCatalogueTest, ReadsTheVlaCalibrators) {
  const fs::path path = Write(
      "name,ra_deg,dec_deg,pc,alt,P_q,P_jy,L_q,L_jy,C_q,C_jy,X_q,X_jy\n"
      "0137+331,24.42,33.16,A,,,,,16.5,,5.48,,\n0001+192,0.286,19.24,A,JVAS,,,,,,,,\n");
  const CatalogueFile file = ReadCatalogue(path, CatalogueFormat::kVlaCalibrators);
  ASSERT_EQ(file.sources.size(), 2U);
  EXPECT_NEAR(*file.sources[0].spectral_index, std::log(5.48 / 16.5) / std::log(4.86 / 1.4), 1e-12);
  EXPECT_EQ(file.sources[1].flux_jy, 0);  // unknown: kept by name, refused as a model
  EXPECT_EQ(file.without_flux, 1U);
}

TEST_F(ReadCatalogueTest, NamesTheLineThatDoesNotFit) {
  for (const char* text : {"ra_deg,dec_deg,flux_jy\n1,2,3\nx,2,3\n", "ra_deg,dec_deg,flux_jy\n1,2,3\n1,95,3\n",
                           "ra_deg,dec_deg,flux_jy\n1,2,3\n1,2,-3\n"}) {
    try {
      ReadCatalogue(Write(text), CatalogueFormat::kCsv);
      FAIL() << text;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_NE(std::string(error.what()).find("line 3"), std::string::npos) << error.what();
    }
  }
  EXPECT_THROW(ReadCatalogue(Write("ra_deg,dec_deg,flux_jy\n"), CatalogueFormat::kCsv), Error);
  EXPECT_THROW(ReadCatalogue(Write("a,b\n1,2\n"), CatalogueFormat::kCsv), Error);
  EXPECT_THROW(ReadCatalogue("/nonexistent", CatalogueFormat::kCsv), Error);
}

TEST_F(ReadCatalogueTest, ReadsTheFilesPeopleHave) {
  const char* from_environment = std::getenv("CONTIMG_TEST_DATA");
  const fs::path data = from_environment != nullptr ? fs::path(from_environment)
                                                    : fs::path(CONTIMG_SOURCE_DIR) / ".." / "shared" / "data";
  if (!fs::exists(data)) GTEST_SKIP() << "the test data are not at " << data;
  EXPECT_EQ(ReadCatalogue(data / "nvss_gt50mjy.csv", CatalogueFormat::kCsv).sources.size(), 125309U);
  const CatalogueFile vla = ReadCatalogue(data / "vla_calibrators.csv", CatalogueFormat::kVlaCalibrators);
  EXPECT_GT(vla.sources.size(), 1800U);
}

}  // namespace
}  // namespace contimg::calibrate
