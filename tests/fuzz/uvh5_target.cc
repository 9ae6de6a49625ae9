#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "config/error.h"
#include "ingest/uvh5_reader.h"
#include "tests/fuzz/targets.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::fuzz {
namespace {

using ingest::testkit::Uvh5Fixture;

constexpr std::array<const char*, 24> kDataSets{"Header/ant_1_array",
                                                "Header/ant_2_array",
                                                "Header/time_array",
                                                "Header/integration_time",
                                                "Header/freq_array",
                                                "Header/channel_width",
                                                "Header/polarization_array",
                                                "Header/antenna_names",
                                                "Header/antenna_numbers",
                                                "Header/antenna_positions",
                                                "Header/antenna_diameters",
                                                "Header/latitude",
                                                "Header/longitude",
                                                "Header/altitude",
                                                "Header/phase_center_app_dec",
                                                "Header/extra_keywords/ha_phase_center",
                                                "Header/Nblts",
                                                "Header/Ntimes",
                                                "Header/Nfreqs",
                                                "Header/phase_type",
                                                "Header/extra_keywords/phase_center_epoch",
                                                "Data/visdata",
                                                "Data/flags",
                                                "Data/nsamples"};

// A stream of choices from the fuzzer's bytes; zeros once they are used up.
class Choices {
 public:
  Choices(const std::uint8_t* data, std::size_t size) : data_(data), left_(size) {}
  bool empty() const { return left_ == 0; }
  std::uint8_t Byte() {
    if (left_ == 0) return 0;
    --left_;
    return *data_++;
  }
  std::uint64_t Word() {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | Byte();
    return value;
  }
  // A number of the kind that breaks things.
  double Number() {
    constexpr std::array<double, 12> kAwkward{0, -1, 1,   1e300,        -1e300,          1e-300,
                                              5, 30, 255, 2147483648.0, 2460962.0612204, 1.48e9};
    const std::uint8_t kind = Byte();
    if (kind < kAwkward.size()) return kAwkward[kind];
    if (kind == 12) return std::nan("");
    if (kind == 13) return HUGE_VAL;
    double value = 0;
    const std::uint64_t bits = Word();
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }

 private:
  const std::uint8_t* data_;
  std::size_t left_;
};

std::vector<char> SoundFile(bool four_products) {
  const TemporaryFolder folder;
  Uvh5Fixture fixture;
  if (four_products) fixture.polarisations = {-5, -7, -8, -6};
  const std::filesystem::path path = fixture.Write(folder.path());
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Changes bytes in the B-tree nodes that index chunks and in the object headers of /Data's data sets, which the library
// does not look at again once it has opened them.
void EditChunkIndex(std::vector<char>& image, Choices& choices) {
  std::vector<std::size_t> nodes;
  for (std::size_t i = 0; i + 5 < image.size(); ++i) {
    if (std::memcmp(&image[i], "TREE\1", 5) == 0) nodes.push_back(i);
  }
  if (nodes.empty()) return;
  const std::size_t node = nodes[choices.Byte() % nodes.size()];
  const std::size_t at = node + choices.Byte() + 256u * (choices.Byte() % 8);
  const std::size_t count = 1 + choices.Byte() % 8;
  for (std::size_t i = at; i < at + count && i < image.size(); ++i) image[i] = static_cast<char>(choices.Byte());
}

// One edit through the library.
void EditDataSet(const H5::H5File& file, Choices& choices) {
  const std::string name = kDataSets[choices.Byte() % kDataSets.size()];
  const std::uint8_t kind = choices.Byte() % 6;
  if (kind == 0) return ingest::testkit::Remove(file, name);
  if (kind == 1)
    return ingest::testkit::PutString(file, name, std::string(choices.Byte() % 12, static_cast<char>(choices.Byte())));
  if (kind == 2 || kind == 3) {  // another shape and type
    std::vector<hsize_t> shape(choices.Byte() % 5);
    hsize_t count = 1;
    for (hsize_t& extent : shape) {
      constexpr std::array<hsize_t, 8> kExtents{1, 2, 3, 5, 8, 10, 30, 31};
      extent = kExtents[choices.Byte() % kExtents.size()];
      count *= extent;
    }
    if (count > 4096) return;
    const std::array<H5::PredType, 5> types{H5::PredType::IEEE_F64LE, H5::PredType::IEEE_F32BE, H5::PredType::STD_I64LE,
                                            H5::PredType::STD_U8LE, H5::PredType::STD_I16BE};
    const H5::PredType type = types[choices.Byte() % types.size()];
    return ingest::testkit::Put(file, name, shape, std::vector<double>(count, choices.Number()), type);
  }
  // one element of what is there
  const H5::DataSet data_set = file.openDataSet(name);
  const H5::DataSpace space = data_set.getSpace();
  std::vector<hsize_t> at(static_cast<std::size_t>(std::max(space.getSimpleExtentNdims(), 0)));
  if (at.empty()) return;
  space.getSimpleExtentDims(at.data());
  for (hsize_t& position : at) position = position == 0 ? 0 : choices.Byte() % position;
  std::array<char, 64> value{};
  const double number = choices.Number();
  const std::int64_t integer = static_cast<std::int64_t>(choices.Byte()) - 3;
  if (data_set.getTypeClass() == H5T_INTEGER) {
    std::memcpy(value.data(), &integer, sizeof integer);
  } else if (data_set.getDataType().getSize() == 4) {
    const float single = static_cast<float>(number);
    std::memcpy(value.data(), &single, sizeof single);
  } else {
    std::memcpy(value.data(), &number, sizeof number);
  }
  if (data_set.getTypeClass() != H5T_STRING || data_set.getDataType().getSize() <= value.size()) {
    ingest::testkit::OverwriteInOwnType(file, name, at, value.data());
  }
}

// All edits of a file, in memory: the library's own driver for that is an order faster than files.
std::vector<char> EditDataSets(std::vector<char> image, int n_edits, Choices& choices) {
  H5::Exception::dontPrint();
  H5::FileAccPropList in_memory;
  in_memory.setCore(1 << 16, false);
  if (H5Pset_file_image(in_memory.getId(), image.data(), image.size()) < 0) std::abort();
  const H5::H5File file("image", H5F_ACC_RDWR, H5::FileCreatPropList::DEFAULT, in_memory);
  for (int i = 0; i < n_edits; ++i) {
    try {
      EditDataSet(file, choices);
    } catch (const H5::Exception&) {  // an edit that the library refuses is no edit
    }
  }
  if (H5Fflush(file.getId(), H5F_SCOPE_GLOBAL) < 0) std::abort();
  const ssize_t size = H5Fget_file_image(file.getId(), nullptr, 0);
  if (size <= 0) std::abort();
  image.resize(static_cast<std::size_t>(size));
  if (H5Fget_file_image(file.getId(), image.data(), image.size()) != size) std::abort();
  return image;
}

// What a tile promises whatever the file held.
void CheckTile(const ingest::TileInput& tile) {
  const VisibilityBlock& block = *tile.block;
  const std::size_t n = block.n_times() * block.n_baselines() * block.n_channels() * block.n_pols();
  if (tile.report.samples != n || block.vis.size() != n) std::abort();
  std::size_t flagged = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (!std::isfinite(block.vis[i].real()) || !std::isfinite(block.vis[i].imag())) std::abort();
    if (!(block.weight[i] >= 0) || !std::isfinite(block.weight[i])) std::abort();
    if (block.weight[i] == 0 && block.flag[i] == 0) std::abort();
    flagged += block.flag[i];
  }
  if (flagged != tile.report.flagged) std::abort();
  for (std::size_t t = 1; t < block.n_times(); ++t) {
    if (!(block.time_mjd_s[t] > block.time_mjd_s[t - 1])) std::abort();
  }
  for (const Baseline& b : block.baselines) {
    if (b.antenna1 < 0 || b.antenna1 > b.antenna2 || static_cast<std::size_t>(b.antenna2) >= block.antennas.size())
      std::abort();
  }
  for (const double hz : block.frequency_hz) {
    if (!std::isfinite(hz) || hz <= 0) std::abort();
  }
}

}  // namespace

void FuzzUvh5(const std::uint8_t* data, std::size_t size) {
  static const std::array<std::vector<char>, 2> kSound{SoundFile(false), SoundFile(true)};
  static const TemporaryFolder folder;
  static const std::filesystem::path path = folder.path() / "2025-10-13T13:28:03_sb03.hdf5";
  Choices choices(data, size);
  std::vector<char> image = kSound[choices.Byte() % 2];
  const std::uint8_t index_edits = choices.Byte() % 4;
  const std::uint8_t data_set_edits = choices.Byte() % 4;
  if (data_set_edits != 0) image = EditDataSets(std::move(image), data_set_edits, choices);
  for (std::uint8_t i = 0; i < index_edits; ++i) EditChunkIndex(image, choices);
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(image.data(), static_cast<std::streamsize>(image.size()));
  try {
    RunContext context;
    CheckTile(ingest::ReadTile({path}, context));
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput || error.message().empty()) std::abort();
  }
}

}  // namespace contimg::fuzz
