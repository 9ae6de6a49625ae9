#include "ops/web/html.h"

#include <gtest/gtest.h>

#include "ops/base/shell_word.h"
#include "ops/base/words.h"
#include "ops/web/figures.h"

namespace contimg::ops {
namespace {

TEST(Html, EscapesTextsInTagsAndAttributes) {
  const std::string hostile = "\"><script>alert('1')</script>&";
  EXPECT_EQ(MakeHtml("<b title=\"{}\">{}</b>", hostile, hostile).str(),
            "<b title=\"&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;\">"
            "&quot;&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;&amp;</b>");
}

TEST(Html, InsertsMarkupOnlyFromItself) {
  const Html inner = MakeHtml("<i>{}</i>", "a<b");
  EXPECT_EQ(MakeHtml("<p>{}{}</p>", inner, 3).str(), "<p><i>a&lt;b</i>3</p>");
  EXPECT_EQ(MakeHtml("{:.2f} {}", 1.0 / 3, std::string("{}")).str(), "0.33 {}");
}

TEST(Html, ReplacesControlCharactersAndBrokenUtf8) {
  const auto escaped = [](std::string_view text) { return MakeHtml("{}", text).str(); };
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(escaped(std::string_view("a\0b\x1b\x7f", 5)), "a" + r + "b" + r + r);
  EXPECT_EQ(escaped("\xff\xc3\xa9\xc3"), r + "é" + r);
  EXPECT_EQ(escaped("\xed\xa0\x80"), r + r + r);          // a surrogate
  EXPECT_EQ(escaped("\xc0\xaf"), r + r);                  // an overlong slash
  EXPECT_EQ(escaped("\xf4\x90\x80\x80"), r + r + r + r);  // beyond U+10FFFF
  EXPECT_EQ(escaped("😀\tµ\n"), "😀\tµ\n");
}

TEST(UrlPart, KeepsNothingThatMeansSomething) {
  EXPECT_EQ(UrlPart("2025-10-13T13:28:03"), "2025-10-13T13:28:03");
  EXPECT_EQ(UrlPart("../a b?c#d&e/\"<é%"), "..%2Fa%20b%3Fc%23d%26e%2F%22%3C%C3%A9%25");
  EXPECT_EQ(UrlPath("a/b c.png"), "a/b%20c.png");
}

TEST(Words, SayQuantities) {
  EXPECT_EQ(Bytes(0), "0 B");
  EXPECT_EQ(Bytes(999), "999 B");
  EXPECT_EQ(Bytes(2.21e9), "2.2 GB");
  EXPECT_EQ(Bytes(999.6e6), "1.0 GB");
  EXPECT_EQ(Duration(0.44), "0.4 s");
  EXPECT_EQ(Duration(43.4), "43 s");
  EXPECT_EQ(Duration(720), "12 min");
  EXPECT_EQ(Duration(12000), "3 h 20 min");
  EXPECT_EQ(Duration(7200), "2 h");
  EXPECT_EQ(Duration(4 * 86400), "4.0 days");
  EXPECT_EQ(Ago(0.2), "now");
  EXPECT_EQ(Ago(-300), "in 5 min");
  EXPECT_EQ(Flux(1.214), "1.21 Jy");
  EXPECT_EQ(Flux(4.1e-4), "410 µJy");
  EXPECT_EQ(Flux(-0.0153), "-15.3 mJy");
  EXPECT_EQ(Figure(4656), "4656");
  EXPECT_EQ(Figure(17.3123), "17.31");
  EXPECT_EQ(Count(100000), "100\u202F000");
  EXPECT_EQ(Stamp(0), "–");
  EXPECT_EQ(Stamp(1760362083), "2025-10-13 13:28:03");
}

TEST(ShellWord, QuotesWhatAShellWouldReadDifferently) {
  EXPECT_EQ(ShellWord("2025-10-13T13:28:03"), "2025-10-13T13:28:03");
  EXPECT_EQ(ShellWord("a b"), "'a b'");
  EXPECT_EQ(ShellWord("it's; rm -rf $HOME"), "'it'\\''s; rm -rf $HOME'");
  EXPECT_EQ(ShellWord(""), "''");
}

TEST(Figures, NameAndUnitComeFromTheNamesEnd) {
  EXPECT_EQ(DescribeFigure("thermal_rms_jy", 4e-4).name, "thermal noise expected");
  EXPECT_EQ(DescribeFigure("thermal_rms_jy", 4e-4).value, "400 µJy");
  EXPECT_EQ(DescribeFigure("flagged_fraction", 0.125).value, "12.5 %");
  EXPECT_EQ(DescribeFigure("iterations", 1234).value, "1234");
}

TEST(Figures, ShowEverythingOfAReport) {
  const auto report =
      nlohmann::json::parse(R"({"quality": {"rms_jy": 0.001, "gates": [{"name": "<gate>", "passed": true}]},
      "list": [1, 2], "empty": {}, "nothing": null, "word": "a&b"})");
  const std::string html = FigureTable(report).str();
  for (const char* part : {"rms", "1.00 mJy", "&lt;gate&gt;", "yes", "1, 2", "a&amp;b", "nothing"}) {
    EXPECT_NE(html.find(part), std::string::npos) << part << " in " << html;
  }
  EXPECT_EQ(html.find("<gate>"), std::string::npos);
  EXPECT_TRUE(FigureTable(nlohmann::json()).empty());
}

}  // namespace
}  // namespace contimg::ops
