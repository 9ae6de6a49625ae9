// The sky of a mosaic and of a tile about any place: pages, pictures, FITS parts, JSON, and what is refused.
#include "ops/web/map_page.h"

#include <gmock/gmock.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "config/os.h"
#include "config/product_paths.h"
#include "image/products/fits_image.h"
#include "ops/api/map_query.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"
#include "tests/unit/ops/source_site.h"

namespace contimg::ops {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kMapped = "2026-01-18T00:00:00_2026-01-20T00:00:00_+16.1";
constexpr const char* kMappedTile = "2026-01-23T00:00:00";

class MapPages : public SourceSite {
 protected:
  MapPages() {
    Fill();
    state::ProductStore products(folders_.paths.Database(StateDatabase::kProducts));
    state::MosaicRow mosaic;
    mosaic.name = kMapped;
    mosaic.kind = "deep";
    mosaic.strip_deg = 16.1;
    mosaic.grade = "A";
    const std::string prefix =
        folders_.paths.MosaicPrefix("2026-01-18T00:00:00", "2026-01-20T00:00:00", 16.1).string() + ".";
    mosaic.image_id = Save(products, kMapped, "mosaic", prefix + "image.fits", 0.04, 0);
    Save(products, kMapped, "mosaic.residual", prefix + "residual.fits", 0, 0);
    Save(products, kMapped, "rms", prefix + "rms.fits", 0, 4e-4);
    Save(products, kMapped, "weight", prefix + "weight.fits", 0, 6.25e6);
    state::MosaicStore(products.database()).Close(mosaic, {}, 1);
    for (const auto& [kind, level] : {std::pair{ProductKind::kImage, 0.0}, {ProductKind::kPb, 0.5}}) {
      Save(products, kMappedTile, std::string(ToString(kind)), folders_.paths.Image(kMappedTile, kind).string(),
           kind == ProductKind::kImage ? 0.02 : 0, level);
    }
  }
  // 512 pixels of 3 arcsec about the variable, with a source of `peak` there on an even `level`; the left 100 blank.
  std::int64_t Save(state::ProductStore& products, const std::string& name, const std::string& kind,
                    const std::string& path, double peak, double level) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    image::FitsHeader header;
    header.geometry.nx = header.geometry.ny = 512;
    header.geometry.cell_rad = Angle::Arcsec(3).rad();
    header.geometry.projection = image::Projection::kZea;
    header.centre = {Angle::Degrees(0.3667).rad(), Angle::Degrees(16.2011).rad()};
    header.beam = image::GaussianBeam{Angle::Arcsec(15).rad(), Angle::Arcsec(12).rad(), 0};
    header.unit = kind == "weight" ? "beam2/Jy2" : "Jy/beam";
    std::vector<float> pixels(512 * 512, static_cast<float>(level));
    for (std::size_t i = 0; i < pixels.size(); ++i) {
      const double dx = static_cast<double>(i % 512) - 256, dy = static_cast<double>(i / 512) - 256;
      pixels[i] +=
          static_cast<float>(peak * header.beam->Value(-dx * header.geometry.cell_rad, dy * header.geometry.cell_rad));
      if (i % 512 < 100) pixels[i] = NAN;
    }
    image::WriteFitsImage(RealOs(), path, {pixels.data(), {512, 512}}, header, {});
    state::ProductRow row;
    row.kind = kind;
    row.path = path;
    row.group_id = name;
    return products.Save(row, 1);
  }
  static std::string Map(const std::string& rest, const char* name = kMapped) {
    std::string address = std::string(name == kMapped ? "/mosaics/" : "/groups/") + name + "/map" + rest;
    const std::size_t plus = address.find('+');
    return plus == std::string::npos || plus > address.find("/map") ? address : address.replace(plus, 1, "%2B");
  }
  static std::string HeaderOf(const HttpResponse& response, const std::string& name) {
    for (const auto& [key, value] : response.headers) {
      if (key == name) return value;
    }
    return "";
  }
};

TEST_F(MapPages, ShowAPlaceItsValuesAndWhatIsAboutIt) {
  const HttpResponse response = Get(Map("?ra=0.3667&dec=16.2011&size=10'"));
  EXPECT_EQ(response.status, 200) << response.body;
  for (const char* words :
       {"00:01:28.01 +16:12:04.0", "40.0 mJy/beam", "400 µJy/beam", "<dd>100.0</dd>", "6.25e+06 beam²/Jy²",
        "DSA J000128.0+161203", "10′ across", "aria-current=\"true\">image</a>", "kind=residual", "kind=rms",
        "kind=weight", "&amp;side=720&amp;click=\"><img ismap", "&amp;side=340&amp;click=\"", "map.fits?ra=0.36670",
        "/api/v1/maps/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1?ra=0.36670", "closer", "wider", "↑ north",
        "href=\"/mosaics/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1\""}) {
    EXPECT_THAT(response.body, HasSubstr(words)) << words;
  }
  // Without a place the middle of it, a degree or what there is.
  EXPECT_THAT(Get(Map("")).body, AllOf(HasSubstr("00:01:28"), HasSubstr("25.6′ across")));
  // At the edge there is nothing further, and blank is not zero.
  const std::string edge = Get(Map("?ra=0.58&dec=16.2&size=5'")).body;
  EXPECT_THAT(edge, AllOf(HasSubstr("<dd>blank</dd>"), HasSubstr("<span class=\"none\">← east</span>")));
  EXPECT_THAT(Get(Map("?ra=0.3667&dec=16.2011&names=yes")).body, HasSubstr("without names"));
}

TEST_F(MapPages, AreReachedFromMosaicsAndTiles) {
  EXPECT_THAT(
      Get("/mosaics/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1").body,
      HasSubstr("<a href=\"/mosaics/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1/map\">Look at the map</a>"));
  const std::string tile = Get(Map("?ra=0.3667&dec=16.2011", kMappedTile)).body;
  EXPECT_THAT(tile, AllOf(HasSubstr("20.0 mJy/beam"), HasSubstr("40.0 mJy/beam at 0.500 of it"), HasSubstr("kind=pb"),
                          Not(HasSubstr("kind=rms"))));
  EXPECT_EQ(Get(Map(".png?kind=pb", kMappedTile)).status, 200);
}

TEST_F(MapPages, GoToAPlaceASourceOrWhereThePictureIsClicked) {
  const auto goes_to = [&](const std::string& rest) {
    const HttpResponse response = Get(Map(rest));
    EXPECT_EQ(response.status, 303) << response.body;
    return HeaderOf(response, "Location");
  };
  EXPECT_THAT(goes_to("?q=00:01:28+%2B16:12:04&size=5'&kind=rms"),
              HasSubstr("/map?ra=0.36667&dec=16.20111&size=5arcmin&kind=rms"));
  EXPECT_THAT(goes_to("?q=0.4,16.25"), HasSubstr("ra=0.40000&dec=16.25000&size=25.6arcmin&kind=image"));
  EXPECT_THAT(goes_to("?q=dsa+j000128.0%2B161203"), HasSubstr("ra=0.36670&dec=16.20110"));
  // North up, east to the left; the picture of a phone has fewer pixels.
  const std::string here = "?ra=0.3667&dec=16.2011&size=10'&kind=image&side=720&click=";
  EXPECT_THAT(goes_to(here + "?359,180"), HasSubstr("ra=0.367"));
  EXPECT_THAT(goes_to(here + "?359,180"), HasSubstr("dec=16.24"));
  EXPECT_THAT(goes_to(here + "?180,360"), HasSubstr("ra=0.41"));
  EXPECT_THAT(goes_to("?ra=0.3667&dec=16.2011&size=10'&side=340&click=?169,85"), HasSubstr("dec=16.24"));
  // Below the map, and by the keyboard: where it was.
  EXPECT_THAT(goes_to(here + "?300,735"), HasSubstr("ra=0.36670&dec=16.20110"));
  EXPECT_THAT(goes_to(here + "?0,0"), HasSubstr("ra=0.36670&dec=16.20110"));
}

TEST_F(MapPages, HavePicturesThatBrowsersKeep) {
  const std::string address = Map(".png?ra=0.3667&dec=16.2011&size=10'");
  const HttpResponse picture = Get(address);
  EXPECT_EQ(picture.status, 200) << picture.body;
  EXPECT_THAT(picture.body, StartsWith("\x89PNG"));
  HttpRequest again = ParseTarget("GET", address);
  again.if_none_match = HeaderOf(picture, "ETag");
  EXPECT_EQ(router_.Handle(again).status, 304);
  EXPECT_EQ(Get(address).body, picture.body);
  for (const char* other : {"&names=yes", "&kind=residual", "&side=340", "&side=680&scale=2"}) {
    EXPECT_NE(Get(address + other).body, picture.body) << other;
    EXPECT_NE(HeaderOf(Get(address + other), "ETag"), HeaderOf(picture, "ETag"));
  }
}

TEST_F(MapPages, HaveThePartAsFits) {
  const HttpResponse response = Get(Map(".fits?ra=0.3667&dec=16.2011&size=5'"));
  EXPECT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.content_type, "application/fits");
  EXPECT_THAT(HeaderOf(response, "Content-Disposition"), HasSubstr(".image.0.3667+16.2011.fits\""));
  const auto path = folders_.folder / "part.fits";
  std::ofstream(path, std::ios::binary) << response.body;
  const image::FitsImage part = image::ReadFitsImage(path);
  EXPECT_EQ(part.header.geometry.nx, 100U);
  EXPECT_NEAR(part.pixels[50 * 100 + 50], 0.04, 1e-6);
  // Two at a time.
  const HttpResponse second = Get(Map(".fits")), third = Get(Map(".fits"));
  EXPECT_EQ(second.status, 200);
  EXPECT_EQ(third.status, 503);
}

TEST_F(MapPages, AnswerInJson) {
  const auto answer =
      GetJson("/api/v1/maps/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1?ra=0.3667&dec=16.2011&size=5'");
  EXPECT_NEAR(answer["values"]["image"].get<double>(), 0.04, 1e-5);
  EXPECT_NEAR(answer["noise_jy"].get<double>(), 4e-4, 1e-8);
  EXPECT_EQ(answer["pixels"], 100);
  EXPECT_EQ(answer["sources"].size(), 2U);
  const auto blank = GetJson("/api/v1/maps/2026-01-18T00:00:00_2026-01-20T00:00:00_%2B16.1?ra=0.58&dec=16.2");
  EXPECT_TRUE(blank["values"]["image"].is_null());
  EXPECT_EQ(Get("/api/v1/maps/x").status, 404);
}

TEST_F(MapPages, SayInOneSentenceWhatTheyCannotShow) {
  for (const char* rest : {"?ra=10&dec=16",
                           "?ra=0.3667",
                           "?dec=16",
                           "?ra=nan&dec=16",
                           "?ra=0.3&dec=inf",
                           "?ra=1e999&dec=16",
                           "?ra=-5&dec=16",
                           "?ra=0.3&dec=91",
                           "?ra=0x1&dec=16",
                           "?size=nan",
                           "?size=inf",
                           "?size=0",
                           "?size=-1",
                           "?size=1e300",
                           "?size=8",
                           "?size=x",
                           "?kind=psf",
                           "?kind=pb",
                           "?kind=..",
                           "?names=perhaps",
                           "?q=nobody",
                           "?q=180+-16",
                           "?q=nan+nan",
                           "?click=?1,1",
                           "?side=720&click=1,1",
                           "?side=720&click=?x,1",
                           "?side=720&click=?1,99999999999",
                           "?side=720&click=?",
                           "?side=7200&click=?1,1"}) {
    const HttpResponse page = Get(Map(rest));
    EXPECT_EQ(page.status, 400) << rest;
    EXPECT_THAT(page.body, AllOf(HasSubstr("class=\"problem\""), HasSubstr("name=\"q\""))) << rest;
  }
  EXPECT_EQ(Get(Map("?radec=1")).status, 400);
  for (const char* rest : {"?ra=10&dec=16", "?size=1e300", "?size=nan", "?ra=nan&dec=nan", "?kind=model"}) {
    EXPECT_EQ(Get(Map(std::string(".png") + rest)).status, 400) << rest;
    EXPECT_EQ(Get(Map(std::string(".fits") + rest)).status, 400) << rest;
  }
  for (const char* rest : {"?side=100", "?side=1e9", "?side=nan", "?scale=0", "?scale=inf", "?scale=9"}) {
    EXPECT_EQ(Get(Map(std::string(".png") + rest)).status, 400) << rest;
  }
  for (const char* name : {"none", "*", "%20", "%00", "..%2f.."}) {
    EXPECT_EQ(Get(std::string("/mosaics/") + name + "/map").status, 404) << name;
  }
  EXPECT_EQ(Get("/groups/none/map.png").status, 404);
  EXPECT_EQ(Get("/groups/none/map.fits").status, 404);
  EXPECT_THAT(Get("/groups/%3Cb%3E/map").body, AllOf(HasSubstr("&lt;b&gt;"), Not(HasSubstr("<b>"))));
  // Damaged, and gone: said, not thrown.
  const auto image = folders_.paths.Mosaic("2026-01-18T00:00:00", "2026-01-20T00:00:00", 16.1);
  std::filesystem::resize_file(image, 5000);
  for (int step = 0; step < 2; ++step) {
    for (const char* rest : {"", ".png", ".fits"}) EXPECT_EQ(Get(Map(rest)).status, 404) << rest;
    EXPECT_EQ(Get(Map("?kind=rms")).status, 200);  // what is left can be looked at
    std::filesystem::remove(image);
  }
}

}  // namespace
}  // namespace contimg::ops
