// Every subcommand's registration. A command adds its options to `app` and sets the callback that does the work; the
// callback throws contimg::Error. To add one: declare it here, define it in ops/cli/<name>_command.cc and add it to the
// list in commands.cc.
#pragma once

#include <CLI/CLI.hpp>

namespace contimg::ops {

// Adds all subcommands to the program.
void AddCommands(CLI::App& app);

void AddApplyCommand(CLI::App& app);
void AddArchiveCommand(CLI::App& app);
void AddCalCommand(CLI::App& app);
void AddCatalogCommand(CLI::App& app);
void AddCleanupCommand(CLI::App& app);
void AddConfigCommand(CLI::App& app);
void AddConvertCommand(CLI::App& app);
void AddCutoutCommand(CLI::App& app);
void AddDemoCommand(CLI::App& app);
void AddDoctorCommand(CLI::App& app);
void AddExportCommand(CLI::App& app);
void AddFlagCommand(CLI::App& app);
void AddImageCommand(CLI::App& app);
void AddInspectCommand(CLI::App& app);
void AddLightCurveCommand(CLI::App& app);
void AddMigrateCommand(CLI::App& app);
void AddMosaicCommand(CLI::App& app);
void AddPhotometryCommand(CLI::App& app);
void AddPinCommands(CLI::App& app);
void AddPredictCommand(CLI::App& app);
void AddProductsCommand(CLI::App& app);
void AddGenerateCommand(CLI::App& app);
void AddQueueCommand(CLI::App& app);
void AddRefineCommand(CLI::App& app);
void AddBackupCommand(CLI::App& app);
void AddRestoreCommand(CLI::App& app);
void AddRestoreStateCommand(CLI::App& app);
void AddScratchCommand(CLI::App& app);
void AddSimulateCommand(CLI::App& app);
void AddSolveCommand(CLI::App& app);
void AddSourcesCommand(CLI::App& app);
void AddStatusCommand(CLI::App& app);
void AddStorageCommand(CLI::App& app);
void AddVariablesCommand(CLI::App& app);
void AddVerifyCommand(CLI::App& app);
void AddWorkerCommand(CLI::App& app);

}  // namespace contimg::ops
