#include "ops/migration/rebuild.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <tuple>
#include <utility>

#include "calibrate/casacore/calibration_table.h"
#include "calibrate/quality_gate.h"
#include "calibrate/solutions.h"
#include "config/os.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "image/products/fits_image.h"
#include "ops/base/checksum.h"
#include "ops/job/header_check.h"
#include "ops/lightcurves/flux_scales.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/tile_photometry.h"
#include "ops/mosaics/gate_marks.h"
#include "ops/mosaics/restore_mosaic.h"
#include "ops/records/reconciler.h"
#include "ops/records/registration.h"
#include "ops/worker/measure_table.h"
#include "state/cal_table_store.h"
#include "state/group_store.h"
#include "state/product_store.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRebuildStage = "rebuild";
constexpr std::size_t kCommitTogether = 64;  // products

class Rebuild {
 public:
  Rebuild(const ProductPaths& paths, const Settings& settings, const RunContext& context, double now,
          std::string_view actor, const std::map<std::string, std::string>& checksums)
      : paths_(paths),
        settings_(settings),
        context_(context),
        os_(OsOr(context.os)),
        now_(now),
        actor_(actor),
        checksums_(checksums),
        groups_(paths.Database(StateDatabase::kIngest)),
        tables_(paths.Database(StateDatabase::kCalRegistry)),
        products_(paths.Database(StateDatabase::kProducts)) {}

  RebuildFigures Run() {
    RegisterTables();
    context_.reporter->Progress(kRebuildStage, 0.3);
    RecordGroups();
    context_.reporter->Progress(kRebuildStage, 0.5);
    RecordProducts();
    context_.reporter->Progress(kRebuildStage, 0.6);
    CompleteProducts();
    context_.reporter->Progress(kRebuildStage, 0.8);
    RecordMosaics();
    RecordMeasurements();
    context_.reporter->Progress(kRebuildStage, 1);
    return std::move(figures_);
  }

 private:
  std::vector<fs::path> Entries(const fs::path& directory) {
    std::vector<fs::path> entries;
    if (IsDirectory(directory, os_)) entries = os_.List(directory);
    std::sort(entries.begin(), entries.end());
    return entries;
  }
  // The entries of the day directories below `root`, by day and name.
  std::vector<fs::path> InDays(const fs::path& root) {
    std::vector<fs::path> all;
    for (const fs::path& day : Entries(root)) {
      if (day.extension() == ".ms" || !IsDirectory(day, os_)) continue;
      for (fs::path& entry : Entries(day)) all.push_back(std::move(entry));
    }
    return all;
  }
  void Trouble(const Error& error) {
    figures_.troubles.emplace_back(error.what());
    context_.reporter->Warn(kRebuildStage, error.what());
  }

  // --- tables
  void RegisterTables() {
    struct Found {
      fs::path path;
      ProductName name;
    };
    std::vector<Found> found;
    for (const fs::path& path : InDays(paths_.roots().output / "calibrators")) {
      const auto name = ParseProductName(path);
      if (name && name->kind == ProductKind::kCalTable) found.push_back({path, *name});
    }
    // As they were made: by time, the day's before the hour's, delays before bandpass before gains.
    std::stable_sort(found.begin(), found.end(), [](const Found& a, const Found& b) {
      return std::tie(a.name.timestamp, a.name.interval, a.name.cal_kind) <
             std::tie(b.name.timestamp, b.name.interval, b.name.cal_kind);
    });
    for (const Found& each : found) {
      context_.CheckCancelled(kRebuildStage);
      if (tables_.FindByPath(Absolute(each.path).string())) continue;
      try {
        RegisterOne(each.path, each.name);
      } catch (const Error& error) {
        if (error.kind() == ErrorKind::kBusy || error.kind() == ErrorKind::kResource) throw;
        Trouble(error);
      }
    }
  }
  void RegisterOne(const fs::path& path, const ProductName& name) {
    const calibrate::SolutionSet solutions = calibrate::ReadCalibrationTable(path);
    const auto quality = calibrate::MeasureQuality(solutions, nullptr, 0, 0);
    RegisterRequest request;
    request.path = path;
    request.facts = FactsOf(path, solutions, quality);
    request.verdict = calibrate::JudgeQuality(solutions.kind, quality, 0, {});
    request.interval = std::string(ToString(name.interval));
    request.source_group = name.timestamp;
    request.rests_on = RestsOn(request.facts, name);
    const Registration done = RegisterTable(tables_, request, settings_.calibrate, now_);
    ++(done.status == "active" ? figures_.tables : figures_.tables_refused);
  }
  // Of one day's solve: those before it. Of an hourly gain: delays and bandpass that serve its time.
  std::vector<std::int64_t> RestsOn(const TableFacts& facts, const ProductName& name) {
    std::vector<std::int64_t> ids;
    if (name.interval == CalInterval::k1Hour) {
      const auto chosen =
          ChooseFromRegistry(tables_, facts.mid_mjd, facts.quality.value("declination_deg", 0.0), settings_.calibrate);
      for (const auto& id : {chosen.choice.delay, chosen.choice.bandpass}) {
        if (id) ids.push_back(*id);
      }
      return ids;
    }
    for (const CalKind kind : {CalKind::kDelay, CalKind::kBandpass}) {
      if (kind >= name.cal_kind) break;
      const auto row = tables_.FindByPath(Absolute(paths_.CalTable(name.timestamp, name.interval, kind)).string());
      if (row) ids.push_back(row->id);
    }
    return ids;
  }

  // --- groups
  struct Traces {
    std::optional<fs::path> measurement_set, image;
    bool finished = false;
  };
  void RecordGroups() {
    std::map<std::string, Traces> traces;
    for (const char* kind : {"science", "calibrators"}) {
      for (const fs::path& path : InDays(paths_.roots().output / kind)) {
        const auto name = ParseProductName(path);
        if (!name || path.extension() != ".ms") continue;
        Traces& trace = traces[name->timestamp];
        trace.measurement_set = path;
        trace.finished = trace.finished || !settings_.image.enabled;
      }
    }
    for (const fs::path& path : InDays(paths_.roots().images / "single")) {
      const auto name = ParseProductName(path);
      if (!name || (name->kind != ProductKind::kPbcor && name->kind != ProductKind::kImage)) continue;
      traces[name->timestamp].image = path;
      traces[name->timestamp].finished = true;
    }
    ListInput();
    for (const auto& [group, trace] : traces) {
      context_.CheckCancelled(kRebuildStage);
      if (groups_.Find(group)) continue;
      std::vector<state::SubbandFileRow> files = InputOf(group);
      if (!trace.finished && !files.empty()) {
        ++figures_.groups_left;
        continue;
      }
      RecordGroup(group, trace, files);
    }
  }
  void RecordGroup(const std::string& group, const Traces& trace, std::vector<state::SubbandFileRow>& files) {
    state::GroupRow row;
    row.id = group;
    row.state = state::GroupState::kDone;
    row.subbands_expected = static_cast<int>(settings_.ingest.expected_subbands);
    row.subbands_present = static_cast<int>(files.size());
    row.first_file_at = files.empty() ? UtcTime::FromIso8601(group).unix_s() : files.front().mtime;
    try {
      double start_s = 0, end_s = 0;
      if (trace.measurement_set) {
        const auto info = convert::DescribeMeasurementSet(*trace.measurement_set);
        start_s = info.start_mjd_s, end_s = info.end_mjd_s;
      } else if (trace.image) {
        const image::FitsHeader header = image::ReadFitsImage(*trace.image).header;
        start_s = header.start_mjd_s, end_s = header.end_mjd_s;
      }
      row.data_start_mjd = start_s / kSecondsPerDay;
      row.data_end_mjd = end_s / kSecondsPerDay;
    } catch (const Error& error) {
      Trouble(error);
    }
    for (state::SubbandFileRow& file : files) {
      file.checksum = Fingerprint(file.path);
      ++figures_.files;
    }
    groups_.database().Write([&] {
      groups_.Create(row, actor_, now_);
      if (!files.empty()) groups_.AddFiles(row, files, actor_, now_);
    });
    products_.database().Write([&] {  // before those that were made of them
      for (const state::SubbandFileRow& file : files) {
        state::ProductRow input;
        input.kind = ToString(ProductKind::kUvh5);
        input.path = file.path;
        input.group_id = group;
        input.start_mjd = row.data_start_mjd;
        input.end_mjd = row.data_end_mjd;
        input.size_bytes = file.size_bytes;
        input.checksum = file.checksum;
        products_.Save(input, now_);
      }
    });
    ++figures_.groups;
  }
  void ListInput() {
    for (const fs::path& path : Entries(paths_.roots().input)) {
      const auto name = ParseIncomingName(path);
      if (!name || name->incomplete) continue;
      const FileStatus status = os_.Status(path);
      state::SubbandFileRow file;
      file.subband = name->subband;
      file.path = path.string();
      file.size_bytes = static_cast<std::int64_t>(status.size);
      file.mtime = static_cast<double>(status.mtime_ns) * 1e-9;
      file.seen_at = now_;
      input_[UtcTime::FromIso8601(name->timestamp).unix_s()].push_back(std::move(file));
    }
  }
  // Stamps of one group may differ by ingest.stamp_tolerance_s; its id is the earliest.
  std::vector<state::SubbandFileRow> InputOf(const std::string& group) {
    std::vector<state::SubbandFileRow> files;
    std::set<int> subbands;
    const double stamp = UtcTime::FromIso8601(group).unix_s();
    for (auto each = input_.lower_bound(stamp);
         each != input_.end() && each->first <= stamp + settings_.ingest.stamp_tolerance_s; ++each) {
      for (state::SubbandFileRow file : each->second) {
        if (!subbands.insert(file.subband).second) continue;
        file.group_id = group;
        files.push_back(std::move(file));
      }
    }
    return files;
  }

  // --- products
  void RecordProducts() {
    Reconciler reconciler(paths_, groups_, os_);
    reconciler.Begin();
    while (!reconciler.Step(1, now_)) context_.CheckCancelled(kRebuildStage);
    figures_.products = reconciler.figures().n_adopted;
    figures_.lost = reconciler.figures().n_lost;
  }
  void CompleteProducts() {
    state::ProductQuery query;
    query.status = "present";
    query.newest_first = false;
    const std::vector<state::ProductRow> rows = products_.List(query);
    double n_done = 0;
    for (const state::ProductRow& row : rows) {
      context_.CheckCancelled(kRebuildStage);
      context_.reporter->Progress(kRebuildStage, 0.6 + 0.4 * n_done++ / static_cast<double>(rows.size()));
      if (row.checksum.empty()) Complete(row);
      if (completed_.size() >= kCommitTogether) CommitCompleted();
    }
    CommitCompleted();
  }
  void Complete(state::ProductRow row) {
    Try([&] {
      const auto known = checksums_.find(row.path);
      row.checksum = known != checksums_.end() ? known->second : ProductChecksum(row.path, context_.threads, os_);
      if (const auto name = ParseProductName(row.path); name && name->of_mosaic()) {
        completed_.emplace_back(std::move(row), std::vector<std::int64_t>());
        return;
      }
      Grade(row);
      if (!row.group_id.empty() && row.kind != ToString(ProductKind::kUvh5)) {
        row.ra_deg = Facts(row.group_id).ra_deg;
        row.dec_deg = Facts(row.group_id).dec_deg;
      }
      const std::vector<std::int64_t> parents = ParentsOf(row);
      completed_.emplace_back(std::move(row), parents);
    });
  }
  // A commit for each would be most of the time.
  void CommitCompleted() {
    products_.database().Write([&] {
      for (const auto& [row, parents] : completed_) {
        Try([&, &row = row, &parents = parents] {
          products_.database().Write([&] {
            const std::int64_t id = products_.Save(row, now_);
            if (!parents.empty()) products_.SetParents(id, parents);
          });
        });
      }
    });
    completed_.clear();
  }
  void RecordMosaics() {
    state::ProductQuery query;
    query.kind = ToString(ProductKind::kTileTable);
    query.status = "present";
    std::set<std::string> names;  // in the order in which they were made
    for (const state::ProductRow& row : products_.List(query)) names.insert(row.group_id);
    for (const std::string& name : names) {
      context_.CheckCancelled(kRebuildStage);
      Try([&] {
        for (std::string& group : RestoreMosaicRecord(products_, name, settings_.mosaic, now_, os_)) {
          judged_.insert(std::move(group));
        }
      });
    }
  }
  // Of tiles whose tables are not on record; then what follows from all measurements.
  void RecordMeasurements() {
    const fs::path file = paths_.Database(StateDatabase::kMasterSources);
    state::ProductQuery query;
    query.kind = ToString(ProductKind::kPhotometry);
    query.limit = 1;
    if (!Exists(file, os_) && products_.List(query).empty()) return;
    state::SourceStore sources(file);
    for (const TileTables& tables : UnrecordedTables(products_, sources.database(), "")) {
      context_.CheckCancelled(kRebuildStage);
      Try([&] {
        RecordTables(sources.database(), tables, now_, os_);
        judged_.insert(tables.group);
        ++figures_.tiles_measured;
      });
    }
    for (std::int64_t after = 0;;) {
      context_.CheckCancelled(kRebuildStage);
      after = RecordMissingFrames(products_, sources.database(), after, kCommitTogether);
      if (after == 0) break;
    }
    MarkTiles(products_, sources.database(), {judged_.begin(), judged_.end()});
    LightCurveRecorder(sources.database()).Rebuild();
    NormaliseRequest request;
    request.now = now_;
    NormaliseTiles(sources.database(), request, context_);
  }
  template <class Body>
  void Try(const Body& body) {
    try {
      body();
    } catch (const Error& error) {
      if (MayPass(error.kind()) && error.kind() != ErrorKind::kIo) throw;
      Trouble(error);
    }
  }
  // Graded are the image and what is said of it, from the file of figures.
  void Grade(state::ProductRow& row) {
    if (row.kind != ToString(ProductKind::kPbcor) && row.kind != ToString(ProductKind::kImage) &&
        row.kind != ToString(ProductKind::kQaPicture) && row.kind != ToString(ProductKind::kQaMetrics)) {
      return;
    }
    const fs::path metrics = paths_.QaMetrics(row.group_id);
    if (!Exists(metrics, os_)) return;
    const auto figures = nlohmann::json::parse(os_.ReadFile(metrics), nullptr, false);
    if (!figures.is_object()) return;
    const auto& quality = figures.contains("quality") ? figures["quality"] : figures;
    if (quality.is_object() && quality.contains("grade") && quality["grade"].is_string()) {
      row.qa_grade = quality["grade"];
      row.qa_json = figures.dump();
    }
  }
  // What it was made from, as the worker reports it. Of a Measurement Set the reconciler knows it.
  std::vector<std::int64_t> ParentsOf(const state::ProductRow& row) {
    std::vector<std::int64_t> ids;
    const auto add = [&](const fs::path& path) {
      const auto parent = products_.FindByPath(path.string());
      if (parent && parent->id != row.id) ids.push_back(parent->id);
    };
    const auto kind = FindProductKind(row.kind);
    if (!kind || row.group_id.empty()) return ids;
    if (*kind == ProductKind::kCalTable) {
      add(paths_.ScienceMs(row.group_id));
    } else if (*kind == ProductKind::kQaPicture || *kind == ProductKind::kQaMetrics ||
               *kind == ProductKind::kPhotometry || *kind == ProductKind::kSources) {
      for (const ImageFormat format : {ImageFormat::kFits, ImageFormat::kFitsCompressed, ImageFormat::kCasa}) {
        if (ids.empty()) add(paths_.Image(row.group_id, ProductKind::kImage, format));
      }
    } else if (IsImage(*kind)) {
      add(paths_.ScienceMs(row.group_id));
      for (const fs::path& table : Facts(row.group_id).tables) add(table);
    }
    return ids;
  }
  // What the group's Measurement Set (else its image) says of the group.
  struct GroupFacts {
    std::string group;
    std::optional<double> ra_deg, dec_deg;
    std::vector<fs::path> tables;  // "BP 2025-10-13T13:28:03_24h.bpcal applied to DATA, …" in its history
  };
  const GroupFacts& Facts(const std::string& group) {
    if (group == facts_.group) return facts_;
    facts_ = {group, {}, {}, {}};
    const fs::path path = paths_.ScienceMs(group);
    const auto take = [&](const PhaseCentre& centre) {
      facts_.ra_deg = Angle::Radians(centre.ra_rad).deg();
      facts_.dec_deg = Angle::Radians(centre.dec_rad).deg();
    };
    if (!Exists(path, os_)) {
      for (const ProductKind kind : {ProductKind::kPbcor, ProductKind::kImage}) {
        const fs::path image = paths_.Image(group, kind);
        if (!Exists(image, os_)) continue;
        take(image::ReadFitsImage(image).header.centre);
        break;
      }
      return facts_;
    }
    const auto info = convert::DescribeMeasurementSet(path);
    if (!info.fields.empty()) take(info.fields.front().centre);
    for (const std::string& line : info.history) {
      const std::size_t end = line.find(" applied to ");
      const std::size_t begin = end == std::string::npos || end == 0 ? end : line.rfind(' ', end - 1);
      if (begin == std::string::npos) continue;
      const auto name = ParseProductName(line.substr(begin + 1, end - begin - 1));
      if (!name || name->kind != ProductKind::kCalTable) continue;
      facts_.tables.push_back(paths_.CalTable(name->timestamp, name->interval, name->cal_kind));
    }
    return facts_;
  }

  const ProductPaths& paths_;
  const Settings& settings_;
  const RunContext& context_;
  Os& os_;
  double now_;
  std::string actor_;
  const std::map<std::string, std::string>& checksums_;
  state::GroupStore groups_;
  state::CalTableStore tables_;
  state::ProductStore products_;
  std::map<double, std::vector<state::SubbandFileRow>> input_;  // by stamp, unix_s
  GroupFacts facts_;                                            // of the group that was looked up last
  std::vector<std::pair<state::ProductRow, std::vector<std::int64_t>>>
      completed_;                 // and its parents; not committed yet
  std::set<std::string> judged_;  // tiles whose marks may be others now
  RebuildFigures figures_;
};

}  // namespace

RebuildFigures RebuildRecords(const ProductPaths& paths, const Settings& settings, const RunContext& context,
                              double now, std::string_view actor, const std::map<std::string, std::string>& checksums) {
  return Rebuild(paths, settings, context, now, actor, checksums).Run();
}

}  // namespace contimg::ops
