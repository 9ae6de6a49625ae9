#include "ops/base/shell_word.h"

namespace contimg::ops {

std::string ShellWord(std::string_view text) {
  constexpr std::string_view kPlain = "-_.:/+=@%,";
  bool plain = !text.empty();
  for (const char c : text) {
    const bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    plain = plain && (word || kPlain.find(c) != std::string_view::npos);
  }
  if (plain) return std::string(text);
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace contimg::ops
