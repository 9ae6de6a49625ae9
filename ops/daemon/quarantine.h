// Files that nobody can read leave the incoming directory: to quarantine/<date>/, with the reason beside them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "config/os.h"
#include "ops/daemon/ingest_service.h"

namespace contimg::ops {

// Moves the file in the background (it may be a copy of hundreds of megabytes to another disk) and tells log, metrics
// and records of it. `ended` is called in the loop when the move is over; `moved` is false when the file stays where it
// is, which the log says. What `context` refers to must outlive the work.
void Quarantine(const IngestContext& context, const std::filesystem::path& path, const std::string& reason,
                std::function<void(bool moved)> ended);

// Moves a file, across file systems if need be, without ever replacing one: the name gets a number behind it instead.
// Returns the new path. After an Error the file is where it was, and nowhere else.
std::filesystem::path MoveAside(Os& os, const std::filesystem::path& from, const std::filesystem::path& directory);

}  // namespace contimg::ops
