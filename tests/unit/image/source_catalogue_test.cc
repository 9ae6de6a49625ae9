#include "image/response/source_catalogue.h"

#include <gtest/gtest.h>

#include <fstream>

#include "config/error.h"
#include "tests/temporary_folder.h"

namespace contimg::image {
namespace {

class CatalogueTest : public testing::Test {
 protected:
  std::vector<CatalogueSource> Read(const std::string& text, double ra_deg, double radius_deg) {
    std::ofstream(path_) << text;
    return ReadCatalogue(path_, {Angle::Degrees(ra_deg), Angle::Degrees(10)}, Angle::Degrees(radius_deg).rad());
  }
  TemporaryFolder folder_{"catalogue"};
  const std::filesystem::path path_ = folder_ / "catalogue.csv";
};

TEST_F(CatalogueTest, KeepsTheNeighbourhoodAlsoAcrossRightAscensionZero) {
  const auto sources =
      Read("# survey\nname,ra_deg,dec_deg,peak_mjy\na,359.9,10.1,120\nb,0.2,9.8,80\nc,10,10,500\n", 0, 1);
  ASSERT_EQ(sources.size(), 2U);
  EXPECT_DOUBLE_EQ(sources[0].flux_jy, 0.12);
  EXPECT_DOUBLE_EQ(sources[1].direction.ra.deg(), 0.2);
}

TEST_F(CatalogueTest, NamesTheFaultyLine) {
  EXPECT_THROW(Read("ra,dec\n1,2\n", 0, 1), Error);
  EXPECT_THROW(Read("", 0, 1), Error);
  try {
    Read("ra_deg,dec_deg,flux_jy\n1,2,3\n1,oops,3\n", 0, 180);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("line 3"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace contimg::image
