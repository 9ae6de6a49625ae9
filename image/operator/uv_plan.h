// The rows of a tile in the order and orientation in which they are gridded.
//
// A row is one baseline at one integration. Its coordinates are metres over c (seconds): times the frequency they are
// wavelengths. Rows are turned into the half plane u ≤ 0 (V(−u) = V(u)*), where the cell coordinate U = −u cell N_x is
// not negative; w is what the slant frame leaves of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "image/operator/frequency_nodes.h"
#include "image/plane/image_geometry.h"
#include "ingest/visibility_block.h"

namespace contimg::image {

struct UvRow {
  std::uint32_t time = 0;
  std::uint32_t baseline = 0;
  std::uint16_t set = 0;  // of UvPlan::compression
  bool turned = false;    // the visibility is the complex conjugate of the block's
  std::size_t first_node = 0;
  double u_s = 0;  // ≤ 0
  double v_s = 0;
  double w_s = 0;  // residual
};

// Rows [begin, end): neighbours in the uv plane, gridded by one thread at a time into a grid of their own.
struct UvLeaf {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct SlantFit {
  double a = 0;
  double b = 0;
};
// Least-squares plane w = a u + b v through all cross-correlation rows; zero where it does not help or does not fit the
// image on the sky.
SlantFit FitSlant(const VisibilityBlock& block, const ImageGeometry& geometry);

struct UvPlanRequest {
  bool autocorrelations = false;
  double min_uv_lambda = 0;  // rows with no channel inside are left out
  double max_uv_lambda = 1e300;
  double interpolation_error = 1e-5;
  int threads = 1;
};

struct UvPlan {
  std::vector<UvRow> rows;
  std::vector<UvLeaf> leaves;  // their number depends on the rows alone
  FrequencyCompression compression;
  std::vector<double> frequency_hz;  // channels
  std::size_t n_nodes = 0;
  NRange n_range;
  double max_uv_s = 0;

  // Throws Error{kBadInput} when no row is left or the geometry is unusable.
  UvPlan(const VisibilityBlock& block, const ImageGeometry& geometry, const UvPlanRequest& request);
  const FrequencyNodes& Set(const UvRow& row) const { return compression.sets()[row.set]; }
};

}  // namespace contimg::image
