// Imaging one Measurement Set beside wsclean in one run. CONTIMG_BENCH_MS names the set (for example a full tile made
// by `contimg simulate` and `contimg convert`); without it there is nothing to measure. Counters give seconds inside.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "config/machine.h"
#include "convert/measurement_set_reader.h"
#include "image/image_stage.h"

namespace {

namespace fs = std::filesystem;
using contimg::image::ImageProducts;

const char* MeasurementSet() { return std::getenv("CONTIMG_BENCH_MS"); }

fs::path Folder() {
  const fs::path folder = fs::temp_directory_path() / "contimg_bench_image";
  fs::create_directories(folder);
  return folder;
}

// Reading is timed too: wsclean's time includes it.
void Image(benchmark::State& state, ImageProducts products) {
  if (MeasurementSet() == nullptr) {
    state.SkipWithError("set CONTIMG_BENCH_MS");
    return;
  }
  contimg::RunContext context;
  context.threads = contimg::AvailableProcessors();
  contimg::image::ImageRequest request;
  request.prefix = Folder() / "contimg";
  request.products = products;
  request.overwrite = true;
  request.durable = false;
  contimg::image::ImageReport report;
  for (auto _ : state) {
    const auto block = contimg::convert::ReadMeasurementSet(MeasurementSet(), {}, context);
    report = contimg::image::RunImage(*block, request, context);
  }
  state.counters["prepare"] = report.timings.prepare_s;
  state.counters["dirty"] = report.timings.dirty_s;
  state.counters["clean"] = report.timings.clean_s;
  state.counters["major"] = report.timings.major_s;
  state.counters["products"] = report.timings.products_s;
  state.counters["quality"] = report.timings.quality_s;
  state.counters["rms_uJy"] = 1e6 * report.quality.rms_jy;
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  state.counters["peak_GiB"] = static_cast<double>(usage.ru_maxrss) / 1048576;
}

void BM_Dirty(benchmark::State& state) { Image(state, ImageProducts::kDirtyOnly); }
void BM_Clean(benchmark::State& state) { Image(state, ImageProducts::kAll); }

void Wsclean(benchmark::State& state, const std::string& options) {
  if (MeasurementSet() == nullptr || std::system("command -v wsclean > /dev/null") != 0) {
    state.SkipWithError("needs CONTIMG_BENCH_MS and wsclean");
    return;
  }
  const std::string command = "cd " + Folder().string() + " && OPENBLAS_NUM_THREADS=1 wsclean -j " +
                              std::to_string(contimg::AvailableProcessors()) +
                              " -name peer -reorder -size 4800 4800 -scale 3asec -weight briggs 0.5 -minuv-l 1000 " +
                              options + " '" + MeasurementSet() + "' > peer.log 2>&1";
  for (auto _ : state) {
    if (std::system(command.c_str()) != 0) state.SkipWithError("wsclean failed: see peer.log");
  }
}

constexpr const char* kClean = "-niter 10000 -auto-mask 5 -auto-threshold 1 -mgain 0.8 ";
void BM_WscleanDirty(benchmark::State& state) { Wsclean(state, "-niter 0 -no-update-model-required"); }
void BM_WscleanDefault(benchmark::State& state) { Wsclean(state, kClean); }
void BM_WscleanTuned(benchmark::State& state) {
  Wsclean(state, std::string(kClean) + "-baseline-averaging 12 -no-update-model-required");
}

BENCHMARK(BM_Dirty)->Iterations(1)->Repetitions(3)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK(BM_Clean)->Iterations(1)->Repetitions(3)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK(BM_WscleanDirty)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK(BM_WscleanTuned)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);
BENCHMARK(BM_WscleanDefault)->Iterations(1)->UseRealTime()->Unit(benchmark::kSecond);

}  // namespace

BENCHMARK_MAIN();
