#include "convert/casacore/file_visibilities.h"

#include <algorithm>
#include <utility>

#include "config/error.h"
#include "convert/measurement_set_lock.h"

namespace contimg::convert::internal {
namespace {

// The runs of each part, cut where another begins.
std::vector<std::vector<RowRun>> Cut(const std::vector<RowRun>& runs, const RowMap& rows, std::size_t n_times,
                                     std::size_t times) {
  std::vector<std::vector<RowRun>> parts((n_times + times - 1) / times);
  for (const RowRun& run : runs) {
    std::size_t before = parts.size();
    for (std::size_t row = run.first_row; row < run.first_row + run.n_rows; ++row) {
      const std::size_t part = rows.time[row] / times;
      if (part == before) {
        ++parts[part].back().n_rows;
      } else {
        parts[part].push_back({row, 1});
      }
      before = part;
    }
  }
  return parts;
}

}  // namespace

void CheckUnchanged(const std::filesystem::path& path, const std::string& stamp) {
  if (SetStamp(path) == stamp) return;
  throw Error(ErrorKind::kBusy, "convert", path.string(),
              "was changed by another program while it was read; try again");
}

std::size_t FileVisibilities::TimesInPart(const VisibilityBlock& axes, std::size_t part_bytes) {
  const std::size_t bytes = axes.n_baselines() * axes.n_channels() * axes.n_pols() * sizeof(Visibility);
  return std::clamp<std::size_t>(part_bytes / std::max<std::size_t>(1, bytes), 1, axes.n_times());
}

bool FileVisibilities::InOrder(const std::vector<RowRun>& runs, const RowMap& rows, std::size_t n_times,
                               std::size_t times) {
  std::size_t n_cut = 0;
  for (const std::vector<RowRun>& part : Cut(runs, rows, n_times, times)) n_cut += part.size();
  return n_cut <= 2 * runs.size() + rows.reversed.size() * n_times;
}

FileVisibilities::FileVisibilities(const std::filesystem::path& path, BulkFiles files, RowMap rows, std::size_t times,
                                   const VisibilityBlock& axes, const RunContext& context)
    : path_(path),
      files_(std::move(files)),
      rows_(std::move(rows)),
      times_(times),
      axes_(axes),
      context_(context),
      runs_(Cut(rows_.Runs(kRowsOfRun), rows_, axes.n_times(), times)) {
  context_.reporter = &SilentReporter();  // how far whoever goes through them is, they tell
}

void FileVisibilities::ForEach(const std::function<void(const VisibilityPart&)>& use) const {
  const std::size_t row = axes_.n_baselines() * axes_.n_channels() * axes_.n_pols();
  if (vis_.empty()) vis_ = Buffer<Visibility>(times_ * row);
  for (std::size_t part = 0; part < runs_.size(); ++part) {
    const std::size_t first = part * times_, end = std::min(first + times_, axes_.n_times());
    if (!axes_.absent.empty()) std::fill(vis_.begin(), vis_.end(), Visibility(0));
    files_.ReadVisibilities(runs_[part], rows_, axes_, first, vis_.data(), context_);
    use({first, end, vis_.data()});
  }
  CheckUnchanged(path_, axes_.set_stamp);
}

}  // namespace contimg::convert::internal
