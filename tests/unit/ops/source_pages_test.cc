#include "ops/web/source_pages.h"

#include <gmock/gmock.h>

#include <filesystem>

#include "config/os.h"
#include "config/product_paths.h"
#include "image/products/fits_image.h"
#include "ops/web/sky_words.h"
#include "state/dataset_store.h"
#include "state/mosaic_store.h"
#include "tests/unit/ops/source_site.h"

namespace contimg::ops {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class SourcePages : public SourceSite {
 protected:
  SourcePages() { Fill(); }
  std::string PageOf(const state::OwnSourceRow& source, const std::string& query = "") {
    const HttpResponse response = Get("/sources/" + std::to_string(source.id) + query);
    EXPECT_EQ(response.status, 200) << response.body;
    return response.body;
  }
  // An image with a point source of 0.04 Jy at the variable's place.
  state::ProductRow WriteImage(const std::filesystem::path& path, image::Projection projection) {
    std::filesystem::create_directories(path.parent_path());
    image::FitsHeader header;
    header.geometry.nx = header.geometry.ny = 512;
    header.geometry.cell_rad = Angle::Arcsec(3).rad();
    header.geometry.projection = projection;
    header.centre = {Angle::Degrees(0.3667).rad(), Angle::Degrees(16.2011).rad()};
    header.beam = image::GaussianBeam{Angle::Arcsec(15).rad(), Angle::Arcsec(12).rad(), 0};
    std::vector<float> pixels(512 * 512, 0);
    pixels[256 * 512 + 256] = 0.04F;
    image::WriteFitsImage(RealOs(), path, {pixels.data(), {512, 512}}, header, {});
    state::ProductRow row;
    row.path = path.string();
    return row;
  }
  // That of the day's tile.
  void AddImage(int day) {
    state::ProductRow row =
        WriteImage(folders_.paths.Image(Tile(day).group_id, ProductKind::kPbcor), image::Projection::kSin);
    row.kind = "image.pbcor";
    row.group_id = Tile(day).group_id;
    row.start_mjd = row.end_mjd = Tile(day).mjd;
    state::ProductStore(folders_.paths.Database(StateDatabase::kProducts)).Save(row, 1);
  }
  // The reference mosaic of its strip about 0 h, of the days before.
  void AddReference(double strip_deg = 16.1) {
    const std::string start = "2026-01-18T00:00:00", end = "2026-01-20T00:00:00";
    state::ProductStore products(folders_.paths.Database(StateDatabase::kProducts));
    state::MosaicRow mosaic;
    mosaic.name = MosaicName(start, end, strip_deg);
    mosaic.kind = "deep";
    mosaic.strip_deg = strip_deg;
    mosaic.lst_start_h = 23.5;
    mosaic.lst_end_h = 0.5;
    mosaic.grade = "A";
    state::ProductRow row = WriteImage(folders_.paths.Mosaic(start, end, strip_deg), image::Projection::kZea);
    row.kind = "mosaic";
    row.group_id = mosaic.name;
    row.qa_json = R"({"quality": {"rms_median_jy": 0.0003}})";
    mosaic.image_id = products.Save(row, 1);
    state::MosaicStore(products.database()).Close(mosaic, {}, 1);
  }
};

class EmptySourcePages : public SourceSite {};
TEST_F(EmptySourcePages, SayWhereMeasurementsComeFrom) {
  EXPECT_THAT(Get("/sources").body, HasSubstr("contimg lightcurve record"));
  EXPECT_EQ(Get("/sources/1").status, 404);
  EXPECT_EQ(Get("/lightcurves/1.svg").status, 404);
  EXPECT_EQ(Get("/cutouts/1/2026-01-21T00:00:00.png").status, 404);
}

TEST_F(SourcePages, AListLeadsToSources) {
  const std::string list = Get("/sources").body;
  EXPECT_THAT(list, HasSubstr("<a class=\"id\" href=\"/sources/2\">DSA J000128.0+161203</a>"));
  EXPECT_THAT(list, HasSubstr("00:01:28.01"));
  EXPECT_THAT(list, HasSubstr("+16:12:04.0"));
  EXPECT_THAT(Get("/sources?q=&eta=10&origin=detection").body, Not(HasSubstr("/sources/1\"")));
  EXPECT_THAT(Get("/sources?sort=name&limit=2").body,
              HasSubstr("/sources?after=3&amp;limit=2&amp;sort=name\" rel=\"next\""));
  EXPECT_THAT(Get("/sources?group=2026-01-21T00:00:00").body, HasSubstr("/groups/2026-01-21T00:00:00"));
  EXPECT_THAT(Get("/sources?q=nothing").body, HasSubstr("No source fits."));
}

TEST_F(SourcePages, ASearchThatFindsOneSourceGoesToItsPage) {
  const HttpResponse found = Get("/sources?q=nvss+235959%2B160000&radius_deg=&eta=");
  EXPECT_EQ(found.status, 303);
  EXPECT_EQ(found.headers[0].second, "/sources/1");
  EXPECT_EQ(Get("/sources?q=nvss+235959%2B160000&eta=0").status, 200);  // one of a list
  EXPECT_EQ(Get("/sources?q=0.3667+16.2011").status, 200);              // two stand there
}

TEST_F(SourcePages, TheReferenceMosaicShowsTheSkyAboutASource) {
  EXPECT_THAT(PageOf(variable_), Not(HasSubstr("reference mosaic")));
  AddReference();
  const std::string address = "/cutouts/2/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1.png";
  EXPECT_THAT(PageOf(variable_), HasSubstr("src=\"" + address + "\""));
  EXPECT_THAT(PageOf(variable_), HasSubstr("href=\"/mosaics/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1\""));
  const HttpResponse picture = Get(address);
  EXPECT_EQ(picture.status, 200) << picture.body;
  EXPECT_EQ(picture.content_type, "image/png");
  // Of its window, but beside its image; of another sidereal time; not on disk.
  EXPECT_THAT(PageOf(constant_), Not(HasSubstr("reference mosaic")));
  EXPECT_THAT(PageOf(never_), Not(HasSubstr("reference mosaic")));
  EXPECT_EQ(Get("/cutouts/1/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1.png").status, 404);
  std::filesystem::remove(folders_.paths.Mosaic("2026-01-18T00:00:00", "2026-01-20T00:00:00", 16.1));
  EXPECT_THAT(PageOf(variable_), Not(HasSubstr("reference mosaic")));
}

TEST_F(SourcePages, APageShowsCurveStatisticsNeighboursAndPoints) {
  const std::string page = PageOf(variable_);
  for (const char* words : {"<img src=\"/lightcurves/2.svg\"", "srcset=\"/lightcurves/2.svg?size=small\"", "Statistics",
                            "/groups/2026-01-24T00:00:00", "40.0 ± 1.0 mJy", "/sources/3\">", "36.0″",
                            "No catalogue has anything within 150″", "/api/v1/lightcurves/2?format=csv"}) {
    EXPECT_THAT(page, HasSubstr(words));
  }
  const std::string constant = PageOf(constant_);
  EXPECT_THAT(constant, HasSubstr("nvss 235959+160000"));
  EXPECT_THAT(constant, HasSubstr("this source"));
  EXPECT_THAT(constant, HasSubstr("<tr class=\"left-out\">"));  // of the bad tile
  EXPECT_THAT(PageOf(constant_, "?level=night&normalised=yes"),
              HasSubstr("/lightcurves/1.svg?level=night&amp;normalised=yes"));
  EXPECT_THAT(PageOf(never_), HasSubstr("Nothing was measured of it"));
  EXPECT_EQ(Get("/sources/DSA%20J000128.0+161203").status, 200);
}

TEST_F(SourcePages, ADatasetIsDrawnInPlaceOfOurMeasurements) {
  state::SourceStore store(Path());
  state::DatasetRow row;
  row.source_id = variable_.id;
  row.name = "<b>tess</b>";
  row.mission = "TESS";
  row.unit = "";
  row.times = {61060, 61061};
  row.fluxes = {1, 1.01};
  row.errors = {0.001, 0.001};
  row.flags = {0, 0};
  state::DatasetStore(store.database()).Save(row, {}, 1);
  const std::string page = PageOf(variable_, "?dataset=%3Cb%3Etess%3C/b%3E");
  EXPECT_THAT(page, HasSubstr("&lt;b&gt;tess&lt;/b&gt;"));
  EXPECT_THAT(page, HasSubstr("/lightcurves/2.svg?dataset=%3Cb%3Etess%3C%2Fb%3E"));
  EXPECT_THAT(Get("/lightcurves/2.svg?dataset=%3Cb%3Etess%3C%2Fb%3E").body, StartsWith("<?xml"));
  EXPECT_EQ(Get("/sources/2?dataset=other").status, 400);
}

TEST_F(SourcePages, PicturesComeAsSvgAndPngInTwoSizes) {
  const HttpResponse svg = Get("/lightcurves/1.svg");
  EXPECT_EQ(svg.content_type, "image/svg+xml");
  EXPECT_THAT(svg.body, HasSubstr("width=\"1000"));
  EXPECT_THAT(Get("/lightcurves/1.svg?size=small").body, HasSubstr("width=\"400"));
  EXPECT_THAT(Get("/lightcurves/1.png?level=transit").body, StartsWith("\x89PNG"));
  EXPECT_EQ(Get("/lightcurves/4.svg").status, 200);  // an empty one
  for (const char* name : {"1", "1.pdf", ".svg", "99.svg", "x.svg", "%27.svg", "1.svg/", "../1.svg"}) {
    EXPECT_EQ(Get("/lightcurves/" + std::string(name)).status, 404) << name;
  }
  EXPECT_EQ(Get("/lightcurves/1.svg?size=huge").status, 400);
  EXPECT_EQ(Get("/lightcurves/1.svg?quality=odd").status, 400);
}

TEST_F(SourcePages, CutoutsAreReadFromTheImageOnDisk) {
  AddImage(3);
  EXPECT_THAT(PageOf(variable_), HasSubstr("src=\"/cutouts/2/2026-01-23T00:00:00.png\""));
  EXPECT_THAT(PageOf(variable_), Not(HasSubstr("/cutouts/2/2026-01-24T00:00:00.png")));
  const std::string address = "/cutouts/2/2026-01-23T00:00:00.png";
  const HttpResponse picture = Get(address);
  EXPECT_EQ(picture.status, 200) << picture.body;
  EXPECT_THAT(picture.body, StartsWith("\x89PNG"));
  HttpRequest again = ParseTarget("GET", address);
  again.if_none_match = picture.headers[0].second;
  EXPECT_EQ(router_.Handle(again).status, 304);
  EXPECT_EQ(Get("/cutouts/5/2026-01-23T00:00:00.png").status, 404);  // at the pole
  EXPECT_EQ(Get("/cutouts/2/2026-01-24T00:00:00.png").status, 404);  // no image
  for (const char* name : {"", "2", "2/", "2/.png", "2/../../x.png", "x/2026-01-23T00:00:00.png", "2/%00.png"}) {
    EXPECT_EQ(Get("/cutouts/" + std::string(name)).status, 404) << name;
  }
  std::filesystem::resize_file(folders_.paths.Image(Tile(3).group_id, ProductKind::kPbcor), 5000);
  EXPECT_EQ(Get("/cutouts/1/2026-01-23T00:00:00.png").status, 404);  // damaged: said, not thrown
}

TEST_F(SourcePages, AWriterHoldsNoPageUp) {
  state::SourceStore store(Path());
  const std::string before = PageOf(constant_);
  store.database().Write([&] {
    LightCurveRecorder(store.database()).Forget(Tile(1).group_id);
    EXPECT_EQ(PageOf(constant_), before);  // as it was when the writer began
    EXPECT_EQ(Get("/sources?sort=flux").status, 200);
  });
  EXPECT_THAT(PageOf(constant_), Not(HasSubstr("/groups/2026-01-21T00:00:00")));
}

TEST_F(SourcePages, AGroupShowsItsSources) {
  state::GroupRow row;
  row.id = Tile(1).group_id;
  row.state = state::GroupState::kDone;
  state::GroupStore(folders_.paths.Database(StateDatabase::kIngest)).Create(row, "test", 1);
  const std::string page = Get("/groups/" + row.id).body;
  EXPECT_THAT(page, HasSubstr("3 measured"));
  EXPECT_THAT(page, HasSubstr("<a class=\"id\" href=\"/sources/1\">"));
  EXPECT_THAT(page, HasSubstr("href=\"/sources?group=2026-01-21T00:00:00"));
}

TEST_F(SourcePages, RefusesWhatMeansNothingAsAPage) {
  for (const std::string& query : HostileSourceQueries()) {
    const HttpResponse response = Get("/sources?" + query);
    EXPECT_EQ(response.status, 400) << query;
    EXPECT_EQ(response.content_type, "text/html; charset=utf-8");
    EXPECT_THAT(response.body, Not(HasSubstr("<b>")));
  }
  for (const char* query :
       {"?level=year", "?kind=odd", "?normalised=2", "?quality=x", "?from=soon", "?x=1", "?size=small"}) {
    EXPECT_EQ(Get("/sources/1" + std::string(query)).status, 400) << query;
  }
  const std::string hostile = Get("/sources?q=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").body;
  EXPECT_THAT(hostile, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(hostile, HasSubstr("&lt;script&gt;"));
  EXPECT_EQ(Get("/sources/%22%3E%3Cscript%3E").status, 404);
}

TEST(SkyWords, RoundOverMidnightAndThePole) {
  EXPECT_EQ(RaWords(0.3667), "00:01:28.01");
  EXPECT_EQ(RaWords(359.9999999), "00:00:00.00");
  EXPECT_EQ(DecWords(-0.0001), "-00:00:00.4");
  EXPECT_EQ(DecWords(89.9999999), "+90:00:00.0");
  EXPECT_EQ(FluxWithError(0.0402, 0.00101), "40.2 ± 1.0 mJy");
  EXPECT_EQ(FluxWithError(-0.0000123, 0.0002), "-12 ± 200 µJy");
  EXPECT_EQ(FluxWithError(5.12, 0.0123), "5.120 ± 0.012 Jy");
  EXPECT_EQ(FlagWords(quality::kBlend.mask() | quality::kLowResponse.mask()), "blend, low response");
}

}  // namespace
}  // namespace contimg::ops
