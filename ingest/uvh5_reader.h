// Reads the UVH5 files that the DSA-110 correlator and pyuvdata write. docs/formats/uvh5.md describes the format.
//
// All functions throw Error{kBadInput} naming the file, what was expected and what was found when a file is damaged or
// contradicts itself or its group, Error{kIo} when it cannot be read, and Error{kBusy} while an HDF5 writer has it
// open. HDF5 is used by one thread at a time (a process-wide lock inside); the bulk of the data is read past the
// library, in parallel.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/run_context.h"
#include "ingest/visibility_block.h"

namespace contimg::ingest {

// What the visibility phases of a file refer to.
struct PhaseReference {
  bool sidereal = false;  // false: hour angle 0 and the pointing's apparent declination, at every integration
  PhaseCentre centre;     // sidereal only, as the next
  // Where the writer's phase centre stood at each time (LST − phase_center_app_ra, phase_center_app_dec). Empty when
  // the header does not say it: the apparent place of `centre`.
  std::vector<ApparentPlace> place;
  std::string source;  // what said so: "phase_type = drift", "phase_center_catalog: sidereal 'target'"
};

// Everything about one subband file except its samples.
struct SubbandHeader {
  std::filesystem::path path;
  // From the file's name …_sbNN.hdf5; else the one subband of the DSA-110 that the frequencies fill.
  std::optional<int> subband;
  bool subband_in_name = false;
  std::uint64_t file_size = 0;

  std::vector<double> time_mjd_s;        // UTC, middle of the integration, one per integration, strictly ascending
  std::vector<double> integration_s;     // per integration
  std::vector<Baseline> baselines;       // antenna-table indices, antenna1 <= antenna2, sorted by (antenna1, antenna2)
  std::vector<std::size_t> file_row;     // per baseline: its row within each integration of the file
  std::vector<std::uint8_t> conjugated;  // per baseline: 1 when the file has antenna1 > antenna2
  std::vector<double> frequency_hz;      // ascending; the file's order is in `descending`
  bool descending = false;
  double channel_width_hz = 0;                 // positive
  std::vector<Polarisation> polarisations;     // order of VisibilityBlock
  std::vector<std::size_t> file_polarisation;  // position in the file of each of them

  AntennaTable antennas;
  ArraySite site;
  double tilt_rad = 0;  // of the plane in which the antennas lie against the horizon of the site; 0: no such plane
  PhaseReference phase;
  bool knows_pointing = true;    // false: data phased to the sky by a writer that does not say where the dishes stood
  double app_dec_rad = 0;        // apparent declination of the pointing on the meridian, when known
  std::optional<double> dut1_s;  // UT1 − UTC as the writer took it, when the header says it (0 says nothing)
  std::string vis_units;         // "Jy"; "": uncalibrated
  std::string telescope_name, instrument, object_name, history;
  std::vector<std::string> extra_keywords;  // "key = value"

  std::size_t n_rows() const { return time_mjd_s.size() * baselines.size(); }
  double start_mjd_s() const { return time_mjd_s.front() - integration_s.front() / 2; }
  double end_mjd_s() const { return time_mjd_s.back() + integration_s.back() / 2; }
};

// Reads and checks the header: data sets present, ranks, types, axes that agree with each other and with the shapes of
// /Data, antenna indices in range, times ascending, frequencies evenly spaced. Does not touch the samples.
SubbandHeader ReadSubbandHeader(const std::filesystem::path& path);

struct ReadReport {
  std::size_t samples = 0;          // all of them
  std::size_t non_finite = 0;       // samples that were NaN or infinite: now flagged and zero
  std::size_t no_samples = 0;       // samples with nsamples <= 0 or not finite: now flagged with weight 0
  std::size_t zero = 0;             // samples of exactly 0 that claim to hold data: never written; now flagged
  std::size_t flagged_in_file = 0;  // samples that the file itself flags
  std::size_t flagged = 0;          // samples flagged now, for any of the reasons above
  std::size_t absurd_weights = 0;   // above WeightLimit (ingest/absurd_weights.h): now flagged with weight 0
  std::size_t clamped = 0;          // weights of the last integration that exceeded those of all others
  double max_nsamples = 0;          // the largest weight
};

struct TileInput {
  std::unique_ptr<VisibilityBlock> block;  // kMeridian or kSidereal, kRaw
  ReadReport report;
  std::string phases;            // DescribePhasing (ingest/uvh5_inspect.h)
  std::optional<double> dut1_s;  // of the headers that say it
};

// Checks that the headers belong to one group: time axes (to 1 ms: a file rewritten by other software may differ in the
// last bits), baselines, antenna tables, polarisations, phase reference, declination, units and UT1 − UTC equal;
// subband numbers distinct and frequency falling strictly as the number rises; equal widths, no overlap; the DSA-110
// channel grid when the channel width is a multiple of 244140.625 Hz or divides it. Returns the positions of `headers`
// in ascending frequency.
std::vector<std::size_t> CheckGroup(const std::vector<SubbandHeader>& headers);

// Who works on a tile while it is read, by several threads at once and in no order. Each function may be null.
struct TileVisitor {
  // Each row on its way to its place in `block`, while it is in the processor's cache: `vis`, all channels and
  // polarisations of `window`, may be changed.
  std::function<void(const VisibilityBlock& block, std::size_t time, std::size_t baseline, std::size_t window,
                     Visibility* vis)>
      row;
  // Windows of a time whose rows are in their place: all of them at once, one time after the other; one by one where
  // files are loaded one after the other because they are not in the page cache. From several threads at once. The
  // visibilities stay as they are, flags and weights may not.
  std::function<void(const VisibilityBlock& block, std::size_t time, std::size_t first_window, std::size_t end_window)>
      placed;
  // Each time, once `placed` has returned for all its windows.
  std::function<void(VisibilityBlock& block, std::size_t time)> time;
};
// Called once all but the samples, and of the report, is known.
using PrepareVisitor = std::function<TileVisitor(const TileInput& tile)>;

// Reads a whole group into memory: subbands in any order, one or more, on `context.threads` threads. `prepare` may be
// null.
TileInput ReadTile(const std::vector<std::filesystem::path>& paths, const RunContext& context,
                   const PrepareVisitor& prepare = nullptr);

}  // namespace contimg::ingest
