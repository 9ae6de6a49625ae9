#include "config/os.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "config/buffer.h"
#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg {
namespace {

namespace fs = std::filesystem;

class OsTest : public ::testing::Test {
 protected:
  static std::string Text(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  static void Write(const fs::path& path, const std::string& text) { std::ofstream(path) << text; }
  static std::size_t Names(const fs::path& folder) {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
  }

  TemporaryFolder folder_{"os"};
  const fs::path root_ = folder_.path();
};

TEST_F(OsTest, WritesAFileWholeOrNotAtAll) {
  Write(root_ / "x", "old");
  WriteFileAtomically(RealOs(), root_ / "x", "new");
  EXPECT_EQ(Text(root_ / "x"), "new");
  EXPECT_EQ(Names(root_), 1u);
  fs::create_directories(root_ / "folder" / "within");
  EXPECT_THROW(WriteFileAtomically(RealOs(), root_ / "folder", "text"), Error);  // no file takes a full folder's name
  EXPECT_TRUE(fs::exists(root_ / "folder" / "within"));
  EXPECT_EQ(Names(root_), 2u);
}

TEST_F(OsTest, AFullDiskIsNamedWithItsBytes) {
  const std::string data(4096, 'x');
  try {
    RealOs().OpenForUpdate("/dev/full")->WriteAt(data.data(), data.size(), 0);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kResource);
    EXPECT_EQ(error.message().rfind("cannot write 4.0 KiB: no space left on the disk (", 0), 0u) << error.message();
    EXPECT_NE(error.message().find(" free of "), std::string::npos) << error.message();
  }
  EXPECT_THROW(CheckRoom(RealOs(), root_, std::uint64_t{1} << 62, "test", "x"), Error);
  EXPECT_NO_THROW(CheckRoom(RealOs(), root_, 1, "test", "x"));
  EXPECT_EQ(ErrorNumberIn("write error for file x: No space left on device"), ENOSPC);
  EXPECT_EQ(ErrorNumberIn("all is well"), 0);
}

TEST_F(OsTest, CopiesContentsAndMode) {
  const std::string text(3 << 20, 'y');
  Write(root_ / "a", text);
  fs::permissions(root_ / "a", fs::perms::owner_read);
  RealOs().CopyFile(root_ / "a", root_ / "b");
  EXPECT_EQ(Text(root_ / "b"), text);
  EXPECT_EQ(fs::status(root_ / "b").permissions(), fs::perms::owner_read);
  EXPECT_THROW(RealOs().CopyFile(root_ / "a", root_ / "b"), Error);  // exists
  EXPECT_THROW(RealOs().CopyFile(root_ / "absent", root_ / "c"), Error);
  EXPECT_FALSE(fs::exists(root_ / "c"));
}

TEST_F(OsTest, PublishesATreeUnderItsNameAndRefusesOneThatExists) {
  fs::create_directories(root_ / "staged" / "sub");
  Write(root_ / "staged" / "sub" / "f", "1");
  Publish(RealOs(), root_ / "staged", root_ / "deep" / "final");
  EXPECT_EQ(Text(root_ / "deep" / "final" / "sub" / "f"), "1");
  EXPECT_FALSE(fs::exists(root_ / "staged"));

  Write(root_ / "other", "2");
  try {
    Publish(RealOs(), root_ / "other", root_ / "deep" / "final");
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kUsage);
  }
  EXPECT_EQ(Text(root_ / "other"), "2");
  EXPECT_EQ(Text(root_ / "deep" / "final" / "sub" / "f"), "1");
}

TEST_F(OsTest, PublishesAcrossFileSystems) {
  const fs::path elsewhere = "/dev/shm";
  if (!fs::is_directory(elsewhere) || ::access(elsewhere.c_str(), W_OK) != 0 || SameFileSystem(elsewhere, root_)) {
    GTEST_SKIP() << "needs a second writable file system in /dev/shm";
  }
  const fs::path staged = elsewhere / root_.filename();
  fs::create_directories(staged / "sub");
  Write(staged / "sub" / "f", "1");
  Publish(RealOs(), staged, root_ / "final");
  EXPECT_EQ(Text(root_ / "final" / "sub" / "f"), "1");
  EXPECT_FALSE(fs::exists(staged));
  EXPECT_EQ(Names(root_), 1u);
}

TEST_F(OsTest, ExchangesTwoNames) {
  Write(root_ / "a", "1");
  fs::create_directories(root_ / "b");
  RealOs().Exchange(root_ / "a", root_ / "b");
  EXPECT_TRUE(fs::is_directory(root_ / "a"));
  EXPECT_EQ(Text(root_ / "b"), "1");
}

TEST_F(OsTest, RenamesOntoAFreeNameOnly) {
  Write(root_ / "a", "1");
  Write(root_ / "b", "2");
  EXPECT_THROW(RealOs().RenameNew(root_ / "a", root_ / "b"), Error);
  EXPECT_EQ(Text(root_ / "b"), "2");
  RealOs().Rename(root_ / "a", root_ / "b");
  EXPECT_EQ(Text(root_ / "b"), "1");
}

TEST_F(OsTest, CreatesOnlyWhatIsNotThere) {
  const auto file = RealOs().Create(root_ / "x");
  file->WriteAt("abc", 3, 2);
  file->Resize(4);
  file->Close();
  EXPECT_EQ(Text(root_ / "x"), std::string("\0\0ab", 4));
  EXPECT_THROW(RealOs().Create(root_ / "x"), Error);
  EXPECT_THROW(RealOs().OpenForUpdate(root_ / "absent"), Error);
}

TEST_F(OsTest, WritesPastTheCacheWhatIsWholeBlocksAndTheRestThroughIt) {
  for (const fs::path& folder : {root_, fs::path("/dev/shm")}) {  // a disk, and where there is no disk to go to
    const TemporaryFolder place("direct", folder);
    Buffer<char> data(5 * kDirectBlock);
    for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 251);
    const auto file = RealOs().Create(place / "x");
    file->Resize(6 * kDirectBlock);
    file->BypassCache();
    file->WriteAt(data.data(), 2 * kDirectBlock, 0);                                            // whole blocks
    file->WriteAt(data.data() + 2 * kDirectBlock, kDirectBlock + 100, 2 * kDirectBlock);        // a tail
    file->WriteAt(data.data() + 3 * kDirectBlock + 100, kDirectBlock, 3 * kDirectBlock + 100);  // out of step
    file->WriteAt(data.data() + 4 * kDirectBlock + 100, kDirectBlock - 100, 4 * kDirectBlock + 100);
    file->Close();
    EXPECT_TRUE(Text(place / "x") == std::string(data.begin(), data.end()) + std::string(kDirectBlock, '\0')) << folder;
  }
}

}  // namespace
}  // namespace contimg
