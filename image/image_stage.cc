#include "image/image_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "config/machine.h"
#include "config/os.h"
#include "config/parallel.h"
#include "config/stopwatch.h"
#include "config/time.h"
#include "image/clean/restore.h"
#include "image/clean/spectral_model.h"
#include "image/component_drawing.h"
#include "image/expected_products.h"
#include "image/image_description.h"
#include "image/image_plan.h"
#include "image/model_prediction.h"
#include "image/operator/band_operators.h"
#include "image/plain_grid.h"
#include "image/plane/plane.h"
#include "image/plane/sky_coordinates.h"
#include "image/plane/stage_name.h"
#include "image/products/image_products.h"
#include "image/quality/quick_look.h"
#include "image/quality/tile_summary.h"
#include "image/response/tile_response.h"
#include "image/response/varying_sources.h"
#include "image/spectral_products.h"
#include "image/stage_cycles.h"
#include "image/user_mask.h"
#include "ingest/channel_slice.h"
#include "ingest/uv_limit.h"

namespace contimg::image {
namespace {

class ImageRun {
 public:
  // `vis`: null: they are the block's own.
  ImageRun(VisibilityBlock& block, const VisibilityParts* vis, const ImageRequest& request, const RunContext& context)
      : block_(block),
        vis_(vis),
        request_(request),
        settings_(request.settings),
        context_(context),
        os_(OsOr(context.os)) {}

  ImageReport Run() {
    Stopwatch total, watch;
    CheckRequest();
    StagedProducts staged(PlanOf(request_), os_);
    ExpectProducts(request_, staged);
    if (request_.channels) {
      slice_ = SliceChannels(block_, request_.channels->first, request_.channels->second, context_.threads);
    }
    const BandOperators op = Prepare();
    if (vis_ != nullptr) {
      block_.flag = {};
      block_.weight = {};
    }
    report_.timings.prepare_s = watch.Lap() - report_.timings.read_s - survey_s_;

    residual_ = Plane(slant_);
    psf_ = std::make_shared<Plane>(slant_);
    if (psf_only()) {
      op.Psf(psf_->view());
    } else {
      op.DirtyAndPsf(residual_.view(), psf_->view());
    }
    RequireFinite(*psf_, "point-spread function");
    RequireFinite(residual_, "dirty image");
    report_.beam = FitBeam(psf_->view(), slant_.cell_rad);
    report_.timings.dirty_s = watch.Lap();
    const SmallAngleUnit unit = UnitFor(Angle::Radians(report_.beam.minor_rad));
    Info(fmt::format("beam {:.2f} by {:.2f} {}, position angle {:.1f} deg",
                     unit.Of(Angle::Radians(report_.beam.major_rad)), unit.Of(Angle::Radians(report_.beam.minor_rad)),
                     unit.name, Angle::Radians(report_.beam.angle_rad).deg()));

    shape_ = MeasurePsf(psf_->view(), report_.beam, slant_.cell_rad);
    report_.thermal_jy = report_.figures.NoiseFactor() * tile_.noise_of_unit_weight;
    header_ = DescribeImage({data(), request_, op, *response_, plain_, slant_, uv_, tile_.flags, outside_note_});
    MakePlainGrid();
    WriteUncleaned(staged);
    if (!psf_only()) {
      MakeBeamMaps(op);
      Write(staged, ProductKind::kPb, pb_, "");
      Write(staged, ProductKind::kSmear, smear_, "");
    }
    report_.timings.products_s = watch.Lap();
    if (all()) {
      Deconvolve(op);
      report_.timings.clean_s = watch.Lap();
      const GaussianBeam beam = RestoringBeam(settings_, report_.beam, *context_.reporter);
      const ComponentDrawing components(report_.clean.components, settings_, slant_, plain_, beam, context_.threads);
      WriteResidual(staged);
      report_.beam = beam;
      Restore(staged, components);
      if (spectral_) {
        const FitsHeader header = HeaderOf(ProductKind::kBand, "Jy/beam", true);
        WriteSpectra({*spectral_, op, *response_, components, *grid_, plain_, slant_, data(), header}, staged, context_,
                     report_);
      }
      report_.timings.products_s += watch.Lap();
    } else if (!psf_only()) {
      plain_residual_ = Copy(image_, context_.threads);
    }
    if (!psf_only()) Assess(staged);
    report_.timings.quality_s = watch.Lap() + survey_s_;
    report_.timings.total_s = total.Lap();
    report_.antennas_without_sky = request_.antennas_without_sky;
    staged.WriteText(ProductKind::kQaMetrics, ToJson(report_).dump(2) + "\n");
    context_.CheckCancelled(kStage);
    if (request_.predict) PredictInto(op);
    watch.Lap();
    report_.products = staged.Publish();
    report_.timings.publish_s = watch.Lap();
    report_.timings.total_s += total.Lap();
    if (keeps()) HandOn();
    context_.reporter->Progress(kStage, 1);
    return std::move(report_);
  }

 private:
  const VisibilityBlock& data() const { return slice_ ? *slice_ : block_; }
  const VisibilityParts& vis() {
    if (vis_ != nullptr) return *vis_;
    if (!in_memory_) in_memory_.emplace(data());
    return *in_memory_;
  }
  bool all() const { return request_.products == ImageProducts::kAll; }
  bool keeps() const { return request_.keep != nullptr && all(); }
  bool psf_only() const { return request_.products == ImageProducts::kPsfOnly; }
  // Highest spatial frequency of the images, cycles per pixel.
  double PsfBand() const { return std::clamp(1.02 * report_.figures.max_uv_lambda * slant_.cell_rad, 0.02, 0.5); }
  bool spectral() const { return HasSpectra(request_); }
  void Info(const std::string& text) const { context_.reporter->Info(kStage, text); }

  void CheckRequest() {
    if (vis_ != nullptr && NeedsWholeTile(request_)) {
      throw Error(ErrorKind::kBug, kStage, block_.group_id, "this request needs the visibilities in memory");
    }
    if (block_.phase_state != PhaseState::kPhased || block_.n_times() == 0) {
      throw Error(ErrorKind::kBadInput, kStage, block_.group_id, "the data are not phased to one centre");
    }
    if (request_.predict && !all()) {
      throw Error(ErrorKind::kUsage, kStage, "predict", "a prediction needs the CLEAN model; these products have none");
    }
    ParseScales(settings_.scales_px);
    plain_ = PlainGeometry(settings_);
    const UtcTime middle = UtcTime::FromMjdSeconds((block_.time_mjd_s.front() + block_.time_mjd_s.back()) / 2);
    // Everything up to the header is measured on the apparent sky; pixels are cells of the catalogue's sky.
    plain_.cell_rad *= AberrationScale(block_.phase_centre, middle, request_.orientation.At(middle));
  }

  BandOperators Prepare() {
    slant_ = SlantGeometry(data(), plain_);
    OperatorSettings settings;
    settings.accuracy = settings_.accuracy;
    settings.fit_slant = false;
    settings.memory_limit_bytes = CheckMemory(slant_, settings_, AvailableMemory(context_.memory_bytes));
    settings.threads = context_.threads;
    settings.prepare_residual = all() && settings_.max_iterations > 0;
    WeightSettings weights = WeightingOf(settings_);
    uv_ = ChooseUvLimit(data(), settings_.min_uv_lambda, settings_.max_uv_lambda);
    weights.min_uv_lambda = uv_.min_lambda;
    if (uv_.usual_left_out) {
      Info(fmt::format("all baselines are used: too few are longer than the usual limit of {:g} wavelengths",
                       kUsualMinUvLambda));
    }
    if (uv_.limits()) Info(Describe(uv_));
    if (uv_.limits() && uv_.kept < 2 && uv_.all >= 2) {
      throw Error(ErrorKind::kUsage, kStage, data().group_id,
                  Describe(uv_) +
                      ", expected several: change --minuv (image.min_uv_lambda) or --maxuv "
                      "(image.max_uv_lambda); 0 is no limit");
    }
    // Density cells follow the field asked for, not the margin of the slant grid.
    weights.density_padding *= static_cast<double>(plain_.nx) / static_cast<double>(slant_.nx);
    context_.CheckCancelled(kStage);
    CheckCells(data(), settings_);
    response_.emplace(TileResponseInput{data(), settings_, request_.telescope, request_.orientation});
    report_.primary_beam = response_->beam();
    if (!report_.primary_beam.warning.empty()) context_.reporter->Warn(kStage, report_.primary_beam.warning);
    const VaryingSources outside = OutsideSources();
    TileSurvey survey(data(), {uv_.min_lambda, uv_.max_lambda}, context_.threads);
    const SurveyedVisibilities surveyed(vis(), survey);
    BandOperators op(data(), surveyed, spectral() ? static_cast<std::size_t>(settings_.spectral_channels) : 1, slant_,
                     weights, settings, outside);
    surveyed.Finish();
    Stopwatch watch;
    tile_ = survey.Finish(40000, request_.dead_antenna_fraction);
    report_.timings.read_s = surveyed.reading_s();
    survey_s_ = surveyed.survey_s() + watch.Seconds();
    if (op.n_used_baselines() < 2) {
      throw Error(ErrorKind::kBadInput, kStage, data().group_id,
                  "expected several baselines with usable data, found one: no beam can be formed" +
                      (uv_.limits() ? "; " + Describe(uv_) : ""));
    }
    if (spectral() && op.n_bands() < static_cast<std::size_t>(settings_.spectral_channels)) {
      throw Error(ErrorKind::kUsage, kStage, data().group_id,
                  fmt::format("expected usable data in each of {} bands (image.spectral_channels), found them in {}",
                              settings_.spectral_channels, op.n_bands()));
    }
    report_.figures = op.figures();
    const SmallAngleUnit unit = UnitFor(Angle::Radians(plain_.cell_rad));
    Info(fmt::format("{} visibilities in {} nodes, {} {}, {} by {} pixels of {:.3g} {}", report_.figures.n_used,
                     report_.figures.n_nodes, report_.figures.n_w_terms,
                     report_.figures.uses_w_planes ? "w-planes" : "w-terms", plain_.nx, plain_.ny,
                     unit.Of(Angle::Radians(plain_.cell_rad)), unit.name));
    return op;
  }

  // What the catalogue knows beyond the edges, within reach of the beam.
  VaryingSources OutsideSources() {
    if (Catalogue().empty() || response_->Reach() == 0 || psf_only()) return {};
    const double scale = plain_.cell_rad / Angle::Arcsec(settings_.cell_arcsec).rad();
    double total_jy = 0;
    VaryingSources outside = response_->Outside(Catalogue(), slant_, scale, total_jy);
    if (outside.size > 0) {
      outside_note_ = fmt::format("{} catalogue sources beyond the edges taken out of the data, {:.4g} Jy apparent",
                                  outside.size, total_jy);
      Info(outside_note_);
    }
    return outside;
  }

  void RequireFinite(const Plane& plane, const char* what) const {
    CheckFinite(plane.view(), what, data().group_id, context_.threads);
  }

  void MakePlainGrid() {
    grid_.emplace(slant_, plain_, PsfBand(), context_.threads);
    if (grid_->expected_error() > 1e-3) {
      context_.reporter->Warn(kStage, fmt::format("pixels of {:.3g} arcsec are too large for the longest baselines: "
                                                  "resampling errs by {:.1e}",
                                                  settings_.cell_arcsec, grid_->expected_error()));
    }
  }

  // Written while the work goes on: a plane that is kept stays as it is from now on.
  void Write(StagedProducts& staged, ProductKind kind, const Plane& kept, const char* unit,
             bool with_beam = false) const {
    context_.CheckCancelled(kStage);
    staged.WriteImage(kind, kept.view(), HeaderOf(kind, unit, with_beam));
  }
  void Write(StagedProducts& staged, ProductKind kind, Plane&& plane, const char* unit, bool with_beam = false) const {
    context_.CheckCancelled(kStage);
    staged.WriteImage(kind, std::move(plane), HeaderOf(kind, unit, with_beam));
  }
  // PSF and dirty image on the plain grid: made while CLEAN works, which leaves a processor idle now and then; at once
  // where there is no CLEAN.
  void WriteUncleaned(StagedProducts& staged) {
    WriteUncleaned(staged, ProductKind::kPsf, psf_, [this](const std::shared_ptr<Plane>& psf) {
      plain_psf_core_ = Crop(*psf, 128);
      if (keeps()) plain_psf_ = psf;
    });
    if (psf_only()) return;
    const auto kept = std::make_shared<const Plane>(all() ? Copy(residual_, context_.threads) : std::move(residual_));
    WriteUncleaned(staged, ProductKind::kDirty, kept, [this](const std::shared_ptr<Plane>& dirty) {
      dirty_rms_jy_ = ComputeMoments(dirty->view(), context_.threads).RootMeanSquare();
      if (!all()) image_ = Copy(*dirty, context_.threads);
    });
  }
  void WriteUncleaned(StagedProducts& staged, ProductKind kind, const std::shared_ptr<const Plane>& from,
                      const std::function<void(const std::shared_ptr<Plane>& plain)>& look) {
    if (!all()) {
      const auto plain = std::make_shared<Plane>(grid_->Of(from->view()));
      look(plain);
      return Write(staged, kind, std::move(*plain), "Jy/beam", true);
    }
    const auto plain = std::make_shared<Plane>(plain_);
    const FitsHeader header = HeaderOf(kind, "Jy/beam", true);
    uncleaned_.push_back(staged.background().Add(
        plain_.ny, [=, this](std::size_t y) { grid_->Row(from->view(), plain->view(), y); },
        [=, &staged] {
          look(plain);
          staged.WriteImage(kind, std::shared_ptr<const Plane>(plain), header);
        }));
  }
  FitsHeader HeaderOf(ProductKind kind, const char* unit, bool with_beam) const {
    return image::HeaderOf(kind, unit, with_beam ? std::optional(report_.beam) : std::nullopt, header_);
  }

  void MakeBeamMaps(const BandOperators& op) {
    pb_ = Plane(plain_);
    response_->BeamMap(data().frequency_hz, op.weight_by_time_channel(), plain_, pb_.view(), context_.threads);
    smear_ = Plane(plain_);
    response_->SmearMap(op.weight_by_time_baseline(), plain_, smear_.view(), context_.threads);
    const std::size_t centre = plain_.ny / 2 * plain_.nx + plain_.nx / 2;
    CheckResponseAtCentre(response_->beam(), pb_.pixels[centre], smear_.pixels[centre], settings_.pb_limit, kStage,
                          data().group_id);
  }

  // The catalogue's sources in the image and within reach of the beam; empty without a catalogue.
  const std::vector<CatalogueSource>& Catalogue() {
    if (!catalogue_ && !settings_.catalogue_file.empty()) {
      const double radius = std::max(static_cast<double>(plain_.nx) * plain_.cell_rad * 0.75, response_->Reach());
      catalogue_ = ReadCatalogue(
          settings_.catalogue_file,
          {Angle::Radians(data().phase_centre.ra_rad), Angle::Radians(data().phase_centre.dec_rad)}, radius);
    }
    if (!catalogue_) catalogue_.emplace();
    return *catalogue_;
  }

  void Deconvolve(const BandOperators& op) {
    model_ = Plane(slant_);
    CleanSettings settings = CleaningOf(settings_, report_.beam, slant_.cell_rad);
    settings.psf_band = PsfBand();
    if (settings.max_iterations == 0) return;
    const Buffer<std::uint8_t> mask =
        MakeUserMask(settings_, Catalogue(), slant_, data().phase_centre, context_.threads);
    std::vector<SourceVariation> variations = Variations(op);
    std::optional<OneBandMajorCycle> one;
    if (spectral()) {
      spectral_.emplace(op, report_.beam, static_cast<std::size_t>(settings_.spectral_terms), std::move(variations),
                        context_.threads);
    } else {
      one.emplace(op.op(0), variations.front(), report_.beam.major_rad / slant_.cell_rad);
    }
    TimedMajorCycle major(spectral_ ? static_cast<MajorCycle&>(*spectral_) : *one, context_);
    CleanInput input;
    input.major_cycle = &major;
    input.psf = psf_->view();
    if (!mask.empty()) input.user_mask = {mask.data(), {slant_.ny, slant_.nx}};
    input.threads = context_.threads;
    input.on_cycle = [&](const MajorCycleRecord& r) { ReportCycle(r); };
    report_.clean = Clean(input, settings, residual_.view(), model_.view());
    if (spectral_) {  // the spectra that the last cycle improved, in the residual too
      major.Residual(model_.view(), residual_.view());
      spectral_->Finish(model_.view(), residual_.view());
    }
    RequireFinite(residual_, "residual");
    RequireFinite(model_, "model");
    report_.timings.major_s = major.seconds;
    if (one) KeepVarying(*one);
    if (report_.clean.stop == CleanStop::kDiverged) {
      context_.reporter->Warn(kStage, "CLEAN diverged; the best model it had is kept");
    }
    psf_.reset();
  }

  void KeepVarying(OneBandMajorCycle& cycle) {
    varying_ = cycle.TakeVarying();
    if (report_.clean.stop == CleanStop::kDiverged) return;
    report_.spectra =
        IndicesWithin(cycle.spectra(), {slant_, plain_, pb_.view(), smear_.view(), settings_.pb_limit,
                                        data().phase_centre, header_.geometry.cell_rad / plain_.cell_rad});
  }

  // Of each band.
  std::vector<SourceVariation> Variations(const BandOperators& op) const {
    std::vector<SourceVariation> variations;
    for (std::size_t i = 0; i < op.n_bands(); ++i) {
      variations.push_back(response_->Variation(FrequenciesOf(op.band(i), data()), op.op(i).weight_by_time_channel(),
                                                plain_, smear_.view(), slant_));
    }
    return variations;
  }

  void ReportCycle(const MajorCycleRecord& r) const {
    Info(
        fmt::format("major cycle {}: {} components{}, {:.6g} Jy in the model, cleaned to {:.4g} mJy, residual peak "
                    "{:.4g} mJy, rms {:.4g} mJy{}",
                    r.cycle, r.iterations, r.masked ? " (masked)" : "", r.model_flux_jy, 1e3 * r.level_jy,
                    1e3 * r.peak_jy, 1e3 * r.rms_jy, r.undone ? "; worse than before, undone" : ""));
    context_.reporter->Progress(kStage, 0.2 + 0.6 * std::min(1.0, static_cast<double>(r.cycle) / 8));
    context_.CheckCancelled(kStage);
  }

  void WriteResidual(StagedProducts& staged) {
    header_.history.push_back(fmt::format("CLEAN: {} components in {} major cycles, stopped by {}",
                                          report_.clean.iterations, report_.clean.cycles.size(),
                                          ToString(report_.clean.stop)));
    plain_residual_ = grid_->Of(residual_.view());
    residual_ = Plane();
    Write(staged, ProductKind::kResidual, plain_residual_, "Jy/beam", true);
  }

  void Restore(StagedProducts& staged, const ComponentDrawing& components) {
    image_ = Copy(plain_residual_, context_.threads);
    components.AddBeams(ComponentDrawing::One, image_.view());
    Write(staged, ProductKind::kImage, image_, "Jy/beam", true);

    Plane model(plain_);
    DepositPoints(components.Points(ComponentDrawing::One, 1), model.view());
    for (const CleanComponent& c : report_.clean.components) report_.model_flux_jy += c.flux_jy;
    Write(staged, ProductKind::kModel, std::move(model), "Jy/pixel");

    Plane pbcor(plain_);
    const auto limit = static_cast<float>(settings_.pb_limit);
    ParallelFor(context_.threads, plain_.ny, [&](std::size_t y) {
      for (std::size_t i = y * plain_.nx; i < (y + 1) * plain_.nx; ++i) {
        const float pb = pb_.pixels[i];
        pbcor.pixels[i] = pb >= limit ? image_.pixels[i] / pb : std::numeric_limits<float>::quiet_NaN();
      }
    });
    Write(staged, ProductKind::kPbcor, std::move(pbcor), "Jy/beam", true);
  }

  void Assess(StagedProducts& staged) {
    for (const Background::Handle& made : uncleaned_) staged.background().Wait(made);
    FitsHeader header = header_;
    header.beam = report_.beam;
    QualityInput input;
    input.image = image_.view();
    input.residual = plain_residual_.view();
    input.pb = pb_.view();
    input.smear = smear_.view();
    input.header = &header;
    input.thermal_jy = report_.thermal_jy;
    input.flagged_fraction = tile_.flags.total.fraction();
    input.thermal_from = tile_.noise_from;
    input.outlier_power = tile_.outlier_power;
    input.psf = shape_;
    input.dirty_rms_jy = dirty_rms_jy_;
    if (all() && settings_.max_iterations > 0) input.clean_stop = report_.clean.stop;
    if (!settings_.catalogue_file.empty()) input.catalogue = &Catalogue();
    report_.quality = AssessImage(input, settings_, context_.threads);

    QuickLookInput picture;
    picture.title = data().group_id.empty() ? UtcTime::FromMjdSeconds(header_.start_mjd_s).Iso8601() : data().group_id;
    picture.image = image_.view();
    picture.residual = plain_residual_.view();
    picture.psf = plain_psf_core_.view();
    picture.pb = pb_.view();
    picture.header = &header;
    picture.quality = &report_.quality;
    picture.tile = &tile_;
    picture.frequency_hz = data().frequency_hz;
    picture.antenna_names = data().antennas.names;
    WriteQuickLook(staged.Path(ProductKind::kQaPicture), picture);
  }

  // The files are written: nobody else wants the pixels.
  void HandOn() {
    *request_.keep = {HeaderOf(ProductKind::kImage, "Jy/beam", true),
                      std::move(image_),
                      std::move(plain_residual_),
                      std::move(pb_),
                      std::move(smear_),
                      std::move(*plain_psf_)};
  }

  void PredictInto(const BandOperators& op) {
    if (op.n_bands() == 1) return PredictModel(op, model_.view(), varying_, block_);
    PredictBands(op, model_.view(), *spectral_, slant_, request_.channels ? request_.channels->first : 0, block_,
                 context_.threads);
  }

  VisibilityBlock& block_;
  const VisibilityParts* vis_;
  std::optional<VisibilityBlock> slice_;
  std::optional<VisibilitiesInMemory> in_memory_;  // those of data()
  const ImageRequest& request_;
  const ImageSettings& settings_;
  const RunContext& context_;
  Os& os_;
  ImageGeometry plain_, slant_;
  FitsHeader header_;
  TileSummary tile_;
  double survey_s_ = 0;  // of making it
  UvLimit uv_;
  PsfShape shape_;
  double dirty_rms_jy_ = 0;  // root mean square, plain
  std::optional<TileResponse> response_;
  VaryingSources varying_;  // of the final model
  std::string outside_note_;
  std::optional<PlainGrid> grid_;
  std::optional<SpectralMajorCycle> spectral_;
  Plane residual_, model_;                                      // slant
  std::shared_ptr<Plane> psf_;                                  // slant
  std::vector<Background::Handle> uncleaned_;                   // WriteUncleaned
  Plane pb_, smear_, image_, plain_residual_, plain_psf_core_;  // plain
  std::shared_ptr<Plane> plain_psf_;                            // when somebody wants it
  std::optional<std::vector<CatalogueSource>> catalogue_;
  ImageReport report_;
};

}  // namespace

ImageReport RunImage(VisibilityBlock& block, const ImageRequest& request, const RunContext& context) {
  return ImageRun(block, nullptr, request, context).Run();
}

ImageReport RunImage(VisibilityBlock& block, const VisibilityParts& vis, const ImageRequest& request,
                     const RunContext& context) {
  return ImageRun(block, &vis, request, context).Run();
}

bool NeedsWholeTile(const ImageRequest& request) { return request.predict || request.channels || HasSpectra(request); }

}  // namespace contimg::image
