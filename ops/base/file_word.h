// Names of people's things as parts of file names.
#pragma once

#include <cctype>
#include <string>
#include <string_view>

namespace contimg::ops {

// Letters, digits and "+-._" stay, "_" stands for each other byte; nothing begins with a dot or is empty.
inline std::string FileWord(std::string_view name) {
  std::string word;
  for (const char c : name) {
    const bool stays =
        std::isalnum(static_cast<unsigned char>(c)) != 0 || std::string_view("+-._").find(c) != std::string_view::npos;
    word += stays ? c : '_';
  }
  return word.empty() || word.front() == '.' ? "_" + word : word;
}

}  // namespace contimg::ops
