// The web pages over a database of 100 000 groups (each page < 50 ms), as the daemon's web thread makes them.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/time.h"
#include "ops/web/web.h"
#include "tests/temporary_folder.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr int kGroups = 100000, kImages = 20000, kTables = 9000;

// A year of groups with files, 20 000 imaged tiles with ten products each, a year of hourly gains.
struct Year {
  Year() {
    roots.scratch = base;
    roots.state = base / "state";
    roots.input = base / "incoming";
    roots.output = base / "ms";
    roots.images = base / "images";
    roots.tmp = base / "tmp";
    roots.staging = base / "staging";
    fs::create_directories(roots.state);
    const UtcTime start = UtcTime::FromIso8601("2025-01-01T00:00:00");
    now = start + 309.0 * kGroups;
    state::GroupStore groups(roots.state / "ingest.sqlite3");
    groups.database().Write([&] {
      for (int i = 0; i < kGroups; ++i) {
        const UtcTime at = start + 309.0 * i;
        state::GroupRow row;
        row.id = at.Iso8601();
        row.subbands_expected = 16;
        row.first_file_at = row.started_at = at.unix_s() + 310;
        row.finished_at = row.started_at + 20;
        row.state = i % 100 < 90 ? state::GroupState::kDone : static_cast<state::GroupState>(i % 9);
        if (row.state == state::GroupState::kRunning) row.state = state::GroupState::kReady;
        if (row.state == state::GroupState::kDead || row.state == state::GroupState::kFailed) {
          row.error_kind = ErrorKind::kIo;
          row.error = "scratch/ms: cannot write: No space left on device";
        }
        row.timings_json = R"({"convert": 4.1, "flag": 2.2, "apply": 0.4, "image": 9.3})";
        std::vector<state::SubbandFileRow> files(16);
        for (int s = 0; s < 16; ++s) {
          files[s].subband = s;
          files[s].path = fmt::format("/stage/incoming/{}_sb{:02}.hdf5", row.id, s);
          files[s].seen_at = row.first_file_at;
        }
        groups.AddFiles(row, files, "bench", row.first_file_at);
      }
    });
    newest = (start + 309.0 * (kGroups - 1)).Iso8601();
    state::ProductStore products(roots.state / "products.sqlite3");
    products.database().Write([&] {
      for (int i = 0; i < kImages; ++i) {
        const UtcTime at = start + 309.0 * (kGroups - kImages + i);
        const auto save = [&](const char* kind, const std::string& path) {
          state::ProductRow row;
          row.kind = kind;
          row.path = path;
          row.group_id = at.Iso8601();
          row.start_mjd = at.mjd();
          row.end_mjd = at.mjd() + 309.0 / kSecondsPerDay;
          row.qa_json = R"({"quality": {"rms_jy": 4e-4, "rms_over_thermal": 1.1, "dynamic_range": 900, "grade": "A"}})";
          row.qa_grade = "A";
          return products.Save(row, at.unix_s());
        };
        const auto ms = save("science_ms", fmt::format("/ms/{}.ms", i));
        if (i + 1 == kImages) {
          for (int s = 0; s < 16; ++s) products.Link(ms, {save("uvh5", fmt::format("/in/{}_{}.hdf5", i, s))});
        }
        for (const char* kind :
             {"image.pbcor", "image", "residual", "model", "psf", "pb", "smear", "qa_picture", "qa_metrics"}) {
          products.Link(save(kind, fmt::format("{}/{}.{}", roots.images.string(), i, kind)), {ms});
        }
      }
    });
    state::CalTableStore tables(roots.state / "cal_registry.sqlite3");
    tables.database().Write([&] {
      for (int i = 0; i < kTables; ++i) {
        state::CalTableRow row;
        row.kind = "G";
        row.interval = "1h";
        row.path = fmt::format("/cal/{}.gpcal", i);
        row.source_group = newest;
        row.valid_from_mjd = now.mjd() - (kTables - i) / 24.0;
        row.valid_to_mjd = row.valid_from_mjd + 1 / 24.0;
        tables.Register(row, now.unix_s());
      }
    });
    web = std::make_unique<Web>(ProductPaths(roots));
    web->AddRoutes(router);
    web->view().SetStatus({{"ready", true}, {"dispatch_allowed", true}, {"troubles", nlohmann::json::array()}},
                          now.unix_s());
  }

  TemporaryFolder folder{"bench"};
  const fs::path base = folder.path();
  DirectoryRoots roots;
  UtcTime now;
  std::string newest;
  HttpRouter router;
  std::unique_ptr<Web> web;
};

Year& TheYear() {
  static Year year;
  return year;
}

void Page(benchmark::State& state, std::string target) {
  Year& year = TheYear();
  if (target == "/groups/*") target = "/groups/" + year.newest;
  if (target == "/api/v1/groups/*") target = "/api/v1/groups/" + year.newest;
  std::size_t bytes = 0;
  for (auto _ : state) {
    const HttpResponse response = year.router.Handle(ParseTarget("GET", target));
    if (response.status != 200) state.SkipWithError(response.body.c_str());
    bytes = response.body.size();
  }
  state.counters["kB"] = static_cast<double>(bytes) / 1000;
}
BENCHMARK_CAPTURE(Page, status, "/")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, status_week, "/?span=7d")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, status_month, "/?span=30d")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, list, "/groups")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, list_dead, "/groups?state=dead")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, list_failed_and_dead, "/groups?state=failed,dead")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, group, "/groups/*")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, api_groups, "/api/v1/groups?limit=1000")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, api_group, "/api/v1/groups/*")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, api_products, "/api/v1/products?limit=1000")->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(Page, api_calibration, "/api/v1/calibration")->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace contimg::ops

BENCHMARK_MAIN();
