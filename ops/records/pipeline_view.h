// What the pages and the API know about the pipeline: the databases, opened for reading only, and the daemon's own
// status document (GET /api/v1/status), handed over as it was when the request came in.
//
// A database that does not exist yet counts as empty. Every method throws Error when a database cannot be read. Belongs
// to one thread (the daemon's ops/http/work_thread.h), except SetStatus.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "ops/mosaics/window_states.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"
#include "state/group_timeline.h"
#include "state/mosaic_store.h"
#include "state/product_store.h"
#include "state/source_store.h"
#include "state/task_store.h"

namespace contimg::ops {

class PipelineView {
 public:
  explicit PipelineView(ProductPaths paths);

  // From any thread. `now`: unix_s.
  void SetStatus(nlohmann::ordered_json status, double now);
  std::shared_ptr<const nlohmann::ordered_json> Status() const;
  double Now() const;
  const ProductPaths& paths() const { return paths_; }

  // --- groups
  std::vector<state::GroupRow> Groups(const state::GroupQuery& query);
  std::optional<state::GroupRow> FindGroup(const std::string& id);
  std::vector<state::GroupMark> Marks(const std::string& id_from, const std::string& id_before, int limit);
  std::vector<state::GroupBin> Bins(const std::string& id_from, const std::string& id_before, int id_characters);
  std::vector<state::SubbandFileRow> Files(const std::string& group);
  std::vector<state::EventRow> Events(const std::string& group, int limit);

  // --- tasks
  std::vector<state::TaskRow> Tasks(const state::TaskQuery& query);
  std::vector<state::TaskRow> TroubledTasks();  // TaskStore::Troubled

  // --- products
  std::vector<state::ProductRow> Products(const state::ProductQuery& query);
  std::optional<state::ProductRow> FindProduct(std::int64_t id);
  std::vector<state::AncestorRow> Ancestors(std::int64_t product);
  std::vector<state::ProductRow> Children(std::int64_t product);
  std::vector<state::JobRow> Jobs(const std::string& group);

  // --- mosaics
  std::vector<state::MosaicRow> Mosaics(const state::MosaicQuery& query);
  std::optional<state::MosaicRow> FindMosaic(const std::string& name);
  std::vector<state::MosaicTileRow> MosaicTiles(const state::MosaicRow& mosaic);
  std::vector<double> MosaicStrips();
  // ops/mosaics/window_states.h, with the service's own settings.
  WindowsOfTime MosaicWindows(std::optional<double> from_mjd, std::optional<double> to_mjd);

  // --- calibration
  std::vector<state::CalTableRow> Tables(const state::CalTableQuery& query);
  std::optional<state::CalTableRow> FindTable(std::int64_t id);
  std::vector<state::CalChoiceRow> Choices(const std::string& group);
  std::optional<GroupObservation> Observation(const std::string& group);

  // --- sources of our own, light curves, catalogues: for the stores of state/ over this database; null: there is none
  state::SourceStore* Sources();

 private:
  state::GroupStore* GroupsDb();
  state::ProductStore* ProductsDb();
  state::CalTableStore* TablesDb();

  ProductPaths paths_;
  std::unique_ptr<state::GroupStore> groups_;
  std::unique_ptr<state::ProductStore> products_;
  std::unique_ptr<state::CalTableStore> tables_;
  std::unique_ptr<state::SourceStore> sources_;
  mutable std::mutex mutex_;
  std::shared_ptr<const nlohmann::ordered_json> status_;  // guarded by mutex_
  double now_ = 0;                                        // guarded by mutex_
};

}  // namespace contimg::ops
