#include "ops/records/cure.h"

#include <fmt/format.h>

#include "ops/base/shell_word.h"

namespace contimg::ops {
namespace {

using state::GroupRow;
using state::GroupState;

// What a group that was given up, or will be tried again, wants by the kind of its last error.
struct ByKind {
  const char* sentence;
  bool requeue;  // trying again may help
  bool look;     // its record says more
};
ByKind Advice(std::optional<ErrorKind> kind) {
  switch (kind.value_or(ErrorKind::kBug)) {
    case ErrorKind::kIo:
      return {"A disk, a mount or a permission failed. When that is mended, try again:", true, false};
    case ErrorKind::kBusy:
      return {"Another program held what was needed. When it has let go, try again:", true, false};
    case ErrorKind::kResource:
      return {"Memory or room ran out. When there is more, try again:", true, false};
    case ErrorKind::kBadInput:
      return {"The same files give the same answer. The record names them; send them again, then requeue:", true, true};
    case ErrorKind::kIncomplete:
      return {"It goes on by itself when the missing subbands arrive; to give it up:", false, false};
    case ErrorKind::kNumeric:
      return {"The data did not allow a solution; the record and its log say where. To try once more:", true, true};
    case ErrorKind::kTimeout:
      return {"It took, or waited, longer than its limit; the record says which. To try once more:", true, true};
    case ErrorKind::kCrash:
    case ErrorKind::kBug:
      return {
          "The worker failed. The record names its log, which holds the last output and the command that repeats "
          "the job. To try once more:",
          true, true};
    case ErrorKind::kUsage:
      return {"The settings do not fit; when they are mended, try again:", true, true};
    case ErrorKind::kCancelled:
      return {"It was cancelled; to take it up again:", true, false};
  }
  return {"", true, true};
}

Cure Make(const GroupRow& row, const std::string& selection, const std::string& example) {
  switch (row.state) {
    case GroupState::kFailed:
      return {"It is tried again by itself; at once:", {"contimg queue requeue " + selection}};
    case GroupState::kDead: {
      const ByKind advice = Advice(row.error_kind);
      Cure cure{advice.sentence, {}};
      if (advice.look) cure.commands.push_back("contimg queue show " + example);
      cure.commands.push_back((advice.requeue ? "contimg queue requeue " : "contimg queue cancel ") + selection);
      return cure;
    }
    case GroupState::kCancelled:
      return {"To take it up again:", {"contimg queue requeue " + selection}};
    case GroupState::kHeld:
      return {row.error.empty() && row.subbands_present >= row.subbands_expected
                  ? "To let it go on:"
                  : "When files contradict one another, remove the one that is not to be used; then:",
              {"contimg queue release " + selection}};
    case GroupState::kAwaitingCalibration:
      return {"It goes on by itself when a table serves it. Why none does:", {"contimg cal why " + example}};
    case GroupState::kDone:
      if (row.error.empty()) return {};
      return {"To make its products of the input as it is now:", {"contimg queue requeue " + selection}};
    default:
      return {};
  }
}

}  // namespace

Cure CureOf(const state::TaskRow& row) {
  const std::string id = ShellWord(row.id);
  switch (row.state) {
    case GroupState::kFailed:
      return {"It is tried again by itself; at once:", {"contimg queue requeue " + id}};
    case GroupState::kDead:
      // What fails for good in a task lies in the machine or in the settings, which a person mends.
      return {"When its cause is mended, try again:", {"contimg queue show " + id, "contimg queue requeue " + id}};
    case GroupState::kCancelled:
      return {"To take it up again:", {"contimg queue requeue " + id}};
    case GroupState::kHeld:
      return {"To let it go on:", {"contimg queue release " + id}};
    default:
      return {};
  }
}

Cure CureOf(const GroupRow& row) {
  const std::string id = ShellWord(row.id);
  return Make(row, id, id);
}

Cure CureOfMany(const GroupRow& example) {
  std::string selection = fmt::format("--state {}", ToString(example.state));
  if (example.error_kind) selection += fmt::format(" --error-kind {}", ToString(*example.error_kind));
  return Make(example, selection, ShellWord(example.id));
}

}  // namespace contimg::ops
