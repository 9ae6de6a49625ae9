#include "image/image_stage.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "config/os.h"
#include "config/parallel.h"
#include "config/time.h"
#include "image/clean_masks.h"
#include "image/primary_beam.h"
#include "image/quick_look.h"
#include "image/restore.h"
#include "image/sky_coordinates.h"
#include "image/slant_resample.h"
#include "image/smearing.h"
#include "image/tile_summary.h"
#include "image/uv_plan.h"

namespace contimg::image {
namespace {

namespace fs = std::filesystem;
constexpr const char* kStage = "image";

class Stopwatch {
 public:
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - start_).count();
    start_ = now;
    return seconds;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// An image that owns its pixels.
struct Plane {
  Plane() = default;
  Plane(std::size_t ny, std::size_t nx) : shape{ny, nx}, pixels(ny * nx) {}
  explicit Plane(const ImageGeometry& g) : Plane(g.ny, g.nx) {}
  ArrayView<float, 2> view() { return {pixels.data(), shape}; }
  ArrayView<const float, 2> view() const { return {pixels.data(), shape}; }
  std::array<std::size_t, 2> shape{};
  Buffer<float> pixels;
};

std::vector<double> ParseScales(const std::string& text) {
  std::vector<double> scales;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    double value = 0;
    const auto [stop, error] = std::from_chars(text.data() + at, text.data() + end, value);
    if (error != std::errc() || stop != text.data() + end || value < 0 || value > 1000 ||
        (!scales.empty() && value <= scales.back())) {
      throw Error(ErrorKind::kUsage, kStage, "image.scales_px",
                  "expected ascending numbers of pixels separated by commas, found '" + text + "'");
    }
    scales.push_back(value);
    at = end + 1;
  }
  return scales;
}

WeightSettings Weighting(const ImageSettings& settings) {
  WeightSettings w;
  w.mode = settings.weight == "natural"   ? WeightMode::kNatural
           : settings.weight == "uniform" ? WeightMode::kUniform
                                          : WeightMode::kBriggs;
  w.robust = settings.robust;
  w.min_uv_lambda = settings.min_uv_lambda;
  if (settings.max_uv_lambda > 0) w.max_uv_lambda = settings.max_uv_lambda;
  w.taper_fwhm_rad = Angle::Arcsec(settings.taper_arcsec).rad();
  return w;
}

CleanSettings Cleaning(const ImageSettings& settings, const GaussianBeam& beam, double cell_rad) {
  CleanSettings c;
  c.max_iterations = static_cast<std::size_t>(settings.max_iterations);
  c.max_major_cycles = static_cast<std::size_t>(settings.max_major_cycles);
  c.gain = settings.gain;
  c.major_gain = settings.major_gain;
  c.threshold_jy = settings.threshold_jy;
  c.auto_mask = settings.auto_mask;
  c.auto_threshold = settings.auto_threshold;
  c.allow_negative = settings.negative;
  c.local_rms = settings.local_rms;
  c.local_rms_window_beams = settings.local_rms_window;
  c.beam_fwhm_px = std::sqrt(beam.major_rad * beam.minor_rad) / cell_rad;
  c.scales_px = ParseScales(settings.scales_px);
  return c;
}

// The plain grid of the products.
ImageGeometry PlainGeometry(const ImageSettings& settings) {
  if (settings.size % 2 != 0) {
    throw Error(ErrorKind::kUsage, kStage, "image.size",
                fmt::format("expected an even number, found {}", settings.size));
  }
  ImageGeometry g;
  g.nx = g.ny = static_cast<std::size_t>(settings.size);
  g.cell_rad = Angle::Arcsec(settings.cell_arcsec).rad();
  const double corner = static_cast<double>(g.nx) / 2 * g.cell_rad;
  if (2 * corner * corner >= 1) {
    throw Error(ErrorKind::kBadInput, kStage, "image.size",
                fmt::format("a field of {:.1f} degrees reaches beyond the horizon: fewer or smaller pixels are needed",
                            Angle::Radians(static_cast<double>(g.nx) * g.cell_rad).deg()));
  }
  return g;
}

// The slant grid: the same cells, enough of them that every plain pixel and its neighbours for interpolation lie
// inside.
ImageGeometry SlantGeometry(const VisibilityBlock& block, const ImageGeometry& plain) {
  ImageGeometry slant = plain;
  const SlantFit fit = FitSlant(block, plain);
  slant.slant_a = fit.a;
  slant.slant_b = fit.b;
  const double corner = static_cast<double>(plain.nx) / 2 * plain.cell_rad;
  const double depth = -NMinusOne(corner, corner) / plain.cell_rad;
  const auto grown = [&](std::size_t n, double slope) {
    const auto margin = slope == 0 ? std::size_t{0} : static_cast<std::size_t>(std::ceil(std::abs(slope) * depth)) + 9;
    return (n + 2 * margin + 15) / 16 * 16;
  };
  if (fit.a == 0 && fit.b == 0) return slant;
  slant.nx = grown(plain.nx, fit.a);
  slant.ny = grown(plain.ny, fit.b);
  return slant;
}

std::size_t AvailableMemory() {
  std::ifstream file("/proc/meminfo");
  std::string key;
  for (std::size_t value = 0; file >> key >> value; file.ignore(256, '\n')) {
    if (key == "MemAvailable:") return value * 1024;
  }
  return std::numeric_limits<std::size_t>::max();
}

// Images alive at once besides the operator's memory; throws when they do not fit. Returns what is left for it.
std::size_t CheckMemory(const ImageGeometry& slant, const ImageSettings& settings) {
  std::size_t planes = 9;
  if (!settings.scales_px.empty()) planes += 4 + 4 * ParseScales(settings.scales_px).size();
  const std::size_t needed = planes * slant.nx * slant.ny * sizeof(float), available = AvailableMemory();
  if (needed > available) {
    throw Error(
        ErrorKind::kResource, kStage, "image.size",
        fmt::format("{} by {} pixels need {:.1f} GiB for images alone and {:.1f} GiB are available", slant.nx, slant.ny,
                    static_cast<double>(needed) / 1073741824.0, static_cast<double>(available) / 1073741824.0));
  }
  return available - needed;
}

class OperatorMajorCycle : public MajorCycle {
 public:
  OperatorMajorCycle(const MeasurementOperator& op, const RunContext& context) : op_(op), context_(context) {}
  void Residual(ArrayView<const float, 2> model, ArrayView<float, 2> residual) override {
    context_.CheckCancelled(kStage);
    Stopwatch watch;
    op_.Residual(model, residual);
    seconds += watch.Lap();
  }
  double seconds = 0;

 private:
  const MeasurementOperator& op_;
  const RunContext& context_;
};

// Files under hidden names until Publish gives all of them their own.
class StagedProducts {
 public:
  StagedProducts(const ImageRequest& request, Os& os) : request_(request), os_(os) {
    if (request.prefix.filename().empty()) {
      throw Error(ErrorKind::kUsage, kStage, request.prefix.string(), "expected a prefix that ends in a name");
    }
    for (const fs::path& target : {request.prefix, QaPrefix()}) {
      const fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
      os_.CreateDirectories(parent);
    }
    // Beside the products, so that publishing is a rename; made now, so that an unwritable place shows at once.
    folder_ = UnfinishedSibling(request.prefix);
    os_.RemoveAll(folder_);
    os_.CreateDirectories(folder_);
  }
  StagedProducts(const StagedProducts&) = delete;
  StagedProducts& operator=(const StagedProducts&) = delete;
  ~StagedProducts() {
    try {
      os_.RemoveAll(folder_);
    } catch (const Error&) {  // the sweep at start removes what is left
    }
  }

  fs::path QaPrefix() const { return request_.qa_prefix.empty() ? request_.prefix : request_.qa_prefix; }

  // Throws when a product of this run exists and must not be replaced.
  void Expect(const std::string& suffix, bool qa) {
    const fs::path final_path = (qa ? QaPrefix() : request_.prefix).string() + "." + suffix;
    if (!request_.overwrite && fs::exists(final_path)) {
      throw Error(ErrorKind::kUsage, kStage, final_path.string(), "the product exists already");
    }
    expected_.push_back({suffix, final_path});
  }

  // Where to write the product now.
  fs::path Path(const std::string& suffix) const { return folder_ / suffix; }

  std::vector<fs::path> Publish() {
    std::vector<fs::path> published;
    for (const auto& [suffix, final_path] : expected_) {
      if (request_.overwrite) os_.RemoveAll(final_path);
      contimg::Publish(os_, Path(suffix), final_path, {.durable = request_.durable});
      published.push_back(final_path);
    }
    return published;
  }

 private:
  struct Product {
    std::string suffix;
    fs::path final_path;
  };
  const ImageRequest& request_;
  Os& os_;
  fs::path folder_;
  std::vector<Product> expected_;
};

double DishDiameter(const VisibilityBlock& block, const TelescopeSettings& telescope) {
  if (telescope.dish_diameter_m > 0) return telescope.dish_diameter_m;
  std::vector<double> diameters = block.antennas.diameters_m;
  if (diameters.empty()) return 0;
  std::nth_element(diameters.begin(), diameters.begin() + static_cast<std::ptrdiff_t>(diameters.size() / 2),
                   diameters.end());
  return diameters[diameters.size() / 2];
}

class ImageRun {
 public:
  ImageRun(VisibilityBlock& block, const ImageRequest& request, const RunContext& context)
      : block_(block), request_(request), settings_(request.settings), context_(context), os_(OsOr(context.os)) {}

  ImageReport Run() {
    Stopwatch total, watch;
    if (block_.phase_state != PhaseState::kPhased || block_.n_times() == 0) {
      throw Error(ErrorKind::kBadInput, kStage, block_.group_id, "the data are not phased to one centre");
    }
    plain_ = PlainGeometry(settings_);
    const UtcTime middle = UtcTime::FromMjdSeconds((block_.time_mjd_s.front() + block_.time_mjd_s.back()) / 2);
    // Everything up to the header is measured on the apparent sky; pixels are cells of the catalogue's sky.
    plain_.cell_rad *= AberrationScale(block_.phase_centre, middle, request_.orientation.At(middle));
    const bool all = request_.products == ImageProducts::kAll, psf_only = request_.products == ImageProducts::kPsfOnly;
    StagedProducts staged(request_, os_);
    for (const char* name : {"psf", "dirty", "pb", "smear", "model", "residual", "image", "image.pbcor"}) {
      const std::string_view word = name;
      if (psf_only && word != "psf") break;
      if (!all && word == "model") break;
      staged.Expect(word.data() + Extension(), false);
    }
    staged.Expect("metrics.json", true);
    if (!psf_only) staged.Expect("qa.png", true);

    slant_ = SlantGeometry(block_, plain_);
    OperatorSettings operator_settings;
    operator_settings.accuracy = settings_.accuracy;
    operator_settings.fit_slant = false;
    operator_settings.memory_limit_bytes = CheckMemory(slant_, settings_);
    operator_settings.threads = context_.threads;
    operator_settings.prepare_residual = all && settings_.max_iterations > 0;
    WeightSettings weights = Weighting(settings_);
    // Density cells follow the field asked for, not the margin of the slant grid.
    weights.density_padding *= static_cast<double>(plain_.nx) / static_cast<double>(slant_.nx);
    context_.CheckCancelled(kStage);
    const MeasurementOperator op(block_, slant_, weights, operator_settings);
    report_.figures = op.figures();
    report_.timings.prepare_s = watch.Lap();
    Info(fmt::format("{} visibilities in {} nodes, {} {}, {} by {} pixels of {:.3g} arcsec", report_.figures.n_used,
                     report_.figures.n_nodes, report_.figures.n_w_terms,
                     report_.figures.uses_w_planes ? "w-planes" : "w-terms", plain_.nx, plain_.ny,
                     Angle::Radians(plain_.cell_rad).arcsec()));

    residual_ = Plane(slant_);
    psf_ = Plane(slant_);
    if (psf_only) {
      op.Psf(psf_.view());
    } else {
      op.DirtyAndPsf(residual_.view(), psf_.view());
    }
    report_.beam = FitBeam(psf_.view(), slant_.cell_rad);
    report_.timings.dirty_s = watch.Lap();
    Info(fmt::format("beam {:.2f} by {:.2f} arcsec, position angle {:.1f} deg",
                     Angle::Radians(report_.beam.major_rad).arcsec(), Angle::Radians(report_.beam.minor_rad).arcsec(),
                     Angle::Radians(report_.beam.angle_rad).deg()));

    tile_ = SummariseTile(block_, 40000, context_.threads);
    report_.thermal_jy = report_.figures.NoiseFactor() * tile_.noise_of_unit_weight;
    MakeHeader(op);
    const BandlimitedInterpolator interpolator(PsfBand(), 3e-5);
    if (interpolator.expected_error() > 1e-3 && slanted()) {
      context_.reporter->Warn(kStage, fmt::format("pixels of {:.3g} arcsec are too large for the longest baselines: "
                                                  "resampling errs by {:.1e}",
                                                  settings_.cell_arcsec, interpolator.expected_error()));
    }
    Plane scratch(plain_);
    ToPlain(psf_, interpolator, scratch);
    Write(staged, "psf", scratch, "JY/BEAM", false);
    if (!psf_only) {
      plain_psf_core_ = Crop(scratch, 128);
      ToPlain(residual_, interpolator, scratch);
      Write(staged, "dirty", scratch, "JY/BEAM", false);
      MakeBeamMaps(op);
      Write(staged, "pb", pb_, "", false);
      Write(staged, "smear", smear_, "", false);
    }
    report_.timings.products_s = watch.Lap();
    if (all) {
      Deconvolve(op);
      report_.timings.clean_s = watch.Lap();
      Restore(staged, interpolator, scratch);
      report_.timings.products_s += watch.Lap();
    } else if (!psf_only) {
      image_ = std::move(scratch);
      plain_residual_ = Plane(plain_);
      std::copy(image_.pixels.begin(), image_.pixels.end(), plain_residual_.pixels.begin());
    }
    if (!psf_only) Assess(staged);
    report_.timings.quality_s = watch.Lap();
    report_.timings.total_s = total.Lap();
    WriteText(staged.Path("metrics.json"), ToJson(report_).dump(2) + "\n");
    context_.CheckCancelled(kStage);
    report_.products = staged.Publish();
    if (request_.predict) {
      op.Predict(model_.view(), block_);
      block_.data_state = DataState::kModel;
    }
    context_.reporter->Progress(kStage, 1);
    return std::move(report_);
  }

 private:
  bool slanted() const { return slant_.slant_a != 0 || slant_.slant_b != 0; }
  // Highest spatial frequency of the images, cycles per pixel.
  double PsfBand() const { return std::clamp(1.02 * report_.figures.max_uv_lambda * slant_.cell_rad, 0.02, 0.5); }
  std::string Extension() const { return settings_.compress ? ".fits.fz" : ".fits"; }
  void Info(const std::string& text) const { context_.reporter->Info(kStage, text); }

  void WriteText(const fs::path& path, const std::string& text) const {
    const std::unique_ptr<OsFile> file = os_.Create(path);
    file->WriteAt(text.data(), text.size(), 0);
    file->Close();
  }

  void MakeHeader(const MeasurementOperator& op) {
    header_.geometry = plain_;
    header_.geometry.cell_rad = Angle::Arcsec(settings_.cell_arcsec).rad();
    header_.centre = block_.phase_centre;
    header_.type = "Intensity";
    // The band that was used: flagged channels at its ends do not count.
    const auto weights = op.weight_by_time_channel();
    std::size_t first = block_.n_channels(), last = 0;
    for (std::size_t t = 0; t < weights.shape(0); ++t) {
      for (std::size_t k = 0; k < weights.shape(1); ++k) {
        if (weights(t, k) > 0) first = std::min(first, k), last = std::max(last, k);
      }
    }
    const double low = block_.frequency_hz[std::min(first, last)], high = block_.frequency_hz[last];
    header_.frequency_hz = (low + high) / 2;
    header_.bandwidth_hz = high - low + block_.channel_width_hz;
    header_.start_mjd_s = block_.time_mjd_s.front() - block_.integration_s.front() / 2;
    header_.end_mjd_s = block_.time_mjd_s.back() + block_.integration_s.back() / 2;
    header_.pointing = block_.phase_centre;
    header_.telescope = block_.telescope_name;
    header_.instrument = block_.instrument;
    header_.object = block_.object_name;
    header_.calibration = request_.calibration;
    header_.software = request_.software;
    header_.settings_hash = request_.settings_hash;
    header_.history = request_.history;
    header_.history.push_back(fmt::format(
        "{} weights, robust {:g}, uv from {:g} wavelengths; {} visibilities; accuracy {:g}", settings_.weight,
        settings_.robust, settings_.min_uv_lambda, report_.figures.n_used, settings_.accuracy));
    header_.history.push_back(fmt::format("imaged in the slant frame w = {:.6f} u + {:.6f} v, resampled to SIN",
                                          slant_.slant_a, slant_.slant_b));
  }

  void Write(const StagedProducts& staged, const std::string& name, const Plane& plane, const char* unit,
             bool with_beam) const {
    context_.CheckCancelled(kStage);
    FitsHeader header = header_;
    header.unit = unit;
    if (with_beam) header.beam = report_.beam;
    if (name == "pb") header.type = "Beam";
    if (name == "smear") header.type = "Smearing";
    WriteFitsImage(os_, staged.Path(name + Extension()), plane.view(), header,
                   {.rice = settings_.compress, .threads = context_.threads});
  }

  void ToPlain(const Plane& from, const BandlimitedInterpolator& interpolator, Plane& to) const {
    if (slanted()) {
      ResampleToPlain(from.view(), slant_, interpolator, to.view(), plain_, context_.threads);
    } else {
      std::copy(from.pixels.begin(), from.pixels.end(), to.pixels.begin());
    }
  }

  static Plane Crop(const Plane& from, std::size_t size) {
    const std::size_t ny = from.shape[0], nx = from.shape[1];
    size = std::min({size, ny, nx}) / 2 * 2;
    Plane core(size, size);
    for (std::size_t y = 0; y < size; ++y) {
      const float* row = &from.view()(ny / 2 - size / 2 + y, nx / 2 - size / 2);
      std::copy_n(row, size, &core.view()(y, 0));
    }
    return core;
  }

  void MakeBeamMaps(const MeasurementOperator& op) {
    const BeamMode mode = ParseBeamMode(request_.telescope.beam);
    const std::vector<DirectionCosines> track = BeamTrack(block_, mode, request_.orientation);
    pb_ = Plane(plain_);
    if (mode == BeamMode::kNone) {
      std::fill(pb_.pixels.begin(), pb_.pixels.end(), 1.0F);
    } else {
      const BeamModel model = settings_.beam_file.empty() ? BeamModel::Airy(DishDiameter(block_, request_.telescope))
                                                          : BeamModel::FromFile(settings_.beam_file);
      PrimaryBeamMap(model, {mode, track, block_.frequency_hz, op.weight_by_time_channel()}, plain_, pb_.view(),
                     context_.threads);
    }
    SmearingInput smearing;
    smearing.uvw_m = block_.uvw_view();
    smearing.weights = op.weight_by_time_baseline();
    smearing.integration_s = block_.integration_s;
    smearing.centre = track;
    smearing.phase_centre_dec_rad = block_.phase_centre.dec_rad;
    smearing.first_frequency_hz = block_.frequency_hz.front();
    smearing.last_frequency_hz = block_.frequency_hz.back();
    smearing.channel_width_hz = block_.channel_width_hz;
    smear_ = Plane(plain_);
    SmearingMap(smearing, plain_, smear_.view(), context_.threads);
  }

  // The catalogue's part of the sky; empty without a catalogue.
  const std::vector<CatalogueSource>& Catalogue() {
    if (!catalogue_ && !settings_.catalogue_file.empty()) {
      const double radius = static_cast<double>(plain_.nx) * plain_.cell_rad * 0.75;
      catalogue_ = ReadCatalogue(
          settings_.catalogue_file,
          {Angle::Radians(block_.phase_centre.ra_rad), Angle::Radians(block_.phase_centre.dec_rad)}, radius);
    }
    if (!catalogue_) catalogue_.emplace();
    return *catalogue_;
  }

  Buffer<std::uint8_t> MakeUserMask() {
    Buffer<std::uint8_t> mask;
    const bool from_catalogue = settings_.catalogue_mask_arcsec > 0 && !settings_.catalogue_file.empty();
    if (settings_.mask_file.empty() && !from_catalogue) return mask;
    mask = Buffer<std::uint8_t>(slant_.nx * slant_.ny);
    const ArrayView<std::uint8_t, 2> view{mask.data(), {slant_.ny, slant_.nx}};
    if (!settings_.mask_file.empty()) {
      MaskFromImage(ReadFitsImage(settings_.mask_file), slant_, block_.phase_centre, view, context_.threads);
    }
    if (from_catalogue) {
      MaskFromCatalogue(Catalogue(), Angle::Arcsec(settings_.catalogue_mask_arcsec).rad(), slant_, block_.phase_centre,
                        view);
    }
    return mask;
  }

  void Deconvolve(const MeasurementOperator& op) {
    model_ = Plane(slant_);
    CleanSettings settings = Cleaning(settings_, report_.beam, slant_.cell_rad);
    settings.psf_band = PsfBand();
    if (settings.max_iterations == 0) return;
    const Buffer<std::uint8_t> mask = MakeUserMask();
    OperatorMajorCycle major(op, context_);
    CleanInput input;
    input.major_cycle = &major;
    input.psf = psf_.view();
    if (!mask.empty()) input.user_mask = {mask.data(), {slant_.ny, slant_.nx}};
    input.threads = context_.threads;
    input.on_cycle = [&](const MajorCycleRecord& r) {
      Info(
          fmt::format("major cycle {}: {} components{}, {:.6g} Jy in the model, cleaned to {:.4g} mJy, residual peak "
                      "{:.4g} mJy, rms {:.4g} mJy{}",
                      r.cycle, r.iterations, r.masked ? " (masked)" : "", r.model_flux_jy, 1e3 * r.level_jy,
                      1e3 * r.peak_jy, 1e3 * r.rms_jy, r.undone ? "; worse than before, undone" : ""));
      context_.reporter->Progress(kStage, 0.2 + 0.6 * std::min(1.0, static_cast<double>(r.cycle) / 8));
      context_.CheckCancelled(kStage);
    };
    report_.clean = Clean(input, settings, residual_.view(), model_.view());
    report_.timings.major_s = major.seconds;
    if (report_.clean.stop == CleanStop::kDiverged) {
      context_.reporter->Warn(kStage, "CLEAN diverged; the best model it had is kept");
    }
    psf_ = Plane();
  }

  void Restore(StagedProducts& staged, const BandlimitedInterpolator& interpolator, Plane& scratch) {
    header_.history.push_back(fmt::format("CLEAN: {} components in {} major cycles, stopped by {}",
                                          report_.clean.iterations, report_.clean.cycles.size(),
                                          ToString(report_.clean.stop)));
    plain_residual_ = Plane(plain_);
    ToPlain(residual_, interpolator, plain_residual_);
    residual_ = Plane();
    Write(staged, "residual", plain_residual_, "JY/BEAM", true);

    std::vector<ScaleKernel> kernels;
    for (double scale : ParseScales(settings_.scales_px)) kernels.emplace_back(scale);
    if (kernels.empty()) kernels.emplace_back(0.0);
    image_ = Plane(plain_);
    std::copy(plain_residual_.pixels.begin(), plain_residual_.pixels.end(), image_.pixels.begin());
    const auto points = PointsOfComponents(report_.clean.components, kernels, slant_, plain_,
                                           report_.beam.minor_rad / plain_.cell_rad / 2.5);
    AddBeams(points, report_.beam, plain_.cell_rad, image_.view(), context_.threads);
    Write(staged, "image", image_, "JY/BEAM", true);

    std::fill(scratch.pixels.begin(), scratch.pixels.end(), 0.0F);
    DepositPoints(PointsOfComponents(report_.clean.components, kernels, slant_, plain_, 1), scratch.view());
    for (const CleanComponent& c : report_.clean.components) report_.model_flux_jy += c.flux_jy;
    Write(staged, "model", scratch, "JY/PIXEL", false);

    const auto limit = static_cast<float>(settings_.pb_limit);
    ParallelFor(context_.threads, plain_.ny, [&](std::size_t y) {
      for (std::size_t i = y * plain_.nx; i < (y + 1) * plain_.nx; ++i) {
        const float pb = pb_.pixels[i];
        scratch.pixels[i] = pb >= limit ? image_.pixels[i] / pb : std::numeric_limits<float>::quiet_NaN();
      }
    });
    Write(staged, "image.pbcor", scratch, "JY/BEAM", true);
  }

  void Assess(StagedProducts& staged) {
    FitsHeader header = header_;
    header.beam = report_.beam;
    QualityInput input;
    input.image = image_.view();
    input.residual = plain_residual_.view();
    input.pb = pb_.view();
    input.smear = smear_.view();
    input.header = &header;
    input.thermal_jy = report_.thermal_jy;
    input.flagged_fraction = tile_.flagged_fraction;
    if (!settings_.catalogue_file.empty()) input.catalogue = &Catalogue();
    report_.quality = AssessImage(input, settings_, context_.threads);

    QuickLookInput picture;
    picture.title = block_.group_id.empty() ? UtcTime::FromMjdSeconds(header_.start_mjd_s).Iso8601() : block_.group_id;
    picture.image = image_.view();
    picture.psf = plain_psf_core_.view();
    picture.pb = pb_.view();
    picture.header = &header;
    picture.quality = &report_.quality;
    picture.tile = &tile_;
    picture.frequency_hz = block_.frequency_hz;
    picture.antenna_names = block_.antennas.names;
    WriteQuickLook(staged.Path("qa.png"), picture);
  }

  VisibilityBlock& block_;
  const ImageRequest& request_;
  const ImageSettings& settings_;
  const RunContext& context_;
  Os& os_;
  ImageGeometry plain_, slant_;
  FitsHeader header_;
  TileSummary tile_;
  Plane residual_, psf_, model_;                                // slant
  Plane pb_, smear_, image_, plain_residual_, plain_psf_core_;  // plain
  std::optional<std::vector<CatalogueSource>> catalogue_;
  ImageReport report_;
};

}  // namespace

ImageReport RunImage(VisibilityBlock& block, const ImageRequest& request, const RunContext& context) {
  return ImageRun(block, request, context).Run();
}

nlohmann::json ToJson(const ImageReport& report) {
  nlohmann::json cycles = nlohmann::json::array();
  for (const MajorCycleRecord& r : report.clean.cycles) {
    cycles.push_back({{"cycle", r.cycle},
                      {"iterations", r.iterations},
                      {"masked", r.masked},
                      {"undone", r.undone},
                      {"level_jy", r.level_jy},
                      {"peak_jy", r.peak_jy},
                      {"rms_jy", r.rms_jy},
                      {"model_flux_jy", r.model_flux_jy}});
  }
  const OperatorFigures& f = report.figures;
  return {{"quality", ToJson(report.quality)},
          {"beam",
           {{"major_arcsec", Angle::Radians(report.beam.major_rad).arcsec()},
            {"minor_arcsec", Angle::Radians(report.beam.minor_rad).arcsec()},
            {"angle_deg", Angle::Radians(report.beam.angle_rad).deg()}}},
          {"clean",
           {{"stop", ToString(report.clean.stop)},
            {"iterations", report.clean.iterations},
            {"threshold_jy", report.clean.final_threshold_jy},
            {"model_flux_jy", report.model_flux_jy},
            {"cycles", cycles}}},
          {"visibilities",
           {{"used", f.n_used},
            {"selected", f.n_selected},
            {"nodes", f.n_nodes},
            {"w_terms", f.n_w_terms},
            {"w_planes", f.uses_w_planes},
            {"expected_error", f.expected_error},
            {"max_uv_lambda", f.max_uv_lambda}}},
          {"seconds",
           {{"prepare", report.timings.prepare_s},
            {"dirty", report.timings.dirty_s},
            {"clean", report.timings.clean_s},
            {"major", report.timings.major_s},
            {"products", report.timings.products_s},
            {"quality", report.timings.quality_s},
            {"total", report.timings.total_s}}}};
}

}  // namespace contimg::image
