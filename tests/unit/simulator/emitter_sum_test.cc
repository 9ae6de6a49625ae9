#include "tests/simulator/emitter_sum.h"

#include <gtest/gtest.h>

#include <hwy/targets.h>
#include <cmath>
#include <complex>

#include "config/telescope.h"
#include "tests/simulator/noise.h"

namespace contimg::simulator {
namespace {

struct Emitter {
  Vec3 offset, rate;
  double bandwidth_hz;
  std::vector<double> amplitude;
};

// A field like the telescope's: offsets up to `size` radians, sidereal rates.
std::vector<Emitter> RandomField(int count, double size, std::size_t n_channels, Random& random) {
  std::vector<Emitter> field;
  for (int i = 0; i < count; ++i) {
    Emitter e;
    for (double& axis : e.offset) axis = size * random.Uniform(-1, 1);
    e.rate = SiderealRate(e.offset);
    e.bandwidth_hz = 244140.625 * random.Uniform(0.1, 1);
    for (std::size_t k = 0; k < n_channels; ++k) e.amplitude.push_back(random.Uniform(0.1, 1));
    field.push_back(e);
  }
  return field;
}

long double Sinc(long double y) { return y == 0 ? 1 : std::sin(M_PIl * y) / (M_PIl * y); }

// The formula of the header, term by term in long double.
std::complex<double> Oracle(const std::vector<Emitter>& field, const ChannelBlock& channels, std::size_t k,
                            double integration_s, const double* b) {
  long double re = 0, im = 0;
  const long double f = static_cast<long double>(channels.first_hz) + k * static_cast<long double>(channels.step_hz);
  for (const Emitter& e : field) {
    long double delay = 0, rate = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      delay += static_cast<long double>(b[axis]) * e.offset[axis] / kSpeedOfLight;
      rate += static_cast<long double>(b[axis]) * e.rate[axis] / kSpeedOfLight;
    }
    const long double a = e.amplitude[k] * Sinc(f * rate * integration_s) * Sinc(e.bandwidth_hz * delay);
    re += a * std::cos(2 * M_PIl * f * delay);
    im += a * std::sin(2 * M_PIl * f * delay);
  }
  return {static_cast<double>(re), static_cast<double>(im)};
}

// Largest error over baselines and channels, relative to the sum of the amplitudes.
double WorstError(int n_emitters, double size, const ChannelBlock& channels) {
  Random random(MixSeed({static_cast<std::uint64_t>(n_emitters), channels.n}));
  const std::vector<Emitter> field = RandomField(n_emitters, size, channels.n, random);
  EmitterSet set(field.size(), channels.n);
  double total = 0;
  for (std::size_t i = 0; i < field.size(); ++i) {
    set.Place(i, field[i].offset, field[i].rate, field[i].bandwidth_hz);
    for (std::size_t k = 0; k < channels.n; ++k) set.Amplitude(k, i) = field[i].amplitude[k];
    total += field[i].amplitude[0];
  }
  constexpr std::size_t kBaselines = 5;
  std::vector<double> baselines;
  for (std::size_t i = 0; i < 3 * kBaselines; ++i) baselines.push_back(i < 3 ? 0 : 2000 * random.Uniform(-1, 1));
  std::vector<double> re(kBaselines * channels.n), im(re.size());
  SumEmitters(set, channels, kDsa110IntegrationS, {baselines.data(), {kBaselines, 3}},
              {re.data(), {kBaselines, channels.n}}, {im.data(), {kBaselines, channels.n}});
  double worst = 0;
  for (std::size_t b = 0; b < kBaselines; ++b) {
    for (std::size_t k = 0; k < channels.n; ++k) {
      const std::complex<double> expected = Oracle(field, channels, k, kDsa110IntegrationS, &baselines[3 * b]);
      worst =
          std::max(worst, std::abs(std::complex<double>(re[b * channels.n + k], im[b * channels.n + k]) - expected));
    }
  }
  return worst / total;
}

ChannelBlock Block(std::size_t n) { return {1.4e9, -11718750.0 / static_cast<double>(n), n}; }

// Phases are good to 1e-16 × their size (2000 m · 0.1 / λ: 1e3 turns), so 1e-12; the parabola through the time smearing
// leaves max|sinc‴|·h³/(9√3), with h = π·(half a subband / 1.4 GHz)·x ≈ 0.0042·x for a smearing argument x ≤ 4: 1e-7.
constexpr double kTolerance = 2e-7;

TEST(SumEmitters, EqualsTheFormulaTermByTerm) {
  for (std::size_t n_channels : {1, 2, 3, 5, 8, 48, 50}) {
    for (int n_emitters : {1, 7, 8, 33}) {
      EXPECT_LT(WorstError(n_emitters, 0.03, Block(n_channels)), kTolerance) << n_channels << " " << n_emitters;
    }
  }
}

TEST(SumEmitters, HoldsFarOutWhereTheSmearingChangesSign) { EXPECT_LT(WorstError(20, 0.3, Block(48)), 2e-6); }

TEST(SumEmitters, AgreesOnEveryInstructionSet) {
  for (std::int64_t targets = hwy::SupportedTargets(); targets != 0; targets &= targets - 1) {
    hwy::SetSupportedTargetsForTest(targets & -targets);
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    EXPECT_LT(WorstError(13, 0.03, Block(48)), kTolerance) << hwy::TargetName(targets & -targets);
    hwy::SetSupportedTargetsForTest(0);
  }
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

TEST(SumEmitters, GivesZeroWithoutEmitters) {
  std::vector<double> re(3, 7.0), im(3, 7.0);
  const double baseline[3] = {100, 0, 0};
  SumEmitters(EmitterSet(0, 3), Block(3), 1.0, {baseline, {1, 3}}, {re.data(), {1, 3}}, {im.data(), {1, 3}});
  for (double value : re) EXPECT_EQ(value, 0.0);
  for (double value : im) EXPECT_EQ(value, 0.0);
}

Vec3 Turned(const Vec3& s, double seconds) {  // the sky moves west
  const double c = std::cos(-kEarthRotationRadPerS * seconds), q = std::sin(-kEarthRotationRadPerS * seconds);
  return {c * s[0] - q * s[1], q * s[0] + c * s[1], s[2]};
}

TEST(TimeSmearing, IsTheMeanOfTheCorrelatorsFringeStoppedSamples) {
  // What the correlator does: 96 short samples; each is turned back by the phase of the point c that is on the meridian
  // in the middle. The mean over the samples, relative to the middle, is the smearing factor. The sinc replaces a sum
  // of 96 terms by an integral (relative error x²/(6·96²), below 1e-5) and the rotation by its tangent: the phase's
  // second order turns the mean by at most 2πν b θ/c · (ωT)²/24 = 6.2e-5 (b = 1795 m, θ = 0.032).
  const Vec3 centre = MeridianDirection(-2.06, 0.6);
  const Vec3 source = MeridianDirection(-2.06 + 0.03, 0.62);
  const Vec3 b{-1500.0, 900.0, 400.0};
  const double f = 1.4e9;
  std::complex<double> mean = 0;
  for (int n = 0; n < kDsa110SamplesPerIntegration; ++n) {
    const double t = (n + 0.5) * kDsa110SampleTimeS - kDsa110IntegrationS / 2;
    const double delay = (Dot(b, Turned(source, t)) - Dot(b, Turned(centre, t))) / kSpeedOfLight;
    mean += std::polar(1.0 / kDsa110SamplesPerIntegration, 2 * kPi * f * delay);
  }
  Vec3 offset;
  for (std::size_t axis = 0; axis < 3; ++axis) offset[axis] = source[axis] - centre[axis];
  const std::complex<double> middle = std::polar(1.0, 2 * kPi * f * Dot(b, offset) / kSpeedOfLight);
  const double smearing = TimeSmearing(f, Dot(b, SiderealRate(offset)) / kSpeedOfLight, kDsa110IntegrationS);
  EXPECT_LT(smearing, 0.99);  // there is something to see
  EXPECT_LT(std::abs(mean / middle - smearing), 7e-5);
}

TEST(BandwidthSmearing, IsTheMeanOverTheChannel) {
  const double delay = 3e-6, width = 244140.625;
  std::complex<double> mean = 0;
  constexpr int kSteps = 2000;  // midpoint rule: error (π Δν τ)²/(6·2000²)
  for (int i = 0; i < kSteps; ++i)
    mean += std::polar(1.0 / kSteps, 2 * kPi * ((i + 0.5) / kSteps - 0.5) * width * delay);
  EXPECT_NEAR(BandwidthSmearing(width, delay), mean.real(), 1e-6);
  EXPECT_NEAR(mean.imag(), 0, 1e-12);
}

TEST(SumEmitters, ResolvesTheGaussiansAmongPoints) {
  const ChannelBlock channels{1.4e9, -244140.625, 48};
  EmitterSet set(11, channels.n);
  const Vec3 major{3e-4, 1e-4, 0}, minor{0, 2e-5, 1e-4}, baseline{400, -250, 130};
  for (std::size_t i = 0; i < 11; ++i) {
    set.Place(i, {}, {}, 0);
    for (std::size_t k = 0; k < channels.n; ++k) set.Amplitude(k, i) = i == 6 ? 2 : 1;
  }
  set.Spread(6, major, minor);
  std::vector<double> re(channels.n), im(channels.n);
  SumEmitters(set, channels, kDsa110IntegrationS, {baseline.data(), {1, 3}}, {re.data(), {1, channels.n}},
              {im.data(), {1, channels.n}});
  for (std::size_t k = 0; k < channels.n; ++k) {
    const double left = Resolution(channels.Frequency(k), baseline, major, minor);
    EXPECT_GT(left, 0.02);
    EXPECT_LT(left, 0.9);
    EXPECT_NEAR(re[k], 10 + 2 * left, 1e-7);
    EXPECT_NEAR(im[k], 0, 1e-12);
  }
}

}  // namespace
}  // namespace contimg::simulator
