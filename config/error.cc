#include "config/error.h"

#include <fmt/format.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace contimg {
namespace {

struct KindFacts {
  ErrorKind kind;
  std::string_view word;
  int exit_status;
  Retry retry;
};

constexpr std::array<KindFacts, 11> kKinds{{
    {ErrorKind::kUsage, "usage", 2, Retry::kNever},
    {ErrorKind::kBadInput, "bad_input", 3, Retry::kNever},
    {ErrorKind::kIncomplete, "incomplete", 3, Retry::kNever},
    {ErrorKind::kIo, "io", 1, Retry::kBackoff},
    {ErrorKind::kBusy, "busy", 1, Retry::kBackoff},
    {ErrorKind::kResource, "resource", 1, Retry::kBackoff},
    {ErrorKind::kNumeric, "numeric", 1, Retry::kTwice},
    {ErrorKind::kTimeout, "timeout", 1, Retry::kTwice},
    {ErrorKind::kCrash, "crash", 1, Retry::kTwice},
    {ErrorKind::kBug, "bug", 1, Retry::kTwice},
    {ErrorKind::kCancelled, "cancelled", 1, Retry::kNever},
}};

// Free bytes of the file system on which `path` is or was to be; nothing when it cannot be told.
std::string FreeWords(const std::string& path) {
  std::filesystem::path at = path;
  struct statvfs info {};
  while (!at.empty() && ::statvfs(at.c_str(), &info) != 0) {
    if (at == at.parent_path()) return "";
    at = at.parent_path();
  }
  if (at.empty() && ::statvfs(".", &info) != 0) return "";
  return fmt::format(" ({} free of {})", BytesInWords(std::uint64_t{info.f_bavail} * info.f_frsize),
                     BytesInWords(std::uint64_t{info.f_blocks} * info.f_frsize));
}

std::string SystemWords(const std::string& path, int error_number) {
  switch (error_number) {
    case ENOSPC:
      return "no space left on the disk" + FreeWords(path);
    case EDQUOT:
      return "the disk quota of this user is used up" + FreeWords(path);
    case EROFS:
      return "the file system is read-only";
    case EACCES:
    case EPERM:
      return "permission denied to this user";
    default:
      return std::strerror(error_number);
  }
}

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

Retry RetryOf(ErrorKind kind) {
  for (const KindFacts& facts : kKinds) {
    if (facts.kind == kind) return facts.retry;
  }
  return Retry::kNever;
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
    case ENOSPC:
    case EDQUOT:
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
  std::string message = fmt::format("{}: {}", doing, SystemWords(subject, error_number));
  return Error(kind, std::move(stage), std::move(subject), std::move(message));
}

int ErrorNumberIn(std::string_view words) {
  for (const int error_number : {ENOSPC, EDQUOT, EROFS, EACCES, EMFILE, ENOMEM, EIO}) {
    if (words.find(std::strerror(error_number)) != std::string_view::npos) return error_number;
  }
  return 0;
}

std::string BytesInWords(std::uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  if (bytes < (1u << 20)) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
  if (bytes < (std::uint64_t{1} << 30)) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 1048576);
  return fmt::format("{:.1f} GiB", static_cast<double>(bytes) / 1073741824);
}

}  // namespace contimg
