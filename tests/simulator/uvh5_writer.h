// Writes one subband file as the DSA-110 correlator does (dsa110-meridian-fs): data sets, types, chunk shapes and the
// order in which the file grows. Appended integration by integration under the name …_incomplete.hdf5.
#pragma once

#include <complex>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/array_view.h"
#include "tests/simulator/array_config.h"
#include "tests/simulator/emitter_sum.h"

namespace contimg::simulator {

// The chunk shape that h5py chooses for a data set created with zero rows along its first, unlimited axis: the shape
// is halved axis by axis until a chunk has about 16 KiB (the rule of h5py's filters.py). `type_size` in bytes.
std::vector<std::uint64_t> AutoChunks(const std::vector<std::uint64_t>& row_shape, std::size_t type_size);

struct Uvh5Header {
  const ArrayConfig* array = nullptr;
  double app_dec_rad = 0;
  ChannelBlock channels;  // descending
  std::vector<int> polarisations{-5, -6};
  double integration_time_s = 0;  // as in the file: passed through float32
  std::string history;
  int expected_integrations = 0;  // reserves their disk space at the start; 0: reserves nothing
};

class Uvh5Writer {
 public:
  // Creates `path` and writes the header. Throws Error{kIo} when that fails.
  Uvh5Writer(const std::filesystem::path& path, const Uvh5Header& header);
  ~Uvh5Writer();  // an unclosed file stays as it is
  Uvh5Writer(const Uvh5Writer&) = delete;
  Uvh5Writer& operator=(const Uvh5Writer&) = delete;

  // One integration: `vis` is [baseline row][channel][pol], `time_jd` its middle. Nothing is flagged.
  void Append(double time_jd, ArrayView<const std::complex<float>, 3> vis, float nsamples);
  // Writes what is left and closes the file.
  void Close();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The truth about interference: one file for a group with /mask, uint8 [time][baseline row][channel, ascending
// frequency], 1 where interference was added above a threshold.
void WriteMask(const std::filesystem::path& path, ArrayView<const std::uint8_t, 3> mask,
               const std::vector<double>& frequency_hz);

}  // namespace contimg::simulator
