// Calibration on a full tile: 96 antennas, 4656 baselines, 24 integrations, 768 channels, 2 polarisations.
// Run by `./run bench calibrate`. Time is wall-clock with all processors; data are in memory. And the cone search over
// two million catalogue sources.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <vector>

#include "calibrate/apply.h"
#include "calibrate/predict.h"
#include "calibrate/solve.h"
#include "config/machine.h"
#include "config/telescope.h"
#include "convert/phase.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

using namespace calibrate;  // NOLINT: a benchmark program

struct Tile {
  std::unique_ptr<VisibilityBlock> block;
  Prediction model;
};

SkySource SourceAt(const PhaseCentre& centre, double east_deg, double north_deg, double flux_jy) {
  SkySource source;
  source.dec_rad = centre.dec_rad + Angle::Degrees(north_deg).rad();
  source.ra_rad = centre.ra_rad + Angle::Degrees(east_deg).rad() / std::cos(centre.dec_rad);
  source.flux_jy = flux_jy;
  return source;
}

std::unique_ptr<VisibilityBlock> EmptyTile() {
  auto block = std::make_unique<VisibilityBlock>();
  block->polarisations = {Polarisation::kXX, Polarisation::kYY};
  block->channel_width_hz = kDsa110ChannelWidthHz;
  for (int t = 0; t < kDsa110IntegrationsPerFile; ++t) {
    block->time_mjd_s.push_back(60961.5 * 86400 + t * kDsa110IntegrationS);
    block->integration_s.push_back(kDsa110IntegrationS);
  }
  for (int s = kDsa110Subbands - 1; s >= 0; --s) {
    block->windows.push_back({s, block->frequency_hz.size(), kDsa110ChannelsPerSubband, ""});
    for (int c = kDsa110ChannelsPerSubband - 1; c >= 0; --c) {
      block->frequency_hz.push_back(Dsa110ChannelFrequencyHz(s, c));
    }
  }
  for (const Station& station : Dsa110Stations()) {
    if (!station.active) continue;
    block->antennas.names.push_back(std::to_string(station.number));
    block->antennas.numbers.push_back(station.number - 1);
    block->antennas.positions_itrf_m.push_back(ToItrf(station.position()));
    block->antennas.diameters_m.push_back(kDsa110DishDiameterM);
  }
  const int n = static_cast<int>(block->antennas.size());
  for (int p = 0; p < n; ++p) {
    for (int q = p; q < n; ++q) block->baselines.push_back({p, q});
  }
  block->site.latitude_rad = kDsa110Centre.latitude_rad;
  block->site.longitude_rad = kDsa110Centre.longitude_rad;
  block->site.height_m = kDsa110Centre.height_m;
  block->app_dec_rad = 0.2817;  // 16.14 deg
  block->group_id = "benchmark";
  block->Allocate();
  const convert::EarthOrientationTable orientation;
  convert::PhasePlan(*block, convert::TileCentre(*block, orientation), orientation).Finish(*block);
  return block;
}

// One 15 Jy calibrator in the middle, gains with delays, 2.6 Jy of noise per visibility.
Tile& CalibratorTile() {
  static Tile tile = [] {
    Tile made{EmptyTile(), {}};
    VisibilityBlock& block = *made.block;
    made.model = Predict(block, {SourceAt(block.phase_centre, 0, 0, 15)}, {}, AvailableProcessors());
    std::mt19937 random(1);
    std::uniform_real_distribution<float> unit(0, 1);
    std::vector<std::complex<float>> gains;
    for (std::size_t a = 0; a < 2 * block.antennas.size(); ++a) {
      const float amplitude = 0.5F + unit(random), phase = 6.28F * unit(random), slope = 0.1F * (unit(random) - 0.5F);
      for (std::size_t c = 0; c < block.n_channels(); ++c) {
        gains.push_back(std::polar(amplitude, phase + slope * static_cast<float>(c)));
      }
    }
    std::normal_distribution<float> normal(0, 1.84F);
    std::vector<Visibility> noise(1 << 16);
    for (Visibility& v : noise) v = {normal(random), normal(random)};
    const auto [n_t, n_b, n_c, n_p] = block.shape();
    std::size_t i = 0;
    for (std::size_t t = 0; t < n_t; ++t) {
      for (std::size_t b = 0; b < n_b; ++b) {
        const std::size_t shift = random() & 0xFFFF;
        const auto* p = gains.data() + 2 * static_cast<std::size_t>(block.baselines[b].antenna1) * n_c;
        const auto* q = gains.data() + 2 * static_cast<std::size_t>(block.baselines[b].antenna2) * n_c;
        for (std::size_t c = 0; c < n_c; ++c) {
          const Visibility m = made.model.model[(t * n_b + b) * n_c + c];
          for (std::size_t r = 0; r < n_p; ++r, ++i) {
            block.vis[i] = p[r * n_c + c] * m * std::conj(q[r * n_c + c]) + noise[(i + shift) & 0xFFFF];
            block.weight[i] = 96;
          }
        }
      }
    }
    return made;
  }();
  return tile;
}

RunContext AllProcessors() {
  RunContext context;
  context.threads = AvailableProcessors();
  return context;
}

void BM_PredictSources(benchmark::State& state) {
  const VisibilityBlock& block = *CalibratorTile().block;
  std::mt19937 random(2);
  std::uniform_real_distribution<double> offset(-1.5, 1.5);
  std::vector<SkySource> sources;
  for (int k = 0; k < state.range(0); ++k) {
    sources.push_back(SourceAt(block.phase_centre, offset(random), offset(random), 0.1));
  }
  for (auto _ : state) benchmark::DoNotOptimize(Predict(block, sources, {}, AvailableProcessors()).model.data());
}
BENCHMARK(BM_PredictSources)->Arg(1)->Arg(100)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

void BM_SolveDelayBandpassGain(benchmark::State& state) {
  const Tile& tile = CalibratorTile();
  for (auto _ : state) {
    const SolveResult result = SolveCalibration(*tile.block, tile.model.view(), {}, AllProcessors());
    for (const KindReport& report : result.reports) {
      state.counters[std::string(ToString(report.kind)) + "_s"] = report.seconds;
    }
  }
}
BENCHMARK(BM_SolveDelayBandpassGain)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

void BM_SolveBandpassOnly(benchmark::State& state) {
  const Tile& tile = CalibratorTile();
  SolveParams params;
  params.delay = params.gain = false;
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        SolveCalibration(*tile.block, tile.model.view(), params, AllProcessors()).solutions.size());
  }
}
BENCHMARK(BM_SolveBandpassOnly)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

void BM_SolveHourlyGain(benchmark::State& state) {
  const Tile& tile = CalibratorTile();
  static const SolveResult day = SolveCalibration(*tile.block, tile.model.view(), {}, AllProcessors());
  SolveParams params;
  params.delay = params.bandpass = false;
  params.fixed = {&day.solutions[0], &day.solutions[1]};
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        SolveCalibration(*tile.block, tile.model.view(), params, AllProcessors()).solutions.size());
  }
}
BENCHMARK(BM_SolveHourlyGain)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

// Sources within 2 degrees of random directions, among two million with NVSS's counts (a field holds about 600 of
// them).
void BM_ConeSearch(benchmark::State& state) {
  const TemporaryFolder folder("bench");
  {
    state::SourceStore store(folder / "sources.sqlite3");
    std::mt19937 random(4);
    std::uniform_real_distribution<double> unit(0, 1);
    std::vector<state::SourceRow> rows(2000000);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].catalogue = "nvss";
      rows[i].name = std::to_string(i);
      rows[i].ra_deg = 360 * unit(random);
      rows[i].dec_deg = std::asin(2 * unit(random) - 1) * 180 / kPi;
      rows[i].flux_jy = 0.0025 / std::max(1e-4, unit(random));
    }
    store.Save(rows);
    double worst = 0;
    std::size_t found = 0, searches = 0;
    for (auto _ : state) {
      const double ra = 360 * unit(random), dec = -30 + 110 * unit(random);
      const auto start = std::chrono::steady_clock::now();
      found += store.Cone(ra, dec, 2, "nvss").size();
      worst = std::max(worst, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
      ++searches;
    }
    state.counters["worst_ms"] = 1e3 * worst;
    state.counters["sources"] = static_cast<double>(found) / static_cast<double>(searches);
  }
}
BENCHMARK(BM_ConeSearch)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(200);

// Last: it changes the tile. Evaluation of the tables is part of it.
void BM_Apply(benchmark::State& state) {
  Tile& tile = CalibratorTile();
  static const SolveResult day = SolveCalibration(*tile.block, tile.model.view(), {}, AllProcessors());
  std::vector<ApplyTable> tables;
  for (const SolutionSet& set : day.solutions) tables.push_back({&set, Interpolation::kNearest, "table"});
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        ApplyGains(*tile.block, EvaluateGains(*tile.block, tables), {}, AvailableProcessors()).samples);
  }
}
BENCHMARK(BM_Apply)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(3);

}  // namespace
}  // namespace contimg

BENCHMARK_MAIN();
