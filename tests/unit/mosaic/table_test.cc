#include "mosaic/table/table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>

#include "config/error.h"
#include "config/os.h"
#include "mosaic/photometry/photometry_table.h"
#include "mosaic/table/fits_table.h"
#include "mosaic/table/table_json.h"
#include "tests/temporary_folder.h"

namespace contimg::mosaic {
namespace {

Table SmallTable() {
  Table table;
  table.name = "t";
  table.description = "a < b";
  table.columns = {
      {"name", "", "meta.id", "a & b", 0, std::vector<std::string>{"x,\"y\"", "<z>"}, true},
      {"flux", "Jy", "phot", "", -3, std::vector<double>{0.0123456, std::numeric_limits<double>::quiet_NaN()}, true},
      {"hidden", "", "", "", 2, std::vector<double>{1, 2}, false},
      {"bits", "", "", "", 0, std::vector<std::int64_t>{5, -1}, true}};
  return table;
}

TEST(Table, CsvQuotesAndLeavesUnknownsEmpty) {
  EXPECT_EQ(CsvText(SmallTable()), "name,flux,bits\n\"x,\"\"y\"\"\",0.0123,5\n<z>,,-1\n");
}

TEST(Table, VotableIsEscaped) {
  const std::string text = VotableText(SmallTable());
  EXPECT_THAT(text, testing::HasSubstr("<DESCRIPTION>a &lt; b</DESCRIPTION>"));
  EXPECT_THAT(text, testing::HasSubstr("<TR><TD>&lt;z&gt;</TD><TD></TD><TD>2.00</TD><TD>-1</TD></TR>"));
  EXPECT_EQ(text.find("a & b"), std::string::npos);
}

TEST(Table, JsonHasAllColumns) {
  const auto rows = RowsJson(SmallTable());
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0]["hidden"], 1);
  EXPECT_TRUE(rows[1]["flux"].is_null());
}

TEST(Table, FitsIsReadBackToTheLastBit) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "t.fits";
  Table table = SmallTable();
  table.facts = {{"group", "2026-01-25T00:00:00"}, {"mjd", "61065.001788194446"}};
  WriteTable(RealOs(), path, table, false);
  const Table back = ReadFitsTable(path);
  EXPECT_EQ(back.name, table.name);
  EXPECT_EQ(back.facts, table.facts);
  ASSERT_EQ(back.columns.size(), table.columns.size());
  for (std::size_t i = 0; i < table.columns.size(); ++i) {
    EXPECT_EQ(back.columns[i].name, table.columns[i].name);
    EXPECT_EQ(back.columns[i].unit, table.columns[i].unit);
    ASSERT_EQ(back.columns[i].values.index(), table.columns[i].values.index());
    if (const auto* numbers = std::get_if<std::vector<double>>(&table.columns[i].values)) {
      const auto& read = std::get<std::vector<double>>(back.columns[i].values);
      EXPECT_EQ(std::memcmp(read.data(), numbers->data(), 8 * numbers->size()), 0) << back.columns[i].name;
    } else {
      EXPECT_EQ(back.columns[i].values, table.columns[i].values);
    }
  }
  // A file without a table, and one that breaks off.
  const std::string bytes = RealOs().ReadFile(path);
  for (const std::size_t kept : {std::size_t{2880}, std::size_t{4000}, std::size_t{10}}) {
    WriteFileAtomically(RealOs(), path, bytes.substr(0, kept));
    EXPECT_THROW(ReadFitsTable(path), Error) << kept;
  }
  table.columns.clear();
  table.columns.push_back({"x", "", "", "", 6, std::vector<double>{}, true});
  WriteTable(RealOs(), path, table, true);
  EXPECT_EQ(ReadFitsTable(path).rows(), 0u);
}

TEST(Table, TheEndingTellsTheForm) {
  EXPECT_EQ(FormOf("a.csv"), TableForm::kCsv);
  EXPECT_EQ(FormOf("a.vot"), TableForm::kVotable);
  EXPECT_EQ(FormOf("x/a.fits"), TableForm::kFits);
  EXPECT_THROW(FormOf("a.txt"), Error);
}

TEST(Table, NoFileIsReplacedUnasked) {
  const TemporaryFolder folder;
  const auto path = folder.path() / "t.csv";
  CheckResult(path, false);
  WriteTable(RealOs(), path, SmallTable(), false);
  EXPECT_THROW(CheckResult(path, false), Error);
  EXPECT_THROW(WriteTable(RealOs(), path, SmallTable(), false), Error);
  WriteTable(RealOs(), path, SmallTable(), true);
  EXPECT_EQ(RealOs().ReadFile(path), CsvText(SmallTable()));
  EXPECT_EQ(RealOs().ReadFile(folder.path() / "t.json"), MetadataText(SmallTable()));
  EXPECT_EQ(RealOs().List(folder.path()).size(), 2u);  // nothing unfinished stays
  // What stands beside a table in CSV is a name that may be taken, too.
  WriteResult(RealOs(), folder.path() / "u.json", "of somebody", false);
  EXPECT_THROW(CheckResult(folder.path() / "u.csv", false), Error);
  EXPECT_THROW(WriteTable(RealOs(), folder.path() / "u.csv", SmallTable(), false), Error);
  EXPECT_FALSE(Exists(folder.path() / "u.csv"));
  CheckResult(folder.path() / "u.vot", false);
}

// Others read these columns by name and order.
TEST(PhotometryTable, HasTheColumnsThatOthersRead) {
  PhotometryRow row;
  row.source_id = 7;
  row.name = "A";
  row.product = "tile";
  row.mjd = 60961.5629;
  row.frequency_hz = 1.4e9;
  row.measurement.place = {Angle::Degrees(359.25), Angle::Degrees(-1.5)};
  row.measurement.flux_jy = 0.0125;
  row.measurement.flux_error_jy = 0.0003;
  row.measurement.local_rms_jy = 0.00027;
  row.measurement.response = 0.9;
  row.measurement.flags = 34;
  EXPECT_EQ(
      CsvText(PhotometryTable({row})),
      "source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,flags\n"
      "7,A,359.25000000,-1.50000000,60961.56290000,tile,0.0125,0.0003,0.00027,0.90000,1.00000,1400000000,34\n");
}

}  // namespace
}  // namespace contimg::mosaic
