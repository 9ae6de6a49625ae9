#include "ops/daemon/health_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>

#include "config/time.h"
#include "tests/temporary_folder.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

TEST(IncomingTrouble, SaysWhatIsWrong) {
  const TemporaryFolder place("incoming");
  EXPECT_EQ(IncomingTrouble(place.path()), "");
  EXPECT_EQ(IncomingTrouble(place.path() / "none"), "is not there");
  std::ofstream(place.path() / "file") << "x";
  EXPECT_EQ(IncomingTrouble(place.path() / "file"), "is not a directory");
  EXPECT_THAT(IncomingTrouble(place.path() / "file" / "below"), ::testing::HasSubstr("Not a directory"));
}

TEST(CountUnknownNames, CountsDataWithOtherNamesOnly) {
  const TemporaryFolder place("names");
  for (const char* name :
       {"2025-10-13T13:28:03_sb00.hdf5", "2025-10-13_13_28_03_sb01.hdf5", "notes.txt", ".contimg-tree",
        "2025-10-13T13:28:03_sb02_incomplete.hdf5", ".2025-10-13T13:28:03_sb03.hdf5.Xy12"}) {
    std::ofstream(place.path() / name) << "x";
  }
  EXPECT_EQ(CountUnknownNames(place.path()).first, 0u);
  for (const char* name : {"20251013T132803_sb00.hdf5", "b.uvh5"}) std::ofstream(place.path() / name) << "x";
  EXPECT_EQ(CountUnknownNames(place.path()), std::pair(std::size_t{2}, std::string("20251013T132803_sb00.hdf5")));
  EXPECT_EQ(CountUnknownNames(place.path() / "none").first, 0u);
}

TEST(LookIntoQuarantine, CountsWhatStillLiesThere) {
  const TemporaryFolder place("quarantine");
  const double now = UtcTime::Now().unix_s();
  EXPECT_EQ(LookIntoQuarantine(place.path() / "none", now).n_files, 0u);
  fs::create_directories(place.path() / "2025-10-13");
  for (const char* name : {"a.hdf5", "b.hdf5", "gone.hdf5"}) {
    std::ofstream(place.path() / "2025-10-13" / name) << "x";
    std::ofstream(place.path() / "2025-10-13" / (std::string(name) + ".reason")) << "no HDF5\nfrom /in\n";
  }
  fs::remove(place.path() / "2025-10-13/gone.hdf5");
  fs::last_write_time(place.path() / "2025-10-13/a.hdf5.reason",
                      fs::file_time_type::clock::now() - std::chrono::hours(5));
  const HealthFacts::Quarantine found = LookIntoQuarantine(place.path(), now);
  EXPECT_EQ(found.n_files, 2u);
  EXPECT_EQ(found.n_last_hour, 1u);
  EXPECT_EQ(found.newest, (place.path() / "2025-10-13/b.hdf5").string());
  EXPECT_EQ(found.newest_reason, "no HDF5");
  EXPECT_NEAR(found.oldest_at, now - 5 * 3600, 60);
}

// The disk was too full for the reason: the file is there all the same.
TEST(LookIntoQuarantine, CountsAFileWithoutItsReason) {
  const TemporaryFolder place("quarantine");
  fs::create_directories(place.path() / "2025-10-13");
  std::ofstream(place.path() / "2025-10-13/a.hdf5") << "x";
  const HealthFacts::Quarantine found = LookIntoQuarantine(place.path(), UtcTime::Now().unix_s());
  EXPECT_EQ(found.n_files, 1u);
  EXPECT_EQ(found.newest, (place.path() / "2025-10-13/a.hdf5").string());
  EXPECT_FALSE(found.newest_reason.empty());
}

TEST(LookIntoQuarantine, KnowsWhereTheNewestCameFromAndOfWhichKindItIs) {
  const TemporaryFolder place("quarantine");
  fs::create_directories(place.path() / "2025-10-13");
  const fs::path file = place.path() / "2025-10-13/2025-10-13T13:28:03_sb07.hdf5";
  std::ofstream(file) << "x";
  std::ofstream(file.string() + ".reason")
      << "is no HDF5 file (bad_input)\nfrom /in/" << file.filename().string() << "\nat 2025-10-13T13:40:00Z\n";
  const HealthFacts::Quarantine found = LookIntoQuarantine(place.path(), UtcTime::Now().unix_s());
  EXPECT_EQ(found.newest_kind, ErrorKind::kBadInput);
  EXPECT_EQ(found.newest_from, "/in/" + file.filename().string());
  EXPECT_EQ(found.n_of_group.at("2025-10-13T13:28:03"), 1u);
}

// What the correlator has sent again meanwhile is found, and whether it has been taken.
TEST(FindOtherCopy, IsAFileOfThatNameOrTheSubbandOfItsGroup) {
  const WorkFolders folders;
  state::GroupStore store(folders.paths.Database(StateDatabase::kIngest));
  const fs::path& incoming = folders.paths.roots().input;
  const fs::path again = incoming / "2025-10-13T13:28:03_sb07.hdf5";
  const auto look = [&] {
    HealthFacts::Quarantine found;
    found.newest = "/q/2025-10-13T13:28:03_sb07.hdf5";
    found.newest_from = again.string();
    FindOtherCopy(found, incoming, store);
    return std::pair(found.other, found.other_recorded);
  };
  EXPECT_EQ(look(), std::pair(std::string(), false));
  std::ofstream(again) << "good";
  EXPECT_EQ(look(), std::pair(again.string(), false));
  const auto record = [&](const fs::path& path) {
    state::GroupRow group;
    group.id = "2025-10-13T13:28:03";
    state::SubbandFileRow row;
    row.group_id = group.id;
    row.subband = 7;
    row.path = path.string();
    row.size_bytes = 4;
    row.mtime = 1e-9 * static_cast<double>(RealOs().Status(path).mtime_ns);
    row.status = "present";
    store.AddFiles(group, {row}, "watcher", 1.8e9);
  };
  record(again);
  EXPECT_EQ(look(), std::pair(again.string(), true));
  std::ofstream(again) << "changed since";
  EXPECT_EQ(look(), std::pair(again.string(), false));
  fs::remove(again);
  EXPECT_EQ(look(), std::pair(std::string(), false));  // recorded once, and gone
  const fs::path other = incoming / "2025-10-13T13:28:04_sb07.hdf5";
  std::ofstream(other) << "good";
  record(other);
  EXPECT_EQ(look(), std::pair(other.string(), true));
  std::ofstream(again) << "a duplicate";
  EXPECT_EQ(look(), std::pair(other.string(), true));
}

// docs/operations/health.md has a row for every code, and none for others.
TEST(HealthDocument, HasEveryCode) {
  std::ifstream file(fs::path(CONTIMG_SOURCE_DIR) / "docs/operations/health.md");
  std::set<std::string> described, known;
  for (std::string line; std::getline(file, line);) {
    std::smatch code;
    if (std::regex_search(line, code, std::regex(R"(^\| `([a-z_]+)` \|)"))) described.insert(code[1]);
  }
  for (const HealthCode code : AllHealthCodes()) known.emplace(ToString(code));
  EXPECT_EQ(described, known);
}

}  // namespace
}  // namespace contimg::ops
