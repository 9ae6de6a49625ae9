// The first stage of the pipeline: UVH5 subbands in, one published Measurement Set out.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "convert/measurement_set_writer.h"
#include "ingest/uvh5_reader.h"
#include "ingest/visibility_block.h"

namespace contimg::convert {

struct ConvertOptions {
  std::filesystem::path output;                             // the Measurement Set's final name
  std::filesystem::path staging_root = "/dev/shm/contimg";  // where it is put together; empty: beside the output
  std::filesystem::path fallback_root;                      // when that has no room; empty: beside the output
  bool durable = true;                                      // on the disk before it has its final name
  bool verify = true;                                       // read the published set back and compare
  bool checksums = false;                        // of the large files, summed up by the one thread that writes them
  int expected_subbands = 16;                    // to name the missing ones in HISTORY; 0: unknown
  std::optional<PhaseCentre> centre;             // default: the tile's own (convert/phase.h)
  std::filesystem::path earth_orientation_file;  // IERS finals2000A; empty: UT1 = UTC, no polar motion
  std::string program = "contimg";               // name and version, for HISTORY
  std::string settings;                          // one line, for HISTORY
};

// What was done, in figures; seconds are wall-clock.
struct ConvertReport {
  std::filesystem::path output;
  std::string group_id;
  std::string staged_in;
  std::size_t n_rows = 0;
  std::uint64_t input_bytes = 0;
  std::uint64_t output_bytes = 0;
  std::size_t files = 0;
  std::string phases;                 // what the input is phased to, for a person
  std::vector<int> subbands;          // present, ascending; fewer than files when some have no number
  std::vector<int> missing_subbands;  // of 0 … expected − 1
  ingest::ReadReport read;
  PhaseCentre centre;
  double start_mjd_s = 0, end_mjd_s = 0;
  // Phases are rotated while reading, and contimg convert writes DATA then.
  double read_s = 0, write_s = 0, publish_s = 0, verify_s = 0;
  // Of files of the set, by their names in it: their XXH64, when options.checksums.
  std::map<std::string, std::string> checksums;
  std::vector<std::string> warnings;
};

// Reads, phases, stages, publishes and reads back. Errors: kBadInput for damaged or contradictory files, kUsage when
// the output exists, kIo/kResource for disks and memory. Whatever fails, the output name stays free and the staging
// folder is gone; after a kill the next run sweeps it.
ConvertReport ConvertGroup(const std::vector<std::filesystem::path>& inputs, const ConvertOptions& options,
                           const RunContext& context);

// The parts of the above, for jobs that do more between reading and writing.

// Reads the subbands and phases them to one centre.
struct LoadedTile {
  std::unique_ptr<VisibilityBlock> block;
  ConvertReport report;  // filled as far as reading goes
};
// What else is done to the tile meanwhile; any may be null.
struct WhileLoading {
  std::function<void(const VisibilityBlock& block)> begin;  // once the axes are known
  // As in ingest::TileVisitor; phased.
  std::function<void(const VisibilityBlock& block, std::size_t time, std::size_t first_window, std::size_t end_window)>
      placed;
  std::function<void(VisibilityBlock& block, std::size_t time)> time;
};
LoadedTile LoadTile(const std::vector<std::filesystem::path>& inputs, const ConvertOptions& options,
                    const RunContext& context, const WhileLoading& meanwhile = {});

// Writes a phased tile as a Measurement Set and publishes it; `corrected` (same shape as block.vis, or null) becomes
// CORRECTED_DATA. Fills the report's writing figures. convert/staged_measurement_set.h does it in two steps.
void WriteMeasurementSet(const VisibilityBlock& block, const Visibility* corrected, const ConvertOptions& options,
                         const RunContext& context, ConvertReport& report);

// Bytes of the Measurement Set that WriteMeasurementSet makes of a block with these axes.
std::uint64_t MeasurementSetBytes(const VisibilityBlock& block, bool corrected);

}  // namespace contimg::convert
