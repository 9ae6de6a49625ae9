// How `contimg inspect` looks at one kind of file. To teach it another kind, define an Inspector and add it to the list
// in inspect_command.cc.
#pragma once

#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ingest/visibility_block.h"

namespace contimg::ops {

struct InspectRequest {
  std::vector<std::filesystem::path> files;  // all of the inspector's kind
  bool validate = false;
  double stamp_tolerance_s = 60;
};

struct Inspection {
  std::filesystem::path path;
  nlohmann::json facts;               // the record that --json prints
  std::string text;                   // the same for a person, several lines
  std::vector<std::string> problems;  // --validate: reasons not to use the file, one clause each
};

struct Inspector {
  std::string kind;                                  // "uvh5"
  bool (*recognises)(const std::filesystem::path&);  // by content, not by name; does not throw
  // One inspection per file, in order. Throws Error for a file that cannot be read; when validating, files that are
  // bad input have the reason among their problems instead.
  std::vector<Inspection> (*inspect)(const InspectRequest&, const RunContext&);
};

const Inspector& Uvh5Inspector();
const Inspector& MeasurementSetInspector();
const Inspector& CalibrationTableInspector();
const Inspector& SourceTableInspector();
const Inspector& ImageInspector();

// Calls `inspect` for each file of the request and keeps the contract above for files that are bad input.
std::vector<Inspection> InspectEach(const InspectRequest& request, const std::string& kind,
                                    const std::function<void(Inspection&)>& inspect);

// Each line of each entry behind its label: what a history holds is no field of its own.
std::string HistoryText(const std::vector<std::string>& history);

std::string PolarisationName(Polarisation polarisation);  // "XX"

}  // namespace contimg::ops
