// Work on many things in a process apart, so that one that crashes the library that reads it costs itself alone.
#pragma once

#include <cstddef>
#include <functional>
#include <string>

#include "config/run_context.h"

namespace contimg::ops {

struct ApartLimits {
  double seconds = 600;  // for one thing
};

// Calls `work(i)` for 0 ≤ i < n in order, in a child process, and hands what it gave to `take(i, text, "")` here. Where
// the child died of it, or took too long, that is `take(i, "", "died of signal 11")`, and another child goes on with
// the next. `work` must not throw, and must use no descriptor of this process: they are closed there. Between things
// Error{kCancelled} ends it all; Error{kResource} when there can be no child.
void EachApart(std::size_t n, const std::function<std::string(std::size_t)>& work,
               const std::function<void(std::size_t, const std::string& text, const std::string& death)>& take,
               const RunContext& context, const ApartLimits& limits = {});

}  // namespace contimg::ops
