// Our own databases from another state directory: copied with what their logs hold, checked, put into the state
// directory by the steps of a restore (ops/upkeep/restore_state.h), and links to them in their old places. What was
// there is kept beside the links as <name>.moved-<time>; nothing is removed.
//
//   <state>/migrations/state-<time>.json    what is being done; from it the next run goes on
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "config/os.h"
#include "config/run_context.h"

namespace contimg::ops {

struct OwnDatabase {
  std::string file;  // "products.sqlite3"
  std::uint64_t bytes = 0;
};

// Those that lie in `from` (links aside). Error{kUsage} when `state` has one of them already, unless a run that began
// to take them was cut short.
std::vector<OwnDatabase> FindOwnState(const std::filesystem::path& from, const std::filesystem::path& state, Os& os);

// There is something to do: such databases, or a run that was cut short. Sweeps what killed runs left half written.
bool OwnStateWaits(const std::filesystem::path& from, const std::filesystem::path& state, Os& os);

// Takes them. The caller holds the InstanceLock of both directories. `stamp`: BackupName of now. Error{kResource} when
// there is no room, Error{kBadInput} when one is damaged: nothing has changed then.
void TakeOwnState(const std::filesystem::path& from, const std::filesystem::path& state, const std::string& stamp,
                  const RunContext& context);

}  // namespace contimg::ops
