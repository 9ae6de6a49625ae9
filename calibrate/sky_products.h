// Products of neighbouring cells of a tile's visibilities, the measure that lost_sky.h speaks of.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::calibrate {

// Channels are summed up to this width before neighbours are multiplied: the noise falls faster than the sky.
constexpr double kCellHz = 1.5e6;

// What one baseline of one hand says. Z: the sum of the unflagged samples of a cell, n: their number.
struct Product {
  std::complex<double> sum;  // Σ Z conj(Z') over pairs of neighbours
  double pairs = 0;          // Σ n n', the sky's weight in `sum`
  double variance = 0;       // of either part of `sum`: Σ |Z|² |Z'|² / 2
  double power = 0;          // Σ |Z|²
  double samples = 0;        // Σ n

  Product& operator+=(const Product& other) {
    sum += other.sum;
    pairs += other.pairs;
    variance += other.variance;
    power += other.power;
    samples += other.samples;
    return *this;
  }
};

using Products = std::vector<std::array<Product, 2>>;  // [baseline][hand]

// By part of the band, one to eight, each of about as many cells and of four at least: the hands (one or two) at the
// positions `hands`, in cells of `width_hz`. Neighbours are those in frequency, or those in time where these are more
// alike. A cell counts at most a few times the median power of its baseline and hand.
std::vector<Products> Multiply(const VisibilityBlock& block, const std::vector<std::size_t>& hands, double width_hz,
                               int threads);
Products Total(const std::vector<Products>& parts);

}  // namespace contimg::calibrate
