#include "image/plane/beam_fit.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <complex>
#include <string>
#include <vector>

#include "config/error.h"

namespace contimg::image {
namespace {

constexpr std::size_t kPsfSize = 200;
constexpr double kCell = 3.0 / 206265.0;

// Rows north, columns west.
std::vector<float> Gaussian(double major_px, double minor_px, double angle_deg) {
  const double pa = angle_deg * kPi / 180;
  std::vector<float> image(kPsfSize * kPsfSize);
  for (std::size_t y = 0; y < kPsfSize; ++y) {
    for (std::size_t x = 0; x < kPsfSize; ++x) {
      const double east = -(static_cast<double>(x) - kPsfSize / 2.0), north = static_cast<double>(y) - kPsfSize / 2.0;
      const double along = east * std::sin(pa) + north * std::cos(pa),
                   across = east * std::cos(pa) - north * std::sin(pa);
      image[y * kPsfSize + x] = static_cast<float>(std::exp(
          -4 * std::log(2.0) * (along * along / (major_px * major_px) + across * across / (minor_px * minor_px))));
    }
  }
  return image;
}

class FitBeamOfGaussian : public testing::TestWithParam<std::array<double, 3>> {};

TEST_P(FitBeamOfGaussian, IsExact) {
  const auto [major, minor, angle] = GetParam();
  const std::vector<float> psf = Gaussian(major, minor, angle);
  const GaussianBeam beam = FitBeam({psf.data(), {kPsfSize, kPsfSize}}, kCell);
  // float32 pixels: 6e-8 relative, over at least a dozen of them.
  EXPECT_NEAR(beam.major_rad / kCell, major, 1e-5 * major);
  EXPECT_NEAR(beam.minor_rad / kCell, minor, 1e-5 * minor);
  if (major > minor) {
    const double difference = std::remainder(beam.angle_rad - angle * kPi / 180, kPi);
    EXPECT_NEAR(difference, 0, 1e-4);
    EXPECT_GE(beam.angle_rad, 0);
    EXPECT_LT(beam.angle_rad, kPi);
  }
}

INSTANTIATE_TEST_SUITE_P(Shapes, FitBeamOfGaussian,
                         testing::Values(std::array{10.0, 6.0, 30.0}, std::array{10.0, 6.0, 120.0},
                                         std::array{17.0, 4.0, 0.0}, std::array{5.0, 5.0, 0.0},
                                         std::array{60.0, 20.0, 91.0}, std::array{3.0, 2.2, 45.0},
                                         std::array{2.0, 2.0, 0.0}, std::array{2.4, 2.0, 20.0}));

TEST(FitBeam, IgnoresSidelobesOutsideTheCore) {
  std::vector<float> psf = Gaussian(8, 5, 20);
  for (std::size_t y = 20; y < 60; ++y) std::fill_n(&psf[y * kPsfSize + 20], 40, 0.6F);
  const GaussianBeam beam = FitBeam({psf.data(), {kPsfSize, kPsfSize}}, kCell);
  EXPECT_NEAR(beam.major_rad / kCell, 8, 1e-3);
}

struct Antenna {
  double east, north;  // longest baseline about 1
};

// The PSF of a snapshot in five channels, each baseline with the same weight, by a direct sum.
std::vector<float> PsfOf(const std::vector<Antenna>& array, double turns_per_pixel) {
  using Complex = std::complex<double>;
  std::vector<Complex> column(kPsfSize), row(kPsfSize);
  std::vector<double> sum(kPsfSize * kPsfSize);
  for (std::size_t i = 0; i < array.size(); ++i) {
    for (std::size_t k = i + 1; k < array.size(); ++k) {
      for (const double f : {0.94, 0.97, 1.0, 1.03, 1.06}) {
        const double scale = 2 * kPi * f * turns_per_pixel;
        const double u = scale * (array[i].east - array[k].east), v = scale * (array[i].north - array[k].north);
        for (std::size_t p = 0; p < kPsfSize; ++p) {
          const double at = static_cast<double>(p) - kPsfSize / 2.0;
          column[p] = std::polar(1.0, -u * at);
          row[p] = std::polar(1.0, v * at);
        }
        for (std::size_t y = 0; y < kPsfSize; ++y) {
          for (std::size_t x = 0; x < kPsfSize; ++x) sum[y * kPsfSize + x] += (row[y] * column[x]).real();
        }
      }
    }
  }
  std::vector<float> psf;
  for (const double value : sum) psf.push_back(static_cast<float>(value / sum[kPsfSize / 2 * kPsfSize + kPsfSize / 2]));
  return psf;
}

// The full width at half power along a direction (east of north), in pixels.
double HalfPowerWidth(const std::vector<float>& psf, double angle_rad) {
  const auto value = [&](double r) {
    const double x = kPsfSize / 2.0 - r * std::sin(angle_rad), y = kPsfSize / 2.0 + r * std::cos(angle_rad);
    const auto ix = static_cast<std::size_t>(x), iy = static_cast<std::size_t>(y);
    const double fx = x - static_cast<double>(ix), fy = y - static_cast<double>(iy);
    const float* p = &psf[iy * kPsfSize + ix];
    return (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (p[kPsfSize] * (1 - fx) + p[kPsfSize + 1] * fx) * fy;
  };
  double r = 0;
  while (value(r) > 0.5 && r < kPsfSize / 2.0 - 2) r += 0.01;
  return 2 * r;
}

// Three arms, the antennas along them wider and wider apart.
std::vector<Antenna> Wye(int per_arm, double north_scale) {
  std::vector<Antenna> array;
  for (const double angle : {-5.0, 115.0, -125.0}) {
    for (int k = 1; k <= per_arm; ++k) {
      const double r = 0.6 * std::pow(static_cast<double>(k) / per_arm, 1.7);
      array.push_back({r * std::sin(angle * kPi / 180), north_scale * r * std::cos(angle * kPi / 180)});
    }
  }
  return array;
}

// A spiral by the golden angle; a power above 0.5 makes the middle denser.
std::vector<Antenna> Spiral(int antennas, double power, double east_scale) {
  std::vector<Antenna> array;
  for (int k = 1; k <= antennas; ++k) {
    const double r = 0.5 * std::pow(static_cast<double>(k) / antennas, power), angle = 2.399963 * k;
    array.push_back({east_scale * r * std::sin(angle), r * std::cos(angle)});
  }
  return array;
}

// Antennas close together and a few far away: the narrow lobe of the far ones stands on the wide one of the others.
std::vector<Antenna> CoreAndOutriggers(int core, double size, int far, double east_scale) {
  std::vector<Antenna> array = Spiral(core, 0.5, 1);
  for (Antenna& a : array) a = {size * a.east, size * a.north};
  for (const Antenna& a : Spiral(far, 0.5, east_scale)) array.push_back(a);
  return array;
}

void ExpectHalfPowerWidths(const std::string& name, const std::vector<float>& psf, double tolerance) {
  const GaussianBeam beam = FitBeam({psf.data(), {kPsfSize, kPsfSize}}, kCell);
  const double major = HalfPowerWidth(psf, beam.angle_rad), minor = HalfPowerWidth(psf, beam.angle_rad + kPi / 2);
  EXPECT_NEAR(beam.major_rad / kCell, major, tolerance * major) << name;
  EXPECT_NEAR(beam.minor_rad / kCell, minor, tolerance * minor) << name;
}

TEST(FitBeam, OfASparseArrayHasTheWidthAtHalfPower) {
  const struct {
    std::string name;
    std::vector<Antenna> array;
    double turns_per_pixel;  // of the longest baseline: 0.1 is about five pixels to a beam
  } cases[] = {{"wye of 9", Wye(3, 1), 0.08},
               {"wye of 9, few pixels", Wye(3, 1), 0.2},
               {"wye of 9, foreshortened", Wye(3, 0.35), 0.08},
               {"wye of 18", Wye(6, 1), 0.06},
               {"spiral of 10", Spiral(10, 1.0, 1), 0.08},
               {"spiral of 12, dense", Spiral(12, 1.5, 1), 0.08},
               {"spiral of 12, dense, elongated", Spiral(12, 1.5, 0.3), 0.08},
               {"spiral of 20", Spiral(20, 0.7, 1), 0.1},
               {"core of 9, 6 outriggers", CoreAndOutriggers(9, 0.1, 6, 1), 0.08},
               {"core of 10, 5 outriggers", CoreAndOutriggers(10, 0.12, 5, 0.5), 0.08},
               {"core of 12, 6 outriggers", CoreAndOutriggers(12, 0.15, 6, 0.5), 0.08}};
  for (const auto& c : cases) ExpectHalfPowerWidths(c.name, PsfOf(c.array, c.turns_per_pixel), 0.03);
}

// The lobe of the outriggers is no Gaussian where it stands on a shoulder; at 0.35 the fit is 10 % to 74 % too wide.
TEST(FitBeam, OfALobeWithAShoulderIsTheLobeAboveIt) {
  ExpectHalfPowerWidths("core of 12", PsfOf(CoreAndOutriggers(12, 0.1, 5, 0.5), 0.08), 0.07);
  ExpectHalfPowerWidths("core of 14", PsfOf(CoreAndOutriggers(14, 0.15, 5, 0.5), 0.08), 0.07);
  ExpectHalfPowerWidths("core of 14, small", PsfOf(CoreAndOutriggers(14, 0.12, 6, 0.5), 0.08), 0.07);
}

TEST(FitBeam, LeavesOutSideLobesThatHangOnToTheMainLobe) {
  std::vector<float> psf = Gaussian(8, 6, 0);
  const std::vector<float> wide = Gaussian(40, 5, 90);
  for (std::size_t i = 0; i < psf.size(); ++i) psf[i] = 0.7F * psf[i] + 0.3F * wide[i];
  ExpectHalfPowerWidths("two Gaussians", psf, 0.06);
}

TEST(FitBeam, RefusesAPsfWithoutAPeak) {
  std::vector<float> flat(kPsfSize * kPsfSize, 1.0F), spike(kPsfSize * kPsfSize, 0.0F),
      nan(kPsfSize * kPsfSize, std::nanf(""));
  spike[kPsfSize * kPsfSize / 2 + kPsfSize / 2] = 1;
  for (const auto* psf : {&flat, &spike, &nan}) {
    try {
      FitBeam({psf->data(), {kPsfSize, kPsfSize}}, kCell);
      FAIL() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kNumeric);
    }
  }
}

TEST(GaussianBeam, AreaIsTheIntegralOfTheValue) {
  const GaussianBeam beam{10 * kCell, 6 * kCell, 0.5};
  double sum = 0;
  for (int y = -40; y <= 40; ++y) {
    for (int x = -40; x <= 40; ++x) sum += beam.Value(x * kCell, y * kCell);
  }
  EXPECT_NEAR(kPi / (4 * std::log(2.0)) * 10 * 6, sum, 1e-6 * sum);
}

}  // namespace
}  // namespace contimg::image
