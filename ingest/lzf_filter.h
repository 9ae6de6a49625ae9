// Decoder of the LZF compression that h5py and pyuvdata apply to flags and nsamples. The HDF5 library itself does not
// know it, so files rewritten by pyuvdata would be unreadable without.
#pragma once

#include <cstddef>

namespace contimg::ingest {

constexpr int kLzfFilterId = 32000;  // in the HDF Group's registry of filters

// Unpacks `packed` into `out`; returns the number of bytes written, or 0 when the input is damaged or longer than
// `out`.
//
// The format (LibLZF, M. Lehmann): a control byte below 32 announces control+1 literal bytes; otherwise its upper three
// bits are a length L (7: L += the next byte) and its lower five with the following byte an offset D: copy L+2 bytes
// from D+1 bytes back, overlap allowed.
std::size_t LzfDecode(const unsigned char* packed, std::size_t packed_size, unsigned char* out, std::size_t out_size);

// Makes the HDF5 library use LzfDecode. Needs the HDF5 lock.
void RegisterLzfFilter();

}  // namespace contimg::ingest
