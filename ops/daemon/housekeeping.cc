#include "ops/daemon/housekeeping.h"

#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "config/text.h"
#include "config/time.h"
#include "config/unfinished.h"
#include "convert/staging.h"
#include "ops/base/log.h"
#include "ops/upkeep/task_kinds.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kSweepS = 600, kTasksS = 5, kRoundS = kSecondsPerDay, kMissingLookS = 5;
constexpr double kStepS = 0.01;  // of each turn of the loop
constexpr double kPauseAfterErrorS = 30;

// Groups of any day may fail; days with failures are few.
int SweepFolders(const fs::path& root, Os& os) {
  int n = 0;
  if (!IsDirectory(root, os)) return n;
  for (const fs::path& folder : os.List(root)) n += SweepUnfinished(folder, os);
  return n;
}

}  // namespace

// What dead workers have left may be gigabytes.
void Housekeeping::SweepLeftovers() {
  const double steady = at_.clock.Steady();
  if (steady < next_sweep_) return;
  next_sweep_ = steady + kSweepS;
  if (std::exchange(sweeping_, true)) return;
  const auto n = std::make_shared<int>(0);
  std::vector<fs::path> folders;
  // Unfinished siblings of products appear where those do: in the day folders of the last days.
  for (double day = 0; day < 3; day += 1) {
    const std::string stamp = (UtcTime::FromUnix(at_.clock.Unix()) - day * kSecondsPerDay).Iso8601();
    folders.push_back(at_.paths.ScienceMs(stamp).parent_path());
  }
  folders.push_back(at_.paths.roots().images / "mosaics");
  const fs::path failed = at_.paths.roots().output / "failed";
  const auto sweep = [&os = at_.os, &paths = at_.paths, n, folders, failed] {
    const auto attempt = [&](const auto& sweeper, const fs::path& folder) {
      try {
        *n += sweeper(folder, os);
      } catch (const std::exception& error) {
        LogNowAndThen(LogLevel::kWarning, fmt::format("leftovers cannot be swept: {}", error.what()));
      }
    };
    for (const fs::path& root : {paths.roots().staging, paths.roots().tmp / "staging"}) {
      attempt(convert::SweepStaging, root);
    }
    for (const fs::path& folder : folders) attempt(SweepUnfinished, folder);
    attempt(SweepFolders, failed);
  };
  at_.background.Run(sweep, [this, n](const std::exception_ptr&) {
    sweeping_ = false;
    if (*n > 0) Log(LogLevel::kInfo, "", fmt::format("{} of dead workers removed", Counted(*n, "leftover")));
  });
}

void Housekeeping::QueueDueTasks(const DiskReport& disks) {
  const double steady = at_.clock.Steady();
  if (steady < next_tasks_) return;
  next_tasks_ = steady + kTasksS;
  const double now = at_.clock.Unix();
  // Where the operator lets the service make room: before the warning, and before that much is not free any more.
  std::string room;
  const auto scratch = disks.disks.find("scratch");
  if (scratch != disks.disks.end() && scratch->second.space.total_bytes > 0) {
    room = RoomWanted(scratch->second.space, at_.settings);
  }
  at_.writes.Add("tasks that are due", [settings = at_.settings, now, room](state::GroupStore& store) {
    state::TaskStore tasks(store.database());
    CreateDueTasks(tasks, settings, now);
    if (!room.empty()) CreateCleanup(tasks, room, now);
  });
}

void Housekeeping::CompareRecords() {
  const double now = at_.clock.Steady();
  if (now >= next_round_) {
    next_round_ = now + kRoundS;
    at_.reconciler.Begin();
  }
  if (!at_.reconciler.active() && now >= next_missing_look_) {
    next_missing_look_ = now + kMissingLookS;
    try {
      at_.reconciler.LookForMissing(at_.clock.Unix());
    } catch (const Error& error) {
      LogNowAndThen(LogLevel::kWarning, fmt::format("missing products cannot be looked for now: {}", error.what()));
    }
  }
  if (!at_.reconciler.active() || !at_.writes.empty()) return;
  if (now < next_step_) return;
  try {
    at_.reconciler.Step(kStepS, at_.clock.Unix());
  } catch (const std::exception& error) {
    next_step_ = now + kPauseAfterErrorS;
    LogNowAndThen(LogLevel::kWarning, fmt::format("records and products cannot be compared now: {}", error.what()));
  }
}

}  // namespace contimg::ops
