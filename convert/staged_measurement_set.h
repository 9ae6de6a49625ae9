// A Measurement Set in the making, for jobs that go on with the tile meanwhile: its DATA are written before the tile is
// calibrated in place, all the rest afterwards, so that one copy of the visibilities in memory is enough.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "config/run_context.h"
#include "convert/convert_stage.h"
#include "convert/measurement_set_writer.h"
#include "convert/staging.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

// The name a set is to get, without slashes at its end. Throws Error{kUsage} when it names nothing or is taken.
std::filesystem::path FreeName(const std::filesystem::path& output);

class StagedMeasurementSet {
 public:
  // Makes the set in the staging folder, and its DATA from the block's visibilities. `corrected`: it gets a
  // CORRECTED_DATA column. Fills the report's writing figures and warnings. Throws Error{kUsage} when options.output
  // exists, kIo and kResource for disks and memory; whatever fails, nothing is left.
  StagedMeasurementSet(const VisibilityBlock& block, bool corrected, const ConvertOptions& options,
                       const RunContext& context, ConvertReport& report);
  ~StagedMeasurementSet();  // removes what was not published
  StagedMeasurementSet(const StagedMeasurementSet&) = delete;
  StagedMeasurementSet& operator=(const StagedMeasurementSet&) = delete;

  // Writes flags, weights and axes of the block and `corrected` (same shape as block.vis; null when the set has no such
  // column), publishes the set and reads rows of it back. May run beside a reader of the block. Call once.
  void Finish(const VisibilityBlock& block, const Visibility* corrected, const RunContext& context,
              ConvertReport& report);

 private:
  void RemoveEmptyFolders() noexcept;

  ConvertOptions options_;
  Os& os_;
  std::filesystem::path parent_, beside_, root_, staged_;
  bool made_parent_ = false, root_was_there_ = false, published_ = false;
  std::unique_ptr<StagingArea> staging_;
  MeasurementSetLayout layout_;
  std::vector<std::size_t> checked_rows_;    // read back at the end
  std::vector<Visibility> checked_samples_;  // their DATA
};

}  // namespace contimg::convert
