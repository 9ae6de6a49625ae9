#include "ops/daemon/tree_guard.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/settings_loader.h"
#include "state/product_store.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using State = HealthFacts::Tree::State;

class TreeGuardTest : public ::testing::Test {
 protected:
  Settings MakeSettings(const std::string& state, const std::string& scratch = "scratch") {
    Settings settings;
    settings.paths.state_dir = (place_.path() / state).string();
    settings.paths.scratch_dir = (place_.path() / scratch).string();
    settings.paths.staging_dir = (place_.path() / "shm").string();
    return settings;
  }
  // As the daemon does.
  std::unique_ptr<TreeGuard> Start(const Settings& settings) {
    CheckDirectories(settings);
    fs::create_directories(settings.paths.state_dir);
    return std::make_unique<TreeGuard>(settings, RealOs());
  }
  std::string Refusal(const Settings& settings) {
    try {
      Start(settings);
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
  void Record(const Settings& settings, const fs::path& path) {
    state::ProductStore store(ProductPaths(Roots(settings)).Database(StateDatabase::kProducts));
    state::ProductRow row;
    row.kind = "image";
    row.path = path.string();
    row.group_id = "2025-10-13T13:28:03";
    store.Save(row, 1);
  }
  std::size_t CountFiles(const fs::path& folder) {
    std::size_t n = 0;
    for ([[maybe_unused]] const auto& entry : fs::recursive_directory_iterator(folder)) ++n;
    return n;
  }

  const TemporaryFolder place_{"trees"};
};

TEST_F(TreeGuardTest, AFirstStartMarksTheTreeAndLaterOnesDemandIt) {
  const Settings settings = MakeSettings("state");
  std::string identity;
  {
    const auto guard = Start(settings);
    EXPECT_TRUE(guard->well());
    identity = guard->expected().identity;
    EXPECT_EQ(identity.size(), 36u);
    EXPECT_EQ(ReadTreeMarker(settings.paths.scratch_dir)->identity, identity);
    EXPECT_TRUE(fs::is_directory(place_.path() / "scratch/ms/science"));
  }
  EXPECT_EQ(Start(settings)->expected().identity, identity);
  // The disk is not mounted: what is there is an empty directory, and stays one.
  fs::rename(place_.path() / "scratch", place_.path() / "unmounted");
  fs::create_directory(place_.path() / "scratch");
  const std::string words = Refusal(settings);
  EXPECT_THAT(words, HasSubstr("not mounted"));
  EXPECT_THAT(words, HasSubstr(identity));
  EXPECT_THAT(words, HasSubstr("contimg scratch adopt"));
  EXPECT_EQ(CountFiles(place_.path() / "scratch"), 0u);
  fs::remove(place_.path() / "scratch");
  EXPECT_THAT(Refusal(settings), HasSubstr("not mounted"));
  EXPECT_FALSE(fs::exists(place_.path() / "scratch"));
  fs::rename(place_.path() / "unmounted", place_.path() / "scratch");
  EXPECT_EQ(Start(settings)->expected().identity, identity);
}

TEST_F(TreeGuardTest, ChecksChangeNothing) {
  const Settings settings = MakeSettings("state");
  CheckDirectories(settings);
  EXPECT_TRUE(fs::is_empty(place_.path()));
  Start(settings);
  const std::size_t n = CountFiles(place_.path());
  CheckDirectories(settings);
  EXPECT_EQ(CountFiles(place_.path()), n);
}

TEST_F(TreeGuardTest, AnotherStateIsRefusedWhileAndAfterTheFirstWorks) {
  auto first = Start(MakeSettings("first"));
  const Settings second = MakeSettings("second");
  for (const char* words : {"process", "works there now"}) EXPECT_THAT(Refusal(second), HasSubstr(words));
  EXPECT_THAT(Refusal(second), HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(Refusal(second), HasSubstr((place_.path() / "first").string()));
  first.reset();
  EXPECT_THAT(Refusal(second), HasSubstr("last used by process"));
  EXPECT_FALSE(fs::exists(place_.path() / "second"));
  // Nor may it work in a part of the tree, or with a part of its own tree there.
  EXPECT_THAT(Refusal(MakeSettings("second", "scratch/tmp")), HasSubstr("belongs to"));
  Settings part = MakeSettings("second", "other");
  part.paths.output_dir = (place_.path() / "scratch/ms").string();
  EXPECT_THAT(Refusal(part), HasSubstr("expected the output directory"));
  EXPECT_EQ(Refusal(MakeSettings("second", "other")), "");
}

TEST_F(TreeGuardTest, ACopyOfTheStateIsRefusedWhileTheOriginalWorks) {
  const auto first = Start(MakeSettings("first"));
  fs::copy(place_.path() / "first", place_.path() / "copy", fs::copy_options::recursive);
  EXPECT_THAT(Refusal(MakeSettings("copy")),
              HasSubstr("is in use by the state directory " + (place_.path() / "first").string()));
}

TEST_F(TreeGuardTest, RootsOfTheirOwnAreMarkedAndDemanded) {
  Settings settings = MakeSettings("state");
  settings.paths.images_dir = (place_.path() / "pictures").string();
  settings.paths.input_dir = (place_.path() / "in").string();
  Start(settings);
  for (const char* root : {"pictures", "in", "scratch"}) {
    const fs::path path = place_.path() / root;
    EXPECT_TRUE(fs::exists(TreeMarkerFile(path))) << root;
    fs::rename(path, place_.path() / "away");
    fs::create_directory(path);
    EXPECT_THAT(Refusal(settings), HasSubstr(path.string() + ": expected")) << root;
    EXPECT_TRUE(fs::is_empty(path));
    fs::remove(path);
    fs::rename(place_.path() / "away", path);
  }
  EXPECT_FALSE(fs::exists(TreeMarkerFile(place_.path() / "scratch/ms")));
  EXPECT_EQ(Refusal(settings), "");
}

TEST_F(TreeGuardTest, AStateFromBeforeTheMarkersTakesItsTreeWhenItsProductsLieThere) {
  const Settings settings = MakeSettings("state");
  MakeDirectories(settings);
  std::vector<fs::path> products;
  for (int i = 0; i < 10; ++i) {
    products.push_back(place_.path() / "scratch/images" / fmt::format("{}.fits", i));
    std::ofstream(products.back()) << "x";
    Record(settings, products.back());
  }
  for (int i = 0; i < 6; ++i) fs::remove(products[static_cast<std::size_t>(i)]);
  EXPECT_THAT(Refusal(settings), HasSubstr("expected the newest 10 products"));
  EXPECT_THAT(Refusal(settings), HasSubstr("and found 4"));
  EXPECT_FALSE(fs::exists(TreeMarkerFile(place_.path() / "scratch")));
  std::ofstream(products[0]) << "x";
  EXPECT_EQ(Refusal(settings), "");
  EXPECT_TRUE(fs::exists(TreeMarkerFile(place_.path() / "scratch")));
  for (const fs::path& product : products) fs::remove(product);
  EXPECT_EQ(Refusal(settings), "");  // once is enough: the marker speaks from now on
}

TEST_F(TreeGuardTest, AFirstStartThatWasCutShortIsTakenUp) {
  const Settings settings = MakeSettings("state");
  Start(settings);
  StateIdentity identity = *ReadStateIdentity(settings.paths.state_dir);
  identity.complete = false;
  WriteStateIdentity(RealOs(), settings.paths.state_dir, identity);
  fs::remove(TreeMarkerFile(settings.paths.scratch_dir));
  EXPECT_EQ(Refusal(settings), "");
  EXPECT_TRUE(ReadStateIdentity(settings.paths.state_dir)->complete);
  EXPECT_EQ(ReadTreeMarker(settings.paths.scratch_dir)->identity, identity.identity);
}

TEST_F(TreeGuardTest, ADiskThatGoesStopsWorkAndOneThatReturnsLetsItGoOn) {
  const auto guard = Start(MakeSettings("state"));
  GuardedOs os(RealOs(), guard->expected());
  const fs::path scratch = place_.path() / "scratch";
  os.CreateDirectories(scratch / "ms/science/2025-10-13");
  fs::rename(scratch, place_.path() / "away");
  EXPECT_FALSE(guard->AreThere());
  EXPECT_EQ(guard->trees()[0].state, State::kMissing);
  EXPECT_THROW(os.CreateDirectories(scratch / "ms/science/2025-10-14"), Error);
  EXPECT_FALSE(fs::exists(scratch));
  fs::create_directory(scratch);  // the place where it was mounted
  EXPECT_FALSE(guard->AreThere());
  EXPECT_THROW(os.CreateDirectories(scratch / "ms"), Error);
  EXPECT_THROW(os.Create(scratch / "file"), Error);
  EXPECT_TRUE(fs::is_empty(scratch));
  fs::remove(scratch);
  fs::rename(place_.path() / "away", scratch);
  EXPECT_TRUE(guard->AreThere());
  EXPECT_TRUE(IsTreeLocked(scratch));
  os.CreateDirectories(scratch / "ms/science/2025-10-14");
  // A disk of another state in its place.
  fs::rename(scratch, place_.path() / "away");
  Start(MakeSettings("other"));
  EXPECT_FALSE(guard->AreThere());
  EXPECT_EQ(guard->trees()[0].state, State::kForeign);
  EXPECT_THAT(guard->trees()[0].finding, HasSubstr((place_.path() / "other").string()));
  EXPECT_THROW(RequireTrees(guard->expected()), Error);
}

TEST_F(TreeGuardTest, AdoptionIsDeliberate) {
  const Settings first = MakeSettings("first"), second = MakeSettings("second");
  Start(first);
  fs::create_directories(second.paths.state_dir);
  const ProductPaths paths(Roots(second));
  EXPECT_THROW(AdoptTrees(paths, RealOs(), false), Error);
  {
    const auto at_work = Start(first);
    EXPECT_THROW(AdoptTrees(paths, RealOs(), true), Error);
  }
  EXPECT_EQ(AdoptTrees(paths, RealOs(), true).size(), 1u);
  EXPECT_EQ(Refusal(second), "");
  EXPECT_THAT(Refusal(first), HasSubstr("belongs to"));
  // A new disk in place of a broken one.
  fs::remove_all(second.paths.scratch_dir);
  EXPECT_NE(Refusal(second), "");
  MakeDirectories(second);
  AdoptTrees(paths, RealOs(), false);
  EXPECT_EQ(Refusal(second), "");
}

TEST_F(TreeGuardTest, AMarkerThatIsNoneIsNotWrittenOver) {
  const Settings settings = MakeSettings("state");
  fs::create_directories(settings.paths.scratch_dir);
  std::ofstream(TreeMarkerFile(settings.paths.scratch_dir)) << "";
  EXPECT_THAT(Refusal(settings), HasSubstr("expected JSON with an identity and found 0 bytes"));
}

TEST(IsBelow, GoesByNames) {
  EXPECT_TRUE(IsBelow("/a/b", "/a"));
  EXPECT_TRUE(IsBelow("/a/b", "/a/"));
  EXPECT_TRUE(IsBelow("/a", "/a"));
  EXPECT_TRUE(IsBelow("/a/x/../b/c", "/a/b"));
  EXPECT_FALSE(IsBelow("/ab", "/a"));
  EXPECT_FALSE(IsBelow("/a", "/a/b"));
}

}  // namespace
}  // namespace contimg::ops
