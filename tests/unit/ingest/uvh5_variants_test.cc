// Every accepted variant of the format gives the same tile: the fixture's truth, sample by sample, exactly.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "config/telescope.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using testkit::Number;
using testkit::Storage;
using testkit::Uvh5Fixture;

struct Receptors {
  int p, q;
};

Receptors ReceptorsOf(Polarisation polarisation) {
  switch (polarisation) {
    case Polarisation::kYY:
    case Polarisation::kLL:
      return {1, 1};
    case Polarisation::kXY:
    case Polarisation::kRL:
      return {0, 1};
    case Polarisation::kYX:
    case Polarisation::kLR:
      return {1, 0};
    default:
      return {0, 0};
  }
}

void ExpectTruth(const VisibilityBlock& block, const Uvh5Fixture& fixture) {
  ASSERT_EQ(block.n_times(), static_cast<std::size_t>(fixture.n_times));
  ASSERT_EQ(block.n_baselines(), fixture.n_baselines());
  ASSERT_EQ(block.n_channels(), static_cast<std::size_t>(fixture.n_channels));
  ASSERT_EQ(block.n_pols(), fixture.polarisations.size());
  const auto vis = block.vis_view();
  const auto weight = block.weight_view();
  const auto flag = block.flag_view();
  for (std::size_t t = 0; t < block.n_times(); ++t) {
    for (std::size_t b = 0; b < block.n_baselines(); ++b) {
      const Baseline baseline = block.baselines[b];
      for (std::size_t k = 0; k < block.n_channels(); ++k) {
        for (std::size_t p = 0; p < block.n_pols(); ++p) {
          const Receptors r = ReceptorsOf(block.polarisations[p]);
          const Visibility truth = Uvh5Fixture::Truth(static_cast<int>(t), baseline.antenna1, baseline.antenna2,
                                                      static_cast<int>(k), r.p, r.q);
          ASSERT_EQ(vis(t, b, k, p), truth) << "time " << t << " baseline " << b << " channel " << k << " pol " << p;
          ASSERT_EQ(flag(t, b, k, p), 0);
          ASSERT_EQ(weight(t, b, k, p), Uvh5Fixture::Weight(static_cast<int>(t), baseline.antenna1, baseline.antenna2,
                                                            static_cast<int>(k)));
        }
      }
    }
  }
}

struct Variant {
  std::string name;
  Uvh5Fixture fixture;
};

void PrintTo(const Variant& variant, std::ostream* out) { *out << variant.name; }

std::vector<Variant> Variants() {
  std::vector<Variant> variants;
  const auto add = [&](const std::string& name, auto change) {
    Variant variant{name, {}};
    change(variant.fixture);
    variants.push_back(variant);
  };
  add("Correlator", [](Uvh5Fixture&) {});
  add("Contiguous", [](Uvh5Fixture& f) { f.storage = Storage::kContiguous; });
  add("Deflate", [](Uvh5Fixture& f) { f.storage = Storage::kDeflate; });
  add("OneBigChunk", [](Uvh5Fixture& f) { f.storage = Storage::kBigChunks; });
  add("LatestFormat", [](Uvh5Fixture& f) { f.storage = Storage::kLatestFormat; });
  add("Rank3", [](Uvh5Fixture& f) { f.rank3 = true; });
  add("Rank3Deflate", [](Uvh5Fixture& f) { f.rank3 = true, f.storage = Storage::kDeflate; });
  add("ComplexDouble", [](Uvh5Fixture& f) { f.number = Number::kDouble; });
  add("ComplexInt32", [](Uvh5Fixture& f) { f.number = Number::kInt32; });
  add("ComplexInt64", [](Uvh5Fixture& f) { f.number = Number::kInt64; });
  add("BigEndian", [](Uvh5Fixture& f) { f.number = Number::kBigEndian; });
  add("AscendingFrequencies", [](Uvh5Fixture& f) { f.ascending = true; });
  add("RewrittenByPyuvdata",
      [](Uvh5Fixture& f) { f.vector_width = f.flat_frequencies = f.app_dec_array = f.variable_strings = true; });
  add("OldIntegers", [](Uvh5Fixture& f) { f.old_integers = true; });
  add("PolarisationsReversed", [](Uvh5Fixture& f) { f.polarisations = {-6, -5}; });
  add("FourProducts", [](Uvh5Fixture& f) { f.polarisations = {-5, -7, -8, -6}; });
  add("FourProductsAipsOrder", [](Uvh5Fixture& f) { f.polarisations = {-5, -6, -7, -8}; });
  add("Circular", [](Uvh5Fixture& f) { f.polarisations = {-1, -2}; });
  add("CircularFour", [](Uvh5Fixture& f) { f.polarisations = {-1, -2, -3, -4}; });
  add("OneTime", [](Uvh5Fixture& f) { f.n_times = 1; });
  add("OneChannel", [](Uvh5Fixture& f) { f.n_channels = 1; });
  add("DeclinationInExtraKeywords", [](Uvh5Fixture& f) { f.without_app_dec = true; });
  add("WithoutSite", [](Uvh5Fixture& f) { f.without_site = true; });
  return variants;
}

class ReadTileVariant : public ::testing::TestWithParam<Variant> {};

TEST_P(ReadTileVariant, GivesTheTruth) {
  const TemporaryFolder folder;
  const Uvh5Fixture& fixture = GetParam().fixture;
  const TileInput tile = ReadTile({fixture.Write(folder.path())}, RunContext{});
  ExpectTruth(*tile.block, fixture);
  EXPECT_EQ(tile.report.flagged, 0u);
  EXPECT_DOUBLE_EQ(tile.block->app_dec_rad, 0.65);
  EXPECT_EQ(tile.block->telescope_name, "OVRO_MMA");
  EXPECT_EQ(tile.block->antennas.names[1], "2");
  for (int k = 0; k < fixture.n_channels; ++k)
    EXPECT_NEAR(tile.block->frequency_hz[static_cast<std::size_t>(k)], fixture.Frequency(k), 1e-6);
  for (int t = 0; t < fixture.n_times; ++t) {  // the middles of the integrations; a double holds a JD to 40 us
    EXPECT_NEAR(tile.block->time_mjd_s[static_cast<std::size_t>(t)],
                (fixture.start_jd - 2400000.5) * 86400 + t * fixture.integration_s, 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(, ReadTileVariant, ::testing::ValuesIn(Variants()),
                         [](const auto& variant) { return variant.param.name; });

TEST(ReadTile, GivesTheSameForAnyNumberOfThreadsAndOrderOfFiles) {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> paths;
  for (const int subband : {2, 3, 7}) {
    Uvh5Fixture fixture;
    fixture.subband = subband;
    paths.push_back(fixture.Write(folder.path()));
  }
  RunContext context;
  const TileInput one = ReadTile(paths, context);
  std::reverse(paths.begin(), paths.end());
  context.threads = 3;
  const TileInput other = ReadTile(paths, context);
  ASSERT_EQ(one.block->shape(), other.block->shape());
  EXPECT_TRUE(std::equal(one.block->vis.begin(), one.block->vis.end(), other.block->vis.begin()));
  EXPECT_EQ(one.block->windows[0].subband, 7);
  EXPECT_EQ(other.block->windows[0].subband, 7);
  EXPECT_TRUE(std::is_sorted(other.block->frequency_hz.begin(), other.block->frequency_hz.end()));
}

TEST(ReadTile, ShowsEachRowOnceWhenItsSamplesAreInTheirPlace) {
  const TemporaryFolder folder;
  std::vector<std::filesystem::path> paths;
  for (const int subband : {2, 3}) {
    Uvh5Fixture fixture;
    fixture.subband = subband;
    paths.push_back(fixture.Write(folder.path()));
  }
  RunContext context;
  const TileInput plain = ReadTile(paths, context);
  const std::size_t n_windows = plain.block->windows.size(), n_baselines = plain.block->n_baselines();
  std::vector<int> visits(plain.block->n_times() * n_baselines * n_windows), times(plain.block->n_times());
  std::vector<std::atomic<int>> placed(plain.block->n_times() * n_windows);
  context.threads = 3;
  const TileInput visited = ReadTile(paths, context, [&](const TileInput& tile) {
    EXPECT_EQ(tile.block->frequency_hz, plain.block->frequency_hz);
    TileVisitor visitor;
    visitor.row = [&](const VisibilityBlock& block, std::size_t time, std::size_t baseline, std::size_t window,
                      Visibility* vis) {
      ++visits[(time * n_baselines + baseline) * n_windows + window];
      for (std::size_t i = 0; i < block.windows[window].n_channels * block.n_pols(); ++i) vis[i] *= 2.0F;
    };
    visitor.placed = [&](const VisibilityBlock&, std::size_t time, std::size_t first, std::size_t end) {
      for (std::size_t w = first; w < end; ++w) ++placed[time * n_windows + w];
    };
    visitor.time = [&](VisibilityBlock&, std::size_t time) {
      ++times[time];
      for (std::size_t w = 0; w < n_windows; ++w) EXPECT_EQ(placed[time * n_windows + w], 1);
      const auto begin = visits.begin() + static_cast<std::ptrdiff_t>(time * n_baselines * n_windows);
      EXPECT_EQ(std::count(begin, begin + static_cast<std::ptrdiff_t>(n_baselines * n_windows), 1),
                static_cast<std::ptrdiff_t>(n_baselines * n_windows));
    };
    return visitor;
  });
  EXPECT_EQ(times, std::vector<int>(times.size(), 1));
  EXPECT_EQ(visits, std::vector<int>(visits.size(), 1));
  for (std::size_t i = 0; i < plain.block->vis.size(); ++i) {
    ASSERT_EQ(visited.block->vis[i], 2.0F * plain.block->vis[i]);
  }
}

TEST(ReadTile, SortsBaselinesAndConjugatesSwappedOnes) {
  const TemporaryFolder folder;
  const SubbandHeader header = ReadSubbandHeader(Uvh5Fixture{}.Write(folder.path()));
  ASSERT_EQ(header.baselines.size(), 10u);
  for (std::size_t b = 1; b < header.baselines.size(); ++b) {
    const Baseline& last = header.baselines[b - 1];
    const Baseline& next = header.baselines[b];
    EXPECT_LT(std::pair(last.antenna1, last.antenna2), std::pair(next.antenna1, next.antenna2));
  }
  // Order 3, 0, 2, 1 puts (3,0), (3,2), (3,1) and (2,1) the wrong way round.
  EXPECT_EQ(std::count(header.conjugated.begin(), header.conjugated.end(), 1), 4);
}

TEST(ReadTile, FlagsAndCountsNonFiniteSamples) {
  const TemporaryFolder folder;
  const std::filesystem::path path = Uvh5Fixture{}.Write(folder.path());
  H5::CompType complex(sizeof(Visibility));
  complex.insertMember("r", 0, H5::PredType::NATIVE_FLOAT);
  complex.insertMember("i", 4, H5::PredType::NATIVE_FLOAT);
  const float nan[2] = {std::numeric_limits<float>::quiet_NaN(), 1};
  const float infinite[2] = {1, -std::numeric_limits<float>::infinity()};
  testkit::Overwrite(path, "Data/visdata", {0, 0, 7, 0}, nan, complex);  // antennas 3-3: the last baseline
  testkit::Overwrite(path, "Data/visdata", {0, 0, 7, 1}, infinite, complex);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.report.non_finite, 2u);
  EXPECT_EQ(tile.report.flagged, 2u);
  const auto& block = *tile.block;
  for (std::size_t p = 0; p < 2; ++p) {  // file channel 7 is the lowest frequency
    EXPECT_EQ(block.flag_view()(0, 9, 0, p), 1);
    EXPECT_EQ(block.vis_view()(0, 9, 0, p), Visibility(0));
  }
  EXPECT_EQ(block.flag_view()(0, 9, 1, 0), 0);
}

TEST(ReadTile, FlagsSamplesWithoutDataAndClampsTheLastIntegration) {
  const TemporaryFolder folder;
  const std::filesystem::path path = Uvh5Fixture{}.Write(folder.path());
  const float values[4] = {0, -3, std::numeric_limits<float>::quiet_NaN(), 1e9f};
  for (hsize_t i = 0; i < 3; ++i)
    testkit::Overwrite(path, "Data/nsamples", {0, 0, i, 0}, &values[i], H5::PredType::NATIVE_FLOAT);
  testkit::Overwrite(path, "Data/nsamples", {29, 0, 0, 0}, &values[3], H5::PredType::NATIVE_FLOAT);
  const std::int8_t flagged = 1;
  testkit::OverwriteInOwnType(path, "Data/flags", {5, 0, 0, 0}, &flagged);
  const TileInput tile = ReadTile({path}, RunContext{});
  EXPECT_EQ(tile.report.no_samples, 3u);
  EXPECT_EQ(tile.report.flagged_in_file, 1u);
  EXPECT_EQ(tile.report.flagged, 4u);
  EXPECT_EQ(tile.report.clamped, 1u);
  EXPECT_EQ(tile.report.max_nsamples, 96);
  for (const float w : tile.block->weight) {
    EXPECT_GE(w, 0);
    EXPECT_LE(w, 96);
  }
}

TEST(ReadSubbandHeader, TakesThePositionsFromTheHeadersSite) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const SubbandHeader header = ReadSubbandHeader(fixture.Write(folder.path()));
  EXPECT_EQ(header.site.source, "header");
  const Itrf centre = ToItrf({37.2333752 * kPi / 180, -118.2834051 * kPi / 180, 1188.05});
  EXPECT_NEAR(header.antennas.positions_itrf_m[2][1], centre[1] + Uvh5Fixture::Position(2)[1], 1e-6);
  fixture.without_site = true;
  EXPECT_EQ(ReadSubbandHeader(fixture.Write(folder.path())).site.source, "telescope");
}

TEST(ReadSubbandHeader, KeepsTheExtraKeywords) {
  const TemporaryFolder folder;
  const SubbandHeader header = ReadSubbandHeader(Uvh5Fixture{}.Write(folder.path()));
  EXPECT_EQ(header.extra_keywords,
            (std::vector<std::string>{"ha_phase_center = 0", "phase_center_dec = 0.65", "phase_center_epoch = HADEC"}));
}

}  // namespace
}  // namespace contimg::ingest
