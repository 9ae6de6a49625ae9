#include "ops/cli/commands.h"

namespace contimg::ops {

void AddCommands(CLI::App& app) {
  AddApplyCommand(app);
  AddArchiveCommand(app);
  AddCalCommand(app);
  AddCatalogCommand(app);
  AddCleanupCommand(app);
  AddConfigCommand(app);
  AddConvertCommand(app);
  AddCutoutCommand(app);
  AddDemoCommand(app);
  AddDoctorCommand(app);
  AddExportCommand(app);
  AddFlagCommand(app);
  AddImageCommand(app);
  AddInspectCommand(app);
  AddLightCurveCommand(app);
  AddMigrateCommand(app);
  AddMosaicCommand(app);
  AddPhotometryCommand(app);
  AddPredictCommand(app);
  AddProductsCommand(app);
  AddGenerateCommand(app);
  AddPinCommands(app);
  AddQueueCommand(app);
  AddRefineCommand(app);
  AddBackupCommand(app);
  AddRestoreCommand(app);
  AddRestoreStateCommand(app);
  AddScratchCommand(app);
  AddSimulateCommand(app);
  AddSolveCommand(app);
  AddSourcesCommand(app);
  AddStatusCommand(app);
  AddStorageCommand(app);
  AddVariablesCommand(app);
  AddVerifyCommand(app);
  AddWorkerCommand(app);
}

}  // namespace contimg::ops
