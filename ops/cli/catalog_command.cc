// `contimg catalog`: the source catalogues of master_sources.sqlite3.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "calibrate/catalogue.h"
#include "config/error.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "config/quantity.h"
#include "config/settings.h"
#include "config/sky_text.h"
#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/base/sha256.h"
#include "ops/cli/commands.h"
#include "ops/cli/keep_original.h"
#include "ops/cli/program_options.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

ProductPaths CurrentPaths() { return ProductPaths(Roots(CurrentSettings().values)); }
std::filesystem::path StorePath() { return CurrentPaths().Database(StateDatabase::kMasterSources); }

state::SourceStore OpenToRead() { return state::SourceStore(StorePath(), state::DatabaseOptions::ForOneLook()); }

struct ImportArgs {
  std::string format, file, name, mission;
  bool refresh = false, json = false;
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
  const std::string sha256 = FileSha256(args.file);
  if (const auto path = StorePath(); !args.refresh && Exists(path)) {
    const auto known = state::SourceStore(path).Catalogue(name);
    if (known && known->sha256 == sha256) {
      KeepOriginal(CurrentPaths(), name, args.file, sha256);
      if (args.json) {
        const nlohmann::json out{{"catalogue", name}, {"sources", known->sources}, {"unchanged", true}};
        fmt::print("{}\n", out.dump(2));
      } else {
        fmt::print("{}: this very file was imported on {}, nothing to do (--refresh reads it again)\n", name,
                   UtcTime::FromUnix(known->imported_at).Stamp());
      }
      return;
    }
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
  state::CatalogueRow catalogue;
  catalogue.name = name;
  catalogue.mission = args.mission;
  catalogue.file = std::filesystem::absolute(args.file).string();
  catalogue.sha256 = sha256;
  catalogue.imported_at = UtcTime::Now().unix_s();
  KeepOriginal(CurrentPaths(), name, args.file, sha256);
  state::SourceStore store(StorePath());
  store.database().Write([&] {
    store.SaveCatalogue(catalogue);
    store.Save(rows);
  });
  if (args.json) {
    const nlohmann::json out{{"catalogue", name}, {"sources", rows.size()}, {"without_flux", file.without_flux}};
    fmt::print("{}\n", out.dump(2));
  } else {
    fmt::print("{}: {}, {} of them without a flux density\n", name,
               Counted(static_cast<std::int64_t>(rows.size()), "source"), file.without_flux);
  }
}

void Info(bool json) {
  state::SourceStore store = OpenToRead();
  std::vector<state::CatalogueRow> catalogues;
  for (const auto& [name, count] : store.Catalogues()) catalogues.push_back(*store.Catalogue(name));
  const auto when = [](const state::CatalogueRow& row) {
    return row.imported_at > 0 ? UtcTime::FromUnix(row.imported_at).Stamp() : std::string();
  };
  if (json) {
    nlohmann::json out = nlohmann::json::array();
    for (const state::CatalogueRow& row : catalogues) {
      const auto original = OriginalPath(CurrentPaths(), row.name, row.sha256);
      out.push_back({{"catalogue", row.name},
                     {"sources", row.sources},
                     {"mission", row.mission},
                     {"file", row.file},
                     {"sha256", row.sha256},
                     {"original", original && IsFile(*original) ? original->string() : ""},
                     {"imported_at", when(row)}});
    }
    fmt::print("{}\n", out.dump(2));
    return;
  }
  if (catalogues.empty()) fmt::print("no catalogue is imported (contimg catalog import)\n");
  for (const state::CatalogueRow& row : catalogues) {
    fmt::print("{:<20} {:>10} sources{}\n", row.name, row.sources,
               row.imported_at > 0 ? fmt::format("  imported {} from {}", when(row), Printable(row.file)) : "");
  }
}

struct ConeArgs {
  std::string ra, dec, radius = "1deg", catalogue, min_flux = "0";
  int limit = 0;
  bool json = false;
};

void Cone(const ConeArgs& args) {
  const auto usage = [](const char* what, const std::string& message) {
    return Error(ErrorKind::kUsage, "catalog", what, message);
  };
  const auto ra_deg = ParseRightAscension(args.ra), dec_deg = ParseDeclination(args.dec);
  if (!ra_deg) {
    throw usage("ra", fmt::format("expected a right ascension, 0 to 360 degrees or hh:mm:ss, found '{}'", args.ra));
  }
  if (!dec_deg) {
    throw usage("dec", fmt::format("expected a declination, -90 to 90 degrees or dd:mm:ss, found '{}'", args.dec));
  }
  const auto radius_deg = ParseQuantity(args.radius, "deg");
  if (!radius_deg || !(*radius_deg > 0 && *radius_deg <= 90)) {
    throw usage("--radius", fmt::format("expected an angle above 0 and up to 90 degrees, found '{}'", args.radius));
  }
  const auto min_flux_jy = ParseQuantity(args.min_flux, "Jy");
  if (!min_flux_jy || *min_flux_jy < 0) {
    throw usage("--min-flux", fmt::format("expected a flux density (0.1, 100mJy), found '{}'", args.min_flux));
  }
  auto matches = OpenToRead().Cone(*ra_deg == 360 ? 0 : *ra_deg, *dec_deg, *radius_deg, args.catalogue, *min_flux_jy);
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
  import_command->add_option("--mission", import->mission, "telescope or survey it is of (default: its own name)");
  import_command->add_flag("--refresh", import->refresh, "also a file that was imported as it is");
  import_command->add_flag("--json", import->json, "print the result as JSON");
  import_command->callback([import] { Import(*import); });

  auto info_json = std::make_shared<bool>(false);
  CLI::App* info = command->add_subcommand("info", "which catalogues are imported");
  info->add_flag("--json", *info_json, "print as JSON");
  info->callback([info_json] { Info(*info_json); });

  auto cone = std::make_shared<ConeArgs>();
  CLI::App* cone_command = command->add_subcommand("cone", "sources around a position, brightest first");
  cone_command->add_option("ra", cone->ra, "right ascension, ICRS: degrees, hh:mm:ss or 13.5h")->required();
  cone_command->add_option("dec", cone->dec, "declination: degrees or dd:mm:ss")->required();
  cone_command->add_option("--radius", cone->radius, "radius (30arcmin, 2deg)")->capture_default_str();
  cone_command->add_option("--catalog", cone->catalogue, "only this catalogue");
  cone_command->add_option("--min-flux", cone->min_flux, "Jy, or with a unit (100mJy)");
  cone_command->add_option("--limit", cone->limit, "at most so many (0: all)")->check(CLI::NonNegativeNumber);
  cone_command->add_flag("--json", cone->json, "print as JSON");
  cone_command->callback([cone] { Cone(*cone); });
}

}  // namespace contimg::ops
