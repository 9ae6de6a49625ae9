#include "ops/api/record_api.h"

#include <fmt/format.h>

#include <optional>

#include "config/quality_flags.h"
#include "ops/api/answer.h"
#include "ops/api/group_query.h"
#include "ops/base/words.h"
#include "ops/records/row_json.h"
#include "state/dataset_store.h"
#include "state/instruments.h"
#include "state/observation_store.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

constexpr int kRecordsUnlessAsked = 100, kMostRecords = 1000;

template <typename T>
ordered_json OrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

ordered_json RecordJson(const state::MissionRow& row) {
  return {{"uuid", row.uuid},
          {"name", row.name},
          {"description", TextOrNull(row.description)},
          {"time_unit", row.time_unit},
          {"time_epoch", row.time_epoch},
          {"time_epoch_scale", row.time_epoch_scale},
          {"time_epoch_format", row.time_epoch_format},
          {"time_format_name", TextOrNull(row.time_format_name)}};
}

ordered_json RecordJson(const state::CatalogueRow& row) {
  return {{"name", row.name},
          {"mission", row.mission},
          {"description", TextOrNull(row.description)},
          {"frequency_hz", row.frequency_hz},
          {"file", TextOrNull(row.file)},
          {"sha256", TextOrNull(row.sha256)},
          {"imported_at", TimeJson(row.imported_at)},
          {"sources", row.sources}};
}

ordered_json RecordJson(const state::InstrumentRow& row) {
  return {{"id", row.id},
          {"uuid", row.uuid},
          {"mission", row.mission},
          {"name", row.name},
          {"properties", ParsedColumn(row.properties_json)},
          {"parent", OrNull(row.parent_id)},
          {"n_parts", row.parts}};
}

ordered_json RecordJson(const state::ObservationRow& row) {
  ordered_json value = {{"group", row.group_id},
                        {"type", row.type},
                        {"instrument", row.instrument},
                        {"at", TimeOfMjdJson(row.mjd)},
                        {"mjd", row.mjd},
                        {"duration_s", row.duration_s},
                        {"step_s", OrNull(row.step_s)},
                        {"n_integrations", OrNull(row.n_integrations)},
                        {"ra_deg", OrNull(row.ra_deg)},
                        {"dec_deg", OrNull(row.dec_deg)},
                        {"lst_deg", row.lst_deg},
                        {"frequency_hz", row.frequency_hz},
                        {"beam_major_arcsec", OrNull(row.beam_major_arcsec)},
                        {"beam_minor_arcsec", OrNull(row.beam_minor_arcsec)},
                        {"scale", OrNull(row.scale)},
                        {"scale_error", OrNull(row.scale_error)},
                        {"flags", row.flags},
                        {"flag_names", QualityFlagNames(row.flags)},
                        {"recorded_at", TimeJson(row.recorded_at)}};
  if (row.tracking) {
    value["target"] = row.tracking->target;
    value["program"] = TextOrNull(row.tracking->program);
    value["band"] = TextOrNull(row.tracking->band);
    value["exposure_s"] = OrNull(row.tracking->exposure_s);
  }
  return value;
}

ordered_json RecordJson(const state::FrameRow& row) {
  return {{"id", row.id},
          {"group", row.group_id},
          {"type", row.type},
          {"role", row.role},
          {"cadence", row.cadence},
          {"path", row.path},
          {"simple", row.simple},
          {"bitpix", row.bitpix},
          {"naxis", row.axes.size()},
          {"naxis_values", row.axes},
          {"extended", row.extended},
          {"bscale", row.bscale},
          {"bzero", row.bzero}};
}

ordered_json RecordJson(const state::ProcessingMethodRow& row) {
  return {{"name", row.name},
          {"description", TextOrNull(row.description)},
          {"parameters", ParsedColumn(row.parameters_json)},
          {"parameters_hash", row.parameters_hash}};
}

// How many integrations have each flag goes with the words themselves.
ordered_json RecordJson(const state::FlagArrayRow& row) {
  ordered_json counts = ordered_json::object();
  for (const QualityFlag& flag : kQualityFlags) {
    std::int64_t n = 0;
    for (const QualityFlags word : row.flags) n += (word & flag.mask()) != 0 ? 1 : 0;
    if (n > 0) counts[std::string(flag.name)] = n;
  }
  return {{"type", row.type},   {"group", row.group_id},       {"source_id", OrNull(row.source_id)},
          {"flags", row.flags}, {"counts", std::move(counts)}, {"created_on", TimeJson(row.created_on)}};
}

template <class Rows>
ordered_json RecordsJson(const Rows& rows) {
  ordered_json array = ordered_json::array();
  for (const auto& row : rows) array.push_back(RecordJson(row));
  return array;
}

// What `list` finds, as {name: […]}; nothing where there is no database yet.
template <class List>
HttpResponse ListAnswer(PipelineView& view, const char* name, const List& list) {
  state::SourceStore* store = view.Sources();
  return JsonAnswer({{name, store == nullptr ? ordered_json::array() : list(*store)}});
}

state::FrameQuery FrameQueryOf(const HttpRequest& request) {
  state::FrameQuery query;
  query.group_id = request.Parameter("group");
  query.type = request.Parameter("type");
  query.role = request.Parameter("role");
  if (!query.role.empty() && query.role != "science" && query.role != "calibration") {
    throw Error(ErrorKind::kUsage, "http", "role",
                fmt::format("expected science or calibration and found '{}'", query.role));
  }
  query.after = WholeParameter(request, "after", 1).value_or(0);
  query.limit = LimitOf(request, kRecordsUnlessAsked, kMostRecords);
  return query;
}

}  // namespace

const std::vector<std::string>& ObservationParameters() {
  static const std::vector<std::string> names{"type", "instrument", "target", "from", "to", "after", "limit"};
  return names;
}

const std::vector<std::string>& FrameParameters() {
  static const std::vector<std::string> names{"group", "type", "role", "after", "limit"};
  return names;
}

HttpResponse ApiMissions(const HttpRequest& /*request*/, PipelineView& view) {
  return ListAnswer(view, "missions", [](state::SourceStore& store) {
    state::DatasetStore datasets(store.database());
    ordered_json rows = ordered_json::array();
    for (const std::string& name : datasets.Missions()) rows.push_back(RecordJson(*datasets.Mission(name)));
    return rows;
  });
}

HttpResponse ApiCatalogues(const HttpRequest& /*request*/, PipelineView& view) {
  return ListAnswer(view, "catalogues", [](state::SourceStore& store) {
    ordered_json rows = ordered_json::array();
    for (const auto& [name, n] : store.Catalogues()) rows.push_back(RecordJson(*store.Catalogue(name)));
    return rows;
  });
}

HttpResponse ApiInstruments(const HttpRequest& request, PipelineView& view) {
  const auto parent = WholeParameter(request, "parent", 1);
  return ListAnswer(view, "instruments", [&](state::SourceStore& store) {
    return RecordsJson(state::InstrumentStore(store.database()).List(parent));
  });
}

HttpResponse ApiInstrument(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  const auto number = RecordNumber(request.tail);
  std::optional<state::InstrumentRow> row;
  if (store != nullptr && number) row = state::InstrumentStore(store->database()).Find(*number);
  if (!row) return HttpProblem(404, fmt::format("there is no instrument {}", request.tail));
  ordered_json value = RecordJson(*row);
  value["parts"] = RecordsJson(state::InstrumentStore(store->database()).List(row->id));
  return JsonAnswer(value);
}

HttpResponse ApiObservations(const HttpRequest& request, PipelineView& view) {
  state::ObservationQuery query;
  query.type = request.Parameter("type");
  query.instrument = request.Parameter("instrument");
  query.target = request.Parameter("target");
  query.from_mjd = MjdParameter(request, "from").value_or(query.from_mjd);
  query.to_mjd = MjdParameter(request, "to").value_or(query.to_mjd);
  query.after = request.Parameter("after");
  query.limit = LimitOf(request, kRecordsUnlessAsked, kMostRecords);
  state::SourceStore* store = view.Sources();
  std::vector<state::ObservationRow> rows;
  if (store != nullptr) rows = state::ObservationStore(store->database()).List(query);
  const bool full = static_cast<int>(rows.size()) == query.limit;
  return JsonAnswer({{"observations", RecordsJson(rows)},
                     {"next_after", full ? ordered_json(rows.back().group_id) : ordered_json()}});
}

HttpResponse ApiObservation(const HttpRequest& request, PipelineView& view) {
  state::SourceStore* store = view.Sources();
  std::optional<state::ObservationRow> row;
  if (store != nullptr) row = state::LightCurveStore(store->database()).Tile(request.tail);
  if (!row) return HttpProblem(404, fmt::format("there is no observation {}", request.tail));
  state::ObservationStore observations(store->database());
  state::FrameQuery frames;
  frames.group_id = row->group_id;
  frames.limit = kMostRecords;
  ordered_json value = RecordJson(*row);
  value["frames"] = RecordsJson(observations.Frames(frames));
  value["quality_flags"] = RecordsJson(observations.Flags(row->group_id));
  return JsonAnswer(value);
}

HttpResponse ApiFrames(const HttpRequest& request, PipelineView& view) {
  const state::FrameQuery query = FrameQueryOf(request);
  state::SourceStore* store = view.Sources();
  std::vector<state::FrameRow> rows;
  if (store != nullptr) rows = state::ObservationStore(store->database()).Frames(query);
  const bool full = static_cast<int>(rows.size()) == query.limit;
  return JsonAnswer(
      {{"frames", RecordsJson(rows)}, {"next_after", full ? ordered_json(rows.back().id) : ordered_json()}});
}

HttpResponse ApiPhotometricSources(const HttpRequest& /*request*/, PipelineView& view) {
  return ListAnswer(view, "photometric_sources", [](state::SourceStore& store) {
    ordered_json rows = ordered_json::array();
    for (const auto& [name, description] : state::DatasetStore(store.database()).Photometry()) {
      rows.push_back({{"name", name}, {"description", TextOrNull(description)}});
    }
    return rows;
  });
}

HttpResponse ApiProcessingMethods(const HttpRequest& /*request*/, PipelineView& view) {
  return ListAnswer(view, "processing_methods", [](state::SourceStore& store) {
    return RecordsJson(state::DatasetStore(store.database()).Methods());
  });
}

HttpResponse ApiQualityFlags(const HttpRequest& request, PipelineView& view) {
  ordered_json flags = ordered_json::array();
  for (const QualityFlag& flag : kQualityFlags) {
    flags.push_back({{"bit", flag.bit},
                     {"name", flag.name},
                     {"meaning", flag.meaning},
                     {"in_default", flag.in_default},
                     {"in_hard", flag.in_hard}});
  }
  ordered_json value = {{"flags", std::move(flags)}};
  const std::string group = request.Parameter("group");
  if (group.empty()) return JsonAnswer(value);
  state::SourceStore* store = view.Sources();
  value["arrays"] =
      store == nullptr ? ordered_json::array() : RecordsJson(state::ObservationStore(store->database()).Flags(group));
  return JsonAnswer(value);
}

}  // namespace contimg::ops
