// Flagging of a full tile (96 antennas, 4656 baselines, 24 integrations, 768 channels, 2 polarisations) and what the
// two engines find and miss. Run by `./run bench flag`; with FLAG_ROC=1 also prints the tables of docs/flagging.md.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <vector>

#include "calibrate/flag_aoflagger.h"
#include "calibrate/flag_residual.h"
#include "calibrate/flag_rfi.h"
#include "calibrate/flag_tile.h"
#include "config/machine.h"
#include "config/parallel.h"
#include "tests/oracle/interference.h"

namespace contimg {
namespace {

using namespace calibrate;  // NOLINT: a benchmark program
using oracle::InterferenceKind;

// 64 different baselines with a little of everything, repeated over the tile.
VisibilityBlock FullTile() {
  constexpr int kAntennas = 96;
  constexpr std::size_t kDifferent = 64;
  VisibilityBlock block;
  for (int a = 0; a < kAntennas; ++a) {
    block.antennas.names.push_back(std::to_string(a));
    for (int b = a; b < kAntennas; ++b) block.baselines.push_back({a, b});
  }
  for (int t = 0; t < 24; ++t) block.time_mjd_s.push_back(12.9 * t);
  for (int c = 0; c < 768; ++c) block.frequency_hz.push_back(1.31e9 + 244140.625 * c);
  block.channel_width_hz = 244140.625;
  block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  block.Allocate();
  std::vector<oracle::Scene> scenes;
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    oracle::SceneParams params;
    params.n_baselines = kDifferent / std::size(oracle::kInterferenceKinds) + 1;
    params.kind = kind;
    params.events = 1;
    params.seed = static_cast<std::uint32_t>(kind);
    scenes.push_back(MakeScene(params));
  }
  const std::size_t row = block.n_channels() * block.n_pols();
  ParallelFor(AvailableProcessors(), block.n_times(), [&](std::size_t t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const oracle::Scene& scene = scenes[b % scenes.size()];
      const std::size_t from = b / scenes.size() % scene.params.n_baselines;
      std::copy_n(scene.vis.data() + (t * scene.params.n_baselines + from) * row, row,
                  block.vis.data() + (t * block.n_baselines() + b) * row);
    }
  });
  return block;
}

VisibilityBlock& TheTile() {
  static VisibilityBlock tile = FullTile();
  return tile;
}

void Report(benchmark::State& state, const FlagReport& report) {
  state.counters["flagged_%"] = 100 * report.total.fraction();
  state.counters["Msamples/s"] = benchmark::Counter(static_cast<double>(report.total.samples) / 1e6,
                                                    benchmark::Counter::kIsIterationInvariantRate);
}

void FlagFullTile(benchmark::State& state, const std::string& engine) {
  if (engine == "aoflagger" && AoflaggerVersion().empty()) {
    state.SkipWithError("AOFlagger's library is not installed");
    return;
  }
  VisibilityBlock& tile = TheTile();
  FlagSettings settings;
  settings.engine = engine;
  FlagReport report;
  for (auto _ : state) {
    state.PauseTiming();
    std::memset(tile.flag.data(), 0, tile.flag.size());
    state.ResumeTiming();
    report = FlagTile(tile, settings, AvailableProcessors());
  }
  Report(state, report);
}
BENCHMARK_CAPTURE(FlagFullTile, sumthreshold, "sumthreshold")
    ->Unit(benchmark::kSecond)
    ->Iterations(3)
    ->UseRealTime()
    ->MeasureProcessCPUTime();
BENCHMARK_CAPTURE(FlagFullTile, aoflagger, "aoflagger")
    ->Unit(benchmark::kSecond)
    ->Iterations(1)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

void ClipFullTile(benchmark::State& state) {
  VisibilityBlock& tile = TheTile();
  for (auto _ : state) {
    state.PauseTiming();
    std::memset(tile.flag.data(), 0, tile.flag.size());
    state.ResumeTiming();
    benchmark::DoNotOptimize(ClipResiduals(tile, {}, {}, AvailableProcessors()));
  }
}
BENCHMARK(ClipFullTile)->Unit(benchmark::kSecond)->Iterations(3)->UseRealTime()->MeasureProcessCPUTime();

// What an engine makes of one scene. Detection: samples of at least half the peak interference. False alarms: samples
// with none at all.
struct Rates {
  double detected = 0, affected = 0, false_alarms = 0, clean = 0;
};

Rates Judge(const oracle::Scene& scene, const FlagSettings& settings) {
  const auto& s = scene.params;
  const std::array<std::size_t, 4> shape{s.n_times, s.n_baselines, s.n_channels, s.n_pols};
  std::vector<std::size_t> baselines(s.n_baselines);
  std::iota(baselines.begin(), baselines.end(), std::size_t{0});
  std::vector<std::uint8_t> flag(scene.vis.size());
  const auto search = settings.engine == "aoflagger" ? &FlagWithAoflagger : &FlagRfi;
  search({scene.vis.data(), shape}, {flag.data(), shape}, baselines, settings, AvailableProcessors());
  Rates rates;
  for (std::size_t i = 0; i < flag.size(); ++i) {
    if (scene.interference[i] >= 0.5f) {
      rates.affected += 1;
      rates.detected += flag[i];
    } else if (scene.interference[i] == 0) {
      rates.clean += 1;
      rates.false_alarms += flag[i];
    }
  }
  return rates;
}

oracle::Scene SceneOf(InterferenceKind kind, double strength) {
  oracle::SceneParams params;
  params.n_baselines = 32;
  params.kind = kind;
  params.strength = strength;
  params.seed = 77;
  return MakeScene(params);
}

void PrintRow(const std::string& label, const oracle::Scene& scene, double base_threshold) {
  std::string line = label;
  for (const char* engine : {"sumthreshold", "aoflagger"}) {
    FlagSettings settings;
    settings.engine = engine;
    settings.base_threshold = base_threshold;
    const Rates r = Judge(scene, settings);
    line += fmt::format(" {:>8.2f} {:>8.3f}", r.affected > 0 ? 100 * r.detected / r.affected : 0,
                        100 * r.false_alarms / r.clean);
  }
  fmt::print("{}\n", line);
}

void PrintRates() {
  fmt::print("kind       strength  ours: detected %, false alarms %; AOFlagger {}: the same\n", AoflaggerVersion());
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    for (double strength : {1.0, 2.0, 3.0, 5.0, 10.0, 30.0}) {
      PrintRow(fmt::format("{:<10} {:>8.1f} ", Name(kind), strength), SceneOf(kind, strength), 1);
    }
  }
  fmt::print("kind      threshold  (strength 3)\n");
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    const oracle::Scene scene = SceneOf(kind, 3);
    for (double base : {0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0}) {
      PrintRow(fmt::format("{:<10} {:>8.1f} ", Name(kind), base), scene, base);
    }
  }
  PrintRow(fmt::format("{:<10} {:>8.1f} ", "none", 0.0), SceneOf(InterferenceKind::kNone, 0), 1);
}

}  // namespace
}  // namespace contimg

int main(int argc, char** argv) {
  if (std::getenv("FLAG_ROC") != nullptr) contimg::PrintRates();
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
