#include "convert/staged_measurement_set.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>

#include "config/os.h"
#include "config/parallel.h"
#include "config/stopwatch.h"
#include "config/text.h"
#include "config/unfinished.h"
#include "config/units.h"
#include "convert/bulk_columns.h"
#include "convert/casacore/tile_rows.h"

namespace contimg::convert {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kTableBytes = 24u << 20;  // all but the bulk columns, at most

// "J1334+5437": the customary name of a sky position.
std::string PositionName(const PhaseCentre& centre) {
  const long minutes = std::lround(Angle::Radians(centre.ra_rad).hours() * 60) % 1440;
  const long arcmin = std::lround(std::abs(Angle::Radians(centre.dec_rad).deg()) * 60);
  return fmt::format("J{:02}{:02}{}{:02}{:02}", minutes / 60, minutes % 60, centre.dec_rad < 0 ? '-' : '+', arcmin / 60,
                     arcmin % 60);
}

std::vector<std::string> HistoryLines(const VisibilityBlock& block, const ConvertOptions& options,
                                      const std::vector<std::string>& history, const ConvertReport& report) {
  std::vector<std::string> lines;
  lines.push_back(
      fmt::format("{} converted group {} from {} UVH5 files", options.program, block.group_id, block.windows.size()));
  for (const SpectralWindow& window : block.windows) lines.push_back("input: " + Printable(window.input_path));
  if (!report.missing_subbands.empty()) {
    lines.push_back(fmt::format("missing subbands: {}", fmt::join(report.missing_subbands, ", ")));
  }
  lines.push_back(fmt::format("phase centre: ICRS RA {:.9f} deg, Dec {:.9f} deg",
                              Angle::Radians(block.phase_centre.ra_rad).deg(),
                              Angle::Radians(block.phase_centre.dec_rad).deg()));
  lines.push_back("input phases: " + report.phases);
  lines.push_back(fmt::format("array centre: latitude {:.7f} deg, longitude {:.7f} deg, height {:.2f} m, from {}",
                              Angle::Radians(block.site.latitude_rad).deg(),
                              Angle::Radians(block.site.longitude_rad).deg(), block.site.height_m, block.site.source));
  lines.push_back(options.earth_orientation_file.empty()
                      ? std::string("Earth orientation: UT1 = UTC, no polar motion")
                      : "Earth orientation: " + options.earth_orientation_file.string());
  lines.push_back(
      fmt::format("samples: {}, not finite and flagged: {}, without data and flagged: {}, exactly 0 and "
                  "flagged: {}, absurdly heavy and flagged: {}, flagged in the input: {}",
                  report.read.samples, report.read.non_finite, report.read.no_samples, report.read.zero,
                  report.read.absurd_weights, report.read.flagged_in_file));
  if (!block.instrument.empty()) lines.push_back("instrument: " + block.instrument);
  if (!block.file_history.empty()) lines.push_back("input history: " + block.file_history);
  for (const std::string& keyword : block.extra_keywords) lines.push_back("input keyword: " + keyword);
  if (!options.settings.empty()) lines.push_back("settings: " + options.settings);
  lines.insert(lines.end(), history.begin(), history.end());
  return lines;
}

// Rows of the set are (time, window, baseline), the last fastest.
std::size_t RowsOf(const VisibilityBlock& block) {
  return block.n_times() * block.windows.size() * block.n_baselines();
}

// Rows to read back: the first, the last and a fixed spread between.
std::vector<std::size_t> RowsToCheck(std::size_t n_rows) {
  std::set<std::size_t> rows;
  constexpr std::size_t kCount = 48;
  for (std::size_t i = 0; i < kCount; ++i) rows.insert((n_rows - 1) * i / (kCount - 1));
  return {rows.begin(), rows.end()};
}

// Where row `row` of the set (time, window, baseline) begins in the block.
std::size_t SourceOf(const VisibilityBlock& block, std::size_t row) {
  const std::size_t n_windows = block.windows.size(), n_baselines = block.n_baselines();
  const std::size_t b = row % n_baselines, w = row / n_baselines % n_windows, t = row / n_baselines / n_windows;
  return ((t * n_baselines + b) * block.n_channels() + block.windows[w].first_channel) * block.n_pols();
}

// What `from`, of the block's shape, has in `rows` of the set, one after the other.
template <typename T>
std::vector<T> Pick(const VisibilityBlock& block, const T* from, const std::vector<std::size_t>& rows) {
  std::vector<T> picked;
  for (const std::size_t row : rows) {
    const T* begin = from + SourceOf(block, row);
    picked.insert(picked.end(), begin, begin + block.windows.front().n_channels * block.n_pols());
  }
  return picked;
}

void Verify(const VisibilityBlock& block, const Visibility* corrected, const fs::path& path, std::size_t n_rows,
            const CheckedRows& checked) {
  const std::size_t n_windows = block.windows.size(), n_baselines = block.n_baselines();
  const auto fail = [&](std::size_t row, const std::string& what) {
    return Error(ErrorKind::kIo, "convert", path.string(),
                 fmt::format("reads back differently from what was written: {} of row {}", what, row));
  };
  std::size_t at = 0;  // in what was picked
  for (const MeasurementSetSample& s : ReadBack(path, checked.rows)) {
    if (s.n_rows != n_rows) throw fail(s.row, fmt::format("{} rows instead of {}, as", s.n_rows, n_rows));
    const std::size_t b = s.row % n_baselines, w = s.row / n_baselines % n_windows, t = s.row / n_baselines / n_windows;
    const std::size_t from = SourceOf(block, s.row), cell = block.windows[w].n_channels * block.n_pols();
    if (s.antenna1 != block.baselines[b].antenna1 || s.antenna2 != block.baselines[b].antenna2) {
      throw fail(s.row, "antennas");
    }
    if (s.data_desc_id != static_cast<int>(w)) throw fail(s.row, "DATA_DESC_ID");
    if (s.time_mjd_s != block.time_mjd_s[t]) throw fail(s.row, "TIME");
    if (s.uvw_m.size() != 3 || std::memcmp(s.uvw_m.data(), &block.uvw_m[(t * n_baselines + b) * 3], 24) != 0) {
      throw fail(s.row, "UVW");
    }
    if (s.data.size() != cell || std::memcmp(s.data.data(), &checked.data[at], cell * sizeof(Visibility)) != 0) {
      throw fail(s.row, "DATA");
    }
    if (s.corrected.size() != (corrected == nullptr ? 0 : cell) ||
        (corrected != nullptr && std::memcmp(s.corrected.data(), corrected + from, cell * sizeof(Visibility)) != 0)) {
      throw fail(s.row, "CORRECTED_DATA");
    }
    if (s.weight_spectrum.size() != cell ||
        std::memcmp(s.weight_spectrum.data(), &checked.weight[at], cell * sizeof(float)) != 0) {
      throw fail(s.row, "WEIGHT_SPECTRUM");
    }
    for (std::size_t k = 0; k < cell; ++k) {
      if ((s.flag[k] != 0) != (checked.flag[at + k] != 0)) throw fail(s.row, "FLAG");
    }
    at += cell;
  }
}

}  // namespace

std::uint64_t MeasurementSetBytes(const VisibilityBlock& block, bool corrected) {
  const std::uint64_t samples =
      std::uint64_t{block.n_times()} * block.n_baselines() * block.n_channels() * block.n_pols();
  const std::uint64_t rows = std::uint64_t{block.n_times()} * block.n_baselines() * block.windows.size();
  const std::uint64_t sample_bits = (corrected ? 128 : 64) + 32 + 1;
  return samples * sample_bits / 8 + rows * (24 + 8 * block.n_pols() + 8 + 1) + kTableBytes;
}

fs::path FreeName(const fs::path& output) {
  fs::path name = output;
  while (name.has_parent_path() && name != name.parent_path() && (name.filename().empty() || name.filename() == ".")) {
    name = name.parent_path();
  }
  if (name.filename().empty() || name.filename() == "." || name.filename() == "..") {
    throw Error(ErrorKind::kUsage, "convert", output.string(), "expected the name of a Measurement Set to make");
  }
  if (IsTaken(name)) {
    throw Error(ErrorKind::kUsage, "convert", name.string(), "exists already; choose another name or remove it");
  }
  return name;
}

StagedMeasurementSet::StagedMeasurementSet(const VisibilityBlock& block, const ConvertOptions& options,
                                           const RunContext& context, ConvertReport& report)
    : options_(options), os_(OsOr(context.os)) {
  options_.output = FreeName(options.output);
  parent_ = options_.output.has_parent_path() ? options_.output.parent_path() : fs::path(".");
  made_parent_ = !Exists(parent_, os_);
  os_.CreateDirectories(parent_);
  SweepUnfinished(parent_, os_);

  beside_ = parent_ / ".contimg-staging";
  const StagingChoice choice = ChooseStagingRoot(
      options.staging_root, options.fallback_root.empty() ? beside_ : options.fallback_root, kTableBytes, 0, os_);
  if (!choice.fallback_reason.empty()) {
    const std::string warning = fmt::format("staging in {} because {}", choice.root.string(), choice.fallback_reason);
    context.reporter->Warn("convert", warning);
    report.warnings.push_back(warning);
  }
  root_ = choice.root;
  root_was_there_ = Exists(root_, os_);
  try {
    SweepStaging(root_, os_);
    staging_ = std::make_unique<StagingArea>(root_, block.group_id, os_);
    report.staged_in = root_.string();
    staged_ = staging_->path() / "concat.ms";
    CheckRoom(os_, parent_, MeasurementSetBytes(block, false), "convert", options_.output.string());
    part_ = std::make_unique<Unfinished>(options_.output, os_);
    os_.CreateDirectories(part_->path());
  } catch (...) {
    RemoveAll();
    throw;
  }
  report.n_rows = RowsOf(block);
}

StagedMeasurementSet::~StagedMeasurementSet() { RemoveAll(); }

void StagedMeasurementSet::RemoveAll() noexcept {
  data_.reset();
  part_.reset();
  staging_.reset();
  std::error_code ignored;
  if (!root_was_there_ || root_ == beside_) fs::remove(root_, ignored);  // only when empty
  if (made_parent_ && !published_) fs::remove(parent_, ignored);
}

void StagedMeasurementSet::OpenData(const VisibilityBlock& block) {
  const std::size_t cell = block.windows.front().n_channels * block.n_pols();
  const std::size_t row_bytes = cell * sizeof(Visibility), n_rows = RowsOf(block);
  const std::size_t tile_rows = internal::TileRows(row_bytes);
  data_file_ = part_->path() / "DATA";
  os_.Create(data_file_)->Resize((n_rows + tile_rows - 1) / tile_rows * tile_rows * row_bytes);
  data_ = std::make_unique<DataColumn>(block, BulkColumn{data_file_, row_bytes * 8}, options_.checksums, os_);
  checked_.rows = RowsToCheck(n_rows);
  checked_.data.resize(checked_.rows.size() * cell);
}

void StagedMeasurementSet::KeepChecked(const VisibilityBlock& block, std::size_t first_row, std::size_t end_row) {
  const std::size_t cell = block.windows.front().n_channels * block.n_pols();
  for (std::size_t i = 0; i < checked_.rows.size(); ++i) {
    if (checked_.rows[i] < first_row || checked_.rows[i] >= end_row) continue;
    std::copy_n(block.vis.data() + SourceOf(block, checked_.rows[i]), cell, &checked_.data[i * cell]);
  }
}

void StagedMeasurementSet::WriteWindows(const VisibilityBlock& block, std::size_t time, std::size_t first_window,
                                        std::size_t end_window) {
  const std::size_t n_baselines = block.n_baselines(),
                    first = (time * block.windows.size() + first_window) * n_baselines;
  const std::size_t rows = (end_window - first_window) * n_baselines;
  KeepChecked(block, first, first + rows);
  data_->Write(first, rows);
}

void StagedMeasurementSet::WriteData(const VisibilityBlock& block, const RunContext& context, ConvertReport& report) {
  const Stopwatch watch;
  OpenData(block);
  const std::size_t n_rows = RowsOf(block), pieces = (n_rows + kRowsAtOnce - 1) / kRowsAtOnce;
  KeepChecked(block, 0, n_rows);
  ParallelFor(options_.checksums ? 1 : context.threads, pieces, [&](std::size_t i) {
    context.CheckCancelled("convert");
    data_->Write(i * kRowsAtOnce, std::min(kRowsAtOnce, n_rows - i * kRowsAtOnce));
    context.reporter->Progress("write", 0.5 * static_cast<double>(i + 1) / static_cast<double>(pieces));
  });
  report.write_s += watch.Seconds();
}

MeasurementSetLayout StagedMeasurementSet::MakeTables(const VisibilityBlock& block, bool corrected,
                                                      const std::vector<std::string>& history,
                                                      const ConvertReport& report) {
  MeasurementSetHeader header;
  header.field_name = PositionName(block.phase_centre);
  header.history = HistoryLines(block, options_, history, report);
  header.program = options_.program;
  header.corrected_data = corrected;
  MeasurementSetLayout layout = CreateMeasurementSet(staged_, block, block.phase_centre, header);
  for (BulkColumn* column : layout.Columns()) {
    const fs::path there = part_->path() / column->file.filename();
    const std::uint64_t size = FileSize(column->file, os_);
    if (column == &layout.data) {
      if (FileSize(data_file_, os_) != size) {
        throw Error(ErrorKind::kBug, "convert", data_file_.string(),
                    fmt::format("expected {} bytes as casacore has", size));
      }
      os_.Rename(data_file_, there);
    } else {
      os_.Create(there)->Resize(size);
    }
    os_.RemoveAll(column->file);
    column->file = there;
  }
  CopyTree(os_, staged_, part_->path());
  return layout;
}

void StagedMeasurementSet::Finish(const VisibilityBlock& block, const Visibility* corrected,
                                  const std::vector<std::string>& history, const RunContext& context,
                                  ConvertReport& report, const TimeWritten& written) {
  Stopwatch watch;
  checked_.flag = Pick(block, block.flag.data(), checked_.rows);
  checked_.weight = Pick(block, block.weight.data(), checked_.rows);
  const MeasurementSetLayout layout = MakeTables(block, corrected != nullptr, history, report);
  auto sums = WriteOtherColumns(block, corrected, layout, options_.checksums, written, context);
  if (options_.checksums) sums[layout.data.file] = data_->Checksum();
  data_.reset();
  for (const auto& [file, sum] : sums) report.checksums[file.filename().string()] = sum;
  report.write_s += watch.Lap();

  context.CheckCancelled("convert");
  Publish(os_, part_->path(), options_.output, {options_.durable});
  published_ = true;
  staging_.reset();
  report.publish_s = watch.Lap();
  report.output = options_.output;

  try {
    if (options_.verify) Verify(block, corrected, options_.output, report.n_rows, checked_);
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(options_.output, ignored);
    throw;
  }
  for (const fs::path& file : FilesBelow(options_.output, os_)) report.output_bytes += FileSize(file, os_);
  report.verify_s = watch.Lap();
}

}  // namespace contimg::convert
