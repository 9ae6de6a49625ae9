#include "ops/calibration/sky_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "calibrate/catalogue.h"
#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/units.h"

namespace contimg::ops {
namespace {

constexpr const char* kNvss = "nvss";

}  // namespace

ListedSource Listed(const state::SourceRow& row) {
  ListedSource source;
  source.name = row.name;
  source.ra_deg = row.ra_deg;
  source.dec_deg = row.dec_deg;
  source.flux_jy = row.flux_jy;
  source.flux_error_jy = row.flux_error_jy;
  source.spectral_index = row.spectral_index;
  source.major_arcsec = row.major_arcsec;
  source.minor_arcsec = row.minor_arcsec;
  source.position_angle_deg = row.position_angle_deg;
  return source;
}

std::string FieldCatalogue(state::SourceStore& store) {
  const auto catalogues = store.Catalogues();
  for (const auto& [name, count] : catalogues) {
    if (name == kNvss) return name;
  }
  return catalogues.size() == 1 ? catalogues.front().first : "";
}

namespace {

// The rows that `catalogue` names for a direction: all those of a file, of an imported catalogue those about it.
std::vector<ListedSource> CatalogueRows(const std::string& catalogue, state::SourceStore* store,
                                        const calibrate::FieldView& view, const CalibrateSettings& settings) {
  if (IsFile(catalogue)) return calibrate::ReadCatalogue(catalogue, calibrate::CatalogueFormat::kCsv).sources;
  std::string name = catalogue;
  if (name == calibrate::kFieldModel) {
    name = store != nullptr ? FieldCatalogue(*store) : "";
    if (name.empty()) name = kNvss;
  }
  const auto known = store != nullptr ? store->Catalogues() : std::vector<std::pair<std::string, std::int64_t>>{};
  if (std::none_of(known.begin(), known.end(), [&](const auto& each) { return each.first == name; })) {
    throw Error(ErrorKind::kBadInput, "solve", name,
                "is neither an imported catalogue (contimg catalog import) nor a CSV file");
  }
  std::vector<ListedSource> rows;
  for (const state::ConeMatch& match :
       store->Cone(WrapPositive(Angle::Radians(view.ra_rad)).deg(), Angle::Radians(view.dec_rad).deg(),
                   settings.field_radius_deg, name, settings.field_min_flux_jy)) {
    rows.push_back(Listed(match.source));
  }
  return rows;
}

// Of the imported catalogues, the VLA's calibrators first.
std::optional<calibrate::SkySource> ImportedCalibrator(const std::string& name, state::SourceStore& store,
                                                       const calibrate::FieldView& view,
                                                       const CalibrateSettings& settings) {
  std::vector<std::string> catalogues{"vla-calibrators"};
  for (const auto& [catalogue, count] : store.Catalogues()) {
    if (catalogue != catalogues.front()) catalogues.push_back(catalogue);
  }
  for (const std::string& catalogue : catalogues) {
    const auto row = store.FindByName(catalogue, name);
    if (row) return calibrate::FindCalibrator(name, {Listed(*row)}, view, settings, "the catalogue " + catalogue);
  }
  return std::nullopt;
}

}  // namespace

std::vector<calibrate::SkySource> CatalogueSources(const std::string& catalogue, state::SourceStore* store,
                                                   const calibrate::FieldView& view,
                                                   const CalibrateSettings& settings) {
  return calibrate::FieldSources(CatalogueRows(catalogue, store, view, settings), view, settings, catalogue);
}

calibrate::ModelSources NamedModelSources(const std::string& calibrator, const std::string& catalogue,
                                          state::SourceStore* store, const calibrate::FieldView& view,
                                          const CalibrateSettings& settings) {
  std::vector<ListedSource> rows;
  if (!catalogue.empty()) rows = CatalogueRows(catalogue, store, view, settings);
  calibrate::ModelSources sources;
  sources.name = catalogue;
  if (!calibrator.empty()) {
    sources.calibrator = calibrate::FindCalibrator(calibrator, rows, view, settings, catalogue);
    if (!sources.calibrator && store != nullptr) {
      sources.calibrator = ImportedCalibrator(calibrator, *store, view, settings);
    }
    if (!sources.calibrator) {
      throw Error(
          ErrorKind::kBadInput, "solve", calibrator,
          fmt::format("is neither a Perley-Butler 2017 standard nor in {}an imported catalogue (contimg catalog "
                      "import)",
                      catalogue.empty() ? "" : catalogue + " nor in "));
    }
    sources.name = sources.calibrator->name;
  }
  if (!catalogue.empty()) sources.field = calibrate::FieldSources(rows, view, settings, catalogue);
  return sources;
}

std::unique_ptr<state::SourceStore> OpenSourcesIfAny(const Settings& settings) {
  const DirectoryRoots roots = Roots(settings);
  if (roots.state.empty()) return nullptr;
  const auto path = ProductPaths(roots).Database(StateDatabase::kMasterSources);
  if (!Exists(path)) return nullptr;
  return std::make_unique<state::SourceStore>(path);
}

}  // namespace contimg::ops
