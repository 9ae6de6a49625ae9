// Starting other programs safely: own process group, killed with their parent, nothing inherited by accident.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace contimg::ops {

struct ChildOptions {
  std::vector<std::string> arguments;  // the first one is the program's path
  std::filesystem::path error_file;    // stderr is appended there; empty: shared with this process
  bool standard_input = false;         // a pipe to write to; otherwise /dev/null
  bool standard_output = true;         // a pipe to read from; otherwise /dev/null
  int nice = 0;                        // added to this process's own
  int oom_score = 500;                 // the kernel's out-of-memory killer should take workers before the daemon
};

// A started program. The descriptors belong to the caller and do not block.
struct Child {
  pid_t pid = -1;   // also its process group
  int input = -1;   // its stdin, when asked for
  int output = -1;  // its stdout, likewise
};

// The longest line that is taken from a child's output. What children say is short; one that damaged input or a fault
// makes write without end must not fill the daemon's memory.
inline constexpr std::size_t kLongestChildLine = 1 << 16;

// fork + exec. The child gets default signal handling, no descriptors but 0–2, no core dumps, and SIGKILL when the
// calling thread ends. Throws Error{kResource or kIo}; a program that cannot be executed ends with status 127 and a
// sentence in its error file.
Child StartChild(const ChildOptions& options);

// How a child ended, and what it used.
struct ChildEnd {
  int exit_status = 0;  // when it exited by itself
  int signal = 0;       // when a signal ended it
  double user_s = 0, system_s = 0;
  std::uint64_t peak_memory_bytes = 0;  // largest resident set of it or its own children
};
// Collects an ended child; nullopt while it runs.
std::optional<ChildEnd> TryWait(pid_t pid);

// Kills the process group of a process known by its start time and waits for its end, `limit_s` at most (one that hangs
// in a system call does not die before that returns). False: it is still there.
bool EndStrayProcess(pid_t pid, std::uint64_t start_time, double limit_s);

// Sends a signal to the whole process group; no error when it is gone.
void SignalGroup(pid_t pid, int signal);

// Identity of a process that survives reuse of its number: the kernel's start time (clock ticks since boot) of `pid`,
// 0 when there is no such process (or it is a zombie).
std::uint64_t ProcessStartTime(pid_t pid);

}  // namespace contimg::ops
