// Light curves at the size of 51 days: 1e7 measurements of 100 000 sources in 14 285 tiles of 700 (a light curve < 50
// ms, a tile with its statistics < 300 ms, a cone < 50 ms, the list of variables < 1 s), and the pages over it (a
// source's < 100 ms, a list < 300 ms).
#include <SQLiteCpp/SQLiteCpp.h>
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <random>
#include <vector>

#include "ops/lightcurves/flux_scales.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/web/web.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

constexpr int kSources = 100000;
constexpr int kInATile = 700;
constexpr double kTileDays = 309.0 / 86400;
constexpr double kSiderealRate = 360.98564736629;

// CONTIMG_BENCH_MEASUREMENTS measurements, 1e7 unless set.
int Tiles() {
  const char* wanted = std::getenv("CONTIMG_BENCH_MEASUREMENTS");
  return static_cast<int>((wanted != nullptr ? std::strtod(wanted, nullptr) : 1e7) / kInATile);
}

// Where the database is: CONTIMG_BENCH_FOLDER keeps it for the next run, which finds it made.
std::filesystem::path Folder() {
  static const TemporaryFolder temporary("bench");
  const char* wanted = std::getenv("CONTIMG_BENCH_FOLDER");
  return wanted != nullptr ? std::filesystem::path(wanted) : temporary.path();
}

// The made-up sky: sources by right ascension in one strip; a tile sees the 700 about its meridian.
struct MadeUp {
  MadeUp() {
    next = static_cast<int>(store.database().handle().execAndGet("SELECT count(*) FROM observations").getInt64());
    if (next == 0) Make();
    if (!places.empty()) return;
    state::OwnSourceStore sources(store.database());
    for (int i = 0; i < kSources; ++i) places.push_back(*sources.Find(i + 1));
  }

  void Make() {
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> unit(0, 1);
    state::OwnSourceStore sources(store.database());
    store.database().Write([&] {
      for (int i = 0; i < kSources; ++i) {
        state::OwnSourceRow row;
        row.ra_deg = 360.0 * i / kSources;
        row.dec_deg = 14 + 4 * unit(random);
        places.push_back(sources.Add(row));
      }
    });
    store.database().handle().exec("PRAGMA synchronous = OFF");
    // Raw rows first, then all figures at once: what `contimg lightcurve rebuild` does.
    const int n = Tiles();
    for (int tile = 0; tile < n;) {
      store.database().Write([&] {
        for (const int end = std::min(n, tile + 500); tile < end; ++tile) {
          const auto [observation, rows] = TileOf(tile, random);
          curves.ReplaceTile(observation, rows);
        }
      });
    }
    next = n;
    store.database().handle().exec("PRAGMA synchronous = FULL");
  }

  std::pair<state::ObservationRow, std::vector<state::MeasurementRow>> TileOf(int tile, std::mt19937_64& random) {
    std::normal_distribution<double> noise(0, 0.0003);
    state::ObservationRow observation;
    observation.group_id = fmt::format("tile{}", tile);
    observation.mjd = 60000 + tile * kTileDays;
    observation.lst_deg = std::fmod(tile * kTileDays * kSiderealRate, 360);
    observation.frequency_hz = 1.4e9;
    std::vector<state::MeasurementRow> rows;
    const int middle = static_cast<int>(observation.lst_deg / 360 * kSources);
    for (int k = -kInATile / 2; k < kInATile / 2; ++k) {
      state::MeasurementRow row;
      row.source_id = (middle + k + kSources) % kSources + 1;
      row.flux_jy = (row.source_id % 20 == 0 ? 0.03 : 0.003) + noise(random);  // some tell the flux scale
      row.flux_error_jy = 0.0003;
      row.local_rms_jy = 0.0003;
      rows.push_back(row);
    }
    return {observation, rows};
  }

  std::filesystem::path folder = Folder();
  state::SourceStore store{folder / "master_sources.sqlite3"};
  state::LightCurveStore curves{store.database()};
  LightCurveRecorder recorder{store.database()};
  std::vector<state::OwnSourceRow> places;
  int next = 0;
};

MadeUp& Sky() {
  static MadeUp sky;
  return sky;
}

void RebuildAll(benchmark::State& state) {
  Sky();
  for (auto _ : state) benchmark::DoNotOptimize(Sky().recorder.Rebuild());
  state.counters["GB"] = static_cast<double>(std::filesystem::file_size(Sky().folder / "master_sources.sqlite3")) / 1e9;
}
BENCHMARK(RebuildAll)->Unit(benchmark::kSecond)->Iterations(1);

// References, scales and all figures, as the service does it once a day while it records.
void NormaliseAll(benchmark::State& state) {
  NormaliseResult result;
  for (auto _ : state) result = NormaliseTiles(Sky().store.database(), {}, {});
  state.counters["references"] = static_cast<double>(result.references);
}
BENCHMARK(NormaliseAll)->Unit(benchmark::kSecond)->Iterations(1)->UseRealTime();

void OneLightCurve(benchmark::State& state) {
  std::mt19937_64 random(2);
  std::uniform_int_distribution<std::int64_t> any(1, kSources);
  state::OwnSourceStore sources(Sky().store.database());
  std::size_t points = 0;
  for (auto _ : state) points += LightCurveOf(Sky().curves, *sources.Find(any(random)), {}).size();
  state.counters["points"] = static_cast<double>(points) / static_cast<double>(state.iterations());
}
BENCHMARK(OneLightCurve)->Unit(benchmark::kMillisecond)->Iterations(1000);

// As it comes from the image: places, whose sources are found.
void RecordATile(benchmark::State& state) {
  std::mt19937_64 random(3);
  for (auto _ : state) {
    state.PauseTiming();
    const auto [observation, rows] = Sky().TileOf(Sky().next++, random);
    std::vector<PlacedMeasurement> measurements;
    for (const state::MeasurementRow& row : rows) {
      const state::OwnSourceRow& place = Sky().places.at(static_cast<std::size_t>(row.source_id - 1));
      measurements.push_back({place.ra_deg, place.dec_deg, row.flux_jy, row.flux_error_jy, row.local_rms_jy, 1, 0, ""});
    }
    state.ResumeTiming();
    Sky().recorder.Record(observation, measurements, 0);
  }
}
BENCHMARK(RecordATile)->Unit(benchmark::kMillisecond)->Iterations(50)->UseRealTime();

void RecordATileAgain(benchmark::State& state) {
  std::mt19937_64 random(4);
  for (auto _ : state) {
    state.PauseTiming();
    const auto [observation, rows] = Sky().TileOf(Sky().next / 2, random);
    state.ResumeTiming();
    Sky().recorder.Record(observation, rows);
  }
}
BENCHMARK(RecordATileAgain)->Unit(benchmark::kMillisecond)->Iterations(10)->UseRealTime();

void ForgetATile(benchmark::State& state) {
  for (auto _ : state) Sky().recorder.Forget(fmt::format("tile{}", --Sky().next));
}
BENCHMARK(ForgetATile)->Unit(benchmark::kMillisecond)->Iterations(10)->UseRealTime();

void ConeOf1Degree(benchmark::State& state) {
  state::OwnSourceStore sources(Sky().store.database());
  double ra = 0;
  std::size_t found = 0;
  for (auto _ : state) {
    found += sources.Near(ra, 16, 1).size();
    ra = ra < 350 ? ra + 1.3 : 0;
  }
  state.counters["sources"] = static_cast<double>(found) / static_cast<double>(state.iterations());
}
BENCHMARK(ConeOf1Degree)->Unit(benchmark::kMillisecond);

void ListVariables(benchmark::State& state) {
  Sky();
  state::VariableQuery query;
  query.max_p = 1e-3;
  std::size_t found = 0;
  for (auto _ : state) found = Sky().curves.VariableSources(query).size();
  state.counters["sources"] = static_cast<double>(found);
}
BENCHMARK(ListVariables)->Unit(benchmark::kMillisecond);

// As the service answers: pages over read-only connections.
struct Service {
  Service() {
    web.AddRoutes(router);
    web.view().SetStatus(nlohmann::ordered_json::object(), 0);
  }
  static DirectoryRoots Roots() {
    Sky();
    DirectoryRoots roots;
    roots.scratch = roots.state = Sky().folder;
    roots.images = roots.scratch / "images";
    return roots;
  }
  Web web{ProductPaths(Roots())};
  HttpRouter router;
};

void Answer(benchmark::State& state, const std::string& target) {
  static Service service;
  std::size_t bytes = 0;
  for (auto _ : state) {
    const HttpResponse response = service.router.Handle(ParseTarget("GET", target));
    if (response.status != 200) state.SkipWithError(response.body.c_str());
    bytes = response.body.size();
  }
  state.counters["kB"] = static_cast<double>(bytes) / 1e3;
}
BENCHMARK_CAPTURE(Answer, SourcePage, "/sources/50000")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, LightCurvePicture, "/lightcurves/50000.svg")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, LightCurveCsv, "/api/v1/lightcurves/50000?format=csv")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListByName, "/sources")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListByFlux, "/sources?sort=flux")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListByV, "/sources?sort=v&origin=manual")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListByEta, "/sources?sort=eta&min_n=2")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListThatFitsNothing, "/sources?eta=1e9&v=10")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListAboutAPlace, "/sources?q=180+16&radius_deg=5")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ListOfATile, "/sources?group=tile100&sort=flux")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Answer, ApiOf1000, "/api/v1/sources?limit=1000&sort=flux")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace contimg::ops

BENCHMARK_MAIN();
