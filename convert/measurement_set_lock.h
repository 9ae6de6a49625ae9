// One program at a time changes a Measurement Set, and none replaces a set that is not the one it read.
//
// Two guards, because other programs know nothing of ours. The lock is flock(2) on the set's directory: it needs no
// file of its own, works for users who may only read, and the kernel drops it with its holder. The stamp tells whether
// what stands under the name is still what was read, whoever changed it.
#pragma once

#include <filesystem>
#include <string>

#include "config/descriptor.h"
#include "config/run_context.h"

namespace contimg::convert {

class MeasurementSetLock {
 public:
  // Waits for another holder at most `wait_s`, with one message to the reporter that names it; then throws Error{kBusy}
  // that names it. Takes no lock, and says nothing, where the path does not exist or the file system has no locks.
  // Throws Error{kCancelled} when the context is, and what CheckChangeable throws (convert/measurement_set_reader.h).
  MeasurementSetLock(const std::filesystem::path& set, const RunContext& context, double wait_s = 60);

 private:
  Descriptor descriptor_;
};

// Changes whenever a file of the set does (its data, not casacore's table.lock) or another set takes the name. Empty
// when the set cannot be listed.
std::string SetStamp(const std::filesystem::path& set);

// Throws Error{kBusy} when a program of casacore holds the set's write lock, or when the set's stamp is not `stamp` any
// more (not compared when empty): writing back would lose what that program wrote.
void CheckUnchanged(const std::filesystem::path& set, const std::string& stamp);

}  // namespace contimg::convert
