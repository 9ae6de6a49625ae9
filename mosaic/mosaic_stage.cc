#include "mosaic/mosaic_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <utility>

#include "config/checksum.h"
#include "config/error.h"
#include "config/machine.h"
#include "config/os.h"
#include "config/robust_statistics.h"
#include "config/stopwatch.h"
#include "config/text.h"
#include "image/clean/restore_anew.h"
#include "image/plane/beam_algebra.h"
#include "image/products/image_products.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/coadd/open_mosaic.h"
#include "mosaic/coadd/tile_sky.h"
#include "mosaic/mosaic_picture.h"
#include "mosaic/mosaic_quality.h"
#include "mosaic/table/fits_table.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/tile/tile_files.h"

namespace contimg::mosaic {
namespace {

namespace fs = std::filesystem;

// A tile between its two readings: the first for what is judged, the second for its pixels.
struct Looked {
  MosaicTile tile;
  TileSky sky;
  image::FitsHeader header;
  bool has_residual = false;
  std::unique_ptr<TileFiles> files;  // while there is room for them: they need not be read again
};

constexpr std::size_t kKeptBytes = std::size_t{600} << 20;  // of images between the readings: three full tiles

// What the metrics of a tile's image say of it, as far as there are any.
void ReadMetrics(const fs::path& metrics, MosaicTile& tile) {
  if (metrics.empty()) return;
  const nlohmann::json json = nlohmann::json::parse(RealOs().ReadFile(metrics), nullptr, false);
  if (!json.is_object() || !json.contains("quality") || !json["quality"].is_object()) return;
  const nlohmann::json& quality = json["quality"];
  const auto grade = quality.find("grade"), thermal = quality.find("thermal_rms_jy");
  if (grade != quality.end() && grade->is_string()) tile.figures.grade = grade->get<std::string>();
  if (thermal != quality.end() && thermal->is_number()) tile.thermal_jy = thermal->get<double>();
}

constexpr double kEdgeResponse = 0.3;       // primary beam below which a tile ends
constexpr std::size_t kLeastSamples = 200;  // of a figure

double RobustRms(std::vector<double> values) { return kSigmaPerMad * TakeMad(values, 0.0); }

TileAgreement AgreementOf(const std::vector<TilePull>& pulls) {
  std::vector<double> all, edges;
  for (const TilePull& p : pulls) {
    all.push_back(p.pull);
    if (p.pb < kEdgeResponse) edges.push_back(p.pull);
  }
  TileAgreement agreement;
  if (all.size() >= kLeastSamples) agreement.samples = all.size(), agreement.everywhere = RobustRms(all);
  if (edges.size() >= kLeastSamples) agreement.edge_samples = edges.size(), agreement.at_edges = RobustRms(edges);
  return agreement;
}

// The beam on the map: mean second moments of the tiles' beams, turned as the tiles are turned in it.
image::GaussianBeam MeanBeam(const SkyGrid& grid, const std::vector<const Looked*>& tiles) {
  const GridAxes map(grid);
  double ee = 0, nn = 0, en = 0, sum = 0;
  for (const Looked* looked : tiles) {
    const TileFigures& f = looked->tile.figures;
    const GridAxes axes(f.grid);
    const double x = static_cast<double>(f.grid.geometry.nx / 2), y = static_cast<double>(f.grid.geometry.ny / 2);
    double turned = 0;
    const auto middle = axes.DirectionAt(x, y), above = axes.DirectionAt(x, y + 1);
    if (middle && above) {
      const auto a = map.PixelAt(*middle), b = map.PixelAt(*above);
      if (a && b) turned = std::atan2(-(b->x - a->x), b->y - a->y);
    }
    image::GaussianBeam beam = looked->tile.beam;
    beam.angle_rad += turned;
    const image::BeamMoments moments = image::MomentsOf(beam);
    const double weight = std::pow(looked->tile.factor * f.rms_jy, -2);
    ee += weight * moments.ee, nn += weight * moments.nn, en += weight * moments.en;
    sum += weight;
  }
  return image::BeamOf({ee / sum, nn / sum, en / sum});
}

class MosaicRun {
 public:
  MosaicRun(const MosaicRequest& request, const RunContext& context) : request_(request), context_(context) {}

  MosaicReport Run() {
    const Stopwatch all;
    Stopwatch watch;
    image::ProductPlan plan;
    plan.prefix = request_.prefix;
    plan.fits = request_.fits;
    plan.casacore = request_.casacore;
    plan.compress = request_.compress;
    plan.overwrite = request_.overwrite;
    plan.durable = request_.durable;
    image::StagedProducts staged(plan, OsOr(context_.os));
    for (const ProductKind kind : {ProductKind::kImage, ProductKind::kRms, ProductKind::kWeight}) staged.Expect(kind);
    request_.residual ? staged.Expect(ProductKind::kResidual) : staged.Supersede(ProductKind::kResidual);
    for (const ProductKind kind : {ProductKind::kTileTable, ProductKind::kQaMetrics, ProductKind::kQaPicture}) {
      staged.Expect(kind);
    }
    Look();
    Judge();
    ChooseBeam();
    report_.timings.look_s = watch.Lap();
    OpenMosaic mosaic = Open();
    AddTiles(mosaic);
    report_.timings.add_s = watch.Lap();
    const auto maps = std::make_shared<const MosaicMaps>(std::move(mosaic).Close(context_.threads));
    report_.timings.close_s = watch.Lap();
    report_.scaled = request_.apply_scale;
    for (const Looked& looked : looked_) report_.tiles.push_back(looked.tile);
    MakeHeader(*maps);
    WriteMaps(staged, maps);
    AssessMosaic(*maps, request_.catalogue, report_, context_);
    WriteMosaicPicture(staged.Path(ProductKind::kQaPicture), *maps, report_);
    report_.timings.quality_s = watch.Lap();
    Publish(staged);
    report_.timings.publish_s = watch.Lap();
    report_.timings.total_s = all.Seconds();
    return std::move(report_);
  }

 private:
  void Look() {
    for (std::size_t i = 0; i < request_.tiles.size(); ++i) {
      context_.CheckCancelled(kStage);
      context_.reporter->Progress("mosaic", 0.4 * static_cast<double>(i) / static_cast<double>(request_.tiles.size()));
      looked_.push_back(LookAt(request_.tiles[i]));
    }
    std::sort(looked_.begin(), looked_.end(), [](const Looked& a, const Looked& b) {
      const TileFigures &f = a.tile.figures, &g = b.tile.figures;
      return std::tie(f.start_mjd_s, f.name, a.tile.path) < std::tie(g.start_mjd_s, g.name, b.tile.path);
    });
  }

  // What is wrong with a tile's files is a verdict; what is wrong with disks ends the run.
  Looked LookAt(const fs::path& path) {
    Looked looked;
    MosaicTile& tile = looked.tile;
    tile.path = path;
    tile.figures.name = path.filename().string();
    const auto refuse = [&](Refusal refusal, std::string why) {
      tile.verdict.refusal = refusal;
      tile.verdict.why = std::move(why);
    };
    try {
      TileParts parts;
      parts.thin_response = true;
      auto files = std::make_unique<TileFiles>(TileFileNames{path, {}, {}, {}, {}}, parts, context_, &memory_);
      LookAt(*files, looked, refuse);
      const std::size_t bytes = 2 * files->images().image.size() * sizeof(float);
      if (kept_bytes_ + bytes <= kKeptBytes && tile.verdict.refusal == Refusal::kNone) {
        kept_bytes_ += bytes;
        looked.files = std::move(files);
      }
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      const bool itself = error.subject().empty() || fs::path(error.subject()).filename() == tile.path.filename();
      refuse(Refusal::kUnreadable, itself ? error.message() : error.what());
    }
    return looked;
  }

  template <typename Refuse>
  void LookAt(const TileFiles& files, Looked& looked, const Refuse& refuse) {
    const TileImages& images = files.images();
    MosaicTile& tile = looked.tile;
    TileFigures& f = tile.figures;
    tile.path = files.path();
    f.name = files.name();
    if (images.header->mosaic) return refuse(Refusal::kUnreadable, "it is a mosaic, not a tile");
    if (!files.thin_pb()) {
      return refuse(Refusal::kUnreadable, "there is no primary beam beside its image (PREFIX.pb.fits)");
    }
    for (const std::string& missing : files.missing()) {
      if (missing == "residual" && request_.residual) {
        return refuse(Refusal::kUnreadable, "there is no residual beside its image (PREFIX.residual.fits)");
      }
      if (missing == "smearing map") {
        context_.reporter->Warn(kStage, f.name + ": no smearing map, so fluxes far from its centre are 1 to 3 % low");
      }
    }
    looked.header = *images.header;
    f.grid = {images.header->centre, images.header->geometry};
    f.beam = *images.header->beam;
    f.frequency_hz = images.header->frequency_hz;
    f.start_mjd_s = images.header->start_mjd_s;
    f.end_mjd_s = images.header->end_mjd_s;
    const auto known = request_.known.find(files.path());
    if (known != request_.known.end()) {
      f.grade = known->second.grade;
      tile.thermal_jy = known->second.thermal_jy;
    } else {
      ReadMetrics(files.MetricsPath(), tile);
    }
    tile.calibration = images.header->calibration;
    image::CoarseMap rms;
    try {
      rms = MeasureRms(images.residual, {}, context_.threads);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadInput) throw;
      return refuse(Refusal::kBlank, "all its pixels are blank or zero");
    }
    f.rms_jy = Median(rms.values);
    f.least_rms_jy = rms.Minimum();
    Xxh64 hash;
    hash.Add(images.image.data(), images.image.size() * sizeof(float));
    f.pixels_checksum = hash.Hex();
    looked.has_residual = std::ranges::find(files.missing(), "residual") == files.missing().end();
    tile.beam = f.beam;
    looked.sky = SkyOf(*images.header, files.thin_pb(), files.thin_smear(), std::move(rms));
    // The residual has what the PSF has, of which a wider beam would not tell.
    const auto psf = files.residual_beam();
    if (psf && psf->minor_rad > 0 && psf->minor_rad < f.beam.minor_rad) looked.sky.beam = *psf;
    const TileSky& sky = looked.sky;
    const auto response = [&sky](double x, double y) { return sky.pb.At(x, y) * sky.smear.At(x, y); };
    f.references = FindReferences(images, sky.rms, response, {}, context_.threads);
  }

  void Judge() {
    std::vector<TileFigures> figures;
    std::vector<TileVerdict> verdicts;
    for (const Looked& looked : looked_) {
      figures.push_back(looked.tile.figures);
      verdicts.push_back(looked.tile.verdict);
    }
    GateResult gate = JudgeTiles(figures, verdicts, request_.limits);
    frequency_hz_ = gate.frequency_hz;
    for (std::size_t i = 0; i < looked_.size(); ++i) {
      MosaicTile& tile = looked_[i].tile;
      tile.verdict = std::move(gate.verdicts[i]);
      if (tile.verdict.refusal != Refusal::kNone) {
        LeaveOut(looked_[i]);
        continue;
      }
      tile.factor = tile.verdict.frequency_factor / (request_.apply_scale ? tile.verdict.scale.scale : 1);
      used_.push_back(&looked_[i]);
    }
    RequireTiles();
  }

  void LeaveOut(Looked& looked) const {
    looked.files.reset();
    context_.reporter->Warn(kStage,
                            fmt::format("{} is left out: {}", looked.tile.figures.name, looked.tile.verdict.why));
  }

  void KeepUsed() {
    std::erase_if(used_, [](const Looked* looked) { return looked->tile.verdict.refusal != Refusal::kNone; });
    RequireTiles();
  }

  void RequireTiles() const {
    if (!used_.empty()) return;
    throw Error(ErrorKind::kBadInput, kStage, request_.prefix.string(),
                fmt::format("expected tiles that fit together, found none: {} left out, the first, {}, because {}",
                            Counted(static_cast<std::int64_t>(looked_.size()), "tile"),
                            looked_.front().tile.figures.name, looked_.front().tile.verdict.why));
  }

  // Which tiles are restored anew, and with what.
  void ChooseBeam() {
    using Kind = BeamWish::Kind;
    const Kind kind = request_.beam.kind;
    report_.beams = kind == Kind::kCommon ? "common" : kind == Kind::kPerTile ? "per-tile" : "given";
    const bool agree = std::ranges::all_of(
        used_, [](const Looked* looked) { return looked->tile.verdict.beam_difference <= kBeamsAgree; });
    if (kind == Kind::kPerTile || (kind == Kind::kCommon && agree)) return;
    std::vector<image::GaussianBeam> beams;
    for (const Looked* looked : used_) beams.push_back(looked->tile.figures.beam);
    const image::GaussianBeam wanted = kind == Kind::kGiven ? request_.beam.beam : image::CommonBeam(beams);
    for (Looked* looked : used_) {
      MosaicTile& tile = looked->tile;
      const auto between = image::BeamBetween(tile.figures.beam, wanted);
      if (!between) {
        throw Error(ErrorKind::kUsage, kStage, "--beam",
                    fmt::format("expected a beam that holds those of all tiles, found {}, but {} has {}; the smallest "
                                "that does is {}",
                                image::BeamWords(wanted), tile.figures.name, image::BeamWords(tile.figures.beam),
                                image::BeamWords(image::CommonBeam(beams))));
      }
      if (!(between->ee + between->nn > 0)) continue;
      if (looked->has_residual) {
        tile.restored = true;
        tile.beam = wanted;
        continue;
      }
      tile.verdict.refusal = Refusal::kBeam;
      tile.verdict.why = fmt::format("without a residual its beam of {} cannot be made into {}",
                                     image::BeamWords(tile.figures.beam), image::BeamWords(wanted));
      LeaveOut(*looked);
    }
    KeepUsed();
  }

  // Wider pixels than the tiles' must still hold what these show of points.
  void RequireFinePixels() const {
    const double wanted = request_.grid.cell_rad;
    double cell = wanted, minor = HUGE_VAL;
    for (const Looked* looked : used_) {
      cell = std::min(cell, looked->tile.figures.grid.geometry.cell_rad);
      minor = std::min(minor, looked->tile.beam.minor_rad);
    }
    if (wanted <= cell || wanted <= minor / 2) return;
    throw Error(ErrorKind::kUsage, kStage, "--cell",
                fmt::format("expected pixels of at most half the width of the beam, {:.4g} arcsec, found {:.4g}: "
                            "points between wider ones would be lost",
                            Angle::Radians(minor / 2).arcsec(), Angle::Radians(wanted).arcsec()));
  }

  OpenMosaic Open() {
    std::vector<SkyGrid> grids;
    std::vector<std::string> names;
    std::vector<double> noise;
    for (const Looked* looked : used_) {
      grids.push_back(looked->tile.figures.grid);
      names.push_back(looked->tile.figures.name);
      noise.push_back(looked->tile.factor * looked->tile.figures.rms_jy);
    }
    RequireFinePixels();
    const SkyGrid grid = GridAround(grids, request_.grid, names);
    const std::uint64_t pixels = static_cast<std::uint64_t>(grid.geometry.nx) * grid.geometry.ny;
    const std::uint64_t tile = used_.front()->tile.figures.grid.geometry.nx * grids.front().geometry.ny * sizeof(float);
    const image::ImageGeometry& of_tile = grids.front().geometry;
    const bool restores = std::ranges::any_of(used_, [](const Looked* looked) { return looked->tile.restored; });
    const std::uint64_t needed = pixels * (request_.residual ? 20 : 12) + 2 * tile +
                                 (restores ? image::RestoreAnewBytes(of_tile.ny, of_tile.nx) : 0);
    const MemoryRoom room = AvailableMemory(context_.memory_bytes);
    if (needed > room.bytes) {
      throw Error(
          ErrorKind::kResource, kStage, request_.prefix.string(),
          fmt::format("a mosaic of {} by {} pixels takes {} of memory, {} {} are left; give fewer tiles, larger "
                      "pixels (--cell) or --no-residual",
                      grid.geometry.nx, grid.geometry.ny, BytesInWords(needed), BytesInWords(room.bytes), room.bound));
    }
    CoaddOptions options;
    options.noise_jy = TakeMedian(noise);
    options.min_pb = request_.min_pb;
    options.residual = request_.residual;
    return OpenMosaic(grid, options);
  }

  void AddTiles(OpenMosaic& mosaic) {
    report_.header.geometry = mosaic.grid().geometry;
    report_.header.centre = mosaic.grid().centre;
    std::vector<TileShare> shares;
    for (std::size_t i = 0; i < used_.size(); ++i) {
      context_.CheckCancelled(kStage);
      context_.reporter->Progress("mosaic", 0.4 + 0.5 * static_cast<double>(i) / static_cast<double>(used_.size()));
      Looked& looked = *used_[i];
      TileParts parts;
      parts.residual = request_.residual || looked.tile.restored;
      parts.response = false;
      if (!looked.files) {
        looked.files =
            std::make_unique<TileFiles>(TileFileNames{looked.tile.path, {}, {}, {}, {}}, parts, context_, &memory_);
      }
      shares.push_back(About(looked.tile.path, [&] {
        if (looked.tile.restored) looked.files->RestoreWith(looked.tile.beam, context_.threads);
        const TileImages& images = looked.files->images();
        return mosaic.Add(looked.sky, images.image, images.residual, looked.tile.factor, context_.threads);
      }));
      looked.files.reset();
    }
    memory_ = {};
    for (std::size_t i = 0; i < used_.size(); ++i) {
      MosaicTile& tile = used_[i]->tile;
      tile.pixels = shares[i].pixels;
      tile.agreement = AgreementOf(mosaic.PullsOf(shares[i].samples));
      if (tile.pixels > 0) continue;
      tile.verdict.refusal = Refusal::kBlank;
      tile.verdict.why = fmt::format("none of its pixels has a value, a response and a primary beam of at least {:g}",
                                     request_.min_pb);
      LeaveOut(*used_[i]);
    }
    KeepUsed();
  }

  void MakeHeader(const MosaicMaps& maps) {
    image::FitsHeader& h = report_.header;
    const image::FitsHeader& first = used_.front()->header;
    h.unit = "Jy/beam";
    h.type = "Intensity";
    h.beam = MeanBeam({h.centre, h.geometry}, {used_.begin(), used_.end()});
    h.frequency_hz = frequency_hz_;
    h.telescope = first.telescope;
    h.instrument = first.instrument;
    h.software = request_.software;
    h.settings_hash = request_.settings_hash;
    std::set<std::pair<std::string, std::string>> tables;
    std::int64_t restored = 0;
    for (const Looked* looked : used_) {
      h.bandwidth_hz = std::max(h.bandwidth_hz, looked->header.bandwidth_hz);
      // A tile may have no times.
      const double start = looked->header.start_mjd_s;
      if (start > 0) h.start_mjd_s = h.start_mjd_s > 0 ? std::min(h.start_mjd_s, start) : start;
      h.end_mjd_s = std::max(h.end_mjd_s, looked->header.end_mjd_s);
      for (const image::CalibrationUsed& table : looked->tile.calibration) {
        if (tables.emplace(table.name, table.date).second) h.calibration.push_back(table);
      }
      h.history.push_back("tile " + looked->tile.figures.name);
      if (looked->tile.restored) ++restored;
    }
    if (restored > 0) {
      h.history.push_back(fmt::format("{} restored anew with a beam of {}", Counted(restored, "tile"),
                                      image::BeamWords(used_.front()->tile.beam)));
    }
    image::MosaicFacts facts;
    facts.tiles = static_cast<int>(used_.size());
    facts.refused = static_cast<int>(looked_.size() - used_.size());
    facts.rms_jy = MedianOf(maps.rms.view());
    h.mosaic = facts;
  }

  // They go to the disk while they are looked at.
  void WriteMaps(image::StagedProducts& staged, const std::shared_ptr<const MosaicMaps>& maps) const {
    image::FitsHeader header = report_.header;
    const auto write = [&](ProductKind kind, const image::Plane& plane) {
      staged.WriteImage(kind, std::shared_ptr<const image::Plane>(maps, &plane), header);
    };
    write(ProductKind::kImage, maps->image);
    if (request_.residual) write(ProductKind::kResidual, maps->residual);
    header.type = "RMS";
    write(ProductKind::kRms, maps->rms);
    header.type = "Weight";
    header.unit = "beam2/Jy2";
    write(ProductKind::kWeight, maps->weight);
  }

  void Publish(image::StagedProducts& staged) {
    context_.CheckCancelled(kStage);
    staged.WriteText(ProductKind::kQaMetrics,
                     ToJson(report_).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
    WriteFitsTable(staged.Path(ProductKind::kTileTable), TileTable(report_));
    report_.products = staged.Publish();
  }

  const MosaicRequest& request_;
  const RunContext& context_;
  TileMemory memory_;           // of looked_
  std::vector<Looked> looked_;  // by time
  std::vector<Looked*> used_;
  std::size_t kept_bytes_ = 0;  // of images in looked_
  double frequency_hz_ = 0;
  MosaicReport report_;
};

}  // namespace

MosaicReport RunMosaic(const MosaicRequest& request, const RunContext& context) {
  if (request.tiles.empty()) throw Error(ErrorKind::kUsage, kStage, "", "expected tiles, found none");
  return MosaicRun(request, context).Run();
}

}  // namespace contimg::mosaic
