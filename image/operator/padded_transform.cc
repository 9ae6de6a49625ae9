#include "image/operator/padded_transform.h"

#include <fftw3.h>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/parallel.h"
#include "image/plane/fftw_planner.h"

namespace contimg::image {
namespace {

// One name for FFTW's single and double precision functions.
template <typename T>
struct Fftw;
template <>
struct Fftw<float> {
  using Plan = fftwf_plan;
  static Plan Columns(int n, float* at, int sign) {
    auto* c = reinterpret_cast<fftwf_complex*>(at);
    return fftwf_plan_dft_1d(n, c, c, sign, FFTW_ESTIMATE);
  }
  static Plan ToReal(int n, float* in, float* out) {
    return fftwf_plan_dft_c2r_1d(n, reinterpret_cast<fftwf_complex*>(in), out, FFTW_ESTIMATE);
  }
  static Plan FromReal(int n, float* in, float* out) {
    return fftwf_plan_dft_r2c_1d(n, in, reinterpret_cast<fftwf_complex*>(out), FFTW_ESTIMATE);
  }
  static void Execute(Plan plan, float* at) {
    auto* c = reinterpret_cast<fftwf_complex*>(at);
    fftwf_execute_dft(plan, c, c);
  }
  static void ExecuteToReal(Plan plan, float* in, float* out) {
    fftwf_execute_dft_c2r(plan, reinterpret_cast<fftwf_complex*>(in), out);
  }
  static void ExecuteFromReal(Plan plan, float* in, float* out) {
    fftwf_execute_dft_r2c(plan, in, reinterpret_cast<fftwf_complex*>(out));
  }
  static void Destroy(Plan plan) { fftwf_destroy_plan(plan); }
  static void* Allocate(std::size_t bytes) { return fftwf_malloc(bytes); }
  static void Free(void* p) { fftwf_free(p); }
};
template <>
struct Fftw<double> {
  using Plan = fftw_plan;
  static Plan Columns(int n, double* at, int sign) {
    auto* c = reinterpret_cast<fftw_complex*>(at);
    return fftw_plan_dft_1d(n, c, c, sign, FFTW_ESTIMATE);
  }
  static Plan ToReal(int n, double* in, double* out) {
    return fftw_plan_dft_c2r_1d(n, reinterpret_cast<fftw_complex*>(in), out, FFTW_ESTIMATE);
  }
  static Plan FromReal(int n, double* in, double* out) {
    return fftw_plan_dft_r2c_1d(n, in, reinterpret_cast<fftw_complex*>(out), FFTW_ESTIMATE);
  }
  static void Execute(Plan plan, double* at) {
    auto* c = reinterpret_cast<fftw_complex*>(at);
    fftw_execute_dft(plan, c, c);
  }
  static void ExecuteToReal(Plan plan, double* in, double* out) {
    fftw_execute_dft_c2r(plan, reinterpret_cast<fftw_complex*>(in), out);
  }
  static void ExecuteFromReal(Plan plan, double* in, double* out) {
    fftw_execute_dft_r2c(plan, in, reinterpret_cast<fftw_complex*>(out));
  }
  static void Destroy(Plan plan) { fftw_destroy_plan(plan); }
  static void* Allocate(std::size_t bytes) { return fftw_malloc(bytes); }
  static void Free(void* p) { fftw_free(p); }
};

// Memory with the alignment FFTW's plans expect.
template <typename T>
class FftBuffer {
 public:
  explicit FftBuffer(std::size_t size) : data_(static_cast<T*>(Fftw<T>::Allocate(size * sizeof(T)))) {
    if (data_ == nullptr) throw Error(ErrorKind::kResource, "image", "", "no memory for a Fourier transform");
    std::fill_n(data_, size, T(0));
  }
  ~FftBuffer() { Fftw<T>::Free(data_); }
  FftBuffer(const FftBuffer&) = delete;
  FftBuffer& operator=(const FftBuffer&) = delete;
  T* data() { return data_; }

 private:
  T* data_;
};

// Buffers that outlive the blocks they serve: fresh memory is slow, the kernel has to clear it.
template <typename T>
class BufferPool {
 public:
  // A buffer of `size`, lent until the guard goes.
  class Loan {
   public:
    Loan(BufferPool& pool, std::size_t size) : pool_(pool) {
      {
        const std::lock_guard lock(pool.mutex_);
        if (!pool.free_.empty()) {
          buffer_ = std::move(pool.free_.back());
          pool.free_.pop_back();
        }
      }
      if (buffer_ == nullptr) buffer_ = std::make_unique<FftBuffer<T>>(size);
    }
    ~Loan() {
      const std::lock_guard lock(pool_.mutex_);
      pool_.free_.push_back(std::move(buffer_));
    }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    T* data() { return buffer_->data(); }

   private:
    BufferPool& pool_;
    std::unique_ptr<FftBuffer<T>> buffer_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<FftBuffer<T>>> free_;
};

constexpr std::size_t kRowBlock = 16;

// Where the parts of the row scratch start: half a spectrum, a padded row, the rows of all terms. Multiples of 16
// numbers keep FFTW's alignment.
struct RowScratch {
  explicit RowScratch(const TransformShape& shape)
      : wrapped(RoundUp(shape.padded_nx + 2)),
        rows(wrapped + RoundUp(shape.padded_nx)),
        size(rows + shape.n_terms * shape.nx) {}
  static std::size_t RoundUp(std::size_t n) { return (n + 15) / 16 * 16; }
  std::size_t wrapped;
  std::size_t rows;
  std::size_t size;
};

}  // namespace

std::size_t GoodFftSize(std::size_t n) {
  for (std::size_t size = n + n % 2;; size += 2) {
    std::size_t rest = size;
    for (const std::size_t factor : {2, 3, 5}) {
      while (rest % factor == 0) rest /= factor;
    }
    if (rest == 1) return size;
  }
}

template <typename T>
struct PaddedTransform<T>::Plans {
  using Plan = typename Fftw<T>::Plan;
  Plan backward = nullptr;
  Plan forward = nullptr;
  Plan to_real = nullptr;
  Plan from_real = nullptr;
  BufferPool<T> column_pool;
  BufferPool<T> row_pool;
};

template <typename T>
PaddedTransform<T>::PaddedTransform(const TransformShape& shape)
    : shape_(shape),
      stride_((shape.n_columns + kColumnBlock - 1) / kColumnBlock * kColumnBlock),
      half_(2 * shape.n_terms * shape.ny * stride_),
      plans_(std::make_unique<Plans>()) {
  FftBuffer<T> column(2 * shape.padded_ny);
  FftBuffer<T> half_row(2 * (shape.padded_nx / 2 + 1));
  FftBuffer<T> row(shape.padded_nx);
  const int ny = static_cast<int>(shape.padded_ny);
  const int nx = static_cast<int>(shape.padded_nx);
  const std::lock_guard lock(PlannerMutex());
  plans_->backward = Fftw<T>::Columns(ny, column.data(), FFTW_BACKWARD);
  plans_->forward = Fftw<T>::Columns(ny, column.data(), FFTW_FORWARD);
  plans_->to_real = Fftw<T>::ToReal(nx, half_row.data(), row.data());
  plans_->from_real = Fftw<T>::FromReal(nx, row.data(), half_row.data());
}

template <typename T>
PaddedTransform<T>::~PaddedTransform() {
  const std::lock_guard lock(PlannerMutex());
  for (auto plan : {plans_->backward, plans_->forward, plans_->to_real, plans_->from_real}) Fftw<T>::Destroy(plan);
}

template <typename T>
std::size_t PaddedTransform<T>::MemoryBytes(const TransformShape& shape) {
  return 2 * sizeof(T) * shape.n_terms * shape.ny *
         ((shape.n_columns + kColumnBlock - 1) / kColumnBlock * kColumnBlock);
}

template <typename T>
std::size_t PaddedTransform<T>::ScratchBytes(const TransformShape& shape) {
  return sizeof(T) *
         std::max(2 * kColumnBlock * shape.n_terms * shape.padded_ny, (shape.n_terms + 2) * shape.padded_nx + 2);
}

template <typename T>
void PaddedTransform<T>::ToImage(std::size_t n_terms, const std::function<void(std::size_t, T*)>& fill,
                                 const std::function<void(std::size_t, const T*)>& emit, int threads) {
  const std::size_t nx = shape_.nx;
  const std::size_t ny = shape_.ny;
  const std::size_t padded_nx = shape_.padded_nx;
  const std::size_t padded_ny = shape_.padded_ny;
  const std::size_t n_columns = shape_.n_columns;
  const std::size_t column_size = 2 * padded_ny * n_terms;
  const std::size_t column_size_all = 2 * padded_ny * shape_.n_terms;
  const std::size_t lower = padded_ny - ny / 2;  // index of row Y = −ny/2
  ParallelFor(threads, stride_ / kColumnBlock, [&](std::size_t block) {
    typename BufferPool<T>::Loan columns(plans_->column_pool, kColumnBlock * column_size_all);
    const std::size_t first = block * kColumnBlock;
    std::fill_n(columns.data(), kColumnBlock * column_size, T(0));
    for (std::size_t c = 0; c < kColumnBlock && first + c < n_columns; ++c) {
      T* column = columns.data() + c * column_size;
      fill(first + c, column);
      for (std::size_t term = 0; term < n_terms; ++term) {
        Fftw<T>::Execute(plans_->backward, column + 2 * term * padded_ny);
      }
    }
    for (std::size_t term = 0; term < n_terms; ++term) {
      for (std::size_t y = 0; y < ny; ++y) {
        const std::size_t at = y < ny / 2 ? lower + y : y - ny / 2;
        const T* from = columns.data() + 2 * (term * padded_ny + at);
        T* to = Half(term, y) + 2 * first;
        for (std::size_t c = 0; c < kColumnBlock; ++c) {
          to[2 * c] = from[c * column_size];
          to[2 * c + 1] = from[c * column_size + 1];
        }
      }
    }
  });
  const RowScratch layout(shape_);
  const std::size_t n_blocks = (ny + kRowBlock - 1) / kRowBlock;
  ParallelFor(threads, n_blocks, [&](std::size_t block) {
    typename BufferPool<T>::Loan loan(plans_->row_pool, layout.size);
    T* spectrum = loan.data();
    T* wrapped = loan.data() + layout.wrapped;
    T* rows = loan.data() + layout.rows;
    for (std::size_t y = block * kRowBlock; y < std::min(ny, (block + 1) * kRowBlock); ++y) {
      for (std::size_t term = 0; term < n_terms; ++term) {
        std::copy_n(Half(term, y), 2 * n_columns, spectrum);
        std::fill_n(spectrum + 2 * n_columns, padded_nx + 2 - 2 * n_columns, T(0));
        Fftw<T>::ExecuteToReal(plans_->to_real, spectrum, wrapped);
        std::copy_n(wrapped + padded_nx - nx / 2, nx / 2, rows + term * nx);
        std::copy_n(wrapped, nx - nx / 2, rows + term * nx + nx / 2);
      }
      emit(y, rows);
    }
  });
}

template <typename T>
void PaddedTransform<T>::FromImage(std::size_t n_terms, const std::function<void(std::size_t, T*)>& fill,
                                   const std::function<void(std::size_t, const T*)>& emit, int threads) {
  const std::size_t nx = shape_.nx;
  const std::size_t ny = shape_.ny;
  const std::size_t padded_nx = shape_.padded_nx;
  const std::size_t padded_ny = shape_.padded_ny;
  const std::size_t n_columns = shape_.n_columns;
  const RowScratch layout(shape_);
  const std::size_t n_blocks = (ny + kRowBlock - 1) / kRowBlock;
  ParallelFor(threads, n_blocks, [&](std::size_t block) {
    typename BufferPool<T>::Loan loan(plans_->row_pool, layout.size);
    T* spectrum = loan.data();
    T* wrapped = loan.data() + layout.wrapped;
    T* rows = loan.data() + layout.rows;
    for (std::size_t y = block * kRowBlock; y < std::min(ny, (block + 1) * kRowBlock); ++y) {
      fill(y, rows);
      for (std::size_t term = 0; term < n_terms; ++term) {
        std::copy_n(rows + term * nx, nx / 2, wrapped + padded_nx - nx / 2);
        std::copy_n(rows + term * nx + nx / 2, nx - nx / 2, wrapped);
        std::fill_n(wrapped + (nx - nx / 2), padded_nx - nx, T(0));
        Fftw<T>::ExecuteFromReal(plans_->from_real, wrapped, spectrum);
        std::copy_n(spectrum, 2 * n_columns, Half(term, y));
      }
    }
  });
  const std::size_t column_size = 2 * padded_ny * n_terms;
  const std::size_t column_size_all = 2 * padded_ny * shape_.n_terms;
  const std::size_t lower = padded_ny - ny / 2;
  ParallelFor(threads, stride_ / kColumnBlock, [&](std::size_t block) {
    typename BufferPool<T>::Loan columns(plans_->column_pool, kColumnBlock * column_size_all);
    const std::size_t first = block * kColumnBlock;
    std::fill_n(columns.data(), kColumnBlock * column_size, T(0));
    for (std::size_t term = 0; term < n_terms; ++term) {
      for (std::size_t y = 0; y < ny; ++y) {
        const std::size_t at = y < ny / 2 ? lower + y : y - ny / 2;
        T* to = columns.data() + 2 * (term * padded_ny + at);
        const T* from = Half(term, y) + 2 * first;
        for (std::size_t c = 0; c < kColumnBlock; ++c) {
          to[c * column_size] = from[2 * c];
          to[c * column_size + 1] = from[2 * c + 1];
        }
      }
    }
    for (std::size_t c = 0; c < kColumnBlock && first + c < n_columns; ++c) {
      T* column = columns.data() + c * column_size;
      for (std::size_t term = 0; term < n_terms; ++term) {
        Fftw<T>::Execute(plans_->forward, column + 2 * term * padded_ny);
      }
      emit(first + c, column);
    }
  });
}

template class PaddedTransform<float>;
template class PaddedTransform<double>;

}  // namespace contimg::image
