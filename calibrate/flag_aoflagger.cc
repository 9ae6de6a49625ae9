#include "calibrate/flag_aoflagger.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>

#include "calibrate/aoflagger/plugin.h"
#include "calibrate/flag_rfi_plan.h"
#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"

namespace contimg::calibrate {
namespace {

struct Library {
  decltype(&contimg_aoflagger_open) open = nullptr;
  decltype(&contimg_aoflagger_run) run = nullptr;
  decltype(&contimg_aoflagger_close) close = nullptr;
  decltype(&contimg_aoflagger_version) version = nullptr;
  std::string error;
};

template <typename Function>
void Find(void* object, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(object, name));
}

Library Load() {
  Library library;
  std::error_code ignored;
  const auto here = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::array<std::filesystem::path, 2> places{here / "libcontimg_aoflagger.so",
                                                    here.parent_path() / "lib/contimg/libcontimg_aoflagger.so"};
  for (const auto& place : places) {
    if (!Exists(place)) continue;
    void* object = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (object == nullptr) {
      library.error = dlerror();
      return library;
    }
    Find(object, "contimg_aoflagger_open", library.open);
    Find(object, "contimg_aoflagger_run", library.run);
    Find(object, "contimg_aoflagger_close", library.close);
    Find(object, "contimg_aoflagger_version", library.version);
    return library;
  }
  library.error = fmt::format("{} does not exist", places[0].string());
  return library;
}

const Library& TheLibrary() {
  static const Library library = Load();
  return library;
}

const Library& RequireLibrary() {
  const Library& library = TheLibrary();
  if (library.open == nullptr) {
    throw Error(
        ErrorKind::kResource, "flag", "aoflagger",
        fmt::format("the library cannot be loaded ({}); install libaoflagger0 or choose flag.engine=sumthreshold",
                    library.error));
  }
  return library;
}

// A strategy object that closes itself.
class Strategy {
 public:
  Strategy(const Library& library, const FlagSettings& settings) : library_(library), file_(settings.strategy_file) {
    const bool is_file = !file_.empty();
    const std::string script = is_file ? file_ : AoflaggerStrategy(settings);
    std::array<char, 512> error{};
    handle_ = library_.open(script.c_str(), is_file ? 1 : 0, error.data(), error.size());
    if (handle_ == nullptr) Fail(error.data());
  }
  Strategy(const Strategy&) = delete;
  Strategy& operator=(const Strategy&) = delete;
  ~Strategy() { library_.close(handle_); }

  void Run(const ContimgAoflaggerBaseline& baseline) {
    std::array<char, 512> error{};
    if (library_.run(handle_, &baseline, error.data(), error.size()) != 0) Fail(error.data());
  }

 private:
  [[noreturn]] void Fail(const char* message) const {
    throw Error(ErrorKind::kBadInput, "flag", file_.empty() ? "built-in AOFlagger strategy" : file_, message);
  }

  const Library& library_;
  std::string file_;
  void* handle_ = nullptr;
};

}  // namespace

std::string AoflaggerStrategy(const FlagSettings& s) {
  const std::size_t window_times = 2 * HalfKernel(s.kernel_times).size() - 1;
  const std::size_t window_channels = 2 * HalfKernel(s.kernel_channels).size() - 1;
  std::string script = fmt::format(
      "-- AOFlagger strategy of contimg: SumThreshold against a smooth background, in rounds of rising sensitivity,\n"
      "-- on the amplitudes of each polarisation; then the scale-invariant rank operator on their joint flags.\n"
      "local iterations = {}\nlocal base_threshold = {}\nlocal threshold_step = {}\nlocal transient_factor = {}\n"
      "local timestep_rms = {}\nlocal channel_rms = {}\nlocal final_timestep_rms = {}\nlocal time_resize = {}\n"
      "local window_times, window_channels = {}, {}\nlocal kernel_times, kernel_channels = {}, {}\n"
      "local sir_times, sir_channels = {}, {}\n",
      s.iterations, s.base_threshold, s.threshold_step, s.transient_factor, s.timestep_rms, s.channel_rms,
      s.final_timestep_rms, s.time_resize, window_times, window_channels, s.kernel_times, s.kernel_channels,
      s.sir_times, s.sir_channels);
  script += R"lua(
-- Amplitudes less a smooth background fitted to the unflagged ones; keeps the mask.
local function remove_background(original, flagged)
  local background = original:copy()
  background:set_mask(flagged)
  local coarse = aoflagger.downsample(background, time_resize, 1, true)
  aoflagger.low_pass_filter(coarse, window_times, window_channels, kernel_times, kernel_channels)
  aoflagger.upsample(coarse, background, time_resize, 1)
  local difference = original - background
  difference:set_mask(flagged)
  return difference
end

-- The flags of one polarisation's amplitudes; those they come with are known to be bad.
local function detect(original)
  local data = original:copy()
  for round = 1, iterations do
    local step = threshold_step ^ (iterations - round)
    local limit = base_threshold * step
    aoflagger.sumthreshold(data, limit * transient_factor, limit, true, true)
    if round < iterations then
      data:join_mask(original)
      aoflagger.threshold_timestep_rms(data, timestep_rms)
      aoflagger.threshold_channel_rms(data, channel_rms * step, true)
      data = remove_background(original, data)
    end
  end
  return data
end

function execute(input)
  local result = input:copy()
  result:clear_mask()
  for _, polarization in ipairs(input:get_polarizations()) do
    local amplitude = input:convert_to_polarization(polarization):convert_to_complex("amplitude")
    result:join_mask(detect(amplitude))
  end
  aoflagger.scale_invariant_rank_operator(result, sir_times, sir_channels)
  local final = result:copy()
  for _, polarization in ipairs(input:get_polarizations()) do
    local amplitude = result:convert_to_polarization(polarization):convert_to_complex("amplitude")
    aoflagger.threshold_timestep_rms(amplitude, final_timestep_rms)
    final:join_mask(amplitude)
  end
  input:set_mask(final)
end

function options()
  return {}
end
)lua";
  return script;
}

void FlagWithAoflagger(ArrayView<const Visibility, 4> vis, ArrayView<std::uint8_t, 4> flag,
                       const std::vector<std::size_t>& baselines, const FlagSettings& settings, int threads) {
  if (vis.shape() != flag.shape() || (vis.shape(3) != 1 && vis.shape(3) != 2 && vis.shape(3) != 4)) {
    throw Error(ErrorKind::kBug, "flag", "",
                "visibilities and flags must have the same shape and 1, 2 or 4 polarisations");
  }
  if (vis.empty() || baselines.empty()) return;
  const Library& library = RequireLibrary();
  const std::size_t samples = vis.shape(2) * vis.shape(3);
  const std::size_t workers = std::min<std::size_t>(std::max(threads, 1), baselines.size());
  std::atomic<std::size_t> next{0};
  ParallelFor(static_cast<int>(workers), workers, [&](std::size_t) {
    Strategy strategy(library, settings);
    for (std::size_t i = next++; i < baselines.size(); i = next++) {
      const std::size_t at = baselines[i] * samples;
      strategy.Run({reinterpret_cast<const float*>(vis.data() + at), flag.data() + at, vis.shape(1) * samples,
                    vis.shape(0), vis.shape(2), vis.shape(3)});
    }
  });
}

void CheckAoflagger(const FlagSettings& settings) { Strategy(RequireLibrary(), settings); }

std::string AoflaggerVersion() { return TheLibrary().version != nullptr ? TheLibrary().version() : ""; }

}  // namespace contimg::calibrate
