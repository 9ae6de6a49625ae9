#include "image/clean/restore.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace contimg::image {
namespace {

constexpr std::size_t kSide = 300;
constexpr double kCell = 3.0 / 206265.0;
const GaussianBeam kBeam{12 * kCell, 7 * kCell, 0.7};

TEST(AddBeams, EqualsTheGaussianAtEveryPixel) {
  std::vector<float> image(kSide * kSide);
  const std::vector<SkyPoint> points = {
      {100.3, 150.7, 2.0}, {104.9, 140.2, -0.5}, {-3.0, 10.0, 1.0}, {299.8, 299.9, 1.0}};
  AddBeams(points, kBeam, kCell, {image.data(), {kSide, kSide}}, 2);
  for (std::size_t y = 0; y < kSide; ++y) {
    for (std::size_t x = 0; x < kSide; ++x) {
      double expected = 0;
      for (const SkyPoint& p : points) {
        expected +=
            p.flux_jy * kBeam.Value(-(static_cast<double>(x) - p.x) * kCell, (static_cast<double>(y) - p.y) * kCell);
      }
      // Cut at 1e-6 of each of at most 2 Jy, and float32 sums.
      ASSERT_NEAR(image[y * kSide + x], expected, 2.5e-6) << x << ' ' << y;
    }
  }
}

TEST(AddBeams, DoesNotDependOnTheNumberOfThreads) {
  std::vector<SkyPoint> points;
  for (int i = 0; i < 200; ++i) points.push_back({std::fmod(37.7 * i, 300), std::fmod(91.3 * i, 300), 0.1 + 0.01 * i});
  std::vector<float> one(kSide * kSide), four(kSide * kSide);
  AddBeams(points, kBeam, kCell, {one.data(), {kSide, kSide}}, 1);
  AddBeams(points, kBeam, kCell, {four.data(), {kSide, kSide}}, 4);
  EXPECT_EQ(one, four);
}

ImageGeometry Geometry(double a, double b) {
  ImageGeometry geometry;
  geometry.nx = geometry.ny = kSide;
  geometry.cell_rad = 60 * kCell;  // a field of 15 degrees: the slant moves pixels visibly
  geometry.slant_a = a;
  geometry.slant_b = b;
  return geometry;
}

TEST(PointsOfComponents, MoveFromTheSlantToThePlainGrid) {
  const ImageGeometry slant = Geometry(0.2, -0.4), plain = Geometry(0, 0);
  const std::vector<ScaleKernel> kernels{ScaleKernel(0)};
  const auto points = PointsOfComponents({{40, 250, 0, 1.5F}}, kernels, slant, plain, 1);
  ASSERT_EQ(points.size(), 1U);
  EXPECT_FLOAT_EQ(static_cast<float>(points[0].flux_jy), 1.5F);
  // The definition: l' = l + a(n − 1), m' = m + b(n − 1).
  const double l = -(points[0].x - 150) * plain.cell_rad, m = (points[0].y - 150) * plain.cell_rad;
  const double n1 = std::sqrt(1 - l * l - m * m) - 1;
  EXPECT_NEAR(150 - (l + 0.2 * n1) / slant.cell_rad, 40, 1e-9);
  EXPECT_NEAR(150 + (m - 0.4 * n1) / slant.cell_rad, 250, 1e-9);
}

TEST(PointsOfComponents, ScalesKeepFluxAndShape) {
  const ImageGeometry plain = Geometry(0, 0);
  const std::vector<ScaleKernel> kernels{ScaleKernel(0), ScaleKernel(20)};
  const std::vector<CleanComponent> component{{150, 150, 1, 3.0F}};
  const GaussianBeam beam{10 * plain.cell_rad, 10 * plain.cell_rad, 0};
  std::vector<float> fine(kSide * kSide), coarse(kSide * kSide);
  AddBeams(PointsOfComponents(component, kernels, plain, plain, 1), beam, plain.cell_rad, {fine.data(), {kSide, kSide}},
           1);
  AddBeams(PointsOfComponents(component, kernels, plain, plain, 4), beam, plain.cell_rad,
           {coarse.data(), {kSide, kSide}}, 1);
  double sum = 0;
  const float peak = *std::max_element(fine.begin(), fine.end());
  for (std::size_t i = 0; i < fine.size(); ++i) {
    // The kernel's own spectrum at one over the lattice of 4 pixels (10 / 2.5) is below 1e-3.
    ASSERT_NEAR(fine[i], coarse[i], 1e-3 * peak);
    sum += fine[i];
  }
  const double beam_px =
      kPi / (4 * std::log(2.0)) * beam.major_rad * beam.minor_rad / (plain.cell_rad * plain.cell_rad);
  EXPECT_NEAR(sum / beam_px, 3.0, 1e-4);
}

TEST(DepositPoints, KeepsFluxAndCentroid) {
  const ImageGeometry slant = Geometry(0.2, -0.4), plain = Geometry(0, 0);
  std::vector<float> image(kSide * kSide);
  const auto points = PointsOfComponents({{40, 250, 0, 2.0F, 0.3F, -0.2F}}, {ScaleKernel(0)}, slant, plain, 1);
  EXPECT_EQ(DepositPoints(points, {image.data(), {kSide, kSide}}), 0);
  double sum = 0, x = 0, y = 0;
  for (std::size_t i = 0; i < image.size(); ++i) {
    sum += image[i];
    x += image[i] * static_cast<double>(i % kSide);
    y += image[i] * static_cast<double>(i / kSide);
  }
  EXPECT_NEAR(sum, 2, 1e-6);
  EXPECT_NEAR(x / sum, points[0].x, 1e-4);
  EXPECT_NEAR(y / sum, points[0].y, 1e-4);
  EXPECT_NEAR(DepositPoints({{-5, 20, 1.5}}, {image.data(), {kSide, kSide}}), 1.5, 1e-12);
}

TEST(DepositPoints, KeepsWholePixelsWithoutSlant) {
  const ImageGeometry plain = Geometry(0, 0);
  std::vector<float> model(kSide * kSide), image(kSide * kSide);
  std::vector<CleanComponent> components;
  for (std::size_t i = 0; i < model.size(); i += 997) {
    model[i] = static_cast<float>(i);
    components.push_back({static_cast<std::int32_t>(i % kSide), static_cast<std::int32_t>(i / kSide), 0, model[i]});
  }
  DepositPoints(PointsOfComponents(components, {ScaleKernel(0)}, plain, plain, 1), {image.data(), {kSide, kSide}});
  EXPECT_EQ(image, model);
}

}  // namespace
}  // namespace contimg::image
