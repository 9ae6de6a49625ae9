#include "ops/base/stop_signals.h"

#include <signal.h>

namespace contimg::ops {
namespace {

std::atomic<bool> stop_asked{false};
static_assert(std::atomic<bool>::is_always_lock_free, "set by a signal handler");

void AskStop(int) { stop_asked.store(true, std::memory_order_relaxed); }

void Install(int signal_number, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigaction(signal_number, &action, nullptr);
}

}  // namespace

const std::atomic<bool>& StopOnSignals() {
  Install(SIGTERM, AskStop, 0);
  Install(SIGINT, AskStop, static_cast<int>(SA_RESETHAND));
  Install(SIGPIPE, SIG_IGN, 0);
  return stop_asked;
}

}  // namespace contimg::ops
