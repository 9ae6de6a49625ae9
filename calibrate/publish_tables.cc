#include "calibrate/publish_tables.h"

#include <memory>

#include "calibrate/casacore/calibration_table.h"
#include "config/error.h"
#include "config/unfinished.h"

namespace contimg::calibrate {

namespace fs = std::filesystem;

void PublishTables(const std::vector<SolutionSet>& sets, const std::vector<fs::path>& paths, bool replace, Os& os) {
  std::vector<std::unique_ptr<Unfinished>> fresh;  // beside the names; in the end the older tables, removed with these
  for (std::size_t i = 0; i < sets.size(); ++i) {
    if (!replace && Exists(paths[i], os)) {
      throw Error(ErrorKind::kUsage, "solve", paths[i].string(), "exists already");
    }
    fresh.push_back(std::make_unique<Unfinished>(paths[i], os));
    WriteCalibrationTable(sets[i], fresh.back()->path());
  }
  std::vector<bool> exchanged;
  try {
    for (std::size_t i = 0; i < sets.size(); ++i) {
      const bool older = Exists(paths[i], os);
      older ? os.Exchange(fresh[i]->path(), paths[i]) : os.RenameNew(fresh[i]->path(), paths[i]);
      exchanged.push_back(older);
    }
    if (!paths.empty()) os.SyncDirectory(paths[0].has_parent_path() ? paths[0].parent_path() : fs::path("."));
  } catch (...) {
    for (std::size_t i = exchanged.size(); i-- > 0;) {
      try {
        exchanged[i] ? os.Exchange(fresh[i]->path(), paths[i]) : os.RemoveAll(paths[i]);
      } catch (const std::exception&) {  // the first failure is the one to tell
      }
    }
    throw;
  }
}

}  // namespace contimg::calibrate
