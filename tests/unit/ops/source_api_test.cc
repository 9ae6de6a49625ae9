#include "ops/api/source_api.h"

#include <gmock/gmock.h>

#include "tests/unit/ops/source_site.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

class SourceApi : public SourceSite {
 protected:
  SourceApi() { Fill(); }
  std::vector<std::int64_t> Listed(const std::string& query, const char* what = "sources") {
    std::vector<std::int64_t> ids;
    const json answer = GetJson("/api/v1/" + std::string(what) + "?" + query);
    for (const json& row : answer[what]) ids.push_back(row["source_id"]);
    return ids;
  }
};

class EmptySourceApi : public SourceSite {};
TEST_F(EmptySourceApi, HasListsWithoutRows) {
  EXPECT_EQ(GetJson("/api/v1/sources")["sources"], json::array());
  EXPECT_EQ(GetJson("/api/v1/variables")["variables"], json::array());
  EXPECT_EQ(Get("/api/v1/sources/1").status, 404);
  EXPECT_EQ(Get("/api/v1/lightcurves/1").status, 404);
}

TEST_F(SourceApi, FindsByNameHoweverItIsSpelt) {
  EXPECT_EQ(variable_.name, "DSA J000128.0+161203");
  for (const char* words : {"DSA+J000128.0%2B161203", "DSA+J000128.0+161203", "dsa+j000128.0%2B161203",
                            "J000128.0%2B161203", "++j000128.0%2b161203+"}) {
    EXPECT_THAT(Listed("q=" + std::string(words)), ElementsAre(variable_.id)) << words;
  }
  EXPECT_THAT(Listed("q=J0001"), ElementsAre(variable_.id, blend_.id));
  EXPECT_THAT(Listed("q=nvss+235959%2B160000"), ElementsAre(constant_.id));
  EXPECT_THAT(Listed("q=235959%2B160000"), ElementsAre(constant_.id));
  for (const char* words : {"nothing", "%27%20OR%201=1;--", "%3Cscript%3E", "%00", "400+16", "%FF%FE", "%25", "J%25"}) {
    EXPECT_TRUE(Listed("q=" + std::string(words)).empty()) << words;
  }
  EXPECT_TRUE(Listed("q=" + std::string(5000, 'J')).empty());
}

TEST_F(SourceApi, FindsByPlaceAcross0hAndAtThePole) {
  for (const char* place : {"0.3667+16.2011", "0.3667,16.2011", "00:01:28.008+%2B16:12:03.96",
                            "00+01+28.008+%2B16+12+03.96", "00h01m28.008s%2B16d12m03.96s"}) {
    EXPECT_THAT(Listed("q=" + std::string(place)), ElementsAre(variable_.id, blend_.id)) << place;
  }
  EXPECT_THAT(Listed("at=0,16&radius_deg=0.5"), ElementsAre(constant_.id, variable_.id, blend_.id));
  EXPECT_THAT(Listed("at=360,16&radius_deg=0.01"), ElementsAre(constant_.id));
  EXPECT_THAT(Listed("at=20,90&radius_deg=0.2"), ElementsAre(polar_.id));
  EXPECT_THAT(Listed("at=20,89.95&radius_deg=0.2"), ElementsAre(polar_.id));
  EXPECT_TRUE(Listed("at=0,-90&radius_deg=5").empty());
  const json near = GetJson("/api/v1/sources?at=0.3667,16.2011")["sources"];
  EXPECT_NEAR(near[1]["separation_arcsec"].get<double>(), 36, 0.01);
}

TEST_F(SourceApi, FiltersAndSorts) {
  EXPECT_THAT(Listed(""), ElementsAre(variable_.id, blend_.id, never_.id, polar_.id, constant_.id));  // by name
  EXPECT_THAT(Listed("sort=newest"), ElementsAre(polar_.id, never_.id, blend_.id, variable_.id, constant_.id));
  EXPECT_THAT(Listed("sort=flux"), ElementsAre(constant_.id, variable_.id, blend_.id));
  EXPECT_EQ(Listed("sort=eta&limit=1"), std::vector{variable_.id});
  EXPECT_THAT(Listed("sort=v&limit=1"), ElementsAre(variable_.id));
  EXPECT_THAT(Listed("origin=detection"), ElementsAre(variable_.id, blend_.id));
  EXPECT_THAT(Listed("min_flux_jy=0.01&max_flux_jy=0.1&min_n=1"), ElementsAre(variable_.id));
  EXPECT_THAT(Listed("min_flux_jy=0.4"), ElementsAre(constant_.id));
  EXPECT_THAT(Listed("eta=10"), ElementsAre(variable_.id));
  EXPECT_THAT(Listed("v=0.2"), ElementsAre(variable_.id));
  EXPECT_THAT(Listed("p=1e-6&min_n=5"), ElementsAre(variable_.id));
  EXPECT_TRUE(Listed("min_n=6").empty());
  EXPECT_TRUE(Listed("since=2026-02-20").empty());
  EXPECT_THAT(Listed("group=2026-01-25T00:00:00"), ElementsAre(constant_.id));
  EXPECT_THAT(Listed("group=2026-01-21T00:00:00&flags=blend,edge"), ElementsAre(blend_.id));
  EXPECT_THAT(Listed("group=2026-01-25T00:00:00&flags=bad_tile"), ElementsAre(constant_.id));  // of the tile
  EXPECT_THAT(Listed("group=2026-01-21T00:00:00&at=0,16&radius_deg=0.1"), ElementsAre(constant_.id));
  EXPECT_TRUE(Listed("group=%27%3B--").empty());
}

TEST_F(SourceApi, ListsGoOnBehindTheLast) {
  for (const char* sort : {"name", "newest", "flux", "eta", "v", "distance"}) {
    const std::string query =
        std::string("sort=") + sort + (std::string(sort) == "distance" ? "&at=0,16&radius_deg=1" : "");
    const std::vector<std::int64_t> all = Listed(query);
    ASSERT_GE(all.size(), 3u);
    std::vector<std::int64_t> one_by_one;
    json after;
    do {
      const json answer = GetJson("/api/v1/sources?" + query + "&limit=1" +
                                  (after.is_null() ? "" : "&after=" + std::to_string(after.get<std::int64_t>())));
      after = answer["next_after"];
      if (!after.is_null()) one_by_one.push_back(answer["sources"][0]["source_id"]);
    } while (!after.is_null());
    EXPECT_EQ(one_by_one, all) << sort;
  }
}

TEST_F(SourceApi, VariablesComeWithTheLargestEtaFirst) {
  const json rows = GetJson("/api/v1/variables")["variables"];
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0]["source_id"], variable_.id);
  EXPECT_EQ(rows[0]["n"], 5);
  EXPECT_NEAR(rows[0]["max_jy"].get<double>(), 0.04, 1e-9);
  EXPECT_THAT(Listed("p=1e-5", "variables"), ElementsAre(variable_.id));
}

TEST_F(SourceApi, OneSourceHasStatisticsNeighboursAndCatalogueMatches) {
  const json source = GetJson("/api/v1/sources/" + std::to_string(variable_.id));
  EXPECT_EQ(source["name"], variable_.name);
  ASSERT_EQ(source["statistics"].size(), 2u);
  EXPECT_EQ(source["statistics"][0]["level"], "tile");
  ASSERT_EQ(source["neighbours"].size(), 1u);
  EXPECT_EQ(source["neighbours"][0]["source_id"], blend_.id);
  EXPECT_EQ(source["catalogues"], json::array());
  const json constant = GetJson("/api/v1/sources/DSA%20J235959.3+160001");
  ASSERT_EQ(constant["catalogues"].size(), 1u);
  EXPECT_EQ(constant["catalogues"][0]["source_id"], constant_.id);
  EXPECT_EQ(constant["catalogues"][0]["name"], "235959+160000");
  for (const char* word : {"0", "99", "-1", "7x", "1e3", "99999999999999999999", "%00", "%3Cscript%3E", "x/y", "%27"}) {
    EXPECT_EQ(Get("/api/v1/sources/" + std::string(word)).status, 404) << word;
  }
}

TEST_F(SourceApi, LightCurvesComeInEveryForm) {
  const std::string address = "/api/v1/lightcurves/" + std::to_string(constant_.id);
  const json curve = GetJson(address);
  EXPECT_EQ(curve["source"], constant_.name);
  ASSERT_EQ(curve["points"].size(), 5u);  // without that of the bad tile
  EXPECT_EQ(curve["points"][1]["product"], "2026-01-21T00:00:00");
  EXPECT_EQ(GetJson(address + "?quality=none")["points"].size(), 6u);
  EXPECT_EQ(GetJson(address + "?level=transit")["points"][0]["tiles"], 1);
  EXPECT_EQ(GetJson(address + "?level=night&normalised=yes")["normalised"], "yes");
  EXPECT_EQ(GetJson(address + "?from=2026-01-22&to=2026-01-24")["points"].size(), 2u);
  const HttpResponse csv = Get(address + "?format=csv");
  EXPECT_EQ(csv.content_type, "text/csv; charset=utf-8");
  EXPECT_THAT(csv.body, StartsWith("mjd,bmjd_tdb,flux_jy,flux_error_jy,flags,"));
  EXPECT_THAT(csv.headers[0].second, HasSubstr("filename=\"DSA_J235959.3+160001.csv\""));
  EXPECT_THAT(Get(address + "?format=votable").body, HasSubstr("<VOTABLE"));
  const HttpResponse fits = Get(address + "?format=fits");
  EXPECT_THAT(fits.body, StartsWith("SIMPLE  ="));
  EXPECT_EQ(fits.body.size() % 2880, 0u);
  EXPECT_THAT(Get("/api/v1/sources?format=csv").body, StartsWith("source_id,name,ra_deg,dec_deg,"));
  for (const char* query : {"level=year", "normalised=perhaps", "quality=odd", "kind=odd", "from=soon", "format=xml",
                            "dataset=none", "dataset=x&level=tile", "levels=tile", "quality=99999999999"}) {
    const HttpResponse response = Get(address + "?" + query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_TRUE(json::parse(response.body).contains("error")) << response.body;
  }
  EXPECT_TRUE(GetJson("/api/v1/lightcurves/" + std::to_string(never_.id))["points"].empty());
}

TEST_F(SourceApi, RefusesWhatMeansNothingInOneSentence) {
  for (const std::string& query : HostileSourceQueries()) {
    for (const char* list : {"sources", "variables"}) {
      const HttpResponse response = Get("/api/v1/" + std::string(list) + "?" + query);
      EXPECT_EQ(response.status, 400) << list << " " << query << ": " << response.body;
      const json answer = json::parse(response.body);
      EXPECT_EQ(answer.size(), 1u);
      EXPECT_FALSE(answer["error"].get<std::string>().empty());
    }
  }
}

}  // namespace
}  // namespace contimg::ops
