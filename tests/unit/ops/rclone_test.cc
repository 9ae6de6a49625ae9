// How rclone is called and ended, with scripts in its place.
#include "ops/archive/rclone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <functional>
#include <iterator>
#include <string>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "ops/archive/remote.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Kind = RcloneEnd::Kind;

class RcloneTest : public ::testing::Test {
 protected:
  Rclone Script(const std::string& body) {
    const fs::path file = folder_ / "rclone";
    std::ofstream(file) << "#!/bin/sh\n" << body << "\n";
    fs::permissions(file, fs::perms::owner_all);
    options_.program = file;
    options_.kill_after_s = 0.2;
    ::signal(SIGPIPE, SIG_IGN);
    return Rclone(options_);
  }
  static std::string Text(const Rclone& rclone, const std::vector<std::string>& words) {
    std::string text;
    EXPECT_EQ(rclone.Run(words, 60, [&](const char* data, std::size_t n) { text.append(data, n); }).kind, Kind::kOk);
    return text;
  }
  ErrorKind Fails(const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      sentence_ = error.what();
      return error.kind();
    }
    return ErrorKind::kBug;
  }

  TemporaryFolder folder_{"rclone"};
  RcloneOptions options_;
  std::string sentence_;
};

TEST_F(RcloneTest, GetsItsWordsWithoutAShell) {
  options_.config = "/etc/x.conf";
  options_.bandwidth = "2M";
  const std::string words = Text(Script("for a in \"$@\"; do echo \"<$a>\"; done"), {"cat", "lake:a b;$(rm x)\n\"c"});
  EXPECT_THAT(words, HasSubstr("<cat>\n<lake:a b;$(rm x)\n\"c>\n"));
  for (const char* word : {"<--retries=1>", "<--config=/etc/x.conf>", "<--bwlimit=2M>", "<--ask-password=false>"}) {
    EXPECT_THAT(words, HasSubstr(word));
  }
  EXPECT_EQ(Text(Script("head -c 3000000 /dev/zero"), {"cat"}).size(), 3'000'000u);
}

TEST_F(RcloneTest, ItsStatusSaysWhatToDo) {
  for (const auto& [status, kind] : {std::pair{0, Kind::kOk},
                                     {1, Kind::kPassing},
                                     {2, Kind::kPassing},
                                     {3, Kind::kMissing},
                                     {4, Kind::kMissing},
                                     {5, Kind::kPassing},
                                     {6, Kind::kPassing},
                                     {7, Kind::kFatal},
                                     {8, Kind::kFatal},
                                     {9, Kind::kPassing}}) {
    EXPECT_EQ(Script("exit " + std::to_string(status)).Run({"cat"}, 60).kind, kind) << status;
  }
  EXPECT_EQ(Script("kill -9 $$").Run({"cat"}, 60).status, 128 + SIGKILL);
  EXPECT_EQ(Script(R"(echo '{"level":"error","msg":"first"}' >&2; echo '{"level":"info","msg":"x"}' >&2
echo '2026/11/28 05:30:06 Failed to cat: no such "thing"' >&2; exit 1)")
                .Run({"cat"}, 60)
                .words,
            "Failed to cat: no such \"thing\"");
}

// TERM, and KILL for what does not heed it; its own children with it.
TEST_F(RcloneTest, OneThatTakesTooLongIsEndedWithAllItStarted) {
  const fs::path pid_file = folder_ / "pid";
  const Rclone stubborn = Script("trap '' TERM; sleep 1000 & echo $! > " + pid_file.string() + "; wait; wait");
  EXPECT_EQ(Fails([&] { stubborn.Run({"cat"}, 1); }), ErrorKind::kTimeout);
  EXPECT_THAT(sentence_, HasSubstr("within 1 s"));
  pid_t child = 0;
  std::ifstream(pid_file) >> child;
  ASSERT_GT(child, 1);
  std::string state;
  std::getline(std::ifstream("/proc/" + std::to_string(child) + "/stat"), state);
  EXPECT_TRUE(state.empty() || state.find(") Z") != std::string::npos) << state;

  std::atomic<bool> cancelled{true};
  options_.cancelled = &cancelled;
  EXPECT_EQ(Fails([&] { Script("sleep 1000").Run({"cat"}, 60); }), ErrorKind::kCancelled);
  options_.cancelled = nullptr;
  const auto refuse = [](const char*, std::size_t) { throw Error(ErrorKind::kBadInput, "x", "", "enough"); };
  EXPECT_EQ(Fails([&] { Script("yes").Run({"cat"}, 60, refuse); }), ErrorKind::kBadInput);
  options_.program.clear();
  EXPECT_EQ(Fails([&] { Rclone(options_).Run({"cat"}, 60); }), ErrorKind::kUsage);
}

TEST_F(RcloneTest, ARemoteTriesAgainWhatMayPass) {
  ArchiveRemote about;
  about.name = "lake";
  about.target = "lake:x";
  about.retries = 1;
  const fs::path log = folder_ / "log";
  const auto n_calls = [&] {
    std::ifstream file(log);
    return std::count(std::istreambuf_iterator<char>(file), {}, '\n');
  };
  const std::string note = "echo \"$1\" >> " + log.string() + "; ";
  const Remote down(about, Script(note + "echo 'Failed to copyto: connection refused' >&2; exit 5"), false);
  EXPECT_EQ(Fails([&] { down.Retrying([&] { down.PutParts("/x", {"a.tar"}, "me"); }); }), ErrorKind::kIo);
  EXPECT_EQ(sentence_, "lake: a.tar: cannot copy it there (rclone status 5: Failed to copyto: connection refused)");
  EXPECT_EQ(n_calls(), 2);
  const Remote full(about, Script(note + "echo 'Failed to copyto: no space left on device' >&2; exit 1"), false);
  EXPECT_EQ(Fails([&] { full.Retrying([&] { full.PutParts("/x", {"a.tar"}, "me"); }); }), ErrorKind::kResource);
  EXPECT_EQ(sentence_, "lake: a.tar: cannot copy it there: lake:x is full");
  EXPECT_EQ(n_calls(), 3) << "waiting makes no room";
  EXPECT_TRUE(IsPart(".part-me/images/a.tar"));
  EXPECT_FALSE(IsPart("images/.part-me/a.tar"));
}

// What is removed lies in the folder of parts, whatever the names are.
TEST_F(RcloneTest, NothingButPartsIsRemoved) {
  ArchiveRemote about;
  about.name = "lake";
  about.target = "lake:x";
  const fs::path log = folder_ / "log";
  const Remote remote(about, Script("echo \"$1 $2\" >> " + log.string() + "; cat >> " + log.string()), false);
  remote.RemoveParts({"images/a.tar"}, "me");
  remote.RemoveParts({}, "me");
  remote.RemovePartFolder("me");
  EXPECT_EQ(RealOs().ReadFile(log),
            "delete lake:x/.part-me\nimages/a.tar\ndelete lake:x/.part-me\nrmdirs lake:x/.part-me\n");
}

TEST_F(RcloneTest, ReadsAsMuchAsThereIs) {
  std::string names;
  for (int i = 0; i < 30000; ++i) names += "name " + std::to_string(i) + "\n";
  std::string back;
  const auto take = [&](const char* data, std::size_t n) { back.append(data, n); };
  EXPECT_EQ(Script("sleep 0.1; cat").Run({"copy"}, 60, take, names).kind, Kind::kOk);
  EXPECT_EQ(back, names);
  EXPECT_EQ(Script("exit 3").Run({"copy"}, 60, {}, names).kind, Kind::kMissing) << "one that reads nothing";
}

TEST_F(RcloneTest, ItsConfigurationNamesTheRemotes) {
  std::ofstream(folder_ / "rclone.conf") << "# [old]\n[lake]\ntype = s3\n[tape one]\ntype = alias\n";
  EXPECT_THAT(ConfiguredRemotes(folder_ / "rclone.conf"), ElementsAre("lake", "tape one"));
}

}  // namespace
}  // namespace contimg::ops
