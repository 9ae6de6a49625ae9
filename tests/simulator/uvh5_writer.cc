#include "tests/simulator/uvh5_writer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <hdf5.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "config/error.h"

namespace contimg::simulator {

namespace {

// An HDF5 identifier of any kind, released on destruction.
class Handle {
 public:
  Handle() = default;
  explicit Handle(hid_t id) : id_(id) {
    if (id < 0) throw Error(ErrorKind::kIo, "simulate", "", "HDF5 refused to make an object");
  }
  Handle(Handle&& other) noexcept : id_(std::exchange(other.id_, -1)) {}
  Handle& operator=(Handle&& other) noexcept {
    std::swap(id_, other.id_);
    return *this;
  }
  ~Handle() {
    // Unlike H5Idec_ref, these forget the identifier even when the last flush fails.
    switch (id_ >= 0 ? H5Iget_type(id_) : H5I_BADID) {
      case H5I_FILE:
        H5Fclose(id_);
        break;
      case H5I_GROUP:
        H5Gclose(id_);
        break;
      case H5I_DATASET:
        H5Dclose(id_);
        break;
      case H5I_BADID:
        break;
      default:
        H5Idec_ref(id_);
    }
  }
  hid_t get() const { return id_; }
  hid_t release() { return std::exchange(id_, -1); }

 private:
  hid_t id_ = -1;
};

// Lets go of a file that is still open: what HDF5 has not written yet goes to memory instead. After a full disk it
// could not be written, and the library crashes at the program's end when it has data that it cannot write.
class LetGo {
 public:
  explicit LetGo(const Handle& file) : file_(file) {}
  LetGo(const LetGo&) = delete;
  LetGo& operator=(const LetGo&) = delete;
  ~LetGo() {
    void* descriptor = nullptr;
    if (file_.get() < 0 || H5Fget_vfd_handle(file_.get(), H5P_DEFAULT, &descriptor) < 0) return;
    const int memory = memfd_create("unfinished", MFD_CLOEXEC);
    if (memory < 0) return;
    dup2(memory, *static_cast<int*>(descriptor));
    close(memory);
  }

 private:
  const Handle& file_;
};

void Check(herr_t status, const char* doing) {
  if (status >= 0) return;
  if (errno == ENOSPC || errno == EDQUOT)
    throw SystemError("simulate", "", fmt::format("HDF5 cannot {}", doing), errno);
  throw Error(ErrorKind::kIo, "simulate", "", fmt::format("HDF5 cannot {}", doing));
}

Handle ComplexType() {
  Handle type(H5Tcreate(H5T_COMPOUND, sizeof(std::complex<float>)));
  Check(H5Tinsert(type.get(), "r", 0, H5T_IEEE_F32LE), "define a type");
  Check(H5Tinsert(type.get(), "i", sizeof(float), H5T_IEEE_F32LE), "define a type");
  return type;
}

Handle BoolType() {
  Handle type(H5Tenum_create(H5T_STD_I8LE));
  const std::int8_t no = 0, yes = 1;
  Check(H5Tenum_insert(type.get(), "FALSE", &no), "define a type");
  Check(H5Tenum_insert(type.get(), "TRUE", &yes), "define a type");
  return type;
}

Handle FixedString(std::size_t size) {
  Handle type(H5Tcopy(H5T_C_S1));
  Check(H5Tset_size(type.get(), size), "define a type");
  Check(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "define a type");
  return type;
}

// No time stamps, as h5py makes data sets: the same contents are the same bytes.
Handle CreationProperties() {
  Handle properties(H5Pcreate(H5P_DATASET_CREATE));
  Check(H5Pset_obj_track_times(properties.get(), false), "set properties");
  return properties;
}

// A data set of fixed size, written at once.
void Put(hid_t group, const char* name, hid_t type, const std::vector<hsize_t>& shape, const void* data) {
  const Handle space(shape.empty() ? H5Screate(H5S_SCALAR)
                                   : H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr));
  const Handle properties = CreationProperties();
  const Handle set(H5Dcreate2(group, name, type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
  Check(H5Dwrite(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data), "write a data set");
}
void Put(hid_t group, const char* name, double value) { Put(group, name, H5T_IEEE_F64LE, {}, &value); }
void Put(hid_t group, const char* name, std::int64_t value) { Put(group, name, H5T_STD_I64LE, {}, &value); }
void Put(hid_t group, const char* name, const std::string& text) {
  Put(group, name, FixedString(text.size()).get(), {}, text.data());
}
void Put(hid_t group, const char* name, const std::vector<double>& values, const std::vector<hsize_t>& shape) {
  Put(group, name, H5T_IEEE_F64LE, shape, values.data());
}
void Put(hid_t group, const char* name, const std::vector<std::int64_t>& values) {
  Put(group, name, H5T_STD_I64LE, {values.size()}, values.data());
}

// A data set that grows along its first axis; chunks as h5py guesses them, no filter, filled when allocated.
Handle Growing(hid_t group, const char* name, hid_t type, const std::vector<std::uint64_t>& row_shape) {
  std::vector<hsize_t> shape{0}, limit{H5S_UNLIMITED};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  limit.insert(limit.end(), row_shape.begin(), row_shape.end());
  const std::vector<std::uint64_t> guess = AutoChunks(row_shape, H5Tget_size(type));
  const std::vector<hsize_t> chunks(guess.begin(), guess.end());
  const Handle properties = CreationProperties();
  Check(H5Pset_chunk(properties.get(), static_cast<int>(chunks.size()), chunks.data()), "set chunks");
  Check(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_ALLOC), "set chunks");
  const Handle space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), limit.data()));
  return Handle(H5Dcreate2(group, name, type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
}

// Appends `rows` rows to a growing data set through the library.
void AppendRows(hid_t set, hid_t type, std::vector<hsize_t> row_shape, hsize_t first, hsize_t rows, const void* data) {
  std::vector<hsize_t> shape{first + rows}, start(row_shape.size() + 1, 0), count{rows};
  shape.insert(shape.end(), row_shape.begin(), row_shape.end());
  count.insert(count.end(), row_shape.begin(), row_shape.end());
  start[0] = first;
  Check(H5Dset_extent(set, shape.data()), "extend a data set");
  const Handle file_space(H5Dget_space(set));
  Check(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr), "select");
  const Handle memory(H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr));
  Check(H5Dwrite(set, type, memory.get(), file_space.get(), H5P_DEFAULT, data), "append to a data set");
}

}  // namespace

std::vector<std::uint64_t> AutoChunks(const std::vector<std::uint64_t>& row_shape, std::size_t type_size) {
  std::vector<double> chunks{1024};
  for (std::uint64_t extent : row_shape) chunks.push_back(static_cast<double>(extent));
  const auto bytes = [&] {
    double product = static_cast<double>(type_size);
    for (double extent : chunks) product *= extent;
    return product;
  };
  const double target = std::clamp(16384 * std::pow(2.0, std::log10(bytes() / (1024.0 * 1024.0))), 8192.0, 1048576.0);
  for (std::size_t i = 0;; ++i) {
    const double size = bytes();
    const bool near = size < target || std::abs(size - target) / target < 0.5;
    if ((near && size < 1048576.0) || size <= static_cast<double>(type_size)) break;
    double& extent = chunks[i % chunks.size()];
    extent = std::ceil(extent / 2);
  }
  return {chunks.begin(), chunks.end()};
}

class Uvh5Writer::Impl {
 public:
  Impl(const std::filesystem::path& path, const Uvh5Header& header)
      : path_(path),
        rows_(BaselineRows(*header.array)),
        n_channels_(header.channels.n),
        n_pols_(header.polarisations.size()),
        integration_time_s_(header.integration_time_s) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);  // failures are reported as Error
    const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_EXCL, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0) throw Error(ErrorKind::kIo, "simulate", path.string(), "cannot create the file");
    file_ = Handle(id);
    header_ = Handle(H5Gcreate2(id, "Header", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    data_ = Handle(H5Gcreate2(id, "Data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    for (std::size_t set = 0; set < kBlocks; ++set) {
      const std::vector<std::uint64_t> chunk = AutoChunks({1, n_channels_, n_pols_}, TypeSize(set));
      blocks_[set].rows = chunk[0];
      blocks_[set].channels = chunk[2];
      blocks_[set].pols = chunk[3];
    }
    Reserve(static_cast<hsize_t>(header.expected_integrations) * rows_.size());
    WriteHeader(header);
    const std::vector<std::uint64_t> shape{1, n_channels_, n_pols_};
    const Handle complex = ComplexType(), boolean = BoolType();
    blocks_[kVis].set = Growing(data_.get(), "visdata", complex.get(), shape);
    blocks_[kFlags].set = Growing(data_.get(), "flags", boolean.get(), shape);
    blocks_[kSamples].set = Growing(data_.get(), "nsamples", H5T_IEEE_F32LE, shape);
  }

  void Append(double time_jd, ArrayView<const std::complex<float>, 3> vis, float nsamples) {
    const hsize_t n = rows_.size();
    std::vector<double> column(n, time_jd);
    AppendRows(time_.get(), H5T_NATIVE_DOUBLE, {}, n_rows_, n, column.data());
    std::fill(column.begin(), column.end(), integration_time_s_);
    AppendRows(integration_.get(), H5T_NATIVE_DOUBLE, {}, n_rows_, n, column.data());
    AppendRows(uvw_.get(), H5T_NATIVE_FLOAT, {3}, n_rows_, n, uvw_m_.data());
    AppendRows(ant1_.get(), H5T_NATIVE_INT64, {}, n_rows_, n, ant1_values_.data());
    AppendRows(ant2_.get(), H5T_NATIVE_INT64, {}, n_rows_, n, ant2_values_.data());
    n_rows_ += n;
    ++n_times_;
    nsamples_ = nsamples;
    pending_.insert(pending_.end(), vis.begin(), vis.end());
    for (Block& block : blocks_) {
      const std::array<hsize_t, 4> extent{n_rows_, 1, n_channels_, n_pols_};
      Check(H5Dset_extent(block.set.get(), extent.data()), "extend the visibilities");
    }
    WriteChunks(false);
  }

  void Close() {
    WriteChunks(true);
    Update("Nblts", static_cast<std::int64_t>(n_rows_));
    Update("Ntimes", n_times_);
    Check(H5Fflush(file_.get(), H5F_SCOPE_LOCAL), "finish a file");  // while LetGo can still help
    for (Block& block : blocks_) block.set = Handle();
    for (Handle* handle : {&time_, &integration_, &uvw_, &ant1_, &ant2_, &header_, &data_}) *handle = Handle();
    if (H5Fflush(file_.get(), H5F_SCOPE_LOCAL) < 0 || H5Fclose(file_.release()) < 0) {
      throw Error(ErrorKind::kIo, "simulate", path_.string(), "cannot finish writing the file");
    }
    std::filesystem::resize_file(path_, std::filesystem::file_size(path_));  // gives back what Reserve took too much
  }

 private:
  enum { kVis, kFlags, kSamples, kBlocks };
  struct Block {
    Handle set;
    hsize_t rows = 0, channels = 0, pols = 0;  // chunk shape
    hsize_t written = 0;                       // rows in whole chunks on disk
  };

  // Takes disk space for so many rows now, without changing the file's size: HDF5 does not survive (it crashes at the
  // program's end) when what it keeps in memory cannot be written later.
  void Reserve(hsize_t rows) {
    if (rows == 0) return;
    constexpr hsize_t kHeaderBytes = 1 << 18, kIndexBytesPerChunk = 256, kRowBytes = 3 * 8 + 8 + 3 * 4;
    hsize_t bytes = kHeaderBytes + (rows + 2048) * kRowBytes;
    for (std::size_t set = 0; set < kBlocks; ++set) {
      const Block& block = blocks_[set];
      const auto pieces = [](hsize_t extent, hsize_t chunk) { return (extent + chunk - 1) / chunk; };
      const hsize_t chunks =
          pieces(rows, block.rows) * pieces(n_channels_, block.channels) * pieces(n_pols_, block.pols);
      bytes += chunks * (block.rows * block.channels * block.pols * TypeSize(set) + kIndexBytesPerChunk);
    }
    void* descriptor = nullptr;
    Check(H5Fget_vfd_handle(file_.get(), H5P_DEFAULT, &descriptor), "tell its file descriptor");
    if (fallocate(*static_cast<int*>(descriptor), FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(bytes)) != 0 &&
        errno != EOPNOTSUPP && errno != ENOSYS) {
      throw SystemError("simulate", path_.string(), "cannot reserve " + BytesInWords(bytes), errno);
    }
  }

  static std::size_t TypeSize(std::size_t set) { return set == kVis ? 8 : set == kSamples ? 4 : 1; }

  void WriteHeader(const Uvh5Header& h) {
    const ArrayConfig& array = *h.array;
    const hid_t g = header_.get();
    const std::size_t n_table = array.names.size();
    const Vec3 centre = ToItrf(array.site);
    Put(g, "latitude", array.site.latitude_rad * 180 / kPi);
    Put(g, "longitude", array.site.longitude_rad * 180 / kPi);
    Put(g, "altitude", array.site.height_m);
    Put(g, "telescope_name", std::string("OVRO_MMA"));
    Put(g, "instrument", std::string("DSA"));
    Put(g, "object_name", std::string("search"));
    Put(g, "history", h.history);
    Put(g, "phase_type", std::string("drift"));
    Put(g, "phase_center_app_dec", h.app_dec_rad);
    Put(g, "Nants_data", static_cast<std::int64_t>(array.n_antennas()));
    Put(g, "Nants_telescope", static_cast<std::int64_t>(n_table));
    Put(g, "antenna_diameters", std::vector<double>(n_table, array.dish_diameter_m), {n_table});
    std::vector<char> names(4 * n_table, '\0');
    std::vector<std::int64_t> numbers(n_table);
    std::vector<double> positions(3 * n_table);
    for (std::size_t i = 0; i < n_table; ++i) {
      std::memcpy(&names[4 * i], array.names[i].data(), std::min<std::size_t>(4, array.names[i].size()));
      numbers[i] = static_cast<std::int64_t>(i);
      for (std::size_t axis = 0; axis < 3; ++axis) {
        positions[3 * i + axis] = array.positions_itrf_m[i][axis] - centre[axis];
      }
    }
    Put(g, "antenna_names", FixedString(4).get(), {n_table}, names.data());
    Put(g, "antenna_numbers", numbers);
    ant1_ = Growing(g, "ant_1_array", H5T_STD_I64LE, {});
    ant2_ = Growing(g, "ant_2_array", H5T_STD_I64LE, {});
    Put(g, "Nbls", static_cast<std::int64_t>(rows_.size()));
    Put(g, "Nblts", std::int64_t{0});
    Put(g, "Nfreqs", static_cast<std::int64_t>(n_channels_));
    Put(g, "Npols", static_cast<std::int64_t>(n_pols_));
    Put(g, "Ntimes", std::int64_t{0});
    Put(g, "Nspws", std::int64_t{1});
    uvw_ = Growing(g, "uvw_array", H5T_IEEE_F32LE, {3});
    time_ = Growing(g, "time_array", H5T_IEEE_F64LE, {});
    integration_ = Growing(g, "integration_time", H5T_IEEE_F64LE, {});
    std::vector<double> frequency(n_channels_);
    for (std::size_t k = 0; k < n_channels_; ++k) frequency[k] = h.channels.Frequency(k);
    Put(g, "freq_array", frequency, {1, n_channels_});
    Put(g, "channel_width", std::abs(h.channels.step_hz));
    Put(g, "spw_array", std::vector<std::int64_t>{1});
    Put(g, "polarization_array", std::vector<std::int64_t>(h.polarisations.begin(), h.polarisations.end()));
    Put(g, "antenna_positions", positions, {n_table, 3});

    const Handle extra(H5Gcreate2(g, "extra_keywords", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
    Put(extra.get(), "phase_center_dec", h.app_dec_rad);
    Put(extra.get(), "ha_phase_center", 0.0);
    const Handle text(H5Tcopy(H5T_C_S1));
    Check(H5Tset_size(text.get(), H5T_VARIABLE), "define a type");
    Check(H5Tset_cset(text.get(), H5T_CSET_UTF8), "define a type");
    const char* const epoch = "HADEC";
    Put(extra.get(), "phase_center_epoch", text.get(), {}, &epoch);
    Put(extra.get(), "fs_table", std::string("fringestopping_table"));
    std::string delays;
    for (std::size_t i = 0; i < 2 * n_table; ++i) {
      const auto active =
          std::count(array.correlator_order.begin(), array.correlator_order.end(), static_cast<int>(i / 2));
      delays += (i == 0 ? "" : " ") + std::string(active > 0 ? "15734" : "0");
    }
    Put(extra.get(), "applied_delays_ns", delays);

    // The stored uvw are the projection at hour angle 0, the same at every time.
    const double lon = array.site.longitude_rad;
    const Vec3 w_axis = MeridianDirection(lon, h.app_dec_rad);
    const Vec3 u_axis{-std::sin(lon), std::cos(lon), 0};
    const Vec3 v_axis = MeridianDirection(lon, h.app_dec_rad + kPi / 2);
    for (const Row& row : rows_) {
      const auto a1 = static_cast<std::size_t>(array.correlator_order[static_cast<std::size_t>(row.position1)]);
      const auto a2 = static_cast<std::size_t>(array.correlator_order[static_cast<std::size_t>(row.position2)]);
      ant1_values_.push_back(static_cast<std::int64_t>(a1));
      ant2_values_.push_back(static_cast<std::int64_t>(a2));
      Vec3 b;
      for (std::size_t axis = 0; axis < 3; ++axis) {
        b[axis] = array.positions_itrf_m[a2][axis] - array.positions_itrf_m[a1][axis];
      }
      for (const Vec3& axis : {u_axis, v_axis, w_axis}) uvw_m_.push_back(static_cast<float>(Dot(b, axis)));
    }
  }

  void Update(const char* name, std::int64_t value) {
    const Handle set(H5Dopen2(header_.get(), name, H5P_DEFAULT));
    Check(H5Dwrite(set.get(), H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, &value), "update the header");
  }

  // Writes the chunks whose rows have all arrived, past the library's chunk cache; with `all` also the last, partly
  // filled ones (their rest holds the fill value, zero).
  void WriteChunks(bool all) {
    for (std::size_t set = 0; set < kBlocks; ++set) {
      Block& block = blocks_[set];
      while (block.written + block.rows <= n_rows_ || (all && block.written < n_rows_)) {
        const hsize_t rows = std::min(block.rows, n_rows_ - block.written);
        for (hsize_t channel = 0; channel < n_channels_; channel += block.channels) {
          for (hsize_t pol = 0; pol < n_pols_; pol += block.pols) {
            WriteChunk(set, rows, channel, pol);
          }
        }
        block.written += rows;
      }
    }
    // Visibilities before the first unwritten row are no longer needed.
    const std::size_t done = (blocks_[kVis].written - pending_first_) * n_channels_ * n_pols_;
    pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(done));
    pending_first_ = blocks_[kVis].written;
  }

  void WriteChunk(std::size_t set, hsize_t rows, hsize_t channel0, hsize_t pol0) {
    const Block& block = blocks_[set];
    const hsize_t channels = std::min(block.channels, n_channels_ - channel0);
    const hsize_t pols = std::min(block.pols, n_pols_ - pol0);
    const std::size_t cells = block.rows * block.channels * block.pols;
    chunk_.resize(cells * TypeSize(set));
    const bool whole = rows == block.rows && channels == block.channels && pols == block.pols;
    if (!whole || set == kFlags) std::memset(chunk_.data(), 0, chunk_.size());
    const std::complex<float>* vis = pending_.data() + (block.written - pending_first_) * n_channels_ * n_pols_;
    for (hsize_t r = 0; r < rows && set != kFlags; ++r) {
      for (hsize_t k = 0; k < channels; ++k) {
        const hsize_t to = (r * block.channels + k) * block.pols;
        for (hsize_t p = 0; p < pols; ++p) {
          if (set == kVis) {
            reinterpret_cast<std::complex<float>*>(chunk_.data())[to + p] =
                vis[(r * n_channels_ + channel0 + k) * n_pols_ + pol0 + p];
          } else {
            reinterpret_cast<float*>(chunk_.data())[to + p] = nsamples_;
          }
        }
      }
    }
    const std::array<hsize_t, 4> offset{block.written, 0, channel0, pol0};
    if (H5Dwrite_chunk(block.set.get(), H5P_DEFAULT, 0, offset.data(), chunk_.size(), chunk_.data()) < 0) {
      throw SystemError("simulate", path_.string(), "cannot write visibilities", errno);
    }
  }

  std::filesystem::path path_;
  std::vector<Row> rows_;
  hsize_t n_channels_, n_pols_;
  double integration_time_s_;
  Handle file_, header_, data_;
  Handle time_, integration_, uvw_, ant1_, ant2_;
  Block blocks_[kBlocks];
  std::vector<std::int64_t> ant1_values_, ant2_values_;
  std::vector<float> uvw_m_;
  hsize_t n_rows_ = 0;
  std::int64_t n_times_ = 0;
  float nsamples_ = 0;
  std::vector<std::complex<float>> pending_;  // rows from pending_first_ on
  hsize_t pending_first_ = 0;
  std::vector<char> chunk_;
  LetGo let_go_{file_};  // last, so destroyed before the handles
};

Uvh5Writer::Uvh5Writer(const std::filesystem::path& path, const Uvh5Header& header)
    : impl_(std::make_unique<Impl>(path, header)) {}
Uvh5Writer::~Uvh5Writer() = default;
void Uvh5Writer::Append(double time_jd, ArrayView<const std::complex<float>, 3> vis, float nsamples) {
  impl_->Append(time_jd, vis, nsamples);
}
void Uvh5Writer::Close() { impl_->Close(); }

void WriteMask(const std::filesystem::path& path, ArrayView<const std::uint8_t, 3> mask,
               const std::vector<double>& frequency_hz) {
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  if (id < 0) throw Error(ErrorKind::kIo, "simulate", path.string(), "cannot create the file");
  const Handle file(id);
  const std::array<hsize_t, 3> shape{mask.shape(0), mask.shape(1), mask.shape(2)};
  const std::array<hsize_t, 3> chunk{1, std::min<hsize_t>(shape[1], 512), shape[2]};
  const Handle properties = CreationProperties();
  Check(H5Pset_chunk(properties.get(), 3, chunk.data()), "set chunks");
  Check(H5Pset_deflate(properties.get(), 1), "set chunks");
  const Handle space(H5Screate_simple(3, shape.data(), nullptr));
  const Handle set(H5Dcreate2(id, "mask", H5T_STD_U8LE, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT));
  Check(H5Dwrite(set.get(), H5T_NATIVE_UINT8, H5S_ALL, H5S_ALL, H5P_DEFAULT, mask.data()), "write the mask");
  Put(id, "frequency_hz", frequency_hz, {frequency_hz.size()});
}

}  // namespace contimg::simulator
