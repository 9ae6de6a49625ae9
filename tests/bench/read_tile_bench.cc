// ReadTile on a full tile. CONTIMG_BENCH_TILE names a folder with the subbands of one group (make one with
// `contimg simulate`). The first repetition also pays for memory that the system has not handed out before.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "config/machine.h"
#include "ingest/uvh5_reader.h"

namespace contimg {
namespace {

void ReadTile(benchmark::State& state) {
  const char* folder = std::getenv("CONTIMG_BENCH_TILE");
  if (folder == nullptr) {
    state.SkipWithError("set CONTIMG_BENCH_TILE to a folder with the subbands of one group");
    return;
  }
  std::vector<std::filesystem::path> paths;
  std::uintmax_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".hdf5") continue;
    paths.push_back(entry.path());
    bytes += entry.file_size();
  }
  RunContext context;
  context.threads = AvailableProcessors();
  for (auto _ : state) benchmark::DoNotOptimize(ingest::ReadTile(paths, context));
  state.SetBytesProcessed(static_cast<std::int64_t>(bytes) * static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK(ReadTile)->Unit(benchmark::kMillisecond)->UseRealTime()->Iterations(5);

}  // namespace
}  // namespace contimg

BENCHMARK_MAIN();
