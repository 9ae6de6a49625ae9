// Visibilities of a Measurement Set, read from its file part by part. C++17.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/buffer.h"
#include "config/run_context.h"
#include "convert/casacore/bulk_files.h"
#include "convert/casacore/row_map.h"
#include "ingest/visibility_parts.h"

namespace contimg::convert::internal {

// Throws Error{kBusy} when the set is not what it was when it had this stamp.
void CheckUnchanged(const std::filesystem::path& path, const std::string& stamp);

class FileVisibilities final : public VisibilityParts {
 public:
  // Integrations in a part of about so many bytes.
  static std::size_t TimesInPart(const VisibilityBlock& axes, std::size_t part_bytes);
  // Whether integrations lie together in the file, so that parts of so many of them can be read in long runs.
  static bool InOrder(const std::vector<RowRun>& runs, const RowMap& rows, std::size_t n_times, std::size_t times);

  // `axes` (its data are not looked at) must outlive this, as must what the context refers to. One call at a time.
  FileVisibilities(const std::filesystem::path& path, BulkFiles files, RowMap rows, std::size_t times,
                   const VisibilityBlock& axes, const RunContext& context);
  void ForEach(const std::function<void(const VisibilityPart&)>& use) const override;

 private:
  std::filesystem::path path_;
  BulkFiles files_;
  RowMap rows_;
  std::size_t times_;  // integrations in a part, fewer in the last
  const VisibilityBlock& axes_;
  RunContext context_;
  std::vector<std::vector<RowRun>> runs_;  // of each part
  mutable Buffer<Visibility> vis_;         // of the part at hand; kept because fresh memory is slow
};

}  // namespace contimg::convert::internal
