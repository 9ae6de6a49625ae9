// Ctrl-C and SIGTERM as a wish that long work looks at, instead of an end in the middle.
#pragma once

#include <atomic>

namespace contimg::ops {

// From now on SIGINT and SIGTERM set the flag that is returned (RunContext::cancelled takes its address) instead of
// ending the process, and a reader of our output that goes away is a failed write instead of a signal. A second SIGINT
// ends the process as ever.
const std::atomic<bool>& StopOnSignals();

}  // namespace contimg::ops
