#include "image/operator/measurement_operator.h"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "config/error.h"
#include "tests/unit/image/random_tile.h"

namespace contimg::image {
namespace {

constexpr double kArcsec = kPi / 648000;

struct Image {
  explicit Image(const ImageGeometry& g) : pixels(g.nx * g.ny), view(pixels.data(), {g.ny, g.nx}) {}
  std::vector<float> pixels;
  ArrayView<float, 2> view;
  ArrayView<const float, 2> const_view() const { return {pixels.data(), view.shape()}; }
};

ImageGeometry Geometry(std::size_t nx, std::size_t ny, double cell_arcsec) {
  ImageGeometry g;
  g.nx = nx;
  g.ny = ny;
  g.cell_rad = cell_arcsec * kArcsec;
  return g;
}

// Corners, centre and 59 scattered pixels.
std::vector<std::pair<std::size_t, std::size_t>> ProbePixels(const ImageGeometry& g) {
  std::vector<std::pair<std::size_t, std::size_t>> probes{
      {0, 0}, {g.nx - 1, 0}, {0, g.ny - 1}, {g.nx - 1, g.ny - 1}, {g.nx / 2, g.ny / 2}};
  for (std::size_t i = 0; i < 59; ++i) probes.push_back({(i * 7919 + 13) % g.nx, (i * 104729 + 7) % g.ny});
  return probes;
}

struct Comparison {
  double relative_rms = 0;
  double largest = 0;  // over the rms of the reference
};

Comparison CompareWithDirectSum(const ImageGeometry& g, ArrayView<const float, 2> image,
                                const std::vector<oracle::DirectSample>& samples) {
  double error = 0;
  double reference = 0;
  double largest = 0;
  const auto probes = ProbePixels(g);
  for (const auto& [x, y] : probes) {
    const DirectionCosines at = PixelToDirection(g, static_cast<double>(x), static_cast<double>(y));
    const double direct = oracle::DirectDirty(samples, at.l, at.m);
    const double difference = image(y, x) - direct;
    error += difference * difference;
    reference += direct * direct;
    largest = std::max(largest, std::fabs(difference));
  }
  return {std::sqrt(error / reference), largest / std::sqrt(reference / static_cast<double>(probes.size()))};
}

// Briggs weights as the operator's defaults have them.
void WeightSamples(std::vector<oracle::DirectSample>& samples, const ImageGeometry& g, double robust) {
  oracle::DirectDensityWeights(samples, std::round(1.2 * static_cast<double>(g.nx)) * g.cell_rad,
                               std::round(1.2 * static_cast<double>(g.ny)) * g.cell_rad, robust);
}

struct Case {
  std::string name;
  RandomTile tile;
  std::size_t nx = 256;
  std::size_t ny = 256;
  double cell_arcsec = 40;
  double accuracy = 3e-5;
  double shift_l = 0;
  double shift_m = 0;
  bool on_wide_pixels = false;  // image/operator/pixel_doubling.h
};

class DirtyImage : public testing::TestWithParam<Case> {};

TEST_P(DirtyImage, MatchesDirectSumToTheRequestedAccuracy) {
  const Case& c = GetParam();
  const VisibilityBlock block = MakeRandomTile(c.tile);
  ImageGeometry g = Geometry(c.nx, c.ny, c.cell_arcsec);
  g.shift_l = c.shift_l;
  g.shift_m = c.shift_m;
  OperatorSettings settings;
  settings.accuracy = c.accuracy;
  settings.threads = 2;
  WeightSettings weights;
  weights.robust = 0;
  const MeasurementOperator op(block, g, weights, settings);
  EXPECT_EQ(op.figures().fft_nx < g.nx, c.on_wide_pixels);
  Image dirty(g);
  op.Dirty(dirty.view);
  std::vector<oracle::DirectSample> samples = OracleSamples(block);
  WeightSamples(samples, g, 0);
  const Comparison result = CompareWithDirectSum(op.geometry(), dirty.const_view(), samples);
  EXPECT_LE(result.relative_rms, c.accuracy)
      << op.figures().n_w_terms << " terms, expected " << op.figures().expected_error;
  // Errors grow towards the corners by up to five times the kernel's rms (image/operator/kernel_table.inc).
  EXPECT_LE(result.largest, 8 * c.accuracy);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const double dec : {-20.0, 16.1, 37.2, 54.0, 72.0, 88.0}) {
    Case c;
    c.name = "dec_" + std::to_string(static_cast<int>(dec) + 100);
    c.tile.declination_deg = dec;
    cases.push_back(c);
  }
  for (const double accuracy : {1e-3, 1e-4, 1e-5, 1e-6}) {
    Case c;
    c.name = "accuracy_1em" + std::to_string(static_cast<int>(std::round(-std::log10(accuracy))));
    c.accuracy = accuracy;
    cases.push_back(c);
  }
  for (const double ha : {-60.0, 60.0}) {
    Case c;
    c.name = "hour_angle_" + std::to_string(static_cast<int>(ha) + 100);
    c.tile.hour_angle_deg = ha;
    c.tile.declination_deg = 40;
    c.tile.interval_s = 600;
    cases.push_back(c);
  }
  Case hilly;
  hilly.name = "hilly_array";
  hilly.tile.height_rms_m = 60;
  cases.push_back(hilly);
  hilly.name = "hilly_array_1em6";
  hilly.accuracy = 1e-6;
  cases.push_back(hilly);
  Case shifted;
  shifted.name = "shifted_oblong";
  shifted.nx = 200;
  shifted.ny = 330;
  shifted.shift_l = 0.02;
  shifted.shift_m = -0.015;
  cases.push_back(shifted);
  Case coarse;
  coarse.name = "cells_coarser_than_the_beam";
  coarse.cell_arcsec = 120;
  coarse.nx = coarse.ny = 128;
  cases.push_back(coarse);
  for (const auto& [name, nx, ny, height] :
       std::initializer_list<std::tuple<const char*, int, int, double>>{{"fine_pixels", 512, 512, 0.5},
                                                                        {"fine_pixels_odd_halves", 514, 270, 0.5},
                                                                        {"fine_pixels_hilly", 512, 512, 20}}) {
    Case fine;
    fine.name = name;
    fine.nx = static_cast<std::size_t>(nx);
    fine.ny = static_cast<std::size_t>(ny);
    fine.tile.height_rms_m = height;
    fine.cell_arcsec = 6;
    fine.on_wide_pixels = true;
    fine.shift_l = 0.01;
    cases.push_back(fine);
  }
  Case few;
  few.name = "few_channels";
  few.tile.n_channels = 3;
  few.tile.channel_hz = 50e6;
  cases.push_back(few);
  Case one;
  one.name = "one_channel";
  one.tile.n_channels = 1;
  cases.push_back(one);
  Case wide;
  wide.name = "many_channels_long_baselines";
  wide.tile.n_channels = 256;
  wide.tile.channel_hz = 732421.875;
  wide.tile.n_antennas = 8;
  wide.tile.n_times = 2;
  wide.tile.extent_m = 1300;
  cases.push_back(wide);
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, DirtyImage, testing::ValuesIn(Cases()),
                         [](const auto& param_info) { return param_info.param.name; });

TEST(MeasurementOperator, PsfIsTheImageOfAPointSourceAtTheCentre) {
  RandomTile tile;
  VisibilityBlock block = MakeRandomTile(tile);
  for (auto& v : block.vis) v = 1;
  const ImageGeometry g = Geometry(192, 192, 40);
  const MeasurementOperator op(block, g, {}, {});
  Image dirty(g), psf(g);
  op.DirtyAndPsf(dirty.view, psf.view);
  EXPECT_NEAR(psf.view(96, 96), 1, 1e-4);
  for (std::size_t i = 0; i < dirty.pixels.size(); ++i) ASSERT_NEAR(dirty.pixels[i], psf.pixels[i], 1e-4);
}

TEST(MeasurementOperator, PointSourceAppearsAtItsPlaceWithItsFlux) {
  RandomTile tile;
  VisibilityBlock block = MakeRandomTile(tile);
  const ImageGeometry requested = Geometry(256, 256, 40);
  ImageGeometry g;
  {
    const MeasurementOperator op(block, requested, {}, {});
    g = op.geometry();
  }
  const DirectionCosines at = PixelToDirection(g, 40, 200);
  EXPECT_GT(at.l, 0);  // x < nx/2 is east
  EXPECT_GT(at.m, 0);
  const auto uvw = block.uvw_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      for (std::size_t k = 0; k < block.n_channels(); ++k) {
        const double per_metre = block.frequency_hz[k] / kSpeedOfLight;
        const Visibility v(oracle::DirectVisibility({{at.l, at.m, 2.5}}, uvw(t, b, 0u) * per_metre,
                                                    uvw(t, b, 1u) * per_metre, uvw(t, b, 2u) * per_metre));
        block.vis_view()(t, b, k, 0u) = v;
        block.vis_view()(t, b, k, 1u) = v;
      }
    }
  }
  const MeasurementOperator op(block, requested, {}, {});
  Image dirty(g);
  op.Dirty(dirty.view);
  EXPECT_NEAR(dirty.view(200, 40), 2.5, 2.5 * 1e-4);
  for (float p : dirty.pixels) ASSERT_LE(p, 2.5 * 1.0001);
  // A model with that flux in that pixel leaves nothing.
  Image model(g), residual(g);
  model.view(200, 40) = 2.5;
  op.Residual(model.const_view(), residual.view);
  for (float p : residual.pixels) ASSERT_NEAR(p, 0, 2.5 * 1e-4);
}

// Residual(model) = dirty − A'WA model, so <image, A'WA model> must be symmetric: checked through two random models.
TEST(MeasurementOperator, NormalOperatorIsSymmetric) {
  for (const auto& [height, g] :
       {std::pair{0.5, Geometry(128, 160, 60)}, {60.0, Geometry(128, 160, 60)}, {0.5, Geometry(258, 300, 6)}}) {
    RandomTile tile;
    tile.height_rms_m = height;
    const VisibilityBlock block = MakeRandomTile(tile);
    const MeasurementOperator op(block, g, {}, {});
    Image dirty(g), a(g), b(g), ra(g), rb(g);
    op.Dirty(dirty.view);
    std::mt19937 random(5);
    std::normal_distribution<float> gauss;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) {
      a.pixels[i] = gauss(random);
      b.pixels[i] = gauss(random);
    }
    op.Residual(a.const_view(), ra.view);
    op.Residual(b.const_view(), rb.view);
    double ab = 0, ba = 0, norm_a = 0, norm_b = 0;
    for (std::size_t i = 0; i < a.pixels.size(); ++i) {
      const double na = dirty.pixels[i] - ra.pixels[i];
      const double nb = dirty.pixels[i] - rb.pixels[i];
      ab += a.pixels[i] * nb;
      ba += b.pixels[i] * na;
      norm_a += a.pixels[i] * a.pixels[i];
      norm_b += nb * nb;
    }
    EXPECT_NEAR(ab, ba, 1e-6 * std::sqrt(norm_a * norm_b)) << height;
  }
}

TEST(MeasurementOperator, PredictsTheModelAtEveryChannel) {
  for (const auto& [height, requested] :
       {std::pair{0.5, Geometry(256, 256, 40)}, {60.0, Geometry(256, 256, 40)}, {0.5, Geometry(514, 512, 6)}}) {
    RandomTile tile;
    tile.height_rms_m = height;
    VisibilityBlock block = MakeRandomTile(tile);
    const MeasurementOperator op(block, requested, {}, {});
    const ImageGeometry& g = op.geometry();
    Image model(g);
    std::vector<oracle::DirectSource> sources;
    for (const auto& [x, y] : ProbePixels(g)) {
      const float flux = 0.5f + 0.01f * static_cast<float>(sources.size());
      if (model.view(y, x) != 0) continue;
      model.view(y, x) = flux;
      const DirectionCosines at = PixelToDirection(g, static_cast<double>(x), static_cast<double>(y));
      sources.push_back({at.l, at.m, flux});
    }
    op.Predict(model.const_view(), block);
    const auto uvw = block.uvw_view();
    double error = 0, reference = 0;
    for (std::size_t t = 0; t < block.n_times(); t += 2) {
      for (std::size_t b = 0; b < block.n_baselines(); ++b) {
        for (std::size_t k = 0; k < block.n_channels(); k += 5) {
          const double per_metre = block.frequency_hz[k] / kSpeedOfLight;
          const std::complex<double> direct = oracle::DirectVisibility(
              sources, uvw(t, b, 0u) * per_metre, uvw(t, b, 1u) * per_metre, uvw(t, b, 2u) * per_metre);
          error += std::norm(direct - std::complex<double>(block.vis_view()(t, b, k, 1u)));
          reference += std::norm(direct);
        }
      }
    }
    EXPECT_LE(std::sqrt(error / reference), 3e-5) << height;
    // The prediction is the model of the residual: what is left of it is nothing.
    const MeasurementOperator again(block, requested, {}, {});
    Image residual(g), dirty(g);
    again.Dirty(dirty.view);
    again.Residual(model.const_view(), residual.view);
    double left = 0, before = 0;
    for (std::size_t i = 0; i < residual.pixels.size(); ++i) {
      left += residual.pixels[i] * residual.pixels[i];
      before += dirty.pixels[i] * dirty.pixels[i];
    }
    EXPECT_LE(std::sqrt(left / before), 6e-5) << height;
  }
}

TEST(MeasurementOperator, PixelsDoNotDependOnTheNumberOfThreads) {
  RandomTile tile;
  tile.n_antennas = 20;
  const VisibilityBlock block = MakeRandomTile(tile);
  const ImageGeometry g = Geometry(192, 224, 40);
  std::vector<Image> dirty, residual;
  Image model(g);
  model.view(100, 60) = 1;
  for (const int threads : {1, 2, 5}) {
    OperatorSettings settings;
    settings.threads = threads;
    const MeasurementOperator op(block, g, {}, settings);
    dirty.emplace_back(g);
    residual.emplace_back(g);
    op.Dirty(dirty.back().view);
    op.Residual(model.const_view(), residual.back().view);
  }
  for (std::size_t i = 1; i < dirty.size(); ++i) {
    EXPECT_EQ(dirty[0].pixels, dirty[i].pixels);
    EXPECT_EQ(residual[0].pixels, residual[i].pixels);
  }
}

// <A x, y> = <x, A* y>: predicted visibilities of a random model against the (natural, unweighted) dirty image of
// random data, both at an accuracy where only single-precision numbers are left.
TEST(MeasurementOperator, PredictionIsTheAdjointOfImaging) {
  RandomTile tile;
  tile.flagged = 0;
  VisibilityBlock data = MakeRandomTile(tile);
  VisibilityBlock predicted = MakeRandomTile(tile);
  for (std::size_t i = 0; i < data.weight.size(); ++i) {
    data.weight[i] = 1;
    if (i % 2 == 1) data.vis[i] = data.vis[i - 1];
    if (i % 2 == 1) data.flag[i] = data.flag[i - 1];
  }
  WeightSettings weights;
  weights.mode = WeightMode::kNatural;
  OperatorSettings settings;
  settings.accuracy = 1e-6;
  const ImageGeometry g = Geometry(128, 96, 60);
  const MeasurementOperator op(data, g, weights, settings);
  Image dirty(g), model(g);
  op.Dirty(dirty.view);
  std::mt19937 random(9);
  std::normal_distribution<float> gauss;
  for (float& p : model.pixels) p = gauss(random);
  op.Predict(model.const_view(), predicted);
  double in_image = 0, in_data = 0, norm_model = 0, norm_dirty = 0;
  for (std::size_t i = 0; i < model.pixels.size(); ++i) {
    in_image += static_cast<double>(model.pixels[i]) * dirty.pixels[i];
    norm_model += static_cast<double>(model.pixels[i]) * model.pixels[i];
    norm_dirty += static_cast<double>(dirty.pixels[i]) * dirty.pixels[i];
  }
  const std::size_t n = data.n_channels();
  for (std::size_t i = 0; i < data.vis.size(); i += 2) {
    if (data.flag[i] != 0 || data.baselines[i / (2 * n) % data.n_baselines()].is_auto()) continue;
    in_data += 2 * (std::conj(std::complex<double>(data.vis[i])) * std::complex<double>(predicted.vis[i])).real();
  }
  EXPECT_NEAR(in_image, in_data / op.figures().sum_weights, 1e-6 * std::sqrt(norm_model * norm_dirty));
}

TEST(MeasurementOperator, InstructionSetsAgreeToAMillionth) {
  const VisibilityBlock block = MakeRandomTile({});
  const ImageGeometry g = Geometry(128, 128, 60);
  std::vector<Image> dirty;
  for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
    hwy::GetChosenTarget().Update(target);
    dirty.emplace_back(g);
    MeasurementOperator(block, g, {}, {}).Dirty(dirty.back().view);
  }
  hwy::GetChosenTarget().DeInit();
  double rms = 0;
  for (float p : dirty[0].pixels) rms += p * p;
  rms = std::sqrt(rms / static_cast<double>(dirty[0].pixels.size()));
  for (const Image& other : dirty) {
    double difference = 0;
    for (std::size_t i = 0; i < other.pixels.size(); ++i) {
      difference += std::pow(other.pixels[i] - dirty[0].pixels[i], 2);
    }
    EXPECT_LE(std::sqrt(difference / static_cast<double>(other.pixels.size())), 1e-6 * rms);
  }
}

TEST(MeasurementOperator, NaturalWeightsAndUvRangeAndTaperFollowTheirDefinitions) {
  const VisibilityBlock block = MakeRandomTile({});
  const ImageGeometry g = Geometry(192, 192, 40);
  WeightSettings weights;
  weights.mode = WeightMode::kNatural;
  weights.min_uv_lambda = 500;
  weights.max_uv_lambda = 3000;
  weights.taper_fwhm_rad = 60 * kArcsec;
  const MeasurementOperator op(block, g, weights, {});
  std::vector<oracle::DirectSample> samples;
  for (oracle::DirectSample s : OracleSamples(block)) {
    const double uv2 = s.u * s.u + s.v * s.v;
    if (uv2 < 500.0 * 500 || uv2 > 3000.0 * 3000) continue;
    s.weight *= std::exp(-std::pow(kPi * weights.taper_fwhm_rad, 2) * uv2 / (4 * std::log(2.0)));
    samples.push_back(s);
  }
  EXPECT_EQ(op.figures().n_used, samples.size());
  double sum = 0;
  for (const auto& s : samples) sum += s.weight;
  EXPECT_NEAR(op.figures().sum_weights / sum, 1, 1e-6);
  Image dirty(g);
  op.Dirty(dirty.view);
  EXPECT_LE(CompareWithDirectSum(op.geometry(), dirty.const_view(), samples).relative_rms, 3e-5);
}

TEST(MeasurementOperator, UniformWeightsFollowTheirDefinition) {
  const VisibilityBlock block = MakeRandomTile({});
  const ImageGeometry g = Geometry(192, 192, 40);
  WeightSettings weights;
  weights.mode = WeightMode::kUniform;
  const MeasurementOperator op(block, g, weights, {});
  std::vector<oracle::DirectSample> samples = OracleSamples(block);
  WeightSamples(samples, g, -std::numeric_limits<double>::infinity());
  Image dirty(g);
  op.Dirty(dirty.view);
  EXPECT_LE(CompareWithDirectSum(op.geometry(), dirty.const_view(), samples).relative_rms, 3e-5);
}

TEST(MeasurementOperator, NaturalNoiseFactorIsOneOverRootOfSumOfWeights) {
  const VisibilityBlock block = MakeRandomTile({});
  WeightSettings weights;
  weights.mode = WeightMode::kNatural;
  const MeasurementOperator op(block, Geometry(64, 64, 60), weights, {});
  EXPECT_NEAR(op.figures().NoiseFactor() * std::sqrt(op.figures().sum_weights), 1, 1e-5);
  double by_channel = 0, by_baseline = 0;
  for (double w : op.weight_by_time_channel()) by_channel += w;
  for (double w : op.weight_by_time_baseline()) by_baseline += w;
  EXPECT_NEAR(by_channel / op.figures().sum_weights, 1, 1e-9);
  EXPECT_NEAR(by_baseline / op.figures().sum_weights, 1, 1e-9);
}

TEST(MeasurementOperator, FlaggedNanAndUnweightedSamplesDoNotMatter) {
  RandomTile tile;
  VisibilityBlock block = MakeRandomTile(tile);
  const ImageGeometry g = Geometry(128, 128, 60);
  Image clean(g), spoilt(g);
  MeasurementOperator(block, g, {}, {}).Dirty(clean.view);
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (std::size_t i = 0; i < block.vis.size(); ++i) {
    if (block.flag[i] == 0) continue;
    block.vis[i] = {nan, std::numeric_limits<float>::infinity()};
    if (i % 3 == 0) block.weight[i] = nan;
    if (i % 3 == 1) block.flag[i] = 0;  // not finite, not flagged
  }
  MeasurementOperator(block, g, {}, {}).Dirty(spoilt.view);
  EXPECT_EQ(clean.pixels, spoilt.pixels);
}

TEST(MeasurementOperator, ImagesOneBaseline) {
  RandomTile tile;
  tile.n_antennas = 2;
  tile.flagged = 0;
  const VisibilityBlock block = MakeRandomTile(tile);
  const ImageGeometry g = Geometry(64, 64, 60);
  WeightSettings weights;
  weights.mode = WeightMode::kNatural;
  const MeasurementOperator op(block, g, weights, {});
  Image dirty(g);
  op.Dirty(dirty.view);
  EXPECT_LE(CompareWithDirectSum(op.geometry(), dirty.const_view(), OracleSamples(block)).relative_rms, 3e-5);
}

std::string MessageOf(const std::function<void()>& action, ErrorKind kind) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

TEST(MeasurementOperator, RefusesWhatCannotBeImagedWithAClearMessage) {
  VisibilityBlock block = MakeRandomTile({});
  const ImageGeometry good = Geometry(64, 64, 60);
  const auto make = [&](const ImageGeometry& g, const OperatorSettings& s = {}) {
    MeasurementOperator(block, g, {}, s);
  };
  EXPECT_NE(MessageOf([&] { make(Geometry(63, 64, 60)); }, ErrorKind::kBadInput).find("even"), std::string::npos);
  EXPECT_NE(MessageOf([&] { make(Geometry(4096, 4096, 120)); }, ErrorKind::kUsage).find("horizon"), std::string::npos);
  OperatorSettings small;
  small.memory_limit_bytes = 1 << 20;
  EXPECT_NE(MessageOf([&] { make(Geometry(2048, 2048, 10), small); }, ErrorKind::kResource).find("only 1.0 MiB are"),
            std::string::npos);
  for (auto& f : block.flag) f = 1;
  EXPECT_NE(MessageOf([&] { make(good); }, ErrorKind::kBadInput).find("flagged"), std::string::npos);
  for (auto& f : block.flag) f = 0;
  for (auto& w : block.weight) w = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(MessageOf([&] { make(good); }, ErrorKind::kBadInput).find("weight"), std::string::npos);
  block.phase_state = PhaseState::kMeridian;
  EXPECT_NE(MessageOf([&] { make(good); }, ErrorKind::kBadInput).find("phased"), std::string::npos);
}

}  // namespace
}  // namespace contimg::image
