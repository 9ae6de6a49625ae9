#include "image/response/varying_sources.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <vector>

#include "image/operator/measurement_operator.h"
#include "image/plane/sky_coordinates.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

constexpr double kDish = 4.65;
const SourceVariation::IndexAt kFlat = [](double, double) { return 0.0; };

struct Sky {
  std::vector<CleanComponent> components;
  Buffer<float> model;
};

// A field of 4.3°, through which the beam moves by 1.2°.
class VaryingSourcesTest : public ::testing::TestWithParam<double> {
 protected:
  VaryingSourcesTest() {
    RandomTile tile;
    tile.height_rms_m = GetParam();
    block_ = MakeRandomTile(tile);
    ImageGeometry requested;
    requested.nx = requested.ny = 256;
    requested.cell_rad = Angle::Arcsec(60).rad();
    const MeasurementOperator op(block_, requested, {}, {});
    geometry_ = op.geometry();
    const auto weights = op.weight_by_time_channel();
    weights_.assign(weights.begin(), weights.end());
    const auto by_baseline = op.weight_by_time_baseline();
    by_baseline_.assign(by_baseline.begin(), by_baseline.end());
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      DirectionCosines axis;
      axis.l = 0.02 * (static_cast<double>(t) / static_cast<double>(block_.n_times() - 1) - 0.5);
      axis.m = 0.001;
      axis.n_minus_1 = std::sqrt(1 - axis.l * axis.l - axis.m * axis.m) - 1;
      track_.push_back(axis);
    }
  }

  BeamAverage Average() const {
    return {BeamMode::kDrift, track_, block_.frequency_hz, {weights_.data(), {block_.n_times(), block_.n_channels()}}};
  }
  // Channels and integrations so wide that smearing takes several per cent.
  SmearingInput Smearing() const {
    SmearingInput smearing;
    smearing.uvw_m = block_.uvw_view();
    smearing.weights = {by_baseline_.data(), {block_.n_times(), block_.n_baselines()}};
    smearing.integration_s.assign(block_.n_times(), 12.0);
    smearing.centre = track_;
    smearing.phase_centre_dec_rad = block_.phase_centre.dec_rad;
    smearing.first_frequency_hz = block_.frequency_hz.front();
    smearing.last_frequency_hz = block_.frequency_hz.back();
    smearing.channel_width_hz = 4e6;
    return smearing;
  }
  // D of a baseline at one integration and frequency, written down from the definition in smearing.h.
  double Kept(const DirectionCosines& at, std::size_t t, std::size_t b, double hz) const {
    const SmearingInput smearing = Smearing();
    const auto uvw = block_.uvw_view();
    const double delta[3] = {at.l - track_[t].l, at.m - track_[t].m, at.n_minus_1 - track_[t].n_minus_1};
    const double b3[3] = {uvw(t, b, 0U), uvw(t, b, 1U), uvw(t, b, 2U)};
    const double pole[3] = {0, std::cos(block_.phase_centre.dec_rad), std::sin(block_.phase_centre.dec_rad)};
    const double cross[3] = {pole[1] * b3[2] - pole[2] * b3[1], pole[2] * b3[0] - pole[0] * b3[2],
                             pole[0] * b3[1] - pole[1] * b3[0]};
    double path = 0, rate = 0;
    for (int i = 0; i < 3; ++i) path += b3[i] * delta[i], rate += cross[i] * delta[i];
    const auto sinc = [](double x) { return x == 0 ? 1 : std::sin(kPi * x) / (kPi * x); };
    return sinc(smearing.channel_width_hz * path / kSpeedOfLight) *
           sinc(hz * smearing.integration_s[t] * 7.292115e-5 * rate / kSpeedOfLight);
  }
  double MeanKept(const DirectionCosines& at) const {
    double sum = 0, total = 0;
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      for (std::size_t b = 0; b < block_.n_baselines(); ++b) {
        const double weight = by_baseline_[t * block_.n_baselines() + b];
        sum += weight * Kept(at, t, b, (block_.frequency_hz.front() + block_.frequency_hz.back()) / 2);
        total += weight;
      }
    }
    return sum / total;
  }
  SourceVariation Variation(const ImageGeometry& geometry) const {
    return {{BeamModel::Airy(kDish), Average(), Smearing(),
             [this](double l, double m) {
               return MeanKept({l, m, std::sqrt(1 - l * l - m * m) - 1});
             }},
            geometry};
  }
  SourceVariation Variation() const { return Variation(geometry_); }

  // P/P̄ of every integration and channel, summed up directly.
  std::vector<double> Response(const DirectionCosines& at) const {
    const BeamModel beam = BeamModel::Airy(kDish);
    std::vector<double> response;
    double sum = 0, total = 0;
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      for (std::size_t k = 0; k < block_.n_channels(); ++k) {
        const double a = track_[t].l - at.l, b = track_[t].m - at.m, c = track_[t].n_minus_1 - at.n_minus_1;
        const double chord = std::sqrt(a * a + b * b + c * c);
        response.push_back(beam.Power(std::sin(2 * std::asin(chord / 2)), block_.frequency_hz[k]));
        sum += weights_[response.size() - 1] * response.back();
        total += weights_[response.size() - 1];
      }
    }
    for (double& r : response) r *= total / sum;
    return response;
  }

  Sky MakeSky() const {
    Sky sky;
    sky.model = Buffer<float>(geometry_.nx * geometry_.ny);
    std::fill(sky.model.begin(), sky.model.end(), 0.0F);
    for (const auto& [x, y, flux] : {std::tuple{128, 128, 1.0F}, {60, 140, 2.0F}, {200, 90, 1.5F}, {131, 30, 0.7F}}) {
      CleanComponent c;
      c.x = x;
      c.y = y;
      c.flux_jy = flux;
      sky.components.push_back(c);
      sky.model[static_cast<std::size_t>(y) * geometry_.nx + static_cast<std::size_t>(x)] = flux;
    }
    return sky;
  }
  ArrayView<const float, 2> View(const Buffer<float>& image) const {
    return {image.data(), {geometry_.ny, geometry_.nx}};
  }

  // Visibilities of the sky seen through the moving beam, by a direct sum in double precision.
  void Observe(const Sky& sky, VisibilityBlock& block) const {
    std::fill(block.vis.begin(), block.vis.end(), Visibility(0));
    const auto uvw = block.uvw_view();
    for (const CleanComponent& c : sky.components) {
      const DirectionCosines at = PixelToDirection(geometry_, c.x, c.y);
      const std::vector<double> response = Response(at);
      const double mean_kept = MeanKept(at);
      for (std::size_t t = 0; t < block.n_times(); ++t) {
        for (std::size_t b = 0; b < block.n_baselines(); ++b) {
          const double path = uvw(t, b, 0U) * at.l + uvw(t, b, 1U) * at.m + uvw(t, b, 2U) * at.n_minus_1;
          for (std::size_t k = 0; k < block.n_channels(); ++k) {
            const std::complex<double> v = std::polar(
                c.flux_jy * response[t * block.n_channels() + k] * Kept(at, t, b, block.frequency_hz[k]) / mean_kept,
                2 * kPi * path * block.frequency_hz[k] / kSpeedOfLight);
            for (std::size_t p = 0; p < 2; ++p) block.vis_view()(t, b, k, p) += Visibility(v);
          }
        }
      }
    }
  }

  static double Rms(const Buffer<float>& image) {
    double sum = 0;
    for (const float p : image) sum += static_cast<double>(p) * p;
    return std::sqrt(sum / static_cast<double>(image.size()));
  }

  VisibilityBlock block_;
  ImageGeometry geometry_;
  std::vector<double> weights_, by_baseline_;
  std::vector<DirectionCosines> track_;
};

TEST_P(VaryingSourcesTest, LeaveNothingOfASkySeenThroughAMovingBeam) {
  const Sky sky = MakeSky();
  Observe(sky, block_);
  Buffer<float> dirty(sky.model.size()), constant(sky.model.size()), varying(sky.model.size());
  std::vector<Buffer<float>> by_threads;
  for (const int threads : {1, 3}) {
    OperatorSettings settings;
    settings.threads = threads;
    settings.fit_slant = false;
    const MeasurementOperator op(block_, geometry_, {}, settings);
    op.Dirty({dirty.data(), {geometry_.ny, geometry_.nx}});
    op.Residual(View(sky.model), {constant.data(), {geometry_.ny, geometry_.nx}});
    op.Residual(View(sky.model), Variation().Of(sky.components, kFlat, 0),
                {varying.data(), {geometry_.ny, geometry_.nx}});
    EXPECT_GT(Rms(constant), 0.02 * Rms(dirty));  // what a constant sky leaves
    EXPECT_LT(Rms(varying), 3e-4 * Rms(dirty));   // time smearing is that of mid-band
    by_threads.push_back(Buffer<float>(varying.size()));
    std::copy(varying.begin(), varying.end(), by_threads.back().begin());
  }
  EXPECT_TRUE(std::equal(by_threads[0].begin(), by_threads[0].end(), by_threads[1].begin()));
}

TEST_P(VaryingSourcesTest, ArePartOfThePrediction) {
  const Sky sky = MakeSky();
  RandomTile tile;
  tile.height_rms_m = GetParam();
  VisibilityBlock expected = MakeRandomTile(tile);
  Observe(sky, expected);
  OperatorSettings settings;
  settings.fit_slant = false;
  const MeasurementOperator op(block_, geometry_, {}, settings);
  op.Predict(View(sky.model), Variation().Of(sky.components, kFlat, 0), block_);
  double error = 0, reference = 0;
  for (std::size_t i = 0; i < block_.vis.size(); ++i) {
    error += std::norm(block_.vis[i] - expected.vis[i]);
    reference += std::norm(expected.vis[i]);
  }
  EXPECT_LT(std::sqrt(error / reference), 3e-4);
}

TEST_P(VaryingSourcesTest, AreThoseThatMatterMostAndHaveMeanZero) {
  const Sky sky = MakeSky();
  const VaryingSources all = Variation().Of(sky.components, kFlat, 0);
  ASSERT_EQ(all.size, 4U);
  EXPECT_EQ(all.padded, 16U);
  // The one at the beam's flank first, the one in its middle last; a high limit leaves only the first.
  const DirectionCosines flank = PixelToDirection(geometry_, 60, 140);
  EXPECT_NEAR(all.l[0], flank.l, 1e-12);
  const VaryingSources some = Variation().Of(sky.components, kFlat, 0.2);
  EXPECT_GE(some.size, 1U);
  EXPECT_LT(some.size, 4U);
  for (std::size_t s = 0; s < all.padded; ++s) {
    double sum = 0, total = 0;
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      for (std::size_t k = 0; k < block_.n_channels(); ++k) {
        const double x = (block_.frequency_hz[k] - all.mid_hz) / all.half_hz;
        const float* terms = all.deviation_jy.data() + t * 4 * all.padded + s;
        const double flux =
            terms[0] + x * (terms[all.padded] + x * (terms[2 * all.padded] + x * terms[3 * all.padded]));
        sum += weights_[t * block_.n_channels() + k] * flux;
        total += weights_[t * block_.n_channels() + k];
      }
    }
    EXPECT_NEAR(sum / total, 0, 1e-6) << s;
  }
}

TEST_P(VaryingSourcesTest, KeepTheirFluxOutsideTheBeam) {
  // 10° from the axis the beam is below two per cent and not known: only smearing is left.
  ImageGeometry wide = geometry_;
  wide.shift_l = 0.17;
  CleanComponent far;
  far.x = far.y = 128;
  far.flux_jy = 100;
  const VaryingSources sources = Variation(wide).Of({far}, kFlat, 0);
  ASSERT_EQ(sources.size, 1U);
  for (const float jy : sources.deviation_jy) EXPECT_EQ(jy, 0);
}

TEST_P(VaryingSourcesTest, OutsideTheGridAreTakenOutOfTheData) {
  block_.phase_centre = {0.7, 0.28};
  const double l = 0.045, m = -0.004;  // the grid ends at 0.037
  const SkyDirection sky = DirectionOfCosines(block_.phase_centre, l, m);
  const double n_minus_1 = std::sqrt(1 - l * l - m * m) - 1;
  const std::vector<CatalogueSource> catalogue{
      {sky, 8, -0.8},
      {{Angle::Radians(0.7), Angle::Radians(0.281)}, 5},        // on the grid
      {DirectionOfCosines(block_.phase_centre, 0.2, 0), 100}};  // no beam there
  double total = 0;
  const VaryingSources outside = Variation().Outside(catalogue, block_.phase_centre, 1, 1e-3, total);
  ASSERT_EQ(outside.size, 1U);
  EXPECT_NEAR(outside.l[0], l, 1e-9);

  const Sky inside = MakeSky();
  Observe(inside, block_);
  const auto dirty = [&](const VaryingSources& subtract) {
    OperatorSettings settings;
    settings.fit_slant = false;
    Buffer<float> image(inside.model.size());
    MeasurementOperator(block_, geometry_, {}, settings, subtract).Dirty({image.data(), {geometry_.ny, geometry_.nx}});
    return image;
  };
  const Buffer<float> expected = dirty({});
  // The source beyond the edge, by a direct sum of what its beam and spectrum make of it.
  const BeamModel beam = BeamModel::Airy(kDish);
  const auto uvw = block_.uvw_view();
  double weighted = 0, weights = 0;
  for (std::size_t t = 0; t < block_.n_times(); ++t) {
    const double a = track_[t].l - l, b = track_[t].m - m, c = track_[t].n_minus_1 - n_minus_1;
    const double sin_theta = std::sin(2 * std::asin(std::sqrt(a * a + b * b + c * c) / 2));
    for (std::size_t k = 0; k < block_.n_channels(); ++k) {
      const double hz = block_.frequency_hz[k];
      const double flux = 8 * std::pow(hz / 1.4e9, -0.8) * beam.Power(sin_theta, hz);
      weighted += flux * weights_[t * block_.n_channels() + k];
      weights += weights_[t * block_.n_channels() + k];
      for (std::size_t i = 0; i < block_.n_baselines(); ++i) {
        const double path = uvw(t, i, 0U) * l + uvw(t, i, 1U) * m + uvw(t, i, 2U) * n_minus_1;
        const std::complex<double> v =
            std::polar(flux * Kept({l, m, n_minus_1}, t, i, hz), 2 * kPi * path * hz / kSpeedOfLight);
        for (std::size_t p = 0; p < 2; ++p) block_.vis_view()(t, i, k, p) += Visibility(v);
      }
    }
  }
  EXPECT_NEAR(total, weighted / weights, 1e-3 * total);
  Buffer<float> with = dirty({}), without = dirty(outside);
  for (std::size_t i = 0; i < with.size(); ++i) with[i] -= expected[i], without[i] -= expected[i];
  EXPECT_GT(Rms(with), 1e-2 * Rms(expected));
  EXPECT_LT(Rms(without), 3e-3 * Rms(with));
}

// Heights of the stations: nearly a plane, and one that needs w-planes.
INSTANTIATE_TEST_SUITE_P(Heights, VaryingSourcesTest, ::testing::Values(0.5, 60.0));

}  // namespace
}  // namespace contimg::image
