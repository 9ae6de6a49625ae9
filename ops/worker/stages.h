// The stages a worker can run, by name. A job lists the names it wants, in order; each stage takes the tile from the
// one before and hands it on. To add one: write a function of this shape and add it to the table in stages.cc.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/apply_stage.h"
#include "config/run_context.h"
#include "convert/measurement_set_lock.h"
#include "image/image_stage.h"
#include "ingest/visibility_block.h"
#include "ops/job/job.h"
#include "ops/worker/tile_product.h"

namespace contimg::ops {

// What the stages of one job share.
struct JobState {
  std::optional<convert::MeasurementSetLock> lock;  // on the set that is found, when the job changes it
  std::unique_ptr<VisibilityBlock> block;           // null before the first stage
  bool taken = false;                               // the Measurement Set was found whole: nothing is to be done to it
  calibrate::EarlierApply earlier_apply;            // of the set read; weights and flags are as before it
  bool same_calibration = false;                // these very tables were applied to it: the block holds CORRECTED_DATA
  bool changed = false;                         // the set that was read is to be written back
  bool waiting = false;                         // for calibration: the data are done, no image is made
  std::vector<JobTable> tables;                 // to apply
  std::vector<std::string> history;             // what this job did to the data
  std::vector<std::string> earlier_history;     // what the Measurement Set that was read says about itself
  std::optional<image::FinishedImages> images;  // for the stage "measure"
  std::unique_ptr<TileProduct> product;         // the Measurement Set; ends before the block
  JobReport report;                             // products, warnings and so on are added to
};

struct Stage {
  std::string_view name;
  // Whether it changes the data: the Measurement Set is written after the last such stage of a job.
  bool changes_data;
  // Fills `figures` with what is worth keeping. Throws Error.
  void (*run)(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);
};

// For jobs without the stage convert: the tile as the Measurement Set holds it, unless a stage before has read it.
void NeedTile(const Job& job, const RunContext& context, JobState& state);

// All of them.
const std::vector<Stage>& Stages();
// Throws Error{kBadInput} for an unknown name.
const Stage& FindStage(std::string_view name);

// After the last stage that changes data: starts the writing of the Measurement Set, if there is anything to write.
void StartWriting(const Job& job, const RunContext& context, JobState& state);
// At the end: waits for it and adds the product. Throws what the writing threw.
void FinishWriting(const Job& job, const RunContext& context, JobState& state, nlohmann::json& figures);

}  // namespace contimg::ops
