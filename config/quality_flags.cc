#include "config/quality_flags.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "config/error.h"

namespace contimg {
namespace {

QualityFlags FlagsOfWord(std::string_view word, std::string_view whole) {
  const auto named = std::find_if(kQualityFlags.begin(), kQualityFlags.end(),
                                  [&](const QualityFlag& flag) { return flag.name == word; });
  if (named != kQualityFlags.end()) return named->mask();
  std::string names;
  for (const QualityFlag& flag : kQualityFlags) names += fmt::format("{}{}", names.empty() ? "" : ", ", flag.name);
  throw Error(
      ErrorKind::kUsage, "quality", std::string(whole),
      fmt::format(
          "expected none, default, hard, hardest, a number of 32 bits, or names of flags with commas between them: {}",
          names));
}

}  // namespace

QualityFlags ParseQualityMask(std::string_view text) {
  if (text == "none") return 0;
  if (text == "default") return kDefaultQualityMask;
  if (text == "hardest") return ~QualityFlags{0};
  QualityFlags mask = 0;
  if (text == "hard") {
    for (const QualityFlag& flag : kQualityFlags) mask |= flag.in_hard ? flag.mask() : 0;
    return mask;
  }
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), mask);
  if (status == std::errc() && end == text.data() + text.size()) return mask;
  mask = 0;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t comma = std::min(text.find(',', from), text.size());
    mask |= FlagsOfWord(text.substr(from, comma - from), text);
    from = comma + 1;
  }
  return mask;
}

std::string QualityFlagNames(QualityFlags flags) {
  std::string names;
  for (int bit = 0; bit < 32; ++bit) {
    if ((flags >> bit & 1U) == 0) continue;
    const auto known = std::find_if(kQualityFlags.begin(), kQualityFlags.end(),
                                    [&](const QualityFlag& flag) { return flag.bit == bit; });
    if (!names.empty()) names += ',';
    names += known != kQualityFlags.end() ? std::string(known->name) : fmt::format("bit {}", bit);
  }
  return names;
}

}  // namespace contimg
