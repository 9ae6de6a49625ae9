// Writes small UVH5 files for tests: the correlator's layout, or any accepted variant of it, with visibilities that
// are known functions of their coordinates. Shares nothing with the reader or the simulator.
#pragma once

#include <H5Cpp.h>

#include <array>
#include <complex>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace contimg::ingest::testkit {

enum class Storage { kCorrelator, kContiguous, kDeflate, kBigChunks, kLatestFormat };
enum class Number { kFloat, kDouble, kInt32, kInt64, kBigEndian };

struct Uvh5Fixture {
  int subband = 3;
  int n_stations = 5;                          // size of the antenna table
  std::vector<int> antenna_order{3, 0, 2, 1};  // the correlator's: not sorted, so some rows have antenna1 > antenna2
  int n_times = 3;
  int n_channels = 8;
  std::vector<int> polarisations{-5, -6};
  double start_jd = 2460962.0612204;
  double integration_s = 12.884902000427246;
  double channel_width_hz = 244140.625;
  bool ascending = false;
  bool rank3 = false;             // no window axis
  bool vector_width = false;      // channel_width per channel, negative: as pyuvdata writes it
  bool flat_frequencies = false;  // freq_array (Nfreqs) instead of (1, Nfreqs)
  bool old_integers = false;      // 32-bit header integers
  bool variable_strings = false;
  bool app_dec_array = false;
  bool without_app_dec = false;  // only extra_keywords/phase_center_dec
  bool without_site = false;
  Storage storage = Storage::kCorrelator;
  Number number = Number::kFloat;

  std::size_t n_baselines() const { return antenna_order.size() * (antenna_order.size() + 1) / 2; }
  std::size_t n_rows() const { return n_baselines() * static_cast<std::size_t>(n_times); }
  // Centre of the file's channel `k` counted from the lowest frequency.
  double Frequency(int k) const;
  // The true visibility of antennas a <= b for the product (p, q) of receptors 0 and 1, channel k from the lowest.
  static std::complex<float> Truth(int t, int a, int b, int k, int p, int q);
  // Of station `a` relative to the array centre, ITRF axes, metres: on the ground.
  static std::array<double, 3> Position(int a);
  static float Weight(int t, int a, int b, int k);

  // "<folder>/2025-10-13T13:28:03_sbNN.hdf5"
  std::filesystem::path Write(const std::filesystem::path& folder) const;
  void WriteTo(const std::filesystem::path& path) const;
};

// Edits of a finished file: one that is open for writing, or one named by its path.
void Remove(const H5::H5File& file, const std::string& name);
void Put(const H5::H5File& file, const std::string& name, const std::vector<hsize_t>& shape,
         const std::vector<double>& values, const H5::DataType& type = H5::PredType::IEEE_F64LE);
void PutString(const H5::H5File& file, const std::string& name, const std::string& text);
void OverwriteInOwnType(const H5::H5File& file, const std::string& name, const std::vector<hsize_t>& at,
                        const void* value);
void Remove(const std::filesystem::path& path, const std::string& name);
// Replaces (or makes) a data set. An empty shape makes a scalar.
void Put(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& shape,
         const std::vector<double>& values, const H5::DataType& type = H5::PredType::IEEE_F64LE);
void PutString(const std::filesystem::path& path, const std::string& name, const std::string& text);
// Changes elements of a data set in place; `type` is the memory type of `values`.
void Overwrite(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& at,
               const void* value, const H5::DataType& type);

// The same with a value of the data set's own type.
void OverwriteInOwnType(const std::filesystem::path& path, const std::string& name, const std::vector<hsize_t>& at,
                        const void* value);

}  // namespace contimg::ingest::testkit
