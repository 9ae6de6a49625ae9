// Writing a Measurement Set, reading it back and changing columns of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "config/checksum.h"
#include "convert/bulk_columns.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_lock.h"
#include "convert/measurement_set_reader.h"
#include "convert/measurement_set_writer.h"
#include "convert/phase.h"
#include "tests/temporary_folder.h"
#include "tests/unit/convert/test_block.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

class MeasurementSetTest : public ::testing::Test {
 protected:
  VisibilityBlock Phased(const TestBlockShape& shape = {}) {
    VisibilityBlock block = MakeTestBlock(shape);
    PhaseBlock(block, TileCentre(block, {}), {}, {});
    return block;
  }
  fs::path Write(const VisibilityBlock& block, const Visibility* corrected = nullptr, int threads = 1) {
    ConvertOptions options;
    options.output = dir_ / "x.ms";
    options.staging_root = dir_ / "staging";
    options.durable = false;
    RunContext context;
    context.threads = threads;
    ConvertReport report;
    WriteMeasurementSet(block, corrected, options, context, report);
    return options.output;
  }
  TemporaryFolder folder_{"ms"};
  const fs::path dir_ = folder_.path();
};

void ExpectSameData(const VisibilityBlock& a, const VisibilityBlock& b) {
  ASSERT_EQ(a.shape(), b.shape());
  EXPECT_EQ(0, std::memcmp(a.vis.data(), b.vis.data(), a.vis.size() * sizeof(Visibility)));
  EXPECT_EQ(0, std::memcmp(a.flag.data(), b.flag.data(), a.flag.size()));
  EXPECT_EQ(0, std::memcmp(a.weight.data(), b.weight.data(), a.weight.size() * sizeof(float)));
  EXPECT_EQ(a.uvw_m, b.uvw_m);
  EXPECT_EQ(a.time_mjd_s, b.time_mjd_s);
  EXPECT_EQ(a.frequency_hz, b.frequency_hz);
  EXPECT_EQ(a.polarisations, b.polarisations);
}

TEST_F(MeasurementSetTest, ReadsBackWhatWasWritten) {
  // 7 channels × 2 polarisations are 14 flag bits a row, so rows do not end on bytes; 4 polarisations reorder.
  for (const TestBlockShape& shape : {TestBlockShape{}, TestBlockShape{4, 2, 3, 8, 4}, TestBlockShape{2, 1, 1, 1, 1}}) {
    const VisibilityBlock block = Phased(shape);
    const fs::path path = Write(block, nullptr, 2);
    const auto back = ReadMeasurementSet(path, {}, {});
    ExpectSameData(block, *back);
    EXPECT_EQ(back->data_state, DataState::kRaw);
    EXPECT_NEAR(back->phase_centre.ra_rad, block.phase_centre.ra_rad, 1e-15);
    EXPECT_EQ(back->app_dec_rad, block.app_dec_rad);
    EXPECT_EQ(back->site.longitude_rad, block.site.longitude_rad);
    EXPECT_EQ(back->group_id, block.group_id);
    EXPECT_EQ(back->windows[0].subband, block.windows[0].subband);
    EXPECT_EQ(back->antennas.positions_itrf_m, block.antennas.positions_itrf_m);
    fs::remove_all(path);
  }
}

TEST_F(MeasurementSetTest, KeepsWhereTheDishesPointed) {
  VisibilityBlock block = Phased();
  for (const auto kind : {Pointing::Kind::kDrift, Pointing::Kind::kTracking, Pointing::Kind::kUnknown}) {
    block.pointing.kind = kind;
    block.pointing.direction = {1.5, -0.25};
    const fs::path path = Write(block);
    const auto back = ReadMeasurementSetAxes(path, {});
    EXPECT_EQ(back->pointing.kind, kind);
    EXPECT_THAT(back->pointing.source, ::testing::HasSubstr("the header of the files"));
    if (kind == Pointing::Kind::kDrift) {
      EXPECT_EQ(back->pointing.meridian_rad, block.site.longitude_rad);
      EXPECT_EQ(back->pointing.app_dec_rad, block.app_dec_rad);
      EXPECT_TRUE(back->pointing.stops_fringes);
    } else if (kind == Pointing::Kind::kTracking) {
      EXPECT_EQ(back->pointing.direction.ra_rad, 1.5);
      EXPECT_EQ(back->pointing.direction.dec_rad, -0.25);
      EXPECT_FALSE(back->pointing.stops_fringes);
    }
    EXPECT_EQ(back->vis.size(), 0u);
    fs::remove_all(path);
  }
}

TEST_F(MeasurementSetTest, SelectsSpectralWindows) {
  const VisibilityBlock block = Phased();
  const fs::path path = Write(block);
  MeasurementSetSelection selection;
  selection.windows = {1};
  const auto back = ReadMeasurementSet(path, selection, {});
  ASSERT_EQ(back->n_channels(), 7u);
  EXPECT_EQ(back->frequency_hz.front(), block.frequency_hz[7]);
  EXPECT_EQ(back->vis_view()(2, 3, 0, 1), block.vis_view()(2, 3, 7, 1));
  selection.windows = {5};
  EXPECT_THROW(ReadMeasurementSet(path, selection, {}), Error);
}

TEST_F(MeasurementSetTest, KeepsCorrectedDataBesideData) {
  const VisibilityBlock block = Phased();
  std::vector<Visibility> corrected(block.vis.size());
  for (std::size_t i = 0; i < corrected.size(); ++i) corrected[i] = block.vis[i] * 2.0f;
  const fs::path path = Write(block, corrected.data());
  const auto back = ReadMeasurementSet(path, {}, {});  // corrected by preference
  EXPECT_EQ(back->data_state, DataState::kCorrected);
  EXPECT_EQ(0, std::memcmp(back->vis.data(), corrected.data(), corrected.size() * sizeof(Visibility)));
  MeasurementSetSelection data;
  data.column = "DATA";
  ExpectSameData(block, *ReadMeasurementSet(path, data, {}));
}

TEST_F(MeasurementSetTest, SumsUpTheFilesThatItWrites) {
  const VisibilityBlock block = Phased({20, 8, 2, 7, 2});  // rows for more than one piece, and a rest
  RunContext context;
  context.threads = 2;
  for (const bool checksums : {false, true}) {
    ConvertOptions options;
    options.output = dir_ / (checksums ? "summed.ms" : "x.ms");
    options.staging_root = dir_ / "staging";
    options.durable = false;
    options.checksums = checksums;
    ConvertReport report;
    WriteMeasurementSet(block, block.vis.data(), options, context, report);
    EXPECT_EQ(report.checksums.size(), checksums ? 10u : 0u);
    for (const auto& [name, sum] : report.checksums) {
      for (const char* set : {"summed.ms", "x.ms"}) {  // whatever the number of threads
        Xxh64 hash;
        ReadInPieces(dir_ / set / name, "test", [&](const void* data, std::size_t size) { hash.Add(data, size); });
        EXPECT_EQ(hash.Hex(), sum) << set << " " << name;
      }
    }
  }
}

TEST_F(MeasurementSetTest, DescribesItself) {
  const VisibilityBlock block = Phased();
  const MeasurementSetInfo info = DescribeMeasurementSet(Write(block));
  EXPECT_EQ(info.n_rows, block.n_times() * block.n_baselines() * 2);
  EXPECT_EQ(info.telescope_name, "OVRO_MMA");
  EXPECT_EQ(info.antennas, block.antennas.names);
  ASSERT_EQ(info.windows.size(), 2u);
  EXPECT_EQ(info.windows[0].name, "sb01");
  EXPECT_EQ(info.windows[1].first_hz, block.frequency_hz[7]);
  EXPECT_FALSE(info.has_corrected);
  EXPECT_NEAR(info.start_mjd_s, block.time_mjd_s[0] - block.integration_s[0] / 2, 1e-6);
  EXPECT_FALSE(info.history.empty());
}

TEST_F(MeasurementSetTest, UpdatesFlagsAndAddsColumnsInOneStep) {
  VisibilityBlock block = Phased();
  const fs::path path = Write(block);
  const auto original = ReadMeasurementSet(path, {}, {});
  for (std::size_t i = 0; i < block.flag.size(); i += 3) block.flag[i] ^= 1;
  std::vector<Visibility> model(block.vis.size(), Visibility(1, -2));
  MeasurementSetChanges changes;
  changes.flags = true;
  changes.model = model.data();
  changes.application = "test";
  changes.history = {"flags turned"};
  UpdateMeasurementSet(path, {}, block, changes, {});

  MeasurementSetSelection selection;
  selection.column = "DATA";
  ExpectSameData(block, *ReadMeasurementSet(path, selection, {}));
  selection.column = "MODEL_DATA";
  EXPECT_EQ(ReadMeasurementSet(path, selection, {})->vis[5], Visibility(1, -2));
  EXPECT_EQ(DescribeMeasurementSet(path).history.back(), "flags turned");

  changes.flags = false;  // the column exists now
  EXPECT_THROW(UpdateMeasurementSet(path, {}, block, changes, {}), Error);
  changes.replace = true;
  model[5] = Visibility(9, 9);
  UpdateMeasurementSet(path, {}, block, changes, {});
  EXPECT_EQ(ReadMeasurementSet(path, selection, {})->vis[5], Visibility(9, 9));
  for (const auto& entry : fs::directory_iterator(dir_)) {
    EXPECT_NE(entry.path().filename().string().front(), '.') << entry.path();
  }
}

TEST_F(MeasurementSetTest, NewCorrectedColumnHoldsDataOutsideTheSelection) {
  const VisibilityBlock block = Phased();
  const fs::path path = Write(block);
  MeasurementSetSelection first;
  first.windows = {0};
  const auto part = ReadMeasurementSet(path, first, {});
  std::vector<Visibility> corrected(part->vis.size(), Visibility(3, 0));
  MeasurementSetChanges changes;
  changes.corrected = corrected.data();
  UpdateMeasurementSet(path, first, *part, changes, {});
  const auto all = ReadMeasurementSet(path, {}, {});
  EXPECT_EQ(all->vis_view()(1, 2, 3, 0), Visibility(3, 0));
  EXPECT_EQ(all->vis_view()(1, 2, 9, 0), block.vis_view()(1, 2, 9, 0));
}

TEST_F(MeasurementSetTest, ReadersOfTheOldSetAreNotDisturbedByAnUpdate) {
  VisibilityBlock block = Phased();
  const fs::path path = Write(block);
  const fs::path kept = dir_ / "kept.ms";
  fs::rename(path, kept);
  fs::copy(kept, path, fs::copy_options::recursive | fs::copy_options::create_hard_links);
  std::memset(block.flag.data(), 1, block.flag.size());
  MeasurementSetChanges changes;
  changes.flags = true;
  UpdateMeasurementSet(path, {}, block, changes, {});
  EXPECT_EQ(ReadMeasurementSet(path, {}, {})->flag[3], 1);
  EXPECT_EQ(ReadMeasurementSet(kept, {}, {})->flag[3], MakeTestBlock().flag[3]);
}

// All that the parts of a tile hold, at their places.
Buffer<Visibility> Gathered(const TileOfSet& tile, std::size_t& n_parts) {
  const VisibilityBlock& block = *tile.block;
  const std::size_t row = block.n_baselines() * block.n_channels() * block.n_pols();
  Buffer<Visibility> all(block.n_times() * row);
  std::size_t next = 0;
  n_parts = 0;
  tile.vis->ForEach([&](const VisibilityPart& part) {
    EXPECT_EQ(part.first_time, next);
    next = part.end_time;
    std::copy_n(part.vis, (part.end_time - part.first_time) * row, all.data() + part.first_time * row);
    ++n_parts;
  });
  EXPECT_EQ(next, block.n_times());
  return all;
}

TEST_F(MeasurementSetTest, VisibilitiesInPartsAreThoseOfTheWhole) {
  const VisibilityBlock block = Phased({6, 5, 3, 7, 2});
  Buffer<Visibility> corrected(block.vis.size());
  for (std::size_t i = 0; i < corrected.size(); ++i) corrected[i] = i % 11 == 0 ? Visibility(0) : 3.0F * block.vis[i];
  const fs::path path = Write(block, corrected.data());
  const std::size_t integration = block.vis.size() / block.n_times() * sizeof(Visibility);
  RunContext context;
  context.threads = 2;
  for (const char* column : {"DATA", "CORRECTED_DATA"}) {
    for (const std::vector<int>& windows : {std::vector<int>{}, std::vector<int>{2}}) {
      MeasurementSetSelection selection;
      selection.column = column;
      selection.windows = windows;
      const auto whole = ReadMeasurementSet(path, selection, context);
      // Samples of exactly 0 are flagged in both.
      for (const std::size_t part_bytes : {std::size_t{1}, 2 * integration, 100 * integration}) {
        const TileOfSet tile = OpenMeasurementSet(path, selection, context, part_bytes);
        EXPECT_TRUE(tile.block->vis.empty());
        for (int again = 0; again < 2; ++again) {
          std::size_t n_parts = 0;
          const Buffer<Visibility> vis = Gathered(tile, n_parts);
          EXPECT_EQ(n_parts, part_bytes == 1 ? 5U : part_bytes < 3 * integration && windows.empty() ? 3U : 1U);
          EXPECT_EQ(0, std::memcmp(vis.data(), whole->vis.data(), vis.size() * sizeof(Visibility)));
        }
        EXPECT_EQ(0, std::memcmp(tile.block->flag.data(), whole->flag.data(), whole->flag.size()));
        EXPECT_EQ(0,
                  std::memcmp(tile.block->weight.data(), whole->weight.data(), whole->weight.size() * sizeof(float)));
      }
    }
  }
}

TEST_F(MeasurementSetTest, PartsOfASetThatIsChangedMeanwhileAreNotTaken) {
  const fs::path path = Write(Phased());
  const TileOfSet tile = OpenMeasurementSet(path, {}, {});
  const auto block = ReadMeasurementSet(path, {}, {});
  MeasurementSetChanges changes;
  changes.flags = true;
  UpdateMeasurementSet(path, {}, *block, changes, {});
  try {
    tile.vis->ForEach([](const VisibilityPart&) {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
    EXPECT_NE(std::string(error.what()).find("was changed by another program while it was read"), std::string::npos);
  }
}

// A change that was prepared from what stood there before is not written over what stands there now.
TEST_F(MeasurementSetTest, AnUpdateOfASetThatHasChangedIsRefused) {
  const fs::path path = Write(Phased());
  const auto first = ReadMeasurementSet(path, {}, {}), second = ReadMeasurementSet(path, {}, {});
  MeasurementSetChanges flags;
  flags.flags = true;
  first->flag[3] = 1;
  UpdateMeasurementSet(path, {}, *first, flags, {});
  try {
    second->flag[7] = 1;
    UpdateMeasurementSet(path, {}, *second, flags, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
    EXPECT_NE(std::string(error.what()).find("was changed by another program"), std::string::npos) << error.what();
  }
  EXPECT_EQ(0, std::memcmp(ReadMeasurementSet(path, {}, {})->flag.data(), first->flag.data(), first->flag.size()));
  const auto again = ReadMeasurementSet(path, {}, {});
  EXPECT_NO_THROW(UpdateMeasurementSet(path, {}, *again, flags, {}));
}

TEST_F(MeasurementSetTest, ALockIsWaitedForAndThenNamesItsHolder) {
  const fs::path path = Write(Phased());
  std::optional<MeasurementSetLock> held(std::in_place, path, RunContext{});
  try {
    MeasurementSetLock(path, RunContext{}, 0.01);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
    EXPECT_NE(std::string(error.what()).find("is being changed by process " + std::to_string(::getpid())),
              std::string::npos)
        << error.what();
  }
  held.reset();
  EXPECT_NO_THROW(MeasurementSetLock(path, RunContext{}, 0.01));
  EXPECT_NO_THROW(MeasurementSetLock(dir_ / "absent.ms", RunContext{}, 0.01));  // reading says what is wrong with it
}

TEST_F(MeasurementSetTest, RefusesWhatIsNoMeasurementSet) {
  EXPECT_THROW(DescribeMeasurementSet(dir_ / "absent.ms"), Error);
  fs::create_directories(dir_ / "empty.ms");
  try {
    ReadMeasurementSet(dir_ / "empty.ms", {}, {});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_NE(std::string(error.what()).find("empty.ms"), std::string::npos);
  }
  const VisibilityBlock block = Phased();
  const fs::path path = Write(block);
  MeasurementSetSelection selection;
  selection.column = "CORRECTED_DATA";
  EXPECT_THROW(ReadMeasurementSet(path, selection, {}), Error);
  fs::resize_file(path / "table.dat", 40);
  EXPECT_THROW(DescribeMeasurementSet(path), Error);
}

}  // namespace
}  // namespace contimg::convert
