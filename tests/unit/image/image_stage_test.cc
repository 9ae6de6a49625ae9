// The whole stage on a small simulated array: visibilities by a direct sum, products read back.
#include "image/image_stage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <complex>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "config/error.h"
#include "config/telescope.h"
#include "config/time.h"
#include "image/clean/restore_anew.h"
#include "image/plane/sky_coordinates.h"
#include "image/products/casacore/casacore_image.h"
#include "tests/faulty_os.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

struct Source {
  double l, m, flux_jy;
  double index = 0;  // spectral
};
using Sky = std::vector<Source>;
const Sky kSky = {{0, 0, 1.0}, {0.004, 0.003, 0.5}, {-0.006, 0.005, 0.3}, {0.005, -0.007, 0.2}};

// 24 antennas within about a kilometre, three times, eight channels, two hands; a plane array seen from 50 degrees
// away.
// `seen_through_beam`: that of the dishes, which follow the centre.
VisibilityBlock Tile(double noise_jy, const Sky& sky = kSky, double channel_hz = 1e6, bool seen_through_beam = false) {
  VisibilityBlock block;
  std::mt19937 random(11);
  std::normal_distribution<double> position(0, 250);
  std::normal_distribution<float> noise(0, static_cast<float>(noise_jy));
  constexpr int kAntennas = 24;
  std::vector<std::array<double, 2>> place;
  for (int a = 0; a < kAntennas; ++a) {
    place.push_back({position(random), position(random)});
    block.antennas.names.push_back(std::to_string(a + 1));
    block.antennas.numbers.push_back(a);
    block.antennas.positions_itrf_m.push_back({0, 0, 0});
    block.antennas.diameters_m.push_back(4.65);
  }
  for (int t = 0; t < 3; ++t) {
    block.time_mjd_s.push_back(UtcTime::FromIso8601("2026-01-25T22:26:05").mjd_s() + 13.0 * t);
    block.integration_s.push_back(12.9);
  }
  for (int k = 0; k < 8; ++k) block.frequency_hz.push_back(1.31e9 + channel_hz * k);
  block.channel_width_hz = channel_hz;
  block.windows = {{0, 0, 8, ""}};
  block.polarisations = {Polarisation::kXX, Polarisation::kYY};
  for (int a = 0; a < kAntennas; ++a) {
    for (int b = a; b < kAntennas; ++b) block.baselines.push_back({a, b});
  }
  block.phase_state = PhaseState::kPhased;
  block.phase_centre = {2.0, 0.5};
  block.telescope_name = "TEST";
  block.group_id = "2026-01-25T22:26:05";
  block.Allocate();
  block.uvw_m.resize(3 * block.n_baselines() * 3);
  const auto vis = block.vis_view();
  const auto weight = block.weight_view();
  for (std::size_t t = 0; t < 3; ++t) {
    for (std::size_t i = 0; i < block.n_baselines(); ++i) {
      const auto a = static_cast<std::size_t>(block.baselines[i].antenna1);
      const auto b = static_cast<std::size_t>(block.baselines[i].antenna2);
      const double turn = 9e-4 * static_cast<double>(t), x = place[a][0] - place[b][0], y = place[a][1] - place[b][1];
      const double u = x * std::cos(turn) - y * std::sin(turn), v = x * std::sin(turn) + y * std::cos(turn);
      const double w = 0.1 * u - 0.5 * v;
      double* uvw = &block.uvw_m[(t * block.n_baselines() + i) * 3];
      uvw[0] = u, uvw[1] = v, uvw[2] = w;
      for (std::size_t k = 0; k < 8; ++k) {
        std::complex<double> sum = 0;
        for (const Source& s : sky) {
          double flux = s.flux_jy * std::pow(block.frequency_hz[k] / 1.4e9, s.index);
          if (seen_through_beam) flux *= AiryPowerBeam(std::hypot(s.l, s.m), block.frequency_hz[k], 4.65);
          const double path = u * s.l + v * s.m + w * NMinusOne(s.l, s.m);
          sum += std::polar(flux, 2 * kPi * path * block.frequency_hz[k] / kSpeedOfLight);
        }
        for (std::size_t p = 0; p < 2; ++p) {
          vis(t, i, k, p) = Visibility(static_cast<float>(sum.real()) + noise(random),
                                       static_cast<float>(sum.imag()) + noise(random));
          weight(t, i, k, p) = 1;
        }
      }
    }
  }
  return block;
}

class ImageStageTest : public testing::Test {
 protected:
  ImageStageTest() {
    request_.prefix = folder_ / "tile";
    request_.durable = false;
    request_.settings.size = 400;
    request_.settings.cell_arcsec = 10;  // a fifth of the beam
    request_.settings.min_uv_lambda = 0;
    request_.settings.robust = 0;
    request_.telescope.beam = "tracking";
    context_.threads = 2;
  }
  std::size_t Files() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), std::filesystem::directory_iterator()));
  }
  ErrorKind KindOfFailure(VisibilityBlock& block) {
    try {
      RunImage(block, request_, context_);
    } catch (const Error& error) {
      message_ = error.what();
      return error.kind();
    }
    ADD_FAILURE() << "no error";
    return ErrorKind::kBug;
  }
  TemporaryFolder temporary_{"stage"};
  const std::filesystem::path folder_ = temporary_.path();
  ImageRequest request_;
  RunContext context_;
  std::string message_;
};

TEST_F(ImageStageTest, RecoversFluxesAndPositionsOnThePlainGrid) {
  VisibilityBlock block = Tile(0.3);
  const ImageReport report = RunImage(block, request_, context_);
  EXPECT_EQ(report.products.size(), 10U);
  EXPECT_EQ(Files(), 10U);
  const FitsImage image = ReadFitsImage(folder_ / "tile.image.fits");
  const FitsImage pb = ReadFitsImage(folder_ / "tile.pb.fits"),
                  corrected = ReadFitsImage(folder_ / "tile.image.pbcor.fits");
  const double beam_px = report.beam.major_rad / image.header.geometry.cell_rad;
  for (const Source& s : kSky) {
    const PixelPosition at = DirectionToPixel(image.header.geometry, s.l, s.m);
    const auto x = static_cast<std::size_t>(std::lround(at.x)), y = static_cast<std::size_t>(std::lround(at.y));
    // The nearest pixel is within 0.71 pixels of the peak of a Gaussian at least 3 pixels wide.
    const GaussianBeam& b = report.beam;
    const double loss = b.Value(-(static_cast<double>(x) - at.x) * image.header.geometry.cell_rad,
                                (static_cast<double>(y) - at.y) * image.header.geometry.cell_rad);
    EXPECT_NEAR(image.view()(y, x), s.flux_jy * loss, 0.01 * s.flux_jy + 6 * report.quality.rms_jy);
    EXPECT_NEAR(corrected.view()(y, x), image.view()(y, x) / pb.view()(y, x), 1e-6);
  }
  EXPECT_GT(beam_px, 2);
  // The residual reaches the thermal noise (0.3 Jy per hand and sample).
  EXPECT_NEAR(report.quality.rms_over_thermal, 1, 0.25);
  EXPECT_EQ(image.header.unit, "Jy/beam");
  EXPECT_EQ(report.quality.grade, "A");
  double model = 0;
  const FitsImage model_image = ReadFitsImage(folder_ / "tile.model.fits");
  for (float value : model_image.pixels) model += value;
  EXPECT_NEAR(model, report.model_flux_jy, 1e-3);
  EXPECT_NEAR(model, 2.0, 0.1);
  std::ifstream file(folder_ / "tile.metrics.json");
  const nlohmann::json json = nlohmann::json::parse(file);
  EXPECT_EQ(json["quality"]["grade"], "A");
}

TEST_F(ImageStageTest, DirtyOnlyAndPsfOnlyMakeTheirProducts) {
  VisibilityBlock block = Tile(0.02);
  request_.products = ImageProducts::kDirtyOnly;
  const ImageReport dirty = RunImage(block, request_, context_);
  EXPECT_EQ(dirty.products.size(), 6U);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "tile.image.fits"));
  EXPECT_FALSE(dirty.quality.clean_stop);
  request_.products = ImageProducts::kPsfOnly;
  request_.prefix = folder_ / "psf";
  EXPECT_EQ(RunImage(block, request_, context_).products.size(), 2U);
  const FitsImage psf = ReadFitsImage(folder_ / "psf.psf.fits");
  EXPECT_NEAR(psf.view()(200, 200), 1, 1e-4);
}

// Integration by integration, each gone when the next comes.
class OneByOne : public VisibilityParts {
 public:
  explicit OneByOne(const VisibilityBlock& block) : block_(block) {}
  void ForEach(const std::function<void(const VisibilityPart&)>& use) const override {
    const std::size_t row = block_.n_baselines() * block_.n_channels() * block_.n_pols();
    std::vector<Visibility> vis(row);
    for (std::size_t t = 0; t < block_.n_times(); ++t) {
      std::copy_n(block_.vis.data() + t * row, row, vis.data());
      use({t, t + 1, vis.data()});
      std::fill(vis.begin(), vis.end(), Visibility(NAN, NAN));
    }
  }

 private:
  const VisibilityBlock& block_;
};

// However many parts the visibilities come in, and whether or not some are not finite.
TEST_F(ImageStageTest, VisibilitiesInPartsMakeTheSameImages) {
  for (const bool spoiled : {false, true}) {
    VisibilityBlock whole = Tile(0.3), parts = Tile(0.3);
    if (spoiled) {
      for (VisibilityBlock* block : {&whole, &parts}) block->vis[777] = Visibility(NAN, 0);
    }
    request_.overwrite = true;
    request_.prefix = folder_ / "whole";
    const ImageReport expected = RunImage(whole, request_, context_);
    request_.prefix = folder_ / "parts";
    const OneByOne vis(parts);
    const ImageReport report = RunImage(parts, vis, request_, context_);
    for (const char* kind : {"dirty", "psf", "image", "residual", "model"}) {
      const auto a = ReadFitsImage(folder_ / fmt::format("whole.{}.fits", kind)),
                 b = ReadFitsImage(folder_ / fmt::format("parts.{}.fits", kind));
      for (std::size_t i = 0; i < a.pixels.size(); ++i) {
        // Density sums of spoiled data are added in another order.
        ASSERT_NEAR(a.pixels[i], b.pixels[i], spoiled ? 1e-5 : 0) << kind << " " << i;
      }
    }
    EXPECT_EQ(report.thermal_jy, expected.thermal_jy);
    EXPECT_EQ(report.quality.rms_over_thermal, expected.quality.rms_over_thermal);
    EXPECT_TRUE(parts.flag.empty());
  }
  VisibilityBlock block = Tile(0.3);
  request_.predict = true;
  EXPECT_TRUE(NeedsWholeTile(request_));
  EXPECT_THROW(RunImage(block, OneByOne(block), request_, context_), Error);
}

// Images are written in the background; a disk that fills up meanwhile ends the run as one that was full before.
TEST_F(ImageStageTest, AWriteThatFailsInTheBackgroundPublishesNothing) {
  for (int at = 1; at <= 40; ++at) {
    VisibilityBlock block = Tile(0.3);
    testkit::FaultyOs os(testkit::FaultyOs::Fault::kFailBefore, at, ENOSPC);
    context_.os = &os;
    request_.settings.max_iterations = 20;
    try {
      RunImage(block, request_, context_);
      EXPECT_EQ(Files(), 10U) << os.fault_at();  // only the removal of the hidden folder may fail in silence
      break;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kResource) << error.what();
    }
    EXPECT_EQ(Files(), 0U) << at << " " << os.fault_at();
  }
}

TEST_F(ImageStageTest, AProcessWithLittleMemoryRefusesInWords) {
  VisibilityBlock block = Tile(0.1);
  context_.memory_bytes = 1 << 20;
  try {
    RunImage(block, request_, context_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_NE(error.message().find("available of one worker (executor.memory_bytes)"), std::string::npos)
        << error.message();
  }
}

TEST_F(ImageStageTest, EveryImagePerBeamNamesItsBeam) {
  VisibilityBlock block = Tile(0.1);
  request_.settings.format = "both";
  request_.settings.spectral_channels = 2;
  const ImageReport report = RunImage(block, request_, context_);
  std::size_t per_beam = 0;
  std::map<ProductKind, int> kinds;
  for (const auto& [kind, path] : report.products) {
    ++kinds[kind];
    FitsHeader header;
    if (path.extension() == ".fits") {
      header = ReadFitsImage(path).header;
    } else if (std::filesystem::is_directory(path)) {
      header = ReadCasacoreImage(path).header;
    } else {
      continue;
    }
    EXPECT_EQ(header.telescope, "TEST") << path;
    EXPECT_GT(header.frequency_hz, 1e9) << path;
    EXPECT_GT(header.start_mjd_s, 1e9) << path;
    if (header.unit != "Jy/beam") continue;
    ++per_beam;
    ASSERT_TRUE(header.beam) << path;
    EXPECT_NEAR(header.beam->major_rad, report.beam.major_rad, 1e-6 * report.beam.major_rad) << path;
  }
  EXPECT_EQ(per_beam, 2 * 7U);  // dirty, psf, residual, image, image.pbcor, two bands
  for (const ProductKind kind : AllProductKinds()) {
    if (IsImage(kind)) {
      const bool of_mosaic = kind == ProductKind::kRms || kind == ProductKind::kWeight;
      EXPECT_EQ(kinds[kind], of_mosaic ? 0 : kind == ProductKind::kBand ? 4 : 2) << ToString(kind);
    }
  }
  EXPECT_EQ(kinds[ProductKind::kQaPicture], 1);
  EXPECT_EQ(kinds[ProductKind::kQaMetrics], 1);
}

// Only the components are drawn otherwise; what CLEAN left, and the beam of it, stay.
TEST_F(ImageStageTest, RestoresWithTheBeamThatIsAskedFor) {
  VisibilityBlock block = Tile(0.3), again = Tile(0.3);
  RunImage(block, request_, context_);
  FitsImage usual = ReadFitsImage(folder_ / "tile.image.fits");
  const FitsImage residual = ReadFitsImage(folder_ / "tile.residual.fits");
  request_.settings.restore_beam = "90,75,-20";
  request_.overwrite = true;
  const ImageReport report = RunImage(again, request_, context_);
  const FitsImage wide = ReadFitsImage(folder_ / "tile.image.fits"),
                  left = ReadFitsImage(folder_ / "tile.residual.fits"),
                  dirty = ReadFitsImage(folder_ / "tile.dirty.fits");
  for (const GaussianBeam& beam : {*wide.header.beam, report.beam}) {
    EXPECT_NEAR(Angle::Radians(beam.major_rad).arcsec(), 90, 1e-4);
    EXPECT_NEAR(Angle::Radians(beam.minor_rad).arcsec(), 75, 1e-4);
    EXPECT_NEAR(Angle::Radians(beam.angle_rad).deg(), 160, 1e-4);
  }
  for (const FitsImage* psf : {&left, &dirty}) {
    EXPECT_EQ(psf->header.beam->major_rad, usual.header.beam->major_rad);
    EXPECT_LT(psf->header.beam->major_rad, wide.header.beam->minor_rad);
  }
  EXPECT_TRUE(std::equal(left.pixels.begin(), left.pixels.end(), residual.pixels.begin()));
  const auto between = BeamBetween(*usual.header.beam, *wide.header.beam);
  ASSERT_TRUE(between);
  RestoreAnew(*usual.header.beam, *wide.header.beam, *between, residual.view(), usual.header.geometry.cell_rad,
              {usual.pixels.data(), usual.view().shape()}, 2);
  double largest = 0;
  for (std::size_t y = 40; y < 360; ++y) {  // there are components at the edges, too
    for (std::size_t x = 40; x < 360; ++x) {
      largest = std::max(largest, static_cast<double>(std::abs(wide.view()(y, x) - usual.view()(y, x))));
    }
  }
  EXPECT_LT(largest, 1e-4);
  request_.settings.restore_beam = "9,9,0";
  EXPECT_EQ(KindOfFailure(again), ErrorKind::kUsage);
  EXPECT_NE(message_.find("wider than a pixel of 10 arcsec, found a minor axis of 9 arcsec"), std::string::npos)
      << message_;
  request_.settings.restore_beam = "wide";
  EXPECT_EQ(KindOfFailure(again), ErrorKind::kUsage);
}

TEST_F(ImageStageTest, TheImagesAreHandedOnAsTheyAreInTheFiles) {
  FinishedImages kept;
  request_.keep = &kept;
  VisibilityBlock block = Tile(0.1);
  RunImage(block, request_, context_);
  const std::vector<std::pair<const char*, const Plane*>> planes{{"image", &kept.image},
                                                                 {"residual", &kept.residual},
                                                                 {"pb", &kept.pb},
                                                                 {"smear", &kept.smear},
                                                                 {"psf", &kept.psf}};
  for (const auto& [word, plane] : planes) {
    const FitsImage file = ReadFitsImage(folder_ / fmt::format("tile.{}.fits", word));
    ASSERT_EQ(file.pixels.size(), plane->pixels.size()) << word;
    EXPECT_EQ(std::memcmp(file.pixels.data(), plane->pixels.data(), 4 * file.pixels.size()), 0) << word;
  }
  const FitsHeader header = ReadFitsImage(folder_ / "tile.image.fits").header;
  EXPECT_EQ(kept.header.unit, "Jy/beam");
  EXPECT_NEAR(kept.header.beam->major_rad, header.beam->major_rad, 1e-9 * header.beam->major_rad);
  EXPECT_NEAR(kept.header.geometry.cell_rad, header.geometry.cell_rad, 1e-9 * header.geometry.cell_rad);
  EXPECT_NEAR(kept.header.start_mjd_s, header.start_mjd_s, 1e-3);
}

TEST_F(ImageStageTest, NothingThatIsNotFiniteIsPublished) {
  VisibilityBlock block = Tile(0.1);
  block.vis_view()(1, 40, 3, 0) = Visibility(3e38F, 3e38F);  // the sum over it overflows
  block.vis_view()(1, 40, 4, 0) = Visibility(3e38F, 3e38F);
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kBadInput);
  EXPECT_NE(message_.find("not finite"), std::string::npos) << message_;
  EXPECT_EQ(Files(), 0U);
  VisibilityBlock good = Tile(0.1);
  request_.settings.gain = 5;  // no command line takes it
  try {
    const ImageReport report = RunImage(good, request_, context_);
    for (float value : ReadFitsImage(folder_ / "tile.image.fits").pixels) ASSERT_TRUE(std::isfinite(value));
    EXPECT_GE(report.quality.grade, "C");
  } catch (const Error& error) {
    EXPECT_EQ(Files(), 0U) << error.what();
  }
}

TEST_F(ImageStageTest, PureNoiseIsNoFault) {
  VisibilityBlock block = Tile(0.3, {});
  const ImageReport report = RunImage(block, request_, context_);
  EXPECT_LE(report.quality.grade, "B") << (report.quality.reasons.empty() ? "" : report.quality.reasons[0]);
}

TEST_F(ImageStageTest, OneSourceThatOutshinesAllIsNoFault) {
  VisibilityBlock block = Tile(0.1, {{0, 0, 20.0}, {-0.005, 0.003, 0.05}});
  const ImageReport report = RunImage(block, request_, context_);
  EXPECT_LE(report.quality.grade, "B") << (report.quality.reasons.empty() ? "" : report.quality.reasons[0]);
}

TEST_F(ImageStageTest, AutocorrelationsAloneAreRefused) {
  VisibilityBlock block = Tile(0.1);
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      if (block.baselines[b].is_auto()) continue;
      for (std::size_t k = 0; k < block.n_channels(); ++k) {
        for (std::size_t p = 0; p < 2; ++p) block.flag_view()(t, b, k, p) = 1;
      }
    }
  }
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kBadInput);
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, PredictLeavesTheModelInTheBlock) {
  VisibilityBlock block = Tile(0);
  const Visibility before = block.vis_view()(0, 30, 4, 0);
  request_.predict = true;
  RunImage(block, request_, context_);
  EXPECT_EQ(block.data_state, DataState::kModel);
  EXPECT_NEAR(std::abs(block.vis_view()(0, 30, 4, 0) - before), 0, 0.04);  // 2 % of the flux in the field
}

TEST_F(ImageStageTest, RefusesToReplaceProductsUnlessAsked) {
  VisibilityBlock block = Tile(0.02);
  std::ofstream(folder_ / "tile.model.fits") << "precious";
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_EQ(Files(), 1U);
  request_.overwrite = true;
  RunImage(block, request_, context_);
  EXPECT_EQ(Files(), 10U);
}

TEST_F(ImageStageTest, ReportsDataWithoutAnythingToImage) {
  VisibilityBlock block = Tile(0.02);
  std::fill(block.flag.begin(), block.flag.end(), std::uint8_t{1});
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kBadInput);
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, IgnoresSamplesWithNaNWeights) {
  VisibilityBlock block = Tile(0.02);
  for (std::size_t i = 0; i < block.weight.size(); i += 3) block.weight[i] = std::nanf("");
  const ImageReport report = RunImage(block, request_, context_);
  EXPECT_TRUE(std::isfinite(report.quality.rms_jy));
  EXPECT_NEAR(report.quality.peak_jy, 1, 0.1);
}

TEST_F(ImageStageTest, RefusesAFieldBeyondTheHorizonAndOddSizes) {
  VisibilityBlock block = Tile(0.02);
  request_.settings.cell_arcsec = 3600;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  request_.settings.cell_arcsec = 10;
  request_.settings.size = 321;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, RefusesThePixelsOfAnotherArray) {
  VisibilityBlock block = Tile(0.02);
  request_.settings.cell_arcsec = 300;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_NE(message_.find("pixels of 300 arcsec cannot show the fringes"), std::string::npos) << message_;
  request_.settings.cell_arcsec = 0.01;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_NE(message_.find("the field is 4 arcsec wide"), std::string::npos) << message_;
  request_.settings.cell_arcsec = 10;
  for (double& x : block.uvw_m) x *= 1e5;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_NE(message_.find(" uas "), std::string::npos) << message_;
  // Only what is used counts.
  request_.settings.max_uv_lambda = 3000;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_NE(message_.find("(to 3000 wavelengths) leave 0 of"), std::string::npos) << message_;
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, SaysHowMuchMemoryAnImpossibleImageNeeds) {
  VisibilityBlock block = Tile(0.02);
  request_.settings.size = 65536;
  request_.settings.cell_arcsec = 0.5;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kResource);
  EXPECT_NE(message_.find("GiB"), std::string::npos) << message_;
}

TEST_F(ImageStageTest, LeavesNothingBehindWhenCancelledOrUnwritable) {
  VisibilityBlock block = Tile(0.02);
  std::atomic<bool> cancelled{true};
  context_.cancelled = &cancelled;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kCancelled);
  EXPECT_EQ(Files(), 0U);
  context_.cancelled = nullptr;
  request_.prefix = "/proc/nowhere/tile";
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kIo);
}

TEST_F(ImageStageTest, ComparesWithACatalogue) {
  VisibilityBlock block = Tile(0.1);
  std::ofstream file(folder_ / "sky.csv");
  file.precision(12);
  file << "# test\nra_deg,dec_deg,flux_jy,alpha\n";
  request_.telescope.beam = "none";
  for (const Source& s : kSky) {
    const SkyDirection at = DirectionOfCosines(block.phase_centre, s.l, s.m);
    file << at.ra.deg() << ',' << at.dec.deg() << ',' << s.flux_jy << ",0\n";
  }
  file.close();
  request_.settings.catalogue_file = (folder_ / "sky.csv").string();
  request_.settings.gate_matches = 3;
  const ImageReport report = RunImage(block, request_, context_);
  ASSERT_TRUE(report.quality.catalogue.has_value());
  EXPECT_EQ(report.quality.catalogue->matches.size(), 4U);
  EXPECT_NEAR(report.quality.catalogue->flux_ratio_median, 1, 0.02);
  EXPECT_LT(report.quality.catalogue->offset_median_rad, 0.05 * report.beam.major_rad);
  EXPECT_EQ(report.quality.grade, "A");
}

TEST_F(ImageStageTest, WritesCasacoreImagesOnRequest) {
  VisibilityBlock block = Tile(0.02);
  request_.settings.format = "both";
  EXPECT_EQ(RunImage(block, request_, context_).products.size(), 18U);
  const FitsImage fits = ReadFitsImage(folder_ / "tile.image.pbcor.fits"),
                  casacore = ReadCasacoreImage(folder_ / "tile.image.pbcor");
  for (std::size_t i = 0; i < fits.pixels.size(); ++i) {
    if (std::isnan(fits.pixels[i])) {
      EXPECT_TRUE(std::isnan(casacore.pixels[i]));
    } else {
      EXPECT_EQ(fits.pixels[i], casacore.pixels[i]);
    }
  }
  request_.settings.format = "casacore";
  request_.overwrite = true;  // folders too
  EXPECT_EQ(RunImage(block, request_, context_).products.size(), 10U);
  EXPECT_EQ(Files(), 10U);  // FITS images of the run before would be read in their place
}

TEST_F(ImageStageTest, ImagesARangeOfChannels) {
  VisibilityBlock block = Tile(0.02);
  request_.channels = {2, 5};
  RunImage(block, request_, context_);
  const FitsImage image = ReadFitsImage(folder_ / "tile.image.fits");
  EXPECT_NEAR(image.header.frequency_hz, 1.31e9 + 3.5e6, 1e5);
  EXPECT_NEAR(image.header.bandwidth_hz, 4e6, 1);
  request_.channels = {5, 8};
  request_.prefix = folder_ / "other";
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_EQ(Files(), 10U);
}

TEST_F(ImageStageTest, ItsFrequencyIsWhereTheWeightsHaveTheirMiddle) {
  VisibilityBlock block = Tile(0.02);
  request_.settings.weight = "natural";
  const auto flag = block.flag_view();
  for (std::size_t t = 1; t < block.n_times(); ++t) {  // two of three integrations lack the upper half
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      std::fill_n(&flag(t, b, 4, 0), 4 * block.n_pols(), std::uint8_t{1});
    }
  }
  RunImage(block, request_, context_);
  const FitsImage image = ReadFitsImage(folder_ / "tile.image.fits");
  // Channels 0 to 3 three times, 4 to 7 once.
  EXPECT_NEAR(image.header.frequency_hz, 1.31e9 + 1e6 * (3 * 6 + 22) / 16, 1);
  EXPECT_NEAR(image.header.bandwidth_hz, 8e6, 1);
}

TEST_F(ImageStageTest, ABeamNeedsMoreThanOneBaseline) {
  VisibilityBlock block = Tile(0.02);
  const auto flag = block.flag_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      if (b == 7) continue;
      std::fill_n(&flag(t, b, 0, 0), block.n_channels() * block.n_pols(), std::uint8_t{1});
    }
  }
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kBadInput);
  EXPECT_NE(message_.find("baselines"), std::string::npos) << message_;
  request_.settings.cell_arcsec = 0.01;  // whatever the pixels are
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kBadInput);
  EXPECT_NE(message_.find("baselines"), std::string::npos) << message_;
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, TakesPublishedProductsBackWhenOneCannotBePublished) {
  VisibilityBlock block = Tile(0.02);
  request_.qa_prefix = folder_ / "qa" / "tile";
  std::filesystem::create_directories(folder_ / "qa");
  // Its name becomes a folder while the run goes on: what RenameNew meets at the very end.
  struct Blocker : Reporter {
    std::filesystem::path path;
    void Progress(std::string_view, double) override { std::filesystem::create_directories(path / "x"); }
    void Warn(std::string_view, std::string_view) override {}
    void Info(std::string_view, std::string_view) override {}
  } blocker;
  blocker.path = folder_ / "tile.image.pbcor.fits";
  context_.reporter = &blocker;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_EQ(Files(), 2U);  // qa/ and the blocker
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / "qa"));
}

TEST_F(ImageStageTest, FindsSpectralIndicesAndCleansAsDeepWithOneBand) {
  const Sky sky = {{0, 0, 1.0, -0.7}, {0.004, 0.003, 0.5, 0.6}, {-0.006, 0.005, 0.3, -1.5}, {0.005, -0.007, 0.2, 0}};
  VisibilityBlock block = Tile(0.02, sky, 25e6, true);
  block.channel_width_hz = 1e5;  // the data hold no smearing
  request_.settings.auto_mask = 4;
  request_.settings.max_major_cycles = 60;
  const ImageReport one = RunImage(block, request_, context_);
  request_.prefix = folder_ / "bands";
  request_.settings.spectral_channels = 4;
  const ImageReport report = RunImage(block, request_, context_);
  EXPECT_EQ(report.products.size(), 16U);
  ASSERT_EQ(report.bands.size(), 4U);
  ASSERT_GE(report.spectra.size(), 4U);
  EXPECT_LT(report.quality.rms_over_thermal, 1.1);
  EXPECT_LT(one.quality.rms_over_thermal, 1.1);  // flat models leave 1.4
  const FitsImage alpha = ReadFitsImage(folder_ / "bands.alpha.fits");
  for (std::size_t i = 0; i < 4; ++i) {
    const Source& s = sky[i];
    EXPECT_NEAR(report.spectra[i].index, s.index, 0.05 + 4 * report.spectra[i].error) << i;
    EXPECT_LT(report.spectra[i].error, 0.2);
    const PixelPosition at = DirectionToPixel(alpha.header.geometry, s.l, s.m);
    EXPECT_NEAR(alpha.view()(static_cast<std::size_t>(std::lround(at.y)), static_cast<std::size_t>(std::lround(at.x))),
                report.spectra[i].index, 0.02);
  }
  EXPECT_TRUE(std::isnan(alpha.view()(5, 5)));
  const FitsImage low = ReadFitsImage(folder_ / "bands.band00.image.fits"),
                  high = ReadFitsImage(folder_ / "bands.band03.image.fits");
  const double ratio = high.view()(200, 200) / low.view()(200, 200);
  EXPECT_NEAR(ratio, std::pow(high.header.frequency_hz / low.header.frequency_hz, -0.7), 0.01);
}

TEST_F(ImageStageTest, BandsNeedDataInEachOfThem) {
  VisibilityBlock block = Tile(0.02, {{0, 0, 1.0, -0.7}}, 25e6);
  const auto flag = block.flag_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      std::fill_n(&flag(t, b, 0, 0), block.n_channels() / 2 * block.n_pols(), std::uint8_t{1});
    }
  }
  request_.settings.spectral_channels = 4;
  EXPECT_EQ(KindOfFailure(block), ErrorKind::kUsage);
  EXPECT_NE(message_.find("in each of 4 bands (image.spectral_channels), found them in 2"), std::string::npos)
      << message_;
  EXPECT_EQ(Files(), 0U);
}

TEST_F(ImageStageTest, PredictsTheSpectraOfTheModel) {
  const Sky sky = {{0, 0, 1.0, -2}, {0.004, 0.003, 0.5, 2}};
  VisibilityBlock block = Tile(0, sky, 25e6);
  std::vector<Visibility> before;
  for (std::size_t k = 0; k < 8; ++k) before.push_back(block.vis_view()(1, 30, k, 0));
  request_.settings.spectral_channels = 8;
  request_.settings.max_major_cycles = 60;
  request_.predict = true;
  RunImage(block, request_, context_);
  EXPECT_EQ(block.data_state, DataState::kModel);
  for (std::size_t k = 0; k < 8; ++k) {
    EXPECT_NEAR(std::abs(block.vis_view()(1, 30, k, 0) - before[k]), 0, 0.03) << k;  // 2 % of the flux
  }
}

}  // namespace
}  // namespace contimg::image
