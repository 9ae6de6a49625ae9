// Parallel loops with an explicit number of threads: no global pool, no hidden state.
#pragma once

#include <cstddef>
#include <functional>

namespace contimg {

// Calls body(i) once for each i in [0, count) on up to `threads` threads (the caller's is one of them); indices are
// handed out in ascending order as threads come free. The first exception stops the hand-out and is rethrown after all
// threads have joined. `threads` < 1 counts as 1. Results must not depend on which thread runs which index.
void ParallelFor(int threads, std::size_t count, const std::function<void(std::size_t)>& body);

}  // namespace contimg
