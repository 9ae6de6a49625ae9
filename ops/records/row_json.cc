#include "ops/records/row_json.h"

#include <optional>

#include "config/time.h"

namespace contimg::ops {
namespace {

using nlohmann::ordered_json;

template <class T>
ordered_json ValueOrNull(const std::optional<T>& value) {
  return value ? ordered_json(*value) : ordered_json();
}

// What became of a group or a task so far.
void AddCourse(const state::WorkRow& row, ordered_json& value) {
  value.update({{"created_at", TimeJson(row.created_at)},
                {"updated_at", TimeJson(row.updated_at)},
                {"started_at", TimeJson(row.started_at)},
                {"finished_at", TimeJson(row.finished_at)},
                {"executor", TextOrNull(row.executor)},
                {"executor_id", TextOrNull(row.executor_id)},
                {"stage", TextOrNull(row.stage)},
                {"progress", row.progress},
                {"timings_s", ParsedColumn(row.timings_json)}});
}

}  // namespace

ordered_json TimeJson(double unix_s) {
  return unix_s > 0 && unix_s < 2e11 ? ordered_json(UtcTime::FromUnix(unix_s).Stamp(3)) : ordered_json();
}

ordered_json TimeOfMjdJson(double mjd) { return mjd > 0 ? TimeJson(UtcTime::FromMjd(mjd).unix_s()) : ordered_json(); }

ordered_json TextOrNull(const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); }

ordered_json ParsedColumn(const std::string& text) {
  ordered_json value = ordered_json::parse(text, nullptr, false);
  return value.is_discarded() ? ordered_json(text) : value;
}

ordered_json TaskCountsJson(const std::map<std::string, std::map<state::WorkState, std::int64_t>>& counts) {
  ordered_json tasks = ordered_json::object();
  for (const auto& [kind, states] : counts) {
    for (const auto& [state, count] : states) tasks[kind][std::string(ToString(state))] = count;
  }
  return tasks;
}

ordered_json LastDoneJson(const std::map<std::string, double>& done_at) {
  ordered_json times = ordered_json::object();
  for (const auto& [kind, at] : done_at) {
    if (at > 0) times[kind] = UtcTime::FromUnix(at).Stamp();
  }
  return times;
}

ordered_json RowJson(const state::GroupRow& row) {
  ordered_json value{{"id", row.id},
                     {"state", ToString(row.state)},
                     {"priority", row.priority},
                     {"attempts", row.attempts},
                     {"next_attempt_at", TimeJson(row.next_attempt_at)},
                     {"error_kind", row.error_kind ? ordered_json(ToString(*row.error_kind)) : ordered_json()},
                     {"error", TextOrNull(row.error)},
                     {"subbands_present", row.subbands_present},
                     {"subbands_expected", row.subbands_expected},
                     {"data_start", TimeOfMjdJson(row.data_start_mjd)},
                     {"data_end", TimeOfMjdJson(row.data_end_mjd)},
                     {"first_file_at", TimeJson(row.first_file_at)}};
  AddCourse(row, value);
  return value;
}

ordered_json RowJson(const state::TaskRow& row) {
  ordered_json value{{"id", row.id},
                     {"kind", row.kind},
                     {"subject", row.subject},
                     {"state", ToString(row.state)},
                     {"priority", row.priority},
                     {"attempts", row.attempts},
                     {"next_attempt_at", TimeJson(row.next_attempt_at)},
                     {"error_kind", row.error_kind ? ordered_json(ToString(*row.error_kind)) : ordered_json()},
                     {"error", TextOrNull(row.error)}};
  AddCourse(row, value);
  return value;
}

ordered_json RowJson(const state::ProductRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"path", row.path},
          {"group", TextOrNull(row.group_id)},
          {"start", TimeOfMjdJson(row.start_mjd)},
          {"end", TimeOfMjdJson(row.end_mjd)},
          {"ra_deg", ValueOrNull(row.ra_deg)},
          {"dec_deg", ValueOrNull(row.dec_deg)},
          {"size_bytes", row.size_bytes},
          {"checksum", TextOrNull(row.checksum)},
          {"sha256", ValueOrNull(row.sha256)},
          {"grade", TextOrNull(row.qa_grade)},
          {"qa", ParsedColumn(row.qa_json)},
          {"status", row.status},
          {"archive_path", TextOrNull(row.archive_path)},
          {"job", ValueOrNull(row.job_id)},
          {"created_at", TimeJson(row.created_at)},
          {"updated_at", TimeJson(row.updated_at)}};
}

ordered_json RowJson(const state::JobRow& row) {
  return {{"id", row.id},
          {"group", row.group_id},
          {"kind", row.kind},
          {"settings_hash", row.settings_hash},
          {"settings", ParsedColumn(row.settings_json)},
          {"version", row.program_version},
          {"host", row.host},
          {"instruction_set", TextOrNull(row.instruction_set)},
          {"command", row.command},
          {"started_at", TimeJson(row.started_at)},
          {"finished_at", TimeJson(row.finished_at)},
          {"outcome", TextOrNull(row.outcome)},
          {"error", TextOrNull(row.error)},
          {"peak_memory_bytes", row.peak_memory_bytes},
          {"timings", ParsedColumn(row.timings_json)},
          {"report", ParsedColumn(row.report_json)}};
}

ordered_json RowJson(const state::MosaicRow& row) {
  return {{"name", row.name},
          {"kind", row.kind},
          {"strip_deg", row.strip_deg},
          {"lst_start_h", row.lst_start_h},
          {"lst_end_h", row.lst_end_h},
          {"start", TimeOfMjdJson(row.start_mjd)},
          {"end", TimeOfMjdJson(row.end_mjd)},
          {"version", row.version},
          {"state", row.state},
          {"why", TextOrNull(row.why)},
          {"grade", TextOrNull(row.grade)},
          {"tiles_used", row.n_used},
          {"tiles_refused", row.n_refused},
          {"settings_hash", row.settings_hash},
          {"is_reference", row.is_reference},
          {"image_id", ValueOrNull(row.image_id)},
          {"updated_at", TimeJson(row.updated_at)}};
}

ordered_json RowJson(const state::MosaicTileRow& row) {
  return {{"group", row.group_id},
          {"image_id", ValueOrNull(row.image_id)},
          {"checksum", row.checksum},
          {"middle", TimeOfMjdJson(row.mjd)},
          {"used", row.used},
          {"refusal", TextOrNull(row.refusal)},
          {"why", TextOrNull(row.why)},
          {"scale", ValueOrNull(row.scale)},
          {"scale_error", ValueOrNull(row.scale_error)},
          {"references", row.n_references}};
}

ordered_json RowJson(const WindowState& window) {
  const MosaicWindow& of = window.window;
  const bool made = window.made && window.made->version > 0;
  return {{"name", of.name},
          {"strip_deg", of.strip_deg},
          {"lst_start_h", of.lst_start_h},
          {"lst_end_h", of.lst_end_h},
          {"start", TimeOfMjdJson(of.start_mjd)},
          {"end", TimeOfMjdJson(of.end_mjd)},
          {"state", window.state},
          {"why", TextOrNull(window.why)},
          {"tiles_on_disk", window.tiles},
          {"version", made ? window.made->version : 0},
          {"grade", TextOrNull(made ? window.made->grade : "")},
          {"tiles_used", made ? window.made->n_used : 0},
          {"tiles_refused", made ? window.made->n_refused : 0},
          {"task", TextOrNull(window.task)}};
}

ordered_json RowJson(const state::CalTableRow& row) {
  return {{"id", row.id},
          {"kind", row.kind},
          {"interval", row.interval},
          {"path", row.path},
          {"valid_from", TimeOfMjdJson(row.valid_from_mjd)},
          {"valid_to", TimeOfMjdJson(row.valid_to_mjd)},
          {"source_group", TextOrNull(row.source_group)},
          {"model", TextOrNull(row.model)},
          {"refant", TextOrNull(row.refant)},
          {"rests_on", row.rests_on},
          {"status", row.status},
          {"reason", TextOrNull(row.reason)},
          {"quality", ParsedColumn(row.quality_json)},
          {"flag_fractions", ParsedColumn(row.flag_fractions_json)},
          {"checksum", TextOrNull(row.checksum)},
          {"registered_at", TimeJson(row.registered_at)}};
}

ordered_json RowJson(const state::SubbandFileRow& row) {
  return {{"subband", row.subband},
          {"path", row.path},
          {"size_bytes", row.size_bytes},
          {"status", row.status},
          {"seen_at", TimeJson(row.seen_at)}};
}

ordered_json RowJson(const state::EventRow& row) {
  return {{"at", TimeJson(row.at)},         {"kind", row.kind},   {"from", TextOrNull(row.from_state)},
          {"to", TextOrNull(row.to_state)}, {"actor", row.actor}, {"detail", row.detail}};
}

ordered_json RowJson(const state::CalChoiceRow& row) {
  return {{"kind", row.kind},
          {"table", ValueOrNull(row.table_id)},
          {"reason", row.reason},
          {"chosen_at", TimeJson(row.chosen_at)}};
}

ordered_json RowJson(const state::SolveRow& row) {
  return {{"id", row.id},
          {"group", row.group_id},
          {"interval", row.interval},
          {"model", row.model},
          {"predicted_snr", row.predicted_snr},
          {"reason", row.reason},
          {"outcome", row.outcome},
          {"detail", TextOrNull(row.detail)},
          {"started_at", TimeJson(row.started_at)},
          {"finished_at", TimeJson(row.finished_at)}};
}

ordered_json RowJson(const state::OwnSourceRow& row) {
  return {{"source_id", row.id},
          {"name", row.name},
          {"ra_deg", row.ra_deg},
          {"dec_deg", row.dec_deg},
          {"ra_error_arcsec", row.ra_error_arcsec},
          {"dec_error_arcsec", row.dec_error_arcsec},
          {"flux_jy", row.flux_jy},
          {"flux_error_jy", row.flux_error_jy},
          {"spectral_index", ValueOrNull(row.spectral_index)},
          {"origin", row.origin},
          {"place_version", row.place_version},
          {"made_at", TimeJson(row.made_at)}};
}

ordered_json RowJson(const state::StatisticsRow& row) {
  return {{"kind", row.kind},
          {"level", row.level},
          {"n", row.n},
          {"mean_jy", row.mean_jy},
          {"min_jy", row.min_jy},
          {"max_jy", row.max_jy},
          {"eta", row.eta},
          {"v", row.v},
          {"vs", row.vs},
          {"m", row.m},
          {"p", row.p},
          {"first_mjd", row.first_mjd},
          {"last_mjd", row.last_mjd}};
}

ordered_json RowJson(const state::SourceRow& row) {
  return {{"catalogue", row.catalogue},
          {"name", row.name},
          {"ra_deg", row.ra_deg},
          {"dec_deg", row.dec_deg},
          {"flux_jy", row.flux_jy},
          {"flux_error_jy", row.flux_error_jy},
          {"spectral_index", ValueOrNull(row.spectral_index)},
          {"major_arcsec", row.major_arcsec},
          {"minor_arcsec", row.minor_arcsec},
          {"position_angle_deg", row.position_angle_deg},
          {"source_id", ValueOrNull(row.source_id)}};
}

ordered_json RowJson(const state::DatasetRow& row) {
  return {{"name", row.name},
          {"mission", row.mission},
          {"photometry", row.photometry},
          {"processing", row.method ? ordered_json(row.method->name) : ordered_json()},
          {"parameters", row.method ? ParsedColumn(row.method->parameters_json) : ordered_json()},
          {"unit", row.unit},
          {"time_frame", row.time_frame},
          {"provenance", ParsedColumn(row.provenance_json)},
          {"made_at", TimeJson(row.made_at)}};
}

}  // namespace contimg::ops
