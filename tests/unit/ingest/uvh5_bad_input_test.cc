// Every kind of bad input gives Error{kBadInput} in one sentence that names the file, the expectation and the finding.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "config/error.h"
#include "ingest/uvh5_reader.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testkit::Put;
using testkit::Remove;
using testkit::Uvh5Fixture;
using Path = std::filesystem::path;

// The message of the error that reading `paths` throws; "" (and a failure) when there is none.
std::string Refusal(const std::vector<Path>& paths) {
  try {
    ReadTile(paths, RunContext{});
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << error.what();
    EXPECT_EQ(ExitStatus(error.kind()), 3);
    EXPECT_THAT(error.message(), Not(HasSubstr("\n")));
    EXPECT_THAT(error.message(), Not(::testing::EndsWith(".")));
    bool names_a_file = false;
    for (const Path& path : paths) names_a_file = names_a_file || error.subject() == path.string();
    EXPECT_TRUE(names_a_file) << error.subject();
    return error.message();
  }
  ADD_FAILURE() << "accepted";
  return "";
}

// The refusal of one file after `damage`.
template <typename Damage>
std::string RefusalAfter(Damage damage, const Uvh5Fixture& fixture = {}) {
  const TemporaryFolder folder;
  const Path path = fixture.Write(folder.path());
  damage(path);
  return Refusal({path});
}

// The refusal of a group of subbands 3 and 4 after `damage` to the file of the latter.
template <typename Damage>
std::string GroupRefusalAfter(Damage damage) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  fixture.subband = 4;
  const Path second = fixture.Write(folder.path());
  damage(second);
  return Refusal({first, second});
}

void Rewrite(const Path& path, const Uvh5Fixture& fixture) {
  std::filesystem::remove(path);
  fixture.WriteTo(path);
}

TEST(Uvh5BadInput, MissingFileIsAnIoError) {
  try {
    ReadSubbandHeader("/nowhere/2025-10-13T13:28:03_sb00.hdf5");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kIo);
    EXPECT_EQ(error.subject(), "/nowhere/2025-10-13T13:28:03_sb00.hdf5");
  }
}

TEST(Uvh5BadInput, FileThatAWriterHasOpenIsBusy) {
  const TemporaryFolder folder;
  const Path path = Uvh5Fixture{}.Write(folder.path());
  const H5::H5File writer(path.string(), H5F_ACC_RDWR);
  try {
    ReadSubbandHeader(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBusy);
    EXPECT_THAT(error.message(), HasSubstr("open for writing"));
  }
}

TEST(Uvh5BadInput, TruncatedFile) {
  const auto halve = [](const Path& path) { std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2); };
  EXPECT_THAT(RefusalAfter(halve), AllOf(HasSubstr("truncated: expected"), HasSubstr("bytes, found")));
}

TEST(Uvh5BadInput, FileTruncatedByOneByte) {
  const auto cut = [](const Path& path) { std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1); };
  EXPECT_THAT(RefusalAfter(cut), HasSubstr("truncated"));
}

TEST(Uvh5BadInput, ZeroBytes) {
  const auto empty = [](const Path& path) { std::filesystem::resize_file(path, 0); };
  EXPECT_THAT(RefusalAfter(empty), HasSubstr("expected a UVH5 file, found an empty file"));
}

TEST(Uvh5BadInput, NotHdf5) {
  const auto text = [](const Path& path) { std::ofstream(path) << "SIMPLE  =                    T / not HDF5 at all"; };
  EXPECT_THAT(RefusalAfter(text), HasSubstr("without the HDF5 signature"));
}

TEST(Uvh5BadInput, DamagedSuperblock) {
  const auto scribble = [](const Path& path) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(8);
    file << "\x7f\x7f\x7f\x7f";
  };
  EXPECT_THAT(RefusalAfter(scribble), HasSubstr("expected a sound HDF5 file"));
}

TEST(Uvh5BadInput, Directory) {
  const TemporaryFolder folder;
  EXPECT_THAT(Refusal({folder.path()}), HasSubstr("expected a regular file"));
}

class MissingDataSet : public ::testing::TestWithParam<std::string> {};

TEST_P(MissingDataSet, IsNamed) {
  const std::string name = GetParam();
  EXPECT_THAT(RefusalAfter([&](const Path& path) { Remove(path, name); }),
              AllOf(HasSubstr(name), HasSubstr("found none")));
}

INSTANTIATE_TEST_SUITE_P(, MissingDataSet,
                         ::testing::Values("Header/ant_1_array", "Header/ant_2_array", "Header/time_array",
                                           "Header/integration_time", "Header/freq_array", "Header/channel_width",
                                           "Header/polarization_array", "Header/antenna_names",
                                           "Header/antenna_numbers", "Header/antenna_positions", "Data/visdata",
                                           "Data/flags", "Data/nsamples", "Header", "Data"),
                         [](const auto& parameter) {
                           std::string name = parameter.param;
                           std::replace(name.begin(), name.end(), '/', '_');
                           return name;
                         });

TEST(Uvh5BadInput, MissingDeclination) {
  const auto damage = [](const Path& path) {
    Remove(path, "Header/phase_center_app_dec");
    Remove(path, "Header/extra_keywords/phase_center_dec");
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("found neither"));
}

TEST(Uvh5BadInput, WrongRankOfVisibilities) {
  const auto damage = [](const Path& path) {
    Remove(path, "Data/nsamples");
    Put(path, "Data/nsamples", {30, 16}, std::vector<double>(480, 96), H5::PredType::IEEE_F32LE);
  };
  EXPECT_THAT(RefusalAfter(damage),
              AllOf(HasSubstr("Data/nsamples has the wrong rank"),
                    HasSubstr("expected (Nblts, 1, Nfreqs, Npols) = (30, 1, 8, 2), found (30, 16)")));
}

TEST(Uvh5BadInput, WrongRankOfTimes) {
  const auto damage = [](const Path& path) {
    Put(path, "Header/time_array", {30, 1}, std::vector<double>(30, 2460962.0));
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("time_array has the wrong rank"));
}

TEST(Uvh5BadInput, WrongTypeOfVisibilities) {
  const auto damage = [](const Path& path) { Put(path, "Data/visdata", {30, 1, 8, 2}, std::vector<double>(480, 1)); };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("Data/visdata has the wrong type: expected complex numbers"));
}

TEST(Uvh5BadInput, WrongTypeOfFlags) {
  const auto damage = [](const Path& path) { Put(path, "Data/flags", {30, 1, 8, 2}, std::vector<double>(480, 0)); };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("Data/flags has the wrong type"));
}

TEST(Uvh5BadInput, WrongTypeOfAntennas) {
  const auto damage = [](const Path& path) { Put(path, "Header/ant_1_array", {30}, std::vector<double>(30, 0)); };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("Header/ant_1_array has the wrong type: expected integers"));
}

TEST(Uvh5BadInput, TimesOfSinglePrecision) {
  const auto damage = [](const Path& path) {
    Put(path, "Header/time_array", {30}, std::vector<double>(30, 2460962), H5::PredType::IEEE_F32LE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("expected 64-bit numbers"));
}

TEST(Uvh5BadInput, TextWhereNumbersBelong) {
  const auto damage = [](const Path& path) { testkit::PutString(path, "Header/freq_array", "1.4 GHz"); };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("freq_array has the wrong type"));
}

TEST(Uvh5BadInput, AxesSwapped) {
  const auto damage = [](const Path& path) {
    Put(path, "Data/nsamples", {30, 1, 2, 8}, std::vector<double>(480, 96), H5::PredType::IEEE_F32LE);
  };
  EXPECT_THAT(RefusalAfter(damage), AllOf(HasSubstr("axes swapped"), HasSubstr("found (30, 1, 2, 8)")));
}

TEST(Uvh5BadInput, NbltsContradictsTheRows) {
  const auto damage = [](const Path& path) { Put(path, "Header/Nblts", {}, {40}, H5::PredType::STD_I64LE); };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("Header/Nblts is 40, but the number of rows in ant_1_array is 30"));
}

TEST(Uvh5BadInput, ArraysOfDifferentLength) {
  const auto damage = [](const Path& path) {
    Put(path, "Header/ant_2_array", {20}, std::vector<double>(20, 0), H5::PredType::STD_I64LE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("ant_2_array has the wrong length: expected Nblts = 30, found 20"));
}

TEST(Uvh5BadInput, DataWithFewerRowsThanTheHeader) {
  const auto damage = [](const Path& path) {
    Put(path, "Data/nsamples", {20, 1, 8, 2}, std::vector<double>(320, 96), H5::PredType::IEEE_F32LE);
  };
  EXPECT_THAT(RefusalAfter(damage),
              AllOf(HasSubstr("Data/nsamples has the wrong shape"), HasSubstr("found (20, 1, 8, 2)")));
}

TEST(Uvh5BadInput, AntennaIndexOutOfRange) {
  for (const std::int64_t index : {std::int64_t{5}, std::int64_t{-1}, std::int64_t{1} << 40}) {
    const auto damage = [&](const Path& path) {
      testkit::Overwrite(path, "Header/ant_2_array", {7}, &index, H5::PredType::NATIVE_INT64);
    };
    EXPECT_THAT(RefusalAfter(damage), AllOf(HasSubstr("antenna index out of range"),
                                            HasSubstr("found " + std::to_string(index) + " in row 7")));
  }
}

TEST(Uvh5BadInput, BaselineTwiceInOneTime) {
  const auto damage = [](const Path& path) {
    std::vector<double> ant_1, ant_2;  // rows (3,0) and (0,3) of three antennas' worth, three times
    for (int t = 0; t < 3; ++t) {
      for (int row = 0; row < 10; ++row) ant_1.push_back(row == 9 ? 0 : 3), ant_2.push_back(row == 9 ? 3 : 0);
    }
    Put(path, "Header/ant_1_array", {30}, ant_1, H5::PredType::STD_I64LE);
    Put(path, "Header/ant_2_array", {30}, ant_2, H5::PredType::STD_I64LE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("each baseline once per time, found antennas 1 and 4 twice"));
}

TEST(Uvh5BadInput, BaselinesThatDifferBetweenTimes) {
  const std::int64_t other = 4;
  const auto damage = [&](const Path& path) {
    testkit::Overwrite(path, "Header/ant_2_array", {25}, &other, H5::PredType::NATIVE_INT64);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("expected the same baselines at every time"));
}

TEST(Uvh5BadInput, TimesThatStepBack) {
  const double early = 2460962.0;
  const auto damage = [&](const Path& path) {
    testkit::Overwrite(path, "Header/time_array", {15}, &early, H5::PredType::NATIVE_DOUBLE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("time_array expected times that ascend"));
}

TEST(Uvh5BadInput, TimesWithUnequalRows) {
  const auto damage = [](const Path& path) {
    std::vector<double> time(30, 2460962.0);
    for (std::size_t row = 12; row < 30; ++row) time[row] += row < 20 ? 1e-3 : 2e-3;
    Put(path, "Header/time_array", {30}, time);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("same number of rows at every time"));
}

TEST(Uvh5BadInput, TimeThatIsNotFinite) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto damage = [&](const Path& path) {
    testkit::Overwrite(path, "Header/time_array", {3}, &nan, H5::PredType::NATIVE_DOUBLE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("expected Julian Dates"));
}

TEST(Uvh5BadInput, UnevenFrequencies) {
  const double shifted = 1.48e9;
  const auto damage = [&](const Path& path) {
    testkit::Overwrite(path, "Header/freq_array", {0, 3}, &shifted, H5::PredType::NATIVE_DOUBLE);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("evenly spaced"));
}

TEST(Uvh5BadInput, UnknownPolarisation) {
  for (const double code : {1.0, -9.0, 0.0}) {
    const auto damage = [&](const Path& path) {
      Put(path, "Header/polarization_array", {2}, {-5, code}, H5::PredType::STD_I64LE);
    };
    EXPECT_THAT(RefusalAfter(damage), HasSubstr("unknown polarisation"));
  }
}

TEST(Uvh5BadInput, PolarisationsThatAreNoSet) {
  for (const std::vector<double>& codes : {std::vector<double>{-5, -5}, {-5, -2}, {-5, -7}}) {
    const auto damage = [&](const Path& path) {
      Put(path, "Header/polarization_array", {2}, codes, H5::PredType::STD_I64LE);
    };
    EXPECT_THAT(RefusalAfter(damage), HasSubstr("is not a set of products"));
  }
}

TEST(Uvh5BadInput, PhasedToAFixedDirection) {
  const auto damage = [](const Path& path) {
    testkit::PutString(path, "Header/phase_type", "phased");
    testkit::PutString(path, "Header/extra_keywords/phase_center_epoch", "2000.0");
  };
  EXPECT_THAT(RefusalAfter(damage),
              HasSubstr("is phased, but the header does not say where: expected drift-scan phases"));
}

TEST(Uvh5BadInput, ShapeThatTheFileCannotHold) {
  const auto damage = [](const Path& path) {
    H5::H5File file(path.string(), H5F_ACC_RDWR);
    file.unlink("Header/ant_1_array");
    const hsize_t rows = hsize_t{1} << 40, chunk = 1024;
    H5::DSetCreatPropList layout;
    layout.setChunk(1, &chunk);
    file.createDataSet("Header/ant_1_array", H5::PredType::STD_I64LE, H5::DataSpace(1, &rows), layout);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("more than a file of"));
}

TEST(Uvh5BadInput, UnknownCompression) {
  const auto damage = [](const Path& path) {
    H5::H5File file(path.string(), H5F_ACC_RDWR);
    file.unlink("Data/nsamples");
    const hsize_t shape[4] = {30, 1, 8, 2};
    H5::DSetCreatPropList layout;
    layout.setChunk(4, shape);
    H5Pset_filter(layout.getId(), 32008, H5Z_FLAG_OPTIONAL, 0, nullptr);
    file.createDataSet("Data/nsamples", H5::PredType::IEEE_F32LE, H5::DataSpace(4, shape), layout);
  };
  EXPECT_THAT(RefusalAfter(damage), HasSubstr("HDF5 filter 32008"));
}

TEST(Uvh5BadInput, TimeAxesThatDifferBetweenSubbands) {
  const auto later = [](const Path& path) {
    Uvh5Fixture fixture;
    fixture.subband = 4;
    fixture.start_jd += fixture.integration_s / 86400;
    Rewrite(path, fixture);
  };
  EXPECT_THAT(GroupRefusalAfter(later),
              AllOf(HasSubstr("expected the time axis of 2025-10-13T13:28:03_sb03.hdf5"), HasSubstr("+12.885 s")));
  const auto shorter = [](const Path& path) {
    Uvh5Fixture fixture;
    fixture.subband = 4;
    fixture.n_times = 2;
    Rewrite(path, fixture);
  };
  EXPECT_THAT(GroupRefusalAfter(shorter), HasSubstr("with 3 times, found 2"));
}

TEST(Uvh5BadInput, OneTimeInsideTheAxisDiffers) {
  const auto damage = [](const Path& path) {
    Uvh5Fixture fixture;
    std::vector<double> time;
    for (int row = 0; row < 30; ++row)
      time.push_back(fixture.start_jd + (row / 10 == 1 ? 1.01 : row / 10) * fixture.integration_s / 86400);
    Put(path, "Header/time_array", {30}, time);
  };
  EXPECT_THAT(GroupRefusalAfter(damage), HasSubstr("found time 1 +0.129 s away"));
}

TEST(Uvh5BadInput, AntennaTablesThatDiffer) {
  const double moved = 11;
  const auto move = [&](const Path& path) {
    testkit::Overwrite(path, "Header/antenna_positions", {1, 0}, &moved, H5::PredType::NATIVE_DOUBLE);
  };
  EXPECT_THAT(GroupRefusalAfter(move), AllOf(HasSubstr("expected the antenna table of"), HasSubstr("antenna 2")));
  const auto rename = [](const Path& path) {
    const H5::StrType type(H5::PredType::C_S1, 4);
    testkit::Overwrite(path, "Header/antenna_names", {1}, "99\0", type);
  };
  EXPECT_THAT(GroupRefusalAfter(rename), HasSubstr("found other names or numbers"));
}

TEST(Uvh5BadInput, DuplicateSubband) {
  const TemporaryFolder folder;
  const Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  const Path second = folder.path() / "2025-10-13T13:28:05_sb03.hdf5";
  fixture.WriteTo(second);
  EXPECT_THAT(Refusal({first, second}), HasSubstr("duplicate: expected one file of subband 3"));
}

TEST(Uvh5BadInput, SubbandNumbersThatContradictTheFrequencies) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.channel_width_hz = 100e3;  // no DSA-110 grid: the order alone decides
  const Path low = folder.path() / "2025-10-13T13:28:03_sb01.hdf5";
  fixture.subband = 5;
  fixture.WriteTo(low);
  const Path high = folder.path() / "2025-10-13T13:28:03_sb02.hdf5";
  fixture.subband = 4;
  fixture.WriteTo(high);
  EXPECT_THAT(Refusal({low, high}),
              HasSubstr("subband number contradicts the frequencies: expected them to fall as the number rises"));
}

TEST(Uvh5BadInput, FalseSubbandZeroOfTheCorrelator) {
  const TemporaryFolder folder;
  const Path path = folder.path() / "2025-10-13T13:28:03_sb00.hdf5";  // the frequencies are those of subband 3
  Uvh5Fixture{}.WriteTo(path);
  EXPECT_THAT(Refusal({path}),
              AllOf(HasSubstr("subband number contradicts the frequencies"), HasSubstr("in subband 0 of the DSA-110")));
}

TEST(Uvh5BadInput, OverlappingSubbands) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.channel_width_hz = 100e3;
  const Path first = fixture.Write(folder.path());
  const Path second = folder.path() / "2025-10-13T13:28:03_sb04.hdf5";
  fixture.WriteTo(second);
  std::vector<double> frequency;
  for (int k = 7; k >= 0; --k) frequency.push_back(fixture.Frequency(k) - 300e3);
  Put(second, "Header/freq_array", {1, 8}, frequency);
  EXPECT_THAT(Refusal({first, second}), HasSubstr("found an overlap"));
}

TEST(Uvh5BadInput, UnequalWidths) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  fixture.subband = 4;
  fixture.channel_width_hz = 122070.3125;
  EXPECT_THAT(Refusal({first, fixture.Write(folder.path())}), HasSubstr("channels of"));
}

TEST(CheckGroup, AcceptsOtherArraysOffTheGrid) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  fixture.channel_width_hz = 3.125e6 / 2;
  EXPECT_NO_THROW(ReadTile({fixture.Write(folder.path())}, RunContext{}));
}

TEST(CheckGroup, AcceptsTimesThatDifferInTheLastBits) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  const Path first = fixture.Write(folder.path());
  fixture.subband = 4;
  fixture.start_jd += 1e-9;  // 86 µs: two steps of a Julian Date
  EXPECT_NO_THROW(ReadTile({first, fixture.Write(folder.path())}, RunContext{}));
}

}  // namespace
}  // namespace contimg::ingest
