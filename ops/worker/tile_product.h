// The Measurement Set of a job, written by a thread of its own while the job goes on with the tile.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/background.h"
#include "config/run_context.h"
#include "config/unfinished.h"
#include "convert/convert_stage.h"
#include "convert/staged_measurement_set.h"
#include "ingest/visibility_block.h"
#include "ops/job/job.h"

namespace contimg::ops {

class TileProduct {
 public:
  // A set that the job makes from its inputs; `report` is what reading them gave. Or, `from_inputs` false, one that
  // exists and whose columns change.
  TileProduct(const Job& job, bool from_inputs, convert::ConvertReport report, const RunContext& context);
  // Waits for what is being written; an unfinished set is removed.
  ~TileProduct() = default;
  TileProduct(const TileProduct&) = delete;
  TileProduct& operator=(const TileProduct&) = delete;

  // Writes DATA of a set made from inputs, in the background. The block's visibilities must not change until DataIsKept
  // has returned.
  void KeepData(const VisibilityBlock& block);
  // Waits for KeepData, and does what is left of it; throws what it threw.
  void DataIsKept();
  // Writes all else and publishes, in the background; corrected data become CORRECTED_DATA. The block must not change
  // until Finish has returned. `history`: what has been done to the block.
  void Start(const VisibilityBlock& block, const std::vector<std::string>& history);
  bool started() const { return started_; }
  // Waits; throws what the writing threw.
  void Finish();

  // After Finish.
  const convert::ConvertReport& report() const { return report_; }
  const std::string& checksum() const { return checksum_; }
  std::uint64_t bytes() const { return bytes_; }
  double checksum_s() const { return checksum_s_; }

 private:
  void Write(const VisibilityBlock& block, const std::vector<std::string>& history);

  const Job& job_;
  const bool from_inputs_;
  convert::ConvertReport report_;
  std::unique_ptr<Reporter> reporter_;
  RunContext context_;
  std::optional<Unfinished> beside_;  // where a set that replaces another is made
  convert::ConvertOptions options_;
  std::unique_ptr<convert::StagedMeasurementSet> staged_;
  bool started_ = false;
  std::string checksum_;
  std::uint64_t bytes_ = 0;
  double checksum_s_ = 0;
  contimg::Background::Handle data_;
  // Last: they end before what they work with.
  contimg::Background background_{1};  // not the daemon's
  std::future<void> rest_;
};

// What the stage "convert" is told.
convert::ConvertOptions ConvertOptionsOf(const Job& job);

}  // namespace contimg::ops
