// Several machines write times into the same databases.
#pragma once

namespace contimg::state {

// By how much their clocks may differ, s. A time further ahead than this is of a clock that was wrong.
constexpr double kClockSlackS = 60;

}  // namespace contimg::state
