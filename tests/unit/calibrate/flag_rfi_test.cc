#include "calibrate/flag_rfi.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <numeric>

#include "calibrate/flag_aoflagger.h"
#include "tests/oracle/flag_strategy.h"
#include "tests/oracle/interference.h"

namespace contimg::calibrate {
namespace {

using oracle::InterferenceKind;
using oracle::Scene;
using oracle::SceneParams;

std::array<std::size_t, 4> Shape(const SceneParams& s) { return {s.n_times, s.n_baselines, s.n_channels, s.n_pols}; }

std::vector<std::size_t> AllBaselines(const SceneParams& s) {
  std::vector<std::size_t> all(s.n_baselines);
  std::iota(all.begin(), all.end(), std::size_t{0});
  return all;
}

using Engine = decltype(&FlagRfi);

std::vector<std::uint8_t> Flagged(Engine engine, const Scene& scene, std::vector<std::uint8_t> flag = {},
                                  const FlagSettings& settings = {}, int threads = 1) {
  flag.resize(scene.vis.size());
  engine({scene.vis.data(), Shape(scene.params)}, {flag.data(), Shape(scene.params)}, AllBaselines(scene.params),
         settings, threads);
  return flag;
}

// Joint flags of the slow reference, in the tile's shape.
std::vector<std::uint8_t> Reference(const Scene& scene) {
  const SceneParams& s = scene.params;
  std::vector<std::uint8_t> flag(scene.vis.size());
  for (std::size_t b = 0; b < s.n_baselines; ++b) {
    std::vector<oracle::Plane> planes(s.n_pols, oracle::Plane(s.n_times, s.n_channels));
    auto at = [&](std::size_t t, std::size_t c, std::size_t p) {
      return ((t * s.n_baselines + b) * s.n_channels + c) * s.n_pols + p;
    };
    for (std::size_t t = 0; t < s.n_times; ++t) {
      for (std::size_t c = 0; c < s.n_channels; ++c) {
        for (std::size_t p = 0; p < s.n_pols; ++p)
          planes[p].value[t * s.n_channels + c] = std::abs(scene.vis[at(t, c, p)]);
      }
    }
    const auto found = oracle::FindInterference(planes);
    for (std::size_t t = 0; t < s.n_times; ++t) {
      for (std::size_t c = 0; c < s.n_channels; ++c) {
        for (std::size_t p = 0; p < s.n_pols; ++p) flag[at(t, c, p)] = found[t * s.n_channels + c];
      }
    }
  }
  return flag;
}

struct Comparison {
  double first = 0, second = 0, differ = 0;  // fractions of all samples
};

Comparison Compare(const std::vector<std::uint8_t>& a, const std::vector<std::uint8_t>& b) {
  Comparison result;
  for (std::size_t i = 0; i < a.size(); ++i) {
    result.first += a[i];
    result.second += b[i];
    result.differ += a[i] != b[i];
  }
  const auto n = static_cast<double>(a.size());
  return {result.first / n, result.second / n, result.differ / n};
}

// Float against double moves a limit by about 1e-5 of the noise, and a handful of the 10⁵ window means lies that close
// to theirs; each such window is up to 256 samples.
constexpr double kRoundingDifference = 3e-4;

TEST(FlagRfi, AgreesWithTheSlowReferenceOnEveryKindOfInterference) {
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    SceneParams params;
    params.n_times = 20;  // neither a multiple of three nor a power of two
    params.n_baselines = 5;
    params.n_channels = 200;
    params.kind = kind;
    params.strength = 6;
    const Scene scene = MakeScene(params);
    const Comparison c = Compare(Flagged(FlagRfi, scene), Reference(scene));
    EXPECT_GT(c.second, 0) << Name(kind);
    EXPECT_LE(c.differ, kRoundingDifference) << Name(kind) << ": flagged " << c.first << " and " << c.second;
  }
}

TEST(FlagRfi, AgreesWithAoflaggerOnMoreThan99PercentOfTheSamples) {
  if (AoflaggerVersion().empty()) GTEST_SKIP() << "AOFlagger's library is not installed";
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    SceneParams params;
    params.n_baselines = 4;
    params.kind = kind;
    const Scene scene = MakeScene(params);
    const Comparison c = Compare(Flagged(FlagRfi, scene), Flagged(FlagWithAoflagger, scene));
    EXPECT_LT(c.differ, 0.01) << Name(kind) << ": flagged " << c.first << " and " << c.second;
    RecordProperty("differ_" + Name(kind), std::to_string(c.differ));
    printf("%-10s ours %.5f aoflagger %.5f differ %.6f\n", Name(kind).c_str(), c.first, c.second, c.differ);
  }
}

}  // namespace
}  // namespace contimg::calibrate
