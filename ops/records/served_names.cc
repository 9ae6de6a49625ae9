#include "ops/records/served_names.h"

namespace contimg::ops {
namespace {

bool NameEndsWith(std::string_view text, std::string_view end) {
  return text.size() > end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

bool IsServedImage(std::string_view name) { return NameEndsWith(name, ".fits") || NameEndsWith(name, ".fits.fz"); }

bool IsServed(std::string_view name) {
  return NameEndsWith(name, ".png") || NameEndsWith(name, ".json") || IsServedImage(name);
}

bool IsServed(std::string_view name, std::int64_t bytes) {
  return IsServed(name) && bytes <= (IsServedImage(name) ? kLargestServedImage : kLargestServedFile);
}

}  // namespace contimg::ops
