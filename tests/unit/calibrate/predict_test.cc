#include "calibrate/predict.h"

#include <gtest/gtest.h>

#include "config/error.h"
#include "config/telescope.h"
#include "convert/phase.h"
#include "tests/simulator/apparent_place.h"
#include "tests/simulator/array_config.h"
#include "tests/unit/calibrate/synthetic_block.h"

namespace contimg::calibrate {
namespace {

using std::complex;

struct PredictCase {
  VisibilityBlock block;
  PredictInput input;
  std::vector<float> flux;
  std::vector<Visibility> model;

  explicit PredictCase(const testkit::BlockShape& shape, std::size_t n_components) : block(testkit::MakeBlock(shape)) {
    std::mt19937 random(3);
    std::uniform_real_distribution<double> unit(-1, 1);
    input.uvw_m = block.uvw_view();
    input.time_mjd_s = block.time_mjd_s;
    input.integration_s = block.integration_s;
    input.frequency_hz = block.frequency_hz;
    input.channel_width_hz = block.channel_width_hz;
    input.declination_rad = shape.declination_rad;
    for (std::size_t k = 0; k < n_components; ++k) {
      const double l = 0.035 * unit(random), m = 0.035 * unit(random);
      input.components.push_back({l, m, std::sqrt(1 - l * l - m * m)});
    }
    for (std::size_t t = 0; t < shape.n_times; ++t) {
      const double l = 0.01 * (static_cast<double>(t) / static_cast<double>(shape.n_times) - 0.5);
      input.fringe_centre.push_back({l, 0.0001, std::sqrt(1 - l * l - 1e-8)});
    }
    flux.resize(shape.n_times * n_components * block.n_channels());
    for (float& f : flux) f = static_cast<float>(1 + 0.3 * unit(random));
    input.flux_jy = {flux.data(), {shape.n_times, n_components, block.n_channels()}};
    model.resize(shape.n_times * block.n_baselines() * block.n_channels());
  }
  void Run(int threads) {
    PredictVisibilities(input, {model.data(), {block.n_times(), block.n_baselines(), block.n_channels()}}, threads);
  }
  // The losses by brute force: the mean over `steps` moments of the integration and places in the channel of the
  // source's phase against the fringe centre, then the phase against the phase centre at the middle of both.
  complex<double> Exact(std::size_t t, std::size_t b, std::size_t c, double declination) const {
    complex<double> sum = 0;
    const double u = input.uvw_m(t, b, 0), v = input.uvw_m(t, b, 1), w = input.uvw_m(t, b, 2);
    const double sin_d = std::sin(declination), cos_d = std::cos(declination);
    const double f = input.frequency_hz[c];
    for (std::size_t k = 0; k < input.components.size(); ++k) {
      const auto [l, m, n] = input.components[k];
      const auto& p = input.fringe_centre[t];
      const double turns = f / kSpeedOfLight * (u * l + v * m + w * (n - 1));
      complex<double> loss = 1;
      if (input.smearing) {
        loss = 0;
        constexpr int kSteps = 60;
        for (int i = 0; i < kSteps; ++i) {
          const double angle = 7.292115e-5 * input.integration_s[t] * ((i + 0.5) / kSteps - 0.5);
          const double ut = u + angle * (w * cos_d - v * sin_d), vt = v + angle * u * sin_d, wt = w - angle * u * cos_d;
          const double moved =
              f / kSpeedOfLight * ((ut - u) * (l - p[0]) + (vt - v) * (m - p[1]) + (wt - w) * (n - p[2]));
          for (int j = 0; j < kSteps; ++j) {
            const double df = input.channel_width_hz * ((j + 0.5) / kSteps - 0.5);
            const double spread = df / kSpeedOfLight * (u * (l - p[0]) + v * (m - p[1]) + w * (n - p[2]));
            loss += std::polar(1.0 / (kSteps * kSteps), 2 * kPi * (moved + spread));
          }
        }
      }
      sum += static_cast<double>(input.flux_jy(t, k, c)) * loss * std::polar(1.0, 2 * kPi * turns);
    }
    return sum;
  }
};

TEST(PredictVisibilities, AgreesWithADirectSumInDoublePrecision) {
  testkit::BlockShape shape;
  shape.channels_per_window = 23;  // not a multiple of any vector length
  PredictCase s(shape, 20);
  s.input.smearing = false;
  s.Run(2);
  for (std::size_t t = 0; t < shape.n_times; ++t) {
    for (std::size_t b = 0; b < s.block.n_baselines(); b += 7) {
      for (std::size_t c = 0; c < 46; ++c) {
        const auto got = complex<double>(s.model[(t * s.block.n_baselines() + b) * 46 + c]);
        // 20 Jy in single precision: 20 × (46 recurrence steps × 6e-8 + sums) stays below 1e-4 Jy.
        EXPECT_NEAR(std::abs(got - s.Exact(t, b, c, shape.declination_rad)), 0, 1e-4);
      }
    }
  }
}

TEST(PredictVisibilities, SmearsAsAveragingInTimeAndFrequencyDoes) {
  for (std::size_t n_times : {1U, 4U}) {  // analytic and differenced rates
    testkit::BlockShape shape;
    shape.n_times = n_times;
    shape.n_antennas = 5;
    shape.extent_m = 4000;
    PredictCase s(shape, 3);
    s.Run(1);
    double loss = 0;
    for (std::size_t t = 0; t < n_times; ++t) {
      for (std::size_t b = 0; b < s.block.n_baselines(); ++b) {
        for (std::size_t c : {0U, 15U, 31U}) {
          const auto got = complex<double>(s.model[(t * s.block.n_baselines() + b) * 32 + c]);
          const auto expected = s.Exact(t, b, c, shape.declination_rad);
          // The product of two sincs leaves out the third order of the phase along the integration: below 1e-3.
          EXPECT_NEAR(std::abs(got - expected), 0, 2e-3);
          s.input.smearing = false;
          loss = std::max(loss, 1 - std::abs(expected) / std::abs(s.Exact(t, b, c, shape.declination_rad)));
          s.input.smearing = true;
        }
      }
    }
    EXPECT_GT(loss, 0.02);  // the case is one where smearing matters
  }
}

TEST(PredictVisibilities, HandlesGapsInTheBand) {
  testkit::BlockShape shape;
  PredictCase s(shape, 4);
  for (std::size_t c = 16; c < 32; ++c) s.input.frequency_hz[c] += 37.5e6;
  s.input.smearing = false;
  s.Run(1);
  const auto got = complex<double>(s.model[(1 * s.block.n_baselines() + 5) * 32 + 30]);
  EXPECT_NEAR(std::abs(got - s.Exact(1, 5, 30, shape.declination_rad)), 0, 1e-4);
}

TEST(PredictVisibilities, GivesTheSameAnswerForAnyNumberOfThreads) {
  PredictCase s({}, 5);
  s.Run(1);
  const auto one = s.model;
  s.Run(2);
  EXPECT_EQ(one, s.model);
}

convert::TileBeam Beam(const VisibilityBlock& block, const char* mode) {
  TelescopeSettings telescope;
  telescope.beam = mode;
  return convert::ChooseBeam(block, telescope, {});
}

TEST(Predict, PutsABeamOnTheMeridianThatTheSkyDriftsThrough) {
  testkit::BlockShape shape;
  shape.n_times = 24;
  VisibilityBlock block = testkit::MakeBlock(shape);
  SkySource source;
  source.flux_jy = 2;
  source.ra_rad = block.phase_centre.ra_rad;
  source.dec_rad = block.phase_centre.dec_rad;
  PredictOptions none, tracking;
  none.beam = Beam(block, "none");
  tracking.beam = Beam(block, "tracking");
  // At the phase centre nothing is attenuated without a beam or with one that follows.
  for (const PredictOptions* options : {&none, &tracking}) {
    const auto apparent = ApparentSources(block, {source}, *options);
    EXPECT_NEAR(apparent[0].mean_beam, 1, 1e-12);
    EXPECT_NEAR(apparent[0].direction[2], 1, 1e-12);
  }
  const auto prediction = Predict(block, {source}, none, 1);
  EXPECT_NEAR(std::abs(prediction.model[1]), source.FluxJy(block.frequency_hz[1]), 1e-5);
  EXPECT_NEAR(std::arg(prediction.model[1]), 0, 1e-6);
}

// Annual aberration stretches or shrinks the sky about the phase centre by up to 1e-4 over the year: 0.7 arcsec at 2
// degrees, a twelfth of a turn on the longest baseline. The simulator's arithmetic is its own.
TEST(Predict, PutsSourcesFarFromThePhaseCentreWhereTheSimulatorDoes) {
  const simulator::ArrayConfig array = simulator::Dsa110Array();
  testkit::BlockShape shape;
  shape.n_antennas = 24;
  shape.n_times = 24;
  shape.n_windows = 1;
  shape.channels_per_window = 2;
  shape.first_hz = 1.4985e9;  // the top of the band
  PredictOptions options;
  options.smearing = false;
  double longest_m = 0, worst = 0, most_stretched = 0;
  for (int quarter = 0; quarter < 4; ++quarter) {
    VisibilityBlock block = testkit::MakeBlock(shape);
    for (std::size_t a = 0; a < shape.n_antennas; ++a) {
      // Every fourth antenna of the correlator: from one end of the arms to the other.
      block.antennas.positions_itrf_m[a] =
          array.positions_itrf_m[static_cast<std::size_t>(array.correlator_order[4 * a])];
    }
    for (double& time : block.time_mjd_s) time += quarter * 91.3 * 86400;
    block.site.longitude_rad = array.site.longitude_rad;
    block.app_dec_rad = 0.9;
    block.phase_state = PhaseState::kMeridian;
    const convert::EarthOrientationTable none;
    const PhaseCentre centre = convert::TileCentre(block, none);
    convert::PhasePlan(block, centre, none).Finish(block);
    for (int direction = 0; direction < 8; ++direction) {
      const double angle = direction * kPi / 4, offset = 2 * kPi / 180;
      SkySource source;
      source.flux_jy = 1;
      source.spectral_index = 0;
      source.dec_rad = centre.dec_rad + offset * std::cos(angle);
      source.ra_rad = centre.ra_rad + offset * std::sin(angle) / std::cos(source.dec_rad);
      const Prediction prediction = Predict(block, {source}, options, 1);
      for (const std::size_t t : {std::size_t{0}, shape.n_times / 2, shape.n_times - 1}) {
        const simulator::EarthFrame sky(UtcTime::FromMjdSeconds(block.time_mjd_s[t]));
        const simulator::Vec3 s = sky.FromIcrs(source.ra_rad, source.dec_rad);
        const simulator::Vec3 s0 = sky.FromIcrs(centre.ra_rad, centre.dec_rad);
        const double apparent = 2 * std::asin(std::hypot(s[0] - s0[0], s[1] - s0[1], s[2] - s0[2]) / 2);
        const double sine = std::sin((source.dec_rad - centre.dec_rad) / 2),
                     sine_ra = std::sin((source.ra_rad - centre.ra_rad) / 2);
        const double catalogued =
            2 *
            std::asin(std::sqrt(sine * sine + std::cos(source.dec_rad) * std::cos(centre.dec_rad) * sine_ra * sine_ra));
        most_stretched = std::max(most_stretched, std::abs(apparent / catalogued - 1));
        for (std::size_t b = 0; b < block.n_baselines(); ++b) {
          const auto& p1 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna1)];
          const auto& p2 = block.antennas.positions_itrf_m[static_cast<std::size_t>(block.baselines[b].antenna2)];
          double path_m = 0, length2 = 0;
          for (std::size_t k = 0; k < 3; ++k) {
            path_m += (p2[k] - p1[k]) * (s[k] - s0[k]);
            length2 += (p2[k] - p1[k]) * (p2[k] - p1[k]);
          }
          longest_m = std::max(longest_m, std::sqrt(length2));
          // The file's convention is e^{+2πi ν b·(s − s0)/c}; the Measurement Set conjugates it.
          const complex<double> expected = std::polar(1.0, -2 * kPi * block.frequency_hz[1] / kSpeedOfLight * path_m);
          const complex<double> found = prediction.view()(t, b, 1);
          worst = std::max(worst, std::abs(std::arg(found * std::conj(expected))));
        }
      }
    }
  }
  EXPECT_GT(longest_m, 2000);
  EXPECT_GT(most_stretched, 5e-5);  // the test sees what it is about
  EXPECT_LT(worst, 1e-5);           // rad; single precision of the phasors
}

TEST(Predict, RefusesDataThatAreNotPhased) {
  VisibilityBlock block = testkit::MakeBlock({});
  block.phase_state = PhaseState::kMeridian;
  EXPECT_THROW(Predict(block, {SkySource{}}, {}, 1), Error);
}

}  // namespace
}  // namespace contimg::calibrate
