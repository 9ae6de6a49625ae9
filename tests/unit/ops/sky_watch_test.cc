#include "ops/daemon/sky_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A report of a job that flagged: these antennas are lost, of so many receptors that see the sky.
JobReport Report(const std::vector<std::string>& names, int seen = 180) {
  JobReport report;
  StageReport flag;
  flag.name = "flag";
  nlohmann::json antennas = nlohmann::json::array();
  for (const std::string& name : names) antennas.push_back({{"name", name}});
  flag.figures["sky"] = {{"searched", true}, {"seen", seen}, {"lost", names.size()}, {"antennas", antennas}};
  report.stages.push_back(flag);
  return report;
}

TEST(SkyWatch, NamesAntennasAndTheFirstTileOfTheRun) {
  Metrics metrics;
  SkyWatch watch(metrics);
  EXPECT_THAT(watch.Troubles(), IsEmpty());
  watch.Saw("2025-10-13T13:00:00", Report({"12"}));
  watch.Saw("2025-10-13T13:05:00", Report({}));
  watch.Saw("2025-10-13T13:20:00", Report({"12", "47 X", "3"}));
  watch.Saw("2025-10-13T13:10:00", Report({"12"}));          // finished later
  watch.Saw("2025-10-13T13:15:00", Report({"12", "3"}, 0));  // no telling: does not break the run
  EXPECT_THAT(watch.Troubles(),
              ElementsAre("antenna 12 shows no sky since 2025-10-13T13:10:00; antennas 47 X, 3 show no "
                          "sky since 2025-10-13T13:20:00: flagged, look at the receivers"));
  EXPECT_THAT(metrics.Serialize(), HasSubstr("contimg_antennas_without_sky 3\n"));
  watch.Saw("2025-10-13T13:20:00", JobReport());  // calibrated later, without flagging
  EXPECT_EQ(watch.Status()["antennas"].size(), 3u);
  watch.Saw("2025-10-13T13:25:00", Report({}));
  EXPECT_THAT(watch.Troubles(), IsEmpty());
  EXPECT_EQ(watch.Status()["tile"], "2025-10-13T13:25:00");
  EXPECT_THAT(metrics.Serialize(), HasSubstr("contimg_antennas_without_sky 0\n"));
}

TEST(SkyWatch, EventsSayWhatATileShowed) {
  Metrics metrics;
  SkyWatch watch(metrics);
  EXPECT_FALSE(watch.EventOf("g", JobReport(), 1));
  EXPECT_FALSE(watch.EventOf("g", Report({}), 1));
  EXPECT_EQ(watch.EventOf("g", Report({"12", "47 X"}), 1)->detail, "antennas without sky: 12, 47 X");
  EXPECT_EQ(watch.EventOf("g", Report({}, 0), 1)->detail, "no telling which antennas see the sky");
  watch.Saw("g", Report({"12"}));
  EXPECT_EQ(watch.EventOf("g", Report({}), 1)->detail, "all antennas see the sky");
}

TEST(SkyWatch, ANewDaemonKnowsWhatItsPredecessorKnew) {
  const TemporaryFolder folder;
  state::GroupStore store(folder.path() / "ingest.sqlite3");
  Metrics metrics;
  SkyWatch before(metrics);
  for (const auto& [id, names] : std::vector<std::pair<std::string, std::vector<std::string>>>{
           {"2025-10-13T13:00:00", {}}, {"2025-10-13T13:05:00", {"12"}}, {"2025-10-13T13:10:00", {"12", "47 X"}}}) {
    state::GroupRow row;
    row.id = id;
    row.state = state::GroupState::kDone;
    store.Create(row, "test", 1);
    if (const auto event = before.EventOf(id, Report(names), 2)) store.AddEvent(*event);
    before.Saw(id, Report(names));
  }
  SkyWatch after(metrics);
  after.Restore(store);
  EXPECT_EQ(after.Troubles(), before.Troubles());
  EXPECT_EQ(after.Status(), before.Status());
}

}  // namespace
}  // namespace contimg::ops
