#include "tests/oracle/interference.h"

#include <algorithm>
#include <cmath>
#include <random>

namespace contimg::oracle {
namespace {

using Random = std::mt19937;

std::size_t Draw(Random& random, std::size_t low, std::size_t high) {  // inclusive
  return std::uniform_int_distribution<std::size_t>(low, high)(random);
}

// Relative amplitude [time][channel] of one event.
std::vector<float> Event(const SceneParams& s, InterferenceKind kind, Random& random) {
  std::vector<float> shape(s.n_times * s.n_channels);
  auto put = [&](std::size_t t, std::size_t c, double a) {
    if (t < s.n_times && c < s.n_channels) shape[t * s.n_channels + c] = static_cast<float>(a);
  };
  const std::size_t c0 = Draw(random, 0, s.n_channels - 1), t0 = Draw(random, 0, s.n_times - 1);
  switch (kind) {
    case InterferenceKind::kNone:
      break;
    case InterferenceKind::kCarrier: {
      const std::size_t width = Draw(random, 1, 2);
      for (std::size_t t = 0; t < s.n_times; ++t) {
        for (std::size_t k = 0; k < width; ++k) put(t, c0 + k, 1);
      }
      break;
    }
    case InterferenceKind::kPulsed: {
      const std::size_t width = Draw(random, 1, 3);
      for (std::size_t t = 0; t < s.n_times; ++t) {
        if (random() % 2 == 0) continue;
        for (std::size_t k = 0; k < width; ++k) put(t, c0 + k, 1);
      }
      break;
    }
    case InterferenceKind::kImpulse:
      for (std::size_t k = 0; k < s.n_channels / 2; ++k) put(t0, c0 / 2 + k, 1);
      break;
    case InterferenceKind::kBurst: {
      const std::size_t width = Draw(random, 2, 8), times = Draw(random, 1, 3);
      for (std::size_t t = 0; t < times; ++t) {
        for (std::size_t k = 0; k < width; ++k) put(t0 + t, c0 + k, 1);
      }
      break;
    }
    case InterferenceKind::kSatellite: {
      const std::size_t width = Draw(random, 20, 60), times = Draw(random, 6, 16);
      for (std::size_t t = 0; t < times; ++t) {
        const double x = (static_cast<double>(t) + 0.5) / static_cast<double>(times) * 2 - 1;
        for (std::size_t k = 0; k < width; ++k) put(t0 + t, c0 + k, std::exp(-2 * x * x));
      }
      break;
    }
  }
  return shape;
}

}  // namespace

std::string Name(InterferenceKind kind) {
  switch (kind) {
    case InterferenceKind::kNone:
      return "none";
    case InterferenceKind::kCarrier:
      return "carrier";
    case InterferenceKind::kPulsed:
      return "pulsed";
    case InterferenceKind::kImpulse:
      return "impulse";
    case InterferenceKind::kBurst:
      return "burst";
    case InterferenceKind::kSatellite:
      return "satellite";
  }
  return "";
}

Scene MakeScene(const SceneParams& s) {
  Scene scene;
  scene.params = s;
  const std::size_t n = s.n_times * s.n_baselines * s.n_channels * s.n_pols;
  scene.vis.resize(n);
  scene.interference.resize(n);
  Random random(s.seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<double> uniform(0, 2 * M_PI);
  for (std::size_t b = 0; b < s.n_baselines; ++b) {
    const double ripple_phase = uniform(random), delay = 0.03 * normal(random), rate = 0.1 * normal(random);
    std::vector<std::complex<float>> added(s.n_times * s.n_channels * s.n_pols);
    std::vector<float> relative(s.n_times * s.n_channels);
    for (int e = 0; e < s.events && s.kind != InterferenceKind::kNone; ++e) {
      const auto shape = Event(s, s.kind, random);
      for (std::size_t t = 0; t < s.n_times; ++t) {
        for (std::size_t p = 0; p < s.n_pols; ++p) {
          // Interference is partly polarised, hardly ever in one hand alone.
          const double hand = 0.6 + 0.4 * std::abs(std::cos(uniform(random)));
          const double phase = uniform(random);
          for (std::size_t c = 0; c < s.n_channels; ++c) {
            const float a = shape[t * s.n_channels + c];
            if (a == 0) continue;
            relative[t * s.n_channels + c] = std::max(relative[t * s.n_channels + c], a);
            added[(t * s.n_channels + c) * s.n_pols + p] += std::polar(
                static_cast<float>(s.strength * hand) * a, static_cast<float>(phase + 0.3 * static_cast<double>(c)));
          }
        }
      }
    }
    for (std::size_t t = 0; t < s.n_times; ++t) {
      for (std::size_t c = 0; c < s.n_channels; ++c) {
        const double gain = 1 + s.ripple * std::sin(0.02 * static_cast<double>(c) + ripple_phase);
        const double angle = delay * static_cast<double>(c) + rate * static_cast<double>(t) + ripple_phase;
        for (std::size_t p = 0; p < s.n_pols; ++p) {
          const std::size_t at = ((t * s.n_baselines + b) * s.n_channels + c) * s.n_pols + p;
          const std::complex<double> clean(s.sky * std::cos(angle) + normal(random),
                                           s.sky * std::sin(angle) + normal(random));
          scene.vis[at] = std::complex<float>(gain * clean) + added[(t * s.n_channels + c) * s.n_pols + p];
          scene.interference[at] = relative[t * s.n_channels + c];
        }
      }
    }
  }
  return scene;
}

}  // namespace contimg::oracle
