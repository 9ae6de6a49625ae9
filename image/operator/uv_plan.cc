#include "image/operator/uv_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "config/error.h"
#include "config/units.h"

namespace contimg::image {
namespace {

struct Extent {
  double l = 0;  // largest |l'|
  double m = 0;
};

Extent ImageExtent(const ImageGeometry& geometry) {
  constexpr double kMargin = 1.01;  // of the field within which the interpolation in frequency is exact
  return {kMargin * (std::fabs(geometry.shift_l) + 0.5 * static_cast<double>(geometry.nx) * geometry.cell_rad),
          kMargin * (std::fabs(geometry.shift_m) + 0.5 * static_cast<double>(geometry.ny) * geometry.cell_rad)};
}

// Orders rows [begin, end) so that neighbours in the list are neighbours in the uv plane, and cuts leaves of at most
// `leaf_nodes` nodes: halves of equal node count across the longer side, down to a few rows.
class Partitioner {
 public:
  Partitioner(std::vector<UvRow>& rows, const FrequencyCompression& compression, std::size_t leaf_nodes)
      : rows_(rows), compression_(compression), leaf_nodes_(leaf_nodes) {}

  void Split(std::size_t begin, std::size_t end, bool inside_leaf, std::vector<UvLeaf>& leaves) {
    constexpr std::size_t kSmallest = 8;
    if (!inside_leaf && (Nodes(begin, end) <= leaf_nodes_ || end - begin <= kSmallest)) {
      leaves.push_back({begin, end});
      inside_leaf = true;
    }
    if (end - begin <= kSmallest) return;
    double low[2] = {1e300, 1e300};
    double high[2] = {-1e300, -1e300};
    for (std::size_t i = begin; i < end; ++i) {
      const double at[2] = {rows_[i].u_s, rows_[i].v_s};
      for (int axis = 0; axis < 2; ++axis) {
        low[axis] = std::min(low[axis], at[axis]);
        high[axis] = std::max(high[axis], at[axis]);
      }
    }
    const bool by_u = high[0] - low[0] > high[1] - low[1];
    const auto key = [&](const UvRow& row) { return by_u ? row.u_s : row.v_s; };
    const std::size_t middle = begin + (end - begin) / 2;
    std::nth_element(rows_.begin() + static_cast<std::ptrdiff_t>(begin),
                     rows_.begin() + static_cast<std::ptrdiff_t>(middle),
                     rows_.begin() + static_cast<std::ptrdiff_t>(end), [&](const UvRow& x, const UvRow& y) {
                       if (key(x) != key(y)) return key(x) < key(y);
                       return x.baseline != y.baseline ? x.baseline < y.baseline : x.time < y.time;
                     });
    Split(begin, middle, inside_leaf, leaves);
    Split(middle, end, inside_leaf, leaves);
  }

 private:
  std::size_t Nodes(std::size_t begin, std::size_t end) const {
    std::size_t n = 0;
    for (std::size_t i = begin; i < end; ++i) n += compression_.sets()[rows_[i].set].size();
    return n;
  }

  std::vector<UvRow>& rows_;
  const FrequencyCompression& compression_;
  std::size_t leaf_nodes_;
};

std::vector<UvRow> SelectRows(const VisibilityBlock& block, const ImageGeometry& geometry,
                              const UvPlanRequest& request) {
  std::vector<UvRow> rows;
  const ArrayView<const double, 3> uvw = block.uvw_view();
  const double low_hz = block.frequency_hz.front();
  const double high_hz = block.frequency_hz.back();
  for (std::size_t time = 0; time < block.n_times(); ++time) {
    for (std::size_t baseline = 0; baseline < block.n_baselines(); ++baseline) {
      if (block.baselines[baseline].is_auto() && !request.autocorrelations) continue;
      UvRow row;
      row.time = static_cast<std::uint32_t>(time);
      row.baseline = static_cast<std::uint32_t>(baseline);
      row.u_s = uvw(time, baseline, 0) / kSpeedOfLight;
      row.v_s = uvw(time, baseline, 1) / kSpeedOfLight;
      row.w_s = uvw(time, baseline, 2) / kSpeedOfLight - geometry.slant_a * row.u_s - geometry.slant_b * row.v_s;
      if (!std::isfinite(row.u_s) || !std::isfinite(row.v_s) || !std::isfinite(row.w_s)) {
        throw Error(ErrorKind::kBadInput, "image", block.group_id,
                    "the uvw coordinates hold values that are not finite");
      }
      const double length = std::hypot(row.u_s, row.v_s);
      if (length * high_hz < request.min_uv_lambda || length * low_hz > request.max_uv_lambda) continue;
      row.turned = row.u_s > 0 || (row.u_s == 0 && row.v_s > 0);
      if (row.turned) {
        row.u_s = -row.u_s;
        row.v_s = -row.v_s;
        row.w_s = -row.w_s;
      }
      rows.push_back(row);
    }
  }
  return rows;
}

double RowDelay(const UvRow& row, const Extent& extent, const NRange& n_range) {
  return std::fabs(row.u_s) * extent.l + std::fabs(row.v_s) * extent.m + std::fabs(row.w_s * n_range.min);
}

FrequencyCompression MakeCompression(const std::vector<UvRow>& rows, const VisibilityBlock& block,
                                     const ImageGeometry& geometry, const NRange& n_range,
                                     const UvPlanRequest& request) {
  if (rows.empty()) {
    throw Error(ErrorKind::kBadInput, "image", block.group_id,
                "no cross-correlation lies inside the uv range: nothing to image");
  }
  const Extent extent = ImageExtent(geometry);
  double max_delay = 0;
  for (const UvRow& row : rows) max_delay = std::max(max_delay, RowDelay(row, extent, n_range));
  return FrequencyCompression(block.frequency_hz, {max_delay, request.interpolation_error, request.threads});
}

}  // namespace

SlantFit FitSlant(const VisibilityBlock& block, const ImageGeometry& geometry) {
  const ArrayView<const double, 3> uvw = block.uvw_view();
  double uu = 0, uv = 0, vv = 0, uw = 0, vw = 0, ww = 0;
  for (std::size_t time = 0; time < block.n_times(); ++time) {
    for (std::size_t baseline = 0; baseline < block.n_baselines(); ++baseline) {
      if (block.baselines[baseline].is_auto()) continue;
      const double u = uvw(time, baseline, 0);
      const double v = uvw(time, baseline, 1);
      const double w = uvw(time, baseline, 2);
      uu += u * u;
      uv += u * v;
      vv += v * v;
      uw += u * w;
      vw += v * w;
      ww += w * w;
    }
  }
  // A ridge far below any real baseline spread keeps the fit defined for baselines on one line.
  const double ridge = 1e-9 * (uu + vv);
  const double determinant = (uu + ridge) * (vv + ridge) - uv * uv;
  if (!(determinant > 0)) return {};
  const SlantFit fit{(uw * (vv + ridge) - vw * uv) / determinant, (vw * (uu + ridge) - uw * uv) / determinant};
  const double left =
      ww - 2 * (fit.a * uw + fit.b * vw) + fit.a * fit.a * uu + 2 * fit.a * fit.b * uv + fit.b * fit.b * vv;
  if (!(left < 0.9 * ww)) return {};
  ImageGeometry slanted = geometry;
  slanted.slant_a = fit.a;
  slanted.slant_b = fit.b;
  try {
    CheckGeometry(slanted);
  } catch (const Error&) {
    return {};  // the plain frame may still see the whole image
  }
  return fit;
}

UvPlan::UvPlan(const VisibilityBlock& block, const ImageGeometry& geometry, const UvPlanRequest& request)
    : rows(SelectRows(block, geometry, request)),
      compression(MakeCompression(rows, block, geometry, CheckGeometry(geometry), request)),
      frequency_hz(block.frequency_hz),
      n_range(CheckGeometry(geometry)) {
  const Extent extent = ImageExtent(geometry);
  for (UvRow& row : rows) {
    row.set = static_cast<std::uint16_t>(compression.SetFor(RowDelay(row, extent, n_range)));
    n_nodes += Set(row).size();
    max_uv_s = std::max(max_uv_s, std::hypot(row.u_s, row.v_s));
  }
  constexpr std::size_t kLeaves = 64;  // many threads can share them; each costs a margin of a kernel width
  constexpr std::size_t kSmallestLeaf = 4096;
  Partitioner(rows, compression, std::max(n_nodes / kLeaves + 1, kSmallestLeaf)).Split(0, rows.size(), false, leaves);
  std::size_t next = 0;
  for (UvRow& row : rows) {
    row.first_node = next;
    next += Set(row).size();
  }
}

}  // namespace contimg::image
