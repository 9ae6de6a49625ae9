// The parts of `contimg migrate`, a file each.
#pragma once

#include <CLI/CLI.hpp>

namespace contimg::ops {

void AddMigrateTree(CLI::App& migrate);
void AddMigrateState(CLI::App& migrate);

}  // namespace contimg::ops
