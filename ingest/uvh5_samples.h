// The three data sets of /Data as dense rows [row][channel][pol] in the file's order, whatever their storage. Used by
// ReadTile only.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ingest/uvh5_reader.h"

namespace contimg::ingest {

// Rows [first, first + count) of one file; the arrays hold count·channels·pols elements.
struct RowSamples {
  std::complex<float>* vis = nullptr;
  std::uint8_t* flag = nullptr;  // not 0: flagged in the file
  float* nsamples = nullptr;
};

class SampleFile {
 public:
  virtual ~SampleFile() = default;
  // Throws Error{kBadInput} when the storage is damaged or ends early, Error{kIo} when it cannot be read. Thread-safe.
  virtual void ReadRows(std::size_t first, std::size_t count, const RowSamples& out) const = 0;
  // Rows that are best read together: a multiple of the chunks' rows.
  virtual std::size_t preferred_rows() const = 0;
};

// Opens the data sets that `header` describes. Chunked data sets without filters in the machine's own number formats
// (what the correlator writes) are read past the library: the chunk addresses come from the file's B-tree, the chunks
// by pread. Everything else goes through the library: filters, other layouts, integers, doubles, big-endian numbers.
std::unique_ptr<SampleFile> OpenSamples(const SubbandHeader& header);

}  // namespace contimg::ingest
