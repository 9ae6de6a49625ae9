#include "image/clean/clean.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "config/error.h"
#include "tests/unit/image/test_sky.h"

namespace contimg::image {
namespace {

constexpr std::size_t kCleanSize = 96;
const std::vector<Point> kSky = {{30, 40, 1.0}, {60, 31, 0.4}, {71, 70, 0.1}, {40, 60, 0.3}};

struct Imaging {
  explicit Imaging(const std::vector<Point>& sky, double noise = 0)
      : array(kCleanSize, 400, 0.07, 5),
        psf(array.PsfImage()),
        dirty(kCleanSize * kCleanSize),
        model(kCleanSize * kCleanSize) {
    array.Add(sky, 1, {dirty.data(), {kCleanSize, kCleanSize}});
    std::mt19937 random(7);
    std::normal_distribution<float> normal(0, 1);
    for (float& value : dirty) value += static_cast<float>(noise) * normal(random);
    residual = dirty;
  }
  CleanReport operator()(const CleanSettings& settings, MajorCycle* major = nullptr) {
    TestMajorCycle exact(array, dirty);
    CleanInput input;
    input.major_cycle = major != nullptr ? major : &exact;
    input.psf = {psf.data(), {kCleanSize, kCleanSize}};
    if (!mask.empty()) input.user_mask = {mask.data(), {kCleanSize, kCleanSize}};
    return Clean(input, settings, {residual.data(), {kCleanSize, kCleanSize}},
                 {model.data(), {kCleanSize, kCleanSize}});
  }
  double FluxNear(double x, double y, double radius) const {
    double sum = 0;
    for (std::size_t j = 0; j < kCleanSize; ++j) {
      for (std::size_t i = 0; i < kCleanSize; ++i) {
        if (std::hypot(static_cast<double>(i) - x, static_cast<double>(j) - y) <= radius)
          sum += model[j * kCleanSize + i];
      }
    }
    return sum;
  }
  TestArray array;
  std::vector<float> psf, dirty, residual, model;
  std::vector<std::uint8_t> mask;
};

TEST(Clean, RecoversPointSourcesDownToAnAbsoluteThreshold) {
  Imaging run(kSky);
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 1e-3;
  const CleanReport report = run(settings);
  EXPECT_EQ(report.stop, CleanStop::kThreshold);
  // What is left of each source is at most a few times the threshold.
  EXPECT_NEAR(run.FluxNear(60, 31, 2), 0.4, 4e-3);
  EXPECT_NEAR(run.FluxNear(71, 70, 2), 0.1, 4e-3);
  EXPECT_NEAR(run.FluxNear(30, 40, 2), 1.0, 4e-3);
  EXPECT_NEAR(run.FluxNear(40, 60, 2), 0.3, 4e-3);
  EXPECT_LE(report.final_peak_jy, 1e-3);
  EXPECT_FALSE(report.cycles.empty());
}

TEST(Clean, ModelAndComponentsAgree) {
  Imaging run(kSky);
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 0.01;
  const CleanReport report = run(settings);
  std::vector<double> sum(kCleanSize * kCleanSize);
  for (const CleanComponent& c : report.components) {
    sum[static_cast<std::size_t>(c.y) * kCleanSize + static_cast<std::size_t>(c.x)] += c.flux_jy;
  }
  for (std::size_t i = 0; i < sum.size(); ++i) EXPECT_NEAR(sum[i], run.model[i], 1e-6);
}

TEST(Clean, EachMajorCycleLowersThePeakByTheMajorGain) {
  Imaging run(kSky);
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 1e-3;
  settings.major_gain = 0.5;
  const CleanReport report = run(settings);
  ASSERT_GT(report.cycles.size(), 5U);
  for (std::size_t i = 1; i < report.cycles.size(); ++i) {
    const double before = report.cycles[i - 1].peak_jy;
    EXPECT_NEAR(report.cycles[i].level_jy, std::max(0.5 * before, 1e-3), 1e-6);
    EXPECT_LT(report.cycles[i].peak_jy, before);
  }
}

TEST(Clean, AutoMaskKeepsComponentsWhereTheyStoodAtTheMaskLevel) {
  constexpr double kNoise = 2e-3;
  Imaging run(kSky, kNoise);
  CleanSettings settings;  // 5 sigma mask, 1 sigma threshold
  const CleanReport report = run(settings);
  EXPECT_EQ(report.stop, CleanStop::kThreshold);
  ASSERT_TRUE(report.cycles.back().masked);
  EXPECT_NEAR(report.final_threshold_jy, report.final_rms_jy, 0.2 * report.final_rms_jy);
  // Every component stands within two pixels of a source: 5 sigma admits no noise peak of 9216 pixels (p = 0.5 %), and
  // this seed has none.
  for (const CleanComponent& c : report.components) {
    double nearest = 1e9;
    for (const Point& p : kSky) nearest = std::min(nearest, std::hypot(p.x - c.x, p.y - c.y));
    EXPECT_LE(nearest, 3.0) << c.x << ' ' << c.y;
  }
  // The flux error of a point source is about one sigma of the noise.
  EXPECT_NEAR(run.FluxNear(60, 31, 2), 0.4, 5 * kNoise);
}

// Whatever the model: values spread evenly over ± 0.1 mJy, whose median absolute deviation is 0.05 mJy, and one peak.
class OnePeakLeft : public MajorCycle {
 public:
  explicit OnePeakLeft(double peak_jy) : peak_jy_(peak_jy) {}
  void Residual(ArrayView<const float, 2>, ArrayView<float, 2> residual) override {
    for (std::size_t i = 0; i < residual.size(); ++i) {
      residual.data()[i] = 1e-7F * (static_cast<float>(i * 7919 % 2001) - 1000);
    }
    residual(40, 30) = static_cast<float>(peak_jy_);
  }

 private:
  double peak_jy_;
};

TEST(Clean, AutomaticLevelIsReachedWithinAQuarterOfIt) {
  constexpr double kLevel = 5 * 1.4826 * 5e-5;
  CleanSettings settings;
  settings.auto_mask = 0;
  settings.auto_threshold = 5;
  settings.major_gain = 1;  // the first minor cycle goes down to the level
  settings.max_major_cycles = 3;
  const auto cycles = [&](double peak_jy) {
    OnePeakLeft left(peak_jy);
    const CleanReport report = Imaging(kSky, 2e-3)(settings, &left);
    EXPECT_EQ(report.stop, report.cycles.size() < 3 ? CleanStop::kThreshold : CleanStop::kMajorCycles);
    return report.cycles.size();
  };
  EXPECT_EQ(cycles(1.2 * kLevel), 1U);  // another major cycle for so little is not worth it
  EXPECT_EQ(cycles(1.3 * kLevel), 3U);
  // A level that the user gives in janskys is meant.
  settings.threshold_jy = kLevel * 1.1;
  EXPECT_EQ(cycles(1.2 * kLevel), 3U);
}

TEST(Clean, UserMaskBoundsComponents) {
  Imaging run(kSky);
  run.mask.assign(kCleanSize * kCleanSize, 0);
  for (std::size_t y = 25; y < 50; ++y) std::fill_n(&run.mask[y * kCleanSize + 20], 25, std::uint8_t{1});
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 0.02;
  const CleanReport report = run(settings);
  for (const CleanComponent& c : report.components) EXPECT_TRUE(c.x >= 20 && c.x < 45 && c.y >= 25 && c.y < 50);
  EXPECT_FALSE(report.components.empty());
}

TEST(Clean, StopsAtTheIterationLimit) {
  Imaging run(kSky);
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 1e-6;
  settings.max_iterations = 25;
  const CleanReport report = run(settings);
  EXPECT_EQ(report.stop, CleanStop::kIterations);
  EXPECT_EQ(report.iterations, 25U);
}

TEST(Clean, FindsNothingInNoise) {
  Imaging run({}, 1e-3);
  CleanSettings settings;
  settings.auto_mask = 6;
  const CleanReport report = run(settings);
  EXPECT_EQ(report.stop, CleanStop::kNothing);
  EXPECT_TRUE(report.components.empty());
  EXPECT_EQ(run.residual, run.dirty);
}

TEST(Clean, LocalRmsFindsAFaintSourceInTheQuietHalfFirst) {
  Imaging run({{70, 20, 0.1}});
  std::mt19937 random(9);
  std::normal_distribution<float> normal(0, 1);
  for (std::size_t y = 0; y < kCleanSize; ++y) {
    for (std::size_t x = 0; x < kCleanSize; ++x)
      run.dirty[y * kCleanSize + x] += (x < kCleanSize / 4 ? 0.06F : 0.01F) * normal(random);
  }
  run.residual = run.dirty;
  CleanSettings settings;
  settings.local_rms = true;
  settings.beam_fwhm_px = 5;
  settings.local_rms_window_beams = 7;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 0.02;
  settings.max_iterations = 1;
  const CleanReport report = run(settings);
  ASSERT_EQ(report.components.size(), 1U);
  EXPECT_NEAR(report.components[0].x, 70, 1);
  EXPECT_NEAR(report.components[0].y, 20, 1);
}

// A major cycle that returns a residual with the wrong sign of the model: every component makes it worse.
class Diverging : public MajorCycle {
 public:
  explicit Diverging(std::vector<float> dirty) : dirty_(std::move(dirty)) {}
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override {
    for (std::size_t i = 0; i < dirty_.size(); ++i) residual.data()[i] = dirty_[i] + 2 * model.data()[i];
  }

 private:
  std::vector<float> dirty_;
};

TEST(Clean, DivergenceGuardRestoresTheBestModel) {
  Imaging run(kSky);
  Diverging diverging(run.dirty);
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 1e-3;
  const CleanReport report = run(settings, &diverging);
  EXPECT_EQ(report.stop, CleanStop::kDiverged);
  EXPECT_EQ(report.cycles.size(), 2U);
  EXPECT_TRUE(report.cycles[0].undone && report.cycles[1].undone);
  EXPECT_TRUE(report.components.empty());
  EXPECT_EQ(run.residual, run.dirty);
  for (float value : run.model) EXPECT_EQ(value, 0);
}

TEST(Clean, MultiscaleModelsAnExtendedSourceWithFewComponents) {
  // A Gaussian of 8 pixels FWHM made of points.
  std::vector<Point> sky;
  double total = 0;
  for (int dy = -8; dy <= 8; ++dy) {
    for (int dx = -8; dx <= 8; ++dx) {
      sky.push_back({48.0 + dx, 48.0 + dy, std::exp(-4 * M_LN2 * (dx * dx + dy * dy) / 64.0) / 70});
      total += sky.back().flux_jy;
    }
  }
  CleanSettings settings;
  settings.auto_mask = settings.auto_threshold = 0;
  settings.threshold_jy = 0.003;
  settings.max_iterations = 5000;
  Imaging points(sky), scales(sky);
  const CleanReport with_points = points(settings);
  settings.scales_px = {0, 8};
  const CleanReport with_scales = scales(settings);
  EXPECT_EQ(with_scales.stop, CleanStop::kThreshold);
  EXPECT_LT(with_scales.iterations, with_points.iterations / 2);
  EXPECT_LE(with_scales.final_peak_jy, 0.003);
  // 0.003 Jy/beam left over a radius of 16 pixels, with a beam of 30 pixels area, is 0.08 Jy at the very most.
  EXPECT_NEAR(scales.FluxNear(48, 48, 16), total, 0.08);
}

TEST(Clean, RefusesShapesThatDiffer) {
  std::vector<float> a(16), b(25);
  CleanInput input;
  input.psf = {a.data(), {4, 4}};
  EXPECT_THROW(Clean(input, {}, {b.data(), {5, 5}}, {b.data(), {5, 5}}), Error);
}

}  // namespace
}  // namespace contimg::image
