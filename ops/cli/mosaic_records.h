// `contimg mosaic` on what is on record.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

namespace contimg::ops {

// list, show, why.
void AddMosaicRecords(CLI::App* command);

// --state: a deep co-add of tiles on record at one sidereal time.
struct DeepArgs {
  bool asked = false;
  std::string lst, since;
  double strip_deg = 1000;  // 1000: the only one
  int days = 0;             // 0: all
};
void AddDeepOptions(CLI::App* command, DeepArgs& args);
// Throws Error{kUsage} unless --state is given with --lst, and for options that say nothing without it.
void CheckDeepOptions(const DeepArgs& args);
void MakeDeepMosaic(const DeepArgs& args, double max_scale_error, int threads, bool json);

}  // namespace contimg::ops
