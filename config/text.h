// Text as people read it, wherever it comes from. C++17-clean.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace contimg {

// "1 group", "2 groups", "0 groups". `noun` in the singular; an irregular plural is given along.
std::string Counted(std::int64_t n, std::string_view noun, std::string_view plural = {});

// What a terminal, a log or a table may show of text that came from elsewhere (headers, names, messages): control
// characters (C0, DEL, C1), marks that turn the direction of writing, and bytes that are no UTF-8 are spelt "\n", "\t",
// "\x1b"; everything else stays. One line stays one line.
std::string Printable(std::string_view text);
// The same for text of several lines that we set ourselves: line feeds stay.
std::string PrintableLines(std::string_view text);

}  // namespace contimg
