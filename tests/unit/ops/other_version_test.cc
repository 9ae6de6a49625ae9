// Every database in another version than this program's, as every page and API route answers.
#include <SQLiteCpp/SQLiteCpp.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/web/web.h"
#include "state/schema/schemas.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {
namespace {

using testing::AnyOf;
using testing::Eq;
using testing::HasSubstr;

// One address of each route; what takes a tail gets one that could be of a record.
std::vector<std::string> Addresses(const HttpRouter& router) {
  std::vector<std::string> addresses;
  for (const HttpRoute& route : router.routes()) {
    addresses.push_back(route.path);
    const std::size_t star = route.path.find('*');
    if (star != std::string::npos) addresses.back().replace(star, 1, "1");
  }
  return addresses;
}

class OtherVersion : public testing::TestWithParam<std::pair<StateDatabase, const state::Schema*>> {};

TEST_P(OtherVersion, IsNoFaultOfTheAskers) {
  const auto& [which, schema] = GetParam();
  for (const bool newer : {false, true}) {
    WorkFolders folders;
    Web web(folders.paths);
    HttpRouter router;
    web.AddRoutes(router);
    web.view().SetStatus(nlohmann::ordered_json::object(), 0);
    const int known = static_cast<int>(schema->migrations.size());
    state::Database(folders.paths.Database(which), *schema)
        .handle()
        .exec(fmt::format("PRAGMA user_version = {}", newer ? known + 1 : known - 1));
    int concerned = 0;
    for (const std::string& address : Addresses(router)) {
      const HttpResponse answer = router.Handle(ParseTarget("GET", address));
      EXPECT_THAT(answer.status, AnyOf(Eq(200), Eq(404), Eq(503))) << address << ": " << answer.body;
      const bool shown = answer.body.find("schema version") != std::string::npos;
      concerned += static_cast<int>(shown);
      if (!shown) continue;
      EXPECT_THAT(answer.body, HasSubstr(newer ? "use a newer contimg" : "start the contimg-stream of this version"));
      EXPECT_TRUE(answer.status == 503 || address.rfind("/api/", 0) != 0) << address << ": " << answer.status;
    }
    EXPECT_GT(concerned, 0);
    // The same service answers as soon as it has been brought up to date.
    SQLite::Database(folders.paths.Database(which).string(), SQLite::OPEN_READWRITE)
        .exec(fmt::format("PRAGMA user_version = {}", known));
    for (const std::string& address : Addresses(router)) {
      EXPECT_THAT(router.Handle(ParseTarget("GET", address)).status, AnyOf(Eq(200), Eq(404))) << address;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryDatabase, OtherVersion,
                         testing::Values(std::pair(StateDatabase::kIngest, &state::IngestSchema()),
                                         std::pair(StateDatabase::kProducts, &state::ProductsSchema()),
                                         std::pair(StateDatabase::kCalRegistry, &state::CalRegistrySchema()),
                                         std::pair(StateDatabase::kMasterSources, &state::MasterSourcesSchema())),
                         [](const auto& each) { return std::string(each.param.second->name); });

}  // namespace
}  // namespace contimg::ops
