// ReadSubbandHeader: the axes and tables of one file, checked against each other.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <regex>
#include <unordered_map>

#include "config/os.h"
#include "config/robust_statistics.h"
#include "config/time.h"
#include "ingest/hdf5_access.h"
#include "ingest/sample_types.h"
#include "ingest/uvh5_header_parts.h"
#include "ingest/uvh5_reader.h"

namespace contimg::ingest {

void CheckRank1(const Hdf5Group& group, const std::string& name, const Shape& shape, std::size_t expected,
                const std::string& what) {
  if (shape.size() != 1) {
    throw group.Bad(name, fmt::format("has the wrong rank: expected ({}), found {}", what, ToString(shape)));
  }
  if (shape[0] != expected) {
    throw group.Bad(name, fmt::format("has the wrong length: expected {} = {}, found {}", what, expected, shape[0]));
  }
}

void CheckCount(const Hdf5Group& group, const std::string& name, std::size_t found, const std::string& what) {
  if (!group.Has(name)) return;
  const std::int64_t stated = group.Integer(name);
  if (stated < 0 || static_cast<std::size_t>(stated) != found) {
    throw group.Bad(name, fmt::format("is {}, but {} {}", stated, what, found));
  }
}

namespace {

// Rows belong to one integration when their times differ by less: Julian Dates resolve 40 µs.
constexpr double kSameIntegrationS = 1e-3;
// How far integration times may be from the spacing of the times: real data have dead times and rounded durations.
constexpr double kDurationTolerance = 0.2;
// |UT1 − UTC| stays below 0.9 s.
constexpr double kMostDut1S = 1;
// Frequencies and widths agree when they differ by less than this fraction of a channel.
constexpr double kChannelTolerance = 1e-3;

std::optional<int> SubbandOfName(const std::filesystem::path& path) {
  static const std::regex pattern(R"(_sb(\d{1,3})(\.[A-Za-z0-9]+)?$)");
  const std::string name = path.filename().string();
  std::smatch match;
  if (!std::regex_search(name, match, pattern)) return std::nullopt;
  return std::stoi(match[1]);
}

void ReadFrequencies(const Hdf5Group& group, SubbandHeader& header) {
  Shape shape;
  std::vector<double> frequency = group.Doubles("freq_array", &shape);
  const bool one_window = shape.size() == 2 && shape[0] == 1;
  if (shape.size() != 1 && !one_window) {
    throw group.Bad("freq_array",
                    fmt::format("has the wrong shape: expected (Nfreqs) or (1, Nfreqs), found {}", ToString(shape)));
  }
  const std::size_t n = frequency.size();
  if (n == 0) throw group.Bad("freq_array", "is empty");
  CheckCount(group, "Nfreqs", n, "freq_array holds");
  for (const double hz : frequency) {
    if (!std::isfinite(hz) || hz <= 0)
      throw group.Bad("freq_array", fmt::format("expected positive frequencies, found {}", hz));
  }
  header.descending = n > 1 && frequency[1] < frequency[0];
  if (header.descending) std::reverse(frequency.begin(), frequency.end());

  const std::vector<double> widths = group.Doubles("channel_width");
  if (widths.size() != 1 && widths.size() != n) {
    throw group.Bad("channel_width", fmt::format("has the wrong length: expected 1 or {}, found {}", n, widths.size()));
  }
  header.channel_width_hz = std::abs(widths[0]);
  if (!std::isfinite(widths[0]) || header.channel_width_hz == 0) {
    throw group.Bad("channel_width", fmt::format("expected a width, found {}", widths[0]));
  }
  const double tolerance = kChannelTolerance * header.channel_width_hz;
  for (const double width : widths) {
    if (!(std::abs(std::abs(width) - header.channel_width_hz) <= tolerance)) {
      throw group.Bad("channel_width", fmt::format("expected one width, found {} and {} Hz", widths[0], width));
    }
  }
  for (std::size_t k = 0; k < n; ++k) {
    const double expected = frequency[0] + static_cast<double>(k) * header.channel_width_hz;
    if (!(std::abs(frequency[k] - expected) <= tolerance * static_cast<double>(n))) {
      throw group.Bad(
          "freq_array",
          fmt::format("expected channels evenly spaced by channel_width = {} Hz, found {} Hz where {} Hz belongs",
                      header.channel_width_hz, frequency[k], expected));
    }
  }
  header.frequency_hz = std::move(frequency);
}

// Rank in ascending CASA order (RR RL LR LL, XX XY YX YY) for the codes of AIPS; −1 for what is not accepted.
int CasaRank(std::int64_t code) {
  switch (code) {
    case -1:
    case -5:
      return 0;
    case -3:
    case -7:
      return 1;
    case -4:
    case -8:
      return 2;
    case -2:
    case -6:
      return 3;
    default:
      return -1;
  }
}

void ReadPolarisations(const Hdf5Group& group, SubbandHeader& header) {
  Shape shape;
  const std::vector<std::int64_t> codes = group.Integers("polarization_array", &shape);
  const std::string expected = "expected -5,-6 (XX,YY) or -1,-2 (RR,LL), with or without the cross products";
  if (shape.size() != 1)
    throw group.Bad("polarization_array",
                    fmt::format("has the wrong rank: expected (Npols), found {}", ToString(shape)));
  CheckCount(group, "Npols", codes.size(), "polarization_array holds");
  std::vector<std::size_t> order(codes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (const std::int64_t code : codes) {
    if (CasaRank(code) < 0)
      throw group.Bad("polarization_array", fmt::format("holds an unknown polarisation: {}, found {}", expected, code));
  }
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return CasaRank(codes[a]) < CasaRank(codes[b]); });
  bool complete = codes.size() == 2 || codes.size() == 4;
  for (std::size_t i = 0; complete && i < order.size(); ++i) {
    const int rank = codes.size() == 2 ? static_cast<int>(3 * i) : static_cast<int>(i);
    complete = CasaRank(codes[order[i]]) == rank && (codes[order[i]] <= -5) == (codes[0] <= -5);
  }
  if (!complete)
    throw group.Bad("polarization_array",
                    fmt::format("is not a set of products: {}, found {}", expected, fmt::join(codes, ",")));
  header.file_polarisation = order;
  for (const std::size_t position : order) header.polarisations.push_back(static_cast<Polarisation>(codes[position]));
}

// Durations that contradict the times at which they lie: smearing, exposures and the tile's ends come from them. None
// is longer than the times are apart, and most are not much shorter; gaps and a short integration at an end are sound.
void CheckDurations(const Hdf5Group& group, const SubbandHeader& header) {
  std::vector<double> steps;
  for (std::size_t t = 1; t < header.time_mjd_s.size(); ++t) {
    steps.push_back(header.time_mjd_s[t] - header.time_mjd_s[t - 1]);
  }
  if (steps.empty()) return;
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>((steps.size() - 1) / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  const double spacing = *middle;
  const double longest = *std::max_element(header.integration_s.begin(), header.integration_s.end());
  const double usual = Median(header.integration_s);
  const double wrong = longest > (1 + kDurationTolerance) * spacing ? longest : usual;
  if (wrong <= (1 + kDurationTolerance) * spacing && wrong >= (1 - kDurationTolerance) * spacing) return;
  throw group.Bad("integration_time", fmt::format("is {:.6g} s, but time_array has times {:.6g} s apart: expected "
                                                  "durations that fill the steps to {:.0f} %; correct the one that is "
                                                  "wrong",
                                                  wrong, spacing, 100 * kDurationTolerance));
}

// Groups the rows into integrations: fills time_mjd_s, integration_s; returns the number of rows of each integration.
std::size_t ReadTimes(const Hdf5Group& group, std::size_t n_rows, SubbandHeader& header) {
  Shape shape;
  const std::vector<double> time_jd = group.Doubles("time_array", &shape);
  CheckRank1(group, "time_array", shape, n_rows, "Nblts");
  if (group.Open("time_array").getDataType().getSize() < sizeof(double)) {
    throw group.Bad("time_array",
                    "has the wrong type: expected 64-bit numbers, which Julian Dates need, found a shorter one");
  }
  std::vector<double> integration = group.Doubles("integration_time", &shape);
  if (integration.size() == 1) integration.assign(n_rows, integration[0]);
  if (integration.size() != n_rows) CheckRank1(group, "integration_time", shape, n_rows, "Nblts");

  std::size_t rows_per_time = 0;
  for (std::size_t row = 0; row < n_rows; ++row) {
    if (!std::isfinite(time_jd[row]) || !(time_jd[row] > 2400000.5 && time_jd[row] < 2500000.5)) {
      throw group.Bad("time_array", fmt::format("expected Julian Dates between 1858 and 2132, found {} in row {}",
                                                time_jd[row], row));
    }
    const double time = UtcTime::FromJd(time_jd[row]).mjd_s();
    if (row == 0 || std::abs(time - header.time_mjd_s.back()) > kSameIntegrationS) {
      if (!(integration[row] > 0 && integration[row] < kSecondsPerDay)) {
        throw group.Bad("integration_time", fmt::format("expected seconds, found {}", integration[row]));
      }
      if (row > 0 && time < header.time_mjd_s.back()) {
        throw group.Bad(
            "time_array",
            fmt::format("expected times that ascend, all rows of one time together; row {} steps back by {:.3f} s "
                        "(pyuvdata: UVData.reorder_blts(order='time'))",
                        row, header.time_mjd_s.back() - time));
      }
      if (header.time_mjd_s.size() == 1) rows_per_time = row;
      header.time_mjd_s.push_back(time);
      header.integration_s.push_back(integration[row]);
    }
    if (!(std::abs(integration[row] - header.integration_s.back()) <= 1e-6 * header.integration_s.back())) {
      throw group.Bad("integration_time", fmt::format("expected one duration per time, found {} and {} s",
                                                      header.integration_s.back(), integration[row]));
    }
  }
  if (header.time_mjd_s.size() == 1) rows_per_time = n_rows;
  const std::size_t n_times = header.time_mjd_s.size();
  CheckCount(group, "Ntimes", n_times, "the number of times in time_array is");
  if (rows_per_time * n_times != n_rows) {
    throw group.Bad("time_array",
                    fmt::format("expected the same number of rows at every time, found {} rows for {} times of {}",
                                n_rows, n_times, rows_per_time));
  }
  for (std::size_t t = 0; t < n_times; ++t) {  // every integration is exactly rows_per_time long
    const double first = UtcTime::FromJd(time_jd[t * rows_per_time]).mjd_s();
    const double last = UtcTime::FromJd(time_jd[(t + 1) * rows_per_time - 1]).mjd_s();
    if (std::abs(first - header.time_mjd_s[t]) > kSameIntegrationS ||
        std::abs(last - header.time_mjd_s[t]) > kSameIntegrationS) {
      throw group.Bad("time_array",
                      fmt::format("expected {} rows at every time, found another number at time {}", rows_per_time, t));
    }
  }
  CheckDurations(group, header);
  return rows_per_time;
}

void ReadBaselines(const Hdf5Group& group, const std::vector<std::int64_t>& ant_1,
                   const std::vector<std::int64_t>& ant_2, std::size_t rows_per_time, SubbandHeader& header) {
  std::unordered_map<std::int64_t, int> index_of_number;
  for (std::size_t a = 0; a < header.antennas.size(); ++a) {
    if (!index_of_number.emplace(header.antennas.numbers[a], static_cast<int>(a)).second) {
      throw group.Bad("antenna_numbers",
                      fmt::format("expected distinct numbers, found {} twice", header.antennas.numbers[a]));
    }
  }
  const auto index = [&](const char* name, std::int64_t number, std::size_t row) {
    const auto found = index_of_number.find(number);
    if (found == index_of_number.end()) {
      throw group.Bad(
          name,
          fmt::format("holds an antenna index out of range: expected one of the {} antenna_numbers, found {} in row {}",
                      header.antennas.size(), number, row));
    }
    return found->second;
  };
  struct Row {
    Baseline baseline;
    std::size_t row;
    bool conjugated;
  };
  std::vector<Row> rows;
  rows.reserve(rows_per_time);
  for (std::size_t row = 0; row < rows_per_time; ++row) {
    const int a1 = index("ant_1_array", ant_1[row], row);
    const int a2 = index("ant_2_array", ant_2[row], row);
    rows.push_back({{std::min(a1, a2), std::max(a1, a2)}, row, a1 > a2});
  }
  for (std::size_t row = rows_per_time; row < ant_1.size(); ++row) {
    const std::size_t first = row % rows_per_time;
    if (ant_1[row] == ant_1[first] && ant_2[row] == ant_2[first]) continue;
    index("ant_1_array", ant_1[row], row);
    index("ant_2_array", ant_2[row], row);
    throw group.Bad(
        "ant_1_array",
        fmt::format("expected the same baselines at every time, found {}-{} in row {} where the first time has {}-{}",
                    ant_1[row], ant_2[row], row, ant_1[first], ant_2[first]));
  }
  const auto key = [](const Row& r) { return std::pair(r.baseline.antenna1, r.baseline.antenna2); };
  std::sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) { return key(a) < key(b); });
  for (std::size_t b = 0; b < rows.size(); ++b) {
    if (b > 0 && key(rows[b]) == key(rows[b - 1])) {
      throw group.Bad("ant_1_array",
                      fmt::format("expected each baseline once per time, found antennas {} and {} twice",
                                  header.antennas.names[static_cast<std::size_t>(rows[b].baseline.antenna1)],
                                  header.antennas.names[static_cast<std::size_t>(rows[b].baseline.antenna2)]));
    }
    header.baselines.push_back(rows[b].baseline);
    header.file_row.push_back(rows[b].row);
    header.conjugated.push_back(rows[b].conjugated ? 1 : 0);
  }
  CheckCount(group, "Nbls", rows_per_time, "the number of baselines in ant_1_array is");
}

// What else the header says of its numbers: a statement that asks for another reading than ours is no remark.
void ReadStatements(const Hdf5Group& group, SubbandHeader& header) {
  const std::string timesys = group.StringOrEmpty("timesys");
  if (!timesys.empty() && timesys != "UTC") {
    throw group.Bad("timesys", fmt::format("is {}: expected UTC; convert time_array and say so", timesys));
  }
  header.vis_units = group.StringOrEmpty("vis_units");
  if (header.vis_units == "uncalib") header.vis_units.clear();
  if (!header.vis_units.empty() && header.vis_units != "Jy") {
    throw group.Bad("vis_units",
                    fmt::format("is {}: expected uncalib or Jy; write the visibilities in janskys", header.vis_units));
  }
  CheckCount(group, "Nspws", 1, "spectral windows in one file can only be");
  if (group.HasValue("flex_spw") && group.Boolean("flex_spw")) {
    throw group.Bad("flex_spw",
                    "is true: expected one spectral window in a file; write one file per window (pyuvdata: "
                    "UVData.select(spws=…))");
  }
  if (group.HasValue("dut1")) {
    const double dut1 = group.Double("dut1");
    if (!(std::abs(dut1) < kMostDut1S)) {
      throw group.Bad("dut1", fmt::format("is {}: expected UT1 - UTC in seconds, below {} s", dut1, kMostDut1S));
    }
    if (dut1 != 0) header.dut1_s = dut1;  // 0 is what writers put where they know none
  }
}

void ReadExtraKeywords(const H5::H5File& file, const Hdf5Group& group, SubbandHeader& header) {
  if (!group.Has("extra_keywords")) return;
  const Hdf5Group extra(file, group.path(), "Header/extra_keywords");
  for (const std::string& name : extra.MemberNames()) {
    const H5::DataSet data_set = extra.Open(name);
    const H5T_class_t kind = data_set.getTypeClass();
    if (data_set.getSpace().getSimpleExtentNpoints() != 1) continue;
    if (kind == H5T_STRING) header.extra_keywords.push_back(name + " = " + extra.String(name));
    if (kind == H5T_INTEGER) header.extra_keywords.push_back(fmt::format("{} = {}", name, extra.Integer(name)));
    if (kind == H5T_FLOAT) header.extra_keywords.push_back(fmt::format("{} = {}", name, extra.Double(name)));
  }
}

// The shapes of the three data sets of /Data against the axes of the header.
void CheckDataShapes(const H5::H5File& file, const SubbandHeader& header) {
  const Hdf5Group data(file, header.path, "Data");
  CheckSampleTypes(data);
  const hsize_t rows = header.n_rows();
  const hsize_t channels = header.frequency_hz.size();
  const hsize_t pols = header.polarisations.size();
  const Shape old_style{rows, 1, channels, pols};
  const Shape new_style{rows, channels, pols};
  for (const char* name : {"visdata", "flags", "nsamples"}) {
    const Shape shape = Hdf5Group::ShapeOf(data.Open(name));
    if (shape == old_style || shape == new_style) continue;
    const std::string expected = "(Nblts, 1, Nfreqs, Npols) = " + ToString(old_style);
    Shape sorted_found = shape;
    Shape sorted_expected = shape.size() == 3 ? new_style : old_style;
    std::sort(sorted_found.begin(), sorted_found.end());
    std::sort(sorted_expected.begin(), sorted_expected.end());
    std::string fault = "has the wrong shape";
    if (shape.size() != 3 && shape.size() != 4) fault = "has the wrong rank";
    if (sorted_found == sorted_expected) fault = "has its axes swapped";
    throw data.Bad(name, fmt::format("{}: expected {}, found {}", fault, expected, ToString(shape)));
  }
}

}  // namespace

SubbandHeader ReadSubbandHeader(const std::filesystem::path& path) {
  return WithHdf5(path, [&] {
    SubbandHeader header;
    header.path = path;
    header.subband = SubbandOfName(path);
    header.subband_in_name = header.subband.has_value();
    const H5::H5File file = OpenHdf5(path);
    header.file_size = FileSize(path);
    const Hdf5Group group(file, path, "Header");

    Shape shape;
    const std::vector<std::int64_t> ant_1 = group.Integers("ant_1_array", &shape);
    if (shape.size() != 1)
      throw group.Bad("ant_1_array", fmt::format("has the wrong rank: expected (Nblts), found {}", ToString(shape)));
    const std::size_t n_rows = ant_1.size();
    if (n_rows == 0) throw group.Bad("ant_1_array", "is empty: the file holds no rows");
    CheckCount(group, "Nblts", n_rows, "the number of rows in ant_1_array is");
    const std::vector<std::int64_t> ant_2 = group.Integers("ant_2_array", &shape);
    CheckRank1(group, "ant_2_array", shape, n_rows, "Nblts");

    ReadFrequencies(group, header);
    if (!header.subband) header.subband = SubbandOfFrequencies(header);
    ReadPolarisations(group, header);
    ReadSiteAndAntennas(group, header);
    const std::size_t rows_per_time = ReadTimes(group, n_rows, header);
    ReadBaselines(group, ant_1, ant_2, rows_per_time, header);
    CheckStations(group, header);
    ReadPhasing(file, group, rows_per_time, header);
    ReadStatements(group, header);
    ReadExtraKeywords(file, group, header);
    header.telescope_name = group.StringOrEmpty("telescope_name");
    header.instrument = group.StringOrEmpty("instrument");
    header.object_name = group.StringOrEmpty("object_name");
    header.history = group.LinesOrEmpty("history");
    CheckDataShapes(file, header);
    return header;
  });
}

}  // namespace contimg::ingest
