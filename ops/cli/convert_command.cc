// `contimg convert`: UVH5 subbands to one Measurement Set.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/product_paths.h"
#include "config/time.h"
#include "config/units.h"
#include "convert/convert_stage.h"
#include "convert/frames.h"
#include "ops/base/version.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/setting_options.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct ConvertArgs {
  std::vector<std::string> files;
  std::vector<std::string> group;  // directory, timestamp
  std::string out;
  std::vector<double> centre_deg;
  SettingOptions settings;
  bool no_durable = false;
  bool json = false;
};

// The files of one group: names whose stamp lies within the tolerance of `timestamp`, and of these the ones whose data
// times equal those of the file with the nearest stamp (the stamp is a hint, the data decide).
std::vector<fs::path> FindGroup(const fs::path& directory, const std::string& timestamp, double tolerance_s) {
  const UtcTime wanted = UtcTime::FromPerson("--group", timestamp);
  std::vector<std::pair<double, fs::path>> near;
  std::error_code error;
  fs::directory_iterator entries(directory, error);
  if (error) throw SystemError("convert", directory.string(), "cannot read the directory", error.value());
  for (const auto& entry : entries) {
    const auto name = ParseIncomingName(entry.path());
    if (!name || name->incomplete) continue;
    const double distance = std::abs(UtcTime::FromIso8601(name->timestamp) - wanted);
    if (distance <= tolerance_s) near.emplace_back(distance, entry.path());
  }
  std::sort(near.begin(), near.end());
  if (near.empty()) {
    throw Error(ErrorKind::kBadInput, "convert", directory.string(),
                fmt::format("holds no subband file within {:.0f} s of {}", tolerance_s, timestamp));
  }
  std::vector<fs::path> files;
  std::vector<double> times;
  for (const auto& [distance, path] : near) {
    const ingest::SubbandHeader header = ingest::ReadSubbandHeader(path);
    if (times.empty()) times = header.time_mjd_s;
    // Groups are minutes apart; files of one group agree to the integration.
    if (std::abs(header.time_mjd_s.front() - times.front()) < header.integration_s.front() / 2) files.push_back(path);
  }
  return files;
}

nlohmann::json ToJson(const convert::ConvertReport& r) {
  return {{"output", r.output.string()},
          {"group", r.group_id},
          {"rows", r.n_rows},
          {"subbands", r.subbands},
          {"missing_subbands", r.missing_subbands},
          {"files", r.files},
          {"phases", r.phases},
          {"start", UtcTime::FromMjdSeconds(r.start_mjd_s).Stamp(3)},
          {"end", UtcTime::FromMjdSeconds(r.end_mjd_s).Stamp(3)},
          {"centre_ra_deg", Angle::Radians(r.centre.ra_rad).deg()},
          {"centre_dec_deg", Angle::Radians(r.centre.dec_rad).deg()},
          {"samples", r.read.samples},
          {"non_finite", r.read.non_finite},
          {"no_samples", r.read.no_samples},
          {"absurd_weights", r.read.absurd_weights},
          {"zero", r.read.zero},
          {"flagged_in_file", r.read.flagged_in_file},
          {"input_bytes", r.input_bytes},
          {"output_bytes", r.output_bytes},
          {"staged_in", r.staged_in},
          {"seconds", {{"read", r.read_s}, {"write", r.write_s}, {"publish", r.publish_s}, {"verify", r.verify_s}}},
          {"warnings", r.warnings}};
}

void PrintReport(const convert::ConvertReport& r) {
  fmt::print("{}: {} rows, {}, {:.2f} GB\n", r.output.string(), r.n_rows,
             r.subbands.size() == r.files
                 ? fmt::format("{} subbands", r.files)
                 : fmt::format("{} files, {} with a subband number", r.files, r.subbands.size()),
             static_cast<double>(r.output_bytes) / 1e9);
  if (!r.missing_subbands.empty()) fmt::print("  missing subbands {}\n", fmt::join(r.missing_subbands, ", "));
  fmt::print("  {} to {}, centre RA {:.6f} Dec {:+.6f} deg (ICRS)\n", UtcTime::FromMjdSeconds(r.start_mjd_s).Stamp(),
             UtcTime::FromMjdSeconds(r.end_mjd_s).Stamp(), Angle::Radians(r.centre.ra_rad).deg(),
             Angle::Radians(r.centre.dec_rad).deg());
  fmt::print("  {}\n", r.phases);
  fmt::print("  {} samples: {} not finite, {} without data, {} exactly 0, {} flagged in the input\n", r.read.samples,
             r.read.non_finite, r.read.no_samples, r.read.zero, r.read.flagged_in_file);
  fmt::print("  {:.2f} s: read and phase {:.2f}, write {:.2f}, publish {:.2f}, check {:.2f}; staged in {}\n",
             r.read_s + r.write_s + r.publish_s + r.verify_s, r.read_s, r.write_s, r.publish_s, r.verify_s,
             r.staged_in);
}

void Convert(const ConvertArgs& args) {
  LoadedSettings settings = CurrentSettings();
  args.settings.Apply(settings.values);
  const DirectoryRoots roots = Roots(settings.values);
  std::vector<fs::path> files(args.files.begin(), args.files.end());
  if (!args.group.empty()) {
    if (!files.empty()) {
      throw Error(ErrorKind::kUsage, "convert", "--group", "takes the place of the file names; give one or the other");
    }
    files = FindGroup(args.group[0], args.group[1], settings.values.ingest.stamp_tolerance_s);
  }
  if (files.empty()) throw Error(ErrorKind::kUsage, "convert", "", "name the subband files or a --group");

  convert::ConvertOptions options;
  options.output = args.out;
  options.staging_root = roots.staging;
  if (!roots.tmp.empty()) options.fallback_root = roots.tmp / "staging";
  options.durable = settings.values.convert.durable && !args.no_durable;
  options.verify = settings.values.convert.verify;
  // Files named one by one are all there is; a group of the telescope has as many subbands as the settings say.
  options.expected_subbands = args.group.empty() ? 0 : static_cast<int>(settings.values.ingest.expected_subbands);
  if (!args.centre_deg.empty()) {
    options.centre = PhaseCentre{Angle::Degrees(args.centre_deg[0]).rad(), Angle::Degrees(args.centre_deg[1]).rad()};
  }
  options.earth_orientation_file = settings.values.telescope.earth_orientation_file;
  options.program = std::string("contimg ") + kVersion;
  options.settings = "hash " + SettingsHash(settings.values);

  const auto reporter = MakeConsoleReporter();
  RunContext context;
  context.threads = ThreadsOr(settings.values.convert.threads);
  context.reporter = reporter.get();
  const convert::ConvertReport report = convert::ConvertGroup(files, options, context);
  if (options.earth_orientation_file.empty()) reporter->Warn("convert", convert::kNoEarthOrientation);
  if (args.json) {
    fmt::print("{}\n", ToJson(report).dump(2));
  } else {
    PrintReport(report);
  }
}

}  // namespace

void AddConvertCommand(CLI::App& app) {
  auto args = std::make_shared<ConvertArgs>();
  CLI::App* command = app.add_subcommand(
      "convert", "UVH5 subband files of one group to one Measurement Set, phased to one ICRS centre");
  command->add_option("files", args->files, "subband files of one group, in any order")->type_name("FILE");
  command->add_option("--group", args->group, "find the files of the group at TIMESTAMP in DIR instead")
      ->type_name("DIR TIMESTAMP")
      ->expected(2);
  command->add_option("--out,-o", args->out, "the Measurement Set to make; must not exist")
      ->type_name("X.ms")
      ->required();
  command->add_option("--centre", args->centre_deg, "phase centre in degrees, ICRS (default: the tile's own)")
      ->type_name("RA DEC")
      ->expected(2);
  args->settings.Add(command, "--threads", "convert.threads", "threads (default: all processors)");
  command->add_flag("--no-durable", args->no_durable, "do not wait until the result is safe on the disk");
  command->add_flag("--json", args->json, "print the report as JSON");
  command->callback([args] { Convert(*args); });
}

}  // namespace contimg::ops
