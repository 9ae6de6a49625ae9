// Writes a tile as a Measurement Set (MSv2, docs/formats/measurement-set.md). C++17-clean.
//
// casacore makes the tables, all subtables and the small columns; the bulk columns (DATA, FLAG, WEIGHT_SPECTRUM…) get
// a tiled storage manager whose tiles span all channels and polarisations, so that their file is one flat array in row
// order. Those files are then written directly, in parallel, without passing through casacore a second time
// (docs/decisions/0002-direct-tiles.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "ingest/visibility_block.h"

namespace contimg::convert {

// A bulk column's file: row r begins at byte r · bits_per_row / 8.
struct BulkColumn {
  std::filesystem::path file;
  std::size_t bits_per_row = 0;
};

// Where the bulk columns of a freshly made Measurement Set lie. Rows are ordered [time][window][baseline].
struct MeasurementSetLayout {
  std::size_t n_rows = 0;
  std::size_t tile_rows = 0;      // a multiple of 8
  BulkColumn data;                // [channel][pol] complex64
  BulkColumn corrected;           // the same; empty path when not asked for
  BulkColumn flag;                // [channel][pol] bits, lowest bit first
  BulkColumn weight_spectrum;     // [channel][pol] float32
  BulkColumn uvw;                 // [3] float64, metres
  BulkColumn weight, sigma;       // [pol] float32
  BulkColumn antenna1, antenna2;  // int32
  BulkColumn flag_row;            // one bit

  // Those that there are.
  std::vector<BulkColumn*> Columns() {
    std::vector<BulkColumn*> columns{&data,  &flag,     &weight_spectrum, &uvw,     &weight,
                                     &sigma, &antenna1, &antenna2,        &flag_row};
    if (!corrected.file.empty()) columns.push_back(&corrected);
    return columns;
  }
};

struct MeasurementSetHeader {
  std::string field_name;
  std::vector<std::string> history;  // one message a line: versions, settings, inputs
  std::string program;               // "contimg 0.1.0"
  bool corrected_data = false;       // make a CORRECTED_DATA column too
};

// Makes the Measurement Set directory at `path` (which must not exist): all tables with all rows; the bulk columns'
// files have their size and hold zeros (sparse). `block` gives the axes and metadata only; it must know its phase
// centre. All windows of a block have equally many channels. casacore is used by one thread per process: calls are
// serialised inside. Throws Error{kIo}.
MeasurementSetLayout CreateMeasurementSet(const std::filesystem::path& path, const VisibilityBlock& block,
                                          const PhaseCentre& centre, const MeasurementSetHeader& header);

// What a published Measurement Set holds, as read back by casacore: enough to compare with the block.
struct MeasurementSetSample {
  std::size_t n_rows = 0;
  std::size_t row = 0;
  int antenna1 = -1, antenna2 = -1, data_desc_id = -1;
  double time_mjd_s = 0;
  std::vector<double> uvw_m;                   // [3]
  std::vector<std::complex<float>> data;       // [channel][pol]
  std::vector<std::complex<float>> corrected;  // the same; empty when there is no such column
  std::vector<std::uint8_t> flag;              // [channel][pol]
  std::vector<float> weight_spectrum;          // [channel][pol]
};

// Opens the Measurement Set with casacore and reads `rows` back. Throws Error{kIo} when it does not open.
std::vector<MeasurementSetSample> ReadBack(const std::filesystem::path& path, const std::vector<std::size_t>& rows);

}  // namespace contimg::convert
