// Reads data sets of a written file back through the HDF5 library.
#pragma once

#include <gtest/gtest.h>
#include <hdf5.h>

#include <complex>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <type_traits>
#include <vector>

namespace contimg::simulator {

template <typename T>
struct DataSet {
  std::vector<hsize_t> shape, max_shape, chunks;
  std::vector<T> values;
};

// T: double, std::int64_t, float, std::complex<float>, std::int8_t (for the flags' enumeration).
template <typename T>
DataSet<T> ReadSet(const std::filesystem::path& path, const std::string& name) {
  DataSet<T> result;
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  const hid_t set = H5Dopen2(file, name.c_str(), H5P_DEFAULT);
  EXPECT_GE(set, 0) << path << " " << name;
  if (set < 0) return result;
  const hid_t space = H5Dget_space(set);
  const auto rank = static_cast<std::size_t>(H5Sget_simple_extent_ndims(space));
  result.shape.resize(rank);
  result.max_shape.resize(rank);
  H5Sget_simple_extent_dims(space, result.shape.data(), result.max_shape.data());
  std::size_t size = 1;
  for (hsize_t extent : result.shape) size *= extent;
  const hid_t properties = H5Dget_create_plist(set);
  if (H5Pget_layout(properties) == H5D_CHUNKED) {
    result.chunks.resize(rank);
    H5Pget_chunk(properties, static_cast<int>(rank), result.chunks.data());
  }
  result.values.resize(size);
  hid_t type = H5T_NATIVE_FLOAT;
  const hid_t stored = H5Dget_type(set);
  if constexpr (std::is_same_v<T, double>) type = H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int64_t>) type = H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) type = H5T_NATIVE_UINT8;
  if constexpr (std::is_same_v<T, std::complex<float>> || std::is_same_v<T, std::int8_t>) type = stored;
  EXPECT_EQ(H5Tget_size(type), sizeof(T)) << name;
  EXPECT_GE(H5Dread(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, result.values.data()), 0) << name;
  for (hid_t id : {stored, properties, space, set, file}) H5Idec_ref(id);
  return result;
}

template <typename T>
T ReadScalar(const std::filesystem::path& path, const std::string& name) {
  return ReadSet<T>(path, name).values.at(0);
}

inline std::string Bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace contimg::simulator
