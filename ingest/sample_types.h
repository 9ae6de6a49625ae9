// Which number formats /Data may have, and how each is read. Used within ingest only.
#pragma once

#include "ingest/hdf5_access.h"

namespace contimg::ingest {

struct SampleType {
  H5::DataType in_memory;  // what the library converts to: complex<float>, uint8, float
  bool is_native = false;  // the file holds exactly that: bytes can be used as they are
};

struct SampleTypes {
  SampleType vis, flags, nsamples;
};

// visdata: a compound of two numbers, real part first: float, double, or integers of the correlator's own scale.
// flags: booleans (an enumeration) or integers. nsamples: numbers. Throws Error{kBadInput} for other types. Needs the
// HDF5 lock.
SampleTypes CheckSampleTypes(const Hdf5Group& data);

}  // namespace contimg::ingest
