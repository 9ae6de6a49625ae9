// What a process says when an exception leaves a destructor. casacore's tables write in theirs: a disk that fills up at
// the wrong moment would end a worker by SIGABRT, and the group would count as crashed instead of waiting for room.
#pragma once

#include <functional>
#include <string>

#include "config/error.h"

namespace contimg::ops {

// From now on std::terminate calls `say` with the kind and the words of the exception in flight, then ends the process
// with the kind's exit status. Without an exception (or when saying fails) it aborts as usual.
void SetLastWords(std::function<void(ErrorKind kind, const std::string& words)> say);

// kIo or kResource for the words of a failing or full disk, else kCrash.
ErrorKind KindOfLastWords(const std::string& words);

}  // namespace contimg::ops
