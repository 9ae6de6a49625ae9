// What is on record as compressed CSV.
#include "ops/archive/table_export.h"

#include <archive.h>
#include <archive_entry.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "config/unfinished.h"
#include "ops/base/sha256.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using testkit::FaultyOs;

// As `zstd -dc` gives it.
std::string Decompressed(const fs::path& path) {
  archive* stream = archive_read_new();
  archive_read_support_filter_zstd(stream);
  archive_read_support_format_raw(stream);
  EXPECT_EQ(archive_read_open_filename(stream, path.c_str(), 65536), ARCHIVE_OK) << archive_error_string(stream);
  archive_entry* entry = nullptr;
  std::string text;
  if (archive_read_next_header(stream, &entry) == ARCHIVE_OK) {
    char piece[4096];
    for (la_ssize_t n = 0; (n = archive_read_data(stream, piece, sizeof piece)) > 0;) {
      text.append(piece, static_cast<std::size_t>(n));
    }
  }
  archive_read_free(stream);
  return text;
}

class TableExportTest : public ::testing::Test {
 protected:
  TableExportTest() {
    state::ProductStore products(paths_.Database(StateDatabase::kProducts));
    state::ProductRow row;
    row.kind = "image";
    row.path = "/a, \"b\"";
    row.ra_deg = 202.5;
    row.checksum = "0123456789abcdef";
    products.Save(row, 1);
    state::GroupStore(paths_.Database(StateDatabase::kIngest));
  }
  TableExport Export(Os& os = RealOs(), const std::string& day = "2025-10-14", double keep_days = 14) {
    RunContext context;
    context.os = &os;
    return ExportTables({paths_, folder_, day, keep_days}, context);
  }
  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path folder_ = paths_.Archive("catalogs");
};

TEST(CsvLine, QuotesWhatNeedsIt) {
  EXPECT_EQ(CsvLine({"a", "", "b c", "d,e", "f\"g", "h\ni"}), "a,,b c,\"d,e\",\"f\"\"g\",\"h\ni\"\r\n");
  EXPECT_EQ(CsvLine({"", ""}), ",\r\n");
}

TEST_F(TableExportTest, TablesAsCompressedCsvWithSums) {
  const TableExport made = Export();
  EXPECT_EQ(made.folder, folder_ / "2025-10-14");
  const std::string products = Decompressed(made.folder / "products.csv.zst");
  EXPECT_THAT(products, StartsWith("id,kind,path,"));
  EXPECT_THAT(products, HasSubstr("1,image,\"/a, \"\"b\"\"\","));
  EXPECT_THAT(products, HasSubstr(",202.5,,"));
  EXPECT_EQ(std::count(products.begin(), products.end(), '\n'), 2);
  EXPECT_THAT(Decompressed(made.folder / "groups.csv.zst"), StartsWith("id,"));
  EXPECT_FALSE(fs::exists(made.folder / "caltables.csv.zst")) << "there is no such database yet";
  const std::string sums = RealOs().ReadFile(made.folder / "SHA256SUMS");
  for (const ExportedTable& each : made.tables) {
    EXPECT_THAT(sums, HasSubstr(FileSha256(made.folder / each.file) + "  " + each.file + "\n"));
  }
  EXPECT_TRUE(Export().was_there);
}

TEST_F(TableExportTest, DaysThatLieFurtherBackGoAndNothingElse) {
  for (const char* day : {"2025-09-29", "2025-09-30", "2025-10-01"}) Export(RealOs(), day, 0);
  // By a clock that was ahead nothing goes, nor does what it left behind keep others.
  EXPECT_THAT(Export(RealOs(), "2035-10-14", 14).removed, ElementsAre());
  fs::create_directories(folder_ / "2025-01-01.mine");
  EXPECT_THAT(Export(RealOs(), "2025-10-14", 14).removed, ElementsAre("2025-09-29"));
  EXPECT_TRUE(fs::exists(folder_ / "2025-09-30"));
  EXPECT_TRUE(fs::exists(folder_ / "2025-01-01.mine"));
}

TEST_F(TableExportTest, KilledOrFailedAtAnyCallADayIsWholeOrNotThere) {
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0;
    for (int at = 1;; ++at) {
      fs::remove_all(folder_);
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, ENOSPC);
        try {
          Export(os);
        } catch (const Error& error) {
          ::_exit(error.kind() == ErrorKind::kResource ? 1 : 3);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      EXPECT_TRUE(!WIFEXITED(status) || WEXITSTATUS(status) < 3) << "a full disk is told as one, call " << at;
      ++n_faults;
      FaultyOs calm;
      const TableExport made = Export(calm);
      EXPECT_THAT(Decompressed(made.folder / "products.csv.zst"), HasSubstr("0123456789abcdef"));
      EXPECT_TRUE(fs::exists(made.folder / "SHA256SUMS"));
      for (const fs::path& each : RealOs().List(folder_)) EXPECT_FALSE(IsUnfinishedName(each)) << each;
    }
    EXPECT_GT(n_faults, 15);
  }
}

TEST_F(TableExportTest, WithoutADatabaseNothingIsMade) {
  fs::remove_all(paths_.roots().state);
  EXPECT_THROW(Export(), Error);
  EXPECT_FALSE(fs::exists(folder_ / "2025-10-14"));
}

}  // namespace
}  // namespace contimg::ops
