#include "config/text.h"

#include <gtest/gtest.h>

namespace contimg {
namespace {

TEST(Text, CountsInWords) {
  EXPECT_EQ(Counted(0, "group"), "0 groups");
  EXPECT_EQ(Counted(1, "group"), "1 group");
  EXPECT_EQ(Counted(2, "group"), "2 groups");
  EXPECT_EQ(Counted(1, "entry", "entries"), "1 entry");
  EXPECT_EQ(Counted(3, "entry", "entries"), "3 entries");
}

TEST(Text, ShowsControlCharactersInsteadOfSendingThem) {
  EXPECT_EQ(Printable("plain \u00e4\u00f6 \u2192 text"), "plain \u00e4\u00f6 \u2192 text");
  EXPECT_EQ(Printable("\x1b[31mred\x07"), "\\x1b[31mred\\x07");
  EXPECT_EQ(Printable("a\nb\tc\rd"), "a\\nb\\tc\\x0dd");
  EXPECT_EQ(Printable(std::string_view("nul\0l", 5)), "nul\\x00l");
  EXPECT_EQ(Printable("\x7f"), "\\x7f");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "31m"),
            "\\xc2\\x9b31m");  // CSI as one C1 character
  EXPECT_EQ(Printable("\xe2\x80\xae"
                      "txt"),
            "\\xe2\\x80\\xaetxt");  // right-to-left override
  EXPECT_EQ(Printable("\x9b"
                      "31m \xff\xc0\x80"),
            "\\x9b31m \\xff\\xc0\\x80");  // no UTF-8
  EXPECT_EQ(PrintableLines("one\ntwo\x1b\n"), "one\ntwo\\x1b\n");
}

}  // namespace
}  // namespace contimg
