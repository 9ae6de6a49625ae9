// Objects of products, manifests, and the course of an archive with a stand-in for rclone (a directory, and a script
// that knows the verbs we use), killed or failed at each of its steps. Real rclone: tests/integration/archive_test.py.
#include "ops/archive/archiver.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "config/error.h"
#include "ops/archive/manifest.h"
#include "ops/archive/object.h"
#include "ops/archive/restore.h"
#include "ops/archive/verify.h"
#include "ops/base/checksum.h"
#include "ops/base/sha256.h"
#include "ops/job/header_check.h"
#include "state/archive_store.h"
#include "state/maintenance_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::ArchiveState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::FaultyOs;

constexpr const char* kGroup = "2025-10-13T13:28:03";
constexpr const char* kObject = "images/2025-10-13/2025-10-13T132803.images.tar";

// The verbs that are used, on absolute paths; names come by --files-from-raw=-. Exit status 3: not there.
constexpr const char* kStandIn = R"sh(#!/bin/sh
verb=$1; shift
offset=0; count=; names=; args=
for a in "$@"; do case $a in
--offset=*) offset=${a#*=};; --count=*) count=${a#*=};; --files-from-raw=-) names=y;; -*) ;; *) args="$args $a";;
esac; done
set -- $args
each() { while read -r name; do "$@"; done; }
put() { [ ! -f "$1/$name" ] || { mkdir -p "$(dirname "$2/$name")" && $3 "$1/$name" "$2/$name"; }; }
tell() { [ ! -f "$1/$name" ] || { printf '%s{"Path": "%s", "Size": 1}' "$comma" "$name"; comma=,; }; }
hash() { [ ! -f "$1/$name" ] || (cd "$1" && sha256sum "$name"); }
case $verb in
copyto) mkdir -p "$(dirname "$2")" && cp "$1" "$2";;
copy) each put "$1" "$2" cp;;
move) each put "$1" "$2" "mv -n";;
cat) [ -f "$1" ] || exit 3; if [ -n "$count" ]; then tail -c +$((offset + 1)) "$1" | head -c "$count"; else cat "$1"; fi;;
hashsum) each hash "$2";;
lsjson) if [ -n "$names" ]; then echo [; each tell "$1"; echo ]; else
  [ -f "$1" ] || exit 3; echo '{"Size": 1, "IsDir": false}'; fi;;
delete) [ -d "$1" ] || exit 3; if [ -n "$names" ]; then while read -r name; do rm -f "$1/$name"; done; else
  find "$1" -type f -delete; fi;;
rmdirs) [ -d "$1" ] || exit 3; find "$1" -depth -type d -empty -delete;;
*) exit 1;;
esac
)sh";

class ArchiveTest : public ::testing::Test {
 protected:
  ArchiveTest() {
    const fs::path script = folders_.folder / "rclone";
    std::ofstream(script) << kStandIn;
    fs::permissions(script, fs::perms::owner_all);
    options_.program = script;
    ::signal(SIGPIPE, SIG_IGN);
    for (const char* name : {"lake", "tape"}) {
      ArchiveRemote remote;
      remote.name = name;
      remote.target = (folders_.folder / name).string();
      remote.retries = 0;
      remote.classes = {"images", "caltables", "incoming"};
      about_.push_back(remote);
    }
  }
  fs::path Image(const std::string& name, const std::string& text, const char* kind = "image") {
    const fs::path path = paths_.roots().images / "single" / "2025-10-13" / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    Record(path, kind);
    return path;
  }
  void Record(const fs::path& path, const char* kind, const std::string& group = kGroup) {
    state::ProductRow row;
    row.kind = kind;
    row.path = path.string();
    row.group_id = group;
    row.start_mjd = 60961.561146;
    row.size_bytes = static_cast<std::int64_t>(ProductBytes(path));
    row.checksum = ProductChecksum(path);
    state::ProductStore(database_).Save(row, 1);
  }
  std::vector<Remote> Remotes() {
    std::vector<Remote> remotes;
    for (const ArchiveRemote& each : about_) remotes.emplace_back(each, Rclone(options_), false);
    return remotes;
  }
  ArchivePlan Plan(state::ProductStore& products, state::GroupStore* groups = nullptr) {
    return PlanArchive({}, about_, paths_.roots(), products, groups, 1e9);
  }
  ArchiveResult Archive(Os& os = RealOs()) {
    state::ProductStore products(database_);
    RunContext context;
    context.os = &os;
    SweepOutbox(paths_, os);
    return CarryOut(Plan(products), {paths_, Remotes(), 1, "me"}, products, nullptr, damaged_, context);
  }
  std::vector<std::string> Files(const char* remote) {
    std::vector<std::string> names;
    const fs::path root = folders_.folder / remote;
    if (!fs::exists(root)) return names;
    for (const fs::path& file : FilesBelow(root)) names.push_back(file.lexically_relative(root).string());
    return names;
  }
  std::vector<state::ArchiveRow> Rows(ArchiveState state) {
    state::ProductStore products(database_);
    state::ArchiveQuery query;
    query.state = state;
    return state::ArchiveStore(products.database()).List(query);
  }

  WorkFolders folders_;
  const ProductPaths& paths_ = folders_.paths;
  const fs::path database_ = paths_.Database(StateDatabase::kProducts);
  RcloneOptions options_;
  std::vector<ArchiveRemote> about_;
  std::vector<std::string> damage_;
  ReportDamage damaged_ = [this](const std::string& place, const std::string& subject, const std::string&) {
    damage_.push_back(place + " " + subject);
  };
};

TEST_F(ArchiveTest, NamesHaveNoColonsAndSayWhatIsIn) {
  state::ProductRow row;
  row.id = 7;
  row.group_id = kGroup;
  row.start_mjd = 60961.561146;
  EXPECT_EQ(ObjectName("images", row, 1), kObject);
  EXPECT_EQ(ObjectName("science_ms", row, 3), "ms/2025-10-13/2025-10-13T132803.science_ms.3.tar");
  row.group_id.clear();
  row.start_mjd = 0;
  row.path = "/x/a b:ü\n.gpcal";
  const std::string name = ObjectName("caltables", row, 1);
  EXPECT_EQ(name, "caltables/undated/a_b___.gpcal-7.caltables.tar");
  for (const std::string& each : {std::string(kObject), name, name + ".json", ObjectName("images", row, 12)}) {
    EXPECT_TRUE(IsObjectName(each)) << each;
  }
  for (const char* other :
       {"images/2025-10-13/x.fits", "catalogs/sources.tar", "images/2025-10-13/.x.tar.part-1", "x.tar"}) {
    EXPECT_FALSE(IsObjectName(other)) << other;
  }
}

TEST_F(ArchiveTest, APlaceInTheTreeIsThatOfAnyInstallation) {
  DirectoryRoots here;
  here.scratch = "/s";
  here.input = "/s/incoming";
  here.images = "/elsewhere/images";
  const auto image = InTree("/elsewhere/images/single/a.fits", here);
  ASSERT_TRUE(image);
  EXPECT_EQ(*image, (TreePath{"images", "single/a.fits"}));
  EXPECT_EQ(InTree("/s/incoming/a", here)->root, "input");
  EXPECT_EQ(InTree("/s/curated/a", here)->root, "scratch");
  EXPECT_FALSE(InTree("/s", here));
  EXPECT_FALSE(InTree("/s2/a", here));
  EXPECT_FALSE(InTree("/s/../etc/passwd", here));
  DirectoryRoots there;
  there.images = "/t/images";
  EXPECT_EQ(OnDisk(*image, there), "/t/images/single/a.fits");
  EXPECT_THROW(OnDisk({"input", "a"}, there), Error);
}

TEST_F(ArchiveTest, ManifestsReadBackAndRefuseWhatDoesNotFit) {
  Manifest manifest;
  manifest.object = kObject;
  manifest.product_class = "images";
  manifest.group = kGroup;
  manifest.bytes = 10000;
  manifest.sha256 = std::string(64, 'a');
  manifest.created_at = "2025-10-14T03:00:00Z";
  ManifestMember member;
  member.kind = "image";
  member.place = {"images", "single/a\nb.fits"};
  member.offset = 512;
  member.bytes = 1000;
  member.sha256 = std::string(64, 'b');
  member.ra_deg = 12.5;
  member.parents = {{"input", "x.hdf5"}};
  member.files = {{"", 512, 1000, std::string(64, 'b'), 5}};
  manifest.members = {member};
  const std::string text = ManifestText(manifest);
  const Manifest back = ParseManifest(text, "x");
  EXPECT_EQ(ManifestText(back), text);
  EXPECT_EQ(back.members[0].place.path, "single/a\nb.fits");
  EXPECT_EQ(
      nlohmann::json::parse(text)["members"].dump(),
      R"([{"bytes":1000,"checksum":"","dec_deg":null,"end_mjd":0.0,"files":[{"bytes":1000,"mtime_s":5,"offset":512,)"
      R"("path":"","sha256":")" +
          std::string(64, 'b') +
          R"("}],"grade":"","group":"","kind":"image",)"
          R"("offset":512,"parents":[{"path":"x.hdf5","root":"input"}],"path":"single/a\nb.fits","product":0,)"
          R"("quality":{},"ra_deg":12.5,"root":"images","sha256":")" +
          std::string(64, 'b') + R"(","size_bytes":0,"start_mjd":0.0}])");
  EXPECT_FALSE(back.members[0].dec_deg);

  const auto refused = [&](const std::function<void(nlohmann::json&)>& change) {
    nlohmann::json value = nlohmann::json::parse(text);
    change(value);
    try {
      ParseManifest(value.dump(), "lake: x.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_EQ(error.subject(), "lake: x.json");
      return error.message();
    }
    return std::string("taken");
  };
  EXPECT_THAT(refused([](auto& m) { m["format"] = 3; }), HasSubstr("expected a manifest of format 1 or 2, found 3"));
  EXPECT_THAT(refused([](auto& m) { m.erase("sha256"); }), HasSubstr("found something else"));
  EXPECT_THAT(refused([](auto& m) { m["object"] = "../x.tar"; }), HasSubstr("outside the remote"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["root"] = "/"; }), HasSubstr("leads out of its tree"));
  for (const char* path : {"../x", "/etc/passwd", "a/../../b", "", ".", "a//b", "a/"}) {
    EXPECT_THAT(refused([&](auto& m) { m["members"][0]["path"] = path; }), HasSubstr("leads out of its tree")) << path;
    if (*path != '\0') {
      EXPECT_THAT(refused([&](auto& m) { m["members"][0]["files"][0]["path"] = path; }), HasSubstr("leads out"))
          << path;
    }
  }
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["parents"][0]["path"] = "../x"; }), HasSubstr("leads out"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["bytes"] = 9999; }), HasSubstr("does not fit"));
  for (const nlohmann::json& none :
       {nlohmann::json(-1), nlohmann::json(1e300), nlohmann::json(0.5), nlohmann::json(true)}) {
    EXPECT_THAT(refused([&](auto& m) { m["members"][0]["offset"] = none; }), HasSubstr("found something else")) << none;
  }
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["files"][0]["mtime_s"] = 1e300; }), HasSubstr("something else"));
  EXPECT_THAT(refused([](auto& m) { m["members"].push_back(m["members"][0]); }), HasSubstr("has a product twice"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["path"] = "single/.contimg-tree"; }), HasSubstr("hidden name"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["start_mjd"] = 1e300; }), HasSubstr("impossible time"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["size_bytes"] = 2000000000000000; }),
              HasSubstr("impossible time or size"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["size_bytes"] = -1; }), HasSubstr("something else"));
  EXPECT_THAT(refused([](auto& m) { m["created_at"] = "x"; }), HasSubstr("is not a time"));
  EXPECT_THAT(refused([](auto& m) { m["lossy"] = true; }), HasSubstr("contradicts itself"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["files"][0]["offset"] = 513; }), HasSubstr("does not fit"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["files"] = nlohmann::json::array(); }), HasSubstr("without files"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["kind"] = "movie"; }), HasSubstr("unknown kind"));
  EXPECT_THAT(refused([](auto& m) { m["members"][0]["files"].push_back(m["members"][0]["files"][0]); }),
              HasSubstr("lie over each other"));
  manifest.members[0].place.path = "\xff.fits";
  EXPECT_THROW(ManifestText(manifest), Error);
}

TEST_F(ArchiveTest, AnObjectIsMadeOfWhatIsThereAndAlwaysTheSame) {
  Image("a.fits", std::string(3000, 'a'));
  Image("b.fits", "");
  const fs::path table = paths_.roots().output / "calibrators" / "x_24h.kcal";
  fs::create_directories(table / "ANTENNA");
  for (const char* file : {"table.dat", "ANTENNA/table.f0", "table.lock"}) std::ofstream(table / file) << file;
  Record(table, "caltable");
  state::ProductStore products(database_);
  const auto rows = products.List({});
  const fs::path one = folders_.folder / "one.tar", two = folders_.folder / "two.tar";
  const MadeObject made = MakeObject(rows, paths_.roots(), one, RunContext{});
  std::ofstream(table / "table.lock") << "opened since";
  const MadeObject again = MakeObject(rows, paths_.roots(), two, RunContext{});
  EXPECT_EQ(made.sha256, again.sha256);
  EXPECT_EQ(made.sha256, FileSha256(one));
  EXPECT_EQ(made.bytes, FileSize(one));
  const std::string bytes = RealOs().ReadFile(one);
  for (const ManifestMember& member : made.members) {
    Sha256 piece;
    piece.Add(std::string_view(bytes).substr(member.offset, member.bytes));
    EXPECT_EQ(piece.Hex(), member.sha256) << member.place.path;
    if (member.kind == "caltable") {
      EXPECT_THAT(member.files, SizeIs(2));
    }
  }
  // One that is not what was recorded leaves nothing.
  std::ofstream(table / "table.dat") << "TABLE.DAT";
  fs::remove(one);
  EXPECT_THROW(MakeObject(rows, paths_.roots(), one, RunContext{}), Error);
  EXPECT_FALSE(fs::exists(one));
}

TEST_F(ArchiveTest, OnlyWhatIsAtRestIsPlanned) {
  Image("a.fits", "a");
  state::GroupStore groups(paths_.Database(StateDatabase::kIngest));
  state::GroupRow row;
  row.id = kGroup;
  groups.Create(row, "test", 1);
  state::ProductStore products(database_);
  EXPECT_THAT(Plan(products, &groups).objects, IsEmpty());
  EXPECT_EQ(Plan(products, &groups).kept["of groups that are not done"].n, 1);
  EXPECT_THAT(Plan(products).objects, SizeIs(1));
  EXPECT_THAT(Plan(products).objects[0].remotes, ElementsAre("lake", "tape"));
  about_[1].classes = {"qa"};
  EXPECT_THAT(Plan(products).objects[0].remotes, ElementsAre("lake"));
  ArchiveSelection young;
  young.after_days = 1e6;
  EXPECT_THAT(PlanArchive(young, about_, paths_.roots(), products, nullptr, 1e9).objects, IsEmpty());
}

// Starting rclone takes as long as copying some megabytes: of many objects each step is one call for many.
TEST_F(ArchiveTest, SmallObjectsGoManyAtATime) {
  const fs::path log = folders_.folder / "calls";
  const std::string script = RealOs().ReadFile(options_.program);
  std::ofstream(options_.program) << "#!/bin/sh\necho \"$1\" >> " << log.string() << "\n" << script;
  about_.resize(1);
  constexpr int kObjects = 40;
  for (int i = 0; i < kObjects; ++i) {
    const fs::path path = paths_.roots().images / "single" / "2025-10-13" / fmt::format("{}.fits", i);
    fs::create_directories(path.parent_path());
    std::ofstream(path) << i;
    Record(path, "image", fmt::format("2025-10-13T13:{:02}:{:02}", i / 60, i % 60));
  }
  const ArchiveResult result = Archive();
  EXPECT_EQ(result.n_copied, kObjects);
  EXPECT_THAT(result.failures, IsEmpty());
  EXPECT_THAT(Rows(ArchiveState::kVerified), SizeIs(kObjects));
  EXPECT_THAT(Files("lake"), SizeIs(2 * kObjects + 1));
  EXPECT_FALSE(fs::exists(folders_.folder / "lake" / ".part-me"));
  std::ifstream calls(log);
  const auto n_calls = std::count(std::istreambuf_iterator<char>(calls), {}, '\n');
  EXPECT_LE(n_calls, 12) << "starts of rclone";
  EXPECT_GE(n_calls, 6) << "they are counted";
  // One of many that is not what it should be is lost, and no other; the next run makes it good under another name.
  std::ofstream(folders_.folder / "lake" / Rows(ArchiveState::kVerified)[20].object) << "damaged";
  {
    state::ProductStore products(database_);
    state::MaintenanceStore findings(paths_.Database(StateDatabase::kOperations));
    const VerifyResult found = VerifyArchives(products, findings, Remotes(), 1, RunContext{});
    EXPECT_EQ(found.n_checked, kObjects);
    EXPECT_THAT(found.damaged, SizeIs(1));
  }
  EXPECT_EQ(Archive().n_copied, 1);
  EXPECT_THAT(Rows(ArchiveState::kVerified), SizeIs(kObjects));
}

// Killed or failed at each of its calls: whatever is on record as copied or verified is so, and the next run makes the
// rest good under the same name.
TEST_F(ArchiveTest, KilledOrFailedAtAnyStepItGoesOn) {
  Image("a.fits", "aaaa");
  Image("b.fits", "bbbb");
  about_.resize(1);
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, EIO);
        try {
          Archive(os);
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      for (const auto state : {ArchiveState::kCopied, ArchiveState::kVerified}) {
        for (const auto& row : Rows(state)) EXPECT_EQ(FileSha256(folders_.folder / "lake" / row.object), row.sha256);
      }
      const bool over = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      if (!over) {
        ++n_faults;
        EXPECT_THAT(Archive().failures, IsEmpty());
      }
      EXPECT_THAT(Rows(ArchiveState::kVerified), SizeIs(1));
      EXPECT_THAT(Files("lake"), ElementsAre("contimg-archive.json", kObject, std::string(kObject) + ".json"));
      EXPECT_THAT(FilesBelow(paths_.Archive("images")), IsEmpty());
      fs::remove_all(folders_.folder / "lake");
      fs::remove(database_);
      for (const char* end : {"-wal", "-shm"}) fs::remove(database_.string() + end);
      Image("a.fits", "aaaa");
      Image("b.fits", "bbbb");
      if (over) break;
    }
    EXPECT_GT(n_faults, 8);
  }
}

TEST_F(ArchiveTest, RestoringKilledOrFailedAtAnyStepLeavesNothingHalf) {
  const fs::path table = paths_.roots().output / "calibrators" / "x_24h.kcal";
  fs::create_directories(table / "ANTENNA");
  for (const char* file : {"table.dat", "ANTENNA/table.f0"}) std::ofstream(table / file) << file;
  Record(table, "caltable");
  about_.resize(1);
  ASSERT_THAT(Archive().failures, IsEmpty());
  const std::string checksum = ProductChecksum(table);
  const auto restore = [&](Os& os) {
    state::ProductStore products(database_);
    RunContext context;
    context.os = &os;
    RestoreRequest request;
    request.products = {products.FindByPath(table.string())->id};
    for (const RestoreItem& item : PlanRestore(request, paths_.roots(), products)) {
      Restore(item, true, Remotes(), products, nullptr, damaged_, context);
    }
  };
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter, FaultyOs::Fault::kFailBefore}) {
    int n_faults = 0;
    for (int at = 1;; ++at) {
      SCOPED_TRACE("call " + std::to_string(at));
      fs::remove_all(table);
      {
        state::ProductStore products(database_);
        products.SetStatus(products.FindByPath(table.string())->id, "archived", "", 2);
      }
      const pid_t child = ::fork();
      if (child == 0) {
        FaultyOs os(fault, at, EIO);
        try {
          restore(os);
        } catch (const Error&) {
          ::_exit(1);
        }
        ::_exit(os.fault_at().empty() ? 0 : 2);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (fs::exists(table)) {
        EXPECT_EQ(ProductChecksum(table), checksum);
      }
      if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
      ++n_faults;
      bool recorded = false;
      {
        state::ProductStore products(database_);
        recorded = products.FindByPath(table.string())->status == "present";
      }
      if (!recorded) restore(RealOs());
      EXPECT_EQ(ProductChecksum(table), checksum);
      EXPECT_EQ(state::ProductStore(database_).FindByPath(table.string())->status, "present");
      EXPECT_THAT(RealOs().List(table.parent_path()), SizeIs(1)) << "leftovers";
    }
    EXPECT_GT(n_faults, 8);
  }
}

TEST_F(ArchiveTest, DamageOnDiskIsAFindingAndNoneWhenItIsCured) {
  const fs::path image = Image("a.fits", "aaaa");
  const fs::path input = paths_.roots().input / "x.hdf5";
  std::ofstream(input) << std::string(500'000, 'x');
  Record(input, "uvh5");
  state::ProductStore products(database_);
  state::MaintenanceStore findings(paths_.Database(StateDatabase::kOperations));
  EXPECT_EQ(VerifyProducts(products, findings, 1, RunContext{}).n_damaged, 0) << "recorded by XXH64";
  {  // the intake's digest of samples is what is recorded of inputs
    state::ProductRow row = *products.FindByPath(input.string());
    row.checksum = Fingerprint(input);
    products.Save(row, 2);
  }
  EXPECT_EQ(VerifyProducts(products, findings, 1, RunContext{}).n_damaged, 0);
  EXPECT_EQ(products.FindByPath(input.string())->sha256, FileSha256(input)) << "known from the first reading on";
  std::ofstream(image) << "aaab";
  {
    std::fstream file(input, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100'001);  // between the samples
    file << 'y';
  }
  ASSERT_EQ(HasFingerprint(input, products.FindByPath(input.string())->checksum), true);
  const VerifyResult bad = VerifyProducts(products, findings, 1, RunContext{});
  EXPECT_EQ(bad.n_damaged, 2);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(2));
  EXPECT_EQ(VerifyProducts(products, findings, 1, RunContext{}).n_damaged, 2);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(2)) << "told once";
  std::ofstream(image) << "aaaa";
  fs::remove(input);  // the reconciler's business
  EXPECT_EQ(VerifyProducts(products, findings, 1, RunContext{}).n_damaged, 0);
  ASSERT_THAT(findings.OpenFindings(), SizeIs(1));
  EXPECT_EQ(findings.OpenFindings()[0].subject, input.string());
  products.SetStatus(products.FindByPath(input.string())->id, "removed", "", 3);
  VerifyProducts(products, findings, 1, RunContext{});
  EXPECT_THAT(findings.OpenFindings(), SizeIs(0)) << "let go by policy";
}

// However small the share: what was cured is known as cured the next time, not when its turn comes in weeks.
TEST_F(ArchiveTest, WhatIsOpenIsReadEachTime) {
  for (int i = 0; i < 20; ++i) Image("b" + std::to_string(i) + ".fits", "bbbb");
  const fs::path image = Image("a.fits", "aaaa");  // read last
  state::ProductStore products(database_);
  state::MaintenanceStore findings(paths_.Database(StateDatabase::kOperations));
  std::ofstream(image) << "aaab";
  EXPECT_EQ(VerifyProducts(products, findings, 1, RunContext{}).n_damaged, 1);
  EXPECT_EQ(VerifyProducts(products, findings, 0.05, RunContext{}).n_damaged, 1);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(1));
  std::ofstream(image) << "aaaa";
  EXPECT_EQ(VerifyProducts(products, findings, 0.05, RunContext{}).n_damaged, 0);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(0));
}

// A lost object is no open damage any more once its products have another copy there, and only then.
TEST_F(ArchiveTest, ALostObjectIsMadeGoodByAnotherCopyAtItsRemote) {
  const fs::path image = Image("a.fits", "aaaa");
  ASSERT_THAT(Archive().failures, SizeIs(0));
  state::ProductStore products(database_);
  state::ArchiveStore store(products.database());
  state::MaintenanceStore findings(paths_.Database(StateDatabase::kOperations));
  const auto copies = Rows(ArchiveState::kVerified);
  ASSERT_THAT(copies, SizeIs(2));
  fs::remove(folders_.folder / copies[0].remote / copies[0].object);
  EXPECT_EQ(VerifyArchives(products, findings, Remotes(), 1, RunContext{}).n_damaged, 1);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(1));
  ASSERT_THAT(store.NotMadeGood(), SizeIs(1));
  EXPECT_EQ(store.NotMadeGood()[0].remote, copies[0].remote);
  EXPECT_EQ(store.NotMadeGood()[0].n_gone, 0);
  // On no disk, and the other copy is lost, too.
  const auto id = products.FindByPath(image.string())->id;
  products.SetStatus(id, "archived", "", 3);
  EXPECT_EQ(store.NotMadeGood()[0].n_gone, 0);
  store.SetState(copies[1].id, ArchiveState::kLost, "gone", 4);
  ASSERT_THAT(store.NotMadeGood(), SizeIs(2));
  EXPECT_EQ(store.NotMadeGood()[0].n_gone, 1);
  store.SetState(copies[1].id, ArchiveState::kVerified, "", 5);
  products.SetStatus(id, "present", "", 6);
  EXPECT_EQ(SettleFindings(products, findings, 7), 0);
  ASSERT_THAT(Archive().failures, SizeIs(0));
  EXPECT_THAT(store.NotMadeGood(), SizeIs(0));
  EXPECT_EQ(SettleFindings(products, findings, 8), 1);
  EXPECT_THAT(findings.OpenFindings(), SizeIs(0));
}

}  // namespace
}  // namespace contimg::ops
