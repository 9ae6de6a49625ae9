// `contimg catalog`: the source catalogues of master_sources.sqlite3.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calibrate/catalogue.h"
#include "config/product_paths.h"
#include "config/settings.h"
#include "config/text.h"
#include "config/units.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

std::filesystem::path StorePath() {
  return ProductPaths(Roots(CurrentSettings().values)).Database(StateDatabase::kMasterSources);
}

state::SourceStore OpenToRead() { return state::SourceStore(StorePath(), state::DatabaseOptions::ForOneLook()); }

struct ImportArgs {
  std::string format, file, name;
  bool json = false;
};

void Import(const ImportArgs& args) {
  const calibrate::CatalogueFormat format = calibrate::ParseCatalogueFormat(args.format);
  std::string name = args.name;
  if (name.empty()) {
    if (format == calibrate::CatalogueFormat::kCsv) {
      throw Error(ErrorKind::kUsage, "catalog", args.file, "a CSV file needs the catalogue's --name");
    }
    name = args.format;
  }
  const calibrate::CatalogueFile file = calibrate::ReadCatalogue(args.file, format);
  std::vector<state::SourceRow> rows;
  rows.reserve(file.sources.size());
  for (const calibrate::CatalogueSource& source : file.sources) {
    state::SourceRow row;
    row.catalogue = name;
    row.name = source.name;
    row.ra_deg = source.ra_deg;
    row.dec_deg = source.dec_deg;
    row.flux_jy = source.flux_jy;
    row.flux_error_jy = source.flux_error_jy;
    row.spectral_index = source.spectral_index;
    row.major_arcsec = source.major_arcsec;
    row.minor_arcsec = source.minor_arcsec;
    row.position_angle_deg = source.position_angle_deg;
    rows.push_back(std::move(row));
  }
  state::SourceStore(StorePath()).Save(rows);
  if (args.json) {
    const nlohmann::json out{{"catalogue", name}, {"sources", rows.size()}, {"without_flux", file.without_flux}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{}: {}, {} of them without a flux density\n", name,
               Counted(static_cast<std::int64_t>(rows.size()), "source"), file.without_flux);
  }
}

void Info(bool json) {
  const auto catalogues = OpenToRead().Catalogues();
  if (json) {
    nlohmann::json out = nlohmann::json::array();
    for (const auto& [name, count] : catalogues) out.push_back({{"catalogue", name}, {"sources", count}});
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (catalogues.empty()) fmt::print("no catalogue is imported (contimg catalog import)\n");
  for (const auto& [name, count] : catalogues) fmt::print("{:<20} {:>10} sources\n", name, count);
}

Angle AngleOf(const char* argument, const std::string& text) {
  try {
    return Angle::Parse(text);
  } catch (const Error& error) {
    throw Error(ErrorKind::kUsage, "catalog", argument, fmt::format("'{}' {}", text, error.message()));
  }
}

struct ConeArgs {
  std::string ra, dec, radius = "1deg", catalogue;
  double min_flux = 0;
  int limit = 0;
  bool json = false;
};

void Cone(const ConeArgs& args) {
  const Angle ra = AngleOf("ra", args.ra), dec = AngleOf("dec", args.dec), radius = AngleOf("--radius", args.radius);
  auto matches = OpenToRead().Cone(WrapPositive(ra).deg(), dec.deg(), radius.deg(), args.catalogue, args.min_flux);
  if (args.limit > 0 && matches.size() > static_cast<std::size_t>(args.limit)) {
    matches.resize(static_cast<std::size_t>(args.limit));
  }
  if (args.json) {
    nlohmann::json out = nlohmann::json::array();
    for (const state::ConeMatch& m : matches) {
      nlohmann::json each{
          {"catalogue", m.source.catalogue},      {"name", m.source.name},       {"ra_deg", m.source.ra_deg},
          {"dec_deg", m.source.dec_deg},          {"flux_jy", m.source.flux_jy}, {"separation_deg", m.separation_deg},
          {"major_arcsec", m.source.major_arcsec}};
      each["spectral_index"] = m.source.spectral_index ? nlohmann::json(*m.source.spectral_index) : nlohmann::json();
      out.push_back(each);
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  for (const state::ConeMatch& m : matches) {
    fmt::print("{:<16} {:<18} {:11.6f} {:+11.6f} {:9.4f} Jy {:8.4f} deg\n", m.source.catalogue,
               Printable(m.source.name), m.source.ra_deg, m.source.dec_deg, m.source.flux_jy, m.separation_deg);
  }
}

}  // namespace

void AddCatalogCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("catalog", "source catalogues: import, list, search");
  command->require_subcommand(1);

  auto import = std::make_shared<ImportArgs>();
  CLI::App* import_command = command->add_subcommand("import", "read a catalogue into the source database");
  import_command->add_option("format", import->format, "what the file is")
      ->type_name("nvss|csv|vla-calibrators")
      ->required();
  import_command
      ->add_option("file", import->file,
                   "the file; NVSS: CATALOG.FIT, a listing of NVSSlist, nvss.dat, or an export of VizieR")
      ->type_name("FILE")
      ->required();
  import_command->add_option("--name", import->name, "name of the catalogue (default: nvss or vla-calibrators)");
  import_command->add_flag("--json", import->json, "print the result as JSON");
  import_command->callback([import] { Import(*import); });

  auto info_json = std::make_shared<bool>(false);
  CLI::App* info = command->add_subcommand("info", "which catalogues are imported");
  info->add_flag("--json", *info_json, "print as JSON");
  info->callback([info_json] { Info(*info_json); });

  auto cone = std::make_shared<ConeArgs>();
  CLI::App* cone_command = command->add_subcommand("cone", "sources around a position, brightest first");
  cone_command->add_option("ra", cone->ra, "right ascension, ICRS: degrees, or with a unit (13.5h)")->required();
  cone_command->add_option("dec", cone->dec, "declination")->required();
  cone_command->add_option("--radius", cone->radius, "radius (30arcmin, 2deg)")->capture_default_str();
  cone_command->add_option("--catalog", cone->catalogue, "only this catalogue");
  cone_command->add_option("--min-flux", cone->min_flux, "Jy");
  cone_command->add_option("--limit", cone->limit, "at most so many");
  cone_command->add_flag("--json", cone->json, "print as JSON");
  cone_command->callback([cone] { Cone(*cone); });
}

}  // namespace contimg::ops
