#include "ops/web/mosaic_pages.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>

#include "state/group_store.h"
#include "state/task_store.h"
#include "tests/unit/ops/mosaic_site.h"

namespace contimg::ops {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class MosaicPages : public MosaicSite {
 protected:
  MosaicPages() { Fill(); }
  std::string PageOf(const std::string& name) {
    const HttpResponse response = Get("/mosaics/" + name);
    EXPECT_EQ(response.status, 200) << response.body;
    return response.body;
  }
};

class EmptyMosaicPages : public MosaicSite {};
TEST_F(EmptyMosaicPages, SayWhereMosaicsComeFrom) {
  EXPECT_THAT(Get("/mosaics").body, HasSubstr("at least two tiles"));
  SetEnabled(false);
  EXPECT_THAT(Get("/mosaics").body, AllOf(HasSubstr("mosaic.enabled"), HasSubstr("contimg mosaic --state --lst")));
  EXPECT_EQ(Get("/mosaics/x").status, 404);
}

TEST_F(MosaicPages, AListLeadsToMosaicsAndMarksTheReference) {
  const std::string list = Get("/mosaics").body;
  for (const char* words :
       {"<a class=\"id\" href=\"/mosaics/2025-10-13T23:30:00_2025-10-14T00:30:00_%2B16.1\">", ">reference</span>",
        "+16.1°", "23:30–00:30", "310 µJy", "12.3", "being made", "failed", "no tile is left &lt;b&gt;",
        "/thumbnails/mosaics/", "href=\"/mosaics?strip=54.0\"", "/api/v1/mosaics"}) {
    EXPECT_THAT(list, HasSubstr(words));
  }
  EXPECT_THAT(Get("/mosaics?strip=54.0").body, Not(HasSubstr("/mosaics/2025-10-13")));
  EXPECT_THAT(Get("/mosaics?limit=2&kind=hourly").body,
              HasSubstr("/mosaics?after=2025-10-16T02:00:00_2025-10-16T03:00:00_%2B54.0&amp;kind=hourly&amp;limit=2"));
  EXPECT_THAT(Get("/mosaics?kind=deep&strip=54").body, HasSubstr("No mosaic fits."));
  EXPECT_THAT(Get("/mosaics?group=2025-10-14T23:40:00").body, HasSubstr("href=\"/groups/2025-10-14T23:40:00\""));
}

TEST_F(MosaicPages, AListSaysWhichWindowsHaveNoMosaic) {
  const std::string page = Get("/mosaics?from=2025-11-23T00:00:00&before=2025-11-25T00:00:00").body;
  EXPECT_THAT(page, AllOf(HasSubstr("3 windows: 1 made, 1 failed, 1 being made"), HasSubstr("1 of 1 made"),
                          HasSubstr("no tile is left &lt;b&gt;"), HasSubstr("from=2025-11-22T00:00:00"),
                          HasSubstr("from=2025-11-25T00:00:00")));
  EXPECT_THAT(Get("/mosaics?from=2025-11-23&before=2025-11-25&strip=54").body, HasSubstr("2 windows: 1 failed"));
  EXPECT_THAT(Get("/mosaics?kind=deep").body, Not(HasSubstr("Windows of sidereal time")));
  EXPECT_THAT(Get("/mosaics?from=2026-10-16").body, Not(HasSubstr("Windows of sidereal time")));
  const auto windows = GetJson("/api/v1/mosaic-windows?from=2025-11-23&before=2025-11-25");
  ASSERT_EQ(windows["windows"].size(), 3u);
  EXPECT_EQ(windows["windows"][1]["state"], "failed");
  EXPECT_EQ(Get("/api/v1/mosaic-windows?from=2025-10-16&before=2026-10-17").status, 400);
}

TEST_F(MosaicPages, OneWhoseTaskWasGivenUpIsNotBeingMade) {
  state::GroupStore groups(folders_.paths.Database(StateDatabase::kIngest));
  state::TaskStore tasks(groups.database());
  const std::string id = tasks.Create("mosaic", kOpen, "test", "", 1).id;
  ASSERT_TRUE(tasks.Take(id, "test", 10, 2));
  state::TransitionDetails details;
  details.actor = "test";
  details.error_kind = ErrorKind::kCrash;
  details.error = "it ended by signal 9";
  tasks.Transition(id, state::WorkState::kDead, details, 3);
  EXPECT_THAT(PageOf(kOpen), AllOf(HasSubstr("It was not made."), HasSubstr("it ended by signal 9"),
                                   HasSubstr("contimg queue requeue"), Not(HasSubstr("being made"))));
  EXPECT_THAT(Get("/mosaics?state=open").body, Not(HasSubstr("<span class=\"badge running\">being made")));
}

TEST_F(MosaicPages, APageShowsPictureTilesFiguresWindowAndFiles) {
  const std::string page = PageOf(kSecond);
  for (const char* words :
       {"/images/mosaics/2025-10-14T23:26:04_2025-10-15T00:26:04_%2B16.1.qa.png?v=", "1 tile in it, 1 left out",
        "Version 1", "href=\"/groups/2025-10-14T23:40:00\"", "left out</span> <span class=\"kind\">scale</span>",
        "0.6900 ± 0.0021", "41 sources", "its fluxes are 0.69 of the others&#39;", "310 µJy/beam", "12.3 deg²",
        "34.4″ × 16.4″", "1400.0 MHz", "missed: B", "The same window", "contimg products reproduce", ".image.fits?v=",
        "/api/v1/mosaics/2025-10-14T23:26:04_2025-10-15T00:26:04_%2B16.1", "rel=\"prev\"", "rel=\"next\""}) {
    EXPECT_THAT(page, HasSubstr(words)) << words;
  }
  EXPECT_THAT(PageOf(kDeep), HasSubstr("reference</span>"));
  EXPECT_THAT(PageOf(kOpen), HasSubstr("It is being made."));
  EXPECT_THAT(PageOf(kFailed), AllOf(HasSubstr("contimg queue requeue"), HasSubstr("no tile is left &lt;b&gt;")));
}

TEST_F(MosaicPages, LeadToTheNextOneHoweverLate) {
  const auto later_of = [&](const char* name) {
    const std::string page = PageOf(name);
    const std::size_t at = page.find("rel=\"next\"");
    if (at == std::string::npos) return std::string();
    const std::size_t begin = page.rfind("/mosaics/", at);
    return page.substr(begin, page.find('"', begin) - begin);
  };
  EXPECT_EQ(later_of(kThird), "");
  state::MosaicStore store(products_->database());
  for (const auto& [name, mjd] : {std::pair{"2026-02-11T23:00:00_2026-02-12T00:00:00_+16.1", 61082.9},
                                  {"2027-02-11T23:00:00_2027-02-12T00:00:00_+16.1", 61447.9},
                                  {"2026-01-11T23:00:00_2026-01-12T00:00:00_+54.0", 61051.9}}) {
    store.Close(Row(name, "hourly", mjd == 61051.9 ? 54 : 16.1, mjd, 23.5), {}, 1760000000);
  }
  EXPECT_EQ(later_of(kFirst), MosaicAddress(kSecond));
  EXPECT_EQ(later_of(kThird), MosaicAddress("2026-02-11T23:00:00_2026-02-12T00:00:00_+16.1"));
  EXPECT_EQ(later_of("2026-02-11T23:00:00_2026-02-12T00:00:00_%2B16.1"),
            MosaicAddress("2027-02-11T23:00:00_2027-02-12T00:00:00_+16.1"));
  EXPECT_EQ(later_of("2027-02-11T23:00:00_2027-02-12T00:00:00_%2B16.1"), "");
}

TEST_F(MosaicPages, ACatalogueThatCannotBeReadIsSaidInOurWords) {
  state::ProductRow catalogue;
  catalogue.kind = "mosaic.sources";
  catalogue.group_id = kFirst;
  catalogue.path = (folders_.paths.roots().images / "mosaics/x.sources.fits").string();
  products_->Save(catalogue, 2e9);
  for (const char* content : {"", "SIMPLE  = no table"}) {
    if (*content != '\0') std::ofstream(catalogue.path) << content;
    EXPECT_THAT(PageOf(kFirst), AllOf(HasSubstr("x.sources.fits cannot be read: it is not on the disk any more"),
                                      HasSubstr("contimg products show"), Not(HasSubstr("XTENSION"))));
  }
}

TEST_F(MosaicPages, SayWhatIsNotThereAnyMore) {
  state::ProductQuery query;
  query.group_id = kFirst;
  const auto set_all = [&](const char* status, const char* at) {
    for (const state::ProductRow& product : products_->List(query)) products_->SetStatus(product.id, status, at, 2e9);
  };
  set_all("archived", "glacier:a.zip");
  std::string page = PageOf(kFirst);
  EXPECT_THAT(page, AllOf(HasSubstr("glacier:a.zip"), HasSubstr("contimg restore --group"), Not(HasSubstr("<img "))));
  set_all("removed", "");
  EXPECT_THAT(PageOf(kFirst), HasSubstr("there is no copy of it"));
  // Records that are damaged: each part says so, the rest appears.
  state::Database& database = products_->database();
  database.handle().exec("UPDATE products SET qa_json = '{\"quality\": [1, {\"gates\": 7}], \"tiles\": 3}'");
  EXPECT_THAT(PageOf(kFirst), HasSubstr("Tiles</h2>"));
  database.handle().exec(
      "UPDATE products SET qa_json = '{\"quality\": {\"reasons\": 5, \"gates\": [{\"passed\": \"x\"}, 3]}}'");
  EXPECT_THAT(PageOf(kFirst), HasSubstr("Quality"));
  EXPECT_EQ(Get("/api/v1/mosaics/" + std::string(kFirst)).status, 200);
  database.handle().exec("UPDATE products SET qa_json = 'no figures at all'");
  EXPECT_THAT(PageOf(kFirst), HasSubstr("Its figures are not on record."));
  database.handle().exec("DELETE FROM mosaic_tiles");
  EXPECT_THAT(PageOf(kFirst), HasSubstr("Which tiles it has is not on record"));
}

TEST_F(MosaicPages, AGroupLeadsToTheMosaicsThatJudgedIt) {
  state::GroupStore groups(folders_.paths.Database(StateDatabase::kIngest));
  state::GroupRow row;
  row.id = kSpoiled;
  groups.Create(row, "test", 1);
  const HttpResponse page = Get("/groups/" + std::string(kSpoiled));
  EXPECT_EQ(page.status, 200);
  for (const std::string& words : {"href=\"/mosaics/" + Encoded(kSecond), "href=\"/mosaics/" + Encoded(kDeep),
                                   std::string("left out"), std::string("its fluxes are 0.69")}) {
    EXPECT_THAT(page.body, HasSubstr(words));
  }
  EXPECT_THAT(page.body, Not(HasSubstr(kFirst)));
}

}  // namespace
}  // namespace contimg::ops
