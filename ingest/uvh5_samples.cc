#include "ingest/uvh5_samples.h"

#include <algorithm>
#include <array>
#include <utility>

#include "ingest/hdf5_access.h"

namespace contimg::ingest {
namespace {

constexpr std::size_t kChunkCacheBytes = std::size_t{32} << 20;

// The members of a compound {r, i} under whatever names; anything else is refused.
std::pair<std::string, std::string> ComplexMembers(const Hdf5Group& data, const H5::DataSet& data_set) {
  if (data_set.getTypeClass() != H5T_COMPOUND) {
    throw data.Bad("visdata", "has the wrong type: expected complex numbers (a compound {r, i}), found none");
  }
  const H5::CompType type = data_set.getCompType();
  bool complex = type.getNmembers() == 2;
  for (unsigned m = 0; complex && m < 2; ++m) {
    complex = type.getMemberClass(m) == H5T_FLOAT || type.getMemberClass(m) == H5T_INTEGER;
  }
  if (!complex)
    throw data.Bad("visdata", "has the wrong type: expected a compound of two numbers {r, i}, found another");
  std::pair names(type.getMemberName(0), type.getMemberName(1));
  if (names.first.empty() || (names.first[0] != 'r' && names.first[0] != 'R')) {
    throw data.Bad("visdata", fmt::format("has the wrong type: expected a compound {{r, i}}, found {{{}, {}}}",
                                          names.first, names.second));
  }
  return names;
}

// All three data sets through the library.
class LibrarySamples : public SampleFile {
 public:
  explicit LibrarySamples(const SubbandHeader& header) : path_(header.path) {
    const std::lock_guard lock(Hdf5Mutex());
    PrepareHdf5();
    try {
      Open();
    } catch (const H5::Exception& error) {
      throw BadFile(path_, fmt::format("HDF5 cannot read /Data ({})", error.getDetailMsg()));
    }
  }
  ~LibrarySamples() override {
    const std::lock_guard lock(Hdf5Mutex());
    handles_.reset();
  }

  void ReadRows(std::size_t first, std::size_t count, const RowSamples& out) const override {
    const std::lock_guard lock(Hdf5Mutex());
    Read(handles_->vis, "visdata", handles_->vis_type, {first, count}, out.vis);
    Read(handles_->flags, "flags", H5::PredType::NATIVE_INT8, {first, count}, out.flag);
    Read(handles_->nsamples, "nsamples", H5::PredType::NATIVE_FLOAT, {first, count}, out.nsamples);
  }
  std::size_t preferred_rows() const override { return std::max<std::size_t>(rows_, 2048); }

 private:
  struct Handles {
    H5::H5File file;
    H5::DataSet vis, flags, nsamples;
    H5::CompType vis_type;
  };
  struct Rows {
    hsize_t first, count;
  };

  void Open() {
    handles_ = std::make_unique<Handles>();
    handles_->file = OpenHdf5(path_);
    const Hdf5Group data(handles_->file, path_, "Data");
    handles_->vis = OpenOne(data, "visdata");
    handles_->flags = OpenOne(data, "flags");
    handles_->nsamples = OpenOne(data, "nsamples");
    const auto [real, imaginary] = ComplexMembers(data, handles_->vis);
    handles_->vis_type = H5::CompType(sizeof(std::complex<float>));
    handles_->vis_type.insertMember(real, 0, H5::PredType::NATIVE_FLOAT);
    handles_->vis_type.insertMember(imaginary, sizeof(float), H5::PredType::NATIVE_FLOAT);
    const H5T_class_t flag_class = handles_->flags.getTypeClass();
    if (flag_class != H5T_ENUM && flag_class != H5T_INTEGER)
      throw data.Bad("flags", "has the wrong type: expected booleans, found another type");
    const H5T_class_t count_class = handles_->nsamples.getTypeClass();
    if (count_class != H5T_FLOAT && count_class != H5T_INTEGER)
      throw data.Bad("nsamples", "has the wrong type: expected numbers, found another type");
  }

  H5::DataSet OpenOne(const Hdf5Group& data, const std::string& name) {
    H5::DataSet data_set = data.Open(name);
    const H5::DSetCreatPropList properties = data_set.getCreatePlist();
    for (int i = 0; i < properties.getNfilters(); ++i) {
      unsigned flags = 0, config = 0;
      std::size_t n_values = 0;
      std::array<char, 64> filter_name{};
      const H5Z_filter_t filter = H5Pget_filter2(properties.getId(), static_cast<unsigned>(i), &flags, &n_values,
                                                 nullptr, filter_name.size(), filter_name.data(), &config);
      if (H5Zfilter_avail(filter) <= 0) {
        throw data.Bad(name, fmt::format("is compressed with the HDF5 filter {} ({}), which this program does not know",
                                         static_cast<int>(filter), filter_name.data()));
      }
    }
    if (properties.getLayout() != H5D_CHUNKED) return data_set;
    std::array<hsize_t, 8> chunk{};
    properties.getChunk(static_cast<int>(chunk.size()), chunk.data());
    while (rows_ < 2048 || rows_ % chunk[0] != 0) {
      if (rows_ > 65536) break;  // chunks that do not match: the cache has to do
      rows_ += chunk[0] - rows_ % chunk[0];
    }
    const H5::DSetAccPropList access;
    H5Pset_chunk_cache(access.getId(), 12421, kChunkCacheBytes, 0.75);
    return H5::DataSet(H5Dopen2(handles_->file.getId(), ("Data/" + name).c_str(), access.getId()));
  }

  void Read(const H5::DataSet& data_set, const std::string& name, const H5::DataType& type, Rows rows,
            void* out) const {
    try {
      H5::DataSpace in_file = data_set.getSpace();
      Shape shape(static_cast<std::size_t>(in_file.getSimpleExtentNdims()));
      in_file.getSimpleExtentDims(shape.data());
      const Shape start = [&] {
        Shape s(shape.size(), 0);
        s[0] = rows.first;
        return s;
      }();
      shape[0] = rows.count;
      in_file.selectHyperslab(H5S_SELECT_SET, shape.data(), start.data());
      data_set.read(out, type, H5::DataSpace(static_cast<int>(shape.size()), shape.data()), in_file);
    } catch (const H5::Exception&) {
      throw BadFile(path_, fmt::format("Data/{} cannot be read in rows {} to {}: its storage is damaged or ends early",
                                       name, rows.first, rows.first + rows.count));
    }
  }

  std::filesystem::path path_;
  std::size_t rows_ = 0;
  std::unique_ptr<Handles> handles_;
};

}  // namespace

std::unique_ptr<SampleFile> OpenSamples(const SubbandHeader& header) {
  return std::make_unique<LibrarySamples>(header);
}

}  // namespace contimg::ingest
