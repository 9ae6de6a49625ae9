#include "calibrate/aoflagger/plugin.h"

#include <aoflagger.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace {

// Loading a strategy starts a Lua interpreter and reads shared state of the library.
std::mutex load_mutex;

struct Loaded {
  aoflagger::AOFlagger flagger;
  aoflagger::Strategy strategy;
};

void Report(const std::exception& error, char* out, std::size_t size) { std::snprintf(out, size, "%s", error.what()); }

// For each channel of one integration the channel that stands in for it: itself when good, else its mirror image in the
// nearest good channel, or that channel itself where the mirror image is no good. Interpolated or constant values would
// have another noise than the data. Empty when no channel is good.
std::vector<std::size_t> StandIns(const std::vector<std::uint8_t>& bad) {
  const std::size_t n = bad.size();
  std::vector<std::size_t> before(n, n), after(n, n), stand_in(n);
  for (std::size_t c = 0; c < n; ++c) before[c] = bad[c] == 0 ? c : (c > 0 ? before[c - 1] : n);
  for (std::size_t c = n; c-- > 0;) after[c] = bad[c] == 0 ? c : (c + 1 < n ? after[c + 1] : n);
  for (std::size_t c = 0; c < n; ++c) {
    if (before[c] == n && after[c] == n) return {};
    const bool down = after[c] == n || (before[c] != n && c - before[c] <= after[c] - c);
    const std::size_t edge = down ? before[c] : after[c];
    const std::size_t distance = down ? c - edge : edge - c;
    std::size_t mirror = edge;
    if (down && edge >= distance) mirror = edge - distance;
    if (!down && edge + distance < n) mirror = edge + distance;
    stand_in[c] = bad[mirror] == 0 ? mirror : edge;
  }
  return stand_in;
}

// Copies one integration; `source` is the integration it is taken from (another one when all of its own is bad).
void FillTime(const ContimgAoflaggerBaseline& b, std::size_t t, std::size_t source,
              const std::vector<std::size_t>& stand_in, aoflagger::ImageSet& images) {
  const std::size_t stride = images.HorizontalStride();
  for (std::size_t p = 0; p < b.n_pols; ++p) {
    float* re = images.ImageBuffer(2 * p) + t;
    float* im = images.ImageBuffer(2 * p + 1) + t;
    for (std::size_t c = 0; c < b.n_channels; ++c) {
      const float* v = b.vis + 2 * (source * b.time_stride + stand_in[c] * b.n_pols + p);
      re[c * stride] = v[0];
      im[c * stride] = v[1];
    }
  }
}

void Run(Loaded& loaded, const ContimgAoflaggerBaseline& b) {
  auto images = loaded.flagger.MakeImageSet(b.n_times, b.n_channels, 2 * b.n_pols);
  auto existing = loaded.flagger.MakeFlagMask(b.n_times, b.n_channels, false);
  bool any_bad = false;
  std::vector<std::vector<std::size_t>> stand_ins(b.n_times);
  for (std::size_t t = 0; t < b.n_times; ++t) {
    std::vector<std::uint8_t> bad(b.n_channels);
    for (std::size_t c = 0; c < b.n_channels; ++c) {
      const std::uint8_t* f = b.flag + t * b.time_stride + c * b.n_pols;
      bad[c] = std::any_of(f, f + b.n_pols, [](std::uint8_t x) { return x != 0; });
      any_bad = any_bad || bad[c] != 0;
      existing.Buffer()[c * existing.HorizontalStride() + t] = bad[c] != 0;
    }
    stand_ins[t] = StandIns(bad);
  }
  if (std::all_of(stand_ins.begin(), stand_ins.end(), [](const auto& s) { return s.empty(); })) return;
  for (std::size_t t = 0; t < b.n_times; ++t) {
    std::size_t source = t;
    for (std::size_t d = 1; stand_ins[source].empty(); ++d) {
      if (t >= d && !stand_ins[t - d].empty()) source = t - d;
      if (t + d < b.n_times && !stand_ins[t + d].empty()) source = t + d;
    }
    FillTime(b, t, source, stand_ins[source], images);
  }
  const aoflagger::FlagMask found = any_bad ? loaded.strategy.Run(images, existing) : loaded.strategy.Run(images);
  for (std::size_t t = 0; t < b.n_times; ++t) {
    for (std::size_t c = 0; c < b.n_channels; ++c) {
      const bool was = existing.Buffer()[c * existing.HorizontalStride() + t];
      if (was || !found.Buffer()[c * found.HorizontalStride() + t]) continue;
      std::fill_n(b.flag + t * b.time_stride + c * b.n_pols, b.n_pols, std::uint8_t{1});
    }
  }
}

}  // namespace

extern "C" {

void* contimg_aoflagger_open(const char* strategy, int is_file, char* error, std::size_t error_size) {
  try {
    const std::lock_guard lock(load_mutex);
    auto loaded = std::make_unique<Loaded>();
    loaded->strategy =
        is_file != 0 ? loaded->flagger.LoadStrategyFile(strategy) : loaded->flagger.LoadStrategyString(strategy);
    return loaded.release();
  } catch (const std::exception& e) {
    Report(e, error, error_size);
    return nullptr;
  }
}

int contimg_aoflagger_run(void* handle, const ContimgAoflaggerBaseline* baseline, char* error, std::size_t error_size) {
  try {
    Run(*static_cast<Loaded*>(handle), *baseline);
    return 0;
  } catch (const std::exception& e) {
    Report(e, error, error_size);
    return 1;
  }
}

void contimg_aoflagger_close(void* handle) { delete static_cast<Loaded*>(handle); }

const char* contimg_aoflagger_version() {
  static const std::string version = aoflagger::AOFlagger::GetVersionString();
  return version.c_str();
}
}
