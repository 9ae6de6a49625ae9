#include "ops/cli/demo_mosaic.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "config/error.h"
#include "config/stopwatch.h"
#include "config/text.h"
#include "config/time.h"
#include "ops/base/words.h"
#include "ops/mosaics/mosaic_task.h"
#include "ops/mosaics/windows.h"
#include "ops/records/mosaic_words.h"
#include "ops/web/mosaic_pages.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"

namespace contimg::ops {
namespace {

std::string DemoTaskId(const std::string& name) { return fmt::format("{}/{}", kMosaicTask, name); }

}  // namespace

std::string AskForDemoMosaic(const ProductPaths& paths) {
  state::ProductStore products(paths.Database(StateDatabase::kProducts));
  const std::vector<TileOnRecord> tiles = TilesOnRecord(products, 0, 1e6);
  if (tiles.size() < 2) return "";
  // Not a window of the service's: those of an hour would wait for tiles that do not come.
  const double half_days = kTileS / 2 / kSecondsPerDay;
  const MosaicWindow window =
      WindowOf(tiles.front().mjd - half_days, tiles.back().mjd + half_days, tiles.front().strip_deg);
  state::TaskStore tasks(paths.Database(StateDatabase::kIngest));
  AskForMosaic(tasks, {false, window.name, "asked for by contimg demo"}, UtcTime::Now().unix_s());
  return window.name;
}

void WaitForDemoMosaic(const ProductPaths& paths, const std::string& name, double patience_s) {
  const std::filesystem::path database = paths.Database(StateDatabase::kIngest);
  const Stopwatch watch;
  for (;;) {
    const auto task = state::TaskStore(database).Find(DemoTaskId(name));
    if (task && task->state == state::WorkState::kDone) return;
    if (task && task->state == state::WorkState::kDead) {
      throw Error(ErrorKind::kBug, "demo", DemoTaskId(name), "was given up: " + task->error);
    }
    if (watch.Seconds() > patience_s) {
      throw Error(ErrorKind::kTimeout, "demo", DemoTaskId(name),
                  fmt::format("is not done after {:.0f} s; see `contimg queue list` and daemon.log", patience_s));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

void PrintDemoMosaic(const ProductPaths& paths, const std::string& name, const std::string& contimg, int port) {
  state::ProductStore products(paths.Database(StateDatabase::kProducts));
  const auto row = state::MosaicStore(products.database()).Find(name);
  state::ProductQuery query;
  query.group_id = name;
  const auto files = products.List(query);
  const state::ProductRow* image = MosaicImage(files);
  if (!row || image == nullptr) throw Error(ErrorKind::kBug, "demo", name, "is not on record, though it is made");
  std::string figures;
  const auto json = nlohmann::json::parse(image->qa_json, nullptr, false);
  if (json.is_object() && json.contains("quality")) {
    figures = fmt::format(", noise {}/beam, {:.1f} square degrees", Flux(json["quality"].value("rms_median_jy", 0.0)),
                          json["quality"].value("covered_deg2", 0.0));
  }
  fmt::print("mosaic: {}\n  {} in it, {} left out, grade {}{}\n  page: http://127.0.0.1:{}{}\n", image->path,
             Counted(static_cast<std::int64_t>(row->n_used), "tile"), row->n_refused, row->grade, figures, port,
             MosaicAddress(name));
  for (const std::string& reason : GradeReasons(files)) fmt::print("  {}\n", reason);
  fmt::print("  which tiles, and why:\n  {} mosaic why {})\n", contimg, name);
}

}  // namespace contimg::ops
