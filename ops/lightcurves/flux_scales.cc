#include "ops/lightcurves/flux_scales.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <thread>
#include <utility>

#include "config/error.h"
#include "config/quality_flags.h"
#include "config/stopwatch.h"
#include "mosaic/variability/flux_scale.h"
#include "ops/lightcurves/light_curves.h"
#include "ops/lightcurves/usual_beams.h"
#include "state/flux_reference_store.h"

namespace contimg::ops {
namespace {

using mosaic::ReferencePoint;
using state::ObservationRow;

constexpr const char* kStage = "normalise";
constexpr const char* kPhotometry = "forced";
constexpr double kTransactionS = 0.1;
// SQLite's waiting writers look every 0.1 s at the longest.
constexpr std::chrono::milliseconds kPause{120};
constexpr double kScalesShare = 0.1;  // of the work, for who watches

std::optional<mosaic::TileScale> ScaleBy(const std::vector<ReferencePoint>& points, const ObservationRow& tile) {
  if ((tile.flags & kDefaultQualityMask) != 0) return std::nullopt;
  return mosaic::ScaleOfTile(points);
}

void SetScale(ObservationRow& tile, const std::optional<mosaic::TileScale>& scale) {
  tile.scale = scale ? std::optional(scale->scale) : std::nullopt;
  tile.scale_error = scale ? std::optional(scale->error) : std::nullopt;
}

// The points of all tiles that may be references, and which tiles tell what a reference's flux is.
struct BrightPoints {
  std::vector<ObservationRow> tiles;
  std::vector<mosaic::ScalePoint> points;  // by source, then time
  std::vector<std::int64_t> sources;       // ids, by number

  BrightPoints(state::Database& database, const mosaic::ScaleOptions& options) {
    database.Read([&] {
      state::LightCurveStore curves(database);
      tiles = curves.Tiles();
      std::map<std::int64_t, std::size_t> tile_of;
      for (std::size_t i = 0; i < tiles.size(); ++i) tile_of[tiles[i].id] = i;
      curves.ForEachBright(kPhotometry, options.min_snr, ParseQualityMask("hard"), kDefaultQualityMask,
                           [&](std::int64_t source, std::int64_t tile, double flux_jy, double error_jy) {
                             if (sources.empty() || sources.back() != source) sources.push_back(source);
                             points.push_back({sources.size() - 1, tile_of.at(tile), flux_jy, error_jy});
                           });
    });
  }
};

class Normaliser {
 public:
  Normaliser(state::Database& database, const NormaliseRequest& request, const RunContext& context)
      : database_(database), curves_(database), references_(database), request_(request), context_(context) {}

  NormaliseResult Run() {
    NormaliseResult result;
    const auto last = references_.Newest();
    if (request_.only_if_new && last && last->finished && !SomethingNew(*last)) {
      result.done = false;
      return result;
    }
    result.references = FindReferences();
    const bool changed = SetScales();
    if (changed || !last || !last->finished) ReckonAll();
    InTransaction([&] { references_.SetFinished(); });
    result.tiles = curves_.Tiles();
    return result;
  }

 private:
  bool SomethingNew(const state::FluxReferenceVersion& last) {
    const std::vector<ObservationRow> tiles = curves_.Tiles();
    return static_cast<std::int64_t>(tiles.size()) != last.tiles ||
           std::any_of(tiles.begin(), tiles.end(),
                       [&](const ObservationRow& tile) { return tile.recorded_at >= last.made_at; });
  }

  std::int64_t FindReferences() {
    BrightPoints bright(database_, options_);
    const std::map<int, state::UsualBeam> beams = UsualBeams(bright.tiles);
    for (ObservationRow& tile : bright.tiles) FlagBeam(tile, beams);
    std::vector<mosaic::ScalePoint> telling;
    for (const mosaic::ScalePoint& p : bright.points) {
      const ObservationRow& tile = bright.tiles[p.tile];
      const bool good = (tile.flags & ParseQualityMask("hard")) == 0;
      if (good && tile.mjd >= request_.from_mjd && tile.mjd <= request_.to_mjd) telling.push_back(p);
    }
    const auto fluxes =
        mosaic::ReferenceFluxes(std::move(telling), bright.sources.size(), bright.tiles.size(), options_);
    std::vector<std::vector<ReferencePoint>> of_tiles(bright.tiles.size());
    for (const mosaic::ScalePoint& p : bright.points) {
      if (fluxes[p.source]) of_tiles[p.tile].push_back({p.flux_jy, p.error_jy, *fluxes[p.source]});
    }
    for (std::size_t i = 0; i < bright.tiles.size(); ++i) {
      SetScale(bright.tiles[i], ScaleBy(of_tiles[i], bright.tiles[i]));
      solved_[bright.tiles[i].id] = bright.tiles[i];
    }
    std::map<std::int64_t, double> by_source;
    for (std::size_t s = 0; s < fluxes.size(); ++s) {
      if (fluxes[s]) by_source[bright.sources[s]] = *fluxes[s];
    }
    context_.CheckCancelled(kStage);
    database_.Write([&] {
      references_.Replace(by_source, beams, static_cast<std::int64_t>(bright.tiles.size()), request_.now);
      version_ = references_.Newest()->version;
    });
    return static_cast<std::int64_t>(by_source.size());
  }

  // True when one is another than it was.
  bool SetScales() {
    bool changed = false;
    const std::vector<ObservationRow> tiles = curves_.Tiles();
    Chunks(tiles.size(), 0, [&](std::size_t i) {
      // It may have been recorded again, or gone, since it was read.
      const auto found = curves_.Tile(tiles[i].group_id);
      if (!found) return;
      ObservationRow tile = *found;
      const auto solved = solved_.find(tile.id);
      if (solved != solved_.end() && solved->second.recorded_at == tile.recorded_at) {
        const QualityFlags beam = quality::kBeamDiffers.mask();
        tile.scale = solved->second.scale;
        tile.scale_error = solved->second.scale_error;
        tile.flags = (tile.flags & ~beam) | (solved->second.flags & beam);  // others set the rest
        const QualityFlags ours = quality::kBeamDiffers.mask();             // others may have been set since
        tile.flags = (found->flags & ~ours) | (tile.flags & ours);
      } else {
        FlagBeam(database_, tile);
        SetScaleByReferences(database_, tile, curves_.MeasurementsOf(tile.group_id));
      }
      const bool other_scale = tile.scale != found->scale || tile.scale_error != found->scale_error;
      if (other_scale || tile.flags != found->flags) curves_.SaveComparison(tile);
      changed = changed || other_scale || tile.flags != found->flags;
    });
    return changed;
  }

  void ReckonAll() {
    LightCurveRecorder recorder(database_);
    const std::vector<std::int64_t> sources = curves_.MeasuredSources();
    Chunks(sources.size(), kScalesShare, [&](std::size_t i) { recorder.ReckonSource(sources[i]); });
  }

  // Each of n pieces of work once, as many in a transaction as take kTransactionS.
  template <typename Body>
  void Chunks(std::size_t n, double share_before, const Body& body) {
    for (std::size_t i = 0; i < n;) {
      context_.CheckCancelled(kStage);
      InTransaction([&] {
        Stopwatch watch;
        do body(i++);
        while (i < n && watch.Seconds() < kTransactionS);
      });
      const double share_after = share_before == 0 ? kScalesShare : 1;
      context_.reporter->Progress(
          kStage, share_before + (share_after - share_before) * static_cast<double>(i) / static_cast<double>(n));
      if (i < n) std::this_thread::sleep_for(kPause);
    }
  }

  template <typename Body>
  void InTransaction(const Body& body) {
    database_.Write([&] {
      if (references_.Newest()->version != version_) {
        throw Error(ErrorKind::kBusy, kStage, database_.path().string(),
                    "flux scales are being found by another process: wait for it and begin again");
      }
      body();
    });
  }

  state::Database& database_;
  state::LightCurveStore curves_;
  state::FluxReferenceStore references_;
  const NormaliseRequest& request_;
  const RunContext& context_;
  mosaic::ScaleOptions options_;
  std::map<std::int64_t, ObservationRow> solved_;  // with their new scales
  std::int64_t version_ = 0;
};

}  // namespace

void SetScaleByReferences(state::Database& database, ObservationRow& tile,
                          const std::vector<state::MeasurementRow>& rows) {
  state::FluxReferenceStore references(database);
  const QualityFlags hard = ParseQualityMask("hard");
  const double least_snr = mosaic::ScaleOptions{}.min_snr;
  std::vector<const state::MeasurementRow*> isolated;
  for (const state::MeasurementRow& row : rows) {
    // Rows that were read back have the flags of the tile beside their own; no flag is of both.
    const bool good = (row.flags & ~tile.flags & hard) == 0 && row.flux_jy > least_snr * row.flux_error_jy;
    if (good && row.kind == kPhotometry) isolated.push_back(&row);
  }
  std::sort(isolated.begin(), isolated.end(), [](const auto* a, const auto* b) { return a->source_id < b->source_id; });
  std::vector<ReferencePoint> points;
  for (const state::MeasurementRow* row : isolated) {
    const auto flux = references.FluxOf(row->source_id);
    if (flux) points.push_back({row->flux_jy, row->flux_error_jy, *flux});
  }
  SetScale(tile, ScaleBy(points, tile));
}

NormaliseResult NormaliseTiles(state::Database& database, const NormaliseRequest& request, const RunContext& context) {
  return Normaliser(database, request, context).Run();
}

}  // namespace contimg::ops
