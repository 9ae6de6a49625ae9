// Under which names the halves of the service stand in the events of a group or task.
#pragma once

namespace contimg::ops {

inline constexpr const char* kWatcher = "watcher";  // the intake
inline constexpr const char* kRunner = "runner";    // the dispatcher

}  // namespace contimg::ops
