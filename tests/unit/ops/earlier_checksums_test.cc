// What contimg 0.1 recorded of files goes on to be found equal.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "config/checksum.h"
#include "ops/base/checksum.h"
#include "ops/base/table_checksum.h"
#include "ops/job/header_check.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

TEST(TableChecksum, IsThatOfAProductAndThoseOfEarlierVersionsAreKnown) {
  const TemporaryFolder folder("table");
  const fs::path table = folder / "x.gpcal";
  fs::create_directories(table / "ANTENNA");
  std::ofstream(table / "table.dat") << "main";
  std::ofstream(table / "ANTENNA" / "table.dat") << "antennas";
  Fnv1a before;  // names with their final zero, and contents, in order
  before.Add("ANTENNA/table.dat", 18);
  before.Add("antennas", 8);
  before.Add("table.dat", 10);
  before.Add("main", 4);
  EXPECT_EQ(TableChecksum(table), ProductChecksum(table));
  EXPECT_TRUE(HasTableChecksum(table, TableChecksum(table)));
  EXPECT_TRUE(HasTableChecksum(table, before.Hex()));
  std::ofstream(table / "table.lock") << "opened";
  EXPECT_TRUE(HasTableChecksum(table, before.Hex()));
  std::ofstream(table / "table.dat") << "Main";
  EXPECT_FALSE(HasTableChecksum(table, before.Hex()));
  EXPECT_FALSE(HasTableChecksum(table, ""));
}

TEST(Fingerprint, OfEarlierVersionsIsKnown) {
  const TemporaryFolder folder("fingerprint");
  const fs::path file = folder / "a.hdf5";
  std::string text(300'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * i % 251);
  std::ofstream(file, std::ios::binary) << text;
  Fnv1a before;
  const std::int64_t size = 300'000;
  before.Add(&size, sizeof size);
  before.Add(text.data(), 65536);
  before.Add(text.data() + size - 65536, 65536);
  for (std::int64_t block = 1; block <= 62; ++block) before.Add(text.data() + size / 63 * block, 4096);
  const std::string now = Fingerprint(file);
  EXPECT_NE(now, before.Hex());
  EXPECT_TRUE(HasFingerprint(file, now));
  EXPECT_TRUE(HasFingerprint(file, before.Hex()));
  text[150] = 'x';
  std::ofstream(file, std::ios::binary) << text;
  EXPECT_NE(Fingerprint(file), now);
  EXPECT_FALSE(HasFingerprint(file, now));
}

}  // namespace
}  // namespace contimg::ops
