#include "tests/unit/ingest/uvh5_fixture.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdio>

namespace contimg::ingest::testkit {
namespace {

struct Receptors {
  int p, q;
};

Receptors ReceptorsOf(int code) {
  switch (code) {
    case -6:
    case -2:
      return {1, 1};
    case -7:
    case -3:
      return {0, 1};
    case -8:
    case -4:
      return {1, 0};
    default:
      return {0, 0};
  }
}

class Writer {
 public:
  Writer(const Uvh5Fixture& fixture, const std::filesystem::path& path) : fixture_(fixture) {
    H5::FileAccPropList access;
    if (fixture.storage == Storage::kLatestFormat)
      H5Pset_libver_bounds(access.getId(), H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    file_ = H5::H5File(path.string(), H5F_ACC_TRUNC, H5::FileCreatPropList::DEFAULT, access);
    file_.createGroup("Header");
    file_.createGroup("Header/extra_keywords");
    file_.createGroup("Data");
  }

  template <typename T>
  void Array(const std::string& name, const std::vector<T>& values, const H5::DataType& in_memory,
             const H5::DataType& in_file, const std::vector<hsize_t>& shape, const H5::DSetCreatPropList& layout = {}) {
    const H5::DataSpace space =
        shape.empty() ? H5::DataSpace() : H5::DataSpace(static_cast<int>(shape.size()), shape.data());
    H5::DataSet data_set = file_.createDataSet(name, in_file, space, layout);
    data_set.write(values.data(), in_memory);
  }
  void Doubles(const std::string& name, const std::vector<double>& values, const std::vector<hsize_t>& shape) {
    Array("Header/" + name, values, H5::PredType::NATIVE_DOUBLE, H5::PredType::IEEE_F64LE, shape);
  }
  void Integers(const std::string& name, const std::vector<int>& values, const std::vector<hsize_t>& shape) {
    Array("Header/" + name, values, H5::PredType::NATIVE_INT,
          fixture_.old_integers ? H5::PredType::STD_I32LE : H5::PredType::STD_I64LE, shape);
  }
  void Text(const std::string& name, const std::string& text) {
    if (fixture_.variable_strings) {
      const char* pointer = text.c_str();
      const H5::StrType type(H5::PredType::C_S1, H5T_VARIABLE);
      file_.createDataSet("Header/" + name, type, H5::DataSpace()).write(&pointer, type);
    } else {
      const H5::StrType type(H5::PredType::C_S1, text.size());
      file_.createDataSet("Header/" + name, type, H5::DataSpace()).write(text.data(), type);
    }
  }
  void Names(int n) {
    std::string bytes;
    std::vector<std::string> names;
    for (int i = 1; i <= n; ++i) names.push_back(std::to_string(i));
    const hsize_t count = static_cast<hsize_t>(n);
    if (fixture_.variable_strings) {
      std::vector<const char*> pointers;
      for (const std::string& name : names) pointers.push_back(name.c_str());
      const H5::StrType type(H5::PredType::C_S1, H5T_VARIABLE);
      file_.createDataSet("Header/antenna_names", type, H5::DataSpace(1, &count)).write(pointers.data(), type);
      return;
    }
    for (std::string& name : names) bytes += (name.resize(4, '\0'), name);
    H5::StrType type(H5::PredType::C_S1, 4);
    type.setStrpad(H5T_STR_NULLPAD);
    file_.createDataSet("Header/antenna_names", type, H5::DataSpace(1, &count)).write(bytes.data(), type);
  }

  H5::DSetCreatPropList Layout(std::vector<hsize_t> chunk) const {
    H5::DSetCreatPropList layout;
    if (fixture_.storage == Storage::kContiguous) return layout;
    if (fixture_.storage == Storage::kBigChunks) {
      chunk = {static_cast<hsize_t>(fixture_.n_rows()), 1, static_cast<hsize_t>(fixture_.n_channels),
               static_cast<hsize_t>(fixture_.polarisations.size())};
    }
    chunk[0] = std::min<hsize_t>(chunk[0], fixture_.n_rows());
    chunk[2] = std::min<hsize_t>(chunk[2], static_cast<hsize_t>(fixture_.n_channels));
    if (fixture_.rank3) chunk.erase(chunk.begin() + 1);
    layout.setChunk(static_cast<int>(chunk.size()), chunk.data());
    if (fixture_.storage == Storage::kDeflate) layout.setDeflate(4);
    return layout;
  }

 private:
  const Uvh5Fixture& fixture_;
  H5::H5File file_;
};

H5::CompType Complex(const H5::DataType& part) {
  H5::CompType type(2 * part.getSize());
  type.insertMember("r", 0, part);
  type.insertMember("i", part.getSize(), part);
  return type;
}

H5::DataType PartInFile(Number number) {
  switch (number) {
    case Number::kDouble:
      return H5::PredType::IEEE_F64LE;
    case Number::kInt32:
      return H5::PredType::STD_I32LE;
    case Number::kInt64:
      return H5::PredType::STD_I64LE;
    case Number::kBigEndian:
      return H5::PredType::IEEE_F32BE;
    default:
      return H5::PredType::IEEE_F32LE;
  }
}

}  // namespace

double Uvh5Fixture::Frequency(int k) const {
  const double top = 1.53e9 - (1024.0 + 384.0 * subband - 0.5) * 30517.578125;  // upper edge of the subband
  return top - (n_channels - k - 0.5) * channel_width_hz;
}

std::complex<float> Uvh5Fixture::Truth(int t, int a, int b, int k, int p, int q) {
  const int value = (((t * 8 + a) * 8 + b) * 16 + k) * 4 + 2 * p + q + 1;
  if (a == b && p == q) return {static_cast<float>(value), 0.0f};
  return {static_cast<float>(value), static_cast<float>(-2 * value)};
}

std::array<double, 3> Uvh5Fixture::Position(int a) {
  const double east = 20.0 * a, north = 5.0 * a * a;  // of the site below
  const double latitude = 37.2333752 * std::acos(-1.0) / 180, longitude = -118.2834051 * std::acos(-1.0) / 180;
  return {-std::sin(longitude) * east - std::sin(latitude) * std::cos(longitude) * north,
          std::cos(longitude) * east - std::sin(latitude) * std::sin(longitude) * north, std::cos(latitude) * north};
}

float Uvh5Fixture::Weight(int t, int a, int b, int k) { return static_cast<float>(96 - ((t + a + b + k) % 5)); }

std::filesystem::path Uvh5Fixture::Write(const std::filesystem::path& folder) const {
  std::array<char, 64> name{};
  std::snprintf(name.data(), name.size(), "2025-10-13T13:28:03_sb%02d.hdf5", subband);
  const std::filesystem::path path = folder / name.data();
  WriteTo(path);
  return path;
}

void Uvh5Fixture::WriteTo(const std::filesystem::path& path) const {
  Writer writer(*this, path);
  const hsize_t rows = n_rows(), channels = static_cast<hsize_t>(n_channels), pols = polarisations.size();
  const hsize_t stations = static_cast<hsize_t>(n_stations);
  std::vector<int> ant_1, ant_2;
  std::vector<double> time, integration;
  std::vector<std::complex<double>> vis;
  std::vector<std::int8_t> flags;
  std::vector<float> nsamples;
  for (int t = 0; t < n_times; ++t) {
    for (std::size_t i = 0; i < antenna_order.size(); ++i) {
      for (std::size_t j = 0; j <= i; ++j) {
        const int a1 = antenna_order[j], a2 = antenna_order[i];
        ant_1.push_back(a1);
        ant_2.push_back(a2);
        time.push_back(start_jd + t * integration_s / 86400);
        integration.push_back(integration_s);
        for (int file_k = 0; file_k < n_channels; ++file_k) {
          const int k = ascending ? file_k : n_channels - 1 - file_k;
          for (const int code : polarisations) {
            const Receptors r = ReceptorsOf(code);
            const bool swapped = a1 > a2;
            const std::complex<float> truth =
                Truth(t, std::min(a1, a2), std::max(a1, a2), k, swapped ? r.q : r.p, swapped ? r.p : r.q);
            vis.push_back(swapped ? std::conj(truth) : truth);
            flags.push_back(0);
            nsamples.push_back(Weight(t, a1, a2, k));
          }
        }
      }
    }
  }
  writer.Integers("Nblts", {static_cast<int>(rows)}, {});
  writer.Integers("Nbls", {static_cast<int>(n_baselines())}, {});
  writer.Integers("Ntimes", {n_times}, {});
  writer.Integers("Nfreqs", {n_channels}, {});
  writer.Integers("Npols", {static_cast<int>(pols)}, {});
  writer.Integers("Nspws", {1}, {});
  writer.Integers("Nants_telescope", {n_stations}, {});
  writer.Integers("Nants_data", {static_cast<int>(antenna_order.size())}, {});
  writer.Integers("ant_1_array", ant_1, {rows});
  writer.Integers("ant_2_array", ant_2, {rows});
  writer.Doubles("time_array", time, {rows});
  writer.Doubles("integration_time", integration, {rows});
  std::vector<double> frequency;
  for (int k = 0; k < n_channels; ++k) frequency.push_back(Frequency(ascending ? k : n_channels - 1 - k));
  writer.Doubles("freq_array", frequency,
                 flat_frequencies ? std::vector<hsize_t>{channels} : std::vector<hsize_t>{1, channels});
  if (vector_width) {
    writer.Doubles("channel_width", std::vector<double>(channels, -channel_width_hz), {channels});
  } else {
    writer.Doubles("channel_width", {channel_width_hz}, {});
  }
  writer.Integers("polarization_array", polarisations, {pols});
  writer.Integers("spw_array", {1}, {1});
  writer.Names(n_stations);
  std::vector<int> numbers;
  std::vector<double> positions;
  for (int a = 0; a < n_stations; ++a) {
    numbers.push_back(a);
    for (const double x : Position(a)) positions.push_back(x);
  }
  writer.Integers("antenna_numbers", numbers, {stations});
  writer.Doubles("antenna_positions", positions, {stations, 3});
  writer.Doubles("antenna_diameters", std::vector<double>(stations, 4.65), {stations});
  if (!without_site) {
    writer.Doubles("latitude", {37.2333752}, {});
    writer.Doubles("longitude", {-118.2834051}, {});
    writer.Doubles("altitude", {1188.05}, {});
  }
  if (!without_app_dec) {
    writer.Doubles("phase_center_app_dec", std::vector<double>(app_dec_array ? rows : 1, 0.65),
                   app_dec_array ? std::vector<hsize_t>{rows} : std::vector<hsize_t>{});
  }
  writer.Doubles("extra_keywords/phase_center_dec", {0.65}, {});
  writer.Doubles("extra_keywords/ha_phase_center", {0.0}, {});
  writer.Text("extra_keywords/phase_center_epoch", "HADEC");
  writer.Text("telescope_name", "OVRO_MMA");
  writer.Text("instrument", "DSA");
  writer.Text("object_name", "search");
  writer.Text("history", "written by a test");
  writer.Text("phase_type", "drift");

  std::vector<hsize_t> shape{rows, 1, channels, pols};
  if (rank3) shape.erase(shape.begin() + 1);
  writer.Array("Data/visdata", vis, Complex(H5::PredType::NATIVE_DOUBLE), Complex(PartInFile(number)), shape,
               writer.Layout({8, 1, 3, 1}));
  H5::EnumType boolean(H5::PredType::STD_I8LE);
  std::int8_t value = 0;
  boolean.insert("FALSE", &value);
  value = 1;
  boolean.insert("TRUE", &value);
  writer.Array("Data/flags", flags, boolean, boolean, shape, writer.Layout({16, 1, 6, 1}));
  writer.Array("Data/nsamples", nsamples, H5::PredType::NATIVE_FLOAT,
               number == Number::kBigEndian ? H5::PredType::IEEE_F32BE : H5::PredType::IEEE_F32LE, shape,
               writer.Layout({16, 1, 3, 1}));
}

void Remove(const H5::H5File& file, const std::string& name) { file.unlink(name); }
void Remove(const std::filesystem::path& path, const std::string& name) {
  Remove(H5::H5File(path.string(), H5F_ACC_RDWR), name);
}

void Put(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& shape,
         const std::vector<double>& values, const H5::DataType& type) {
  Put(H5::H5File(path.string(), H5F_ACC_RDWR), name, shape, values, type);
}
void Put(const H5::H5File& file, const std::string& name, const std::vector<hsize_t>& shape,
         const std::vector<double>& values, const H5::DataType& type) {
  if (H5Lexists(file.getId(), name.c_str(), H5P_DEFAULT) > 0) file.unlink(name);
  const H5::DataSpace space =
      shape.empty() ? H5::DataSpace() : H5::DataSpace(static_cast<int>(shape.size()), shape.data());
  H5::DataSet data_set = file.createDataSet(name, type, space);
  if (!values.empty()) data_set.write(values.data(), H5::PredType::NATIVE_DOUBLE);
}

void PutString(const std::filesystem::path& path, const std::string& name, const std::string& text) {
  PutString(H5::H5File(path.string(), H5F_ACC_RDWR), name, text);
}
void PutString(const H5::H5File& file, const std::string& name, const std::string& text) {
  if (H5Lexists(file.getId(), name.c_str(), H5P_DEFAULT) > 0) file.unlink(name);
  const H5::StrType type(H5::PredType::C_S1, std::max<std::size_t>(text.size(), 1));
  file.createDataSet(name, type, H5::DataSpace()).write(text.c_str(), type);
}

namespace {

void WriteElement(const H5::DataSet& data_set, const std::vector<hsize_t>& at, const void* value,
                  const H5::DataType& type) {
  const H5::DataSpace in_file = data_set.getSpace();
  const std::vector<hsize_t> one(at.size(), 1);
  in_file.selectHyperslab(H5S_SELECT_SET, one.data(), at.data());
  data_set.write(value, type, H5::DataSpace(static_cast<int>(one.size()), one.data()), in_file);
}

}  // namespace

void Overwrite(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& at,
               const void* value, const H5::DataType& type) {
  const H5::H5File file(path.string(), H5F_ACC_RDWR);
  WriteElement(file.openDataSet(name), at, value, type);
}

void OverwriteInOwnType(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& at,
                        const void* value) {
  OverwriteInOwnType(H5::H5File(path.string(), H5F_ACC_RDWR), name, at, value);
}
void OverwriteInOwnType(const H5::H5File& file, const std::string& name, const std::vector<hsize_t>& at,
                        const void* value) {
  const H5::DataSet data_set = file.openDataSet(name);
  WriteElement(data_set, at, value, data_set.getDataType());
}

}  // namespace contimg::ingest::testkit
