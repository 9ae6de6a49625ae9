#include "tests/simulator/uvh5_writer.h"

#include <gtest/gtest.h>

#include "config/error.h"
#include "tests/temporary_folder.h"
#include "tests/unit/simulator/read_back.h"

namespace contimg::simulator {
namespace {

using Shape = std::vector<std::uint64_t>;

TEST(AutoChunks, AreThoseOfH5py) {
  // h5py 3.7: create_dataset(name, (0, 1, n, 2), maxshape=(None, 1, n, 2), chunks=True).chunks.
  EXPECT_EQ(AutoChunks({1, 48, 2}, 8), (Shape{128, 1, 12, 1}));
  EXPECT_EQ(AutoChunks({1, 48, 2}, 4), (Shape{256, 1, 12, 1}));
  EXPECT_EQ(AutoChunks({1, 48, 2}, 1), (Shape{256, 1, 24, 1}));
  EXPECT_EQ(AutoChunks({1, 1, 2}, 8), (Shape{512, 1, 1, 2}));
  EXPECT_EQ(AutoChunks({1, 2, 2}, 1), (Shape{1024, 1, 2, 2}));
  EXPECT_EQ(AutoChunks({1, 3, 2}, 8), (Shape{512, 1, 2, 1}));
  EXPECT_EQ(AutoChunks({1, 8, 2}, 8), (Shape{256, 1, 4, 1}));
  EXPECT_EQ(AutoChunks({1, 8, 2}, 1), (Shape{512, 1, 8, 2}));
  EXPECT_EQ(AutoChunks({1, 12, 2}, 4), (Shape{256, 1, 6, 1}));
  EXPECT_EQ(AutoChunks({1, 192, 2}, 4), (Shape{128, 1, 48, 1}));
  EXPECT_EQ(AutoChunks({1, 384, 2}, 8), (Shape{64, 1, 48, 1}));
  EXPECT_EQ(AutoChunks({}, 8), (Shape{1024}));
  EXPECT_EQ(AutoChunks({3}, 4), (Shape{512, 3}));
}

TEST(Uvh5Writer, KeepsEveryValueAcrossChunkBoundaries) {
  // 20 antennas: 210 rows an integration, so that chunks of 128 and 256 rows straddle integrations; 20 channels do not
  // fill the last chunk along the band.
  const TemporaryFolder folder;
  const ArrayConfig array = Dsa110Array(20);
  Uvh5Header header;
  header.array = &array;
  header.channels = {1.45e9, -1e5, 20};
  header.history = "test";
  header.integration_time_s = 12.5;
  const std::size_t rows = array.n_baselines();
  std::vector<std::complex<float>> all;
  {
    Uvh5Writer writer(folder.path() / "x.hdf5", header);
    for (int t = 0; t < 5; ++t) {
      std::vector<std::complex<float>> vis(rows * 20 * 2);
      for (std::size_t i = 0; i < vis.size(); ++i) vis[i] = {static_cast<float>(i), static_cast<float>(t)};
      writer.Append(2460000.5 + t, {vis.data(), {rows, 20, 2}}, 96);
      all.insert(all.end(), vis.begin(), vis.end());
    }
    writer.Close();
  }
  const auto path = folder.path() / "x.hdf5";
  const auto vis = ReadSet<std::complex<float>>(path, "Data/visdata");
  EXPECT_EQ(vis.shape, (std::vector<hsize_t>{5 * rows, 1, 20, 2}));
  EXPECT_EQ(vis.max_shape, (std::vector<hsize_t>{H5S_UNLIMITED, 1, 20, 2}));
  EXPECT_TRUE(vis.values == all);
  const auto nsamples = ReadSet<float>(path, "Data/nsamples");
  EXPECT_EQ(std::count(nsamples.values.begin(), nsamples.values.end(), 96.0F), static_cast<long>(all.size()));
  const auto flags = ReadSet<std::int8_t>(path, "Data/flags");
  EXPECT_EQ(std::count(flags.values.begin(), flags.values.end(), 0), static_cast<long>(all.size()));
  EXPECT_EQ(ReadScalar<std::int64_t>(path, "Header/Nblts"), static_cast<std::int64_t>(5 * rows));
  EXPECT_EQ(ReadScalar<std::int64_t>(path, "Header/Ntimes"), 5);
  const auto time = ReadSet<double>(path, "Header/time_array");
  EXPECT_EQ(time.values[rows - 1], 2460000.5);
  EXPECT_EQ(time.values[rows], 2460001.5);
}

TEST(Uvh5Writer, RefusesAnUnwritablePlace) {
  const ArrayConfig array = Dsa110Array(2);
  Uvh5Header header;
  header.array = &array;
  header.channels = {1.45e9, -1e5, 4};
  header.history = "test";
  EXPECT_THROW(Uvh5Writer("/nonexistent/x.hdf5", header), Error);
}

}  // namespace
}  // namespace contimg::simulator
