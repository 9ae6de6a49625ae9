// A site with mosaics of two strips on record, asked as a browser asks it.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "ops/web/web.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {

// Of the strip +16.1: three days of one window over 24 h, the second day's without the tile that is off by 30 %, and
// a deep one of them, the reference. Of +54.0: one that is being made and one that failed.
class MosaicSite : public testing::Test {
 protected:
  static constexpr const char* kFirst = "2025-10-13T23:30:00_2025-10-14T00:30:00_+16.1";
  static constexpr const char* kSecond = "2025-10-14T23:26:04_2025-10-15T00:26:04_+16.1";
  static constexpr const char* kThird = "2025-10-15T23:22:08_2025-10-16T00:22:08_+16.1";
  static constexpr const char* kDeep = "2025-10-13T23:35:00_2025-10-16T00:20:00_+16.1";
  static constexpr const char* kOpen = "2025-10-16T03:00:00_2025-10-16T04:00:00_+54.0";
  static constexpr const char* kFailed = "2025-10-16T02:00:00_2025-10-16T03:00:00_+54.0";
  static constexpr const char* kSpoiled = "2025-10-14T23:40:00";

  MosaicSite() {
    web_ = std::make_unique<Web>(folders_.paths);
    web_->AddRoutes(router_);
    SetEnabled(true);
  }
  void SetEnabled(bool enabled) {
    web_->view().SetStatus({{"ready", true}, {"health", nlohmann::json::array()}, {"mosaics", {{"enabled", enabled}}}},
                           1760362483);
  }

  void Fill() {
    products_ = std::make_unique<state::ProductStore>(folders_.paths.Database(StateDatabase::kProducts));
    state::MosaicStore store(products_->database());
    const std::vector<const char*> days{kFirst, kSecond, kThird};
    for (int day = 0; day < 3; ++day) {
      state::MosaicRow row = Row(days[static_cast<std::size_t>(day)], "hourly", 16.1, 61000 + day, 23.5);
      row.image_id = SaveFiles(row);
      std::vector<state::MosaicTileRow> tiles{Tile(fmt::format("2025-10-{}T23:35:00", 13 + day), row.start_mjd)};
      if (day == 1) tiles.push_back(Refused(kSpoiled, row.start_mjd + 0.01));
      store.Close(row, tiles, 1760000000);
    }
    state::MosaicRow deep = Row(kDeep, "deep", 16.1, 61000.01, 23.5);
    deep.end_mjd = 61002.05;
    deep.image_id = SaveFiles(deep);
    store.Close(deep, {Tile("2025-10-13T23:35:00", 61000), Refused(kSpoiled, 61001.01)}, 1760000000);
    store.Open(Row(kOpen, "hourly", 54, 61003.1, 3), 1760000000);
    store.Open(Row(kFailed, "hourly", 54, 61003, 2), 1760000000);
    store.Fail(kFailed, "no tile is left <b>", 1760000000);
  }

  static state::MosaicRow Row(const char* name, const char* kind, double strip_deg, double mjd, double lst_h) {
    state::MosaicRow row;
    row.name = name;
    row.kind = kind;
    row.strip_deg = strip_deg;
    row.lst_start_h = lst_h;
    row.lst_end_h = lst_h + 1 >= 24 ? lst_h - 23 : lst_h + 1;
    row.start_mjd = mjd;
    row.end_mjd = mjd + 0.04;
    row.settings_hash = "0123456789abcdef";
    row.grade = "B";
    return row;
  }
  static state::MosaicTileRow Tile(const std::string& group, double mjd) {
    state::MosaicTileRow tile;
    tile.group_id = group;
    tile.checksum = "c0ffee5eed00d1ce";
    tile.mjd = mjd;
    tile.used = true;
    tile.scale = 0.998;
    tile.scale_error = 0.0021;
    tile.n_references = 41;
    return tile;
  }
  static state::MosaicTileRow Refused(const std::string& group, double mjd) {
    state::MosaicTileRow tile = Tile(group, mjd);
    tile.used = false;
    tile.refusal = "scale";
    tile.why = "its fluxes are 0.69 of the others'";
    tile.scale = 0.69;
    return tile;
  }

  // Image, picture and catalogue of it: on record, and the picture on the disk. Returns the image's number.
  std::int64_t SaveFiles(const state::MosaicRow& row) {
    const std::filesystem::path folder = folders_.paths.roots().images / "mosaics";
    std::filesystem::create_directories(folder);
    std::int64_t image = 0;
    for (const auto& [kind, ending] : {std::pair{"mosaic", ".image.fits"}, std::pair{"mosaic.qa_picture", ".qa.png"},
                                       std::pair{"tiles", ".tiles.fits"}, std::pair{"mosaic.residual", ".residual"}}) {
      state::ProductRow product;
      product.kind = kind;
      product.path = (folder / (row.name + ending)).string();
      product.group_id = row.name;
      product.start_mjd = row.start_mjd;
      product.end_mjd = row.end_mjd;
      product.size_bytes = 1000;
      if (product.kind == "mosaic" || product.kind == "mosaic.qa_picture") {
        product.qa_json =
            R"({"quality": {"grade": "B", "reasons": ["fluxes: 0.12, limit 0.1"], "rms_median_jy": 3.1e-4,
                "covered_deg2": 12.34, "gates": [{"name": "flux_error", "title": "fluxes", "value": 0.12, "limit": 0.1,
                "passed": false, "bound": "at_most", "grade": "B"}]}, "beam": {"major_arcsec": 34.4,
                "minor_arcsec": 16.4, "angle_deg": 1}, "frequency_hz": 1.4e9})";
        product.qa_grade = "B";
      }
      std::ofstream(product.path) << "x";
      const std::int64_t id = products_->Save(product, 1760000000);
      if (product.kind == "mosaic") image = id;
    }
    return image;
  }

  // "+" is a blank in a query.
  static std::string Encoded(std::string name) {
    if (const std::size_t at = name.find('+'); at != std::string::npos) name.replace(at, 1, "%2B");
    return name;
  }
  HttpResponse Get(const std::string& target) { return router_.Handle(ParseTarget("GET", target)); }
  nlohmann::json GetJson(const std::string& target) {
    const HttpResponse response = Get(target);
    EXPECT_EQ(response.status, 200) << target << ": " << response.body;
    return nlohmann::json::parse(response.body);
  }

  WorkFolders folders_;
  HttpRouter router_;
  std::unique_ptr<Web> web_;
  std::unique_ptr<state::ProductStore> products_;
};

}  // namespace contimg::ops
