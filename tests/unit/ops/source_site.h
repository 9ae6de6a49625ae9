// A site with a few sources and their light curves, asked as a browser asks it.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/units.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/web/web.h"
#include "state/source_store.h"
#include "tests/unit/ops/work_folders.h"

namespace contimg::ops {

// Five days of a tile about RA 0 h, dec 16: a constant of 0.5 Jy west of 0 h, one east of it that doubles on the last
// day, both in NVSS, a blend, one that was never measured, and one at the pole.
class SourceSite : public testing::Test {
 protected:
  SourceSite() {
    web_ = std::make_unique<Web>(folders_.paths);
    web_->AddRoutes(router_);
    web_->view().SetStatus({{"ready", true}, {"health", nlohmann::json::array()}}, 1760362483);
  }

  void Fill() {
    state::SourceStore store(Path());
    state::SourceRow nvss;
    nvss.catalogue = "nvss";
    nvss.name = "235959+160000";
    nvss.ra_deg = 359.9972;
    nvss.dec_deg = 16.0005;
    nvss.flux_jy = 0.51;
    store.Save({nvss});
    state::OwnSourceStore sources(store.database());
    const std::int64_t listed = store.FindByName("nvss", nvss.name)->id;
    constant_ = sources.Identify(listed, 1);
    variable_ = Add(sources, 0.3667, 16.2011, "detection");
    blend_ = Add(sources, 0.3667, 16.2111, "detection");  // 36 arcsec north of it
    never_ = Add(sources, 90, -5, "manual");
    polar_ = Add(sources, 200, 89.9, "catalogue");
    LightCurveRecorder recorder(store.database());
    for (int day = 0; day < 5; ++day) {
      recorder.Record(Tile(day), {Row(constant_, 0.5 + 0.001 * (day % 2), 0), Row(variable_, day == 4 ? 0.04 : 0.02, 0),
                                  Row(blend_, 0.003, quality::kBlend.mask())});
    }
    state::ObservationRow bad = Tile(5);
    bad.flags = quality::kBadTile.mask();
    recorder.Record(bad, {Row(constant_, 5, 0)});
  }

  static state::ObservationRow Tile(int day) {
    constexpr double kDaySidereal = 0.9972695663;
    state::ObservationRow tile;
    tile.group_id = "2026-01-2" + std::to_string(day) + "T00:00:00";
    tile.mjd = 61060 + day * kDaySidereal;
    tile.frequency_hz = 1.4e9;
    return tile;
  }

  HttpResponse Get(const std::string& target) { return router_.Handle(ParseTarget("GET", target)); }
  nlohmann::json GetJson(const std::string& target) {
    const HttpResponse response = Get(target);
    EXPECT_EQ(response.status, 200) << target << ": " << response.body;
    return nlohmann::json::parse(response.body);
  }
  std::filesystem::path Path() const { return folders_.paths.Database(StateDatabase::kMasterSources); }

  WorkFolders folders_;
  HttpRouter router_;
  std::unique_ptr<Web> web_;
  state::OwnSourceRow constant_, variable_, blend_, never_, polar_;

 private:
  static state::OwnSourceRow Add(state::OwnSourceStore& sources, double ra_deg, double dec_deg, const char* origin) {
    state::OwnSourceRow row;
    row.ra_deg = ra_deg;
    row.dec_deg = dec_deg;
    row.origin = origin;
    return sources.Add(row);
  }
  static state::MeasurementRow Row(const state::OwnSourceRow& source, double flux_jy, QualityFlags flags) {
    state::MeasurementRow row;
    row.source_id = source.id;
    row.flux_jy = flux_jy;
    row.flux_error_jy = 0.001;
    row.local_rms_jy = 0.0008;
    row.flags = flags;
    return row;
  }
};

// What people and their programs get wrong, and what means harm: each ends in a sentence.
inline const std::vector<std::string>& HostileSourceQueries() {
  static const std::vector<std::string> queries{"at=nan,nan",
                                                "at=0,91",
                                                "at=-1,0",
                                                "at=1e999,0",
                                                "at=12",
                                                "at=%00,%00",
                                                "at=361,0",
                                                "radius_deg=nan",
                                                "radius_deg=-1",
                                                "radius_deg=1e308",
                                                "eta=inf",
                                                "eta=-1",
                                                "v=1e999",
                                                "p=2",
                                                "min_n=-1",
                                                "min_n=1.5",
                                                "min_n=1e3",
                                                "after=0",
                                                "after=x",
                                                "after=99999999",
                                                "limit=0",
                                                "limit=1e9",
                                                "sort=size",
                                                "sort=distance",
                                                "level=night",
                                                "kind=odd",
                                                "origin=here",
                                                "flags=odd",
                                                "flags=blend",
                                                "since=soon",
                                                "format=xml",
                                                "min_flux_jy=1%2C5",
                                                "spam=1",
                                                "max_flux_jy=%3Cb%3E",
                                                "after=18446744073709551616"};
  return queries;
}

}  // namespace contimg::ops
