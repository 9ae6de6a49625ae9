// A word of a POSIX shell command as it must be typed.
#pragma once

#include <string>
#include <string_view>

namespace contimg::ops {

// As it is when it holds nothing but letters, digits and "-_.:/+=@%,", else in single quotes.
std::string ShellWord(std::string_view text);

}  // namespace contimg::ops
