#include "image/response/source_spectra.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <complex>
#include <vector>

#include "image/operator/measurement_operator.h"
#include "image/response/varying_sources.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

struct SpectrumOfTest {
  int x, y;
  float mean_jy;
  double index;
};

// The whole band of the DSA-110 in 32 channels, without a beam.
class SourceSpectraTest : public ::testing::Test {
 protected:
  SourceSpectraTest() {
    RandomTile tile;
    tile.n_antennas = 20;
    tile.channel_hz = 187.5e6 / 32;
    block_ = MakeRandomTile(tile);
    ImageGeometry requested;
    requested.nx = requested.ny = 256;
    requested.cell_rad = Angle::Arcsec(20).rad();
    const MeasurementOperator op(block_, requested, {}, {});
    geometry_ = op.geometry();
    const auto weights = op.weight_by_time_channel();
    weights_.assign(weights.begin(), weights.end());
    track_.resize(block_.n_times());
    std::fill(block_.vis.begin(), block_.vis.end(), Visibility(0));
  }

  SourceVariation Variation() const {
    SmearingInput smearing;
    smearing.integration_s.assign(block_.n_times(), 0.0);
    smearing.centre = track_;
    return {{BeamModel::Airy(4.65),
             {BeamMode::kNone, track_, block_.frequency_hz, {weights_.data(), {block_.n_times(), block_.n_channels()}}},
             smearing,
             [](double, double) { return 1.0; }},
            geometry_};
  }

  // By a direct sum in double precision; the mean over the weights is the source's flux.
  void Observe(const SpectrumOfTest& source) {
    const DirectionCosines at = PixelToDirection(geometry_, source.x, source.y);
    double sum = 0, total = 0;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      sum += weights_[i] * std::pow(block_.frequency_hz[i % block_.n_channels()], source.index);
      total += weights_[i];
    }
    const auto uvw = block_.uvw_view();
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
        const double path = uvw(t, b, 0U) * at.l + uvw(t, b, 1U) * at.m + uvw(t, b, 2U) * at.n_minus_1;
        for (std::size_t k = 0; k < block_.n_channels(); ++k) {
          const double flux = source.mean_jy * std::pow(block_.frequency_hz[k], source.index) * total / sum;
          const std::complex<double> v = std::polar(flux, 2 * kPi * path * block_.frequency_hz[k] / kSpeedOfLight);
          for (std::size_t p = 0; p < 2; ++p) block_.vis_view()(t, b, k, p) += Visibility(v);
        }
      }
    }
    CleanComponent c;
    c.x = source.x, c.y = source.y, c.flux_jy = source.mean_jy;
    components_.push_back(c);
  }

  // The largest pixel of the residual after so many cycles, with the model known.
  double ResidualPeak(SourceSpectra& spectra, int cycles, int threads = 1) {
    OperatorSettings settings;
    settings.threads = threads;
    settings.fit_slant = false;
    const MeasurementOperator op(block_, geometry_, {}, settings);
    const SourceVariation variation = Variation();
    const std::array<std::size_t, 2> shape{geometry_.ny, geometry_.nx};
    Buffer<float> model(geometry_.nx * geometry_.ny), residual(model.size());
    std::fill(model.begin(), model.end(), 0.0F);
    for (const CleanComponent& c : components_) {
      model[static_cast<std::size_t>(c.y) * geometry_.nx + static_cast<std::size_t>(c.x)] += c.flux_jy;
    }
    for (int i = 0; i < cycles; ++i) {
      spectra.SetComponents(components_, 1e-4);
      ResidualProbe probe = spectra.Probe(variation);
      const VaryingSources held = variation.Of(
          components_, [&](double x, double y) { return spectra.IndexAt(x, y); }, least_varying_jy_);
      op.Residual({model.data(), shape}, held, {residual.data(), shape}, &probe);
      for (std::size_t s = 0; s < probe.mean_jy.size(); ++s) {  // what it says is what the image has there
        const auto& source = spectra.sources()[s];
        EXPECT_NEAR(probe.mean_jy[s],
                    residual[static_cast<std::size_t>(source.y) * geometry_.nx + static_cast<std::size_t>(source.x)],
                    2e-4 * source.flux_jy);
      }
      spectra.Improve(probe, variation, held);
    }
    double peak = 0;
    for (const float jy : residual) peak = std::max(peak, std::abs(static_cast<double>(jy)));
    return peak;
  }

  double least_varying_jy_ = 0;
  VisibilityBlock block_;
  ImageGeometry geometry_;
  std::vector<double> weights_;
  std::vector<DirectionCosines> track_;
  std::vector<CleanComponent> components_;
};

TEST_F(SourceSpectraTest, AreToldByTheResidual) {
  const std::vector<SpectrumOfTest> sky{{128, 128, 2, -1.5}, {60, 140, 1, 0.4}, {200, 90, 0.5F, -0.7}};
  for (const SpectrumOfTest& source : sky) Observe(source);
  SourceSpectra usual(3), told(3), by_three(3);
  const double before = ResidualPeak(usual, 1), after = ResidualPeak(told, 7);
  EXPECT_GT(before, 2e-3);
  EXPECT_LT(after, before / 50);
  ASSERT_EQ(told.sources().size(), sky.size());
  for (std::size_t s = 0; s < sky.size(); ++s) {
    EXPECT_NEAR(told.sources()[s].index, sky[s].index, 0.03);
    EXPECT_LT(told.sources()[s].error, 0.1);
  }
  EXPECT_EQ(ResidualPeak(by_three, 7, 3), after);
}

TEST_F(SourceSpectraTest, OfFaintSourcesAreTheUsualOnes) {
  Observe({128, 128, 2, -1.5});
  Observe({60, 140, 0.004F, 2.5});  // 40 times the rms
  SourceSpectra spectra(3);
  ResidualPeak(spectra, 5);
  ASSERT_EQ(spectra.sources().size(), 1U);
  EXPECT_EQ(spectra.IndexAt(60, 140), SourceSpectra::kUsualIndex);
  EXPECT_EQ(spectra.IndexAt(10, 10), SourceSpectra::kUsualIndex);
  EXPECT_NEAR(spectra.IndexAt(129, 127), -1.5, 0.03);  // of the same source
}

TEST_F(SourceSpectraTest, WhatCleanHasNotTakenYetIsNoSlope) {
  Observe({128, 128, 2, -1.2});
  components_.front().flux_jy *= 0.8F;
  SourceSpectra spectra(3, -1.2);
  ResidualPeak(spectra, 5);
  EXPECT_NEAR(spectra.IndexAt(128, 128), -1.2, 0.02);
}

// A component of this source makes less of a slope than the model has: it is flat there, and the residual has all of
// it.
TEST_F(SourceSpectraTest, AreThoseOfTheSkyWhereTheModelIsFlat) {
  for (const float part : {0.04F, 0.03F, 0.02F}) Observe({128, 128, part, -1.2});
  Observe({60, 140, 1, 0.4});
  least_varying_jy_ = 1.5e-3;
  SourceSpectra spectra(3);
  ResidualPeak(spectra, 6);
  ASSERT_EQ(spectra.sources().size(), 2U);
  const SourceSpectra::Source& faint = spectra.sources()[1];
  EXPECT_NEAR(faint.flux_jy, 0.09, 1e-6);
  EXPECT_NEAR(faint.measured, -1.2, 0.02);
  EXPECT_GT(faint.measured_error, 0.02);
  EXPECT_NEAR(spectra.sources()[0].measured, 0.4, 0.02);
}

TEST_F(SourceSpectraTest, WhatIsMeasuredIsWithoutTheUsual) {
  Observe({128, 128, 0.006F, 0.8});  // 60 times the rms: its index is told to 0.4
  SourceSpectra spectra(3);
  ResidualPeak(spectra, 6);
  ASSERT_EQ(spectra.sources().size(), 1U);
  const SourceSpectra::Source& source = spectra.sources()[0];
  EXPECT_NEAR(source.measured, 0.8, 0.02);
  EXPECT_NEAR(source.measured_error, 1e-4 / (0.006 * 187.5e6 / 1.405e9 / std::sqrt(12)), 0.03);
  EXPECT_LT(source.index, 0.4) << "drawn to the usual one";
}

}  // namespace
}  // namespace contimg::image
