#include "ops/worker/tile_product.h"

#include <utility>

#include "config/os.h"
#include "config/stopwatch.h"
#include "convert/measurement_set_reader.h"
#include "convert/staging.h"
#include "ops/base/checksum.h"
#include "ops/base/version.h"

namespace contimg::ops {
namespace {

// Passes on what a person should know; the progress shown is that of the stage in the foreground.
class BackgroundReporter final : public Reporter {
 public:
  explicit BackgroundReporter(Reporter& to) : to_(to) {}
  void Progress(std::string_view, double) override {}
  void Warn(std::string_view stage, std::string_view message) override { to_.Warn(stage, message); }
  void Info(std::string_view stage, std::string_view message) override { to_.Info(stage, message); }

 private:
  Reporter& to_;
};

}  // namespace

convert::ConvertOptions ConvertOptionsOf(const Job& job) {
  convert::ConvertOptions options;
  options.output = job.measurement_set;
  options.staging_root = job.staging_root;
  options.fallback_root = job.fallback_root;
  options.expected_subbands = job.expected_subbands;
  options.durable = job.settings.convert.durable;
  options.earth_orientation_file = job.settings.telescope.earth_orientation_file;
  options.verify = job.settings.convert.verify;
  options.program = std::string("contimg ") + kVersion;
  options.settings = "hash " + SettingsHash(job.settings);
  options.checksums = true;
  return options;
}

TileProduct::TileProduct(const Job& job, bool from_inputs, convert::ConvertReport report, const RunContext& context)
    : job_(job),
      from_inputs_(from_inputs),
      report_(std::move(report)),
      reporter_(std::make_unique<BackgroundReporter>(*context.reporter)),
      context_(context),
      options_(ConvertOptionsOf(job)) {
  context_.reporter = reporter_.get();
  // One thread: it mostly waits for the disk, and the processors belong to what goes on meanwhile.
  context_.threads = 1;
  if (from_inputs_ && Exists(job.measurement_set, OsOr(context.os))) {
    // Made beside the old one, then swapped.
    beside_.emplace(job.measurement_set, OsOr(context.os));
    options_.output = beside_->path();
  }
}

void TileProduct::KeepData(const VisibilityBlock& block) {
  staged_ = std::make_unique<convert::StagedMeasurementSet>(block, options_, context_, report_);
  staged_->OpenData(block);
  data_ = background_.AddInOrder(block.n_times(), [this, &block](std::size_t time) {  // checksums are made in order
    const Stopwatch watch;
    context_.CheckCancelled("convert");
    staged_->WriteWindows(block, time, 0, block.windows.size());
    report_.write_s += watch.Seconds();
  });
}

void TileProduct::DataIsKept() {
  if (data_) background_.Wait(data_);
}

void TileProduct::Start(const VisibilityBlock& block, const std::vector<std::string>& history) {
  started_ = true;
  rest_ = std::async(std::launch::async, [this, &block, history] {
    DataIsKept();
    Write(block, history);
  });
}

void TileProduct::Write(const VisibilityBlock& block, const std::vector<std::string>& history) {
  Os& os = OsOr(context_.os);
  const Visibility* corrected = block.data_state == DataState::kCorrected ? block.vis.data() : nullptr;
  if (from_inputs_) {
    staged_->Finish(block, corrected, history, context_, report_);
    staged_.reset();
    if (options_.output != job_.measurement_set) {
      os.Exchange(options_.output, job_.measurement_set);
      os.SyncDirectory(job_.measurement_set.parent_path());
      os.RemoveAll(options_.output);
    }
  } else {
    convert::MeasurementSetChanges changes;
    changes.flags = true;
    changes.corrected = corrected;
    if (corrected != nullptr) changes.weight = block.weight.data();
    changes.replace = true;
    changes.application = options_.program;
    changes.history = history;
    const Stopwatch watch;
    SweepUnfinished(job_.measurement_set.parent_path(), os);  // of attempts that were killed
    convert::UpdateMeasurementSet(job_.measurement_set, {"DATA", -1, {}}, block, changes, context_);
    report_.write_s = watch.Seconds();
  }
  const Stopwatch watch;
  bytes_ = ProductBytes(job_.measurement_set);
  checksum_ = ProductChecksum(job_.measurement_set, 1, os, report_.checksums);
  checksum_s_ = watch.Seconds();
}

void TileProduct::Finish() {
  if (rest_.valid()) rest_.get();
}

}  // namespace contimg::ops
