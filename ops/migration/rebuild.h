// Records made anew from what is on disk: after the loss of the state without a backup, or between a backup and now.
//
// - Calibration tables below <output>/calibrators are measured, judged and registered, oldest first; an hourly gain
// rests
//   on the bandpass and delays that the registry chooses for its time.
// - A group of which there are products gets a record: done, with its input files as they lie in the incoming
// directory,
//   and the times of its data. One whose image is missing while its input is there is left to the service, which makes
//   what is missing.
// - Products get their records by the rules of ops/records/reconciler.h; then their checksums, grades, and the tables
//   that their histories name as what they were made with.
//
// - Mosaics and their tiles come from the tables of tiles beside them (ops/mosaics/restore_mosaic.h).
//
// - Measurements and detections of tiles come from their tables of photometry, with the marks that mosaics give them;
//   transits and statistics from all measurements (ops/lightcurves/).
//
// What is on record stays as it is. Interrupted, the next run goes on.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/product_paths.h"
#include "config/run_context.h"
#include "config/settings.h"

namespace contimg::ops {

struct RebuildFigures {
  std::int64_t groups = 0, groups_left = 0;  // recorded as done; left to the service
  std::int64_t files = 0;                    // of their input
  std::int64_t tables = 0, tables_refused = 0;
  std::int64_t products = 0;
  std::int64_t tiles_measured = 0;    // whose measurements are on record since
  std::int64_t lost = 0;              // records of products that are not there
  std::vector<std::string> troubles;  // a sentence each: what could not be read
};

// The caller holds the InstanceLock and the MaintenanceLock. `checksums`: path → what was read lately; others are read.
// `actor`: who it is in the trails of groups, "doctor" or "migrate". Reports progress as stage "rebuild". Error as the
// databases say.
RebuildFigures RebuildRecords(const ProductPaths& paths, const Settings& settings, const RunContext& context,
                              double now, std::string_view actor,
                              const std::map<std::string, std::string>& checksums = {});

}  // namespace contimg::ops
