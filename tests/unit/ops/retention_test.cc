// What may leave, what must stay, and the five steps of leaving.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <SQLiteCpp/SQLiteCpp.h>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "config/time.h"
#include "ops/retention/cleanup.h"
#include "ops/retention/purge.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/retention_store.h"
#include "tests/faulty_os.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using state::PurgeState;
using state::StoredProduct;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using testkit::FaultyOs;

constexpr double kRetainedAt = 1.76e9, kDay = 86400;

// --- the plan ------------------------------------------------------------------------------------------------------

// What a database would say.
class RecordsInMemory : public ProductRecords {
 public:
  explicit RecordsInMemory(const std::vector<StoredProduct>& rows) : rows_(rows) {}
  std::optional<StoredProduct> Find(std::int64_t id) override {
    return id < 1 || id > static_cast<std::int64_t>(rows_.size())
               ? std::nullopt
               : std::optional(rows_[static_cast<std::size_t>(id) - 1]);
  }
  std::optional<StoredProduct> FindByPath(const std::string&) override { return std::nullopt; }
  state::VerifiedCopies CopiesOf(std::int64_t id) override { return {copies[id], copies[id] > 0 ? "tape:o" : ""}; }
  std::vector<std::int64_t> Parents(std::int64_t id) override { return parents[id]; }
  std::vector<std::int64_t> Children(std::int64_t id) override { return children[id]; }

  std::unordered_map<std::int64_t, int> copies;
  std::unordered_map<std::int64_t, std::vector<std::int64_t>> parents, children;

 private:
  const std::vector<StoredProduct>& rows_;
};

class RetentionPlan : public ::testing::Test {
 protected:
  RetentionPlan() {
    inventory_.records = records_;
    inventory_.roots = {"/s", "/state", "/s/incoming", "/s/ms", "/s/images", "/s/tmp", "/dev/shm/x"};
    inventory_.scratch_roots = {"/s"};
    policy_ = PolicyOf(Settings{});
  }
  std::int64_t Add(const std::string& kind, const std::string& path, double age_days, int copies = 0,
                   std::vector<std::int64_t> parents = {}, const std::string& group = "2025-10-01T00:00:00") {
    StoredProduct row;
    row.id = static_cast<std::int64_t>(inventory_.products.size()) + 1;
    row.kind = kind;
    row.path = path;
    row.group_id = group;
    row.start_mjd = 60000 - age_days;
    row.bytes = 1000;
    row.created_at = row.updated_at = kRetainedAt - age_days * kDay;
    row.present = true;
    inventory_.products.push_back(row);
    records_->copies[row.id] = copies;
    for (const std::int64_t parent : parents) records_->children[parent].push_back(row.id);
    records_->parents[row.id] = std::move(parents);
    if (inventory_.groups.count(group) == 0) inventory_.groups[group] = {true, true, kRetainedAt - age_days * kDay};
    return row.id;
  }
  // Input, Measurement Set and image of a group.
  void AddTile(double age_days, int input_copies = 0, int image_copies = 0,
               const std::string& group = "2025-10-01T00:00:00") {
    const auto input = Add("uvh5", "/s/incoming/" + group + "_sb00.hdf5", age_days, input_copies, {}, group);
    const auto set = Add("science_ms", "/s/ms/science/2025-10-01/" + group + ".ms", age_days, 0, {input}, group);
    Add("image", "/s/images/single/2025-10-01/" + group + ".image", age_days, image_copies, {set}, group);
  }
  std::vector<std::string> Leaving() {
    plan_ = PlanCleanup(inventory_, policy_, selection_, kRetainedAt);
    std::vector<std::string> classes;
    for (const auto& each : plan_.leaving) classes.push_back(each.product_class);
    return classes;
  }
  std::string Kept(const std::string& name) const {
    for (const auto& [of, sums] : plan_.kept) {
      if (of.first == name) return of.second;
    }
    return "";
  }

  Inventory inventory_;
  std::shared_ptr<RecordsInMemory> records_ = std::make_shared<RecordsInMemory>(inventory_.products);
  RetentionPolicy policy_;
  CleanupSelection selection_;
  CleanupPlan plan_;
};

TEST_F(RetentionPlan, ByDefaultNothingEverLeaves) {
  AddTile(10000, 2, 2);
  Add("caltable", "/s/ms/calibrators/x.gpcal", 10000, 2);
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_THAT(plan_.kept, IsEmpty());
}

TEST_F(RetentionPlan, ByAgeWhatIsArchived) {
  policy_.classes["incoming"].days = 7;
  AddTile(8, 1, 0);
  EXPECT_THAT(Leaving(), ElementsAre("incoming"));
  EXPECT_EQ(plan_.leaving[0].rule, "7 d after the group was done; 1 verified copy");
  policy_.copies = 2;
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("incoming"), "1 of 2 copies verified");
  policy_.classes["incoming"].days = 9;
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_THAT(plan_.kept, IsEmpty());
}

TEST_F(RetentionPlan, WhatCanBeMadeAgain) {
  policy_.classes["science_ms"] = {1, Require::kRegenerable};
  AddTile(2, 0);
  EXPECT_THAT(Leaving(), ElementsAre("science_ms"));
  EXPECT_THAT(plan_.leaving[0].rule, HasSubstr("regenerable from what is here"));
  records_->copies[1] = 1;
  Leaving();
  EXPECT_THAT(plan_.leaving[0].rule, HasSubstr("regenerable from archived input"));
  records_->copies[1] = 0;
  inventory_.products[0].present = false;
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("science_ms"), "its input is neither here nor archived");
}

TEST_F(RetentionPlan, NotBothAThingAndWhatItIsMadeOf) {
  policy_.classes["science_ms"] = {1, Require::kRegenerable};
  policy_.classes["incoming"] = {1, Require::kNone};
  AddTile(2);
  EXPECT_THAT(Leaving(), ElementsAre("science_ms"));
  EXPECT_EQ(Kept("incoming"), "something that went can be made again of it alone");
}

TEST_F(RetentionPlan, WhatIsNeverLetGo) {
  for (auto& [name, of] : policy_.classes) of = {1, Require::kNone};
  AddTile(5);
  inventory_.groups.begin()->second = {false, false, kRetainedAt - 5 * kDay};
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("science_ms"), "its group is not done");
  inventory_.groups.begin()->second = {true, true, kRetainedAt - 5 * kDay};
  for (StoredProduct& row : inventory_.products) row.pinned = true;
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("images"), "pinned");
  for (StoredProduct& row : inventory_.products) row.pinned = false;
  EXPECT_THAT(Leaving(), ElementsAre("images", "science_ms", "incoming"));
}

TEST_F(RetentionPlan, TablesOfWhatIsHereStay) {
  policy_.classes["caltables"] = {1, Require::kArchived};
  const auto table = Add("caltable", "/s/ms/calibrators/x.gpcal", 9, 1);
  const auto set = Add("science_ms", "/s/ms/science/2025-10-01/x.ms", 9, 1, {table});
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("caltables"), "something that is here was made with it");
  inventory_.products[static_cast<std::size_t>(set) - 1].present = false;
  EXPECT_THAT(Leaving(), ElementsAre("caltables"));
}

TEST_F(RetentionPlan, MosaicsLeaveByAnAgeOfTheirOwnAndWithTheirCopies) {
  Settings settings;
  settings.retention.require = "none";
  settings.retention.images_days = settings.retention.qa_days = 1;
  settings.retention.min_free_bytes = 1000000;
  policy_ = PolicyOf(settings);
  const std::string name = "2025-10-01T00:00:00_2025-10-01T01:00:00_+16.1";
  Add("mosaic", "/s/images/mosaics/" + name + ".image.fits", 5000, 1, {}, name);
  Add("tiles", "/s/images/mosaics/" + name + ".tiles.fits", 5000, 0, {}, name);
  EXPECT_THAT(Leaving(), IsEmpty()) << "room or not";
  EXPECT_FALSE(plan_.reached());
  settings.retention.mosaics_days = 4000;
  policy_ = PolicyOf(settings);
  EXPECT_THAT(Leaving(), ElementsAre("mosaics"));
  EXPECT_EQ(plan_.leaving[0].rule, "4000 d after it was made; 1 verified copy");
  EXPECT_EQ(Kept("mosaics"), "not archived");
  inventory_.groups[name] = {};
  EXPECT_THAT(Leaving(), IsEmpty()) << "it is being made again";
}

TEST_F(RetentionPlan, TheYoungStayButForWhatArchivedInputGivesAgain) {
  policy_.classes["images"] = {0.001, Require::kArchived};
  policy_.classes["science_ms"] = {0.001, Require::kRegenerable};
  AddTile(0.02, 1, 1);
  EXPECT_THAT(Leaving(), ElementsAre("images", "science_ms")) << "both follow from archived input";
  records_->copies[1] = 0;
  EXPECT_THAT(Leaving(), IsEmpty());
  EXPECT_EQ(Kept("images"), "younger than 3600 s");
}

TEST_F(RetentionPlan, UnderPressureTheOldestLeaveInTheOrderOfClassesAndNoMoreThanNeeded) {
  policy_.classes["science_ms"].require = Require::kRegenerable;
  policy_.pressure_order = {"science_ms", "incoming"};
  for (int day = 1; day <= 4; ++day) AddTile(10 - day, 1, 0, "2025-10-0" + std::to_string(day) + "T00:00:00");
  policy_.min_free_bytes = 5500;
  selection_.free_bytes = 0;
  EXPECT_THAT(Leaving(), ElementsAre("science_ms", "science_ms", "science_ms", "science_ms", "incoming", "incoming"));
  EXPECT_THAT(plan_.leaving[0].path, HasSubstr("10-01"));
  EXPECT_TRUE(plan_.reached());
  selection_.free_bytes = 4000;
  EXPECT_THAT(Leaving(), SizeIs(2));
  policy_.min_free_bytes = 100000;
  Leaving();
  EXPECT_FALSE(plan_.reached());
  inventory_.scratch_roots = {"/elsewhere"};
  EXPECT_THAT(Leaving(), IsEmpty()) << "another disk gives no room here";
}

TEST_F(RetentionPlan, AWeekOfAClassIsMoreThanItsShare) {
  policy_.classes["incoming"].days = 1;
  for (int i = 0; i < 30; ++i) {
    AddTile(i < 10 ? 5 : 0.5, 1, 0, "2025-10-01T00:00:" + std::to_string(10 + i));
  }
  EXPECT_THAT(Leaving(), SizeIs(10));
  EXPECT_EQ(BeyondShare(plan_, 0.25), "incoming");
  EXPECT_EQ(BeyondShare(plan_, 0.5), "");
}

TEST_F(RetentionPlan, ExplainsOneProduct) {
  policy_.classes["incoming"].days = 7;
  AddTile(8, 0);
  const auto said = Explain(inventory_, policy_, selection_, "1", kRetainedAt);
  ASSERT_THAT(said, SizeIs(5));
  EXPECT_THAT(said[0], HasSubstr("class incoming"));
  EXPECT_EQ(said[4], "stays: not archived");
  EXPECT_THAT(Explain(inventory_, policy_, selection_, "/nothing", kRetainedAt), IsEmpty());
}

// A year of a telescope: 100 000 groups as rows.
TEST_F(RetentionPlan, AYear) {
  policy_.classes["incoming"] = {7, Require::kArchived};
  policy_.classes["science_ms"] = {7, Require::kRegenerable};
  policy_.classes["images"] = {90, Require::kArchived};
  for (int i = 0; i < 100000; ++i) {
    const std::string group = UtcTime::FromUnix(kRetainedAt - 365.0 * kDay * (1 - i / 1e5)).Iso8601().substr(0, 19);
    AddTile(365.0 * (1 - i / 1e5), i % 100 == 0 ? 0 : 1, 1, group);
  }
  Leaving();
  std::map<std::string, int> n;
  for (const auto& each : plan_.leaving) ++n[each.product_class];
  EXPECT_NEAR(n["science_ms"], 1e5 * 358 / 365, 10) << "what is not archived is still here";
  EXPECT_NEAR(n["incoming"], 0.99 * 1e5 * 358 / 365, 20);
  EXPECT_NEAR(n["images"], 1e5 * 275 / 365, 10);
  for (const auto& each : plan_.leaving) {
    if (each.product_class == "incoming") {
      EXPECT_GT(records_->copies[*each.product_id], 0);
    }
  }
}

// --- leaving -------------------------------------------------------------------------------------------------------

class PurgeTest : public ::testing::Test {
 protected:
  PurgeTest() : products_(folders_.paths.Database(StateDatabase::kProducts)) {}

  const DirectoryRoots& roots() const { return folders_.paths.roots(); }
  std::int64_t Make(const fs::path& path, bool folder = false) {
    fs::create_directories(folder ? path : path.parent_path());
    std::ofstream(folder ? path / "table.dat" : path) << "12345";
    state::ProductRow row;
    row.kind = folder ? "science_ms" : "image";
    row.path = path.string();
    row.group_id = "2025-10-01T00:00:00";
    row.size_bytes = 5;
    row.checksum = "aa";
    return products_.Save(row, 1);
  }
  void Archive(std::int64_t product) {
    const std::string id = std::to_string(product);
    products_.database().handle().exec(
        "INSERT INTO archives VALUES (" + id + ", 'tape', 'o" + id +
        "', 'images', 'g', 'tar', 5, 'x', 0, '{}', 'verified', 1, '', 1, 1, 1, 1);"
        "INSERT INTO archive_members (archive_id, product_id, member, bytes, sha256, checksum) VALUES (" +
        id + ", " + id + ", 'm', 5, 'x', 'aa')");
  }
  static Leaving Of(std::int64_t id, const fs::path& path) {
    Leaving leaving;
    leaving.product_id = id;
    leaving.product_class = "images";
    leaving.path = path.string();
    leaving.bytes = 5;
    leaving.rule = "90 d after it was made; 1 verified copy";
    leaving.by_age = true;
    return leaving;
  }
  PurgeResult Run(const std::vector<Leaving>& leaving, Os& os = RealOs()) {
    state::RetentionStore store(products_.database());
    RunContext context;
    context.os = &os;
    return Purge(leaving, store, nullptr, roots(), "test", context);
  }

  WorkFolders folders_;
  state::ProductStore products_;
};

TEST_F(PurgeTest, GoesAndIsOnRecord) {
  const fs::path day = roots().images / "single/2025-10-01";
  const fs::path kept_copy = day / "a.image.fits", lost = day / "b.ms";
  const auto a = Make(kept_copy), b = Make(lost, true);
  Archive(a);
  const PurgeResult result = Run({Of(a, kept_copy), Of(b, lost)});
  EXPECT_EQ(result.n_removed, 2);
  EXPECT_EQ(result.bytes, 10);
  EXPECT_THAT(result.failures, IsEmpty());
  EXPECT_EQ(products_.Find(a)->status, "archived");
  EXPECT_EQ(products_.Find(a)->archive_path, "tape:o1");
  EXPECT_EQ(products_.Find(b)->status, "removed");
  EXPECT_FALSE(fs::exists(day)) << "the day is empty";
  state::RetentionStore store(products_.database());
  EXPECT_THAT(store.Open(), IsEmpty());
  EXPECT_EQ(store.RemovedBytes().at("images"), 10);
}

TEST_F(PurgeTest, TouchesNothingOutsideOfTheTree) {
  const fs::path outside = folders_.folder.path() / "outside";
  fs::create_directories(outside);
  std::ofstream(outside / "x.fits") << "precious";
  const fs::path day = roots().images / "single/2025-10-02";
  fs::create_directories(day);
  fs::create_symlink(outside / "x.fits", day / "link.fits");
  fs::create_directory_symlink(outside, roots().images / "single/2025-10-03");
  const auto result =
      Run({Of(Make(day / "link.fits"), day / "link.fits"),
           Of(Make(roots().images / "single/2025-10-03/x.fits"), roots().images / "single/2025-10-03/x.fits"),
           Of(99, outside / "x.fits"), Of(98, roots().images), Of(97, day / "../2025-10-03/x.fits"),
           Of(96, "relative.fits")});
  EXPECT_EQ(result.n_removed, 0);
  EXPECT_THAT(result.failures, SizeIs(6));
  EXPECT_THAT(result.failures[0], HasSubstr("is a link: it stays"));
  EXPECT_THAT(result.failures[1], HasSubstr("lies outside of the tree, through a link"));
  EXPECT_TRUE(fs::exists(outside / "x.fits"));
  EXPECT_TRUE(fs::is_symlink(day / "link.fits"));
}

TEST_F(PurgeTest, LinksWithinAProductAreNotFollowed) {
  const fs::path outside = folders_.folder.path() / "outside";
  fs::create_directories(outside);
  std::ofstream(outside / "x.fits") << "precious";
  const fs::path set = roots().output / "science/2025-10-02/a.ms";
  const auto id = Make(set, true);
  fs::create_directory_symlink(outside, set / "SUB");
  EXPECT_EQ(Run({Of(id, set)}).n_removed, 1);
  EXPECT_FALSE(fs::exists(set));
  EXPECT_TRUE(fs::exists(outside / "x.fits"));
}

TEST_F(PurgeTest, NamesOfAllSorts) {
  std::vector<Leaving> leaving;
  for (const char* name : {"with space.fits", "new\nline.fits", "schön:es.fits", "-rf.fits", "'$(x)'.fits"}) {
    const fs::path path = roots().images / "single/2025-10-04" / name;
    leaving.push_back(Of(Make(path), path));
  }
  const auto result = Run(leaving);
  EXPECT_EQ(result.n_removed, 5);
  EXPECT_THAT(result.failures, IsEmpty());
}

TEST_F(PurgeTest, WhatIsGoneAlreadyIsCounted) {
  const fs::path path = roots().images / "single/2025-10-04/x.fits";
  const auto id = Make(path);
  fs::remove(path);
  const auto result = Run({Of(id, path)});
  EXPECT_EQ(result.n_gone, 1);
  EXPECT_EQ(result.n_removed, 0);
  EXPECT_EQ(products_.Find(id)->status, "present") << "what became of it is the reconciler's question";
}

// A kill at each call that changes the disk, and the run after it: everything that was to leave has left and is on
// record as gone, or is where it was and on record as present.
TEST_F(PurgeTest, AKillAtAnyPointLosesNothing) {
  int n_kills = 0;
  for (const auto fault : {FaultyOs::Fault::kKillBefore, FaultyOs::Fault::kKillAfter}) {
    for (int at = 1; at < 40; ++at) {
      const fs::path day = roots().images / "single" /
                           ("kill" + std::to_string(at) + (fault == FaultyOs::Fault::kKillAfter ? "a" : "b"));
      std::vector<Leaving> leaving;
      for (int i = 0; i < 3; ++i) {
        const fs::path path = day / (std::to_string(i) + ".ms");
        leaving.push_back(Of(Make(path, true), path));
        Archive(*leaving.back().product_id);
      }
      const pid_t child = ::fork();
      ASSERT_GE(child, 0);
      if (child == 0) {
        state::ProductStore products(folders_.paths.Database(StateDatabase::kProducts));
        state::RetentionStore store(products.database());
        FaultyOs os(fault, at);
        RunContext context;
        context.os = &os;
        Purge(leaving, store, nullptr, roots(), "test", context);
        ::_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      if (!WIFSIGNALED(status)) break;
      ++n_kills;
      state::RetentionStore store(products_.database());
      RecoverPurges(store, RealOs());
      EXPECT_THAT(store.Open(), IsEmpty());
      for (const Leaving& each : leaving) {
        const bool there = fs::exists(fs::path(each.path) / "table.dat");
        EXPECT_EQ(products_.Find(*each.product_id)->status, there ? "present" : "archived") << at;
        EXPECT_EQ(fs::exists(each.path), there) << "half there";
      }
      if (fs::exists(day)) {
        for (const auto& entry : fs::directory_iterator(day)) {
          EXPECT_NE(entry.path().filename().string().front(), '.') << entry.path();
        }
      }
    }
  }
  EXPECT_GT(n_kills, 10);
}

TEST_F(PurgeTest, AFailureOfOneStopsNoOther) {
  const fs::path day = roots().images / "single/2025-10-05";
  const auto a = Make(day / "a.fits"), b = Make(day / "b.fits");
  FaultyOs os(FaultyOs::Fault::kFailBefore, 1, EIO);  // the first rename
  const auto result = Run({Of(a, day / "a.fits"), Of(b, day / "b.fits")}, os);
  EXPECT_THAT(result.failures, SizeIs(1));
  EXPECT_EQ(result.n_removed, 1);
  EXPECT_TRUE(fs::exists(day / "a.fits"));
  EXPECT_EQ(products_.Find(a)->status, "present");
  EXPECT_FALSE(fs::exists(day / "b.fits"));
}

// --- guards --------------------------------------------------------------------------------------------------------

class CleanupTest : public PurgeTest {
 protected:
  CleanupRequest Request() const {
    CleanupRequest request{folders_.paths, PolicyOf(Settings{}), {}, true, false, "test"};
    for (auto& [name, of] : request.policy.classes) of = {0.5, Require::kNone};
    request.policy.max_share = 1;
    return request;
  }
  CleanupOutcome Clean(const CleanupRequest& request) { return RunCleanup(request, products_, nullptr, RunContext{}); }
  std::int64_t MakeAged(double days) {
    const fs::path path = roots().images / "single/2025-10-01/2025-10-01T00:00:00.image.fits";
    const auto id = Make(path);
    auto& db = products_.database().handle();
    const double at = UtcTime::Now().unix_s() - days * kDay;
    db.exec("UPDATE products SET created_at = " + std::to_string(at) + ", updated_at = " + std::to_string(at));
    return id;
  }
};

TEST_F(CleanupTest, GoesByPolicy) {
  MakeAged(2);
  const CleanupOutcome outcome = Clean(Request());
  EXPECT_EQ(outcome.refused, "");
  EXPECT_EQ(outcome.purged.n_removed, 1);
  EXPECT_EQ(OutcomeOf(outcome), state::RunOutcome::kOk);
}

TEST_F(CleanupTest, RefusesWithAClockThatIsWrong) {
  MakeAged(-2);
  EXPECT_THAT(Clean(Request()).refused, HasSubstr("is before the newest record"));
  MakeAged(3650);
  EXPECT_THAT(Clean(Request()).refused, HasSubstr("3650 days after the newest record"));
  EXPECT_TRUE(fs::exists(roots().images / "single/2025-10-01/2025-10-01T00:00:00.image.fits"));
  CleanupRequest forced = Request();
  forced.force = true;
  EXPECT_EQ(Clean(forced).purged.n_removed, 1);
}

TEST_F(CleanupTest, RefusesWithRecordsOlderThanTheTree) {
  MakeAged(2);
  const fs::path newer = roots().images / "single/2025-10-07/2025-10-07T00:00:00.image.fits";
  fs::create_directories(newer.parent_path());
  std::ofstream(newer) << "x";
  EXPECT_THAT(Clean(Request()).refused, HasSubstr("was an older state put back?"));
}

TEST_F(CleanupTest, RefusesInATreeThatIsNotMounted) {
  MakeAged(2);
  std::ofstream(roots().state / "identity.json")
      << R"({"identity": "11111111-1111-4111-8111-111111111111", "since": "2025-10-01T00:00:00Z", "complete": true, "roots": [")"
      << roots().scratch.string() << R"("]})";
  EXPECT_THAT(Clean(Request()).refused, HasSubstr("contimg scratch show"));
}

TEST_F(CleanupTest, SaysWhatKeepsTheTarget) {
  MakeAged(2);
  CleanupRequest request = Request();
  request.policy.classes["images"] = {0, Require::kArchived};
  request.policy.min_free_bytes = std::uint64_t{1} << 60;
  const CleanupOutcome outcome = Clean(request);
  EXPECT_THAT(TroubleOf(outcome), HasSubstr("(not archived)"));
  EXPECT_EQ(OutcomeOf(outcome), state::RunOutcome::kFailed);
}

}  // namespace
}  // namespace contimg::ops
