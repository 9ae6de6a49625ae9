// What libcontimg_aoflagger.so offers. AOFlagger's library brings GTK and Python with it, so it is not linked to the
// programs: this small shared object is loaded when the engine is chosen, and installing AOFlagger stays optional.
// C linkage and plain data only.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

// One baseline: complex visibilities (re, im pairs) and flags at [time * time_stride + channel * n_pols + pol].
struct ContimgAoflaggerBaseline {
  const float* vis;
  std::uint8_t* flag;       // 1 = bad on entry: not looked at; 1 is added to all polarisations of what is found
  std::size_t time_stride;  // in samples
  std::size_t n_times, n_channels, n_pols;  // 1, 2 or 4 polarisations
};

// A loaded strategy; one per thread. `is_file`: `strategy` is the path of a Lua file, otherwise the script itself.
// Returns null after writing a message to `error` (of `error_size` bytes).
void* contimg_aoflagger_open(const char* strategy, int is_file, char* error, std::size_t error_size);
// Flags one baseline. Returns 0, or 1 after writing a message to `error`.
int contimg_aoflagger_run(void* handle, const ContimgAoflaggerBaseline* baseline, char* error, std::size_t error_size);
void contimg_aoflagger_close(void* handle);
// "3.1.0".
const char* contimg_aoflagger_version();
}
