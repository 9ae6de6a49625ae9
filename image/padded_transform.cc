#include "image/padded_transform.h"

#include <fftw3.h>

#include <algorithm>
#include <mutex>
#include <type_traits>

#include "config/error.h"
#include "config/parallel.h"

namespace contimg::image {
namespace {

// FFTW's planner is not reentrant; executing plans is.
std::mutex& PlannerMutex() {
  static std::mutex mutex;
  return mutex;
}

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

constexpr std::size_t kRowBlock = 16;

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
  const std::size_t lower = padded_ny - ny / 2;  // index of row Y = −ny/2
  ParallelFor(threads, stride_ / kColumnBlock, [&](std::size_t block) {
    FftBuffer<T> columns(kColumnBlock * column_size);
    const std::size_t first = block * kColumnBlock;
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
  const std::size_t n_blocks = (ny + kRowBlock - 1) / kRowBlock;
  ParallelFor(threads, n_blocks, [&](std::size_t block) {
    FftBuffer<T> spectrum(padded_nx + 2);
    FftBuffer<T> wrapped(padded_nx);
    FftBuffer<T> rows(n_terms * nx);
    for (std::size_t y = block * kRowBlock; y < std::min(ny, (block + 1) * kRowBlock); ++y) {
      for (std::size_t term = 0; term < n_terms; ++term) {
        std::copy_n(Half(term, y), 2 * n_columns, spectrum.data());
        std::fill_n(spectrum.data() + 2 * n_columns, padded_nx + 2 - 2 * n_columns, T(0));
        Fftw<T>::ExecuteToReal(plans_->to_real, spectrum.data(), wrapped.data());
        std::copy_n(wrapped.data() + padded_nx - nx / 2, nx / 2, rows.data() + term * nx);
        std::copy_n(wrapped.data(), nx - nx / 2, rows.data() + term * nx + nx / 2);
      }
      emit(y, rows.data());
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
  const std::size_t n_blocks = (ny + kRowBlock - 1) / kRowBlock;
  ParallelFor(threads, n_blocks, [&](std::size_t block) {
    FftBuffer<T> spectrum(padded_nx + 2);
    FftBuffer<T> wrapped(padded_nx);
    FftBuffer<T> rows(n_terms * nx);
    for (std::size_t y = block * kRowBlock; y < std::min(ny, (block + 1) * kRowBlock); ++y) {
      fill(y, rows.data());
      for (std::size_t term = 0; term < n_terms; ++term) {
        std::copy_n(rows.data() + term * nx, nx / 2, wrapped.data() + padded_nx - nx / 2);
        std::copy_n(rows.data() + term * nx + nx / 2, nx - nx / 2, wrapped.data());
        std::fill_n(wrapped.data() + (nx - nx / 2), padded_nx - nx, T(0));
        Fftw<T>::ExecuteFromReal(plans_->from_real, wrapped.data(), spectrum.data());
        std::copy_n(spectrum.data(), 2 * n_columns, Half(term, y));
      }
    }
  });
  const std::size_t column_size = 2 * padded_ny * n_terms;
  const std::size_t lower = padded_ny - ny / 2;
  ParallelFor(threads, stride_ / kColumnBlock, [&](std::size_t block) {
    FftBuffer<T> columns(kColumnBlock * column_size);
    const std::size_t first = block * kColumnBlock;
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
