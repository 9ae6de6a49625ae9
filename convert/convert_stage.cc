#include "convert/convert_stage.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <set>

#include "config/os.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/bulk_columns.h"
#include "convert/phase.h"
#include "convert/staging.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

class Stopwatch {
 public:
  // Seconds since construction or the last call.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - last_).count();
    last_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// "J1334+5437": the customary name of a sky position.
std::string PositionName(const PhaseCentre& centre) {
  const long minutes = std::lround(Angle::Radians(centre.ra_rad).hours() * 60) % 1440;
  const long arcmin = std::lround(std::abs(Angle::Radians(centre.dec_rad).deg()) * 60);
  return fmt::format("J{:02}{:02}{}{:02}{:02}", minutes / 60, minutes % 60, centre.dec_rad < 0 ? '-' : '+', arcmin / 60,
                     arcmin % 60);
}

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

std::vector<std::string> HistoryLines(const VisibilityBlock& block, const ConvertOptions& options,
                                      const ConvertReport& report) {
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("{} converted group {} from {} UVH5 files", options.program, block.group_id, block.windows.size()));
  for (const SpectralWindow& window : block.windows) lines.push_back("input: " + window.input_path);
  if (!report.missing_subbands.empty()) {
    lines.push_back(fmt::format("missing subbands: {}", fmt::join(report.missing_subbands, ", ")));
  }
  lines.push_back(
      fmt::format("phase centre: ICRS RA {:.9f} deg, Dec {:.9f} deg (hour angle 0 and apparent declination "
                  "{:.6f} deg at the middle of the tile)",
                  Angle::Radians(block.phase_centre.ra_rad).deg(), Angle::Radians(block.phase_centre.dec_rad).deg(),
                  Angle::Radians(block.app_dec_rad).deg()));
  lines.push_back(fmt::format("array centre: latitude {:.7f} deg, longitude {:.7f} deg, height {:.2f} m, from {}",
                              Angle::Radians(block.site.latitude_rad).deg(),
                              Angle::Radians(block.site.longitude_rad).deg(), block.site.height_m, block.site.source));
  lines.push_back(options.earth_orientation_file.empty()
                      ? std::string("Earth orientation: UT1 = UTC, no polar motion")
                      : "Earth orientation: " + options.earth_orientation_file.string());
  lines.push_back(
      fmt::format("samples: {}, not finite and flagged: {}, without data and flagged: {}, flagged in the "
                  "input: {}",
                  report.read.samples, report.read.non_finite, report.read.no_samples, report.read.flagged_in_file));
  if (!block.instrument.empty()) lines.push_back("instrument: " + block.instrument);
  if (!block.file_history.empty()) lines.push_back("input history: " + block.file_history);
  for (const std::string& keyword : block.extra_keywords) lines.push_back("input keyword: " + keyword);
  if (!options.settings.empty()) lines.push_back("settings: " + options.settings);
  return lines;
}

// Rows to read back: the first and last of every (time, window) corner and a fixed spread between.
std::vector<std::size_t> RowsToCheck(std::size_t n_rows) {
  std::set<std::size_t> rows;
  constexpr std::size_t kCount = 48;
  for (std::size_t i = 0; i < kCount; ++i) rows.insert((n_rows - 1) * i / (kCount - 1));
  return {rows.begin(), rows.end()};
}

void Verify(const VisibilityBlock& block, const fs::path& path, std::size_t n_rows) {
  const std::size_t n_windows = block.windows.size(), n_baselines = block.n_baselines(), n_pols = block.n_pols();
  const auto fail = [&](std::size_t row, const std::string& what) {
    return Error(ErrorKind::kIo, "convert", path.string(),
                 fmt::format("reads back differently from what was written: {} of row {}", what, row));
  };
  for (const MeasurementSetSample& s : ReadBack(path, RowsToCheck(n_rows))) {
    if (s.n_rows != n_rows) throw fail(s.row, fmt::format("{} rows instead of {}, as", s.n_rows, n_rows));
    const std::size_t b = s.row % n_baselines, w = s.row / n_baselines % n_windows, t = s.row / n_baselines / n_windows;
    const SpectralWindow& window = block.windows[w];
    const std::size_t from = ((t * n_baselines + b) * block.n_channels() + window.first_channel) * n_pols;
    const std::size_t cell = window.n_channels * n_pols;
    if (s.antenna1 != block.baselines[b].antenna1 || s.antenna2 != block.baselines[b].antenna2) {
      throw fail(s.row, "antennas");
    }
    if (s.data_desc_id != static_cast<int>(w)) throw fail(s.row, "DATA_DESC_ID");
    if (s.time_mjd_s != block.time_mjd_s[t]) throw fail(s.row, "TIME");
    if (s.uvw_m.size() != 3 || std::memcmp(s.uvw_m.data(), &block.uvw_m[(t * n_baselines + b) * 3], 24) != 0) {
      throw fail(s.row, "UVW");
    }
    if (s.data.size() != cell || std::memcmp(s.data.data(), &block.vis[from], cell * sizeof(Visibility)) != 0) {
      throw fail(s.row, "DATA");
    }
    if (s.weight_spectrum.size() != cell ||
        std::memcmp(s.weight_spectrum.data(), &block.weight[from], cell * sizeof(float)) != 0) {
      throw fail(s.row, "WEIGHT_SPECTRUM");
    }
    for (std::size_t k = 0; k < cell; ++k) {
      if ((s.flag[k] != 0) != (block.flag[from + k] != 0)) throw fail(s.row, "FLAG");
    }
  }
}

void RefuseExisting(const fs::path& output) {
  if (fs::exists(fs::symlink_status(output))) {
    throw Error(ErrorKind::kUsage, "convert", output.string(), "exists already; choose another name or remove it");
  }
}

}  // namespace

LoadedTile LoadTile(const std::vector<fs::path>& inputs, const ConvertOptions& options, const RunContext& context) {
  const auto orientation = options.earth_orientation_file.empty()
                               ? EarthOrientationTable()
                               : EarthOrientationTable::Load(options.earth_orientation_file);
  LoadedTile tile;
  ConvertReport& report = tile.report;
  Stopwatch watch;
  ingest::TileInput input = ingest::ReadTile(inputs, context);
  tile.block = std::move(input.block);
  VisibilityBlock& block = *tile.block;
  report.read = input.report;
  report.read_s = watch.Lap();
  report.group_id = block.group_id;
  report.start_mjd_s = block.time_mjd_s.front() - block.integration_s.front() / 2;
  report.end_mjd_s = block.time_mjd_s.back() + block.integration_s.back() / 2;
  for (const fs::path& path : inputs) report.input_bytes += fs::file_size(path);
  NoteSubbands(block, options.expected_subbands, report);
  if (!report.missing_subbands.empty()) {
    report.warnings.push_back(fmt::format("subbands {} are missing", fmt::join(report.missing_subbands, ", ")));
  }
  if (report.read.non_finite > 0) {
    report.warnings.push_back(fmt::format("{} samples were not finite: flagged", report.read.non_finite));
  }
  for (const std::string& warning : report.warnings) context.reporter->Warn("convert", warning);

  const PhaseCentre centre = options.centre ? *options.centre : TileCentre(block, orientation);
  PhaseBlock(block, centre, orientation, context);
  report.centre = centre;
  report.phase_s = watch.Lap();
  return tile;
}

std::uint64_t MeasurementSetBytes(const VisibilityBlock& block, bool corrected) {
  const std::uint64_t samples =
      std::uint64_t{block.n_times()} * block.n_baselines() * block.n_channels() * block.n_pols();
  const std::uint64_t rows = std::uint64_t{block.n_times()} * block.n_baselines() * block.windows.size();
  const std::uint64_t sample_bits = (corrected ? 128 : 64) + 32 + 1;
  return samples * sample_bits / 8 + rows * (24 + 8 * block.n_pols() + 8 + 1) + (24u << 20);
}

void WriteMeasurementSet(const VisibilityBlock& block, const Visibility* corrected, const ConvertOptions& options,
                         const RunContext& context, ConvertReport& report) {
  Os& os = OsOr(context.os);
  RefuseExisting(options.output);
  const fs::path parent = options.output.has_parent_path() ? options.output.parent_path() : fs::path(".");
  const bool made_parent = !fs::exists(parent);
  os.CreateDirectories(parent);
  SweepUnfinished(parent, os);

  Stopwatch watch;
  const fs::path beside = parent / ".contimg-staging";
  const StagingChoice choice =
      ChooseStagingRoot(options.staging_root, options.fallback_root.empty() ? beside : options.fallback_root,
                        MeasurementSetBytes(block, corrected != nullptr), 0, os);
  if (!choice.fallback_reason.empty()) {
    const std::string warning = fmt::format("staging in {} because {}", choice.root.string(), choice.fallback_reason);
    context.reporter->Warn("convert", warning);
    report.warnings.push_back(warning);
  }
  const bool root_was_there = fs::exists(choice.root);
  try {
    SweepStaging(choice.root, os);
    const StagingArea staging(choice.root, block.group_id, os);
    report.staged_in = choice.root.string();

    const fs::path staged = staging.path() / "concat.ms";
    MeasurementSetHeader header;
    header.field_name = PositionName(block.phase_centre);
    header.history = HistoryLines(block, options, report);
    header.program = options.program;
    header.corrected_data = corrected != nullptr;
    const MeasurementSetLayout layout = CreateMeasurementSet(staged, block, block.phase_centre, header);
    WriteBulkColumns(block, corrected, layout, context);
    report.n_rows = layout.n_rows;
    report.write_s = watch.Lap();

    context.CheckCancelled("convert");
    Publish(os, staged, options.output, {options.durable});
    report.publish_s = watch.Lap();
    report.output = options.output;
  } catch (...) {
    std::error_code ignored;
    if (!root_was_there) fs::remove(choice.root, ignored);  // only when empty
    if (made_parent) fs::remove(parent, ignored);
    throw;
  }
  std::error_code ignored;
  if (!root_was_there || choice.root == beside) fs::remove(choice.root, ignored);
  try {
    if (options.verify) Verify(block, options.output, report.n_rows);
  } catch (...) {
    fs::remove_all(options.output, ignored);
    throw;
  }
  for (const auto& entry : fs::recursive_directory_iterator(options.output)) {
    if (entry.is_regular_file()) report.output_bytes += entry.file_size();
  }
  report.verify_s = watch.Lap();
}

ConvertResult ConvertGroup(const std::vector<fs::path>& inputs, const ConvertOptions& options,
                           const RunContext& context) {
  RefuseExisting(options.output);
  LoadedTile tile = LoadTile(inputs, options, context);
  WriteMeasurementSet(*tile.block, nullptr, options, context, tile.report);
  return {std::move(tile.block), std::move(tile.report)};
}

}  // namespace contimg::convert
