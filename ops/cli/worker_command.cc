// `contimg worker`: what the daemon starts. Not for people, except to repeat a failed job by hand.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "config/os.h"
#include "ops/cli/commands.h"
#include "ops/job/header_check.h"
#include "ops/job/task_job.h"
#include "ops/mosaicking/run_mosaic_task.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/upkeep/task_kinds.h"
#include "ops/worker/worker.h"

namespace contimg::ops {

void AddWorkerCommand(CLI::App& app) {
  struct Args {
    std::string job;
    bool check_files = false;
  };
  auto args = std::make_shared<Args>();
  CLI::App* command = app.add_subcommand(
      "worker", "Run one job of the queue (internal; the log of a failed group names the command to repeat it)");
  command->add_option("job", args->job, "job.json as the daemon writes it")->type_name("JOB.json");
  command->add_flag("--check-files", args->check_files, "read paths on stdin and describe each on stdout");
  command->callback([args] {
    if (!args->check_files && args->job.empty()) {
      throw Error(ErrorKind::kUsage, "worker", "", "expected a job file");
    }
    const auto run = [&] {
      return IsTaskJob(ReadJsonFile(args->job)) ? RunTaskWorker(args->job, RealOs(), {{kMosaicTask, RunMosaicTask}})
                                                : RunWorker(args->job, RealOs());
    };
    const int status = args->check_files ? RunHeaderCheck() : run();
    // The report says everything; nothing is left to do, and freeing a tile of gigabytes page by page takes time.
    std::fflush(nullptr);
    std::_Exit(status);
  });
}

}  // namespace contimg::ops
