#include "image/quality/image_quality.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <random>

#include "config/settings.h"
#include "image/plane/plane.h"
#include "image/plane/sky_coordinates.h"

namespace contimg::image {
namespace {

// Noise of 1 mJy with a source of `peak` Jy in the middle of the image, and the residual without it.
class ImageQualityTest : public testing::Test {
 protected:
  static constexpr std::size_t kSize = 256;
  ImageQualityTest() : image_(kSize, kSize), residual_(kSize, kSize), pb_(kSize, kSize), smear_(kSize, kSize) {
    header_.geometry.nx = header_.geometry.ny = kSize;
    header_.geometry.cell_rad = Angle::Arcsec(3).rad();
    header_.centre = {1, 0.5};
    header_.beam = GaussianBeam{Angle::Arcsec(15).rad(), Angle::Arcsec(12).rad(), 0};
    std::mt19937 random(3);
    std::normal_distribution<float> noise(0, 1e-3F);
    for (std::size_t i = 0; i < residual_.pixels.size(); ++i) {
      image_.pixels[i] = residual_.pixels[i] = noise(random);
      pb_.pixels[i] = smear_.pixels[i] = 1;
    }
    image_.view()(kSize / 2, kSize / 2) += 0.5F;
    input_.image = image_.view();
    input_.residual = residual_.view();
    input_.pb = pb_.view();
    input_.smear = smear_.view();
    input_.header = &header_;
    input_.thermal_jy = 1e-3;
    input_.thermal_from = "channels";
    input_.clean_stop = CleanStop::kThreshold;
    input_.outlier_power = 1;
    input_.psf = PsfShape{0.02, 0.2};
  }
  ImageQuality Assess() const { return AssessImage(input_, settings_, 2); }
  static const QualityGate* Find(const ImageQuality& quality, const std::string& name) {
    for (const QualityGate& gate : quality.gates) {
      if (gate.name == name) return &gate;
    }
    return nullptr;
  }

  Plane image_, residual_, pb_, smear_;
  FitsHeader header_;
  QualityInput input_;
  ImageSettings settings_;
};

TEST_F(ImageQualityTest, FiguresOfNoiseAndOneSource) {
  const ImageQuality q = Assess();
  EXPECT_NEAR(q.rms_jy, 1e-3, 2e-5);
  EXPECT_NEAR(q.rms_over_thermal, 1, 0.02);
  EXPECT_NEAR(q.peak_jy, 0.5, 4e-3);
  EXPECT_NEAR(q.dynamic_range, 500, 20);
  EXPECT_NEAR(q.residual.skewness, 0, 0.05);
  EXPECT_NEAR(q.residual.kurtosis, 0, 0.1);
  EXPECT_EQ(q.grade, "A");
  for (const char* name : {"rms_over_thermal", "local_rms_ratio", "beam_axes", "bowl", "flagged_fraction"}) {
    ASSERT_NE(Find(q, name), nullptr) << name;
    EXPECT_EQ(Find(q, name)->grade, "A") << name;
  }
  EXPECT_EQ(Find(q, "kurtosis"), nullptr);  // off by default
  const nlohmann::json json = ToJson(q);
  EXPECT_EQ(json["local_rms_map_jy"].size(), 16U);
  EXPECT_NEAR(json["local_rms_map_jy"][8][8], 1e-3, 2e-4);
}

TEST_F(ImageQualityTest, EachGateGradesByHowFarItIsMissed) {
  const struct {
    double limit;
    const char* grade;
  } cases[] = {{1.1, "A"}, {0.8, "B"}, {0.5, "C"}, {0.2, "F"}};  // the ratio is 1
  for (const auto& c : cases) {
    settings_.gate_rms_ratio = c.limit;
    const ImageQuality q = Assess();
    EXPECT_EQ(Find(q, "rms_over_thermal")->grade, c.grade) << c.limit;
    EXPECT_EQ(Find(q, "rms_over_thermal")->passed, c.limit > 1);
    EXPECT_EQ(q.grade, c.grade);  // the worst gate decides
    EXPECT_EQ(q.reasons.empty(), c.limit > 1);
  }
}

TEST_F(ImageQualityTest, GatesSayInWordsWhatTheyAskFor) {
  settings_.gate_rms_ratio = 0.5;
  settings_.gate_peak_jy = 2;
  const ImageQuality q = Assess();
  ASSERT_EQ(q.reasons.size(), 2U);  // the worst first
  EXPECT_THAT(q.reasons[0], testing::MatchesRegex("F: peak 0.[45][0-9]* Jy/beam .≥ 2.: the image is fainter .*"));
  EXPECT_THAT(q.reasons[1], testing::MatchesRegex("C: rms / expected noise [01.0-9]+ .≤ 0.5.: more than noise .*"));
  for (const QualityGate& gate : q.gates) {
    EXPECT_FALSE(gate.title.empty() || gate.explanation.empty()) << gate.name;
  }
  const nlohmann::json json = ToJson(q);
  EXPECT_EQ(json["reasons"].size(), 2U);
  const nlohmann::json& gate = json["gates"][2];
  EXPECT_EQ(gate["name"], "rms_over_thermal");
  EXPECT_EQ(gate["bound"], "at_most");
  EXPECT_EQ(gate["unit"], "");
  EXPECT_EQ(gate["grade"], "C");
}

TEST_F(ImageQualityTest, EveryGateCanFail) {
  settings_.gate_rms_ratio = 0.1;
  settings_.gate_local_rms = 0.5;
  settings_.gate_dynamic_range = 1e6;
  settings_.gate_peak_jy = 10;
  settings_.gate_beam_axes = 0.1;
  settings_.gate_beam_pixels = 100;
  settings_.gate_primary_beam = 0.9;
  std::fill(pb_.pixels.begin(), pb_.pixels.end(), 0.01F);
  settings_.gate_negative = 1e-6;
  image_.view()(20, 20) = -0.1F;
  settings_.gate_flagged = 0.01;
  input_.flagged_fraction = 0.2;
  input_.outlier_power = 1e6;
  input_.psf = PsfShape{0.4, 0.9};
  input_.dirty_rms_jy = 2e-3;
  input_.clean_stop = CleanStop::kDiverged;
  settings_.gate_residual_peak = 0.01;
  settings_.gate_bowl = 0.01;
  settings_.gate_skewness = 0.01;
  settings_.gate_kurtosis = 0.01;
  residual_.view()(10, 10) = 0.5F;  // left by CLEAN
  for (std::size_t y = 120; y < 136; ++y) {
    for (std::size_t x = 120; x < 136; ++x) residual_.view()(y, x) -= 2e-3F;  // a bowl about the source
  }
  ImageQuality q = Assess();
  EXPECT_EQ(q.gates.size(), 20U);
  for (const QualityGate& gate : q.gates) {
    if (gate.name == "signal" || gate.name == "noise_known") continue;
    EXPECT_FALSE(gate.passed) << gate.name << " " << gate.value;
  }
  EXPECT_EQ(q.grade, "F");
  // A dirty image is not judged for what CLEAN would have left.
  input_.clean_stop.reset();
  EXPECT_EQ(Assess().gates.size(), 14U);
}

TEST_F(ImageQualityTest, UnknownNoiseIsNoPass) {
  input_.thermal_jy = 0;
  input_.thermal_from.clear();
  const ImageQuality q = Assess();
  EXPECT_EQ(q.grade, "C");
  EXPECT_EQ(Find(q, "noise_known")->grade, "C");
  EXPECT_EQ(Find(q, "rms_over_thermal"), nullptr);
}

TEST_F(ImageQualityTest, UnknownPowerOfTheVisibilitiesIsNoPass) {
  input_.outlier_power.reset();
  EXPECT_EQ(Find(Assess(), "outliers_known")->grade, "C");
  EXPECT_EQ(Assess().grade, "C");
  input_.outlier_power = std::nan("");
  EXPECT_EQ(Find(Assess(), "outlier_power")->grade, "F");
  settings_.gate_outlier_power = 0;  // not asked for
  EXPECT_EQ(Assess().grade, "A");
  input_.outlier_power.reset();
  EXPECT_EQ(Assess().grade, "A");
}

TEST_F(ImageQualityTest, CleanThatDivergedOrRanOutOfCyclesIsAtMostC) {
  for (const CleanStop stop : {CleanStop::kDiverged, CleanStop::kMajorCycles}) {
    input_.clean_stop = stop;
    EXPECT_EQ(Assess().grade, "C");
  }
  for (const CleanStop stop : {CleanStop::kIterations, CleanStop::kNothing}) {
    input_.clean_stop = stop;
    EXPECT_EQ(Assess().grade, "A");
  }
}

TEST_F(ImageQualityTest, AnEmptyFieldIsNoFault) {
  image_.view()(kSize / 2, kSize / 2) -= 0.5F;
  input_.dirty_rms_jy = 1e-3;
  input_.clean_stop = CleanStop::kNothing;
  const ImageQuality q = Assess();
  EXPECT_EQ(q.grade, "A") << (q.reasons.empty() ? "" : q.reasons[0]);
  EXPECT_FALSE(q.sidelobes_left);
}

TEST_F(ImageQualityTest, NothingButSidelobesIsF) {
  for (float& value : residual_.pixels) value *= 3;
  for (std::size_t i = 0; i < image_.pixels.size(); ++i) image_.pixels[i] = residual_.pixels[i];
  input_.dirty_rms_jy = 3.2e-3;
  const ImageQuality q = Assess();
  ASSERT_TRUE(q.sidelobes_left);
  EXPECT_NEAR(*q.sidelobes_left, 8.0 / 9.24, 0.02);
  EXPECT_EQ(Find(q, "sidelobes_left")->grade, "F");
  EXPECT_EQ(q.grade, "F");
}

TEST_F(ImageQualityTest, CatalogueGates) {
  std::vector<CatalogueSource> sources;
  for (int i = 0; i < 8; ++i) {
    const std::size_t x = 40 + 25 * static_cast<std::size_t>(i), y = 60;
    if (i < 4) image_.view()(y, x) += 0.12F;  // twenty per cent too bright, half of them missing
    const double l = -(static_cast<double>(x) - kSize / 2.0) * header_.geometry.cell_rad;
    const double m = (static_cast<double>(y) - kSize / 2.0) * header_.geometry.cell_rad;
    sources.push_back({DirectionOfCosines(header_.centre, l, m), 0.1});
  }
  input_.catalogue = &sources;
  settings_.gate_matches = 3;
  settings_.gate_matched = 0.9;
  settings_.gate_flux_ratio = 0.1;
  settings_.gate_flux_scatter = 1e-4;
  settings_.gate_offset_beams = 1e-4;
  const ImageQuality q = Assess();
  ASSERT_TRUE(q.catalogue);
  EXPECT_EQ(q.catalogue->expected, 8U);
  EXPECT_EQ(q.catalogue->matches.size(), 4U);
  for (const char* name : {"matched", "flux_ratio_error", "flux_scatter", "offset_beams"}) {
    ASSERT_NE(Find(q, name), nullptr) << name;
    EXPECT_FALSE(Find(q, name)->passed) << name << " " << Find(q, name)->value;
  }
  EXPECT_NEAR(Find(q, "flux_ratio_error")->value, 0.2, 0.05);
  EXPECT_NEAR(Find(q, "matched")->value, 0.5, 1e-12);
}

TEST_F(ImageQualityTest, WithoutSignalTheGradeIsF) {
  std::fill(image_.pixels.begin(), image_.pixels.end(), 0.0F);
  std::fill(residual_.pixels.begin(), residual_.pixels.end(), 0.0F);
  EXPECT_EQ(Assess().grade, "F");
}

TEST(FindPeak, IsExactForATurnedBeamOfFewPixels) {
  // Full widths of 6 and 2.7 pixels, turned by 35 degrees, its peak between pixels.
  constexpr std::size_t kSide = 32;
  const double x0 = 15.31, y0 = 16.77, turn = 35 * kPi / 180;
  std::vector<float> pixels(kSide * kSide);
  for (std::size_t y = 0; y < kSide; ++y) {
    for (std::size_t x = 0; x < kSide; ++x) {
      const double dx = static_cast<double>(x) - x0, dy = static_cast<double>(y) - y0;
      const double along = dx * std::cos(turn) + dy * std::sin(turn),
                   across = dy * std::cos(turn) - dx * std::sin(turn);
      pixels[y * kSide + x] =
          static_cast<float>(1.7 * std::exp(-4 * std::log(2.0) * (along * along / 36 + across * across / (2.7 * 2.7))));
    }
  }
  const CatalogueMatch peak = FindPeak({pixels.data(), {kSide, kSide}}, {15, 16}, 3);
  EXPECT_NEAR(peak.measured_jy, 1.7, 1e-5);
  EXPECT_NEAR(peak.x, x0, 1e-4);
  EXPECT_NEAR(peak.y, y0, 1e-4);
}

}  // namespace
}  // namespace contimg::image
