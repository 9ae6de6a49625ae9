#include "ops/lightcurves/tile_frames.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "config/error.h"
#include "config/product_kind.h"
#include "image/products/fits_frame.h"

namespace contimg::ops {
namespace {

bool IsFits(const std::string& path) {
  const auto ends = [&](std::string_view with) {
    return path.size() > with.size() && path.compare(path.size() - with.size(), with.size(), with) == 0;
  };
  return ends(".fits") || ends(".fits.fz");
}

}  // namespace

std::vector<FrameFile> FrameFilesOf(state::ProductStore& products, std::string_view group) {
  state::ProductQuery query;
  query.group_id = group;
  query.status = "present";
  std::vector<FrameFile> files;
  for (const state::ProductRow& row : products.List(query)) {
    const auto kind = FindProductKind(row.kind);
    if (kind && IsImage(*kind) && IsFits(row.path)) files.push_back({row.kind, row.path});
  }
  std::sort(files.begin(), files.end(),
            [](const FrameFile& a, const FrameFile& b) { return std::tie(a.type, a.path) < std::tie(b.type, b.path); });
  return files;
}

std::vector<state::FrameRow> FramesOf(const std::vector<FrameFile>& files) {
  std::vector<state::FrameRow> frames;
  std::map<std::string, std::int64_t> numbers;
  for (const FrameFile& file : files) {
    const std::int64_t number = numbers[file.type]++;
    try {
      const image::FitsFrame read = image::ReadFitsFrame(file.path);
      state::FrameRow& frame = frames.emplace_back();
      frame.type = file.type;
      frame.cadence = number;
      frame.path = file.path.string();
      frame.simple = read.simple;
      frame.bitpix = read.bitpix;
      frame.axes = read.axes;
      frame.extended = read.extended;
      frame.bscale = read.bscale;
      frame.bzero = read.bzero;
    } catch (const Error&) {
      // Damaged or gone: the reconciler says so. What was measured in it is none the worse.
    }
  }
  return frames;
}

std::int64_t RecordMissingFrames(state::ProductStore& products, state::Database& database, std::int64_t after,
                                 int limit) {
  state::ObservationStore observations(database);
  const auto missing = observations.WithoutFrames(after, limit);
  for (const auto& [id, group] : missing) {
    const std::vector<state::FrameRow> frames = FramesOf(FrameFilesOf(products, group));
    if (!frames.empty()) observations.ReplaceFrames(group, frames);
  }
  return static_cast<int>(missing.size()) < limit ? 0 : missing.back().first;
}

}  // namespace contimg::ops
