// Work beside the work: the processors belong to what somebody waits for.
#pragma once

namespace contimg {

// The calling thread, from now on, lets the other threads of the machine go first. For a thread that ends with its
// work.
void StepBack();

}  // namespace contimg
