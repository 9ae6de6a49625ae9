// Whether a registered calibration table is still the one that was registered.
//
// A table whose files are gone or changed must not be chosen: it would spoil, or kill, every group of its window. Its
// registry row stays as it is; when the files come back as they were, the table serves again.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "config/os.h"
#include "state/cal_table_store.h"

namespace contimg::ops {

enum class TableCondition { kIntact, kMissing, kChanged };

class TableConditions {
 public:
  enum class Depth {
    kContent,    // the content is compared with the registry's checksum, once for each state of the files
    kSuspicion,  // only where a file is younger than its registration: for listings of thousands
  };
  explicit TableConditions(Depth depth = Depth::kContent, Os& os = RealOs()) : depth_(depth), os_(os) {}

  // A table without a checksum counts as intact when it is there. Files that cannot be read now are changed until they
  // can. Never throws.
  TableCondition Of(const state::CalTableRow& row);
  // A clause for people: "its files are missing", "its files have changed since it was registered"; empty when intact.
  static std::string Words(TableCondition condition);

 private:
  struct Seen {
    std::uint64_t signature = 0;  // of names, sizes and times
    TableCondition condition = TableCondition::kIntact;
  };
  Depth depth_;
  Os& os_;
  std::map<std::string, Seen> seen_;  // by path and checksum
};

}  // namespace contimg::ops
