// A tile of a ten times larger array on a small machine: 960 antennas, 24 integrations, 48 channels in all, 2 hands (a
// thousand million samples, 9 GB of visibilities that are made as they are asked for), 4800 x 4800 pixels of 3 arcsec,
// CLEAN with its residuals and pictures. Two sources of known flux say whether the image is right.
// CONTIMG_BENCH_ARRAY="480 96" chooses other numbers of antennas and channels.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "config/machine.h"
#include "config/parallel.h"
#include "config/units.h"
#include "image/image_stage.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/fits_image.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

struct Point {
  double l, m, flux_jy;
};
constexpr Point kSky[] = {{0, 0, 0.02}, {0.013, -0.021, 0.5}};
constexpr std::size_t kTimes = 24;

// One integration of the array; autocorrelations are left out.
RandomTile Integration(std::size_t n_antennas, std::size_t n_channels, std::size_t time) {
  RandomTile tile;
  tile.n_antennas = n_antennas;
  tile.n_times = 1;
  tile.n_channels = n_channels;
  tile.channel_hz = 187.5e6 / static_cast<double>(n_channels);
  tile.hour_angle_deg = (static_cast<double>(time) - 11.5) * tile.interval_s * 7.2921159e-5 * 180 / kPi;
  tile.extent_m = 1300;
  tile.autocorrelations = false;
  return tile;
}

// Axes, flags and weights; no visibilities.
VisibilityBlock MakeAxes(std::size_t n_antennas, std::size_t n_channels) {
  VisibilityBlock block;
  std::vector<double> uvw, time;
  for (std::size_t t = 0; t < kTimes; ++t) {
    const RandomTile tile = Integration(n_antennas, 1, t);
    VisibilityBlock one = MakeRandomTile(tile);
    uvw.insert(uvw.end(), one.uvw_m.begin(), one.uvw_m.end());
    time.push_back(5e9 + tile.interval_s * static_cast<double>(t));
    if (t == 0) block = std::move(one);
  }
  block.time_mjd_s = std::move(time);
  block.integration_s.assign(kTimes, 12.885);
  block.uvw_m = std::move(uvw);
  const double width = 187.5e6 / static_cast<double>(n_channels);
  block.frequency_hz.clear();
  for (std::size_t k = 0; k < n_channels; ++k) block.frequency_hz.push_back(1.31125e9 + width * static_cast<double>(k));
  block.channel_width_hz = width;
  block.windows = {{0, 0, n_channels, ""}};
  for (std::size_t a = 0; a < n_antennas; ++a) {
    block.antennas.names.push_back(std::to_string(a + 1));
    block.antennas.numbers.push_back(static_cast<int>(a));
    block.antennas.positions_itrf_m.push_back({0, 0, 0});
    block.antennas.diameters_m.push_back(4.65);
  }
  block.telescope_name = "LARGE";
  block.vis = {};
  const std::size_t n = kTimes * block.n_baselines() * n_channels * 2;
  block.flag = Buffer<std::uint8_t>(n);
  block.weight = Buffer<float>(n);
  ParallelFor(AvailableProcessors(), kTimes,
              [&](std::size_t t) { std::fill_n(block.weight.data() + t * (n / kTimes), n / kTimes, 1.0F); });
  return block;
}

class MadeUpVisibilities : public VisibilityParts {
 public:
  explicit MadeUpVisibilities(const VisibilityBlock& axes) : axes_(axes), noise_(1 << 20) {
    std::mt19937 random(5);
    std::normal_distribution<float> gauss(0, 3);  // Jy, of a hand
    double mean = 0;
    for (float& n : noise_) mean += n = gauss(random);
    mean /= static_cast<double>(noise_.size());  // which would be a source at the centre
    for (float& n : noise_) n -= static_cast<float>(mean);
  }
  void ForEach(const std::function<void(const VisibilityPart&)>& use) const override {
    const std::size_t n = axes_.n_channels();
    Buffer<Visibility> vis(axes_.n_baselines() * n * 2);
    for (std::size_t t = 0; t < axes_.n_times(); ++t) {
      ParallelFor(AvailableProcessors(), axes_.n_baselines(), [&](std::size_t b) {
        const double* uvw = &axes_.uvw_m[(t * axes_.n_baselines() + b) * 3];
        std::vector<std::complex<float>> sum(n);
        for (const Point& source : kSky) {
          const double path = uvw[0] * source.l + uvw[1] * source.m + uvw[2] * NMinusOne(source.l, source.m);
          std::complex<double> v = std::polar(source.flux_jy, 2 * kPi * path * axes_.frequency_hz[0] / kSpeedOfLight);
          const std::complex<double> step = std::polar(1.0, 2 * kPi * path * axes_.channel_width_hz / kSpeedOfLight);
          for (std::complex<float>& s : sum) {
            s += std::complex<float>(v);
            v *= step;
          }
        }
        std::size_t at = (t * 7919 + b) * 104729;
        for (std::size_t i = 0; i < 2 * n; ++i, at += 2) {
          vis[b * n * 2 + i] = sum[i / 2] + Visibility(noise_[at % noise_.size()], noise_[(at + 1) % noise_.size()]);
        }
      });
      use({t, t + 1, vis.data()});
    }
  }

 private:
  const VisibilityBlock& axes_;
  std::vector<float> noise_;
};

void BM_LargeArray(benchmark::State& state) {
  std::size_t n_antennas = 960, n_channels = 48;
  if (const char* words = std::getenv("CONTIMG_BENCH_ARRAY")) std::istringstream(words) >> n_antennas >> n_channels;
  const std::filesystem::path folder = std::filesystem::temp_directory_path() / "contimg_bench_large";
  std::filesystem::create_directories(folder);
  ImageRequest request;
  request.prefix = folder / "large";
  request.overwrite = true;
  request.durable = false;
  request.settings.min_uv_lambda = 0;
  request.telescope.beam = "tracking";
  RunContext context;
  context.threads = AvailableProcessors();
  ImageReport report;
  std::size_t n_samples = 0;
  for (auto _ : state) {
    VisibilityBlock block = MakeAxes(n_antennas, n_channels);
    n_samples = block.weight.size();
    report = RunImage(block, MadeUpVisibilities(block), request, context);
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["samples"] = static_cast<double>(n_samples);
  state.counters["operator_GiB"] = static_cast<double>(report.figures.peak_memory_bytes) / (1 << 30);
  state.counters["nodes"] = static_cast<double>(report.figures.n_nodes);
  state.counters["peak_GiB"] = static_cast<double>(usage.ru_maxrss) / 1048576;
  state.counters["read"] = report.timings.read_s;  // making them up, here
  state.counters["prepare"] = report.timings.prepare_s;
  state.counters["dirty"] = report.timings.dirty_s;
  state.counters["clean"] = report.timings.clean_s;
  state.counters["major"] = report.timings.major_s;
  state.counters["rms_over_thermal"] = report.quality.rms_over_thermal;
  const FitsImage image = ReadFitsImage(folder / "large.image.fits");
  for (std::size_t i = 0; i < std::size(kSky); ++i) {
    const PixelPosition at = DirectionToPixel(image.header.geometry, kSky[i].l, kSky[i].m);
    const auto x = static_cast<std::size_t>(std::lround(at.x)), y = static_cast<std::size_t>(std::lround(at.y));
    state.counters["flux_ratio_" + std::to_string(i + 1)] = image.view()(y, x) / kSky[i].flux_jy;
  }
  std::filesystem::remove_all(folder);
}
BENCHMARK(BM_LargeArray)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);

}  // namespace
}  // namespace contimg::image

BENCHMARK_MAIN();
