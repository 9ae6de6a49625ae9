// What `contimg inspect` tells about a UVH5 file beyond its header.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ingest/uvh5_reader.h"

namespace contimg::ingest {

// How one data set of /Data is stored.
struct DataSetFacts {
  std::string name;  // "visdata"
  std::string type;  // "complex float32"
  std::vector<std::uint64_t> shape;
  std::vector<std::uint64_t> chunk;  // empty: not chunked
  std::vector<std::string> filters;  // "deflate"…
  std::uint64_t stored_bytes = 0;
  std::uint64_t chunks = 0, chunks_written = 0;  // 0 when not chunked
};
std::vector<DataSetFacts> DescribeDataSets(const std::filesystem::path& path);

struct AntennaPresence {
  std::vector<std::string> present;  // names of antennas with at least one baseline
  std::size_t absent = 0;            // antennas of the table without
};
AntennaPresence AntennasWithData(const SubbandHeader& header);

// "drift scan, fringes stopped at hour angle 0, declination +16.10000 deg (phase_type = drift)", or where the file is
// phased to and what is known of the dishes.
std::string DescribePhasing(const SubbandHeader& header);

struct Validation {
  ReadReport report;
  double flagged_fraction = 0;  // of all samples, after the reader's own flagging
  double flagged_by_file_fraction = 0;
  std::vector<std::string> problems;  // reasons not to use the file, one clause each
  std::vector<std::string> remarks;   // unusual, but usable
};

struct ValidationLimits {
  double stamp_tolerance_s = 60;  // between the stamp in the name and the start of the data
  double most_flagged_fraction = 0.95;
};

// Reads all samples. Problems: the frequencies contradict the subband number, the data time is far from the stamp in
// the file's name, times are unevenly spaced, nearly everything is flagged or without data. Remarks: non-finite
// samples, storage that was never written, clamped weights, a strange name. Throws what ReadTile throws.
Validation ValidateSubband(const SubbandHeader& header, const ValidationLimits& limits, const RunContext& context);

}  // namespace contimg::ingest
