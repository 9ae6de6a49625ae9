// Reads any Measurement Set into a VisibilityBlock, and writes columns of it back. C++17-clean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ingest/visibility_block.h"
#include "ingest/visibility_parts.h"

namespace contimg::convert {

struct MeasurementSetField {
  std::string name;
  PhaseCentre centre;    // ICRS
  std::string frame;     // in which PHASE_DIR is given: J2000, ICRS, B1950, ...
  double north_rad = 0;  // position angle, from ICRS north, of that frame's north: the direction of its v
  std::string refusal;   // why the field's data cannot be read; empty: they can
};

struct MeasurementSetWindow {
  std::string name;
  std::size_t n_channels = 0;
  double first_hz = 0, last_hz = 0;  // channel centres, as stored
  double width_hz = 0;
};

// What a Measurement Set holds, without reading visibilities.
struct MeasurementSetInfo {
  std::size_t n_rows = 0;
  double start_mjd_s = 0, end_mjd_s = 0;  // OBSERVATION's TIME_RANGE
  std::string telescope_name;
  std::vector<std::string> antennas;
  std::vector<MeasurementSetField> fields;
  std::vector<MeasurementSetWindow> windows;
  std::vector<Polarisation> polarisations;
  bool has_corrected = false, has_model = false;
  std::vector<std::string> history;
};

struct MeasurementSetSelection {
  std::string column;        // DATA, CORRECTED_DATA, MODEL_DATA; empty: CORRECTED_DATA when present, else DATA
  int field = -1;            // row of FIELD; −1: the only one that has rows
  std::vector<int> windows;  // rows of SPECTRAL_WINDOW; empty: all. Widths must be equal, bands must not overlap
};

// Throws Error{kIo} when the path does not exist or cannot be opened, Error{kBadInput} when it is no Measurement Set.
MeasurementSetInfo DescribeMeasurementSet(const std::filesystem::path& path);

// The axes and metadata of the selected data alone: no visibilities, flags and weights. Throws what ReadMeasurementSet
// throws.
std::unique_ptr<VisibilityBlock> ReadMeasurementSetAxes(const std::filesystem::path& path,
                                                        const MeasurementSetSelection& selection);

// The selected data as one block: kPhased, frequencies ascending, antenna1 <= antenna2 (rows stored the other way round
// are conjugated and their cross hands exchanged). Rows that a (time, baseline, window) lacks are flagged with weight 0
// and marked `absent`. FLAG_ROW counts as FLAG. Weights that are not above 0 or no numbers become 0. data_state follows
// the column. The pointing is the record CONTIMG's, POINTING's or FIELD's, or unknown
// (docs/formats/measurement-set.md). uvw of a centre in B1950, GALACTIC, SUPERGAL or ECLIPTIC are turned to ICRS north.
// Throws Error{kBadInput} when a column or subtable that is needed is absent or damaged, the selection is empty or
// ambiguous, the windows do not form one frequency axis, the phase centre moves or has another frame, two rows are of
// one sample, rows of one time differ in length or in feed, or so few rows exist that the block would be nearly empty
// and large. Error{kBusy} when the set was changed meanwhile.
std::unique_ptr<VisibilityBlock> ReadMeasurementSet(const std::filesystem::path& path,
                                                    const MeasurementSetSelection& selection,
                                                    const RunContext& context);

// The same for those who go through the visibilities and need not hold them: where the set is laid out as contimg lays
// it out, the block has no visibilities (flags and weights it has) and `vis` reads them, in parts of about
// `part_bytes`; elsewhere `vis` refers to those of the block. The set's files stay open; Error{kBusy} comes out of
// `vis` too.
struct TileOfSet {
  std::unique_ptr<VisibilityBlock> block;
  std::unique_ptr<VisibilityParts> vis;
};
// Large enough for many threads, small enough to stay in the caches of larger machines.
inline constexpr std::size_t kPartBytes = std::size_t{64} << 20;
TileOfSet OpenMeasurementSet(const std::filesystem::path& path, const MeasurementSetSelection& selection,
                             const RunContext& context, std::size_t part_bytes = kPartBytes);

// What to write back. Pointers have the shape of block.vis; null: leave as it is.
struct MeasurementSetChanges {
  bool flags = false;                     // FLAG from block.flag, FLAG_ROW where all of a row is flagged
  const Visibility* corrected = nullptr;  // CORRECTED_DATA
  const Visibility* model = nullptr;      // MODEL_DATA
  const float* weight = nullptr;          // WEIGHT_SPECTRUM, WEIGHT and SIGMA
  bool replace = false;                   // an existing CORRECTED_DATA or MODEL_DATA may be overwritten
  std::string application;                // "contimg flag": HISTORY's ORIGIN
  std::vector<std::string> history;       // messages to add
};

// Throws Error{kBadInput} when MAIN is a selection of another set's rows or a concatenation of sets (a reference or a
// concatenated table of casacore), whose columns are those of the other sets: it can be read, not changed. Says nothing
// about a path without a table.
void CheckChangeable(const std::filesystem::path& path);

// Changes columns of a Measurement Set that `block` was read from (the same selection). The change is made on a hidden
// sibling that shares unchanged bulk files by hard links and takes the name's place in one step, so readers see the old
// or the new set and a crash leaves the old one. Rows outside the selection keep their values (a new column starts as a
// copy of DATA for CORRECTED_DATA and as zero for MODEL_DATA). A `path` that is a link stays one: the set it leads to
// is changed. What FLAG_ROW flagged stays flagged, in FLAG too. Callers hold a MeasurementSetLock from before they
// read. Throws what CheckChangeable throws; Error{kUsage} when a column exists and `replace` is not set; Error{kBusy},
// and changes nothing, when another program holds the set's write lock or has changed the set since `block` was read;
// Error{kResource} when the disk has no room.
void UpdateMeasurementSet(const std::filesystem::path& path, const MeasurementSetSelection& selection,
                          const VisibilityBlock& block, const MeasurementSetChanges& changes,
                          const RunContext& context);

}  // namespace contimg::convert
