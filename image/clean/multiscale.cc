#include "image/clean/multiscale.h"

#include <fftw3.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <mutex>

#include "config/buffer.h"
#include "config/error.h"
#include "config/parallel.h"
#include "image/plane/fftw_planner.h"

namespace contimg::image {
namespace {

using Complex = std::complex<float>;

// The smallest even number from `n` on without prime factors above 7.
std::size_t GoodSize(std::size_t n) {
  for (n += n % 2;; n += 2) {
    std::size_t rest = n;
    for (std::size_t prime : {2U, 3U, 5U, 7U}) {
      while (rest % prime == 0) rest /= prime;
    }
    if (rest == 1) return n;
  }
}

}  // namespace

// Convolutions of images by FFT on a common padded size. Planning by estimate: the plan does not depend on timing.
struct MultiscaleMinorCycle::Impl {
  Impl(ArrayView<const float, 2> psf, const std::vector<ScaleKernel>& scale_kernels, int n_threads)
      : kernels(scale_kernels), threads(n_threads), ny(psf.shape(0)), nx(psf.shape(1)) {
    // Components near an edge wrap to the other one beyond this padding; the exact major cycle mends that.
    py = GoodSize(ny + ny / 10 + 2 * kernels.back().half());
    px = GoodSize(nx + nx / 10 + 2 * kernels.back().half());
    half = px / 2 + 1;
    real = Buffer<float>(py * px);
    work = Buffer<Complex>(py * half);
    {
      const std::lock_guard lock(PlannerMutex());
      const int h = static_cast<int>(py), w = static_cast<int>(px);
      forward = fftwf_plan_dft_r2c_2d(h, w, real.data(), reinterpret_cast<fftwf_complex*>(work.data()), FFTW_ESTIMATE);
      backward = fftwf_plan_dft_c2r_2d(h, w, reinterpret_cast<fftwf_complex*>(work.data()), real.data(),
                                       FFTW_ESTIMATE | FFTW_DESTROY_INPUT);
    }
    if (forward == nullptr || backward == nullptr) {
      throw Error(ErrorKind::kResource, "image", "multiscale", "FFTW cannot plan the convolution");
    }
    // The PSF with its centre moved to pixel (0, 0).
    std::fill(real.begin(), real.end(), 0.0F);
    for (std::size_t y = 0; y < ny; ++y) {
      for (std::size_t x = 0; x < nx; ++x) {
        real[((y + py - ny / 2) % py) * px + (x + px - nx / 2) % px] = psf(y, x);
      }
    }
    fftwf_execute(forward);
    psf_transform = Buffer<Complex>(work.size());
    std::copy(work.begin(), work.end(), psf_transform.begin());
    for (const ScaleKernel& kernel : kernels) AddScale(kernel);
  }

  ~Impl() {
    const std::lock_guard lock(PlannerMutex());
    fftwf_destroy_plan(forward);
    fftwf_destroy_plan(backward);
  }

  void AddScale(const ScaleKernel& kernel) {
    // A symmetric kernel about pixel (0, 0) has a real transform.
    std::fill(real.begin(), real.end(), 0.0F);
    for (std::size_t y = 0; y < kernel.size(); ++y) {
      for (std::size_t x = 0; x < kernel.size(); ++x) {
        real[((y + py - kernel.half()) % py) * px + (x + px - kernel.half()) % px] = kernel.at(x, y);
      }
    }
    fftwf_execute(forward);
    Buffer<float>& transform = kernel_transforms.emplace_back(work.size());
    for (std::size_t i = 0; i < work.size(); ++i) transform[i] = work[i].real();

    // The response of the smoothed residual to a component of this scale: PSF ∗ kernel ∗ kernel, normalised to its
    // peak.
    for (std::size_t i = 0; i < work.size(); ++i) work[i] = psf_transform[i] * (transform[i] * transform[i]);
    Buffer<float> response(ny * nx);
    const ArrayView<float, 2> view{response.data(), {ny, nx}};
    Backward();
    for (std::size_t y = 0; y < ny; ++y) {
      for (std::size_t x = 0; x < nx; ++x) {
        view(y, x) = real[((y + py - ny / 2) % py) * px + (x + px - nx / 2) % px];
      }
    }
    const float peak = view(ny / 2, nx / 2);
    for (float& value : response) value /= peak;
    response_peaks.push_back(peak);
    responses.emplace_back(view, threads);
  }

  // real ← inverse transform of work, normalised.
  void Backward() {
    fftwf_execute(backward);
    const float norm = 1.0F / static_cast<float>(py * px);
    ParallelFor(threads, py, [&](std::size_t y) {
      for (std::size_t x = 0; x < px; ++x) real[y * px + x] *= norm;
    });
  }

  // image ∗ kernel of `scale` into `out`, given the transform of the image.
  void Smooth(const Buffer<Complex>& transform, std::size_t scale, ArrayView<float, 2> out) {
    const Buffer<float>& kernel = kernel_transforms[scale];
    ParallelFor(threads, py, [&](std::size_t y) {
      for (std::size_t i = y * half; i < (y + 1) * half; ++i) work[i] = transform[i] * kernel[i];
    });
    Backward();
    for (std::size_t y = 0; y < ny; ++y) std::copy_n(&real[y * px], nx, &out(y, 0));
  }

  void Transform(ArrayView<const float, 2> image) {
    std::fill(real.begin(), real.end(), 0.0F);
    for (std::size_t y = 0; y < ny; ++y) std::copy_n(&image(y, 0), nx, &real[y * px]);
    fftwf_execute(forward);
  }

  // residual −= PSF ∗ (components with their kernels).
  void Subtract(const std::vector<CleanComponent>& components, ArrayView<float, 2> residual) {
    Buffer<float> image(ny * nx);
    AddComponents(components, kernels, {image.data(), {ny, nx}});
    Transform(ArrayView<const float, 2>{image.data(), {ny, nx}});
    ParallelFor(threads, py, [&](std::size_t y) {
      for (std::size_t i = y * half; i < (y + 1) * half; ++i) work[i] *= psf_transform[i];
    });
    Backward();
    ParallelFor(threads, ny, [&](std::size_t y) {
      for (std::size_t x = 0; x < nx; ++x) residual(y, x) -= real[y * px + x];
    });
  }

  std::vector<ScaleKernel> kernels;
  int threads;
  std::size_t ny, nx, py = 0, px = 0, half = 0;
  Buffer<float> real;
  Buffer<Complex> work;
  Buffer<Complex> psf_transform;
  fftwf_plan forward = nullptr, backward = nullptr;
  std::vector<Buffer<float>> kernel_transforms;
  std::vector<PaddedPsf> responses;
  std::vector<float> response_peaks;
};

MultiscaleMinorCycle::MultiscaleMinorCycle(ArrayView<const float, 2> psf, const std::vector<ScaleKernel>& kernels,
                                           int threads)
    : impl_(std::make_unique<Impl>(psf, kernels, threads)) {}

MultiscaleMinorCycle::~MultiscaleMinorCycle() = default;

MultiscaleResult MultiscaleMinorCycle::Run(ArrayView<float, 2> residual, const SearchWeights& weights,
                                           const std::vector<ArrayView<const std::uint8_t, 2>>& masks,
                                           const MultiscaleParams& params, int threads) {
  Impl& impl = *impl_;
  const std::size_t n_scales = impl.kernels.size();
  MultiscaleResult result;
  result.level = params.minor.stop_level;
  Buffer<Complex> transform(impl.work.size());
  Buffer<float> smoothed(residual.size());
  const ArrayView<float, 2> smooth{smoothed.data(), residual.shape()};
  const auto weights_of = [&](std::size_t scale) {
    SearchWeights own = weights;
    if (!masks.empty()) own.mask = masks[scale];
    return own;
  };

  while (result.components.size() < params.minor.max_iterations) {
    impl.Transform(residual);
    std::copy(impl.work.begin(), impl.work.end(), transform.begin());
    std::size_t best = 0;
    double best_score = 0, best_peak = 0;
    for (std::size_t scale = 0; scale < n_scales; ++scale) {
      impl.Smooth(transform, scale, smooth);
      const double peak = SearchPeak(smooth, weights_of(scale), params.minor, threads);
      const double score = peak * std::pow(params.bias, -static_cast<double>(scale));
      if (peak >= params.minor.stop_level && score > best_score) best = scale, best_score = score, best_peak = peak;
    }
    if (best_score == 0) {
      if (!result.components.empty()) result.stop = MinorCycleStop::kLevelReached;
      return result;
    }
    impl.Smooth(transform, best, smooth);
    MinorCycleParams minor = params.minor;
    minor.scale = static_cast<int>(best);
    minor.max_iterations -= result.components.size();
    minor.stop_level = std::max<float>(minor.stop_level, static_cast<float>(best_peak * (1 - params.sub_minor_gain)));
    MinorCycleResult found = RunMinorCycle(smooth, impl.responses[best], weights_of(best), minor, threads);
    if (found.components.empty()) return result;
    for (CleanComponent& component : found.components) component.flux_jy /= impl.response_peaks[best];
    impl.Subtract(found.components, residual);
    result.cells = std::max(result.cells, found.cells);
    result.components.insert(result.components.end(), found.components.begin(), found.components.end());
  }
  result.stop = MinorCycleStop::kIterations;
  return result;
}

}  // namespace contimg::image
