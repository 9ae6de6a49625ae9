#include "config/error.h"

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace contimg {
namespace {

struct KindFacts {
  ErrorKind kind;
  std::string_view word;
  int exit_status;
};

constexpr std::array<KindFacts, 11> kKinds{{
    {ErrorKind::kUsage, "usage", 2},
    {ErrorKind::kBadInput, "bad_input", 3},
    {ErrorKind::kIncomplete, "incomplete", 3},
    {ErrorKind::kIo, "io", 1},
    {ErrorKind::kBusy, "busy", 1},
    {ErrorKind::kResource, "resource", 1},
    {ErrorKind::kNumeric, "numeric", 1},
    {ErrorKind::kTimeout, "timeout", 1},
    {ErrorKind::kCrash, "crash", 1},
    {ErrorKind::kBug, "bug", 1},
    {ErrorKind::kCancelled, "cancelled", 1},
}};

std::string Sentence(const std::string& subject, const std::string& message) {
  return subject.empty() ? message : subject + ": " + message;
}

}  // namespace

std::string_view ToString(ErrorKind kind) {
  for (const KindFacts& facts : kKinds) {
    if (facts.kind == kind) return facts.word;
  }
  return "bug";
}

ErrorKind ParseErrorKind(std::string_view word) {
  for (const KindFacts& facts : kKinds) {
    if (facts.word == word) return facts.kind;
  }
  throw Error(ErrorKind::kBadInput, "config", std::string(word), "is not an error kind");
}

int ExitStatus(ErrorKind kind) {
  for (const KindFacts& facts : kKinds) {
    if (facts.kind == kind) return facts.exit_status;
  }
  return 1;
}

Error::Error(ErrorKind kind, std::string stage, std::string subject, std::string message)
    : std::runtime_error(Sentence(subject, message)),
      kind_(kind),
      stage_(std::move(stage)),
      subject_(std::move(subject)),
      message_(std::move(message)) {}

Error SystemError(std::string stage, std::string subject, std::string_view doing, int error_number) {
  ErrorKind kind = ErrorKind::kIo;
  switch (error_number) {
    case ENOMEM:
    case EMFILE:
    case ENFILE:
      kind = ErrorKind::kResource;
      break;
    case EAGAIN:
    case EBUSY:
    case ETXTBSY:
      kind = ErrorKind::kBusy;
      break;
    default:
      break;
  }
  return Error(kind, std::move(stage), std::move(subject),
               std::string(doing) + ": " + std::generic_category().message(error_number));
}

}  // namespace contimg
