// Copies count as long as they are of the products as they are; names of objects are not used twice.
#include "state/archive_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "state/product_store.h"
#include "tests/unit/state/temporary_database.h"

namespace contimg::state {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ArchiveStoreTest : public ::testing::Test {
 protected:
  std::int64_t Product(const std::string& path, const std::string& checksum) {
    ProductRow row;
    row.kind = "image";
    row.path = path;
    row.group_id = "g1";
    row.size_bytes = 100;
    row.checksum = checksum;
    return products_.Save(row, 5);
  }
  static ArchiveRow Object(const std::string& remote, const std::string& name, const std::string& sha256) {
    ArchiveRow row;
    row.remote = remote;
    row.object = name;
    row.product_class = "images";
    row.group_id = "g1";
    row.bytes = 1000;
    row.sha256 = sha256;
    row.manifest_json = R"({"format": 1})";
    row.made_at = 10;
    return row;
  }
  std::vector<std::string> Missing(const std::string& remote) {
    std::vector<std::string> paths;
    for (const ProductRow& row : products_.WithoutCopyAt(remote)) paths.push_back(row.path);
    return paths;
  }

  TemporaryDatabase place_;
  ProductStore products_{place_.path()};
  ArchiveStore store_{products_.database()};
};

TEST_F(ArchiveStoreTest, ACopyCountsWhenItIsThereAndOfTheProductAsItIs) {
  const auto a = Product("/a", "1111"), b = Product("/b", "2222");
  const auto id =
      store_.Save(Object("lake", "images/x.tar", "aa"), {{a, "a", 10, "s", "1111"}, {b, "b", 20, "t", "2222"}});
  EXPECT_THAT(Missing("lake"), ElementsAre("/a", "/b")) << "staged is no copy";
  store_.SetState(id, ArchiveState::kCopied, "", 20);
  EXPECT_THAT(Missing("lake"), IsEmpty());
  EXPECT_THAT(Missing("tape"), ElementsAre("/a", "/b"));
  EXPECT_EQ(store_.Backlog(1)["image"].n, 2);
  store_.SetState(id, ArchiveState::kVerified, "", 30);
  EXPECT_THAT(store_.Backlog(1), IsEmpty());
  EXPECT_EQ(store_.Backlog(2)["image"].bytes, 200);
  ASSERT_THAT(store_.CopiesOf(a), SizeIs(1));
  EXPECT_EQ(store_.CopiesOf(a)[0].manifest_json, "{}") << "they are long";
  EXPECT_EQ(store_.Find(store_.CopiesOf(a)[0].id)->manifest_json, R"({"format": 1})");
  EXPECT_EQ(store_.CopiesOf(a)[0].copied_at, 20);
  EXPECT_EQ(store_.CopiesOf(a)[0].verified_at, 30);
  EXPECT_THAT(store_.Members(id), SizeIs(2));

  Product("/a", "3333");  // made anew
  EXPECT_THAT(Missing("lake"), ElementsAre("/a"));
  EXPECT_THAT(store_.CopiesOf(a), IsEmpty());
  EXPECT_EQ(store_.RetireSuperseded(), 0) << "b is in it";
  Product("/b", "4444");
  EXPECT_EQ(store_.RetireSuperseded(), 1);
  EXPECT_EQ(store_.Find(id)->state, ArchiveState::kRetired);
  EXPECT_EQ((store_.Totals()[{"lake", ArchiveState::kRetired}].n), 1);
}

TEST_F(ArchiveStoreTest, ALossyCopyCountsWhereItIsAskedForAlone) {
  const auto a = Product("/a", "1111"), b = Product("/b", "2222");
  ArchiveRow row = Object("lake", "images/x.tar", "aa");
  row.lossy = true;
  const auto id = store_.Save(row, {{a, "a", 10, "s", "1111", true}, {b, "b", 20, "t", "2222", false}});
  store_.SetState(id, ArchiveState::kVerified, "", 30);
  EXPECT_THAT(Missing("lake"), ElementsAre("/a")) << "of one object, one member";
  EXPECT_THAT(products_.WithoutCopyAt("lake", true), IsEmpty());
  EXPECT_EQ(store_.Backlog(1)["image"].n, 1);
  EXPECT_THAT(store_.Backlog(1, true), IsEmpty());
  EXPECT_TRUE(store_.CopiesOf(a)[0].lossy);
  EXPECT_FALSE(store_.CopiesOf(b)[0].lossy);
  // Of products that went, the lossy copy is what is left: another remote gets it from there.
  products_.SetStatus(a, "removed", "", 40);
  EXPECT_THAT(store_.SourcesFor("tape"), SizeIs(1));
  // A lossless one comes first, and when it is lost the lossy one does not make that good.
  const auto better = store_.Save(Object("lake", "images/x.2.tar", "bb"), {{a, "a", 40, "u", "1111", false}});
  store_.SetState(better, ArchiveState::kVerified, "", 50);
  products_.SetStatus(a, "present", "", 50);
  ASSERT_THAT(store_.CopiesOf(a), SizeIs(2));
  EXPECT_FALSE(store_.CopiesOf(a)[0].lossy);
  store_.SetState(better, ArchiveState::kLost, "gone", 60);
  ASSERT_THAT(store_.NotMadeGood(), SizeIs(1));
  EXPECT_EQ(store_.NotMadeGood()[0].object, "images/x.2.tar");
}

TEST_F(ArchiveStoreTest, ALostCopyCountsNoMoreAndItsNameIsTaken) {
  const auto a = Product("/a", "1111");
  const auto id = store_.Save(Object("lake", "images/x.tar", "aa"), {{a, "a", 10, "s", "1111"}});
  store_.SetState(id, ArchiveState::kVerified, "", 20);
  store_.SetState(id, ArchiveState::kLost, "gone", 30);
  EXPECT_THAT(Missing("lake"), ElementsAre("/a"));
  EXPECT_EQ(store_.Find("lake", "images/x.tar")->error, "gone");
  EXPECT_THROW(store_.Save(Object("lake", "images/x.tar", "bb"), {}), Error);
  EXPECT_EQ(store_.Save(Object("lake", "images/x.tar", "aa"), {{a, "a", 10, "s", "1111"}}), id)
      << "the same content again";
  EXPECT_THAT(store_.OfGroup("g1", "images"), SizeIs(1));
}

TEST_F(ArchiveStoreTest, WhatWasOnlyStagedMayBeStagedAnew) {
  const auto a = Product("/a", "1111");
  const auto id = store_.Save(Object("lake", "images/x.tar", "aa"), {{a, "a", 10, "s", "1111"}});
  store_.SetAttempt(id, "no answer");
  EXPECT_EQ(store_.Find(id)->attempts, 1);
  EXPECT_EQ(store_.Save(Object("lake", "images/x.tar", "bb"), {{a, "a", 10, "u", "1111"}}), id);
  EXPECT_EQ(store_.Find(id)->sha256, "bb");
  EXPECT_EQ(store_.Members(id)[0].sha256, "u");
}

TEST_F(ArchiveStoreTest, WhatWasNotReadForLongestComesFirst) {
  const auto a = Product("/a", "1111"), b = Product("/b", "2222");
  Product("/c", "");
  const auto x = store_.Save(Object("lake", "x", "aa"), {}), y = store_.Save(Object("lake", "y", "bb"), {});
  store_.SetState(x, ArchiveState::kCopied, "", 20);
  store_.SetState(y, ArchiveState::kCopied, "", 20);
  store_.SetChecked(x, 50);
  EXPECT_EQ(store_.LeastRecentlyChecked().front().id, y);
  products_.SetChecked(a, 50);
  ASSERT_THAT(products_.LeastRecentlyChecked(10), SizeIs(2)) << "one without a checksum cannot be checked";
  EXPECT_EQ(products_.LeastRecentlyChecked(1)[0].id, b);
  products_.SetFirstChecksum(a, "9999", 60);
  EXPECT_EQ(products_.Find(a)->checksum, "1111");
  EXPECT_THAT(store_.List({}), SizeIs(2));
  EXPECT_THAT(store_.List({"tape", "", "", {}, 0}), IsEmpty());
  EXPECT_EQ(store_.List({"", "", "", {}, 1})[0].id, y) << "newest first";
}

}  // namespace
}  // namespace contimg::state
