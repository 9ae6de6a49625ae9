// The three data sets of /Data as dense rows [row][channel][pol] in the file's order, whatever their storage. Used
// within ingest only.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "ingest/uvh5_reader.h"

namespace contimg::ingest {

// Rows [first, first + count) of one file; the arrays hold count·channels·pols elements.
struct RowSamples {
  std::complex<float>* vis = nullptr;
  std::uint8_t* flag = nullptr;  // not 0: flagged in the file
  float* nsamples = nullptr;
};

class FileBytes;

// The rows of one data set. Thread-safe.
class RowSource {
 public:
  virtual ~RowSource() = default;
  // Rows [first, first + count) as they are in memory: complex<float>, uint8 or float. `staging` is memory that the
  // caller keeps between calls. Throws Error{kBadInput} when the storage is damaged or ends early, Error{kIo} when it
  // cannot be read.
  virtual void Read(std::size_t first, std::size_t count, void* out, std::vector<std::byte>& staging) const = 0;
};

struct SampleFile {
  std::unique_ptr<RowSource> vis, flags, nsamples;
  std::size_t preferred_rows = 0;    // rows that are best read together: a multiple of the chunks' where possible
  std::shared_ptr<FileBytes> bytes;  // what they are read from; null when one of them is read through the library

  void Read(std::size_t first, std::size_t count, const RowSamples& out, std::vector<std::byte>& staging) const {
    vis->Read(first, count, out.vis, staging);
    flags->Read(first, count, out.flag, staging);
    nsamples->Read(first, count, out.nsamples, staging);
  }
};

// Opens the data sets that `header` describes; `bytes` are those of its file, null: it is opened for them, too. A
// chunked data set without filters in the machine's own number format (what the correlator writes) is read past the
// library: the chunks' addresses from the file's B-tree, the chunks by pread. Everything else goes through the library:
// filters, other layouts, integers, doubles, big-endian numbers.
SampleFile OpenSamples(const SubbandHeader& header, std::shared_ptr<FileBytes> bytes = nullptr);

}  // namespace contimg::ingest
