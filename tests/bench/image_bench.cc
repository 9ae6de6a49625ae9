// Imaging one Measurement Set beside wsclean in one run, each as a process of its own. CONTIMG_BENCH_MS names the set
// (for example a full tile made by `contimg simulate` and `contimg convert`); without it there is nothing to measure.
// Counters give seconds inside, peak memory, and what the image is like.
#include <benchmark/benchmark.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "config/machine.h"

namespace {

namespace fs = std::filesystem;

const char* MeasurementSet() { return std::getenv("CONTIMG_BENCH_MS"); }

fs::path Folder() {
  const fs::path folder = fs::temp_directory_path() / "contimg_bench_image";
  fs::create_directories(folder);
  return folder;
}

// Runs a command of the shell. Whether it succeeded; its largest process' memory.
bool Run(const std::string& command, double& peak_gib) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::execl("/bin/sh", "sh", "-c", ("exec " + command).c_str(), nullptr);
    ::_exit(127);
  }
  int status = 0;
  rusage usage{};
  if (child < 0 || ::wait4(child, &status, 0, &usage) != child) return false;
  peak_gib = static_cast<double>(usage.ru_maxrss) / 1048576;
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void Image(benchmark::State& state, const std::string& options) {
  if (MeasurementSet() == nullptr) {
    state.SkipWithError("set CONTIMG_BENCH_MS");
    return;
  }
  const fs::path program = fs::read_symlink("/proc/self/exe").parent_path() / "contimg", prefix = Folder() / "contimg";
  const std::string command = "'" + program.string() + "' --log-level error image '" + MeasurementSet() + "' --out '" +
                              prefix.string() + "' --overwrite --no-durable " + options + " > '" + prefix.string() +
                              ".log' 2>&1";
  double peak_gib = 0;
  for (auto _ : state) {
    if (!Run(command, peak_gib)) state.SkipWithError("contimg image failed: see contimg.log");
  }
  std::ifstream file(prefix.string() + ".metrics.json");
  const nlohmann::json report = nlohmann::json::parse(file, nullptr, false);
  if (report.is_discarded()) return;
  for (const auto& [name, seconds] : report["seconds"].items()) state.counters[name] = seconds.get<double>();
  state.counters["rms_uJy"] = 1e6 * report["quality"]["rms_jy"].get<double>();
  state.counters["peak_GiB"] = peak_gib;
}

void BM_Dirty(benchmark::State& state) { Image(state, "--dirty-only"); }
void BM_Clean(benchmark::State& state) { Image(state, ""); }

void Wsclean(benchmark::State& state, const std::string& options) {
  if (MeasurementSet() == nullptr || std::system("command -v wsclean > /dev/null") != 0) {
    state.SkipWithError("needs CONTIMG_BENCH_MS and wsclean");
    return;
  }
  const std::string command = "env -C '" + Folder().string() + "' OPENBLAS_NUM_THREADS=1 wsclean -j " +
                              std::to_string(contimg::AvailableProcessors()) +
                              " -name peer -reorder -size 4800 4800 -scale 3asec -weight briggs 0.5 -minuv-l 1000 " +
                              options + " '" + MeasurementSet() + "' > '" + (Folder() / "peer.log").string() + "' 2>&1";
  double peak_gib = 0;
  for (auto _ : state) {
    if (!Run(command, peak_gib)) state.SkipWithError("wsclean failed: see peer.log");
  }
  state.counters["peak_GiB"] = peak_gib;
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
