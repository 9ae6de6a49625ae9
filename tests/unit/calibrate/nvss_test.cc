#include "calibrate/nvss.h"

#include <fitsio.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <fstream>

#include "config/error.h"

namespace contimg::calibrate {
namespace {

namespace fs = std::filesystem;

constexpr double kPi = 3.14159265358979323846;

// Widths of the convolution of two Gaussians at the same angle.
NvssFit Seen(double dec_deg, double peak_jy, double beam_major, double beam_minor, double major, double minor,
             double angle_deg) {
  NvssFit fit;
  fit.ra_deg = 150;
  fit.dec_deg = dec_deg;
  fit.peak_jy = peak_jy;
  fit.major_arcsec = std::hypot(beam_major, major);
  fit.minor_arcsec = std::hypot(beam_minor, minor);
  fit.position_angle_deg = angle_deg;
  fit.rms_jy = 0.45e-3;
  return fit;
}

TEST(CorrectNvssFit, APointKeepsItsPeakButForTheBiases) {
  // At +5 degrees a source of 100 mJy has a response of 45.2 by 45.1 arcsec; the fit is as good as that.
  const CatalogueSource source = CorrectNvssFit(Seen(5, 0.1, 45.3, 45.1, 0, 0, 20));
  const double peak = 0.1 + 0.2e-3 - 0.45e-3 * 0.45e-3 / 0.1;  // CLEAN bias of D configuration, noise bias
  EXPECT_NEAR(source.flux_jy, peak, 0.005 * peak);
  EXPECT_EQ(source.major_arcsec, 0);
  EXPECT_EQ(source.minor_arcsec, 0);
  EXPECT_NEAR((source.ra_deg - 150) * 3600 * std::cos(5 * kPi / 180), -0.025, 1e-6);
  EXPECT_NEAR((source.dec_deg - 5) * 3600, 0.113, 1e-6);
  EXPECT_NEAR(source.flux_error_jy, 0.03 * peak, 0.0005);  // 3 % of the flux scale, noise of half a mJy
}

TEST(CorrectNvssFit, ConfigurationsDifferInTheirCleanBias) {
  for (const auto& [dec, bias] : {std::pair{-10.0, 0.2e-3}, {-10.2, 0.3e-3}, {77.9, 0.2e-3}, {78.1, 0.3e-3}}) {
    NvssFit fit = Seen(dec, 2, 45, 45, 0, 0, 0);
    fit.rms_jy = 1e-6;
    EXPECT_NEAR(CorrectNvssFit(fit).flux_jy - 2, bias, 3e-4 * 2 * 0.01 + 2e-5) << dec;
  }
}

TEST(CorrectNvssFit, AnExtendedSourceHasItsSizeAndFluxDensityBack) {
  // Bright: the response is the clean beam to 0.03 arcsec.
  const double peak = 3;
  const NvssFit fit = Seen(30, peak, 45, 45, 60, 40, -35);
  const CatalogueSource source = CorrectNvssFit(fit);
  EXPECT_NEAR(source.major_arcsec, 60, 0.1);
  EXPECT_NEAR(source.minor_arcsec, 40, 0.1);
  EXPECT_NEAR(source.position_angle_deg, -35, 0.2);
  // A Gaussian's flux density is its peak times its area in beams.
  EXPECT_NEAR(source.flux_jy, (peak + 0.2e-3) * fit.major_arcsec * fit.minor_arcsec / (45 * 45), 2e-3 * source.flux_jy);
  EXPECT_GT(source.flux_error_jy, 0.03 * source.flux_jy);
  EXPECT_LT(source.flux_error_jy, 0.05 * source.flux_jy);
}

TEST(CorrectNvssFit, OneResolvedAxisIsTheMajorOne) {
  const CatalogueSource source = CorrectNvssFit(Seen(30, 3, 45, 45, 50, 0, 70));
  EXPECT_NEAR(source.major_arcsec, 50, 0.1);
  EXPECT_EQ(source.minor_arcsec, 0);
  EXPECT_NEAR(source.position_angle_deg, 70, 0.2);
  EXPECT_NEAR(source.flux_jy, 3.0002 * std::hypot(45, 50) / 45, 0.005);
}

TEST(CorrectNvssFit, FaintSourcesHaveTheWiderDirtyBeam) {
  // 10 mJy at -20 degrees: 47.24 by 45.71 arcsec, north-south (the formula evaluated by itself). A fit of that size is
  // a point, and one that is wider by less than the noise allows as well.
  const CatalogueSource point = CorrectNvssFit(Seen(-20, 0.010, 47.24, 45.71, 0, 0, 0));
  EXPECT_NEAR(point.flux_jy, 0.0103 - 0.45e-3 * 0.45e-3 / 0.010, 2e-6);
  NvssFit wider = Seen(-20, 0.010, 47.24, 45.71, 0, 0, 0);
  wider.major_arcsec += 2;
  const CatalogueSource still = CorrectNvssFit(wider);
  EXPECT_EQ(still.major_arcsec, 0);
  EXPECT_NEAR(still.flux_jy / point.flux_jy, std::sqrt(1 + 2 / 47.24), 1e-3);  // half of the excess is noise's
}

TEST(CorrectNvssFit, APeakThatNoiseMakesAllHasNoFluxDensity) {
  NvssFit fit = Seen(30, 0.4e-3, 45, 45, 0, 0, 0);
  fit.rms_jy = 0.6e-3;
  const CatalogueSource source = CorrectNvssFit(fit);
  EXPECT_EQ(source.flux_jy, 0);
  EXPECT_EQ(source.flux_error_jy, 0);
  fit.rms_jy = 0.1e-3;
  EXPECT_NEAR(CorrectNvssFit(fit).flux_jy, 0.4e-3 + 0.2e-3 - 0.025e-3, 0.02e-3);
}

TEST(CorrectNvssFit, RightAscensionStaysOnTheCircle) {
  NvssFit fit = Seen(30, 0.5, 45, 45, 0, 0, 0);
  fit.ra_deg = 1e-7;
  EXPECT_NEAR(CorrectNvssFit(fit).ra_deg, 360, 1e-5);
}

// A file as NRAO publishes it: an empty image and an AIPS VL table, the columns in their order.
class NvssTableTest : public ::testing::Test {
 protected:
  struct Row {
    double ra, dec;
    float peak, major, minor, angle, rms;
  };
  fs::path Write(const std::vector<Row>& rows, const std::string& without = "") {
    const fs::path path = fs::temp_directory_path() / ("contimg-nvss-" + std::to_string(::getpid()) + ".fit");
    fs::remove(path);
    paths_.push_back(path);
    std::vector<std::string> names{"RA(2000)", "DEC(2000)", "PEAK INT", "MAJOR AX", "MINOR AX", "POSANGLE",
                                   "Q CENTER", "U CENTER",  "P FLUX",   "I RMS",    "POL RMS",  "RES RMS",
                                   "RES PEAK", "RES FLUX",  "CENTER X", "CENTER Y", "FIELD",    "JD PROCESSED"};
    std::vector<char*> types, forms;
    std::string degree = "1D", single = "1E", text = "8A", whole = "1J";
    for (std::string& name : names) {
      if (name == without) name = "SOMETHING";
      types.push_back(name.data());
      forms.push_back((types.size() <= 2 ? degree : name == "FIELD" ? text : name[0] == 'J' ? whole : single).data());
    }
    int status = 0;
    fitsfile* file = nullptr;
    fits_create_diskfile(&file, path.c_str(), &status);
    fits_create_img(file, 8, 0, nullptr, &status);
    fits_create_tbl(file, BINARY_TBL, static_cast<LONGLONG>(rows.size()), static_cast<int>(names.size()), types.data(),
                    forms.data(), nullptr, "AIPS VL", &status);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      Row row = rows[i];
      const auto at = static_cast<LONGLONG>(i) + 1;
      fits_write_col(file, TDOUBLE, 1, at, 1, 1, &row.ra, &status);
      fits_write_col(file, TDOUBLE, 2, at, 1, 1, &row.dec, &status);
      fits_write_col(file, TFLOAT, 3, at, 1, 1, &row.peak, &status);
      fits_write_col(file, TFLOAT, 4, at, 1, 1, &row.major, &status);
      fits_write_col(file, TFLOAT, 5, at, 1, 1, &row.minor, &status);
      fits_write_col(file, TFLOAT, 6, at, 1, 1, &row.angle, &status);
      fits_write_col(file, TFLOAT, 10, at, 1, 1, &row.rms, &status);
    }
    fits_close_file(file, &status);
    EXPECT_EQ(status, 0);
    return path;
  }
  void TearDown() override {
    for (const fs::path& path : paths_) fs::remove(path);
  }
  static std::string Refusal(const fs::path& path) {
    try {
      ReadCatalogue(path, CatalogueFormat::kNvss);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      return error.what();
    }
    return "";
  }
  std::vector<fs::path> paths_;
};

TEST_F(NvssTableTest, ReadsThePublishedTable) {
  const float beam = 45.0F / 3600;
  const CatalogueFile file = ReadCatalogue(Write({{202.784542, 30.509167, 14.9F, beam, beam, 0, 0.45e-3F},
                                                  {0.052083, -0.175, 0.0553F, 1.2F * beam, beam, 30, 0.45e-3F}}),
                                           CatalogueFormat::kNvss);
  ASSERT_EQ(file.sources.size(), 2U);
  EXPECT_EQ(file.sources[0].name, "133108+303033");  // as nvss.dat calls it
  EXPECT_NEAR(file.sources[0].ra_deg, 202.784542 - 0.025 / 3600 / std::cos(30.509167 * kPi / 180), 1e-8);
  EXPECT_NEAR(file.sources[0].dec_deg, 30.509167 + 0.113 / 3600, 1e-8);
  EXPECT_NEAR(file.sources[0].flux_jy, 14.9002, 0.002);
  EXPECT_NEAR(file.sources[1].major_arcsec, 45 * std::sqrt(1.44 - 1), 2);
  EXPECT_EQ(file.sources[1].minor_arcsec, 0);
}

TEST_F(NvssTableTest, NamesWhatIsMissing) {
  const float beam = 45.0F / 3600;
  const Row good{10, 10, 0.1F, beam, beam, 0, 1e-3F};
  EXPECT_NE(Refusal(Write({good}, "I RMS")).find("'I RMS'"), std::string::npos);
  Row bad = good;
  bad.peak = std::nanf("");
  EXPECT_NE(Refusal(Write({good, bad})).find("row 2"), std::string::npos);
  bad = good;
  bad.rms = 0;
  EXPECT_NE(Refusal(Write({good, good, bad})).find("row 3"), std::string::npos);
  EXPECT_NE(Refusal(Write({})).find("no sources"), std::string::npos);
  const fs::path path = Write({good, good, good});
  fs::resize_file(path, 2880 * 3 - 100);  // the table's data are cut off
  EXPECT_FALSE(Refusal(path).empty());
  std::ofstream(path) << "SIMPLE  =                    T";
  EXPECT_FALSE(Refusal(path).empty());
  try {
    ReadCatalogue(Write({good}), CatalogueFormat::kCsv);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("is no text"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace contimg::calibrate
