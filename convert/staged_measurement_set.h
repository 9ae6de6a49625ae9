// A Measurement Set in the making, for jobs that go on with the tile meanwhile: its DATA are written before the tile is
// calibrated in place, all the rest afterwards, so that one copy of the visibilities in memory is enough.
//
// casacore's tables are put together in the staging folder; the bulk columns, nearly all of the bytes, are written
// where they stay, in the unfinished set beside the final name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "config/unfinished.h"
#include "convert/bulk_columns.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_writer.h"
#include "convert/staging.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

// The name a set is to get, without slashes at its end. Throws Error{kUsage} when it names nothing or is taken.
std::filesystem::path FreeName(const std::filesystem::path& output);

// Rows that are read back at the end, and what they must hold, one after the other.
struct CheckedRows {
  std::vector<std::size_t> rows;
  std::vector<Visibility> data;
  std::vector<std::uint8_t> flag;
  std::vector<float> weight;
};

class StagedMeasurementSet {
 public:
  // Takes the places that it needs. Of the block only the axes matter. Like the other functions, fills the report's
  // writing figures and warnings, throws Error{kUsage} when options.output exists, kIo and kResource for disks and
  // memory; whatever fails, nothing is left.
  StagedMeasurementSet(const VisibilityBlock& block, const ConvertOptions& options, const RunContext& context,
                       ConvertReport& report);
  ~StagedMeasurementSet();  // removes what was not published
  StagedMeasurementSet(const StagedMeasurementSet&) = delete;
  StagedMeasurementSet& operator=(const StagedMeasurementSet&) = delete;

  // DATA from the block's visibilities: all at once, beside who changes flags and weights; or, after OpenData, windows
  // first_window to end_window − 1 of one time after the other; in any order and by several threads at once unless
  // options.checksums.
  void WriteData(const VisibilityBlock& block, const RunContext& context, ConvertReport& report);
  void OpenData(const VisibilityBlock& block);
  void WriteWindows(const VisibilityBlock& block, std::size_t time, std::size_t first_window, std::size_t end_window);
  // Writes flags, weights and axes of the block and `corrected` (same shape as block.vis; null when the set is to have
  // no such column), publishes the set and reads rows of it back. `history`: lines for HISTORY about what was done to
  // the block. May run beside a reader of the block. `written` is told of times whose flags and weights are needed
  // no more. Call once.
  void Finish(const VisibilityBlock& block, const Visibility* corrected, const std::vector<std::string>& history,
              const RunContext& context, ConvertReport& report, const TimeWritten& written = nullptr);

 private:
  // All but the bulk columns' content.
  MeasurementSetLayout MakeTables(const VisibilityBlock& block, bool corrected, const std::vector<std::string>& history,
                                  const ConvertReport& report);
  void KeepChecked(const VisibilityBlock& block, std::size_t first_row, std::size_t end_row);
  void RemoveAll() noexcept;

  ConvertOptions options_;
  Os& os_;
  std::filesystem::path parent_, beside_, root_, staged_;
  bool made_parent_ = false, root_was_there_ = false, published_ = false;
  std::unique_ptr<StagingArea> staging_;
  std::unique_ptr<Unfinished> part_;  // the set until it has its name
  std::filesystem::path data_file_;   // in it, until casacore has given the file a name
  std::unique_ptr<DataColumn> data_;
  CheckedRows checked_;
};

}  // namespace contimg::convert
