// One typed error for the whole product. C++17-clean.
//
// Every failure that ends a piece of work is thrown as contimg::Error. Expected outcomes (a group is incomplete, all
// data are flagged, no calibrator is in the beam) are returned values, not errors. Wrappers of foreign libraries turn
// the library's own exceptions into Error at the boundary, so that no other type reaches a caller.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

namespace contimg {

// What went wrong, as far as the caller's next step depends on it. The queue's retry policy and the exit status of
// every program are functions of this enumeration alone.
//
//   kind        exit  the queue then…
//   usage         2   (never queued: wrong options, output exists)
//   bad_input     3   gives up at once: the same bytes give the same answer
//   incomplete    3   gives up at once: subbands are missing and the deadline has passed
//   io            1   tries again with backoff: permission, read-only disk, read error
//   busy          1   tries again with backoff: database or file locked
//   resource      1   tries again with backoff: disk full, memory, tmpfs, file handles
//   numeric       1   twice, then gives up: a solver or fit did not converge
//   timeout       1   twice, then gives up
//   crash         1   twice, then gives up: the worker died of a signal
//   bug           1   twice, then gives up: a broken invariant of our own
//   cancelled     1   does not try again: the operator or a shutdown asked for it
enum class ErrorKind {
  kUsage,
  kBadInput,
  kIncomplete,
  kIo,
  kBusy,
  kResource,
  kNumeric,
  kTimeout,
  kCrash,
  kBug,
  kCancelled,
};

// "bad_input" and so on: the spelling in databases, JSON and metrics labels.
std::string_view ToString(ErrorKind kind);
// The inverse of ToString; throws Error{kBadInput} for an unknown word.
ErrorKind ParseErrorKind(std::string_view word);
// What the queue then does: the table's third column.
enum class Retry { kNever, kTwice, kBackoff };
Retry RetryOf(ErrorKind kind);
// Whether it may pass without anybody doing anything (io, busy, resource). What fails so is kept and tried again,
// whether a job, a record or a decision.
inline bool MayPass(ErrorKind kind) { return RetryOf(kind) == Retry::kBackoff; }
// Exit status of a program that ends with this error: 1, 2 or 3 as in the table above.
int ExitStatus(ErrorKind kind);

class Error : public std::runtime_error {
 public:
  // `stage`: which step failed ("convert", "state"…). `subject`: the file, group, table or setting concerned.
  // `message`: one sentence without a final full stop that says what was expected and what was found.
  // what() is "<subject>: <message>" (or the message alone when the subject is empty).
  Error(ErrorKind kind, std::string stage, std::string subject, std::string message);

  ErrorKind kind() const { return kind_; }
  const std::string& stage() const { return stage_; }
  const std::string& subject() const { return subject_; }
  const std::string& message() const { return message_; }

 private:
  ErrorKind kind_;
  std::string stage_;
  std::string subject_;
  std::string message_;
};

// Error of a failed system call: the kind follows errno (ENOSPC, EDQUOT, ENOMEM, EMFILE… → resource; EAGAIN, EBUSY… →
// busy; everything else → io) and the message ends with the system's words for it; for a full disk with the bytes that
// are free where `subject`, a path, is or was to be. `doing`: "cannot write 4.0 MiB", "cannot rename"….
Error SystemError(std::string stage, std::string subject, std::string_view doing, int error_number);

// The errno of a disk that failed a library, as far as the library's own words tell it (ENOSPC, EDQUOT, EROFS, EACCES,
// EMFILE, ENOMEM, EIO); 0 when they do not.
int ErrorNumberIn(std::string_view words);

// "4.0 MiB", "12 B": bytes for a sentence.
std::string BytesInWords(std::uint64_t bytes);

}  // namespace contimg
