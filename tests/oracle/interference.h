// Visibilities with interference of several kinds at known places, for tests and benchmarks of the flagger.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace contimg::oracle {

enum class InterferenceKind {
  kNone,
  kCarrier,    // one or two channels, always on, its phase turning from integration to integration
  kPulsed,     // one to three channels, on and off at random
  kImpulse,    // one integration, half of the band
  kBurst,      // one to three integrations by two to eight channels
  kSatellite,  // 20 to 60 channels, rising and setting within 6 to 16 integrations
};
inline constexpr InterferenceKind kInterferenceKinds[] = {InterferenceKind::kCarrier, InterferenceKind::kPulsed,
                                                          InterferenceKind::kImpulse, InterferenceKind::kBurst,
                                                          InterferenceKind::kSatellite};
std::string Name(InterferenceKind kind);

struct SceneParams {
  std::size_t n_times = 24, n_baselines = 16, n_channels = 768, n_pols = 2;
  InterferenceKind kind = InterferenceKind::kNone;
  double strength = 5;  // peak amplitude over the noise of one real component
  int events = 3;       // per baseline
  double sky = 0.7;     // amplitude of a source off the centre over the same noise
  double ripple = 0.2;  // relative peak deviation of the bandpass
  std::uint32_t seed = 1;
};

struct Scene {
  SceneParams params;
  // All [time][baseline][channel][pol].
  std::vector<std::complex<float>> vis;
  // Amplitude of the interference over its own peak; the same in all polarisations.
  std::vector<float> interference;
};

// Noise of unit variance per real component and the sky, both times a bandpass of each baseline, plus interference.
Scene MakeScene(const SceneParams& params);

}  // namespace contimg::oracle
