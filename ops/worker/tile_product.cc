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
  if (from_inputs_ && Exists(job.measurement_set, OsOr(context.os))) {
    // Made beside the old one, then swapped.
    beside_.emplace(job.measurement_set, OsOr(context.os));
    options_.output = beside_->path();
  }
}

TileProduct::~TileProduct() {
  if (thread_.joinable()) thread_.join();
}

void TileProduct::KeepData(const VisibilityBlock& block, bool corrected, const std::vector<std::string>& history) {
  corrected_ = corrected;
  if (!from_inputs_) return;  // its DATA are on the disk
  options_.history = history;
  staged_ = std::make_unique<convert::StagedMeasurementSet>(block, corrected, options_, context_, report_);
}

void TileProduct::Start(const VisibilityBlock& block, const std::vector<std::string>& history) {
  if (from_inputs_ && !staged_) KeepData(block, false, history);
  started_ = true;
  // One thread: it mostly waits for the disk, and the processors belong to what goes on meanwhile.
  context_.threads = 1;
  thread_ = std::thread([this, &block, history] {
    try {
      Write(block, history);
    } catch (...) {
      error_ = std::current_exception();
    }
  });
}

void TileProduct::Write(const VisibilityBlock& block, const std::vector<std::string>& history) {
  Os& os = OsOr(context_.os);
  const Visibility* corrected = corrected_ ? block.vis.data() : nullptr;
  if (from_inputs_) {
    staged_->Finish(block, corrected, context_, report_);
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
  checksum_ = ProductChecksum(job_.measurement_set);
  checksum_s_ = watch.Seconds();
}

void TileProduct::Finish() {
  if (thread_.joinable()) thread_.join();
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

}  // namespace contimg::ops
