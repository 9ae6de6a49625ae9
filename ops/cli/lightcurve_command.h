// What the parts of `contimg lightcurve` and `contimg variables` share.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <string>

#include "mosaic/table/table.h"
#include "state/own_source_store.h"
#include "state/source_store.h"

namespace contimg::ops {

std::filesystem::path SourceStorePath();
state::SourceStore SourcesToRead();
bool AreSourcesOnRecord();  // false: no state directory is set, or no source was ever put into it

// A source of our own: its name, that of a catalogue's source that it is, or RA,DEC near which it stands. Throws
// Error{kUsage} when there is none.
state::OwnSourceRow FindOwnSource(state::SourceStore& store, const std::string& text);
// The same; one that only a catalogue knows becomes one of ours, and where RA,DEC is given and nothing stands there, a
// source is made there.
state::OwnSourceRow FindOrMakeOwnSource(state::SourceStore& store, const std::string& text, double now);

// Where a table goes: a file, or standard output as CSV or JSON; else `show` prints it for a person.
struct TableOutput {
  std::string out;
  bool csv = false, json = false, overwrite = false;
  void Add(CLI::App* command);
  void Check() const;  // before anything is computed
  // False: nothing was asked for.
  bool Write(const mosaic::Table& table, const char* rows_name) const;
};

// The table with the program that made it among its facts.
mosaic::Table WithProgram(mosaic::Table table);

void AddLightCurveImport(CLI::App* command);
void AddLightCurveExport(CLI::App* command);
void AddLightCurvePreprocess(CLI::App* command);
void AddLightCurveRecord(CLI::App* command);  // record, forget, normalise, refine, rebuild

}  // namespace contimg::ops
