#include "image/operator/grid_engine.h"

#include <algorithm>
#include <cmath>

#include "config/buffer.h"
#include "config/parallel.h"
#include "config/units.h"
#include "image/operator/grid_kernels.h"
#include "image/operator/padded_transform.h"

namespace contimg::image {
namespace {

// Cells [u0, u0 + nu) × [v0, v0 + nv).
struct CellRange {
  long u0 = 0;
  long v0 = 0;
  std::size_t nu = 0;
  std::size_t nv = 0;
  std::size_t size() const { return nu * nv; }
};

// A row of cells that belongs to a column of the transform; mirrored rows hold the complex conjugate at −v.
struct CellRow {
  std::size_t leaf = 0;
  std::size_t row = 0;  // u − u0 of its range
  bool mirrored = false;
};

long Modulo(long i, std::size_t n) {
  const long size = static_cast<long>(n);
  const long rest = i % size;
  return rest < 0 ? rest + size : rest;
}

template <typename T>
class GridEngineT final : public GridEngine {
 public:
  explicit GridEngineT(const GridEngineSetup& setup);

  void ToImage(Kind kind, const float* re, const float* im, double scale, ArrayView<float, 2> image,
               int threads) override;
  void FromImage(ArrayView<const float, 2> image, float* re, float* im, int threads) override;
  Memory MemoryBytes(int threads) const override;
  std::size_t padded_nx() const override { return shape_.padded_nx; }
  std::size_t padded_ny() const override { return shape_.padded_ny; }

 private:
  RowNodes Nodes(const UvRow& row, Kind kind) const;
  CellRange LeafRange(const UvLeaf& leaf) const;
  void PlaceRows(const CellRange& range, std::size_t leaf, std::vector<std::vector<CellRow>>& columns) const;
  std::size_t Stride() const;
  void Prepare();
  bool Contributes(const UvRow& row, const WExpansion::Range& range) const;
  void AddCells(const T* cells, const CellRange& range, bool mirrored, std::size_t n_terms, std::size_t stride,
                T* column) const;
  void TakeCells(const T* column, const CellRange& range, bool mirrored, std::size_t n_terms, std::size_t stride,
                 T* cells) const;
  static std::vector<double> Corrections(const GriddingKernel& kernel, std::size_t n, std::size_t padded);

  const UvPlan& plan_;
  ImageGeometry geometry_;
  GriddingKernel kernel_;
  WExpansion expansion_;
  double n_middle_ = 0;
  TransformShape shape_;
  std::vector<CellRange> leaf_ranges_;
  std::vector<std::size_t> leaf_offsets_;  // in cells
  std::size_t leaf_cells_ = 0;
  CellRange whole_;                                  // all leaves
  std::vector<std::vector<CellRow>> leaf_columns_;   // [u]: rows of the leaves
  std::vector<std::vector<CellRow>> whole_columns_;  // [u]: rows of the whole grid
  std::vector<double> correction_x_;
  std::vector<double> correction_y_;
  Buffer<T> cells_;  // grids of the leaves, or the whole grid
  std::unique_ptr<PaddedTransform<T>> transform_;
};

template <typename T>
GridEngineT<T>::GridEngineT(const GridEngineSetup& setup)
    : plan_(*setup.plan),
      geometry_(setup.geometry),
      kernel_(setup.kernel),
      expansion_(setup.expansion),
      n_middle_(0.5 * (setup.plan->n_range.min + setup.plan->n_range.max)) {
  const double oversampling = kernel_.shape().oversampling;
  const auto padded = [&](std::size_t n) {
    const std::size_t needed = static_cast<std::size_t>(std::ceil(oversampling * static_cast<double>(n)));
    return GoodFftSize(std::max(needed, 2 * static_cast<std::size_t>(kernel_.support())));
  };
  shape_.nx = geometry_.nx;
  shape_.ny = geometry_.ny;
  shape_.n_terms = expansion_.TermsOf(0);
  shape_.padded_nx = padded(shape_.nx);
  shape_.padded_ny = padded(shape_.ny);
  correction_x_ = Corrections(kernel_, shape_.nx, shape_.padded_nx);
  correction_y_ = Corrections(kernel_, shape_.ny, shape_.padded_ny);

  long u1 = -(1L << 60), v1 = -(1L << 60);
  whole_.u0 = whole_.v0 = 1L << 60;
  for (const UvLeaf& leaf : plan_.leaves) {
    const CellRange range = LeafRange(leaf);
    leaf_ranges_.push_back(range);
    leaf_offsets_.push_back(leaf_cells_);
    leaf_cells_ += range.size() + kGridPadding;
    whole_.u0 = std::min(whole_.u0, range.u0);
    whole_.v0 = std::min(whole_.v0, range.v0);
    u1 = std::max(u1, range.u0 + static_cast<long>(range.nu));
    v1 = std::max(v1, range.v0 + static_cast<long>(range.nv));
  }
  whole_.nu = static_cast<std::size_t>(u1 - whole_.u0);
  whole_.nv = static_cast<std::size_t>(v1 - whole_.v0);
  const std::size_t reach = static_cast<std::size_t>(std::max(u1, -whole_.u0 + 1));
  shape_.n_columns = std::min(reach, shape_.padded_nx / 2 + 1);
  leaf_columns_.resize(shape_.n_columns);
  whole_columns_.resize(shape_.n_columns);
  for (std::size_t leaf = 0; leaf < leaf_ranges_.size(); ++leaf) PlaceRows(leaf_ranges_[leaf], leaf, leaf_columns_);
  PlaceRows(whole_, 0, whole_columns_);
}

template <typename T>
std::vector<double> GridEngineT<T>::Corrections(const GriddingKernel& kernel, std::size_t n, std::size_t padded) {
  std::vector<double> correction(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double position = static_cast<double>(i) - static_cast<double>(n / 2);
    correction[i] = 1 / kernel.Transform(position / static_cast<double>(padded));
  }
  return correction;
}

template <typename T>
CellRange GridEngineT<T>::LeafRange(const UvLeaf& leaf) const {
  const long half = kernel_.support() / 2 + 1;
  long u0 = 1L << 60, u1 = -(1L << 60), v0 = 1L << 60, v1 = -(1L << 60);
  for (std::size_t i = leaf.begin; i < leaf.end; ++i) {
    const RowNodes nodes = Nodes(plan_.rows[i], Kind::kData);
    for (const double hz : {nodes.frequency_hz[0], nodes.frequency_hz[nodes.n - 1]}) {
      const long u = static_cast<long>(std::floor(hz * nodes.u_per_hz));
      const long v = static_cast<long>(std::floor(hz * nodes.v_per_hz));
      u0 = std::min(u0, u - half);
      u1 = std::max(u1, u + 1 + half);
      v0 = std::min(v0, v - half);
      v1 = std::max(v1, v + 1 + half);
    }
  }
  return {u0, v0, static_cast<std::size_t>(u1 - u0 + 1), static_cast<std::size_t>(v1 - v0 + 1)};
}

// Cells outside 0 … padded_nx/2 come back in by periodicity and by V(−u, −v) = V(u, v)*.
template <typename T>
void GridEngineT<T>::PlaceRows(const CellRange& range, std::size_t leaf,
                               std::vector<std::vector<CellRow>>& columns) const {
  for (std::size_t row = 0; row < range.nu; ++row) {
    const std::size_t u = static_cast<std::size_t>(Modulo(range.u0 + static_cast<long>(row), shape_.padded_nx));
    const bool mirrored = u > shape_.padded_nx / 2;
    columns[mirrored ? shape_.padded_nx - u : u].push_back({leaf, row, mirrored});
  }
}

template <typename T>
RowNodes GridEngineT<T>::Nodes(const UvRow& row, Kind kind) const {
  const FrequencyNodes& set = plan_.Set(row);
  RowNodes nodes;
  nodes.frequency_hz = set.frequency_hz.data();
  nodes.n = set.size();
  nodes.u_per_hz = -row.u_s * geometry_.cell_rad * static_cast<double>(shape_.padded_nx);
  nodes.v_per_hz = row.v_s * geometry_.cell_rad * static_cast<double>(shape_.padded_ny);
  nodes.w_per_hz = row.w_s;
  if (kind == Kind::kData) {
    nodes.turn_per_hz = row.u_s * geometry_.shift_l + row.v_s * geometry_.shift_m + row.w_s * n_middle_;
  } else {
    const double n_centre = SlantNMinus1(geometry_, geometry_.shift_l, geometry_.shift_m);
    nodes.turn_per_hz = row.w_s * (n_middle_ - n_centre);
  }
  return nodes;
}

// Numbers per cell: enough for the largest group of terms, a power of two.
template <typename T>
std::size_t GridEngineT<T>::Stride() const {
  std::size_t stride = 2;
  while (stride < 2 * expansion_.TermsOf(0)) stride *= 2;
  return stride;
}

template <typename T>
void GridEngineT<T>::Prepare() {
  if (transform_ != nullptr) return;
  transform_ = std::make_unique<PaddedTransform<T>>(shape_);
  cells_ = Buffer<T>(std::max(leaf_cells_, whole_.size() + kGridPadding) * Stride());
}

template <typename T>
bool GridEngineT<T>::Contributes(const UvRow& row, const WExpansion::Range& range) const {
  const FrequencyNodes& set = plan_.Set(row);
  const double first = row.w_s * set.frequency_hz.front();
  const double last = row.w_s * set.frequency_hz.back();
  return std::max(first, last) >= range.min && std::min(first, last) <= range.max;
}

// column[term][(v0 + c) mod padded_ny] += cells[c][term], or the conjugate at −(v0 + c).
template <typename T>
void GridEngineT<T>::AddCells(const T* cells, const CellRange& range, bool mirrored, std::size_t n_terms,
                              std::size_t stride, T* column) const {
  const std::size_t ny = shape_.padded_ny;
  for (std::size_t c = 0; c < range.nv;) {
    const long v = range.v0 + static_cast<long>(c);
    const std::size_t at = static_cast<std::size_t>(Modulo(mirrored ? -v : v, ny));
    // A run without wrapping: upwards, or downwards to 0 when mirrored.
    const std::size_t run = std::min(range.nv - c, mirrored ? at + 1 : ny - at);
    for (std::size_t term = 0; term < n_terms; ++term) {
      const T* from = cells + c * stride + 2 * term;
      T* to = column + 2 * (term * ny + at);
      if (mirrored) {
        for (std::size_t i = 0; i < run; ++i, from += stride, to -= 2) {
          to[0] += from[0];
          to[1] -= from[1];
        }
      } else {
        for (std::size_t i = 0; i < run; ++i, from += stride, to += 2) {
          to[0] += from[0];
          to[1] += from[1];
        }
      }
    }
    c += run;
  }
}

template <typename T>
void GridEngineT<T>::TakeCells(const T* column, const CellRange& range, bool mirrored, std::size_t n_terms,
                               std::size_t stride, T* cells) const {
  const std::size_t ny = shape_.padded_ny;
  for (std::size_t c = 0; c < range.nv;) {
    const long v = range.v0 + static_cast<long>(c);
    const std::size_t at = static_cast<std::size_t>(Modulo(mirrored ? -v : v, ny));
    const std::size_t run = std::min(range.nv - c, mirrored ? at + 1 : ny - at);
    for (std::size_t term = 0; term < n_terms; ++term) {
      T* to = cells + c * stride + 2 * term;
      const T* from = column + 2 * (term * ny + at);
      if (mirrored) {
        for (std::size_t i = 0; i < run; ++i, to += stride, from -= 2) {
          to[0] = from[0];
          to[1] = -from[1];
        }
      } else {
        for (std::size_t i = 0; i < run; ++i, to += stride, from += 2) {
          to[0] = from[0];
          to[1] = from[1];
        }
      }
    }
    c += run;
  }
}

template <typename T>
void GridEngineT<T>::ToImage(Kind kind, const float* re, const float* im, double scale, ArrayView<float, 2> image,
                             int threads) {
  const std::size_t nx = shape_.nx;
  Prepare();
  const std::size_t n_groups = expansion_.n_groups();
  Buffer<T> total(n_groups > 1 ? nx * shape_.ny : 0);
  for (std::size_t group = 0; group < n_groups; ++group) {
    const GridPass<T> pass(kernel_, expansion_.Samples(group));
    const std::size_t stride = static_cast<std::size_t>(pass.stride);
    const WExpansion::Range w_range = expansion_.WRange(group);
    ParallelFor(threads, plan_.leaves.size(), [&](std::size_t leaf) {
      const CellRange& range = leaf_ranges_[leaf];
      const GridBox<T> box{cells_.data() + leaf_offsets_[leaf] * stride, range.u0, range.v0, range.nu, range.nv};
      std::fill_n(box.data, (range.size() + kGridPadding) * stride, T(0));
      for (std::size_t i = plan_.leaves[leaf].begin; i < plan_.leaves[leaf].end; ++i) {
        const UvRow& row = plan_.rows[i];
        if (!Contributes(row, w_range)) continue;
        GridRow(pass, Nodes(row, kind), re + row.first_node, im == nullptr ? nullptr : im + row.first_node, box);
      }
    });
    const std::size_t n_terms = expansion_.TermsOf(group);
    const auto fill = [&](std::size_t u, T* columns) {
      for (const CellRow& row : leaf_columns_[u]) {
        const CellRange& range = leaf_ranges_[row.leaf];
        AddCells(cells_.data() + (leaf_offsets_[row.leaf] + row.row * range.nv) * stride, range, row.mirrored, n_terms,
                 stride, columns);
      }
      // The transform counts these columns once, all others twice.
      if (u == 0 || u == shape_.padded_nx / 2) {
        for (std::size_t i = 0; i < 2 * n_terms * shape_.padded_ny; ++i) columns[i] *= 2;
      }
    };
    const auto emit = [&](std::size_t y, const T* rows) {
      std::vector<double> t(nx);
      NMinus1Row(geometry_, y, n_middle_, t.data());
      std::vector<T> own(n_groups > 1 ? 0 : nx, T(0));
      T* sum = n_groups > 1 ? total.data() + y * nx : own.data();
      expansion_.Combine(group, t.data(), nx, rows, sum);
      if (group + 1 == n_groups) {
        ScaleRow(0.5 * scale * correction_y_[y], correction_x_.data(), nx, sum, image.data() + y * nx);
      }
    };
    transform_->ToImage(n_terms, fill, emit, threads);
  }
}

template <typename T>
void GridEngineT<T>::FromImage(ArrayView<const float, 2> image, float* re, float* im, int threads) {
  const std::size_t nx = shape_.nx;
  Prepare();
  std::fill_n(re, plan_.n_nodes, 0.0f);
  std::fill_n(im, plan_.n_nodes, 0.0f);
  for (std::size_t group = 0; group < expansion_.n_groups(); ++group) {
    const GridPass<T> pass(kernel_, expansion_.Samples(group));
    const std::size_t stride = static_cast<std::size_t>(pass.stride);
    const WExpansion::Range w_range = expansion_.WRange(group);
    const std::size_t n_terms = expansion_.TermsOf(group);
    {
      const auto fill = [&](std::size_t y, T* rows) {
        std::vector<double> t(nx);
        NMinus1Row(geometry_, y, n_middle_, t.data());
        std::vector<T> value(nx);
        UnscaleRow(correction_y_[y], correction_x_.data(), nx, image.data() + y * nx, value.data());
        expansion_.Spread(group, t.data(), nx, value.data(), rows);
      };
      const auto emit = [&](std::size_t u, const T* columns) {
        for (const CellRow& row : whole_columns_[u]) {
          TakeCells(columns, whole_, row.mirrored, n_terms, stride, cells_.data() + row.row * whole_.nv * stride);
        }
      };
      transform_->FromImage(n_terms, fill, emit, threads);
    }
    const GridBox<const T> box{cells_.data(), whole_.u0, whole_.v0, whole_.nu, whole_.nv};
    ParallelFor(threads, plan_.leaves.size(), [&](std::size_t leaf) {
      for (std::size_t i = plan_.leaves[leaf].begin; i < plan_.leaves[leaf].end; ++i) {
        const UvRow& row = plan_.rows[i];
        if (!Contributes(row, w_range)) continue;
        DegridRow(pass, Nodes(row, Kind::kData), box, re + row.first_node, im + row.first_node);
      }
    });
  }
}

template <typename T>
GridEngine::Memory GridEngineT<T>::MemoryBytes(int threads) const {
  const std::size_t cells = std::max(leaf_cells_, whole_.size() + kGridPadding) * Stride() * sizeof(T);
  const std::size_t total = expansion_.n_groups() > 1 ? shape_.nx * shape_.ny * sizeof(T) : 0;
  return {cells + PaddedTransform<T>::MemoryBytes(shape_),
          total + static_cast<std::size_t>(std::max(threads, 1)) * PaddedTransform<T>::ScratchBytes(shape_)};
}

}  // namespace

std::unique_ptr<GridEngine> MakeGridEngine(const GridEngineSetup& setup) {
  if (setup.double_precision) return std::make_unique<GridEngineT<double>>(setup);
  return std::make_unique<GridEngineT<float>>(setup);
}

}  // namespace contimg::image
