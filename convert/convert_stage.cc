#include "convert/convert_stage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "config/os.h"
#include "config/stopwatch.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/phase.h"
#include "convert/staged_measurement_set.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

void NoteSubbands(const VisibilityBlock& block, int expected, ConvertReport& report) {
  std::set<int> present;
  for (const SpectralWindow& window : block.windows) {
    if (window.subband >= 0) present.insert(window.subband);
  }
  report.subbands.assign(present.begin(), present.end());
  if (present.size() != block.windows.size()) return;  // files without a number: what is missing is not known
  for (int n = 0; n < expected; ++n) {
    if (present.count(n) == 0) report.missing_subbands.push_back(n);
  }
}

// The writer's UT1 − UTC against the one that is used.
void CheckDut1(double dut1_s, const VisibilityBlock& block, const ConvertOptions& options,
               const EarthOrientationTable& orientation, ConvertReport& report) {
  constexpr double kSameS = 0.1;  // time signals broadcast it to a tenth of a second
  const UtcTime middle = UtcTime::FromMjdSeconds((block.time_mjd_s.front() + block.time_mjd_s.back()) / 2);
  const double used_s = orientation.At(middle).ut1_minus_utc_s;
  if (std::abs(dut1_s - used_s) <= kSameS) return;
  if (orientation.empty()) {
    report.warnings.push_back(
        fmt::format("the header's dut1 is {:g} s, but UT1 = UTC is assumed: right ascensions are off "
                    "by {:.1f} arcsec; set telescope.earth_orientation_file",
                    dut1_s, 15 * std::abs(dut1_s)));
    return;
  }
  throw Error(
      ErrorKind::kBadInput, "convert", options.earth_orientation_file.string(),
      fmt::format("gives UT1 - UTC = {:.3f} s at {}, but dut1 in the header of the files is {:g} s: expected one "
                  "Earth; correct the one that is wrong",
                  used_s, middle.Iso8601(), dut1_s));
}

}  // namespace

LoadedTile LoadTile(const std::vector<fs::path>& inputs, const ConvertOptions& options, const RunContext& context,
                    const WhileLoading& meanwhile) {
  const auto orientation = EarthOrientationTable::LoadIfSet(options.earth_orientation_file);
  LoadedTile tile;
  ConvertReport& report = tile.report;
  Stopwatch watch;
  std::optional<PhasePlan> plan;
  const auto prepare = [&](const ingest::TileInput& axes) {
    const VisibilityBlock& block = *axes.block;
    if (axes.dut1_s) CheckDut1(*axes.dut1_s, block, options, orientation, report);
    plan.emplace(block, options.centre ? *options.centre : TileCentre(block, orientation), orientation);
    if (meanwhile.begin) meanwhile.begin(block);
    ingest::TileVisitor visitor;
    visitor.row = [&plan](const VisibilityBlock& tile_axes, std::size_t time, std::size_t baseline, std::size_t window,
                          Visibility* vis) { plan->Rotate(tile_axes, time, baseline, tile_axes.windows[window], vis); };
    visitor.placed = meanwhile.placed;
    visitor.time = meanwhile.time;
    return visitor;
  };
  ingest::TileInput input = ingest::ReadTile(inputs, context, prepare);
  const bool drift_phased_by_others =
      input.block->phase_state == PhaseState::kSidereal && input.block->pointing.kind == Pointing::Kind::kDrift;
  plan->Finish(*input.block);
  report.centre = plan->centre();
  tile.block = std::move(input.block);
  VisibilityBlock& block = *tile.block;
  report.read = input.report;
  report.phases = input.phases;
  report.files = inputs.size();
  report.read_s = watch.Lap();
  report.group_id = block.group_id;
  report.start_mjd_s = block.time_mjd_s.front() - block.integration_s.front() / 2;
  report.end_mjd_s = block.time_mjd_s.back() + block.integration_s.back() / 2;
  for (const fs::path& path : inputs) report.input_bytes += FileSize(path);
  NoteSubbands(block, options.expected_subbands, report);
  if (!report.missing_subbands.empty()) {
    report.warnings.push_back(fmt::format("subbands {} are missing", fmt::join(report.missing_subbands, ", ")));
  }
  if (report.read.non_finite > 0) {
    report.warnings.push_back(fmt::format("{} samples were not finite: flagged", report.read.non_finite));
  }
  if (report.read.absurd_weights > 0) {
    report.warnings.push_back(
        fmt::format("{} samples claim more than 10 000 times the usual nsamples: flagged", report.read.absurd_weights));
  }
  if (report.read.zero > 0) {
    report.warnings.push_back(
        fmt::format("{} samples were exactly 0, as storage that was never written: flagged", report.read.zero));
  }
  if (report.subbands.size() != report.files) {
    report.warnings.push_back(fmt::format(
        "{} of {} files have no subband number (expected names like 2025-10-13T13:28:03_sb04.hdf5, or frequencies that "
        "fill a subband of the DSA-110): missing subbands cannot be told; rename the files if that matters",
        report.files - report.subbands.size(), report.files));
  }
  if (drift_phased_by_others) {
    report.warnings.emplace_back(
        "a drift scan that another program phased to the sky: pyuvdata takes the correlator's files for unprojected, "
        "and "
        "data that its UVData.phase made of them are wrong; if sources are missing, convert the correlator's own "
        "files");
  }
  for (const std::string& warning : report.warnings) context.reporter->Warn("convert", warning);
  return tile;
}

void WriteMeasurementSet(const VisibilityBlock& block, const Visibility* corrected, const ConvertOptions& options,
                         const RunContext& context, ConvertReport& report) {
  StagedMeasurementSet set(block, options, context, report);
  set.WriteData(block, context, report);
  set.Finish(block, corrected, {}, context, report);
}

ConvertReport ConvertGroup(const std::vector<fs::path>& inputs, const ConvertOptions& options,
                           const RunContext& context) {
  FreeName(options.output);  // before the work, not after it
  std::unique_ptr<StagedMeasurementSet> set;
  ConvertReport writing;
  WhileLoading meanwhile;
  meanwhile.begin = [&](const VisibilityBlock& axes) {
    set = std::make_unique<StagedMeasurementSet>(axes, options, context, writing);
    set->OpenData(axes);
  };
  meanwhile.placed = [&](const VisibilityBlock& block, std::size_t time, std::size_t first, std::size_t end) {
    set->WriteWindows(block, time, first, end);
  };
  // Visibilities that are written are needed no more: their memory takes up those that are read next.
  meanwhile.time = [&](VisibilityBlock& block, std::size_t time) {
    const std::size_t samples = block.vis.size() / block.n_times();
    block.vis.Release(time * samples, samples);
  };
  LoadedTile tile = LoadTile(inputs, options, context, meanwhile);
  VisibilityBlock& block = *tile.block;
  ConvertReport& report = tile.report;
  report.n_rows = writing.n_rows;
  report.staged_in = writing.staged_in;
  report.warnings.insert(report.warnings.end(), writing.warnings.begin(), writing.warnings.end());
  set->Finish(block, nullptr, {}, context, report, [&](std::size_t time) {
    const std::size_t samples = block.flag.size() / block.n_times();
    block.flag.Release(time * samples, samples);
    block.weight.Release(time * samples, samples);
  });
  return std::move(report);
}

}  // namespace contimg::convert
