// The bulk columns of a Measurement Set that is laid out as we lay them out, straight from their files. C++17.
#pragma once

#include <casacore/tables/Tables/ArrayColumn.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/run_context.h"
#include "convert/casacore/row_map.h"
#include "convert/casacore/set_tables.h"
#include "convert/casacore/tile_file.h"
#include "ingest/visibility_block.h"

namespace contimg::convert::internal {

// Null when there is no column WEIGHT_SPECTRUM, or no values in it.
casacore::ArrayColumn<float> WeightSpectrum(const SetTables& set, std::size_t first_row);

// Rows read at a time by one thread: they fit into its cache.
inline constexpr std::size_t kRowsOfRun = 1024;

class BulkFiles {
 public:
  // Nothing unless the files are laid out as that needs and some rows read as casacore reads them. `column`: of the
  // visibilities.
  static std::optional<BulkFiles> Find(const SetTables& set, const std::string& column, const RowMap& rows);

  // The flags and weights of rows, by all threads.
  void ReadFlagsAndWeights(const std::vector<RowRun>& runs, const RowMap& rows, VisibilityBlock& block,
                           const RunContext& context) const;
  // The visibilities of rows of the integrations from `first_time` on, in the order of a block with these axes.
  void ReadVisibilities(const std::vector<RowRun>& runs, const RowMap& rows, const VisibilityBlock& axes,
                        std::size_t first_time, Visibility* to, const RunContext& context) const;

 private:
  // One thread's copy of a run of rows.
  struct Copy {
    std::vector<Visibility> data;
    std::vector<std::uint8_t> flag, bits;
    std::vector<float> weight;
  };

  BulkFiles(TileFile data, TileFile flag, TileFile spectrum)
      : data_(std::move(data)), flag_(std::move(flag)), spectrum_(std::move(spectrum)) {}
  bool ReadsAsCasacore(const SetTables& set, const std::string& column, std::size_t row) const;
  void ReadRest(const RowRun& run, std::size_t cell, Copy& copy) const;
  void ReadData(const RowRun& run, std::size_t cell, Copy& copy) const;

  TileFile data_, flag_, spectrum_;
};

}  // namespace contimg::convert::internal
