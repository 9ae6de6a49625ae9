#include "ops/cli/commands.h"

namespace contimg::ops {

void AddCommands(CLI::App& app) {
  AddConfigCommand(app);
  AddConvertCommand(app);
  AddFlagCommand(app);
  AddInspectCommand(app);
  AddQueueCommand(app);
  AddSimulateCommand(app);
  AddStatusCommand(app);
  AddWorkerCommand(app);
}

}  // namespace contimg::ops
