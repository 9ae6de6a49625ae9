// `contimg lightcurve import`: the light curves of others as data sets.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "config/error.h"
#include "config/product_paths.h"
#include "config/settings.h"
#include "config/text.h"
#include "config/time.h"
#include "mosaic/variability/series_file.h"
#include "ops/base/sha256.h"
#include "ops/base/version.h"
#include "ops/cli/keep_original.h"
#include "ops/cli/lightcurve_command.h"
#include "ops/cli/program_options.h"
#include "ops/lightcurves/derived_series.h"
#include "state/dataset_store.h"

namespace contimg::ops {
namespace {

using mosaic::TimeMeaning;

struct SeriesImportArgs {
  std::string file, source, mission, name, photometry = "external", time;
  mosaic::SeriesColumns columns;
  bool refresh = false, json = false;
};

// What the command line, else the file, else the mission says.
TimeMeaning MeaningFor(const SeriesImportArgs& args, const mosaic::Series& series, state::DatasetStore& datasets) {
  if (!args.time.empty()) {
    if (const auto meaning = mosaic::MeaningOfTime(args.time)) return *meaning;
    throw Error(ErrorKind::kUsage, "lightcurve", "--time",
                fmt::format("expected mjd, jd, bmjd, bjd, btjd, bkjd or unix, found '{}'", args.time));
  }
  if (series.meaning) return *series.meaning;
  const auto mission = datasets.Mission(args.mission);
  if (mission && !mission->time_format_name.empty()) {
    return {mission->time_unit, mission->time_epoch, mission->time_epoch_scale, mission->time_epoch_format};
  }
  throw Error(ErrorKind::kUsage, "lightcurve", args.file,
              "does not say what its times are: name them with --time (mjd, jd, bmjd, bjd, btjd, bkjd, unix)");
}

void SaveMissionOf(const SeriesImportArgs& args, const TimeMeaning& meaning, state::DatasetStore& datasets) {
  const auto known = datasets.Mission(args.mission);
  if (known && !known->time_format_name.empty()) return;  // as it was first met
  state::MissionRow mission;
  mission.name = args.mission;
  if (known) mission.description = known->description;
  mission.time_unit = meaning.unit;
  mission.time_epoch = meaning.epoch;
  mission.time_epoch_scale = meaning.scale;
  mission.time_epoch_format = meaning.format;
  mission.time_format_name = args.mission + " time";
  datasets.SaveMission(mission);
}

void ReportImport(const SeriesImportArgs& args, const state::OwnSourceRow& source, const state::DatasetRow& row,
                  std::size_t left_out, bool unchanged) {
  if (args.json) {
    const nlohmann::ordered_json out{{"source", source.name}, {"dataset", row.name},    {"points", row.times.size()},
                                     {"left_out", left_out},  {"mission", row.mission}, {"unit", row.unit},
                                     {"unchanged", unchanged}};
    fmt::print("{}\n", out.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else if (unchanged) {
    fmt::print("{}: this very file was imported before, nothing to do (--refresh reads it again)\n",
               Printable(row.name));
  } else {
    fmt::print("{}: {} of {}, {} without a time, a flux or an error left out\n", Printable(row.name),
               Counted(static_cast<std::int64_t>(row.times.size()), "point"), source.name,
               Counted(static_cast<std::int64_t>(left_out), "row"));
  }
}

// A number that is no date of the time that it is said to be.
void RequireDates(const SeriesImportArgs& args, const TimeMeaning& meaning, const mosaic::Series& series) {
  constexpr double kFirst = 15020, kLast = 88069;  // MJD of 1900 and 2100
  for (const double time : {series.times.front(), series.times.back()}) {
    const double mjd = mosaic::MjdOf(time, meaning);
    if (mjd >= kFirst && mjd <= kLast) continue;
    throw Error(ErrorKind::kBadInput, "lightcurve", args.file,
                fmt::format("expected times from 1900 to 2100, found {}, which would be MJD {}: say what the times are "
                            "with --time (mjd, jd, bmjd, bjd, btjd, bkjd, unix)",
                            time, mjd));
  }
}

void ImportSeries(const SeriesImportArgs& args) {
  const double now = UtcTime::Now().unix_s();
  const std::string sha256 = FileSha256(args.file);
  const mosaic::Series series = mosaic::ReadSeries(args.file, args.columns);
  state::SourceStore store(SourceStorePath());
  state::DatasetStore datasets(store.database());
  state::DatasetRow row;
  row.name = args.name.empty() ? std::filesystem::path(args.file).stem().string() : args.name;
  row.mission = args.mission;
  row.photometry = args.photometry;
  row.unit = series.unit;
  row.input_hash = sha256;
  row.provenance_json = nlohmann::ordered_json{
      {"file", std::filesystem::absolute(args.file).string()},
      {"sha256", sha256},
      {"columns", series.columns},
      {"program", kVersion}}.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  state::OwnSourceRow source;
  bool unchanged = false;
  store.database().Write([&] {
    source = FindOrMakeOwnSource(store, args.source, now);
    row.source_id = source.id;
    if (const auto known = datasets.FindByName(source.id, row.name); known && !args.refresh) {
      unchanged = known->input_hash == sha256;
      if (!unchanged) {
        throw Error(ErrorKind::kUsage, "lightcurve", row.name,
                    fmt::format("{} has a data set of this name from another file: give another --name, or --refresh "
                                "to put this in its place",
                                source.name));
      }
      row = *known;
      return;
    }
    RequireFreeName(row.name, row.photometry);
    const TimeMeaning meaning = MeaningFor(args, series, datasets);
    RequireDates(args, meaning, series);
    SaveMissionOf(args, meaning, datasets);
    datasets.SavePhotometry(args.photometry, "imported");
    row.time_frame = meaning.scale == "tdb" ? "bmjd_tdb" : "utc";
    for (const double time : series.times) row.times.push_back(mosaic::MjdOf(time, meaning));
    row.fluxes = series.fluxes;
    row.errors = series.errors;
    row.flags = series.flags;
    row = datasets.Save(row, {}, now);
  });
  KeepOriginal(ProductPaths(Roots(CurrentSettings().values)), args.mission, args.file, sha256);
  ReportImport(args, source, row, series.left_out, unchanged);
}

}  // namespace

void AddLightCurveImport(CLI::App* command) {
  auto args = std::make_shared<SeriesImportArgs>();
  CLI::App* importing = command->add_subcommand("import", "take a light curve of others as a data set of a source");
  importing->add_option("file", args->file, "CSV, or FITS with a binary table")->type_name("FILE")->required();
  importing->add_option("--source", args->source, "whose it is: a name, here or in a catalogue, or RA,DEC")
      ->type_name("NAME|RA,DEC")
      ->required();
  importing->add_option("--mission", args->mission, "telescope or survey")->required();
  importing->add_option("--name", args->name, "of the data set (default: the file's)");
  importing->add_option("--photometry", args->photometry, "how the fluxes were measured")->capture_default_str();
  importing->add_option("--time", args->time, "what the times are, where the file does not say")
      ->type_name("mjd|jd|bmjd|bjd|btjd|bkjd|unix");
  importing->add_option("--time-column", args->columns.time, "which column has the times");
  importing->add_option("--flux-column", args->columns.flux, "the fluxes");
  importing->add_option("--error-column", args->columns.error, "their errors");
  importing->add_option("--flag-column", args->columns.flags, "quality: what is not 0 becomes the flag manual");
  importing->add_flag("--refresh", args->refresh, "in the place of the data set of that name");
  importing->add_flag("--json", args->json, "print the result as JSON");
  importing->callback([args] { ImportSeries(*args); });
}

}  // namespace contimg::ops
