// `contimg migrate`: taking over what another installation has left.
#include "ops/cli/migrate_command.h"

#include "ops/cli/commands.h"

namespace contimg::ops {

void AddMigrateCommand(CLI::App& app) {
  CLI::App* migrate = app.add_subcommand("migrate", "Take over what another installation has left");
  migrate->require_subcommand(1);
  AddMigrateTree(*migrate);
  AddMigrateState(*migrate);
}

}  // namespace contimg::ops
