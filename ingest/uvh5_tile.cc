// ReadTile: a group of subbands into one block.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <utility>

#include "config/parallel.h"
#include "config/pool.h"
#include "config/product_paths.h"
#include "ingest/absurd_weights.h"
#include "ingest/place_rows.h"
#include "ingest/read_ahead.h"
#include "ingest/uvh5_inspect.h"
#include "ingest/uvh5_reader.h"
#include "ingest/uvh5_samples.h"

namespace contimg::ingest {
namespace {

// "2025-10-13T13:28:03" of "2025-10-13T13:28:03_sb00.hdf5"; for any other name what stands before "_sb".
std::string StampOfName(const std::filesystem::path& path) {
  if (const auto name = ParseIncomingName(path)) return name->timestamp;
  const std::string stem = path.stem().string();
  return stem.substr(0, stem.rfind("_sb"));
}

void FillAxes(const std::vector<SubbandHeader>& headers, const std::vector<std::size_t>& order,
              VisibilityBlock& block) {
  // The highest frequencies belong to the first subband, whose header the provenance comes from.
  const SubbandHeader& first = headers[order.back()];
  block.time_mjd_s = first.time_mjd_s;
  block.integration_s = first.integration_s;
  block.baselines = first.baselines;
  block.channel_width_hz = first.channel_width_hz;
  block.polarisations = first.polarisations;
  block.antennas = first.antennas;
  block.site = first.site;
  block.app_dec_rad = first.app_dec_rad;
  if (first.knows_pointing) {
    block.pointing = {Pointing::Kind::kDrift,   first.site.longitude_rad, first.app_dec_rad, {}, true,
                      "the header of the files"};
  } else {
    block.pointing.source = "the header of the files does not say it";
  }
  if (first.phase.sidereal) {
    block.phase_state = PhaseState::kSidereal;
    block.phase_centre = first.phase.centre;
    block.fringe_place = first.phase.place;
  }
  block.telescope_name = first.telescope_name;
  block.instrument = first.instrument;
  block.object_name = first.object_name;
  block.file_history = first.history;
  block.extra_keywords = first.extra_keywords;
  block.group_id = StampOfName(first.path);
  for (const std::size_t i : order) {
    const SubbandHeader& header = headers[i];
    block.windows.push_back(
        {header.subband.value_or(-1), block.frequency_hz.size(), header.frequency_hz.size(), header.path.string()});
    block.frequency_hz.insert(block.frequency_hz.end(), header.frequency_hz.begin(), header.frequency_hz.end());
    block.group_id = std::min(block.group_id, StampOfName(header.path));
  }
}

// Memory for the rows of one work item, kept between items.
class Scratch {
 public:
  RowSamples Rows(std::size_t n) {
    if (vis_.size() < n) {
      vis_ = Buffer<Visibility>(n);
      flag_ = Buffer<std::uint8_t>(n);
      nsamples_ = Buffer<float>(n);
    }
    return {vis_.data(), flag_.data(), nsamples_.data()};
  }
  std::vector<std::byte>& staging() { return staging_; }

 private:
  Buffer<Visibility> vis_;
  Buffer<std::uint8_t> flag_;
  Buffer<float> nsamples_;
  std::vector<std::byte> staging_;
};

void Add(const PlaceCounts& part, PlaceCounts& sum) {
  sum.report.samples += part.report.samples;
  sum.report.non_finite += part.report.non_finite;
  sum.report.no_samples += part.report.no_samples;
  sum.report.zero += part.report.zero;
  sum.report.flagged_in_file += part.report.flagged_in_file;
  sum.report.flagged += part.report.flagged;
  sum.largest_weight = std::max(sum.largest_weight, part.largest_weight);
  sum.largest_weight_last = std::max(sum.largest_weight_last, part.largest_weight_last);
}

// Counts that no correlator makes, in any integration: not used. The last one is left to ClampLastIntegration when
// there are others.
void DropAbsurdCounts(PlaceCounts& counts, VisibilityBlock& block, ReadReport& report, int threads) {
  const bool others = counts.largest_weight > 0;
  const float limit = WeightLimit(block);
  if ((others ? counts.largest_weight : counts.largest_weight_last) <= limit) return;
  const DroppedWeights dropped = DropWeightsAbove(limit, block.n_times() - (others ? 1 : 0), block, threads);
  report.absurd_weights = dropped.samples;
  report.flagged += dropped.unflagged;
  (others ? counts.largest_weight : counts.largest_weight_last) = dropped.largest;
}

// The writer may leave a meaningless count in the last integration of a file: no weight there may exceed the largest of
// the other integrations.
void ClampLastIntegration(const PlaceCounts& counts, VisibilityBlock& block, ReadReport& report) {
  const float limit = counts.largest_weight;
  report.max_nsamples = limit > 0 ? limit : counts.largest_weight_last;
  if (counts.largest_weight_last <= limit || limit <= 0) return;
  const std::size_t per_time = block.weight.size() / block.n_times();
  for (float *w = block.weight.end() - per_time, *end = block.weight.end(); w != end; ++w) {
    if (*w <= limit) continue;
    *w = limit;
    ++report.clamped;
  }
}

// Tells the visitor what is in its place.
class PlacedRows {
 public:
  PlacedRows(VisibilityBlock& block, const TileVisitor& visitor, bool by_window)
      : block_(block),
        visitor_(visitor),
        by_window_(by_window),
        n_windows_(block.windows.size()),
        left_(block.n_times() * (by_window ? n_windows_ : 1)),
        parts_left_(block.n_times()) {
    for (auto& rows : left_) rows = block.n_baselines() * (by_window ? 1 : n_windows_);
    for (auto& parts : parts_left_) parts = by_window ? n_windows_ : 1;
  }

  // `count` rows of a window from `first` on, (time, baseline) with the latter fastest. Thread-safe.
  void Add(std::size_t window, std::size_t first, std::size_t count) {
    const std::size_t n_baselines = block_.n_baselines(), end = first + count;
    for (std::size_t t = first / n_baselines; t * n_baselines < end; ++t) {
      const std::size_t rows = std::min(end, (t + 1) * n_baselines) - std::max(first, t * n_baselines);
      if ((left_[by_window_ ? t * n_windows_ + window : t] -= rows) > 0) continue;
      if (visitor_.placed) {
        visitor_.placed(block_, t, by_window_ ? window : 0, by_window_ ? window + 1 : n_windows_);
      }
      if (--parts_left_[t] == 0 && visitor_.time) visitor_.time(block_, t);
    }
  }

 private:
  VisibilityBlock& block_;
  const TileVisitor& visitor_;
  const bool by_window_;
  const std::size_t n_windows_;
  std::vector<std::atomic<std::size_t>> left_;        // rows that are not in their place
  std::vector<std::atomic<std::size_t>> parts_left_;  // windows, or 1, that `placed` has not returned for; by time
};

}  // namespace

TileInput ReadTile(const std::vector<std::filesystem::path>& paths, const RunContext& context,
                   const PrepareVisitor& prepare) {
  std::vector<SubbandHeader> headers;
  headers.reserve(paths.size());
  for (const std::filesystem::path& path : paths) {
    context.CheckCancelled("ingest");
    headers.push_back(ReadSubbandHeader(path));
  }
  const std::vector<std::size_t> order = CheckGroup(headers);

  TileInput tile;
  tile.block = std::make_unique<VisibilityBlock>();
  FillAxes(headers, order, *tile.block);
  tile.phases = DescribePhasing(headers[order.back()]);
  for (const SubbandHeader& header : headers) {
    if (header.dut1_s) tile.dut1_s = header.dut1_s;
  }
  tile.block->Allocate();

  struct Work {
    std::size_t file, first, count;
  };
  // Files are loaded from the disk while the next are opened: if the first is of a kind that can be, all are.
  std::vector<SampleFile> files;
  files.reserve(order.size());
  files.push_back(OpenSamples(headers[order[0]]));
  std::vector<std::shared_ptr<FileBytes>> bytes{files[0].bytes}, to_load;
  for (std::size_t w = 1; w < order.size(); ++w) {
    bytes.push_back(files[0].bytes ? std::make_shared<FileBytes>(headers[order[w]].path) : nullptr);
  }
  for (const auto& file : bytes) to_load.push_back(file && !file->IsCached() ? file : nullptr);
  const bool by_window = std::count(to_load.begin(), to_load.end(), nullptr) != std::ssize(to_load);
  ReadAhead ahead(std::move(to_load));
  std::vector<Placement> placements;
  std::vector<Work> work;
  placements.reserve(order.size());
  for (std::size_t w = 0; w < order.size(); ++w) {
    const SubbandHeader& header = headers[order[w]];
    if (w > 0) files.push_back(OpenSamples(header, bytes[w]));
    placements.push_back(MakePlacement(header, w, tile.block->windows[w].first_channel));
    const std::size_t rows = files.back().preferred_rows;
    for (std::size_t first = 0; first < header.n_rows(); first += rows) {
      work.push_back({w, first, std::min(rows, header.n_rows() - first)});
    }
  }

  const TileVisitor visitor = prepare ? prepare(tile) : TileVisitor();
  const std::size_t n_baselines = tile.block->n_baselines();
  if (!by_window && (visitor.placed || visitor.time)) {
    std::stable_sort(work.begin(), work.end(),
                     [&](const Work& a, const Work& b) { return a.first / n_baselines < b.first / n_baselines; });
  }
  PlacedRows placed_rows(*tile.block, visitor, by_window);
  std::vector<std::atomic<std::size_t>> left(files.size());  // work on each file
  for (const Work& item : work) ++left[item.file];
  Pool<Scratch> pool;
  std::vector<PlaceCounts> counts(work.size());
  ParallelFor(context.threads, work.size(), [&](std::size_t i) {
    context.CheckCancelled("ingest");
    const Work& item = work[i];
    const Pool<Scratch>::Loan scratch = pool.Take();
    const Placement& placement = placements[item.file];
    const RowSamples rows = scratch->Rows(item.count * placement.n_channels * tile.block->n_pols());
    ahead.WaitFor(item.file);
    files[item.file].Read(item.first, item.count, rows, scratch->staging());
    if (--left[item.file] == 0) ahead.Done(item.file);
    counts[i] = PlaceRows(placement, rows, item.first, item.count, visitor, *tile.block);
    placed_rows.Add(item.file, item.first, item.count);
  });
  PlaceCounts sum;
  for (const PlaceCounts& part : counts) Add(part, sum);
  tile.report = sum.report;
  DropAbsurdCounts(sum, *tile.block, tile.report, context.threads);
  ClampLastIntegration(sum, *tile.block, tile.report);
  return tile;
}

}  // namespace contimg::ingest
