#include "calibrate/flag_rfi.h"

#include <gtest/gtest.h>
#include <hwy/targets.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

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

// SumThreshold with the limits of the papers, as the slow reference and AOFlagger have them.
FlagSettings WithoutScatter() {
  FlagSettings settings;
  settings.window_scatter = 0;
  return settings;
}

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
    const Comparison c = Compare(Flagged(FlagRfi, scene, {}, WithoutScatter()), Reference(scene));
    EXPECT_GT(c.second, 0) << Name(kind);
    EXPECT_LE(c.differ, kRoundingDifference) << Name(kind) << ": flagged " << c.first << " and " << c.second;
  }
}

// Vectors of 4, 8 and 16 lanes take different paths through masks and rounding.
TEST(FlagRfi, AgreesWithTheSlowReferenceOnEveryInstructionSetOfThisProcessor) {
  SceneParams params;
  params.n_times = 20;
  params.n_baselines = 5;
  params.n_channels = 150;
  params.kind = InterferenceKind::kBurst;
  params.strength = 6;
  const Scene scene = MakeScene(params);
  const auto reference = Reference(scene);
  for (std::int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    const std::int64_t target = targets & -targets;
    hwy::SetSupportedTargetsForTest(target);
    hwy::GetChosenTarget().Update(target);
    const Comparison c = Compare(Flagged(FlagRfi, scene, {}, WithoutScatter()), reference);
    EXPECT_LE(c.differ, kRoundingDifference) << hwy::TargetName(target);
    EXPECT_GT(c.first, 0) << hwy::TargetName(target);
    hwy::SetSupportedTargetsForTest(0);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(FlagRfi, AgreesWithAoflaggerOnMoreThan99PercentOfTheSamples) {
  if (AoflaggerVersion().empty()) GTEST_SKIP() << "AOFlagger's library is not installed";
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    SceneParams params;
    params.n_baselines = 4;
    params.kind = kind;
    const Scene scene = MakeScene(params);
    const Comparison c = Compare(Flagged(FlagRfi, scene, {}, WithoutScatter()), Flagged(FlagWithAoflagger, scene));
    EXPECT_LT(c.differ, 0.01) << Name(kind) << ": flagged " << c.first << " and " << c.second;
    EXPECT_GT(c.second, 0.001) << Name(kind);
  }
}

TEST(FlagRfi, AgreesWithAoflaggerWhenSomeDataAreFlaggedBefore) {
  if (AoflaggerVersion().empty()) GTEST_SKIP() << "AOFlagger's library is not installed";
  SceneParams params;
  params.n_baselines = 4;
  params.kind = InterferenceKind::kPulsed;
  const Scene scene = MakeScene(params);
  std::vector<std::uint8_t> before(scene.vis.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::size_t channel = i / params.n_pols % params.n_channels;
    before[i] = channel >= 96 && channel < 144;  // a missing subband
  }
  const Comparison c =
      Compare(Flagged(FlagRfi, scene, before, WithoutScatter()), Flagged(FlagWithAoflagger, scene, before));
  EXPECT_LT(c.differ, 0.01) << "flagged " << c.first << " and " << c.second;
}

TEST(FlagRfi, AgreesWithAoflaggerAtOtherSettings) {
  if (AoflaggerVersion().empty()) GTEST_SKIP() << "AOFlagger's library is not installed";
  SceneParams params;
  params.n_times = 40;
  params.n_baselines = 4;
  params.n_channels = 256;
  params.n_pols = 4;
  params.kind = InterferenceKind::kBurst;
  const Scene scene = MakeScene(params);
  FlagSettings settings = WithoutScatter();
  settings.base_threshold = 1.2;
  settings.iterations = 4;
  settings.transient_factor = 0.8;
  settings.time_resize = 2;
  settings.kernel_channels = 8;
  settings.sir_times = 0.303;  // no interval has exactly this fraction of good samples
  settings.sir_channels = 0.103;
  const Comparison c = Compare(Flagged(FlagRfi, scene, {}, settings), Flagged(FlagWithAoflagger, scene, {}, settings));
  EXPECT_GT(c.second, 0.001);
  EXPECT_LT(c.differ, 1e-3) << "flagged " << c.first << " and " << c.second;
}

TEST(FlagRfi, GivesTheSameFlagsForAnyNumberOfThreadsAndAnyOrderOfBaselines) {
  SceneParams params;
  params.n_baselines = 37;
  params.n_channels = 64;
  params.kind = InterferenceKind::kBurst;
  const Scene scene = MakeScene(params);
  const auto one = Flagged(FlagRfi, scene);
  EXPECT_EQ(one, Flagged(FlagRfi, scene, {}, {}, 3));
  std::vector<std::size_t> backwards = AllBaselines(params);
  std::reverse(backwards.begin(), backwards.end());
  std::vector<std::uint8_t> flag(scene.vis.size());
  FlagRfi({scene.vis.data(), Shape(params)}, {flag.data(), Shape(params)}, backwards, {}, 2);
  EXPECT_EQ(one, flag);
}

TEST(FlagRfi, LeavesOtherBaselinesAlone) {
  SceneParams params;
  params.n_baselines = 3;
  params.kind = InterferenceKind::kCarrier;
  params.strength = 20;
  const Scene scene = MakeScene(params);
  std::vector<std::uint8_t> flag(scene.vis.size());
  FlagRfi({scene.vis.data(), Shape(params)}, {flag.data(), Shape(params)}, {1}, {}, 1);
  std::array<std::size_t, 3> flagged{};
  for (std::size_t i = 0; i < flag.size(); ++i) flagged[i / (params.n_channels * params.n_pols) % 3] += flag[i];
  EXPECT_EQ(flagged[0], 0u);
  EXPECT_GT(flagged[1], 0u);
  EXPECT_EQ(flagged[2], 0u);
}

TEST(FlagRfi, FlagsAStrongCarrierInEveryPolarisation) {
  SceneParams params;
  params.n_baselines = 1;
  params.n_times = 24;
  params.n_channels = 128;
  Scene scene = MakeScene(params);
  for (std::size_t t = 0; t < params.n_times; ++t) scene.vis[(t * params.n_channels + 50) * 2] += 30.0f;  // XX alone
  const auto flag = Flagged(FlagRfi, scene);
  for (std::size_t t = 0; t < params.n_times; ++t) {
    EXPECT_EQ(flag[(t * params.n_channels + 50) * 2], 1);
    EXPECT_EQ(flag[(t * params.n_channels + 50) * 2 + 1], 1);
  }
}

// Samples flagged on entry may hold anything.
TEST(FlagRfi, IgnoresWhatIsUnderTheFlagsItGets) {
  SceneParams params;
  params.n_baselines = 2;
  params.n_channels = 96;
  const Scene clean = MakeScene(params);
  Scene wild = clean;
  std::vector<std::uint8_t> before(clean.vis.size());
  for (std::size_t i = 0; i < before.size(); i += 7) {
    before[i] = 1;
    wild.vis[i] = i % 2 == 0 ? std::complex<float>(NAN, 1e30f) : std::complex<float>(INFINITY, 0);
  }
  EXPECT_EQ(Flagged(FlagRfi, clean, before), Flagged(FlagRfi, wild, before));
}

TEST(FlagRfi, ReturnsFlaggedDataAsTheyAre) {
  SceneParams params;
  params.n_baselines = 2;
  params.n_channels = 32;
  const Scene scene = MakeScene(params);
  const std::vector<std::uint8_t> all(scene.vis.size(), 1);
  EXPECT_EQ(Flagged(FlagRfi, scene, all), all);
}

TEST(FlagRfi, TakesPlanesOfASingleSampleOrLine) {
  for (const auto& [times, channels] : {std::pair<std::size_t, std::size_t>{1, 1}, {1, 300}, {50, 1}, {2, 3}}) {
    SceneParams params;
    params.n_times = times;
    params.n_channels = channels;
    params.n_baselines = 2;
    params.n_pols = 1;
    EXPECT_EQ(Flagged(FlagRfi, MakeScene(params)).size(), times * channels * 2);
  }
}

// A bright calibrator before calibration: every channel has its own gain, a hundred times the noise.
TEST(FlagRfi, DoesNotTakeARoughBandForInterference) {
  SceneParams params;
  params.n_baselines = 4;
  params.n_channels = 64;
  Scene scene = MakeScene(params);
  for (std::size_t i = 0; i < scene.vis.size(); ++i) {
    const std::size_t c = i / params.n_pols % params.n_channels;
    scene.vis[i] += 100.0f * (1.0f + 0.2f * static_cast<float>((c * c * 31 + c * 17) % 13) / 13.0f);
  }
  const std::size_t carrier = 30;
  for (std::size_t i = 0; i < scene.vis.size(); ++i) {
    if (i / params.n_pols % params.n_channels == carrier) scene.vis[i] *= 5.0f;
  }
  const auto flag = Flagged(FlagRfi, scene);
  std::vector<double> by_channel(params.n_channels);
  for (std::size_t i = 0; i < flag.size(); ++i) by_channel[i / params.n_pols % params.n_channels] += flag[i];
  const double per_channel = static_cast<double>(flag.size()) / static_cast<double>(params.n_channels);
  EXPECT_EQ(by_channel[carrier], per_channel);
  EXPECT_LT(std::accumulate(by_channel.begin(), by_channel.end(), 0.0) - per_channel,
            0.05 * static_cast<double>(flag.size()));
}

// Bright sources off the centre: fringes that beat against each other over a few integrations and tens of channels.
Scene BrightField(InterferenceKind kind) {
  SceneParams params;
  params.n_baselines = 16;
  params.sky = 0;
  params.kind = kind;
  params.strength = 12;
  Scene scene = MakeScene(params);
  for (std::size_t i = 0; i < scene.vis.size(); ++i) {
    const std::size_t c = i / params.n_pols % params.n_channels;
    const std::size_t b = i / params.n_pols / params.n_channels % params.n_baselines;
    const double t = static_cast<double>(i / params.n_pols / params.n_channels / params.n_baselines);
    const double x = static_cast<double>(c), length = 0.3 + 0.1 * static_cast<double>(b);
    for (int source = 0; source < 3; ++source) {
      const double phase = 6.283 * length * (0.011 * (source - 1) * x + 0.05 * (source + 1) * t) + source;
      scene.vis[i] += std::polar(source == 0 ? 2.0f : 1.2f, static_cast<float>(phase));
    }
  }
  return scene;
}

double Fraction(const std::vector<std::uint8_t>& flag) {
  return std::accumulate(flag.begin(), flag.end(), 0.0) / static_cast<double>(flag.size());
}

TEST(FlagRfi, LeavesTheFringesOfBrightSources) {
  const Scene scene = BrightField(InterferenceKind::kNone);
  EXPECT_LT(Fraction(Flagged(FlagRfi, scene)), 0.005);
  EXPECT_GT(Fraction(Flagged(FlagRfi, scene, {}, WithoutScatter())), 0.05) << "the scene is not what it should be";
}

TEST(FlagRfi, FindsInterferenceAmongTheFringesOfBrightSources) {
  for (InterferenceKind kind : oracle::kInterferenceKinds) {
    const Scene scene = BrightField(kind);
    const auto flag = Flagged(FlagRfi, scene);
    double strong = 0, found = 0;
    for (std::size_t i = 0; i < flag.size(); ++i) {
      if (scene.interference[i] < 0.5f) continue;
      ++strong;
      found += flag[i];
    }
    ASSERT_GT(strong, 0) << Name(kind);
    EXPECT_GT(found / strong, 0.85) << Name(kind);
  }
}

// SumThreshold's limits make about 1e-3 of pure noise; ten times that would be data lost for nothing.
// A tile of 24 integrations, 16 baselines and 128 channels with gaps where `is_gap(time, channel)`. Noise of 1 a part
// and a source of `jy` that moves through the beam, in its middle at integration `middle`, plus bursts when asked for.
struct GapTile {
  static constexpr std::size_t kTimes = 24, kBaselines = 16, kChannels = 128, kPols = 2;
  std::vector<Visibility> vis;
  std::vector<std::uint8_t> missing;

  template <typename IsGap>
  GapTile(double jy, double middle, const IsGap& is_gap) : vis(kTimes * kBaselines * kChannels * kPols) {
    std::mt19937 random(5);
    std::normal_distribution<float> normal;
    for (std::size_t i = 0; i < vis.size(); ++i) {
      const std::size_t c = i / kPols % kChannels, t = i / (kPols * kChannels * kBaselines);
      const double from_middle = (static_cast<double>(t) - middle) / 12;
      const float re = normal(random), im = normal(random);
      vis[i] = is_gap(t, c) ? Visibility(0)
                            : Visibility(static_cast<float>(jy * (1 - 0.1 * from_middle * from_middle)) + re, im);
      missing.push_back(is_gap(t, c));
    }
  }
  std::array<std::size_t, 4> shape() const { return {kTimes, kBaselines, kChannels, kPols}; }
  std::vector<std::uint8_t> Flags() const {
    std::vector<std::uint8_t> flag = missing;
    std::vector<std::size_t> all(kBaselines);
    std::iota(all.begin(), all.end(), std::size_t{0});
    FlagRfi({vis.data(), shape()}, {flag.data(), shape()}, all, {}, 2);
    return flag;
  }
  // Flagged fraction of what is there.
  double Lost() const {
    const auto flag = Flags();
    std::size_t good = 0, lost = 0;
    for (std::size_t i = 0; i < flag.size(); ++i) {
      good += missing[i] == 0;
      lost += missing[i] == 0 && flag[i] != 0;
    }
    return static_cast<double>(lost) / static_cast<double>(good);
  }
};

struct Gap {
  const char* name;
  bool (*is_gap)(std::size_t time, std::size_t channel);
};
constexpr Gap kGaps[] = {
    {"last quarter", [](std::size_t t, std::size_t) { return t >= 18; }},
    {"last two fifths", [](std::size_t t, std::size_t) { return t >= 14; }},
    {"first quarter", [](std::size_t t, std::size_t) { return t < 6; }},
    {"middle", [](std::size_t t, std::size_t) { return t >= 8 && t < 16; }},
    {"both ends", [](std::size_t t, std::size_t) { return t < 3 || t >= 19; }},
    {"every other", [](std::size_t t, std::size_t) { return t % 2 == 1; }},
    {"all but three", [](std::size_t t, std::size_t) { return t < 10 || t > 12; }},
    {"all but one", [](std::size_t t, std::size_t) { return t != 10; }},
    {"last quarter of half the band", [](std::size_t t, std::size_t c) { return c >= 64 && t >= 18; }},
    {"last quarter of a subband", [](std::size_t t, std::size_t c) { return c >= 32 && c < 48 && t >= 18; }},
};

// A source that rises or sets at the edge of a gap is no interference.
TEST(FlagRfi, KeepsGoodDataBesideGaps) {
  for (const double jy : {0.0, 15.0, 100.0}) {
    const double whole = GapTile(jy, 11.5, [](std::size_t, std::size_t) { return false; }).Lost();
    for (const double middle : {11.5, 4.0}) {
      for (const Gap& gap : kGaps) {
        const bool few = std::string_view(gap.name).rfind("all but", 0) == 0 || gap.name == kGaps[5].name;
        // Few samples say less about their noise: up to 3 % are lost without any source.
        EXPECT_LT(GapTile(jy, middle, gap.is_gap).Lost(), whole + (few ? 0.03 : 0.002))
            << jy << " Jy, gap: " << gap.name << ", middle of the beam at " << middle;
      }
    }
  }
}

// Found fraction of a carrier and of two bursts in the tile.
double FoundInterference(bool (*is_gap)(std::size_t, std::size_t)) {
  GapTile tile(15, 11.5, is_gap);
  std::vector<std::size_t> hit;
  for (std::size_t i = 0; i < tile.vis.size(); ++i) {
    const std::size_t c = i / GapTile::kPols % GapTile::kChannels;
    const std::size_t t = i / (GapTile::kPols * GapTile::kChannels * GapTile::kBaselines);
    const bool carrier = c == 20, burst = (t == 6 || t == 16) && c >= 90 && c < 96;
    if (tile.missing[i] != 0 || !(carrier || burst)) continue;
    tile.vis[i] += Visibility(9, 0);
    hit.push_back(i);
  }
  const auto flag = tile.Flags();
  const auto found = std::count_if(hit.begin(), hit.end(), [&](std::size_t i) { return flag[i] != 0; });
  return static_cast<double>(found) / static_cast<double>(hit.size());
}

TEST(FlagRfi, FindsInterferenceBesideGapsAsInWholeTiles) {
  const double whole = FoundInterference([](std::size_t, std::size_t) { return false; });
  EXPECT_GT(whole, 0.95);
  for (const Gap& gap : {kGaps[0], kGaps[1], kGaps[2], kGaps[3], kGaps[8], kGaps[9]}) {
    EXPECT_GT(FoundInterference(gap.is_gap), whole - 0.03) << gap.name;
  }
}

TEST(FlagRfi, FlagsLittleOfPureNoise) {
  SceneParams params;
  params.sky = 0;
  params.ripple = 0;
  params.n_baselines = 8;
  const auto flag = Flagged(FlagRfi, MakeScene(params));
  EXPECT_LT(std::accumulate(flag.begin(), flag.end(), 0.0) / static_cast<double>(flag.size()), 0.01);
}

}  // namespace
}  // namespace contimg::calibrate
