#include "ops/runner/last_words.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <utility>

namespace contimg::ops {
namespace {

std::function<void(ErrorKind, const std::string&)>& Say() {
  static auto* const say = new std::function<void(ErrorKind, const std::string&)>;  // outlives every destructor
  return *say;
}

[[noreturn]] void Terminate() {
  static bool again = false;
  const std::exception_ptr in_flight = std::current_exception();
  if (in_flight && !std::exchange(again, true)) {
    try {
      std::rethrow_exception(in_flight);
    } catch (const std::exception& error) {
      const std::string words = error.what();
      const ErrorKind kind = KindOfLastWords(words);
      try {
        Say()(kind, words);
        std::_Exit(ExitStatus(kind));
      } catch (...) {
        std::abort();
      }
    } catch (...) {
      std::abort();
    }
  }
  std::abort();
}

}  // namespace

void SetLastWords(std::function<void(ErrorKind kind, const std::string& words)> say) {
  Say() = std::move(say);
  std::set_terminate(Terminate);
}

ErrorKind KindOfLastWords(const std::string& words) {
  for (const int error_number : {ENOSPC, EDQUOT, EROFS, EIO}) {
    if (words.find(std::strerror(error_number)) != std::string::npos) return ErrorKind::kIo;
  }
  return ErrorKind::kCrash;
}

}  // namespace contimg::ops
