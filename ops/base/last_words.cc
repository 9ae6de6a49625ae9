#include "ops/base/last_words.h"

#include <cstdlib>
#include <exception>
#include <string>
#include <utility>

namespace contimg::ops {
namespace {

std::function<void(ErrorKind, const std::string&)>& Say() {
  static auto* const say = new std::function<void(ErrorKind, const std::string&)>;  // outlives every destructor
  return *say;
}

// "FilebufIO: write error for file X: No space left on device" in our words; others as they are.
std::string InOurWords(const std::string& words) {
  const int error_number = ErrorNumberIn(words);
  if (error_number == 0) return words;
  const std::size_t mark = words.find("file "), begin = mark == std::string::npos ? words.size() : mark + 5;
  std::string file = words.substr(begin, words.find_first_of(" ,;", begin) - begin);
  while (!file.empty() && file.back() == ':') file.pop_back();
  return SystemError("", file, "cannot be written", error_number).what();
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
        Say()(kind, InOurWords(words));
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
  const int error_number = ErrorNumberIn(words);
  return error_number == 0 ? ErrorKind::kCrash : SystemError("", "", "", error_number).kind();
}

}  // namespace contimg::ops
