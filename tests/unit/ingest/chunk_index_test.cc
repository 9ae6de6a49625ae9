// The walk over the chunks' B-tree against the library's own answer, and against damage at every byte.
#include "ingest/chunk_index.h"

#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>

#include "tests/temporary_folder.h"
#include "tests/unit/ingest/uvh5_fixture.h"

namespace contimg::ingest {
namespace {

class Image : public ByteSource {
 public:
  explicit Image(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  std::uint64_t size() const override { return bytes.size(); }
  void Read(std::uint64_t offset, std::size_t count, void* out) const override {
    ASSERT_LE(offset + count, bytes.size());
    std::memcpy(out, bytes.data() + offset, count);
  }
  std::vector<char> bytes;
};

// A data set of many chunks (the B-tree gets two levels), some of them never written.
class ChunkIndexTest : public ::testing::Test {
 protected:
  ChunkIndexTest() : path_(folder_.path() / "chunks.hdf5") {
    const H5::H5File file(path_.string(), H5F_ACC_TRUNC);
    const hsize_t shape[3] = {1000, 10, 3}, chunk[3] = {16, 4, 1};
    H5::DSetCreatPropList layout;
    layout.setChunk(3, chunk);
    H5::DataSet data_set = file.createDataSet("x", H5::PredType::STD_I32LE, H5::DataSpace(3, shape), layout);
    const std::vector<int> values(600 * 10 * 3, 7);
    const hsize_t start[3] = {320, 0, 0}, count[3] = {600, 10, 3};
    const H5::DataSpace in_file = data_set.getSpace();
    in_file.selectHyperslab(H5S_SELECT_SET, count, start);
    data_set.write(values.data(), H5::PredType::NATIVE_INT, H5::DataSpace(3, count), in_file);
  }

  std::uint64_t ObjectHeader() const {
    const H5::H5File file(path_.string(), H5F_ACC_RDONLY);
#if H5_VERSION_GE(1, 12, 0)
    H5O_info1_t info{};
    H5Oget_info_by_name1(file.getId(), "x", &info, H5P_DEFAULT);
#else
    H5O_info_t info{};
    H5Oget_info_by_name(file.getId(), "x", &info, H5P_DEFAULT);
#endif
    return info.addr;
  }

  const TemporaryFolder folder_;
  const std::filesystem::path path_;
  const ChunkGeometry geometry_{{1000, 10, 3}, {16, 4, 1}, 4};
};

TEST_F(ChunkIndexTest, AgreesWithTheLibrary) {
  const auto addresses = ReadChunkIndex(Image(path_), ObjectHeader(), geometry_);
  ASSERT_TRUE(addresses);
  ASSERT_EQ(addresses->size(), 63u * 3 * 3);
  const H5::H5File file(path_.string(), H5F_ACC_RDONLY);
  const H5::DataSet data_set = file.openDataSet("x");
  std::size_t present = 0;
  for (hsize_t r = 0; r < 63; ++r) {
    for (hsize_t c = 0; c < 3; ++c) {
      for (hsize_t p = 0; p < 3; ++p) {
        const hsize_t offset[3] = {16 * r, 4 * c, p};
        haddr_t address = HADDR_UNDEF;
        hsize_t size = 0;
        H5Dget_chunk_info_by_coord(data_set.getId(), offset, nullptr, &address, &size);
        EXPECT_EQ((*addresses)[(r * 3 + c) * 3 + p], address == HADDR_UNDEF ? kNoChunk : address);
        present += address == HADDR_UNDEF ? 0 : 1;
      }
    }
  }
  EXPECT_EQ(present, 38u * 3 * 3);
}

TEST_F(ChunkIndexTest, LeavesWhatItDoesNotKnowToTheLibrary) {
  const Image image(path_);
  Image other = image;
  other.bytes[ObjectHeader()] = 2;  // another version of the object header
  EXPECT_FALSE(ReadChunkIndex(other, ObjectHeader(), geometry_));
  ChunkGeometry sparse = geometry_;
  sparse.shape[0] = std::uint64_t{1} << 60;
  EXPECT_FALSE(ReadChunkIndex(image, ObjectHeader(), sparse));
}

// Any single damaged byte is refused, ignored, or gives addresses inside the file: never an access outside it (Image
// checks) and never a hang.
TEST_F(ChunkIndexTest, SurvivesDamageAtEveryByteOfItsStructures) {
  Image image(path_);
  const std::uint64_t header = ObjectHeader();
  std::vector<std::size_t> positions;
  for (std::size_t i = 0; i < 300; ++i) positions.push_back(header + i);
  for (std::size_t i = 0; i + 4 < image.bytes.size(); ++i) {
    if (std::memcmp(&image.bytes[i], "TREE", 4) != 0) continue;
    for (std::size_t j = 0; j < 200 && i + j < image.bytes.size(); ++j) positions.push_back(i + j);
  }
  std::size_t refused = 0;
  for (const std::size_t position : positions) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      const char sound = image.bytes[position];
      image.bytes[position] = static_cast<char>(sound ^ flip);
      try {
        const auto addresses = ReadChunkIndex(image, header, geometry_);
        if (addresses) {
          for (const std::uint64_t address : *addresses) {
            EXPECT_TRUE(address == kNoChunk || address + geometry_.ChunkBytes() <= image.size());
          }
        }
      } catch (const DamagedIndex&) {
        ++refused;
      }
      image.bytes[position] = sound;
    }
  }
  EXPECT_GT(refused, 100u);
}

TEST_F(ChunkIndexTest, RefusesAFileThatEndsBeforeItsChunks) {
  Image image(path_);
  image.bytes.resize(image.bytes.size() / 2);
  EXPECT_THROW(ReadChunkIndex(image, ObjectHeader(), geometry_), DamagedIndex);
}

}  // namespace
}  // namespace contimg::ingest
