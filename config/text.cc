#include "config/text.h"

#include <fmt/format.h>

namespace contimg {
namespace {

// The character at the start of `text` and its length in bytes; length 0: not well-formed UTF-8.
struct Character {
  std::uint32_t code = 0;
  std::size_t length = 0;
};

Character FirstCharacter(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint32_t>(static_cast<unsigned char>(text[i])); };
  const std::uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const std::size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                             : first >= 0xE0 && first <= 0xEF ? 3
                             : first >= 0xF0 && first <= 0xF4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return {};
  std::uint32_t code = first & (0x7FU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return {};
    code = code << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return {};
  return {code, length};
}

bool IsHarmful(std::uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||  // controls
         code == 0x61C || code == 0x200E || code == 0x200F || code == 0x2028 || code == 0x2029 ||
         (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);  // lines and directions
}

std::string Escape(std::string_view text, bool keep_line_feeds) {
  std::string shown;
  shown.reserve(text.size());
  while (!text.empty()) {
    const Character c = FirstCharacter(text);
    const std::size_t length = c.length > 0 ? c.length : 1;
    if (c.length > 0 && (!IsHarmful(c.code) || (keep_line_feeds && c.code == '\n'))) {
      shown.append(text.substr(0, length));
    } else if (c.code == '\n' && c.length > 0) {
      shown += "\\n";
    } else if (c.code == '\t' && c.length > 0) {
      shown += "\\t";
    } else {
      for (std::size_t i = 0; i < length; ++i) shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(text[i]));
    }
    text.remove_prefix(length);
  }
  return shown;
}

}  // namespace

std::string Counted(std::int64_t n, std::string_view noun, std::string_view plural) {
  if (n == 1) return fmt::format("1 {}", noun);
  return plural.empty() ? fmt::format("{} {}s", n, noun) : fmt::format("{} {}", n, plural);
}

std::string Printable(std::string_view text) { return Escape(text, false); }
std::string PrintableLines(std::string_view text) { return Escape(text, true); }

}  // namespace contimg
