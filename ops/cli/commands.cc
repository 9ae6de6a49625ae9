#include "ops/cli/commands.h"

namespace contimg::ops {

void AddCommands(CLI::App& app) {
  AddConfigCommand(app);
  AddConvertCommand(app);
  AddSimulateCommand(app);
}

}  // namespace contimg::ops
