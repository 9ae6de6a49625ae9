#include "ops/api/mosaic_api.h"

#include <gmock/gmock.h>

#include "tests/unit/ops/mosaic_site.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class MosaicApi : public MosaicSite {
 protected:
  MosaicApi() { Fill(); }
  std::vector<std::string> Names(const std::string& query) {
    std::vector<std::string> names;
    const json answer = GetJson("/api/v1/mosaics?" + query);
    for (const json& row : answer["mosaics"]) names.push_back(row["name"]);
    return names;
  }
};

class EmptyMosaicApi : public MosaicSite {};
TEST_F(EmptyMosaicApi, HasAListWithoutRows) {
  EXPECT_EQ(GetJson("/api/v1/mosaics")["mosaics"], json::array());
  EXPECT_TRUE(GetJson("/api/v1/mosaics")["next_after"].is_null());
  EXPECT_EQ(Get("/api/v1/mosaics/x").status, 404);
}

TEST_F(MosaicApi, ListsWhatIsAskedFor) {
  EXPECT_THAT(Names(""), ElementsAre(kOpen, kFailed, kDeep, kThird, kSecond, kFirst));
  EXPECT_THAT(Names("kind=deep"), ElementsAre(kDeep));
  EXPECT_THAT(Names("reference=yes"), ElementsAre(kDeep));
  EXPECT_THAT(Names("state=failed"), ElementsAre(kFailed));
  EXPECT_THAT(Names("strip=54"), ElementsAre(kOpen, kFailed));
  EXPECT_THAT(Names("strip=16.1&kind=hourly"), ElementsAre(kThird, kSecond, kFirst));
  EXPECT_THAT(Names("group=2025-10-14T23:40:00"), ElementsAre(kDeep, kSecond));
  EXPECT_THAT(Names("group=%27%20OR%201=1;--"), ElementsAre());
  // Windows with that sidereal time; the first strip's go over 24 h.
  EXPECT_THAT(Names("lst=23.75&kind=hourly"), ElementsAre(kThird, kSecond, kFirst));
  EXPECT_THAT(Names("lst=0.25&kind=hourly"), ElementsAre(kThird, kSecond, kFirst));
  EXPECT_THAT(Names("lst=24&kind=deep"), ElementsAre(kDeep));
  EXPECT_THAT(Names("lst=2.5"), ElementsAre(kFailed));
  EXPECT_THAT(Names("lst=12"), ElementsAre());
  // Data that end then or later, data that begin before (MJD 61001 is 2025-11-22).
  EXPECT_THAT(Names("kind=hourly&strip=16.1&from=2025-11-22T00:00:00&before=2025-11-23"), ElementsAre(kSecond));
}

TEST_F(MosaicApi, TheListGoesOnBehindTheLast) {
  std::vector<std::string> names;
  std::string after;
  for (int i = 0; i < 10; ++i) {
    const json page = GetJson("/api/v1/mosaics?limit=2" + (after.empty() ? "" : "&after=" + after));
    for (const json& row : page["mosaics"]) names.push_back(row["name"]);
    if (page["next_after"].is_null()) break;
    after = page["next_after"];
    if (i == 1) after = Encoded(after);  // both ways: people paste it as it is
  }
  EXPECT_THAT(names, ElementsAre(kOpen, kFailed, kDeep, kThird, kSecond, kFirst));
  EXPECT_THAT(Get("/api/v1/mosaics?after=x").body, HasSubstr("expected the name of a mosaic on record"));
}

TEST_F(MosaicApi, OneHasTilesReasonsProductsAndItsWindow) {
  const json value = GetJson("/api/v1/mosaics/" + std::string(kSecond));
  EXPECT_EQ(GetJson("/api/v1/mosaics/" + Encoded(kSecond)), value);
  EXPECT_EQ(value["name"], kSecond);
  EXPECT_EQ(value["grade"], "B");
  EXPECT_EQ(value["tiles_used"], 1);
  EXPECT_EQ(value["tiles_refused"], 1);
  EXPECT_EQ(value["reasons"], json::array({"fluxes: 0.12, limit 0.1"}));
  ASSERT_EQ(value["tiles"].size(), 2u);
  EXPECT_EQ(value["tiles"][0]["scale"], 0.998);
  EXPECT_EQ(value["tiles"][0]["scale_error"], 0.0021);
  EXPECT_TRUE(value["tiles"][0]["refusal"].is_null());
  EXPECT_EQ(value["tiles"][1]["group"], kSpoiled);
  EXPECT_EQ(value["tiles"][1]["refusal"], "scale");
  EXPECT_EQ(value["tiles"][1]["why"], "its fluxes are 0.69 of the others'");
  EXPECT_EQ(value["tiles"][1]["references"], 41);
  ASSERT_EQ(value["products"].size(), 4u);
  for (const json& product : value["products"]) {
    if (product["kind"] == "mosaic.residual") {
      EXPECT_TRUE(product["file"].is_null());  // a casacore image is a folder
      continue;
    }
    const HttpResponse file = Get(product["file"].get<std::string>());
    EXPECT_EQ(file.status, 200) << product["file"];
    EXPECT_EQ(file.body, "x");
  }
  std::vector<std::string> window;
  for (const json& row : value["same_window"]) window.push_back(row["name"]);
  EXPECT_THAT(window, ElementsAre(kDeep, kThird, kFirst));
}

TEST_F(MosaicApi, WhatLeftTheDiskHasNoFile) {
  const json before = GetJson("/api/v1/mosaics/" + std::string(kFirst));
  for (const json& product : before["products"]) {
    products_->SetStatus(product["id"].get<std::int64_t>(), "archived", "glacier:a.zip", 1760000001);
  }
  const json after = GetJson("/api/v1/mosaics/" + std::string(kFirst));
  for (const json& product : after["products"]) {
    EXPECT_TRUE(product["file"].is_null());
    EXPECT_EQ(product["archive_path"], "glacier:a.zip");
  }
}

TEST_F(MosaicApi, RefusesWhatMeansNothingInOneSentence) {
  for (const char* query : {"kind=odd",   "state=odd",         "strip=91",
                            "strip=nan",  "strip=x",           "lst=25",
                            "lst=-1",     "lst=inf",           "from=soon",
                            "before=%00", "reference=perhaps", "limit=0",
                            "limit=-1",   "limit=1e9",         "limit=99999999999999999999",
                            "after=x",    "after=%27",         "after=..%2f..%2fetc",
                            "spam=1",     "kind=%3Cb%3E"}) {
    for (const char* route : {"/api/v1/mosaics?", "/mosaics?"}) {
      const HttpResponse response = Get(route + std::string(query));
      EXPECT_EQ(response.status, 400) << route << query << ": " << response.body.substr(0, 300);
      if (response.content_type.find("html") != std::string::npos) {
        EXPECT_EQ(response.body.find("<b>"), std::string::npos) << query;
      }
    }
  }
  EXPECT_EQ(GetJson("/api/v1/mosaics?limit=999999999")["mosaics"].size(), 6u);
  for (const char* name : {"..", "%2e%2e%2f%2e%2e", "a%2fb", "%00", "%27%20OR%201=1;--", "%22%3E%3Cscript%3E", "1",
                           "2025-10-13T23:30:00_2025-10-14T00:30:00_+16.1/x"}) {
    for (const char* route : {"/api/v1/mosaics/", "/mosaics/"}) {
      const HttpResponse response = Get(route + std::string(name));
      EXPECT_EQ(response.status, 404) << route << name;
      if (response.content_type.find("html") != std::string::npos) {
        EXPECT_EQ(response.body.find("><script>"), std::string::npos) << name;
      }
    }
  }
}

}  // namespace
}  // namespace contimg::ops
