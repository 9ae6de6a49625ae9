#include "ingest/uvh5_samples.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

#include "ingest/chunk_index.h"
#include "ingest/chunk_rows.h"
#include "ingest/hdf5_access.h"
#include "ingest/sample_types.h"

namespace contimg::ingest {
namespace {

constexpr std::size_t kChunkCacheBytes = std::size_t{32} << 20;
constexpr std::size_t kLeastRows = 512;  // 0.4 MB of visibilities: scratch memory stays in the processor's cache
constexpr std::size_t kMostRows = 32768;

// Through the library.
class LibraryRows : public RowSource {
 public:
  LibraryRows(std::filesystem::path path, std::string name, const H5::DataSet& data_set, const H5::DataType& type)
      : path_(std::move(path)), name_(std::move(name)), handles_(new Handles{data_set, type}) {}
  ~LibraryRows() override {
    const std::lock_guard lock(Hdf5Mutex());
    handles_.reset();
  }

  void Read(std::size_t first, std::size_t count, void* out, std::vector<std::byte>&) const override {
    const std::lock_guard lock(Hdf5Mutex());
    PrepareHdf5();  // the library's silence holds for one thread
    try {
      const H5::DataSpace in_file = handles_->data_set.getSpace();
      Shape extent = Hdf5Group::ShapeOf(handles_->data_set);
      Shape start(extent.size(), 0);
      start[0] = first;
      extent[0] = count;
      in_file.selectHyperslab(H5S_SELECT_SET, extent.data(), start.data());
      handles_->data_set.read(out, handles_->type, H5::DataSpace(static_cast<int>(extent.size()), extent.data()),
                              in_file);
    } catch (const H5::Exception&) {
      throw BadFile(path_, fmt::format("Data/{} cannot be read in rows {} to {}: its storage is damaged or ends early",
                                       name_, first, first + count));
    }
  }

 private:
  struct Handles {
    H5::DataSet data_set;
    H5::DataType type;
  };
  std::filesystem::path path_;
  std::string name_;
  std::unique_ptr<Handles> handles_;
};

void RefuseUnknownFilters(const Hdf5Group& data, const std::string& name, const H5::DSetCreatPropList& properties) {
  for (int i = 0; i < properties.getNfilters(); ++i) {
    unsigned flags = 0, config = 0;
    std::size_t n_values = 0;
    std::array<char, 64> filter_name{};
    const H5Z_filter_t filter = H5Pget_filter2(properties.getId(), static_cast<unsigned>(i), &flags, &n_values, nullptr,
                                               filter_name.size(), filter_name.data(), &config);
    if (H5Zfilter_avail(filter) > 0) continue;
    filter_name.back() = '\0';
    throw data.Bad(name, fmt::format("is compressed with the HDF5 filter {} ({}), which this program does not know",
                                     static_cast<int>(filter), filter_name.data()));
  }
}

// Address of the data set's object header.
std::uint64_t ObjectHeaderAddress(const H5::DataSet& data_set) {
#if H5_VERSION_GE(1, 12, 0)
  H5O_info1_t info{};
  const herr_t status = H5Oget_info1(data_set.getId(), &info);
#else
  H5O_info_t info{};
  const herr_t status = H5Oget_info(data_set.getId(), &info);
#endif
  if (status < 0) throw H5::DataSetIException("H5Oget_info", "no information about the object");
  return info.addr;
}

// True when addresses in the file are byte offsets of 8 bytes.
bool HasPlainAddresses(const H5::H5File& file) {
  const H5::FileCreatPropList properties = file.getCreatePlist();
  std::size_t address_bytes = 0, length_bytes = 0;
  properties.getSizes(address_bytes, length_bytes);
  return address_bytes == 8 && length_bytes == 8 && properties.getUserblock() == 0;
}

struct OpenFile {
  const H5::H5File& hdf5;
  const Hdf5Group& data;
  std::shared_ptr<FileBytes> bytes;
};

std::unique_ptr<RowSource> OpenOne(const OpenFile& file, const std::string& name, const SampleType& type,
                                   std::size_t& preferred_rows) {
  const H5::DataSet data_set = file.data.Open(name);
  const H5::DSetCreatPropList properties = data_set.getCreatePlist();
  RefuseUnknownFilters(file.data, name, properties);
  if (properties.getLayout() != H5D_CHUNKED) {
    return std::make_unique<LibraryRows>(file.data.path(), name, data_set, type.in_memory);
  }
  const Shape shape = Hdf5Group::ShapeOf(data_set);
  Shape chunk(shape.size());
  properties.getChunk(static_cast<int>(chunk.size()), chunk.data());
  const std::size_t common = std::lcm(preferred_rows, static_cast<std::size_t>(chunk[0]));
  preferred_rows = common <= kMostRows ? common : std::max<std::size_t>(preferred_rows, chunk[0]);

  if (type.is_native && properties.getNfilters() == 0 &&
      properties.isFillValueDefined() != H5D_FILL_VALUE_USER_DEFINED && HasPlainAddresses(file.hdf5)) {
    const ChunkGeometry geometry{{shape.begin(), shape.end()}, {chunk.begin(), chunk.end()}, type.in_memory.getSize()};
    try {
      auto addresses = ReadChunkIndex(*file.bytes, ObjectHeaderAddress(data_set), geometry);
      if (addresses) return std::make_unique<ChunkRows>(file.bytes, name, geometry, std::move(*addresses));
    } catch (const DamagedIndex& damage) {
      throw file.data.Bad(name, fmt::format("has damaged storage: {}", damage.what()));
    }
  }
  const H5::DSetAccPropList access;
  H5Pset_chunk_cache(access.getId(), 12421, kChunkCacheBytes, 0.75);
  const H5::DataSet cached(H5Dopen2(file.hdf5.getId(), file.data.Name(name).c_str(), access.getId()));
  return std::make_unique<LibraryRows>(file.data.path(), name, cached, type.in_memory);
}

}  // namespace

SampleFile OpenSamples(const SubbandHeader& header, std::shared_ptr<FileBytes> bytes) {
  if (!bytes) bytes = std::make_shared<FileBytes>(header.path);
  return WithHdf5(header.path, [&] {
    const H5::H5File hdf5 = OpenHdf5(header.path);
    const Hdf5Group data(hdf5, header.path, "Data");
    const SampleTypes types = CheckSampleTypes(data);
    const OpenFile file{hdf5, data, bytes};
    SampleFile samples;
    samples.preferred_rows = 1;
    samples.vis = OpenOne(file, "visdata", types.vis, samples.preferred_rows);
    samples.flags = OpenOne(file, "flags", types.flags, samples.preferred_rows);
    samples.nsamples = OpenOne(file, "nsamples", types.nsamples, samples.preferred_rows);
    const auto past_library = [](const RowSource& rows) { return dynamic_cast<const ChunkRows*>(&rows) != nullptr; };
    if (past_library(*samples.vis) && past_library(*samples.flags) && past_library(*samples.nsamples)) {
      samples.bytes = bytes;
    }
    samples.preferred_rows *= (kLeastRows + samples.preferred_rows - 1) / samples.preferred_rows;
    return samples;
  });
}

}  // namespace contimg::ingest
