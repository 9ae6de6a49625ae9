// What a Measurement Set and a calibration table hold, for a person and for scripts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <optional>

#include "calibrate/apply.h"
#include "calibrate/casacore/calibration_table.h"
#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "convert/tile_beam.h"
#include "ingest/flag_count.h"
#include "ops/cli/inspector.h"
#include "ops/cli/program_options.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Names(const std::vector<Polarisation>& polarisations) {
  std::string text;
  for (const Polarisation p : polarisations) text += (text.empty() ? "" : ", ") + PolarisationName(p);
  return text;
}

// The beam with which a field is imaged, predicted and solved, or why it cannot be.
struct FieldBeam {
  std::optional<convert::TileBeam> beam;  // null: the field has no rows, or none that can be read
  std::string refusal;
};

std::vector<FieldBeam> BeamsOf(const convert::MeasurementSetInfo& info, const fs::path& path) {
  const TelescopeSettings telescope = CurrentSettings().values.telescope;
  std::vector<FieldBeam> beams;
  for (std::size_t field = 0; field < info.fields.size() && info.n_rows > 0; ++field) {
    FieldBeam each;
    try {
      convert::MeasurementSetSelection selection;
      selection.field = static_cast<int>(field);
      // Where a beam points moves by 15 arcsec a second of UT1 - UTC: nothing in what is said here.
      each.beam = convert::ChooseBeam(*convert::ReadMeasurementSetAxes(path, selection), telescope, {});
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      each.refusal = error.message();
    }
    beams.push_back(std::move(each));
  }
  return beams;
}

json BeamFacts(const FieldBeam& field) {
  if (!field.beam) return {{"refusal", field.refusal}};
  const Pointing& p = field.beam->pointing;
  json facts = {{"mode", convert::ToString(field.beam->mode)},
                {"pointing", convert::WordOf(p.kind)},
                {"source", p.source},
                {"dish_m", field.beam->dish_diameter_m},
                {"warning", field.beam->warning}};
  if (p.kind == Pointing::Kind::kTracking) {
    facts["ra_deg"] = WrapPositive(Angle::Radians(p.direction.ra_rad)).deg();
    facts["dec_deg"] = Angle::Radians(p.direction.dec_rad).deg();
  } else if (p.kind == Pointing::Kind::kDrift) {
    facts["meridian_deg"] = WrapSigned(Angle::Radians(p.meridian_rad)).deg();
    facts["apparent_dec_deg"] = Angle::Radians(p.app_dec_rad).deg();
  }
  return facts;
}

json Facts(const convert::MeasurementSetInfo& info, const std::vector<FieldBeam>& beams, const fs::path& path) {
  json facts = {
      {"kind", "measurement_set"},        {"path", path.string()},         {"rows", info.n_rows},
      {"telescope", info.telescope_name}, {"antennas", info.antennas},     {"has_corrected", info.has_corrected},
      {"has_model", info.has_model},      {"history", info.history},       {"fields", json::array()},
      {"windows", json::array()},         {"polarisations", json::array()}};
  if (info.end_mjd_s > 0) {
    facts["start"] = UtcTime::FromMjdSeconds(info.start_mjd_s).Stamp(3);
    facts["end"] = UtcTime::FromMjdSeconds(info.end_mjd_s).Stamp(3);
  }
  for (std::size_t i = 0; i < info.fields.size(); ++i) {
    const auto& field = info.fields[i];
    json each = {{"name", field.name}, {"frame", field.frame}};
    if (field.refusal.empty()) {
      each["ra_deg"] = WrapPositive(Angle::Radians(field.centre.ra_rad)).deg();
      each["dec_deg"] = Angle::Radians(field.centre.dec_rad).deg();
    }
    if (i < beams.size()) each["primary_beam"] = BeamFacts(beams[i]);
    facts["fields"].push_back(each);
  }
  for (const auto& window : info.windows) {
    facts["windows"].push_back({{"name", window.name},
                                {"channels", window.n_channels},
                                {"first_hz", window.first_hz},
                                {"last_hz", window.last_hz},
                                {"width_hz", window.width_hz}});
  }
  for (const Polarisation p : info.polarisations) facts["polarisations"].push_back(PolarisationName(p));
  return facts;
}

std::string Text(const convert::MeasurementSetInfo& info, const std::vector<FieldBeam>& beams, const fs::path& path) {
  std::string text = fmt::format("{}: Measurement Set, {} rows\n", Printable(path.string()), info.n_rows);
  text += fmt::format("  telescope     {}, {} antennas\n", info.telescope_name, info.antennas.size());
  if (info.end_mjd_s > 0) {
    text += fmt::format("  times         {} to {}\n", UtcTime::FromMjdSeconds(info.start_mjd_s).Stamp(),
                        UtcTime::FromMjdSeconds(info.end_mjd_s).Stamp());
  }
  for (std::size_t i = 0; i < info.fields.size(); ++i) {
    const auto& field = info.fields[i];
    if (field.refusal.empty()) {
      text += fmt::format("  field {:<7} {}, centre {:.6f} {:+.6f} deg (ICRS{})\n", i, field.name,
                          WrapPositive(Angle::Radians(field.centre.ra_rad)).deg(),
                          Angle::Radians(field.centre.dec_rad).deg(),
                          field.frame == "ICRS" ? "" : ", given in " + field.frame);
    } else {
      text += fmt::format("  field {:<7} {}\n", i, field.name);
    }
    if (i >= beams.size()) continue;
    if (!beams[i].beam) {
      text += "    cannot be read: " + beams[i].refusal + "\n";
      continue;
    }
    text += "    primary beam " + beams[i].beam->description + "\n";
    if (!beams[i].beam->warning.empty()) text += "    warning: " + beams[i].beam->warning + "\n";
  }
  for (std::size_t i = 0; i < info.windows.size(); ++i) {
    const auto& window = info.windows[i];
    text += fmt::format("  window {:<6} {:.4f} to {:.4f} MHz, {} channels of {:.6g} kHz\n", i, window.first_hz / 1e6,
                        window.last_hz / 1e6, window.n_channels, std::abs(window.width_hz) / 1e3);
  }
  text += fmt::format("  polarisations {}\n", Names(info.polarisations));
  text += fmt::format("  columns       DATA{}{}\n", info.has_corrected ? ", CORRECTED_DATA" : "",
                      info.has_model ? ", MODEL_DATA" : "");
  text += HistoryText(info.history);
  return text;
}

// Reads the visibilities of every field and counts what cannot be used.
void Validate(const convert::MeasurementSetInfo& info, const RunContext& context, Inspection& inspection) {
  std::size_t samples = 0, flagged = 0, not_finite = 0, absent = 0;
  FlagCount cross;
  if (info.n_rows == 0) inspection.problems.emplace_back("the table has no rows");
  for (std::size_t field = 0; field < info.fields.size() && info.n_rows > 0; ++field) {
    try {
      convert::MeasurementSetSelection selection;
      selection.field = static_cast<int>(field);
      const auto block = convert::ReadMeasurementSet(inspection.path, selection, context);
      const FlagCensus census = CountFlags(*block, 1, context.threads);
      cross.samples += census.total.samples;
      cross.flagged += census.total.flagged;
      const std::size_t absent_here = AbsentSamples(*block);
      absent += absent_here;
      samples += block->vis.size() - absent_here;
      flagged -= absent_here;  // added in the loop
      for (std::size_t i = 0; i < block->vis.size(); ++i) {
        const bool finite = std::isfinite(block->vis[i].real()) && std::isfinite(block->vis[i].imag());
        flagged += block->flag[i] != 0 ? 1 : 0;
        not_finite += !finite && block->flag[i] == 0 ? 1 : 0;
      }
      if (std::any_of(block->uvw_m.begin(), block->uvw_m.end(), [](double v) { return !std::isfinite(v); })) {
        inspection.problems.push_back(fmt::format("field {}: UVW holds numbers that are not finite", field));
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      if (info.fields.size() > 1) continue;  // a field without rows
      inspection.problems.push_back(error.message());
    }
  }
  if (not_finite > 0) {
    inspection.problems.push_back(fmt::format("{} unflagged visibilities are not finite", not_finite));
  }
  if (samples > 0 && flagged == samples) inspection.problems.emplace_back("every visibility is flagged");
  const double fraction = cross.fraction();
  inspection.facts["samples"] = samples;
  inspection.facts["absent_samples"] = absent;
  inspection.facts["flagged_fraction"] = fraction;
  inspection.facts["non_finite"] = not_finite;
  inspection.text += fmt::format("  samples       {}, {:.2f} % of the cross-correlations flagged, {} not finite\n",
                                 samples, 100 * fraction, not_finite);
  if (absent > 0) {
    inspection.text +=
        fmt::format("  absent        {} samples for which the set has no rows, counted nowhere\n", absent);
  }
}

std::vector<Inspection> InspectMeasurementSets(const InspectRequest& request, const RunContext& context) {
  return InspectEach(request, "measurement_set", [&](Inspection& inspection) {
    const convert::MeasurementSetInfo info = convert::DescribeMeasurementSet(inspection.path);
    const std::vector<FieldBeam> beams = BeamsOf(info, inspection.path);
    inspection.facts = Facts(info, beams, inspection.path);
    inspection.text = Text(info, beams, inspection.path);
    if (request.validate) Validate(info, context, inspection);
  });
}

std::string Length(double seconds) { return seconds > 0 ? fmt::format("{:.1f} s", seconds) : "length unknown"; }

std::vector<Inspection> InspectCalibrationTables(const InspectRequest& request, const RunContext&) {
  return InspectEach(request, "calibration_table", [&](Inspection& inspection) {
    const calibrate::SolutionSet set = calibrate::ReadCalibrationTable(inspection.path);
    const calibrate::FlagSummary flags = calibrate::SummariseFlags(set);
    const std::string reference = set.reference_antenna < 0
                                      ? std::string("unknown")
                                      : set.antennas[static_cast<std::size_t>(set.reference_antenna)].name;
    const std::string kind(set.polarisation_independent ? "T" : ToString(set.kind));
    const bool linear =
        calibrate::InterpolationOf(set.kind, CurrentSettings().values.calibrate) == calibrate::Interpolation::kLinear;
    const std::string interpolation = set.intervals.size() == 1 ? "one solution for all times"
                                      : linear                  ? "linear"
                                                                : "nearest";
    json intervals = json::array();
    for (const auto& interval : set.intervals) {
      intervals.push_back(
          {{"time", UtcTime::FromMjdSeconds(interval.time_mjd_s).Stamp(3)}, {"length_s", interval.length_s}});
    }
    inspection.facts = {{"kind", "calibration_table"},
                        {"path", inspection.path.string()},
                        {"jones", kind},
                        {"telescope", set.telescope_name},
                        {"measurement_set", set.source_ms},
                        {"field", set.field_name},
                        {"antennas", set.antennas.size()},
                        {"windows", set.windows.size()},
                        {"channels", set.n_channels()},
                        {"windows_described", set.windows_described},
                        {"polarisation_independent", set.polarisation_independent},
                        {"contimg", !set.foreign},
                        {"interpolation", interpolation},
                        {"intervals", intervals},
                        {"reference_antenna", reference},
                        {"dead_antennas", flags.dead_antennas},
                        {"flagged_fraction", flags.raw_fraction},
                        {"effective_flagged_fraction", flags.effective_fraction},
                        {"history", set.history}};
    inspection.text = fmt::format("{}: calibration table, {} Jones{}\n", Printable(inspection.path.string()), kind,
                                  set.foreign ? ", not made by contimg" : "");
    inspection.text += fmt::format("  solved from   {}, field {}\n", set.source_ms, set.field_name);
    for (const auto& interval : set.intervals) {
      inspection.text += fmt::format("  interval      {}, {}\n", UtcTime::FromMjdSeconds(interval.time_mjd_s).Stamp(),
                                     Length(interval.length_s));
    }
    inspection.text += fmt::format("  in time       {}{}\n", interpolation,
                                   set.intervals.size() == 1 ? "" : ", the solutions of the ends hold beyond them");
    if (calibrate::MeansAllWindows(set, set.windows_described)) {
      inspection.text +=
          fmt::format("  apply         refuses it without --combined-spw: solutions in 1 of {} spectral windows\n",
                      set.windows_described);
    }
    if (!set.windows.empty()) {
      inspection.text += fmt::format("  frequencies   {:.4f} to {:.4f} MHz in {} windows\n",
                                     set.windows.front().frequency_hz.front() / 1e6,
                                     set.windows.back().frequency_hz.back() / 1e6, set.windows.size());
    }
    inspection.text +=
        fmt::format("  antennas      {}, {} dead, reference {}\n", set.antennas.size(), flags.dead_antennas, reference);
    inspection.text += fmt::format("  flagged       {:.2f} %, {:.2f} % of the living antennas\n",
                                   100 * flags.raw_fraction, 100 * flags.effective_fraction);
    inspection.text += HistoryText(set.history);
    if (request.validate && flags.effective_fraction >= 1) {
      inspection.problems.emplace_back("every solution is flagged");
    }
  });
}

bool IsCalibrationTable(const fs::path& path) {
  std::ifstream info(path / "table.info");
  std::string line;
  return std::getline(info, line) && line.find("Calibration") != std::string::npos;
}

// A selection of another table's rows, or several in a row: its subtables are elsewhere. The kind stands in the head.
bool IsView(const fs::path& path) {
  std::ifstream file(path / "table.dat", std::ios::binary);
  std::string head(128, '\0');
  file.read(head.data(), static_cast<std::streamsize>(head.size()));
  return head.find("RefTable") != std::string::npos || head.find("ConcatTable") != std::string::npos;
}

bool IsMeasurementSet(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "table.dat", ignored) && (fs::exists(path / "DATA_DESCRIPTION", ignored) || IsView(path));
}

}  // namespace

const Inspector& MeasurementSetInspector() {
  static const Inspector inspector{"measurement_set", IsMeasurementSet, InspectMeasurementSets};
  return inspector;
}

const Inspector& CalibrationTableInspector() {
  static const Inspector inspector{"calibration_table", IsCalibrationTable, InspectCalibrationTables};
  return inspector;
}

}  // namespace contimg::ops
