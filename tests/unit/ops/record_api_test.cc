#include "ops/api/record_api.h"

#include <gmock/gmock.h>

#include "state/dataset_store.h"
#include "state/observation_store.h"
#include "tests/unit/ops/source_site.h"

namespace contimg::ops {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

class RecordApi : public SourceSite {};

TEST_F(RecordApi, HasListsWithoutRowsBeforeThereIsADatabase) {
  for (const auto& [route, name] :
       std::vector<std::pair<std::string, std::string>>{{"missions", "missions"},
                                                        {"catalogues", "catalogues"},
                                                        {"instruments", "instruments"},
                                                        {"observations", "observations"},
                                                        {"frames", "frames"},
                                                        {"photometric-sources", "photometric_sources"},
                                                        {"processing-methods", "processing_methods"}}) {
    EXPECT_EQ(GetJson("/api/v1/" + route)[name], json::array()) << route;
  }
  EXPECT_EQ(GetJson("/api/v1/quality-flags?group=a")["arrays"], json::array());
  EXPECT_EQ(GetJson("/api/v1/quality-flags")["flags"][0]["name"], "edge");
  EXPECT_EQ(Get("/api/v1/instruments/1").status, 404);
  EXPECT_EQ(Get("/api/v1/observations/a").status, 404);
}

TEST_F(RecordApi, ShowsWhatIsOnRecord) {
  Fill();
  {
    state::SourceStore store(Path());
    state::ObservationRow tracked = Tile(8);
    tracked.group_id = "vla";
    tracked.type = "tracking";
    tracked.instrument = "VLA";
    tracked.tracking = state::TrackingRow{"3C286", "", "L", 600};
    tracked.n_integrations = 2;
    tracked.integration_flags = {0, quality::kInterference.mask()};
    state::LightCurveStore(store.database()).ReplaceTile(tracked, {});
    state::FrameRow frame;
    frame.type = "psf";
    frame.path = "/images/a.psf.fits";
    frame.axes = {10, 20};
    state::ObservationStore(store.database()).ReplaceFrames("vla", {frame});
    state::DatasetRow dataset;
    dataset.source_id = constant_.id;
    dataset.name = "smooth";
    dataset.method = state::ProcessingMethodRow{"smoothed", "by hand", R"({"window": 5})", "hash"};
    state::DatasetStore(store.database()).Save(dataset, {}, 5);
  }
  const json missions = GetJson("/api/v1/missions")["missions"];
  ASSERT_EQ(missions.size(), 3u);
  EXPECT_EQ(missions[0]["name"], "nvss");
  EXPECT_EQ(missions[1]["uuid"].get<std::string>().size(), 36u);
  EXPECT_EQ(missions[1]["time_epoch_format"], "mjd");
  const json catalogues = GetJson("/api/v1/catalogues")["catalogues"];
  ASSERT_EQ(catalogues.size(), 1u);
  EXPECT_EQ(catalogues[0]["sources"], 1);
  EXPECT_EQ(catalogues[0]["mission"], "nvss");
  EXPECT_EQ(GetJson("/api/v1/processing-methods")["processing_methods"][0]["parameters"]["window"], 5);
  EXPECT_EQ(GetJson("/api/v1/photometric-sources")["photometric_sources"][0]["name"], "forced");

  const json instruments = GetJson("/api/v1/instruments")["instruments"];
  EXPECT_EQ(instruments.size(), 370u);
  const std::string array = std::to_string(instruments[0]["id"].get<int>());
  EXPECT_EQ(GetJson("/api/v1/instruments?parent=" + array)["instruments"].size(), 118u);
  const json whole = GetJson("/api/v1/instruments/" + array);
  EXPECT_EQ(whole["properties"]["kind"], "array");
  EXPECT_EQ(whole["parent"], nullptr);
  EXPECT_EQ(whole["parts"][0]["properties"]["kind"], "antenna");
  EXPECT_EQ(whole["parts"][0]["parent"], whole["id"]);

  EXPECT_EQ(GetJson("/api/v1/observations")["observations"].size(), 7u);
  const json tracked = GetJson("/api/v1/observations?type=tracking")["observations"];
  ASSERT_EQ(tracked.size(), 1u);
  EXPECT_EQ(tracked[0]["target"], "3C286");
  EXPECT_EQ(tracked[0]["program"], nullptr);
  EXPECT_EQ(tracked[0]["exposure_s"], 600);
  const json page = GetJson("/api/v1/observations?limit=4");
  EXPECT_EQ(
      GetJson("/api/v1/observations?limit=4&after=" + page["next_after"].get<std::string>())["observations"].size(),
      3u);
  EXPECT_FALSE(page["observations"][0].contains("target"));
  const json one = GetJson("/api/v1/observations/vla");
  EXPECT_EQ(one["frames"][0]["naxis_values"], (json{10, 20}));
  EXPECT_EQ(one["frames"][0]["role"], "calibration");
  EXPECT_EQ(one["quality_flags"][0]["counts"]["interference"], 1);
  EXPECT_EQ(GetJson("/api/v1/quality-flags?group=vla")["arrays"][0]["flags"], (json{0, quality::kInterference.mask()}));
  EXPECT_EQ(GetJson("/api/v1/frames?group=vla&type=psf")["frames"].size(), 1u);
  EXPECT_EQ(GetJson("/api/v1/frames?role=science")["frames"].size(), 0u);

  for (const char* wrong : {"/api/v1/frames?role=dark", "/api/v1/frames?after=x", "/api/v1/frames?limit=0",
                            "/api/v1/observations?from=soon", "/api/v1/observations?after=nobody",
                            "/api/v1/observations?limit=1e9", "/api/v1/instruments?parent=-1",
                            "/api/v1/instruments?spam=1", "/api/v1/missions?q=1", "/api/v1/quality-flags?grup=a"}) {
    EXPECT_EQ(Get(wrong).status, 400) << wrong;
  }
  EXPECT_EQ(Get("/api/v1/instruments/0x1").status, 404);
}

}  // namespace
}  // namespace contimg::ops
