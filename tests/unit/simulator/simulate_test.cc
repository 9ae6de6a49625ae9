#include "tests/simulator/simulate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "config/error.h"
#include "tests/simulator/airy_beam.h"
#include "tests/temporary_folder.h"
#include "tests/unit/simulator/read_back.h"

namespace contimg::simulator {
namespace {

using Vis = std::complex<float>;

GroupSpec TinySpec(const TemporaryFolder& folder) {
  GroupSpec spec;
  spec.out_dir = folder.path();
  spec.n_integrations = 4;
  spec.n_channels = 8;
  return spec;
}

SkyModel OneSource(SkyDirection position, double jy) { return {{Source{position, jy, 0.0}}}; }

TEST(SimulateGroup, LaysFilesOutAsTheCorrelatorDoes) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.n_channels = 48;
  spec.n_integrations = 3;
  const ArrayConfig array = Dsa110Array(10);
  const GroupResult group = SimulateGroup({}, array, {}, spec);
  ASSERT_EQ(group.files.size(), 16u);
  EXPECT_EQ(group.files[5].path.filename(), "2025-10-13T13:28:03_sb05.hdf5");
  EXPECT_FALSE(std::filesystem::exists(group.files[5].incomplete));
  const auto path = group.files[5].path;

  const auto vis = ReadSet<Vis>(path, "Data/visdata");
  EXPECT_EQ(vis.shape, (std::vector<hsize_t>{3 * 55, 1, 48, 2}));
  EXPECT_EQ(vis.chunks, (std::vector<hsize_t>{128, 1, 12, 1}));
  EXPECT_EQ(ReadSet<float>(path, "Data/nsamples").chunks, (std::vector<hsize_t>{256, 1, 12, 1}));
  EXPECT_EQ(ReadSet<std::int8_t>(path, "Data/flags").chunks, (std::vector<hsize_t>{256, 1, 24, 1}));
  EXPECT_EQ(ReadSet<float>(path, "Header/uvw_array").chunks, (std::vector<hsize_t>{512, 3}));

  const auto frequency = ReadSet<double>(path, "Header/freq_array");
  EXPECT_EQ(frequency.shape, (std::vector<hsize_t>{1, 48}));
  for (int k = 0; k < 48; ++k) {
    EXPECT_EQ(frequency.values[static_cast<std::size_t>(k)], Dsa110ChannelFrequencyHz(5, k));
  }
  EXPECT_EQ(ReadScalar<double>(path, "Header/channel_width"), 244140.625);
  EXPECT_EQ(ReadScalar<double>(path, "Header/integration_time"), 12.884902000427246);
  EXPECT_EQ(ReadScalar<std::int64_t>(path, "Header/Nants_data"), 10);
  EXPECT_EQ(ReadScalar<std::int64_t>(path, "Header/Nants_telescope"), 117);
  EXPECT_EQ(ReadScalar<std::int64_t>(path, "Header/Nbls"), 55);

  // The middle of the first integration; a JD in double precision resolves 40 µs.
  const auto time = ReadSet<double>(path, "Header/time_array");
  EXPECT_NEAR((time.values[0] - kMjdOfJd) * 86400 - spec.start.mjd_s(), kDsa110IntegrationS / 2, 5e-5);
  EXPECT_NEAR((time.values[55] - time.values[0]) * 86400, kDsa110IntegrationS, 9e-5);

  // Lower triangle over an unsorted antenna order: both orders of antenna numbers occur.
  const auto ant1 = ReadSet<std::int64_t>(path, "Header/ant_1_array"),
             ant2 = ReadSet<std::int64_t>(path, "Header/ant_2_array");
  std::size_t row = 0;
  bool reversed = false;
  for (std::size_t i = 0; i < 10; ++i) {
    for (std::size_t j = 0; j <= i; ++j, ++row) {
      EXPECT_EQ(ant1.values[row], array.correlator_order[j]);
      EXPECT_EQ(ant2.values[row], array.correlator_order[i]);
      reversed = reversed || ant1.values[row] > ant2.values[row];
    }
  }
  EXPECT_TRUE(reversed);
}

TEST(SimulateGroup, GivesTheFluxOfASourceAtThePhaseCentre) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.n_integrations = 1;
  const ArrayConfig array = Dsa110Array(8);
  const GroupResult group = SimulateGroup(OneSource(FieldCentre(array, spec), 3.0), array, {}, spec);
  for (const SubbandFile& file : group.files) {
    for (const Vis& v : ReadSet<Vis>(file.path, "Data/visdata").values) {
      EXPECT_NEAR(v.real(), 3.0, 1e-6);  // rounding to float
      // The JD's 20 µs of rounding turn the sky by 1.5e-9 rad, 12 000 wavelengths of baseline make 1e-4 rad of that.
      EXPECT_NEAR(v.imag(), 0.0, 3e-4);
    }
  }
}

TEST(SimulateGroup, HasThePhaseAndTheBeamOfAnOffsetSource) {
  // A source that is 1° north and on the meridian in the middle of the only integration: s − s0 is known in the ITRF.
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.n_integrations = 1;
  const ArrayConfig array = Dsa110Array(6);
  const double longitude = array.site.longitude_rad, dec = spec.app_dec_rad, one_degree = kPi / 180;
  const Vec3 s = MeridianDirection(longitude, dec + one_degree), s0 = MeridianDirection(longitude, dec);
  const SkyDirection position = EarthFrame(UtcTime::FromJd(IntegrationJd(spec, 0))).ToIcrs(s);
  const GroupResult group = SimulateGroup(OneSource(position, 2.0), array, {}, spec);
  const std::vector<Row> rows = BaselineRows(array);
  Vec3 offset;
  for (std::size_t axis = 0; axis < 3; ++axis) offset[axis] = s[axis] - s0[axis];
  const Vec3 rate = SiderealRate(offset);
  for (int subband : {0, 15}) {
    const auto vis = ReadSet<Vis>(group.files[static_cast<std::size_t>(subband)].path, "Data/visdata").values;
    const ChannelBlock channels = SubbandChannels(subband, 8);
    for (std::size_t row = 0; row < rows.size(); ++row) {
      Vec3 b;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        const auto at = [&](int position_in_order) {
          return array.positions_itrf_m[static_cast<std::size_t>(
              array.correlator_order[static_cast<std::size_t>(position_in_order)])][axis];
        };
        b[axis] = at(rows[row].position2) - at(rows[row].position1);
      }
      for (std::size_t k = 0; k < 8; ++k) {
        const double f = channels.Frequency(k), delay = Dot(b, offset) / kSpeedOfLight;
        const double amplitude = 2.0 * AiryPower(std::sin(one_degree), f, kDsa110DishDiameterM) *
                                 TimeSmearing(f, Dot(b, rate) / kSpeedOfLight, kDsa110IntegrationS) *
                                 BandwidthSmearing(channels.step_hz, delay);
        const std::complex<double> expected = std::polar(amplitude, 2 * kPi * f * delay);
        // ERFA's way to ICRS and back closes to 1e-11 rad (1e-6 turns on these baselines); float rounding.
        EXPECT_LT(std::abs(std::complex<double>(vis[(row * 8 + k) * 2]) - expected), 2e-5);
      }
    }
  }
}

// A source at the phase centre: its flux density is what every sample has.
TEST(SimulateGroup, FollowsAVariableFromIntegrationToIntegration) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.primary_beam = false;
  const ArrayConfig array = Dsa110Array(4);
  SkyModel sky = OneSource(FieldCentre(array, spec), 3.0);
  Variation& v = sky.sources[0].variation;
  v.kind = VariationKind::kSinusoid;
  v.amplitude = 0.5;
  v.period_d = 100.0 / 86400;
  v.at_mjd = spec.start.mjd();
  v.to_mjd = (spec.start + 3 * kDsa110IntegrationS).mjd();  // the last integration has nothing
  const GroupResult group = SimulateGroup(sky, array, {}, spec);
  nlohmann::json truth;
  std::ifstream(group.truth_path) >> truth;
  const auto jy = [&](double after_s) { return 3 * (1 + 0.5 * std::sin(2 * kPi * after_s / 100)); };
  double mean = 0;
  const auto vis = ReadSet<Vis>(group.files[7].path, "Data/visdata").values;
  for (std::size_t i = 0; i < vis.size(); ++i) {
    const std::size_t t = i / 16 / array.n_baselines();
    const double expected = t == 3 ? 0 : jy((static_cast<double>(t) + 0.5) * kDsa110IntegrationS);
    ASSERT_NEAR(std::abs(std::complex<double>(vis[i])), expected, 1e-4) << i;
    mean += expected / static_cast<double>(vis.size());
  }
  EXPECT_NEAR(truth["apparent_jy"][0].get<double>(), mean, 1e-4);
  EXPECT_NEAR(group.seen_jy[0], mean, 1e-4);
  EXPECT_NEAR(truth["sources"][0][2].get<double>(), jy(2 * kDsa110IntegrationS), 1e-6);
  EXPECT_EQ(truth["varying"][0]["kind"], "sinusoid");
  EXPECT_EQ(truth["varying"][0]["steady_jy"], 3.0);
  EXPECT_TRUE(truth["varying"][0]["from_mjd"].is_null());
}

// A source that brightens in the middle of the tile is seen brighter as it enters the beam than as it leaves it.
TEST(SimulateGroup, SaysWhatTheBeamSeesOfAVariable) {
  GroupSpec spec;
  spec.n_channels = 1;
  spec.n_subbands = 1;
  const ArrayConfig array = Dsa110Array(4);
  SkyModel sky;
  for (const double east_deg : {1.5, -1.5, 120.0}) {
    Source source{FieldCentre(array, spec), 1.0, 0.0};
    source.position.ra = WrapPositive(source.position.ra + Angle::Degrees(east_deg));
    source.variation.kind = VariationKind::kStep;
    source.variation.at_mjd = MiddleOf(spec).mjd();
    source.variation.factor = 3;
    sky.sources.push_back(source);
  }
  const TemporaryFolder folder;
  spec.out_dir = folder.path();
  const GroupResult group = SimulateGroup(sky, array, {}, spec);
  const double entering = group.seen_jy[0], leaving = group.seen_jy[1];
  EXPECT_NEAR((entering + leaving) / 2, 2, 0.01);
  EXPECT_GT(entering, 2.1);
  EXPECT_LT(leaving, 1.9);
  EXPECT_TRUE(std::isnan(group.seen_jy[2]));
}

// A Gaussian at the phase centre: real, and falling with the baseline along its axes on the sky.
TEST(SimulateGroup, ResolvesAGaussianAsItsAxesLie) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.n_integrations = 1;
  const ArrayConfig array = Dsa110Array(8);
  SkyModel sky = OneSource(FieldCentre(array, spec), 2.0);
  sky.sources[0].shape = {Angle::Arcsec(90), Angle::Arcsec(20), Angle::Degrees(35)};
  const GroupResult group = SimulateGroup(sky, array, {}, spec);
  nlohmann::json truth;
  std::ifstream(group.truth_path) >> truth;
  EXPECT_NEAR(truth["extended"][0]["minor_arcsec"].get<double>(), 20, 1e-9);
  // The meridian's east and north. ICRS north at the source is turned from it by precession and nutation since
  // 2000: 25.8 years, at most 0.15° here, which changes no sample by more than 8e-3.
  const double longitude = array.site.longitude_rad, angle = 35 * kPi / 180;
  const Vec3 north = MeridianDirection(longitude, spec.app_dec_rad + kPi / 2);
  const Vec3 east{-std::sin(longitude), std::cos(longitude), 0};
  const std::vector<Row> rows = BaselineRows(array);
  const ChannelBlock channels = SubbandChannels(3, 8);
  const auto vis = ReadSet<Vis>(group.files[3].path, "Data/visdata").values;
  double resolved = 1;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    const auto at = [&](int p) -> const Vec3& {
      return array.positions_itrf_m[static_cast<std::size_t>(array.correlator_order[static_cast<std::size_t>(p)])];
    };
    double along = 0, across = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      const double b = at(rows[row].position2)[k] - at(rows[row].position1)[k];
      along += b * (north[k] * std::cos(angle) + east[k] * std::sin(angle));
      across += b * (east[k] * std::cos(angle) - north[k] * std::sin(angle));
    }
    for (std::size_t k = 0; k < 8; ++k) {
      // The Fourier transform of a Gaussian of full width w: exp(−(π w u)² / (4 ln 2)).
      const double turns = channels.Frequency(k) / kSpeedOfLight * kPi / 180 / 3600;
      const double major = kPi * 90 * turns * along, minor = kPi * 20 * turns * across;
      const double share = std::exp(-(major * major + minor * minor) / (4 * std::log(2.0)));
      resolved = std::min(resolved, share);
      EXPECT_NEAR(vis[(row * 8 + k) * 2].real(), 2 * share, 8e-3);
    }
  }
  EXPECT_LT(resolved, 0.5);
}

TEST(SimulateGroup, IsTheSameForAnyNumberOfThreads) {
  const TemporaryFolder one_folder, two_folder;
  const ArrayConfig array = Dsa110Array(7);
  Corruptions c;
  c.sefd_jy = 6500;
  c.gain_phase_deg = 30;
  c.delay_ns = 3;
  c.rfi = DrawRfi({3, 2, 1}, 1.311e9, 1.499e9, 51, 4);
  GroupSpec one = TinySpec(one_folder), two = TinySpec(two_folder);
  two.threads = 3;
  const SkyModel sky = OneSource(FieldCentre(array, one), 5.0);
  const GroupResult a = SimulateGroup(sky, array, c, one), b = SimulateGroup(sky, array, c, two);
  for (std::size_t i = 0; i < 16; ++i) EXPECT_TRUE(Bytes(a.files[i].path) == Bytes(b.files[i].path)) << i;
  EXPECT_EQ(Bytes(a.truth_path), Bytes(b.truth_path));
}

TEST(SimulateGroup, AddsNoiseOfTheRadiometerEquation) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  const ArrayConfig array = Dsa110Array(10);
  Corruptions c;
  c.sefd_jy = 6500;
  const GroupResult group = SimulateGroup({}, array, c, spec);
  const double sigma = VisibilitySigmaJy(6500, 8 * 6 * 30517.578125, kDsa110IntegrationS);
  const std::vector<Row> rows = BaselineRows(array);
  double cross2 = 0, auto_sum = 0, auto2 = 0, n_cross = 0, n_auto = 0;
  for (const SubbandFile& file : group.files) {
    const auto vis = ReadSet<Vis>(file.path, "Data/visdata").values;
    for (std::size_t i = 0; i < vis.size(); ++i) {
      const Row& row = rows[i / 16 % rows.size()];
      const std::complex<double> v(vis[i]);
      if (row.position1 == row.position2) {
        EXPECT_EQ(v.imag(), 0.0);
        auto_sum += v.real();
        auto2 += std::pow(v.real() - 6500, 2);
        n_auto += 1;
      } else {
        cross2 += std::norm(v);
        n_cross += 2;
      }
    }
  }
  // Five standard errors of a variance: √(2/n).
  EXPECT_NEAR(cross2 / n_cross / (sigma * sigma), 1, 5 * std::sqrt(2 / n_cross));
  EXPECT_NEAR(auto2 / n_auto / (2 * sigma * sigma), 1, 5 * std::sqrt(2 / n_auto));
  EXPECT_NEAR(auto_sum / n_auto, 6500, 5 * 1.5 * sigma / std::sqrt(n_auto));
}

TEST(SimulateGroup, CorruptsAsTheTruthSays) {
  const TemporaryFolder clean_folder, bad_folder;
  GroupSpec clean_spec = TinySpec(clean_folder), bad_spec = TinySpec(bad_folder);
  const ArrayConfig array = Dsa110Array(5);
  Corruptions c;
  c.gain_amplitude = 0.3;
  c.gain_phase_deg = 180;
  c.drift_phase_deg_per_hour = 100;
  c.delay_ns = 10;
  c.bandpass_ripple = 0.2;
  c.dead_stations = {array.correlator_order[3] + 1};
  const SkyModel sky = OneSource(FieldCentre(array, clean_spec), 5.0);
  const GroupResult clean = SimulateGroup(sky, array, {}, clean_spec), bad = SimulateGroup(sky, array, c, bad_spec);
  nlohmann::json truth;
  std::ifstream(bad.truth_path) >> truth;
  const auto& gains = truth["gains"];
  const auto complex = [](const nlohmann::json& pair) { return std::complex<double>(pair[0], pair[1]); };
  const std::vector<Row> rows = BaselineRows(array);
  for (std::size_t file : {0u, 9u}) {
    const auto before = ReadSet<Vis>(clean.files[file].path, "Data/visdata").values;
    const auto after = ReadSet<Vis>(bad.files[file].path, "Data/visdata").values;
    for (std::size_t i = 0; i < before.size(); ++i) {
      const std::size_t pol = i % 2, k = i / 2 % 8, row = i / 16 % rows.size(), t = i / 16 / rows.size();
      const std::size_t ascending = 127 - (file * 8 + k);
      const auto response = [&](int antenna) {
        const auto a = static_cast<std::size_t>(antenna);
        const double nu = gains["frequency_hz"][ascending].get<double>() - gains["reference_hz"].get<double>();
        const double turns = gains["delay_ns"][a][pol].get<double>() * 1e-9 * nu;
        return complex(gains["gain"][t][a][pol]) * complex(gains["bandpass"][a][pol][ascending]) *
               std::polar(1.0, 2 * kPi * turns);
      };
      const bool dead = rows[row].position1 == 3 || rows[row].position2 == 3;
      const std::complex<double> expected = dead ? 0.0
                                                 : std::conj(response(rows[row].position1)) *
                                                       response(rows[row].position2) * std::complex<double>(before[i]);
      // The truth is rounded to 1e-7, times a few Jy and gains of up to 4.
      ASSERT_LT(std::abs(std::complex<double>(after[i]) - expected), 1e-4) << file << " " << i;
    }
  }
}

TEST(SimulateGroup, AReceptorDiesWhenToldTo) {
  const TemporaryFolder clean_folder, bad_folder;
  const GroupSpec clean_spec = TinySpec(clean_folder), bad_spec = TinySpec(bad_folder);
  const ArrayConfig array = Dsa110Array(4);
  Corruptions c;
  c.dead_stations = {array.correlator_order[1] + 1};
  c.dead_pol = 1;
  c.dead_from_mjd_s = bad_spec.start.mjd_s() + 15;  // within the second integration, before its middle
  const SkyModel sky = OneSource(FieldCentre(array, clean_spec), 5.0);
  const GroupResult clean = SimulateGroup(sky, array, {}, clean_spec), bad = SimulateGroup(sky, array, c, bad_spec);
  nlohmann::json truth;
  std::ifstream(bad.truth_path) >> truth;
  EXPECT_EQ(truth["dead_pol"], "Y");
  EXPECT_NEAR(UtcTime::FromIso8601(truth["dead_from"].get<std::string>()).mjd_s(), c.dead_from_mjd_s, 0.01);
  const std::vector<Row> rows = BaselineRows(array);
  const auto before = ReadSet<Vis>(clean.files[3].path, "Data/visdata").values;
  const auto after = ReadSet<Vis>(bad.files[3].path, "Data/visdata").values;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::size_t pol = i % 2, row = i / 16 % rows.size(), t = i / 16 / rows.size();
    const bool dead = pol == 1 && t >= 1 && (rows[row].position1 == 1 || rows[row].position2 == 1);
    ASSERT_EQ(after[i], dead ? Vis() : before[i]) << i;
  }
}

TEST(SimulateGroup, ADeadAntennaKeepsItsNoise) {
  const TemporaryFolder folder;
  const GroupSpec spec = TinySpec(folder);
  const ArrayConfig array = Dsa110Array(10);
  Corruptions c;
  c.sefd_jy = 6500;
  c.dead_stations = {array.correlator_order[4] + 1};
  const double source_jy = 300;  // several times the noise
  const GroupResult group = SimulateGroup(OneSource(FieldCentre(array, spec), source_jy), array, c, spec);
  const double sigma = VisibilitySigmaJy(6500, 8 * 6 * 30517.578125, kDsa110IntegrationS);
  const std::vector<Row> rows = BaselineRows(array);
  double sum = 0, sum2 = 0, n = 0;
  for (const SubbandFile& file : group.files) {
    const auto vis = ReadSet<Vis>(file.path, "Data/visdata").values;
    for (std::size_t i = 0; i < vis.size(); ++i) {
      const Row& row = rows[i / 16 % rows.size()];
      if (row.position1 == row.position2 || (row.position1 != 4 && row.position2 != 4)) continue;
      sum += vis[i].real();
      sum2 += std::norm(std::complex<double>(vis[i]));
      n += 2;
    }
  }
  EXPECT_NEAR(sum2 / n / (sigma * sigma), 1, 5 * std::sqrt(2 / n));
  EXPECT_LT(std::abs(sum / (n / 2)), 5 * sigma / std::sqrt(n / 2));
}

TEST(SimulateGroup, MarksTheSamplesThatInterferenceReaches) {
  const TemporaryFolder clean_folder, bad_folder;
  GroupSpec clean_spec = TinySpec(clean_folder), bad_spec = TinySpec(bad_folder);
  const ArrayConfig array = Dsa110Array(4);
  Corruptions c;
  RfiEmitter line;
  line.frequency_hz = SubbandChannels(2, 8).Frequency(3);
  line.bandwidth_hz = 1e4;
  line.start_s = kDsa110IntegrationS;  // integrations 1 and 2
  line.duration_s = 2 * kDsa110IntegrationS;
  line.azimuth_deg = 200;
  line.flux_xx_jy = line.flux_yy_jy = 1e5;
  c.rfi = {line};
  bad_spec.write_mask = true;
  const GroupResult clean = SimulateGroup({}, array, {}, clean_spec), bad = SimulateGroup({}, array, c, bad_spec);
  const auto mask = ReadSet<std::uint8_t>(bad.mask_path, "mask");
  const std::size_t rows = array.n_baselines();
  EXPECT_EQ(mask.shape, (std::vector<hsize_t>{4, rows, 128}));
  std::size_t marked = 0;
  for (std::size_t file = 0; file < 16; ++file) {
    const auto before = ReadSet<Vis>(clean.files[file].path, "Data/visdata").values;
    const auto after = ReadSet<Vis>(bad.files[file].path, "Data/visdata").values;
    for (std::size_t i = 0; i < before.size(); i += 2) {
      const std::size_t k = i / 2 % 8, time_row = i / 16;
      const bool in_mask = mask.values[time_row * 128 + 127 - (file * 8 + k)] != 0;
      EXPECT_EQ(in_mask, std::abs(after[i] - before[i]) > 1.0F);
      marked += in_mask ? 1 : 0;
    }
  }
  EXPECT_GE(marked, 2 * 4u);    // at least the autocorrelations
  EXPECT_LE(marked, 2 * rows);  // one channel, two integrations
}

TEST(SimulateGroup, LeavesMissingSubbandsOutAndScattersStamps) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.missing_subbands = {3, 7};
  spec.stamp_jitter_s = 9;
  spec.publish = false;
  const GroupResult group = SimulateGroup({}, Dsa110Array(2), {}, spec);
  ASSERT_EQ(group.files.size(), 14u);
  std::set<std::string> stamps;
  for (const SubbandFile& file : group.files) {
    EXPECT_NE(file.subband, 3);
    EXPECT_NE(file.subband, 7);
    EXPECT_TRUE(std::filesystem::exists(file.incomplete));
    EXPECT_FALSE(std::filesystem::exists(file.path));
    stamps.insert(file.path.filename().string().substr(0, 19));
  }
  EXPECT_GT(stamps.size(), 1u);
  Publish(group.files[0]);
  EXPECT_TRUE(std::filesystem::exists(group.files[0].path));
}

TEST(SimulateGroup, RefusesToOverwriteAndWrongShapes) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  const ArrayConfig array = Dsa110Array(2);
  SimulateGroup({}, array, {}, spec);
  try {
    SimulateGroup({}, array, {}, spec);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  spec.n_channels = 7;
  EXPECT_THROW(SimulateGroup({}, array, {}, spec), Error);
  EXPECT_THROW(Dsa110Array(std::vector<int>{24, 24}), Error);
  EXPECT_THROW(Dsa110Array(97), Error);
}

TEST(SimulateGroup, RemovesUnfinishedFilesWhenItFails) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  spec.truth_dir = folder.path() / "absent";
  EXPECT_THROW(SimulateGroup({}, Dsa110Array(2), {}, spec), Error);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(SimulateGroup, DriftsTheSkyBetweenTiles) {
  const TemporaryFolder folder;
  GroupSpec spec = TinySpec(folder);
  const ArrayConfig array = Dsa110Array(2);
  const SkyDirection first = FieldCentre(array, spec);
  spec.start = spec.start + GroupSeconds(spec);
  const SkyDirection second = FieldCentre(array, spec);
  // The sky passes at 15.041″ a second of time, to within the change of the apparent place across it.
  EXPECT_NEAR((second.ra - first.ra).arcsec(), 15.041 * GroupSeconds(spec), 0.5);
}

// The difference to data of another simulator, with the truth that came with them, is their noise and nothing else.
TEST(SimulateGroup, AgreesWithTheSampleData) {
  const char* root = std::getenv("CONTIMG_TEST_DATA");
  const std::filesystem::path sample =
      std::filesystem::path(root != nullptr ? root : CONTIMG_SOURCE_DIR "/../shared/data") / "sample-uvh5";
  if (!std::filesystem::exists(sample)) GTEST_SKIP() << "no test data in " << sample << " (set CONTIMG_TEST_DATA)";
  nlohmann::json truth;
  std::ifstream(sample / "truth_2025-10-13T13:28:03.json") >> truth;
  ArrayConfig array = Dsa110Array(truth["ants"].get<std::vector<int>>());
  array.site = {37.2333752 * kPi / 180, -118.2834051 * kPi / 180, 1188.05};
  SkyModel sky;
  for (const auto& s : truth["sources"]) {
    sky.sources.push_back({{Angle::Degrees(s[0].get<double>()), Angle::Degrees(s[1].get<double>())}, s[2], s[3]});
  }
  const TemporaryFolder folder;
  GroupSpec spec;
  spec.out_dir = folder.path();
  spec.app_dec_rad = truth["dec_app_deg"].get<double>() * kPi / 180;
  spec.n_integrations = 8;
  const GroupResult group = SimulateGroup(sky, array, {}, spec);
  EXPECT_NEAR(group.field_centre.ra.deg(), truth["centre"][0].get<double>(), 1e-8);
  EXPECT_NEAR(group.field_centre.dec.deg(), truth["centre"][1].get<double>(), 1e-8);

  nlohmann::json ours;
  std::ifstream(group.truth_path) >> ours;
  for (std::size_t i = 0; i < sky.sources.size(); ++i) {
    EXPECT_NEAR(ours["apparent_jy"][i].get<double>(), truth["apparent_jy"][i].get<double>(), 1e-7);
  }
  double noise2 = 0, model2 = 0, n = 0;
  std::complex<double> scale = 0;
  const std::vector<Row> rows = BaselineRows(array);
  std::vector<std::complex<double>> per_baseline(rows.size());
  for (const SubbandFile& file : group.files) {
    const auto mine = ReadSet<Vis>(file.path, "Data/visdata").values;
    const auto theirs = ReadSet<Vis>(sample / file.path.filename(), "Data/visdata").values;
    ASSERT_EQ(mine.size(), theirs.size());
    for (std::size_t i = 0; i < mine.size(); ++i) {
      const std::size_t row = i / 96 % rows.size();
      const std::complex<double> m(mine[i]), difference = std::complex<double>(theirs[i]) - m;
      noise2 += std::norm(difference);
      model2 += std::norm(m);
      scale += difference * std::conj(m);
      per_baseline[row] += difference;
      n += 1;
    }
  }
  const double sigma = 0.2;  // per real and imaginary part
  EXPECT_NEAR(noise2 / (2 * n) / (sigma * sigma), 1, 5 / std::sqrt(n));
  EXPECT_LT(std::abs(scale) / model2, 5 * sigma * std::sqrt(2 / model2));  // 5 σ: about 5e-4 in flux or phase
  double chi2 = 0;
  const double samples_each = n / static_cast<double>(rows.size());
  for (const std::complex<double>& sum : per_baseline) chi2 += std::norm(sum) / (samples_each * 2 * sigma * sigma);
  const double baselines = static_cast<double>(rows.size());
  EXPECT_NEAR(chi2 / baselines, 1, 5 / std::sqrt(baselines));
}

}  // namespace
}  // namespace contimg::simulator
