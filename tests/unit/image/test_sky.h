// A small interferometer in two dimensions for the tests of deconvolution: exact sums over a few hundred uv points.
#pragma once

#include <cmath>
#include <complex>
#include <cstddef>
#include <random>
#include <vector>

#include "config/array_view.h"
#include "image/clean/clean.h"

namespace contimg::image {

struct Point {
  double x, y, flux_jy;
};

class TestArray {
 public:
  // `n_uv` samples, Gaussian-distributed with `sigma` cycles per pixel; the PSF's FWHM is about 0.37/sigma pixels.
  TestArray(std::size_t n, std::size_t n_uv, double sigma, unsigned seed) : n_(n) {
    std::mt19937 random(seed);
    std::normal_distribution<double> normal(0, sigma);
    for (std::size_t i = 0; i < n_uv; ++i) uv_.push_back({normal(random), normal(random)});
  }

  // image += Σ flux · PSF(pixel − point), by way of the visibilities.
  void Add(const std::vector<Point>& points, double factor, ArrayView<float, 2> image) const {
    std::vector<double> sum(image.size());
    for (const auto& [u, v] : uv_) {
      double re = 0, im = 0;
      for (const Point& p : points) {
        re += p.flux_jy * std::cos(2 * M_PI * (u * p.x + v * p.y));
        im += p.flux_jy * std::sin(2 * M_PI * (u * p.x + v * p.y));
      }
      const std::complex<double> step = std::polar(1.0, -2 * M_PI * u);
      for (std::size_t y = 0; y < n_; ++y) {
        std::complex<double> value =
            std::complex<double>(re, im) * std::polar(1.0, -2 * M_PI * v * static_cast<double>(y));
        for (std::size_t x = 0; x < n_; ++x, value *= step) sum[y * n_ + x] += value.real();
      }
    }
    for (std::size_t i = 0; i < sum.size(); ++i) {
      image.data()[i] += static_cast<float>(factor * sum[i] / static_cast<double>(uv_.size()));
    }
  }

  std::vector<float> PsfImage() const {
    std::vector<float> psf(n_ * n_);
    const double centre = static_cast<double>(n_ / 2);
    Add({{centre, centre, 1.0}}, 1, {psf.data(), {n_, n_}});
    return psf;
  }

  std::size_t n() const { return n_; }

 private:
  struct Uv {
    double u, v;
  };
  std::size_t n_;
  std::vector<Uv> uv_;
};

// The exact major cycle of TestArray for a fixed dirty image.
class TestMajorCycle : public MajorCycle {
 public:
  TestMajorCycle(const TestArray& array, std::vector<float> dirty) : array_(array), dirty_(std::move(dirty)) {}
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override {
    ++calls;
    std::vector<Point> points;
    for (std::size_t y = 0; y < model.shape(0); ++y) {
      for (std::size_t x = 0; x < model.shape(1); ++x) {
        if (model(y, x) != 0) points.push_back({static_cast<double>(x), static_cast<double>(y), model(y, x)});
      }
    }
    std::copy(dirty_.begin(), dirty_.end(), residual.begin());
    array_.Add(points, -1, residual);
  }
  int calls = 0;

 private:
  const TestArray& array_;
  std::vector<float> dirty_;
};

}  // namespace contimg::image
