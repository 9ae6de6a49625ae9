// What a Measurement Set and a calibration table hold, for a person and for scripts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "calibrate/casacore/calibration_table.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/measurement_set_reader.h"
#include "ingest/flag_count.h"
#include "ops/cli/inspector.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

std::string Names(const std::vector<Polarisation>& polarisations) {
  std::string text;
  for (const Polarisation p : polarisations) text += (text.empty() ? "" : ", ") + PolarisationName(p);
  return text;
}

json Facts(const convert::MeasurementSetInfo& info, const fs::path& path) {
  json facts = {
      {"kind", "measurement_set"},        {"path", path.string()},         {"rows", info.n_rows},
      {"telescope", info.telescope_name}, {"antennas", info.antennas},     {"has_corrected", info.has_corrected},
      {"has_model", info.has_model},      {"history", info.history},       {"fields", json::array()},
      {"windows", json::array()},         {"polarisations", json::array()}};
  if (info.end_mjd_s > 0) {
    facts["start"] = UtcTime::FromMjdSeconds(info.start_mjd_s).Stamp(3);
    facts["end"] = UtcTime::FromMjdSeconds(info.end_mjd_s).Stamp(3);
  }
  for (const auto& field : info.fields) {
    facts["fields"].push_back({{"name", field.name},
                               {"ra_deg", WrapPositive(Angle::Radians(field.centre.ra_rad)).deg()},
                               {"dec_deg", Angle::Radians(field.centre.dec_rad).deg()}});
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

std::string Text(const convert::MeasurementSetInfo& info, const fs::path& path) {
  std::string text = fmt::format("{}: Measurement Set, {} rows\n", path.string(), info.n_rows);
  text += fmt::format("  telescope     {}, {} antennas\n", info.telescope_name, info.antennas.size());
  if (info.end_mjd_s > 0) {
    text += fmt::format("  times         {} to {}\n", UtcTime::FromMjdSeconds(info.start_mjd_s).Stamp(),
                        UtcTime::FromMjdSeconds(info.end_mjd_s).Stamp());
  }
  for (std::size_t i = 0; i < info.fields.size(); ++i) {
    const auto& field = info.fields[i];
    text += fmt::format("  field {:<7} {}, centre {:.6f} {:+.6f} deg (ICRS)\n", i, field.name,
                        WrapPositive(Angle::Radians(field.centre.ra_rad)).deg(),
                        Angle::Radians(field.centre.dec_rad).deg());
  }
  for (std::size_t i = 0; i < info.windows.size(); ++i) {
    const auto& window = info.windows[i];
    text += fmt::format("  window {:<6} {:.4f} to {:.4f} MHz, {} channels of {:.6g} kHz\n", i, window.first_hz / 1e6,
                        window.last_hz / 1e6, window.n_channels, std::abs(window.width_hz) / 1e3);
  }
  text += fmt::format("  polarisations {}\n", Names(info.polarisations));
  text += fmt::format("  columns       DATA{}{}\n", info.has_corrected ? ", CORRECTED_DATA" : "",
                      info.has_model ? ", MODEL_DATA" : "");
  for (const std::string& line : info.history) text += "  history       " + line + "\n";
  return text;
}

// Reads the visibilities of every field and counts what cannot be used.
void Validate(const convert::MeasurementSetInfo& info, const RunContext& context, Inspection& inspection) {
  std::size_t samples = 0, flagged = 0, not_finite = 0, absent = 0;
  FlagCount cross;
  if (info.n_rows == 0) inspection.problems.push_back("the table has no rows");
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
  if (samples > 0 && flagged == samples) inspection.problems.push_back("every visibility is flagged");
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
    inspection.facts = Facts(info, inspection.path);
    inspection.text = Text(info, inspection.path);
    if (request.validate) Validate(info, context, inspection);
  });
}

std::vector<Inspection> InspectCalibrationTables(const InspectRequest& request, const RunContext&) {
  return InspectEach(request, "calibration_table", [&](Inspection& inspection) {
    const calibrate::SolutionSet set = calibrate::ReadCalibrationTable(inspection.path);
    const calibrate::FlagSummary flags = calibrate::SummariseFlags(set);
    const std::string reference = set.reference_antenna < 0
                                      ? std::string("unknown")
                                      : set.antennas[static_cast<std::size_t>(set.reference_antenna)].name;
    const std::string kind(ToString(set.kind));
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
                        {"intervals", intervals},
                        {"reference_antenna", reference},
                        {"dead_antennas", flags.dead_antennas},
                        {"flagged_fraction", flags.raw_fraction},
                        {"effective_flagged_fraction", flags.effective_fraction},
                        {"history", set.history}};
    inspection.text = fmt::format("{}: calibration table, {} Jones\n", inspection.path.string(), kind);
    inspection.text += fmt::format("  solved from   {}, field {}\n", set.source_ms, set.field_name);
    for (const auto& interval : set.intervals) {
      inspection.text += fmt::format("  interval      {}, {:.1f} s\n",
                                     UtcTime::FromMjdSeconds(interval.time_mjd_s).Stamp(), interval.length_s);
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
    for (const std::string& line : set.history) inspection.text += "  history       " + line + "\n";
    if (request.validate && flags.effective_fraction >= 1) {
      inspection.problems.push_back("every solution is flagged");
    }
  });
}

bool IsCalibrationTable(const fs::path& path) {
  std::ifstream info(path / "table.info");
  std::string line;
  return std::getline(info, line) && line.find("Calibration") != std::string::npos;
}

bool IsMeasurementSet(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path / "table.dat", ignored) && fs::exists(path / "DATA_DESCRIPTION", ignored);
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
