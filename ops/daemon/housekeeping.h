// What the service does now and then beside the work on groups: sweeps up what dead workers have left, queues the tasks
// that are due, compares records and products. Each is asked for at every turn of the loop and sees for itself whether
// its time has come.
#pragma once

#include "config/os.h"
#include "config/settings.h"
#include "ops/base/clock.h"
#include "ops/daemon/background.h"
#include "ops/daemon/write_queue.h"
#include "ops/records/reconciler.h"
#include "ops/records/watermarks.h"

namespace contimg::ops {

class Housekeeping {
 public:
  struct Sources {
    const Settings& settings;  // as they are at the time of asking
    const ProductPaths& paths;
    Os& os;
    DaemonClock& clock;
    Background& background;
    WriteQueue& writes;
    Reconciler& reconciler;
  };
  explicit Housekeeping(const Sources& sources) : at_(sources) {}

  // Every ten minutes, in the background: staging areas, and unfinished siblings of products. The first call sweeps at
  // once.
  void SweepLeftovers();
  // Every few seconds: tasks whose time has come, and a cleanup where scratch, of which `disks` tells, runs short.
  void QueueDueTasks(const DiskReport& disks);
  // Once a day a round over all records and products, in steps of a few milliseconds; between rounds a look for
  // products that are missing. Not while results wait to be recorded: a product that its group's record does not know
  // yet is no stray.
  void CompareRecords();

 private:
  Sources at_;
  double next_sweep_ = 0, next_tasks_ = 0, next_round_ = 0, next_step_ = 0, next_missing_look_ = 0;  // steady clock
  bool sweeping_ = false;
};

}  // namespace contimg::ops
