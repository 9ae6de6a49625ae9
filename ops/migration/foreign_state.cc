#include "ops/migration/foreign_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "config/error.h"
#include "config/os.h"
#include "config/time.h"
#include "ops/base/host_name.h"
#include "ops/migration/stage_name.h"
#include "ops/migration/tree_journal.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/raw_database.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using state::NumberOf;
using state::RawRow;
using state::ValueOf;

constexpr const char* kProvenance = "migrated";
// In this order: groups rest on what is known of products.
constexpr std::array<const char*, 6> kTables{"ms_index",  "images",       "mosaics",
                                             "caltables", "ingest_queue", "processing_queue"};
constexpr std::array<std::pair<std::string_view, ProductKind>, 8> kImageTypes{{{"image", ProductKind::kImage},
                                                                               {"pbcor", ProductKind::kPbcor},
                                                                               {"residual", ProductKind::kResidual},
                                                                               {"model", ProductKind::kModel},
                                                                               {"psf", ProductKind::kPsf},
                                                                               {"pb", ProductKind::kPb},
                                                                               {"dirty", ProductKind::kDirty},
                                                                               {"mosaic", ProductKind::kMosaic}}};

template <class Store>
std::unique_ptr<Store> OpenStore(const fs::path& path, bool apply, Os& os) {
  if (apply) return std::make_unique<Store>(path);
  if (!Exists(path, os)) return nullptr;
  return std::make_unique<Store>(path, state::DatabaseOptions::ForOneLook());
}

std::string TimestampIn(const fs::path& path) {
  const std::string stamp = path.filename().string().substr(0, 19);
  return IsTimestamp(stamp) ? stamp : "";
}

std::string RowText(const RawRow& row) { return json(row).dump(-1, ' ', false, json::error_handler_t::replace); }

class Taker {
 public:
  Taker(const ProductPaths& paths, bool apply, const RunContext& context, double now)
      : paths_(paths),
        apply_(apply),
        context_(context),
        os_(OsOr(context.os)),
        now_(now),
        groups_(OpenStore<state::GroupStore>(paths.Database(StateDatabase::kIngest), apply, os_)),
        tables_(OpenStore<state::CalTableStore>(paths.Database(StateDatabase::kCalRegistry), apply, os_)),
        products_(OpenStore<state::ProductStore>(paths.Database(StateDatabase::kProducts), apply, os_)) {
    ReadJournals();
  }

  ForeignTable Take(const fs::path& file, const std::string& table) {
    result_ = {};
    result_.database = file;
    result_.table = table;
    state::RawDatabase database(file);
    const auto each = [&](const RawRow& row) {
      context_.CheckCancelled(kMigrateStage);
      ++result_.rows;
      const bool is_new = table == "caltables"                                     ? TakeTable(row)
                          : table == "ingest_queue" || table == "processing_queue" ? TakeGroup(row)
                                                                                   : TakeProduct(table, row);
      ++(is_new ? result_.taken : result_.known);
    };
    const auto all = [&] { database.ForEach(table, each); };
    if (!apply_) {
      all();
    } else if (table == "caltables") {
      tables_->database().Write(all);
    } else if (table == "ingest_queue" || table == "processing_queue") {
      groups_->database().Write(all);
    } else {
      products_->database().Write(all);
    }
    return std::move(result_);
  }

 private:
  // Where migrations of trees have put things: old path → new one.
  void ReadJournals() {
    const fs::path folder = paths_.roots().state / "migrations";
    if (!IsDirectory(folder, os_)) return;
    for (const fs::path& file : os_.List(folder)) {
      if (file.extension() != ".jsonl" || file.filename().string().front() == '.') continue;
      for (const JournalItem& item : ReadJournal(file, os_).items) {
        if (item.state == ItemState::kMoved || item.state == ItemState::kRecorded) moved_[item.from] = item.to;
      }
    }
  }
  // The paths under which the thing may be known here.
  std::vector<fs::path> PathsHere(const fs::path& theirs) const {
    std::vector<fs::path> all{theirs};
    if (const auto moved = moved_.find(theirs); moved != moved_.end()) all.push_back(moved->second);
    const auto name = ParseProductName(theirs);
    if (!name) return all;
    if (name->kind == ProductKind::kScienceMs || name->kind == ProductKind::kCalibratorMs) {
      all.push_back(paths_.ScienceMs(name->timestamp));
      for (const CalInterval interval : {CalInterval::k24Hours, CalInterval::k1Hour}) {
        all.push_back(paths_.CalibratorMs(name->timestamp, interval));
      }
    } else if (name->kind == ProductKind::kCalTable) {
      all.push_back(paths_.CalTable(name->timestamp, name->interval, name->cal_kind));
    } else if (name->of_mosaic()) {
      all.push_back(paths_.MosaicPrefix(name->timestamp, name->end, name->dec_deg).parent_path() / theirs.filename());
    } else if (IsImage(name->kind)) {
      all.push_back(paths_.Image(name->timestamp, name->kind, name->format, name->band));
    }
    return all;
  }
  void Trouble(const std::string& subject, const std::string& sentence) {
    result_.troubles.push_back(fmt::format("{}: {}", subject, sentence));
  }

  // --- products; true: something is (or would be) written
  std::optional<ProductKind> KindOfRow(const std::string& table, const RawRow& row, const fs::path& path) {
    if (table == "mosaics") return ProductKind::kMosaic;
    if (table == "ms_index") return MeasurementSetKind(path);
    if (const auto name = ParseProductName(path)) return name->kind;
    const std::string type = ValueOf(row, {"type"});
    for (const auto& [word, kind] : kImageTypes) {
      if (word == type) return kind;
    }
    return std::nullopt;
  }
  bool TakeProduct(const std::string& table, const RawRow& row) {
    const std::string text = ValueOf(row, {"path", "output_path"});
    if (text.empty()) {
      Trouble(table, fmt::format("a row names no path: {}", RowText(row)));
      return false;
    }
    const fs::path path = Absolute(text);
    const auto kind = KindOfRow(table, row, path);
    if (!kind) {
      Trouble(path.string(), fmt::format("is of the type '{}', which is none of ours", ValueOf(row, {"type"})));
      return false;
    }
    state::ProductRow product;
    bool known = false;
    for (const fs::path& here : PathsHere(path)) {
      const auto found = products_ ? products_->FindByPath(here.string()) : std::nullopt;
      if (!found) continue;
      product = *found;
      known = true;
      break;
    }
    if (!known) {
      if (Exists(path, os_)) {
        Trouble(path.string(), "is there and not on record: migrate the tree first");
        return false;
      }
      product.kind = ToString(*kind);
      product.path = path.string();
      product.group_id = TimestampIn(path);
      if (product.group_id.empty()) product.group_id = TimestampIn(ValueOf(row, {"ms_path", "group_id"}));
      product.status = "removed";
      product.start_mjd = NumberOf(row, {"start_mjd", "mid_mjd"});
      product.end_mjd = NumberOf(row, {"end_mjd", "mid_mjd"});
      if (const double ra = NumberOf(row, {"center_ra_deg", "pointing_ra_deg", "ra_deg"}); ra != 0) product.ra_deg = ra;
      if (const double dec = NumberOf(row, {"center_dec_deg", "pointing_dec_deg", "dec_deg"}); dec != 0) {
        product.dec_deg = dec;
      }
    }
    if (!product.group_id.empty()) with_products_.insert(product.group_id);
    if (product.job_id) return false;
    if (!apply_) return true;
    state::JobRow job;
    job.group_id = product.group_id;
    job.kind = kProvenance;
    job.host = HostName();
    job.outcome = "done";
    job.started_at = job.finished_at = NumberOf(row, {"created_at", "processed_at"});
    job.job_json = json({{"database", result_.database.string()}, {"table", table}}).dump();
    job.report_json = RowText(row);
    if (job.finished_at == 0) job.started_at = job.finished_at = now_;
    product.job_id = products_->AddJob(job);
    products_->Save(product, now_);
    return true;
  }

  // --- calibration tables: what was decided about them there
  bool TakeTable(const RawRow& row) {
    const fs::path path = Absolute(ValueOf(row, {"path"}));
    const std::string status = ValueOf(row, {"status"});
    const bool serves = status.empty() ? ValueOf(row, {"active"}) != "0" : status == "active";
    for (const fs::path& here : PathsHere(path)) {
      const auto found = tables_ ? tables_->FindByPath(here.string()) : std::nullopt;
      if (!found) continue;
      if (serves || found->status != "active") return false;
      if (apply_) {
        const std::string notes = ValueOf(row, {"notes"});
        tables_->SetStatus(found->id, "retired",
                           fmt::format("{}: it was {} there{}{}", kProvenance, status.empty() ? "retired" : status,
                                       notes.empty() ? "" : ", ", notes),
                           now_);
      }
      return true;
    }
    if (Exists(path, os_)) Trouble(path.string(), "is there and not registered: migrate the tree first");
    return false;
  }

  // --- groups
  bool TakeGroup(const RawRow& row) {
    std::string id = ValueOf(row, {"group_id"});
    if (id.size() > 10 && id[10] == ' ') id[10] = 'T';
    if (!IsTimestamp(id)) {
      Trouble(id.empty() ? result_.table : id, "is no time, as a group's name is here");
      return false;
    }
    const std::string there = ValueOf(row, {"state", "status"});
    const bool done = there == "completed" || there == "done", failed = there == "failed";
    if (!done && !failed) return false;
    if (done && with_products_.count(id) == 0) return false;
    if (groups_ && groups_->Find(id)) return false;
    if (!apply_) return true;
    state::GroupRow group;
    group.id = id;
    group.state = done ? state::GroupState::kDone : state::GroupState::kCancelled;
    group.subbands_expected = static_cast<int>(NumberOf(row, {"expected_subbands"}));
    group.attempts = static_cast<int>(NumberOf(row, {"retry_count"}));
    group.first_file_at = NumberOf(row, {"received_at", "created_at"});
    if (failed) group.error = fmt::format("{}: {}", kProvenance, ValueOf(row, {"error", "error_message"}));
    groups_->Create(group, kProvenance, now_);
    state::EventRow event;
    event.at = now_;
    event.group_id = id;
    event.kind = "note";
    event.actor = kProvenance;
    event.detail = fmt::format("{} of {}: {}", result_.table, result_.database.string(), RowText(row));
    groups_->AddEvent(event);
    return true;
  }

  const ProductPaths& paths_;
  bool apply_;
  const RunContext& context_;
  Os& os_;
  double now_;
  std::unique_ptr<state::GroupStore> groups_;
  std::unique_ptr<state::CalTableStore> tables_;
  std::unique_ptr<state::ProductStore> products_;
  std::map<fs::path, fs::path> moved_;
  std::set<std::string> with_products_;
  ForeignTable result_;
};

std::set<std::string> ForeignTables(const fs::path& file) {
  std::set<std::string> found;
  state::RawDatabase database(file);
  if (database.application_id() != 0) return found;
  for (const char* table : kTables) {
    if (database.tables().count(table) != 0) found.insert(table);
  }
  return found;
}

}  // namespace

std::vector<fs::path> FindForeignDatabases(const fs::path& directory, Os& os) {
  std::vector<fs::path> found;
  const auto look = [&](const fs::path& file) {
    const std::string ending = file.extension().string();
    if (ending != ".sqlite3" && ending != ".sqlite" && ending != ".db") return;
    if (IsFile(file, os) && FileSize(file, os) > 0 && !ForeignTables(file).empty()) found.push_back(file);
  };
  for (const fs::path& entry : os.List(directory)) {
    look(entry);
    if (!IsDirectory(entry, os)) continue;
    for (const fs::path& below : os.List(entry)) look(below);
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<ForeignTable> TakeForeignState(const std::vector<fs::path>& databases, const ProductPaths& paths,
                                           bool apply, const RunContext& context, double now) {
  Taker taker(paths, apply, context, now);
  std::vector<ForeignTable> all;
  double n_done = 0;
  for (const char* table : kTables) {
    for (const fs::path& database : databases) {
      if (ForeignTables(database).count(table) != 0) all.push_back(taker.Take(database, table));
    }
    context.reporter->Progress(kMigrateStage, ++n_done / static_cast<double>(kTables.size()));
  }
  return all;
}

}  // namespace contimg::ops
