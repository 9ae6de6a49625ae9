// The imager's measurement operator on a full tile: 96 stations, 24 integrations, 768 channels, 2 hands (84 M Stokes I
// samples) of random visibilities, 4800 x 4800 pixels of 3 arcsec. BM_Accuracy compares with a direct sum at 64 pixels
// (minutes and 5 GB). Times are wall clock; `cpu` is the processor time of all threads.
#include <benchmark/benchmark.h>

#include <cmath>
#include <memory>
#include <vector>

#include "config/machine.h"
#include "config/parallel.h"
#include "config/telescope.h"
#include "image/operator/measurement_operator.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

constexpr double kArcsec = kPi / 648000;

// East, north and up of the active stations about the array centre.
std::vector<std::array<double, 3>> ActiveStations() {
  constexpr double kEarthRadiusM = 6.371e6;  // a local plane is good enough for speed and accuracy tests
  std::vector<std::array<double, 3>> stations;
  for (const Station& station : Dsa110Stations()) {
    if (!station.active) continue;
    const Geodetic at = station.position();
    stations.push_back({(at.longitude_rad - kDsa110Centre.longitude_rad) * std::cos(at.latitude_rad) * kEarthRadiusM,
                        (at.latitude_rad - kDsa110Centre.latitude_rad) * kEarthRadiusM,
                        at.height_m - kDsa110Centre.height_m});
  }
  return stations;
}

// The 309 s of a tile in `n_times` integrations.
VisibilityBlock MakeTile(std::size_t n_times) {
  RandomTile tile;
  tile.east_north_up_m = ActiveStations();
  tile.n_times = n_times;
  tile.interval_s *= 24.0 / static_cast<double>(n_times);
  tile.n_channels = 768;
  tile.flagged = 0.05;
  return MakeRandomTile(tile, AvailableProcessors());
}

const VisibilityBlock& FullTile() {
  static const VisibilityBlock block = MakeTile(24);
  return block;
}

ImageGeometry Geometry() {
  ImageGeometry g;
  g.nx = g.ny = 4800;
  g.cell_rad = 3 * kArcsec;
  return g;
}

OperatorSettings Settings(double accuracy = 3e-5) {
  OperatorSettings settings;
  settings.threads = AvailableProcessors();
  settings.accuracy = accuracy;
  return settings;
}

struct Image {
  explicit Image(const ImageGeometry& g) : pixels(g.nx * g.ny), view(pixels.data(), {g.ny, g.nx}) {}
  std::vector<float> pixels;
  ArrayView<float, 2> view;
};

const MeasurementOperator& Operator() {
  static const MeasurementOperator op(FullTile(), Geometry(), {}, Settings());
  return op;
}

void Report(benchmark::State& state, const OperatorFigures& figures) {
  state.counters["samples"] = static_cast<double>(figures.n_used);
  state.counters["nodes"] = static_cast<double>(figures.n_nodes);
  state.counters["terms"] = static_cast<double>(figures.n_w_terms);
  state.counters["held_MiB"] = static_cast<double>(figures.memory_bytes) / 1048576;
  state.counters["peak_MiB"] = static_cast<double>(figures.peak_memory_bytes) / 1048576;
}

// Weights, compression and Gram matrices from the block in memory.
void BM_Construct(benchmark::State& state) {
  const VisibilityBlock& block = FullTile();
  WeightSettings weights;
  weights.mode = state.range(0) == 0 ? WeightMode::kNatural : WeightMode::kBriggs;
  OperatorSettings settings = Settings();
  settings.prepare_residual = state.range(1) != 0;
  for (auto _ : state) {
    const MeasurementOperator op(block, Geometry(), weights, settings);
    Report(state, op.figures());
  }
}
BENCHMARK(BM_Construct)
    ->ArgNames({"briggs", "residual"})
    ->Args({0, 0})
    ->Args({1, 0})
    ->Args({1, 1})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Iterations(3);

// From the block in memory to the dirty image, everything included.
void BM_BlockToDirty(benchmark::State& state) {
  const VisibilityBlock& block = FullTile();
  OperatorSettings settings = Settings();
  settings.prepare_residual = false;
  Image image(Geometry());
  for (auto _ : state) {
    const MeasurementOperator op(block, Geometry(), {}, settings);
    op.Dirty(image.view);
  }
}
BENCHMARK(BM_BlockToDirty)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(5);

void BM_Dirty(benchmark::State& state) {
  const MeasurementOperator& op = Operator();
  Image image(op.geometry());
  for (auto _ : state) op.Dirty(image.view);
  Report(state, op.figures());
}
BENCHMARK(BM_Dirty)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(5);

void BM_Psf(benchmark::State& state) {
  const MeasurementOperator& op = Operator();
  Image image(op.geometry());
  for (auto _ : state) op.Psf(image.view);
}
BENCHMARK(BM_Psf)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(5);

void BM_Residual(benchmark::State& state) {
  const MeasurementOperator& op = Operator();
  Image model(op.geometry());
  Image residual(op.geometry());
  for (std::size_t i = 0; i < model.pixels.size(); i += 76801) model.pixels[i] = 1;
  for (auto _ : state) op.Residual(model.view, residual.view);
}
BENCHMARK(BM_Residual)->Unit(benchmark::kMillisecond)->UseRealTime()->MeasureProcessCPUTime()->Iterations(5);

// Relative rms and largest error against the direct sum, Briggs weights, random data, at 64 pixels with the corners;
// half of the integrations, because the samples of the direct sum take 56 bytes each.
void BM_Accuracy(benchmark::State& state) {
  const double accuracy = std::pow(10.0, -0.1 * static_cast<double>(state.range(0)));
  static const VisibilityBlock block = MakeTile(12);
  const MeasurementOperator op(block, Geometry(), {}, Settings(accuracy));
  const ImageGeometry& g = op.geometry();
  Image image(g);
  op.Dirty(image.view);
  static std::vector<oracle::DirectSample> samples;
  if (samples.empty()) {
    samples = OracleSamples(block);
    const double field = std::round(1.2 * static_cast<double>(g.nx)) * g.cell_rad;
    oracle::DirectDensityWeights(samples, field, field, WeightSettings{}.robust);
  }
  static std::vector<double> direct(64);
  std::vector<double> got(direct.size());
  const bool known = direct[0] != 0;
  for (auto _ : state) {
    ParallelFor(AvailableProcessors(), direct.size(), [&](std::size_t i) {
      const std::size_t x = i < 4 ? (i % 2) * (g.nx - 1) : (i * 7919 + 13) % g.nx;
      const std::size_t y = i < 4 ? (i / 2) * (g.ny - 1) : (i * 104729 + 7) % g.ny;
      const DirectionCosines at = PixelToDirection(g, static_cast<double>(x), static_cast<double>(y));
      if (!known) direct[i] = oracle::DirectDirty(samples, at.l, at.m);
      got[i] = image.view(y, x);
    });
  }
  double error = 0, reference = 0, largest = 0;
  for (std::size_t i = 0; i < direct.size(); ++i) {
    error += (got[i] - direct[i]) * (got[i] - direct[i]);
    reference += direct[i] * direct[i];
    largest = std::max(largest, std::fabs(got[i] - direct[i]));
  }
  state.counters["relative_rms"] = std::sqrt(error / reference);
  state.counters["largest_over_rms"] = largest / std::sqrt(reference / static_cast<double>(direct.size()));
  state.counters["requested"] = accuracy;
  Report(state, op.figures());
}
BENCHMARK(BM_Accuracy)
    ->ArgName("minus_10_log10")
    ->Arg(45)
    ->Arg(30)
    ->Arg(60)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime();

}  // namespace
}  // namespace contimg::image

BENCHMARK_MAIN();
