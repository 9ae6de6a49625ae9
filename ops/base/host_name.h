// The name of this machine, as records and locks give it.
#pragma once

#include <string>

namespace contimg::ops {

std::string HostName();  // empty when it cannot be told

}  // namespace contimg::ops
