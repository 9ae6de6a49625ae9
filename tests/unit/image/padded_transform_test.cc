#include "image/operator/padded_transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <random>
#include <vector>

#include "config/units.h"

namespace contimg::image {
namespace {

using Complex = std::complex<double>;

TEST(GoodFftSize, IsEvenSmoothAndNotSmaller) {
  EXPECT_EQ(GoodFftSize(7200), 7200u);
  EXPECT_EQ(GoodFftSize(7), 8u);
  EXPECT_EQ(GoodFftSize(13), 16u);
  EXPECT_EQ(GoodFftSize(4801), 4860u);
}

class PaddedTransformTest : public testing::Test {
 protected:
  static constexpr TransformShape kShape{10, 12, 20, 24, 7, 2};
  // columns[u][term][v], random.
  std::vector<Complex> RandomColumns() const {
    std::mt19937 random(1);
    std::normal_distribution<double> gauss;
    std::vector<Complex> columns(kShape.n_columns * kShape.n_terms * kShape.padded_ny);
    for (Complex& c : columns) c = {gauss(random), gauss(random)};
    return columns;
  }
  static Complex Turn(std::size_t u, std::size_t v, std::size_t x, std::size_t y) {
    const double ux = static_cast<double>(u) * (static_cast<double>(x) - 5) / 20;
    const double vy = static_cast<double>(v) * (static_cast<double>(y) - 6) / 24;
    return std::polar(1.0, 2 * kPi * (ux + vy));
  }
};

TEST_F(PaddedTransformTest, ToImageIsTheSumOverTheHermitianPlane) {
  const std::vector<Complex> columns = RandomColumns();
  PaddedTransform<double> transform(kShape);
  std::vector<double> image(kShape.n_terms * kShape.nx * kShape.ny);
  transform.ToImage(
      kShape.n_terms,
      [&](std::size_t u, double* out) {
        for (std::size_t i = 0; i < kShape.n_terms * kShape.padded_ny; ++i) {
          out[2 * i] += columns[u * kShape.n_terms * kShape.padded_ny + i].real();
          out[2 * i + 1] += columns[u * kShape.n_terms * kShape.padded_ny + i].imag();
        }
      },
      [&](std::size_t y, const double* rows) {
        for (std::size_t i = 0; i < kShape.n_terms * kShape.nx; ++i) {
          image[y * kShape.n_terms * kShape.nx + i] = rows[i];
        }
      },
      2);
  for (std::size_t term = 0; term < kShape.n_terms; ++term) {
    for (std::size_t y = 0; y < kShape.ny; ++y) {
      for (std::size_t x = 0; x < kShape.nx; ++x) {
        double direct = 0;
        for (std::size_t u = 0; u < kShape.n_columns; ++u) {
          for (std::size_t v = 0; v < kShape.padded_ny; ++v) {
            const Complex c = columns[(u * kShape.n_terms + term) * kShape.padded_ny + v];
            direct += (u == 0 ? 1 : 2) * (c * Turn(u, v, x, y)).real();
          }
        }
        ASSERT_NEAR(image[(y * kShape.n_terms + term) * kShape.nx + x], direct, 1e-11);
      }
    }
  }
}

TEST_F(PaddedTransformTest, FromImageIsTheDirectSum) {
  PaddedTransform<double> transform(kShape);
  const auto pixel = [](std::size_t term, std::size_t x, std::size_t y) {
    return std::sin(1.0 + static_cast<double>(3 * term + 7 * x * x + 11 * y));
  };
  transform.FromImage(
      kShape.n_terms,
      [&](std::size_t y, double* rows) {
        for (std::size_t i = 0; i < kShape.n_terms * kShape.nx; ++i) {
          rows[i] = pixel(i / kShape.nx, i % kShape.nx, y);
        }
      },
      [&](std::size_t u, const double* columns) {
        for (std::size_t term = 0; term < kShape.n_terms; ++term) {
          for (std::size_t v = 0; v < kShape.padded_ny; ++v) {
            Complex direct = 0;
            for (std::size_t y = 0; y < kShape.ny; ++y) {
              for (std::size_t x = 0; x < kShape.nx; ++x) direct += pixel(term, x, y) * std::conj(Turn(u, v, x, y));
            }
            const double* at = columns + 2 * (term * kShape.padded_ny + v);
            EXPECT_NEAR(std::abs(Complex(at[0], at[1]) - direct), 0, 1e-11);
          }
        }
      },
      1);
}

}  // namespace
}  // namespace contimg::image
