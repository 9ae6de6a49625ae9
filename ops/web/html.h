// HTML in which only literals of this program can be markup: everything else is escaped on its way in.
//
//   Html html;
//   html.Add("<a href=\"/groups/{}\" title=\"{}\">{}</a>", UrlPart(id), row.error, id);
//
// The format string is checked by the compiler. Texts among the arguments are escaped so that they fit between tags and
// between double quotes; numbers are formatted as fmt does; Html is inserted as it is. UrlPart (percent-encoded) is for
// parts of addresses.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string>
#include <string_view>
#include <type_traits>

namespace contimg::ops {

class Html;

struct EscapedText {
  std::string_view text;
};
struct PlainMarkup {
  std::string_view markup;
};

// Percent-encodes everything but letters, digits and "-._~:".
std::string UrlPart(std::string_view text);
// The same, but leaves slashes.
std::string UrlPath(std::string_view path);

// Replaces & < > " ' by entities, and control characters and broken UTF-8 by the replacement character.
void AppendEscaped(std::string_view text, std::string& out);

template <class T>
using GuardedType = std::conditional_t<std::is_same_v<T, Html>, PlainMarkup,
                                       std::conditional_t<std::is_arithmetic_v<T>, T, EscapedText>>;

}  // namespace contimg::ops

template <>
struct fmt::formatter<contimg::ops::EscapedText> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const contimg::ops::EscapedText& value, Context& context) const {
    std::string escaped;
    contimg::ops::AppendEscaped(value.text, escaped);
    return std::copy(escaped.begin(), escaped.end(), context.out());
  }
};

template <>
struct fmt::formatter<contimg::ops::PlainMarkup> {
  constexpr auto parse(format_parse_context& context) { return context.begin(); }
  template <class Context>
  auto format(const contimg::ops::PlainMarkup& value, Context& context) const {
    return std::copy(value.markup.begin(), value.markup.end(), context.out());
  }
};

namespace contimg::ops {

class Html {
 public:
  Html() = default;

  template <class... Args>
  Html& Add(fmt::format_string<GuardedType<std::decay_t<Args>>...> markup, const Args&... args) {
    AddGuarded(markup, Guard(args)...);  // checked against the guarded types above
    return *this;
  }
  Html& Append(const Html& other) {
    text_ += other.text_;
    return *this;
  }
  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }

 private:
  template <class T>
  static auto Guard(const T& value) {
    static_assert(!std::is_same_v<T, char>, "a char would not be escaped; pass a string");
    if constexpr (std::is_same_v<T, Html>) {
      return PlainMarkup{value.str()};
    } else if constexpr (std::is_arithmetic_v<T>) {
      return value;
    } else {
      return EscapedText{std::string_view(value)};
    }
  }
  template <class... Guarded>
  void AddGuarded(fmt::string_view markup, const Guarded&... args) {
    fmt::vformat_to(std::back_inserter(text_), markup, fmt::make_format_args(args...));
  }

  std::string text_;
};

// One piece of markup as a value.
template <class... Args>
Html MakeHtml(fmt::format_string<GuardedType<std::decay_t<Args>>...> markup, const Args&... args) {
  Html html;
  html.Add(markup, args...);
  return html;
}

}  // namespace contimg::ops
