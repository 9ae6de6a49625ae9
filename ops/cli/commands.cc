#include "ops/cli/commands.h"

namespace contimg::ops {

void AddCommands(CLI::App& app) { (void)app; }

}  // namespace contimg::ops
