#include "ops/daemon/photometry_recorder.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "config/text.h"
#include "ops/base/log.h"
#include "ops/lightcurves/tile_photometry.h"
#include "ops/mosaics/gate_marks.h"
#include "state/source_store.h"

namespace contimg::ops {

namespace {

constexpr double kRetryS = 5;
constexpr std::size_t kTilesARound = 50;  // then the loop hears of them

}  // namespace

// What one stay in the background is asked for, and how it went.
struct PhotometryRecorder::Round {
  bool all = false;
  std::set<std::string> groups;
  double unix_s = 0;
  std::vector<std::pair<std::string, RecordedTables>> recorded;
  std::vector<std::string> refused;  // sentences: of tiles that never will be
  std::int64_t frames_after = -1;    // looks for tiles whose images' headers lack, behind this one; -1: it does not
  bool more = false;

  void Run(const ProductPaths& paths, Os& os) {
    state::ProductStore products(paths.Database(StateDatabase::kProducts));
    std::vector<TileTables> waiting;
    state::SourceStore sources(paths.Database(StateDatabase::kMasterSources));
    if (all) {
      waiting = UnrecordedTables(products, sources.database(), "");
    } else {
      for (const std::string& group : groups) {
        for (TileTables& each : UnrecordedTables(products, sources.database(), group)) {
          waiting.push_back(std::move(each));
        }
      }
    }
    for (const TileTables& tables : waiting) {
      if (recorded.size() + refused.size() == kTilesARound) {
        more = true;
        return;
      }
      try {
        recorded.emplace_back(tables.group, RecordTables(sources.database(), tables, unix_s, os));
        MarkTiles(products, sources.database(), {tables.group});
      } catch (const Error& error) {
        const bool of_file =
            error.subject() == tables.photometry.string() || error.subject() == tables.sources.string();
        if (MayPass(error.kind()) && !of_file) throw;
        refused.push_back(fmt::format("{}: its photometry is not on record: {}", tables.group, error.what()));
      }
    }
    if (frames_after >= 0) {
      frames_after = RecordMissingFrames(products, sources.database(), frames_after, static_cast<int>(kTilesARound));
      if (frames_after == 0) frames_after = -1;
    }
    more = frames_after > 0;
  }
};

void PhotometryRecorder::Tick() {
  if (!idle() || (!all_ && groups_.empty()) || clock_.Steady() < next_) return;
  const auto round = std::make_shared<Round>();
  round->all = std::exchange(all_, false);
  round->frames_after = frames_after_;
  round->groups = std::exchange(groups_, {});
  round->unix_s = clock_.Unix();
  background_.Run([round, &paths = paths_, &os = os_] { round->Run(paths, os); },
                  [this, round](const std::exception_ptr& failure) { Ended(*round, failure); });
}

void PhotometryRecorder::Ended(const Round& round, const std::exception_ptr& failure) {
  for (const auto& [group, done] : round.recorded) {
    metrics_.PhotometryRecorded(done.measurements, done.found);
    Log(LogLevel::kInfo, group,
        fmt::format("photometry: {} and {} on record{}", Counted(done.measurements, "measurement"),
                    Counted(done.detections, "detection"),
                    done.found > 0 ? fmt::format(", {} seen twice", Counted(done.found, "new source")) : ""));
  }
  for (const std::string& sentence : round.refused) Log(LogLevel::kError, "", sentence);
  frames_after_ = round.frames_after;
  if (!failure && !round.more) return;
  all_ = all_ || round.all;
  groups_.insert(round.groups.begin(), round.groups.end());
  if (!failure) return;
  next_ = clock_.Steady() + kRetryS;
  try {
    std::rethrow_exception(failure);
  } catch (const std::exception& error) {
    metrics_.DatabaseFailed();
    LogNowAndThen(LogLevel::kWarning, fmt::format("photometry cannot be recorded now: {}", error.what()));
  }
}

}  // namespace contimg::ops
