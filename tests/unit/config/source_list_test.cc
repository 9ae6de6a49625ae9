#include "config/source_list.h"

#include <gtest/gtest.h>

#include <fstream>

#include "config/error.h"
#include "config/sky_text.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

std::vector<ListedSource> Parse(const std::string& text) { return ParseSourceList(text, "sky.csv"); }

ListedSource One(const std::string& text) {
  const auto sources = Parse(text);
  EXPECT_EQ(sources.size(), 1U) << text;
  return sources.empty() ? ListedSource() : sources.front();
}

std::string ListRefusal(const std::string& text) {
  try {
    Parse(text);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
    EXPECT_EQ(error.subject(), "sky.csv");
    return error.message();
  }
  return "taken";
}

TEST(SkyText, UnderstandsPositionsAsPeopleWriteThem) {
  for (const char* text : {"106.4", " +106.4 ", "106.4deg", "106.4 deg", "106d24m", "106d24m00.0s", "07:05:36",
                           "7:5:36.0", "07 05 36", "07h05m36s", "07h 05m 36.000s", "7h05.6m", "7.09333333333333h"}) {
    const auto ra = ParseRightAscension(text);
    ASSERT_TRUE(ra) << text;
    EXPECT_NEAR(*ra, 106.4, 1e-9) << text;
  }
  for (const char* text : {"-0.5", "-00:30:00", "-0 30 00", "-00d30m", "-0d30m00s", "-0d30'00\"", "-0.5deg"}) {
    const auto dec = ParseDeclination(text);
    ASSERT_TRUE(dec) << text;
    EXPECT_NEAR(*dec, -0.5, 1e-12) << text;
  }
  for (const char* text :
       {"",         " ",        "x",        "nan",       "inf",        "466.4",     "-253.4",    "-0.1",
        "24:00:01", "07:60:00", "07:05:60", "07:05",     "07:05:36:1", "07:05:36x", "7.5:05:36", "106.4 Jy",
        "106,4",    "106.4d5s", "1e3",      "07:-05:36", "7m",         "0x10"}) {
    EXPECT_FALSE(ParseRightAscension(text)) << text << " gave " << *ParseRightAscension(text);
  }
  for (const char* text : {"91", "-90.1", "+90:00:01", "16h06m", "16.06.00", "--16"}) {
    EXPECT_FALSE(ParseDeclination(text)) << text;
  }
}

TEST(SkyText, ReadsSizesOnTheSky) {
  for (const char* text :
       {"0.5", "0.5deg", "30'", " 30' ", "30arcmin", "30 arcmin", "30\u2032", "1800\"", "1800\u2033", "1800arcsec"}) {
    const auto size = ParseAngularSize(text);
    ASSERT_TRUE(size) << text;
    EXPECT_NEAR(*size, 0.5, 1e-12) << text;
  }
  for (const char* text :
       {"", " ", "'", "x", "nan", "inf", "-1", "0", "0'", "-3'", "20m", "20s", "1e999", "2'3", "20'deg", "5 Jy"}) {
    EXPECT_FALSE(ParseAngularSize(text)) << text;
  }
}

TEST(SourceList, TakesUnitsWholeOrNotAtAll) {
  EXPECT_EQ(One("ra_deg,dec_deg,flux_jy\n106.4deg,16.1,2000 mJy\n").flux_jy, 2);
  EXPECT_EQ(One("ra_deg,dec_deg,flux_mjy\n106.4,16.1,2000\n").flux_jy, 2);
  EXPECT_EQ(One("ra_deg,dec_deg,flux_mjy\n106.4,16.1,2Jy\n").flux_jy, 2);
  EXPECT_EQ(One("RA (deg),Dec (deg),Flux (mJy)\n106.4,16.1,2000\n").flux_jy, 2);
  EXPECT_EQ(One("ra_deg;dec_deg;flux_jy;major_arcsec\n106.4;16.1;2;1arcmin\n").major_arcsec, 60);
  EXPECT_NE(ListRefusal("ra_deg,dec_deg,flux_jy\n106.4,16.1,2000 mK\n").find("line 2"), std::string::npos);
  EXPECT_NE(ListRefusal("ra_deg,dec_deg,flux [K]\n106.4,16.1,2000\n").find("the unit 'K'"), std::string::npos);
}

TEST(SourceList, ReadsTheShapesThatProgramsWrite) {
  for (const char* text : {
           "\xEF\xBB\xBFname,ra_deg,dec_deg,flux_jy,alpha\r\na,106.4,16.1,2,-0.5\r\n",
           "# made today\n\nname\tRA\tDEC\tflux\tspectral_index\na\t07:05:36.0\t+16:06:00\t2\t-0.5\n",
           "# name, ra_deg, dec_deg, flux_jy, alpha\na, 106.4, 16.1, 2, -0.5\n",
           "# made on an old Macintosh\rname,ra_deg,dec_deg,flux_jy,alpha\r\"a\",106.4,16.1,2,-0.5\r",
           "\"name\"|\"ra_deg\"|\"dec_deg\"|\"flux_jy\"|\"alpha\"\n\"a\"|106.4|16.1|2|-0.5\n# end\n",
           "name;ra_deg;dec_deg;flux_jy;alpha\n----;---;---;---;---\na;106.4;16.1;2;-0.5;;\n",
           "name\t_RAJ2000\t_DEJ2000\tS1.4\talpha\n\tdeg\tdeg\tmJy\t\n--\t--\t--\t--\t--\na\t106.4\t16.1\t2000\t-0.5",
       }) {
    const ListedSource source = One(text);
    EXPECT_EQ(source.name, "a") << text;
    EXPECT_NEAR(source.ra_deg, 106.4, 1e-9) << text;
    EXPECT_NEAR(source.dec_deg, 16.1, 1e-9) << text;
    EXPECT_EQ(source.flux_jy, 2) << text;
    EXPECT_EQ(source.spectral_index, -0.5) << text;
  }
  EXPECT_FALSE(One("ra_deg,dec_deg,flux_jy,alpha\n360,16.1,2,\n").spectral_index);
  EXPECT_EQ(One("ra_deg,dec_deg,flux_jy\n360,16.1,\n").flux_jy, 0);  // unknown
  EXPECT_TRUE(Parse("ra_deg,dec_deg,flux_jy\n").empty());
}

TEST(SourceList, NamesTheLineThatDoesNotFit) {
  const std::string head = "ra_deg,dec_deg,flux_jy,alpha\n1,2,3,0\n# comment\n";
  for (const char* row :
       {"466.4,16.1,2,0", "-253.4,16.1,2,0", "106.4,95,2,0", "106.4,16.1,nan,0", "106.4,16.1,-2,0", "106.4,16.1,2 K,0",
        "106.4,16.1,\"2,0\",0", "106,4,16,1,2,0", "x,16.1,2,0", ",16.1,2,0", "106.4,,2,0", "106.4,16.1",
        "106.4,16.1,2,steep", "106.4,16.1,2,70", "1,2,3,0", "106.4,16.1,\"2,0", "106.4,16.1,\"2\"0,0"}) {
    EXPECT_NE(ListRefusal(head + row + "\n").find("line 4 "), std::string::npos)
        << row << ": " << ListRefusal(head + row);
  }
  EXPECT_NE(ListRefusal("a,b\n1,2\n").find("name the columns"), std::string::npos);
  EXPECT_NE(ListRefusal("106.4,16.1,2\n").find("name the columns"), std::string::npos);
  EXPECT_NE(ListRefusal("ra_deg,dec_deg\n1,2\n").find("flux_jy"), std::string::npos);
  EXPECT_NE(ListRefusal("ra_deg,flux_jy\n1,2\n").find("dec_deg"), std::string::npos);
  EXPECT_NE(ListRefusal("").find("no line"), std::string::npos);
  EXPECT_NE(ListRefusal("SIMPLE  =                    T").find("no text"), std::string::npos);
  EXPECT_THROW(ReadSourceList("/nonexistent"), Error);
}

TEST(SourceList, GivesEveryNameBack) {
  std::vector<ListedSource> sources;
  for (const char* name : {"3C 286", "a,b", "5\" west", "\"quoted\"", "#1", " blank ", "tab\there", "two\nlines", "",
                           "semi;colon|bar", "日本", "'"}) {
    ListedSource& source = sources.emplace_back();
    source.name = name;
    source.ra_deg = static_cast<double>(sources.size());
    source.dec_deg = -0.25;
    source.flux_jy = 1.5;
    source.major_arcsec = 20;
  }
  sources.back().spectral_index = -0.7;
  const TemporaryFolder folder("sources");
  std::ofstream(folder / "sky.csv") << SourceListText(sources);
  const auto back = ReadSourceList(folder / "sky.csv");
  ASSERT_EQ(back.size(), sources.size());
  for (std::size_t i = 0; i < back.size(); ++i) {
    EXPECT_EQ(back[i].name, sources[i].name);
    EXPECT_EQ(back[i].ra_deg, sources[i].ra_deg);
    EXPECT_EQ(back[i].dec_deg, -0.25);
    EXPECT_EQ(back[i].flux_jy, 1.5);
    EXPECT_EQ(back[i].major_arcsec, 20);
    EXPECT_EQ(back[i].spectral_index, sources[i].spectral_index);
  }
}

TEST(SourceList, RefusesColumnsThatContradictEachOther) {
  EXPECT_EQ(
      ListRefusal("ra_deg,dec_deg,flux_jy,flux_mjy\n106,16.1,3,9000\n"),
      "line 2 has '3' in column flux_jy and '9000' in column flux_mjy: expected the same, or one of the two columns");
  EXPECT_EQ(One("ra_deg,dec_deg,flux_jy,flux_mjy\n106,16.1,3,3001\n").flux_jy, 3);
  EXPECT_EQ(One("ra_deg,dec_deg,flux_jy,flux_mjy\n106,16.1,3,\n").flux_jy, 3);
  EXPECT_EQ(One("ra_deg,dec_deg,flux_jy,peak_mjy\n106,16.1,3,900\n").flux_jy, 3);  // another quantity
  EXPECT_EQ(One("_RAJ2000\t_DEJ2000\tRAJ2000\tDEJ2000\tS1.4\n106.4\t16.1\t07 05 36.0\t+16 06 00\t2000\n").ra_deg,
            106.4);
  EXPECT_NE(ListRefusal("_RAJ2000\t_DEJ2000\tRAJ2000\tDEJ2000\tS1.4\n106.4\t16.1\t07 06 36.0\t+16 06 00\t2000\n")
                .find("'07 06 36.0' in column RAJ2000"),
            std::string::npos);
  EXPECT_NE(ListRefusal("ra,dec,flux_jy,dec_deg\n106,16,3,17\n").find("in column dec_deg"), std::string::npos);
  EXPECT_NE(
      ListRefusal("ra_deg,dec_deg,flux_jy,alpha,spectral_index\n106,16,3,-0.7,0.7\n").find("in column spectral_index"),
      std::string::npos);
  EXPECT_NE(ListRefusal("ra_deg,dec_deg,flux_jy,major_arcsec,majaxis\n106,16,3,10,20\n").find("in column majaxis"),
            std::string::npos);
}

TEST(SourceList, RefusesAColumnThatStandsThereTwice) {
  EXPECT_EQ(ListRefusal("name,ra_deg,ra_deg,dec_deg,flux_jy\na,106.0,206,16.1,3\n"),
            "line 1 names the column ra_deg twice");
  EXPECT_EQ(ListRefusal("ra_deg,dec_deg,flux_jy,Flux_Jy\n106.0,16.1,3,4\n"), "line 1 names the column flux_jy twice");
  EXPECT_EQ(One("note,ra_deg,dec_deg,flux_jy,note,,\nx,106.0,16.1,3,y,,\n").flux_jy, 3);  // not read
}

}  // namespace
}  // namespace contimg
