// Fills the bulk columns of a Measurement Set straight into their tile files.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "config/os.h"
#include "config/run_context.h"
#include "convert/measurement_set_writer.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

// DATA, written piece by piece, past the page cache (OsFile::BypassCache).
class DataColumn {
 public:
  // `file` has its size and is to hold the rows of `block`, which stays where it is. `summed`: pieces come one at a
  // time and in ascending order.
  DataColumn(const VisibilityBlock& block, const BulkColumn& file, bool summed, Os& os);
  ~DataColumn();
  DataColumn(const DataColumn&) = delete;
  DataColumn& operator=(const DataColumn&) = delete;

  // `rows` rows from block.vis. Thread-safe unless summed.
  void Write(std::size_t first_row, std::size_t rows);
  // The XXH64 of the file, once all is in it; only when summed.
  std::string Checksum() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};
// Rows that are best written at once: whole blocks of the disk.
inline constexpr std::size_t kRowsAtOnce = 2048;

using TimeWritten = std::function<void(std::size_t time)>;

// Writes the other bulk columns of every row: FLAG, WEIGHT_SPECTRUM, UVW, WEIGHT, SIGMA, ANTENNA1, ANTENNA2 and
// FLAG_ROW, and CORRECTED_DATA when `corrected` (same shape as block.vis) is not null. WEIGHT is the mean of
// WEIGHT_SPECTRUM over the unflagged channels (0 when there is none), SIGMA its −½ power (0 for weight 0). Their files
// have their sizes; large ones are written past the page cache. Uses context.threads; the result does not depend on
// their number. `written` (may be null) is called once for each time, when all its rows are in the files.
//
// `summed`: by one thread alone, which returns the XXH64 of each file that it has filled; else nothing is returned.
std::map<std::filesystem::path, std::string> WriteOtherColumns(const VisibilityBlock& block,
                                                               const Visibility* corrected,
                                                               const MeasurementSetLayout& layout, bool summed,
                                                               const TimeWritten& written, const RunContext& context);

}  // namespace contimg::convert
