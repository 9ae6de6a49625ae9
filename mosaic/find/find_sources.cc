#include "mosaic/find/find_sources.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "config/parallel.h"
#include "config/robust_statistics.h"
#include "image/plane/sky_coordinates.h"
#include "mosaic/find/artefacts.h"
#include "mosaic/find/extent.h"
#include "mosaic/find/peaks.h"
#include "mosaic/photometry/clusters.h"
#include "mosaic/photometry/forced.h"
#include "mosaic/table/stage_name.h"
#include "mosaic/tile/edge_distance.h"

namespace contimg::mosaic {
namespace {

constexpr double kResolvedSigmas = 2.33;  // NVSS: 98 % of points are not told to be resolved
constexpr double kRatioFloor = 0.02;      // of a point's aperture flux over its peak, beyond the noise
constexpr double kBrightPoint = 20;       // S/N from which points tell their usual ratio
constexpr std::size_t kFewestPoints = 20;
constexpr int kMostRegroupings = 4;
constexpr std::size_t kMostSolved = 500;  // together: more in one group are no sources

// A component on its way into the catalogue.
struct Found {
  Component component;
  std::size_t group = 0, group_size = 1;
  std::vector<Component> others;  // so near that they add to its aperture
  double aperture = 0;            // flux in it, apparent…
  double as_point = 0;            // …and that of a point of the component's flux
};

class FindRun {
 public:
  FindRun(const TileImages& images, const image::CoarseMap& rms, const FindOptions& options, const RunContext& context)
      : images_(images),
        rms_(rms),
        options_(options),
        context_(context),
        cell_(images.header->geometry.cell_rad),
        shape_(images),
        beam_(shape_.beam()),
        reader_(images.image, shape_.band()) {}

  SourceCatalogue Run() {
    catalogue_.gradients = MeasureGradients(images_, rms_, options_.min_pb, context_.threads);
    const PixelTensor h = images_.psf.empty() ? catalogue_.gradients : CurvatureOf(images_.psf, shape_.band());
    place_covariance_ = PlaceCovariance(catalogue_.gradients, h);
    context_.CheckCancelled(kStage);
    TellApart();
    context_.CheckCancelled(kStage);
    MeasureApertures();
    Fill();
    CountFalseAlarms();
    return std::move(catalogue_);
  }

 private:
  // The components of all groups of maxima. A further component may have come near to another group: then they are one
  // group and told apart again.
  void TellApart() {
    std::vector<Peak> starts =
        FindPeaks(images_.image, reader_, images_, rms_, {options_.seed, options_.min_pb, 1}, context_.threads);
    catalogue_.maxima = starts.size();
    if (starts.size() > options_.most_maxima) {
      throw Error(ErrorKind::kBadInput, kStage, "",
                  fmt::format("expected noise with sources in it, found {} maxima above {:g} local rms", starts.size(),
                              options_.seed));
    }
    std::vector<Component> components;
    std::vector<std::vector<std::size_t>> groups;
    for (int round = 0; round < kMostRegroupings; ++round) {
      const std::vector<std::vector<Component>> told = TellGroupsApart(starts);
      components.clear();
      std::vector<std::size_t> origin;
      for (std::size_t g = 0; g < told.size(); ++g) {
        components.insert(components.end(), told[g].begin(), told[g].end());
        origin.insert(origin.end(), told[g].size(), g);
      }
      groups = LinkPlaces(PlacesOf(components), beam_, kLinkWidths);
      const bool settled = std::all_of(groups.begin(), groups.end(), [&](const std::vector<std::size_t>& group) {
        return std::all_of(group.begin(), group.end(), [&](std::size_t i) { return origin[i] == origin[group[0]]; });
      });
      if (settled) break;
      starts.clear();
      for (const Component& c : components) starts.push_back({c.x, c.y, c.flux, c.sigma});
    }
    const std::vector<Component> known = SolveTogether(components);
    const double reach = shape_.reach_widths() + 1;
    const auto near = NearPlaces(PlacesOf(components), PlacesOf(components), beam_, reach, true);
    const auto near_known = NearPlaces(PlacesOf(components), PlacesOf(known), beam_, reach, false);
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (const std::size_t i : groups[g]) {
        if (!(ResponseAt(images_, components[i].x, components[i].y) > 0)) continue;
        if (!std::isfinite(DirectionOf(*images_.header, components[i].x, components[i].y).dec.rad()))
          continue;  // no sky
        Found found{components[i], g + 1, groups[g].size(), {}, 0, 0};
        for (const std::size_t k : near[i]) found.others.push_back(components[k]);
        for (const std::size_t k : near_known[i]) found.others.push_back(known[k]);
        found_.push_back(std::move(found));
      }
    }
  }

  // Solves for the components together with all that reaches them: those of other groups where the PSF tells what CLEAN
  // left of those, and the known sources that are none of them, which are returned.
  std::vector<Component> SolveTogether(std::vector<Component>& components) {
    std::vector<Component> listed;
    for (const ForcedPlace& place : options_.known) {
      const auto at = PixelOf(*images_.header, place.direction);
      if (!at) continue;
      const double expected = place.expected_jy * ResponseAt(images_, at->x, at->y);  // NaN outside
      const double sigma = rms_.At(at->x, at->y);
      if (expected > sigma) listed.push_back({at->x, at->y, expected, 1, sigma});
    }
    const auto itself =
        NearPlaces(PlacesOf(listed), PlacesOf(components), beam_, DeblendOptions{}.nearest_widths, false);
    std::vector<Component> all = components, known;
    for (std::size_t i = 0; i < listed.size(); ++i) {
      if (itself[i].empty()) all.push_back(listed[i]);
    }
    for (const std::vector<std::size_t>& group : LinkPlaces(PlacesOf(all), beam_, shape_.reach_widths())) {
      const auto first_known = std::lower_bound(group.begin(), group.end(), components.size());
      const bool with_known = first_known != group.end();
      if (first_known == group.begin() || (!with_known && !shape_.knows_psf())) continue;
      if (!SolveGroup(all, group, with_known ? kMostSolved : DeblendOptions{}.together)) continue;
      for (const std::size_t i : group) {
        if (i < components.size()) {
          if (all[i].flux > 0) components[i] = all[i];
          catalogue_.told_from_known += with_known ? 1 : 0;
        } else {
          known.push_back(all[i]);
        }
      }
    }
    return known;
  }

  // Fluxes of the members at their places; false, and nothing done, when they are too many to be sources.
  bool SolveGroup(std::vector<Component>& all, const std::vector<std::size_t>& members, std::size_t most) const {
    if (members.size() > most) return false;
    std::vector<image::PixelPosition> places;
    std::vector<PointFlux> values;
    for (const std::size_t i : members) {
      places.push_back({all[i].x, all[i].y});
      values.push_back(shape_.Read(all[i].x, all[i].y));
    }
    const JointPoints solved = shape_.Solve(places, values);
    for (std::size_t k = 0; k < members.size(); ++k) {
      Component& c = all[members[k]];
      c.flux = solved.flux[k].whole;
      c.left = solved.flux[k].left;
      c.variance = solved.variance[k];
    }
    return true;
  }

  template <typename Place>
  static std::vector<image::PixelPosition> PlacesOf(const std::vector<Place>& list) {
    std::vector<image::PixelPosition> places;
    for (const Place& each : list) places.push_back({each.x, each.y});
    return places;
  }

  // Maxima as sources of other groups see them: solved for with what reaches them.
  std::vector<Component> AsSources(const std::vector<Peak>& starts) const {
    std::vector<Component> sources;
    for (const Peak& peak : starts) sources.push_back({peak.x, peak.y, peak.value, 1, peak.sigma});
    const auto groups = LinkPlaces(PlacesOf(starts), beam_, shape_.reach_widths());
    ParallelFor(context_.threads, groups.size(), [&](std::size_t g) { SolveGroup(sources, groups[g], kMostSolved); });
    return sources;
  }

  std::vector<std::vector<Component>> TellGroupsApart(const std::vector<Peak>& starts) const {
    const std::vector<image::PixelPosition> places = PlacesOf(starts);
    const auto groups = LinkPlaces(places, beam_, kLinkWidths);
    // What reaches any place within a beam of a group.
    const auto near = NearPlaces(places, places, beam_, kLinkWidths + shape_.reach_widths() + 1, true);
    const std::vector<Component> sources = AsSources(starts);
    std::vector<std::size_t> group_of(starts.size());
    for (std::size_t g = 0; g < groups.size(); ++g) {
      for (const std::size_t i : groups[g]) group_of[i] = g;
    }
    std::vector<std::vector<Component>> told(groups.size());
    DeblendOptions deblend;
    deblend.threshold = options_.seed;
    ParallelFor(context_.threads, groups.size(), [&](std::size_t g) {
      context_.CheckCancelled(kStage);
      std::vector<Peak> members;
      std::set<std::size_t> outside;
      for (const std::size_t i : groups[g]) {
        members.push_back(starts[i]);
        for (const std::size_t k : near[i]) {
          if (group_of[k] != g) outside.insert(k);
        }
      }
      std::vector<Component> beside;
      for (const std::size_t k : outside) beside.push_back(sources[k]);
      told[g] = Deblend(images_, reader_, shape_, rms_, members, beside, deblend);
      if (members.size() == 1 && told[g].size() > 1) KeepWholeIfExtended(members[0], beside, told[g]);
    });
    return told;
  }

  // A source larger than the beam leaves more than a beam: what looks like further points may be its own flux.
  void KeepWholeIfExtended(const Peak& peak, const std::vector<Component>& beside,
                           std::vector<Component>& points) const {
    const Component whole{peak.x, peak.y, peak.value, 1, peak.sigma};
    const double ratio = ApertureFlux(images_.image, shape_, peak.x, peak.y, beside) / peak.value;
    if (!std::isfinite(ratio)) return;
    const auto fit = FitExtended(images_.image, cell_, shape_, whole, ratio, catalogue_.gradients, beside);
    if (fit && IsRatherExtended(images_.image, cell_, shape_, whole, *fit, points, beside)) points = {whole};
  }

  void MeasureApertures() {
    // What CLEAN left of a point is a PSF, which is no beam.
    double of_psf = 1;
    if (shape_.knows_psf()) {
      const double middle_x = static_cast<double>(images_.psf.shape(1) / 2),
                   middle_y = static_cast<double>(images_.psf.shape(0) / 2);
      of_psf = ApertureFlux(images_.psf, shape_, middle_x, middle_y, {});
      if (!std::isfinite(of_psf)) of_psf = 1;
    }
    ParallelFor(context_.threads, found_.size(), [&](std::size_t i) {
      Found& f = found_[i];
      f.aperture = ApertureFlux(images_.image, shape_, f.component.x, f.component.y, f.others);
      f.as_point = f.component.flux + (of_psf - 1) * f.component.left;
    });
    std::vector<double> ratios;
    for (const Found& f : found_) {
      if (f.group_size == 1 && f.component.flux > kBrightPoint * f.component.sigma && std::isfinite(f.aperture))
        ratios.push_back(f.aperture / f.as_point);
    }
    if (ratios.size() >= kFewestPoints) catalogue_.point_ratio = TakeMedian(ratios);
    aperture_scatter_ = ApertureScatter(images_, rms_, shape_, options_.min_pb, context_.threads);
  }

  bool IsResolved(const Found& f) const {
    if (!std::isfinite(f.aperture) || !(f.as_point > 0)) return false;
    const double excess = f.aperture - catalogue_.point_ratio * f.as_point;
    const double error = std::hypot(aperture_scatter_ * f.component.sigma * std::sqrt(f.component.variance),
                                    kRatioFloor * f.component.flux);
    return excess > kResolvedSigmas * error;
  }

  void Fill() {
    std::vector<Component> components;
    std::vector<std::size_t> sizes;
    for (const Found& f : found_) {
      components.push_back(f.component);
      sizes.push_back(f.group_size);
    }
    const double median_rms = Median(std::vector<float>(rms_.values));
    const std::vector<bool> suspect = SuspectComponents(images_, components, sizes, median_rms, {}, context_.threads);
    catalogue_.sources.resize(found_.size());
    ParallelFor(context_.threads, found_.size(),
                [&](std::size_t i) { catalogue_.sources[i] = Describe(found_[i], suspect[i]); });
    std::stable_sort(catalogue_.sources.begin(), catalogue_.sources.end(),
                     [](const FoundSource& a, const FoundSource& b) { return a.flux_jy > b.flux_jy; });
  }

  FoundSource Describe(const Found& f, bool suspect) const {
    const Component& c = f.component;
    FoundSource s;
    s.x = c.x, s.y = c.y;
    s.local_rms_jy = c.sigma;
    s.group = f.group;
    s.group_size = f.group_size;
    s.response = ResponseAt(images_, c.x, c.y);
    // The noise chooses the maximum: each of the two free coordinates lifts it by σ²/2S on average.
    const double bias = c.variance * c.sigma * c.sigma / c.flux;
    const double peak = c.flux - bias;
    s.snr = peak / c.sigma;
    s.peak_jy = s.flux_jy = peak / s.response;
    s.flux_error_jy = c.sigma * std::sqrt(c.variance) / s.response;
    double place_factor = std::sqrt(c.variance);
    if (IsResolved(f)) Extend(f, s, place_factor);
    s.place = DirectionOf(*images_.header, s.x, s.y);
    s.name = SourceName(s.place);
    SetPlaceErrors(s, place_factor / std::max(c.flux / c.sigma, 1.0));
    if (EdgeBeams(images_.image, beam_, c.x, c.y) < ForcedOptions{}.edge_beams) s.flags |= quality::kEdge.mask();
    if (IsBlend(c.variance, ForcedOptions{}.max_condition)) s.flags |= quality::kBlend.mask();
    s.flags |= ResponseFlags(images_, c.x, c.y);
    if (suspect) s.flags |= quality::kArtefact.mask();
    return s;
  }

  void Extend(const Found& f, FoundSource& s, double& place_factor) const {
    s.resolved = true;
    s.flags |= quality::kResolved.mask();
    const double ratio = f.aperture / f.as_point / catalogue_.point_ratio;
    const auto fit = FitExtended(images_.image, cell_, shape_, f.component, ratio, catalogue_.gradients, f.others);
    if (!fit || fit->flux < f.component.flux) {  // no Gaussian: what the aperture holds
      s.flux_jy = ratio * f.component.flux / s.response;
      s.flux_error_jy = f.component.sigma * std::hypot(1.0, aperture_scatter_) / s.response;
      return;
    }
    s.x = fit->x, s.y = fit->y;
    s.flux_jy = fit->flux / s.response;
    s.flux_error_jy = fit->flux_error / s.response;
    s.peak_jy = fit->peak / s.response;
    s.major_arcsec = Angle::Radians(fit->shape.major_rad).arcsec();
    s.minor_arcsec = Angle::Radians(fit->shape.minor_rad).arcsec();
    s.angle_deg = Angle::Radians(fit->shape.angle_rad).deg();
    place_factor *= fit->error_factor;
  }

  // From the covariance about the pixel axes, turned to east and north at the source, which far from the centre and
  // near the poles are not the pixels' axes.
  void SetPlaceErrors(FoundSource& s, double scale) const {
    const PhaseCentre here{s.place.ra.rad(), s.place.dec.rad()};
    const auto along = [&](double dx, double dy) {
      const auto moved = image::CosinesOfDirection(here, DirectionOf(*images_.header, s.x + dx, s.y + dy));
      return moved.value_or(image::DirectionCosines{});
    };
    const image::DirectionCosines ex = along(0.5, 0), wx = along(-0.5, 0), ey = along(0, 0.5), wy = along(0, -0.5);
    const double lx = ex.l - wx.l, mx = ex.m - wx.m, ly = ey.l - wy.l, my = ey.m - wy.m;
    const PixelTensor& c = place_covariance_;
    const double east2 = lx * lx * c.xx + 2 * lx * ly * c.xy + ly * ly * c.yy;
    const double north2 = mx * mx * c.xx + 2 * mx * my * c.xy + my * my * c.yy;
    s.ra_error_arcsec = Angle::Radians(scale * std::sqrt(east2)).arcsec();
    s.dec_error_arcsec = Angle::Radians(scale * std::sqrt(north2)).arcsec();
  }

  void CountFalseAlarms() {
    catalogue_.searched_pixels = SearchedPixels(images_, options_.min_pb, context_.threads);
    std::vector<double> thresholds{4, 4.5, options_.seed};
    std::sort(thresholds.begin(), thresholds.end());
    thresholds.erase(std::unique(thresholds.begin(), thresholds.end()), thresholds.end());
    const ImageReader residual(images_.residual, shape_.band());
    const std::vector<Peak> minima = FindPeaks(images_.residual, residual, images_, rms_,
                                               {thresholds.front(), options_.min_pb, -1}, context_.threads);
    for (const double threshold : thresholds) {
      FalseAlarms alarms;
      alarms.threshold = threshold;
      alarms.expected =
          ExpectedMaxima(static_cast<double>(catalogue_.searched_pixels), catalogue_.gradients, threshold);
      alarms.negative = static_cast<std::size_t>(std::count_if(
          minima.begin(), minima.end(), [&](const Peak& peak) { return peak.value > threshold * peak.sigma; }));
      catalogue_.false_alarms.push_back(alarms);
    }
  }

  const TileImages& images_;
  const image::CoarseMap& rms_;
  const FindOptions& options_;
  const RunContext& context_;
  const double cell_;
  const PointShape shape_;
  const BeamPixels& beam_;
  const ImageReader reader_;
  PixelTensor place_covariance_;
  double aperture_scatter_ = 0;
  std::vector<Found> found_;
  SourceCatalogue catalogue_;
};

}  // namespace

SourceCatalogue FindSources(const TileImages& images, const image::CoarseMap& rms, const FindOptions& options,
                            const RunContext& context) {
  return FindRun(images, rms, options, context).Run();
}

std::string SourceName(const SkyDirection& place) {
  // In whole tenths of a second and whole arcseconds, truncated; the sum keeps what is exact from falling short.
  constexpr double kRounding = 1e-6;
  const auto tenths = static_cast<long>(place.ra.hours() * 36000 + kRounding) % 864000;
  const auto arcsec = static_cast<long>(std::abs(place.dec.arcsec()) + kRounding);
  return fmt::format("J{:02}{:02}{:02}.{}{}{:02}{:02}{:02}", tenths / 36000, tenths / 600 % 60, tenths / 10 % 60,
                     tenths % 10, place.dec.rad() < 0 ? '-' : '+', arcsec / 3600, arcsec / 60 % 60, arcsec % 60);
}

}  // namespace contimg::mosaic
