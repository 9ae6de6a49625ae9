// The fuzzed bodies, apart from libFuzzer so that the corpora also run as unit tests.
#pragma once

#include <cstddef>
#include <cstdint>

namespace contimg::fuzz {

// Takes the bytes for a file with a data set's object header near its start; walks its chunk index and reads its rows.
// Aborts when something other than DamagedIndex or Error comes out, or when an accepted index leads outside the file.
void FuzzChunkIndex(const std::uint8_t* data, std::size_t size);

// Takes the bytes for a list of edits of a sound UVH5 file (values, shapes and types of data sets, bytes of the chunk
// index), applies them and reads the result. Aborts when anything but Error{kBadInput} or a consistent tile comes out.
void FuzzUvh5(const std::uint8_t* data, std::size_t size);

}  // namespace contimg::fuzz
