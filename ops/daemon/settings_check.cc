#include "ops/daemon/settings_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <numbers>

#include "calibrate/flag_aoflagger.h"
#include "calibrate/flag_tile.h"
#include "config/error.h"
#include "config/machine.h"
#include "config/os.h"
#include "config/product_paths.h"
#include "convert/frames.h"
#include "image/image_plan.h"
#include "image/products/fits_image.h"
#include "image/response/primary_beam.h"
#include "image/response/source_catalogue.h"
#include "ops/http/http_server.h"
#include "state/schema/schemas.h"
#include "state/source_store.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

constexpr double kSoonDays = 14;  // an Earth-orientation table that ends so soon is worth a word

class Checker {
 public:
  Checker(const LoadedSettings& loaded, UtcTime now, CheckDepth depth)
      : loaded_(loaded), s_(loaded.values), now_(now), depth_(depth) {}

  SettingsFindings Run() {
    Flagging();
    Calibration();
    Imaging();
    EarthOrientation();
    if (s_.http.enabled) Try("http.listen", [&] { CheckListen(s_.http.listen); });
    Try("http.allowed_hosts", [&] { ParseHosts(s_.http.allowed_hosts); });
    return std::move(found_);
  }

 private:
  // "key = 'value' (CONTIMG_X)".
  std::string Named(std::string_view key) const {
    const SettingInfo* info = FindSetting(key);
    const auto& origin = loaded_.origins[static_cast<std::size_t>(info - AllSettings().data())];
    return fmt::format("{} = '{}'{}", key, ToText(s_, *info),
                       origin.source.empty() ? "" : fmt::format(" ({})", origin.source));
  }

  // Runs a job's own parser on a setting; what it throws becomes an error.
  template <typename Parse>
  bool Try(std::string_view key, const Parse& parse) {
    try {
      parse();
      return true;
    } catch (const Error& error) {
      // The parser names the setting, or the file that the setting names.
      const bool of_key = error.subject() == key || error.subject() == ToText(s_, *FindSetting(key));
      found_.errors.push_back(fmt::format("{}: {}", Named(key), of_key ? error.message() : error.what()));
      return false;
    }
  }

  // A file that a setting names, read by `read`. A relative name would mean another file to every program.
  template <typename Read>
  bool TryFile(std::string_view key, const std::string& name, const Read& read) {
    if (name.empty()) return false;
    std::error_code error;
    if (!fs::exists(name, error)) {
      found_.errors.push_back(fmt::format("{}: {}", Named(key),
                                          error ? "the file cannot be looked at: " + error.message()
                                                : std::string("expected a file and there is none")));
      return false;
    }
    if (fs::path(name).is_relative()) {
      found_.warnings.push_back(fmt::format(
          "{}: is looked for from the directory in which each program is started; write the whole path", Named(key)));
    }
    return Try(key, read);
  }

  void Flagging() {
    Try("flag.bad_bands_mhz", [&] { calibrate::ParseBands(s_.flag.bad_bands_mhz); });
    const bool aoflagger = s_.flag.enabled && s_.flag.engine == "aoflagger";
    if (!aoflagger) {
      if (!s_.flag.strategy_file.empty()) {
        found_.warnings.push_back(
            fmt::format("{}: is not used, as it is for flag.engine = aoflagger alone", Named("flag.strategy_file")));
      }
      return;
    }
    const auto load = [&] {
      if (depth_ == CheckDepth::kAll) calibrate::CheckAoflagger(s_.flag);
    };
    if (s_.flag.strategy_file.empty()) {
      Try("flag.engine", load);
    } else {
      TryFile("flag.strategy_file", s_.flag.strategy_file, load);
    }
  }

  void Calibration() {
    const std::string& names = s_.calibrate.reference_antennas;
    const bool good = std::all_of(names.begin(), names.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 ||
             std::string_view("_-.:+/, ").find(c) != std::string::npos;
    });
    if (!good) {
      found_.errors.push_back(
          fmt::format("{}: expected names of antennas separated by commas", Named("calibrate.reference_antennas")));
    }
    if (!s_.calibrate.schedule || s_.paths.state_dir.empty()) return;
    const fs::path sources = ProductPaths(Roots(s_)).Database(StateDatabase::kMasterSources);
    bool known = false;
    try {
      if (Exists(sources)) {
        state::DatabaseOptions look = state::DatabaseOptions::ForOneLook();
        look.any_version = true;
        state::SourceStore store(sources, look);
        // An older one is brought up to date when the service starts: until then it is not asked.
        known = store.database().version() < static_cast<int>(state::MasterSourcesSchema().migrations.size()) ||
                !store.Catalogues().empty();
      }
    } catch (const std::exception& error) {
      found_.warnings.emplace_back(error.what());
      return;
    }
    if (!known) {
      found_.warnings.emplace_back(
          "no source catalogue is imported: only flux standards in the beam can be solved on (contimg catalog import "
          "nvss FILE)");
    }
  }

  void Imaging() {
    if (!s_.image.enabled) return;
    const ImageSettings& image = s_.image;
    try {
      image::CheckImageSettings(image);
      MemoryRoom room = AvailableMemory();
      const auto limit = static_cast<std::uint64_t>(s_.executor.memory_bytes);
      if (limit > 0 && limit < room.bytes) room = {limit, "for one worker (executor.memory_bytes)"};
      Try("image.size", [&] { image::CheckMemory(image::PlainGeometry(image), image, room); });
    } catch (const Error& error) {
      // Files are read below, which says more.
      const SettingInfo* named = FindSetting(error.subject());
      const bool file =
          named != nullptr && named->name.size() > 5 && named->name.substr(named->name.size() - 5) == "_file";
      if (named != nullptr && !file)
        found_.errors.push_back(fmt::format("{}: {}", Named(named->key()), error.message()));
      if (named == nullptr) found_.errors.emplace_back(error.what());
    }
    TryFile("image.mask_file", image.mask_file, [&] { image::ReadFitsImage(image.mask_file); });
    TryFile("image.catalogue_file", image.catalogue_file,
            [&] { image::ReadCatalogue(image.catalogue_file, {}, 2 * std::numbers::pi); });
    const std::string beam = FindBeamFile(image.beam_file, s_);
    TryFile("image.beam_file", beam, [&] { image::BeamModel::FromFile(beam); });
    if (!beam.empty() && s_.telescope.beam == "none") {
      found_.warnings.push_back(fmt::format("{}: is not used, as telescope.beam is none", Named("image.beam_file")));
    }
  }

  void EarthOrientation() {
    constexpr std::string_view kKey = "telescope.earth_orientation_file";
    convert::EarthOrientationTable table;
    if (!TryFile(kKey, s_.telescope.earth_orientation_file,
                 [&] { table = convert::EarthOrientationTable::Load(s_.telescope.earth_orientation_file); })) {
      return;
    }
    const std::string span =
        fmt::format("{}: reaches from {} to {}", Named(kKey), table.First().Date(), table.Last().Date());
    if (now_ > table.Last() || now_ < table.First()) {
      found_.outdated.push_back(
          fmt::format("{}, and groups of today ({}) would fail: get a newer finals2000A table", span, now_.Date()));
    } else if (table.Last() - now_ < kSoonDays * kSecondsPerDay) {
      found_.warnings.push_back(fmt::format("{}: groups after that fail; get a newer finals2000A table before", span));
    }
  }

  const LoadedSettings& loaded_;
  const Settings& s_;
  UtcTime now_;
  CheckDepth depth_;
  SettingsFindings found_;
};

}  // namespace

std::vector<std::string> ParseHosts(const std::string& names) {
  std::vector<std::string> hosts;
  for (std::size_t at = 0; at <= names.size();) {
    const std::size_t end = std::min(names.find(',', at), names.size());
    std::string name = names.substr(at, end - at);
    at = end + 1;
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!name.empty() && blank(name.back())) name.pop_back();
    while (!name.empty() && blank(name.front())) name.erase(0, 1);
    if (name.empty()) continue;
    const bool good = name == "*" || std::all_of(name.begin(), name.end(), [](char c) {
                        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.' || c == '_';
                      });
    if (!good) {
      throw Error(ErrorKind::kUsage, "http", "http.allowed_hosts",
                  fmt::format("expected names of hosts without port, separated by commas, and found '{}'", name));
    }
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    hosts.push_back(std::move(name));
  }
  return hosts;
}

SettingsFindings CheckSettings(const LoadedSettings& loaded, UtcTime now, CheckDepth depth) {
  return Checker(loaded, now, depth).Run();
}

void RequireWorkable(const SettingsFindings& findings, const SayFinding& say) {
  for (const std::string& warning : findings.warnings) say(false, warning);
  std::vector<std::string> wrong = findings.errors;
  wrong.insert(wrong.end(), findings.outdated.begin(), findings.outdated.end());
  if (wrong.empty()) return;
  for (std::size_t i = 0; i + 1 < wrong.size(); ++i) say(true, wrong[i]);
  throw Error(ErrorKind::kUsage, "config", "", wrong.back());
}

std::string FindBeamFile(const std::string& name, const Settings& settings) {
  std::error_code ignored;
  if (name.empty() || fs::path(name).has_parent_path() || fs::exists(name, ignored)) return name;
  if (settings.paths.scratch_dir.empty()) return name;
  const fs::path known = ProductPaths(Roots(settings)).Static("beam-model") / name;
  return fs::exists(known, ignored) ? known.string() : name;
}

}  // namespace contimg::ops
