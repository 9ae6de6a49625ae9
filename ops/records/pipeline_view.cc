#include "ops/records/pipeline_view.h"

#include <utility>

#include "config/error.h"
#include "config/os.h"

namespace contimg::ops {
namespace {

// Opens a database for reading when it exists.
template <class Store>
Store* OpenOnce(std::unique_ptr<Store>& store, const std::filesystem::path& path) {
  if (store || !Exists(path)) return store.get();
  state::DatabaseOptions options;
  options.read_only = true;
  options.busy_timeout_s = 2;
  try {
    store = std::make_unique<Store>(path, options);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kUsage) throw;
    // Of another version: nothing that the asker did, and over as soon as it was brought up to date.
    throw Error(ErrorKind::kBusy, error.stage(), error.subject(), error.message());
  }
  return store.get();
}

}  // namespace

PipelineView::PipelineView(ProductPaths paths)
    : paths_(std::move(paths)),
      status_(std::make_shared<const nlohmann::ordered_json>(nlohmann::ordered_json::object())) {}

void PipelineView::SetStatus(nlohmann::ordered_json status, double now) {
  auto fresh = std::make_shared<const nlohmann::ordered_json>(std::move(status));
  const std::lock_guard lock(mutex_);
  status_ = std::move(fresh);
  now_ = now;
}

std::shared_ptr<const nlohmann::ordered_json> PipelineView::Status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

double PipelineView::Now() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

state::GroupStore* PipelineView::GroupsDb() { return OpenOnce(groups_, paths_.Database(StateDatabase::kIngest)); }
state::ProductStore* PipelineView::ProductsDb() {
  return OpenOnce(products_, paths_.Database(StateDatabase::kProducts));
}
state::CalTableStore* PipelineView::TablesDb() {
  return OpenOnce(tables_, paths_.Database(StateDatabase::kCalRegistry));
}

state::SourceStore* PipelineView::Sources() {
  return OpenOnce(sources_, paths_.Database(StateDatabase::kMasterSources));
}

std::vector<state::GroupRow> PipelineView::Groups(const state::GroupQuery& query) {
  auto* db = GroupsDb();
  return db ? db->List(query) : std::vector<state::GroupRow>();
}

std::optional<state::GroupRow> PipelineView::FindGroup(const std::string& id) {
  auto* db = GroupsDb();
  return db ? db->Find(id) : std::nullopt;
}

std::vector<state::GroupMark> PipelineView::Marks(const std::string& id_from, const std::string& id_before, int limit) {
  auto* db = GroupsDb();
  return db ? state::GroupMarks(*db, id_from, id_before, limit) : std::vector<state::GroupMark>();
}

std::vector<state::GroupBin> PipelineView::Bins(const std::string& id_from, const std::string& id_before,
                                                int id_characters) {
  auto* db = GroupsDb();
  return db ? state::GroupBins(*db, id_from, id_before, id_characters) : std::vector<state::GroupBin>();
}

std::vector<state::SubbandFileRow> PipelineView::Files(const std::string& group) {
  auto* db = GroupsDb();
  return db ? db->Files(group) : std::vector<state::SubbandFileRow>();
}

std::vector<state::EventRow> PipelineView::Events(const std::string& group, int limit) {
  auto* db = GroupsDb();
  return db ? db->Events(group, limit) : std::vector<state::EventRow>();
}

std::vector<state::TaskRow> PipelineView::Tasks(const state::TaskQuery& query) {
  auto* db = GroupsDb();
  return db ? state::TaskStore(db->database()).List(query) : std::vector<state::TaskRow>();
}

std::vector<state::TaskRow> PipelineView::TroubledTasks() {
  auto* db = GroupsDb();
  return db ? state::TaskStore(db->database()).Troubled() : std::vector<state::TaskRow>();
}

std::vector<state::ProductRow> PipelineView::Products(const state::ProductQuery& query) {
  auto* db = ProductsDb();
  return db ? db->List(query) : std::vector<state::ProductRow>();
}

std::optional<state::ProductRow> PipelineView::FindProduct(std::int64_t id) {
  auto* db = ProductsDb();
  return db ? db->Find(id) : std::nullopt;
}

std::vector<state::AncestorRow> PipelineView::Ancestors(std::int64_t product) {
  auto* db = ProductsDb();
  return db ? db->Ancestors(product) : std::vector<state::AncestorRow>();
}

std::vector<state::ProductRow> PipelineView::Children(std::int64_t product) {
  auto* db = ProductsDb();
  return db ? db->Children(product) : std::vector<state::ProductRow>();
}

std::vector<state::JobRow> PipelineView::Jobs(const std::string& group) {
  auto* db = ProductsDb();
  return db ? db->JobsOf(group) : std::vector<state::JobRow>();
}

std::vector<state::MosaicRow> PipelineView::Mosaics(const state::MosaicQuery& query) {
  auto* db = ProductsDb();
  return db ? state::MosaicStore(db->database()).List(query) : std::vector<state::MosaicRow>();
}

std::optional<state::MosaicRow> PipelineView::FindMosaic(const std::string& name) {
  auto* db = ProductsDb();
  return db ? state::MosaicStore(db->database()).Find(name) : std::nullopt;
}

std::vector<state::MosaicTileRow> PipelineView::MosaicTiles(const state::MosaicRow& mosaic) {
  auto* db = ProductsDb();
  return db ? state::MosaicStore(db->database()).Tiles(mosaic.id) : std::vector<state::MosaicTileRow>();
}

std::vector<double> PipelineView::MosaicStrips() {
  auto* db = ProductsDb();
  return db ? state::MosaicStore(db->database()).Strips() : std::vector<double>();
}

WindowsOfTime PipelineView::MosaicWindows(std::optional<double> from_mjd, std::optional<double> to_mjd) {
  auto* db = ProductsDb();
  if (db == nullptr) return {};
  const auto status = Status();
  const auto told = status->find("mosaics");
  MosaicSettings settings;
  if (told != status->end() && told->is_object()) {
    settings.tiles = told->value("tiles", settings.tiles);
    settings.overlap = told->value("overlap", settings.overlap);
  }
  return WindowStates(*db, GroupsDb(), settings, from_mjd, to_mjd, Now());
}

std::vector<state::CalTableRow> PipelineView::Tables(const state::CalTableQuery& query) {
  auto* db = TablesDb();
  return db ? db->List(query) : std::vector<state::CalTableRow>();
}

std::optional<state::CalTableRow> PipelineView::FindTable(std::int64_t id) {
  auto* db = TablesDb();
  return db ? db->Find(id) : std::nullopt;
}

std::vector<state::CalChoiceRow> PipelineView::Choices(const std::string& group) {
  auto* db = TablesDb();
  return db ? db->Choices(group) : std::vector<state::CalChoiceRow>();
}

std::optional<GroupObservation> PipelineView::Observation(const std::string& group) {
  auto* db = TablesDb();
  return db ? db->Observation(group) : std::nullopt;
}

}  // namespace contimg::ops
