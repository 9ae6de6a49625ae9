// `contimg inspect`: what files hold, and with --validate whether they can be used.
#include <fmt/format.h>

#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "config/text.h"
#include "ops/cli/commands.h"
#include "ops/cli/inspector.h"
#include "ops/cli/program_options.h"

namespace contimg::ops {
namespace {

namespace fs = std::filesystem;

struct InspectArgs {
  std::vector<std::string> files;
  bool json = false;
  bool validate = false;
};

// The first one that recognises a file gets it, so the least particular comes last.
std::vector<const Inspector*> Inspectors() {
  return {&MeasurementSetInspector(), &CalibrationTableInspector(), &SourceTableInspector(), &ImageInspector(),
          &Uvh5Inspector()};
}

const Inspector& InspectorOf(const fs::path& path) {
  for (const Inspector* inspector : Inspectors()) {
    if (inspector->recognises(path)) return *inspector;
  }
  throw Error(fs::exists(path) ? ErrorKind::kBadInput : ErrorKind::kIo, "inspect", path.string(),
              fs::exists(path)
                  ? "expected a UVH5 file, a Measurement Set, a calibration table or an image, found a folder "
                    "that is none of them"
                  : "there is no such file");
}

// Files of one kind are inspected together, because several subbands are also checked as a group.
std::vector<Inspection> InspectAll(const InspectArgs& args) {
  RunContext context;
  context.threads = ThreadsOr(0);
  InspectRequest request;
  request.validate = args.validate;
  request.stamp_tolerance_s = CurrentSettings().values.ingest.stamp_tolerance_s;
  std::vector<Inspection> all;
  for (const Inspector* inspector : Inspectors()) {
    request.files.clear();
    for (const std::string& file : args.files) {
      if (&InspectorOf(file) == inspector) request.files.emplace_back(file);
    }
    if (request.files.empty()) continue;
    for (Inspection& inspection : inspector->inspect(request, context)) all.push_back(std::move(inspection));
  }
  return all;
}

void Run(const InspectArgs& args) {
  std::vector<Inspection> inspections = InspectAll(args);
  if (args.json) {
    nlohmann::json records = nlohmann::json::array();
    for (Inspection& inspection : inspections) {
      if (args.validate) {
        inspection.facts["valid"] = inspection.problems.empty();
        inspection.facts["problems"] = inspection.problems;
      }
      records.push_back(inspection.facts);
    }
    fmt::print("{}\n", records.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    for (const Inspection& inspection : inspections) {
      fmt::print("{}", PrintableLines(inspection.text));
      for (const std::string& problem : inspection.problems) fmt::print("  PROBLEM       {}\n", Printable(problem));
      if (args.validate && inspection.problems.empty()) fmt::print("  valid\n");
    }
  }
  for (const Inspection& inspection : inspections) {
    if (!inspection.problems.empty()) {
      throw Error(ErrorKind::kBadInput, "inspect", inspection.path.string(), inspection.problems.front());
    }
  }
}

}  // namespace

std::string HistoryText(const std::vector<std::string>& history) {
  std::string text;
  for (const std::string& entry : history) {
    std::istringstream lines(entry);
    for (std::string line; std::getline(lines, line);) text += "  history       " + line + "\n";
  }
  return text;
}

std::vector<Inspection> InspectEach(const InspectRequest& request, const std::string& kind,
                                    const std::function<void(Inspection&)>& inspect) {
  std::vector<Inspection> inspections;
  for (const fs::path& path : request.files) {
    Inspection inspection;
    inspection.path = path;
    inspection.facts = {{"kind", kind}, {"path", path.string()}};
    try {
      inspect(inspection);
    } catch (const Error& error) {
      if (!request.validate || error.kind() != ErrorKind::kBadInput) throw;
      if (inspection.text.empty()) inspection.text = Printable(path.string()) + ":\n";
      inspection.problems.push_back(error.message());
    }
    inspections.push_back(std::move(inspection));
  }
  return inspections;
}

void AddInspectCommand(CLI::App& app) {
  auto args = std::make_shared<InspectArgs>();
  CLI::App* command = app.add_subcommand("inspect", "Show what files hold: UVH5, Measurement Sets, tables, images");
  command->add_option("files", args->files, "Files to look at")->required();
  command->add_flag("--json", args->json, "Print one array with a record per file");
  command->add_flag("--validate", args->validate,
                    "Read everything and check it (UVH5: axes, finite values, times, frequencies against the subband "
                    "number, flagged fraction, several files also as one group; others: readable, finite, not all "
                    "flagged or blank); exit status 3 when something is wrong");
  command->callback([args] { Run(*args); });
}

}  // namespace contimg::ops
