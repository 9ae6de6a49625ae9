#include "ops/worker/measure_tile.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "config/os.h"
#include "config/product_paths.h"
#include "config/robust_statistics.h"
#include "config/source_list.h"
#include "config/stopwatch.h"
#include "config/time.h"
#include "config/units.h"
#include "mosaic/background/rms_mesh.h"
#include "mosaic/find/catalogue_table.h"
#include "mosaic/photometry/listed_places.h"
#include "mosaic/photometry/photometry_table.h"
#include "ops/base/checksum.h"
#include "ops/job/tile_facts.h"
#include "ops/worker/integration_flags.h"
#include "ops/worker/tile_flags.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMeasure = "measure";
constexpr double kRatioSnr = 10;  // of the sources that tell how fluxes agree with the catalogue

const JobProduct* ProductOf(const JobState& state, ProductKind kind) {
  const auto& products = state.report.products;
  const auto at = std::find_if(products.begin(), products.end(), [&](const JobProduct& p) { return p.kind == kind; });
  return at == products.end() ? nullptr : &*at;
}

void DescribeIntegrations(const VisibilityBlock& block, const Settings& settings, int threads, TileFacts& tile) {
  tile.telescope = block.telescope_name;
  if (block.pointing.kind == Pointing::Kind::kTracking) {
    tile.target = block.object_name.empty() ? "unnamed" : block.object_name;
  }
  tile.integrations = static_cast<std::int64_t>(block.n_times());
  if (block.n_times() > 1) {
    tile.integration_s =
        (block.time_mjd_s.back() - block.time_mjd_s.front()) / static_cast<double>(block.n_times() - 1);
  } else if (!block.integration_s.empty()) {
    tile.integration_s = block.integration_s.front();
  }
  tile.integration_flags = FlagsOfIntegrations(block, settings, threads);
}

TileFacts FactsOfTile(const Job& job, const JobState& state, const image::FitsHeader& header, int threads) {
  TileFacts tile;
  tile.group = job.group;
  tile.mjd = (header.start_mjd_s + header.end_mjd_s) / 2 / kSecondsPerDay;
  tile.duration_s = header.end_mjd_s - header.start_mjd_s;
  const double ra_deg = WrapPositive(Angle::Radians(header.centre.ra_rad)).deg();
  tile.ra_deg = ra_deg < 360 ? ra_deg : 0;
  tile.dec_deg = Angle::Radians(header.centre.dec_rad).deg();
  tile.frequency_hz = header.frequency_hz;
  tile.beam_major_arcsec = Angle::Radians(header.beam->major_rad).arcsec();
  tile.beam_minor_arcsec = Angle::Radians(header.beam->minor_rad).arcsec();
  TileSight sight{UtcTime::FromMjd(tile.mjd), header.centre};
  DataState data = DataState::kCorrected;
  if (state.block) {
    data = state.block->data_state;
    const ArraySite& site = state.block->site;
    sight.site = {site.latitude_rad, site.longitude_rad, site.height_m};
    DescribeIntegrations(*state.block, job.settings, threads, tile);
  }
  tile.flags = FlagsOfTile(job, state.report, data, sight);
  return tile;
}

std::vector<mosaic::ForcedPlace> PlacesOf(const Job& job, double frequency_hz) {
  std::vector<ListedSource> listed;
  for (const JobPlace& place : job.places) {
    ListedSource& source = listed.emplace_back();
    source.ra_deg = place.ra_deg;
    source.dec_deg = place.dec_deg;
    source.flux_jy = place.flux_jy;
    source.spectral_index = place.spectral_index;
  }
  std::vector<mosaic::ForcedPlace> places = mosaic::PlacesOfList(listed, frequency_hz);
  for (std::size_t i = 0; i < places.size(); ++i) places[i].flags = job.places[i].flags;
  return places;
}

class TileMeasurement {
 public:
  TileMeasurement(const Job& job, const RunContext& context, JobState& state, const image::FinishedImages& images)
      : job_(job), context_(context), state_(state), facts_(FactsOfTile(job, state, images.header, context.threads)) {
    tile_.header = &images.header;
    tile_.image = images.image.view();
    tile_.residual = images.residual.view();
    tile_.pb = images.pb.view();
    tile_.smear = images.smear.view();
    tile_.psf = images.psf.view();
    mosaic::CheckTileImages(tile_, job.group);
    places_ = PlacesOf(job, images.header.frequency_hz);
  }

  void Measure(json& figures) {
    Stopwatch watch;
    const image::CoarseMap rms = mosaic::MeasureRms(tile_.residual, {}, context_.threads);
    context_.CheckCancelled(kMeasure);
    figures["noise_s"] = watch.Lap();
    const mosaic::Table fluxes = MeasureKnown(rms, figures);
    context_.CheckCancelled(kMeasure);
    context_.reporter->Progress(kMeasure, 0.4);
    figures["photometry_s"] = watch.Lap();
    const mosaic::Table sources = Find(rms, figures);
    context_.CheckCancelled(kMeasure);
    context_.reporter->Progress(kMeasure, 0.8);
    figures["find_s"] = watch.Lap();
    Publish(ProductKind::kPhotometry, fluxes);
    Publish(ProductKind::kSources, sources);
    figures["publish_s"] = watch.Lap();
  }

 private:
  mosaic::Table MeasureKnown(const image::CoarseMap& rms, json& figures) const {
    mosaic::ForcedOptions options;
    options.min_response = job_.settings.photometry.min_response;
    const mosaic::ForcedPhotometry measured = mosaic::MeasureForced(tile_, rms, places_, options, context_.threads);
    std::vector<mosaic::PhotometryRow> rows;
    std::vector<double> ratios;
    for (const mosaic::ForcedMeasurement& m : measured.measurements) {
      const JobPlace& place = job_.places[m.index];
      mosaic::PhotometryRow& row = rows.emplace_back();
      row.source_id = place.source_id;
      row.name = place.name;
      row.product = job_.image_prefix.filename().string();
      row.mjd = facts_.mjd;
      row.frequency_hz = m.frequency_hz;
      row.measurement = m;
      const double expected = places_[m.index].expected_jy;
      const bool counts = (m.flags & ParseQualityMask("hard")) == 0 && m.flux_jy > kRatioSnr * m.flux_error_jy;
      if (counts && expected > 0) ratios.push_back(m.flux_jy / expected);
    }
    figures["measured"] = rows.size();
    figures["places"] = places_.size();
    figures["outside"] = measured.outside;
    figures["blank"] = measured.blank;
    figures["low_response"] = measured.low_response;
    figures["compared"] = ratios.size();
    if (!ratios.empty()) figures["flux_ratio"] = Median(ratios);
    mosaic::Table table = mosaic::PhotometryTable(rows);
    table.facts = FactsOf(facts_);
    return table;
  }

  mosaic::Table Find(const image::CoarseMap& rms, json& figures) const {
    mosaic::FindOptions options;
    options.seed = job_.settings.photometry.seed;
    options.known = places_;
    const mosaic::SourceCatalogue found = mosaic::FindSources(tile_, rms, options, context_);
    figures["found"] = found.sources.size();
    figures["resolved"] = std::count_if(found.sources.begin(), found.sources.end(),
                                        [](const mosaic::FoundSource& s) { return s.resolved; });
    figures["suspect"] = std::count_if(found.sources.begin(), found.sources.end(), [](const mosaic::FoundSource& s) {
      return (s.flags & quality::kArtefact.mask()) != 0;
    });
    figures["false_alarms"] = json::array();
    for (const mosaic::FalseAlarms& alarms : found.false_alarms) {
      figures["false_alarms"].push_back(
          {{"threshold", alarms.threshold}, {"expected", alarms.expected}, {"negative", alarms.negative}});
    }
    mosaic::Table table = mosaic::CatalogueTable(found, job_.image_prefix.filename().string(), options);
    const auto facts = FactsOf(facts_);
    table.facts.insert(table.facts.end(), facts.begin(), facts.end());
    return table;
  }

  void Publish(ProductKind kind, const mosaic::Table& table) {
    const fs::path path = job_.image_prefix.string() + "." + ProductSuffix(kind);
    mosaic::WriteTable(OsOr(context_.os), path, table, true);
    std::vector<fs::path> parents;
    if (const JobProduct* restored = ProductOf(state_, ProductKind::kImage)) parents = {restored->path};
    state_.report.products.push_back({kind, path, ProductBytes(path), ProductChecksum(path), parents});
  }

  const Job& job_;
  const RunContext& context_;
  JobState& state_;
  TileFacts facts_;
  mosaic::TileImages tile_;
  std::vector<mosaic::ForcedPlace> places_;
};

// What the tile's file of figures says besides.
void AddToMetrics(const json& figures, const RunContext& context, JobState& state) {
  state.report.quality["photometry"] = figures;
  for (JobProduct& product : state.report.products) {
    if (product.kind != ProductKind::kQaMetrics) continue;
    WriteFileAtomically(OsOr(context.os), product.path, state.report.quality.dump(2) + "\n");
    product.bytes = ProductBytes(product.path);
    product.checksum = ProductChecksum(product.path);
  }
}

}  // namespace

void RunMeasure(const Job& job, const RunContext& context, JobState& state, json& figures) {
  if (!state.images) return;  // none was made
  const image::FinishedImages images = std::move(*state.images);
  state.images.reset();
  try {
    TileMeasurement(job, context, state, images).Measure(figures);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kBadInput && error.kind() != ErrorKind::kNumeric) throw;
    const std::string why = fmt::format("nothing is measured in the image: {}", error.what());
    state.report.warnings.push_back(why);
    context.reporter->Warn(kMeasure, why);
    figures = {{"why", why}};
  }
  AddToMetrics(figures, context, state);
}

}  // namespace contimg::ops
