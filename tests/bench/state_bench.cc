// The databases at the sizes they must carry: 100 000 groups (every operator command < 0.2 s, dispatch < 10 ms) and
// 2 million catalogue sources (cone search of 2° < 10 ms).
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <random>

#include "config/time.h"
#include "state/group_store.h"
#include "state/source_store.h"
#include "tests/temporary_folder.h"

namespace contimg::state {
namespace {

namespace fs = std::filesystem;

const fs::path& Directory() {
  static const TemporaryFolder folder("bench");
  return folder.path();
}

// A year of groups: most done, some in every other state, 16 files each.
GroupStore& Groups() {
  static GroupStore store = [] {
    GroupStore fresh(Directory() / "ingest.sqlite3");
    const UtcTime start = UtcTime::FromIso8601("2025-01-01T00:00:00");
    fresh.database().Write([&] {
      for (int i = 0; i < 100000; ++i) {
        GroupRow row;
        row.id = (start + 309.0 * i).Iso8601();
        row.subbands_expected = 16;
        row.first_file_at = i;
        row.state = i % 100 < 90 ? GroupState::kDone : static_cast<GroupState>(i % 9);
        if (row.state == GroupState::kRunning) row.state = GroupState::kReady;
        std::vector<SubbandFileRow> files(16);
        for (int s = 0; s < 16; ++s) {
          files[s].subband = s;
          files[s].path = fmt::format("/stage/incoming/{}_sb{:02}.hdf5", row.id, s);
          files[s].seen_at = i;
        }
        fresh.AddFiles(row, files, "bench", i);
      }
    });
    return fresh;
  }();
  return store;
}

SourceStore& Sources() {
  static SourceStore store = [] {
    SourceStore fresh(Directory() / "master_sources.sqlite3");
    std::mt19937_64 random(1);
    std::uniform_real_distribution<double> unit(0, 1);
    std::vector<SourceRow> rows(2000000);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      rows[i].catalogue = "nvss";
      rows[i].name = fmt::format("{}", i);
      rows[i].ra_deg = 360 * unit(random);
      rows[i].dec_deg = -40 + 130 * unit(random);
      rows[i].flux_jy = unit(random);
    }
    fresh.Save(rows);
    return fresh;
  }();
  return store;
}

void Summary(benchmark::State& state) {
  Groups();  // filled outside the timed loop
  for (auto _ : state) benchmark::DoNotOptimize(Groups().Summary());
}
BENCHMARK(Summary)->Unit(benchmark::kMillisecond);

void FindById(benchmark::State& state) {
  const std::string id =
      Groups().List({.states = {}, .id_from = {}, .id_before = {}, .error_kind = {}, .limit = 1}).at(0).id;
  for (auto _ : state) benchmark::DoNotOptimize(Groups().Find(id));
}
BENCHMARK(FindById)->Unit(benchmark::kMillisecond);

void ListNewest1000(benchmark::State& state) {
  Groups();
  GroupQuery query;
  query.limit = 1000;
  for (auto _ : state) benchmark::DoNotOptimize(Groups().List(query));
}
BENCHMARK(ListNewest1000)->Unit(benchmark::kMillisecond);

void ListDead(benchmark::State& state) {
  Groups();
  GroupQuery query;
  query.states = {GroupState::kDead};
  for (auto _ : state) benchmark::DoNotOptimize(Groups().List(query));
  state.counters["rows"] = static_cast<double>(Groups().List(query).size());
}
BENCHMARK(ListDead)->Unit(benchmark::kMillisecond);

void ListOneDay(benchmark::State& state) {
  Groups();
  GroupQuery query;
  query.id_from = "2025-06-01T00:00:00";
  query.id_before = "2025-06-02T00:00:00";
  for (auto _ : state) benchmark::DoNotOptimize(Groups().List(query));
}
BENCHMARK(ListOneDay)->Unit(benchmark::kMillisecond);

void AcquireAndHandBack(benchmark::State& state) {
  Groups();
  TransitionDetails details;
  details.actor = "bench";
  for (auto _ : state) {
    const auto row = Groups().AcquireNext("bench", QueueOrder::kNewest, 60, 1e9);
    Groups().Transition(row->id, GroupState::kReady, details, 1e8);
  }
}
BENCHMARK(AcquireAndHandBack)->Unit(benchmark::kMillisecond);

void Cone2Degrees(benchmark::State& state) {
  SourceStore& store = Sources();
  double ra = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(store.Cone(ra, 54.6, 2));
    ra = ra < 350 ? ra + 1.3 : 0;
  }
}
BENCHMARK(Cone2Degrees)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace contimg::state

BENCHMARK_MAIN();
