#include "ingest/uvh5_inspect.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <set>

#include "config/product_paths.h"
#include "config/time.h"
#include "config/units.h"
#include "ingest/hdf5_access.h"

namespace contimg::ingest {
namespace {

std::string NumberName(H5T_class_t kind, std::size_t bytes) {
  return fmt::format("{}{}", kind == H5T_FLOAT ? "float" : "int", 8 * bytes);
}

std::string TypeName(const H5::DataSet& data_set) {
  const H5T_class_t kind = data_set.getTypeClass();
  if (kind == H5T_ENUM) return "boolean";
  if (kind == H5T_COMPOUND) {
    const H5::CompType type = data_set.getCompType();
    return "complex " + NumberName(type.getMemberClass(0), type.getMemberDataType(0).getSize());
  }
  return NumberName(kind, data_set.getDataType().getSize());
}

// The largest departure of a time step from the median integration that counts as regular.
constexpr double kEvenStep = 0.01;
// Arrays are level to a degree or two.
constexpr double kMostTiltRad = 15 * kPi / 180;

void CheckTimes(const SubbandHeader& header, const ValidationLimits& limits, Validation& validation) {
  for (std::size_t t = 1; t < header.time_mjd_s.size(); ++t) {
    const double step = header.time_mjd_s[t] - header.time_mjd_s[t - 1];
    const double expected = (header.integration_s[t] + header.integration_s[t - 1]) / 2;
    if (std::abs(step - expected) <= kEvenStep * expected) continue;
    validation.problems.push_back(
        fmt::format("expected times {:.3f} s apart, found {:.3f} s before time {}", expected, step, t));
    break;
  }
  const auto name = ParseIncomingName(header.path);
  if (!name) {
    validation.remarks.push_back(fmt::format(
        "the file's name is not that of a subband (YYYY-MM-DDTHH:MM:SS_sbNN.hdf5){}",
        header.subband_in_name ? ""
        : header.subband       ? fmt::format(": its frequencies are those of subband {}", *header.subband)
                               : std::string(", and its frequencies fill none: missing subbands cannot be told")));
    return;
  }
  if (name->incomplete) validation.problems.emplace_back("the name says that the file is still being written");
  const double offset = header.start_mjd_s() - UtcTime::FromIso8601(name->timestamp).mjd_s();
  if (std::abs(offset) > limits.stamp_tolerance_s) {
    validation.problems.push_back(fmt::format(
        "expected data that start within {:.0f} s of the name's stamp {}, found {}", limits.stamp_tolerance_s,
        name->timestamp, UtcTime::FromMjdSeconds(header.start_mjd_s()).Iso8601()));
  }
}

double Fraction(std::size_t part, std::size_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::vector<DataSetFacts> DescribeDataSets(const std::filesystem::path& path) {
  return WithHdf5(path, [&] {
    const H5::H5File file = OpenHdf5(path);
    const Hdf5Group data(file, path, "Data");
    std::vector<DataSetFacts> all;
    for (const char* name : {"visdata", "flags", "nsamples"}) {
      const H5::DataSet data_set = data.Open(name);
      const Shape shape = Hdf5Group::ShapeOf(data_set);
      DataSetFacts facts{name, TypeName(data_set), {shape.begin(), shape.end()}, {}, {}, data_set.getStorageSize()};
      const H5::DSetCreatPropList properties = data_set.getCreatePlist();
      if (properties.getLayout() == H5D_CHUNKED) {
        Shape chunk(shape.size());
        properties.getChunk(static_cast<int>(chunk.size()), chunk.data());
        facts.chunk.assign(chunk.begin(), chunk.end());
        facts.chunks = 1;
        for (std::size_t axis = 0; axis < shape.size(); ++axis) {
          facts.chunks *= (shape[axis] + chunk[axis] - 1) / chunk[axis];
        }
        hsize_t written = 0;
        if (H5Dget_num_chunks(data_set.getId(), data_set.getSpace().getId(), &written) < 0) written = facts.chunks;
        facts.chunks_written = written;
      }
      for (int i = 0; i < properties.getNfilters(); ++i) {
        unsigned flags = 0, config = 0;
        std::size_t n_values = 0;
        std::array<char, 64> filter{};
        H5Pget_filter2(properties.getId(), static_cast<unsigned>(i), &flags, &n_values, nullptr, filter.size() - 1,
                       filter.data(), &config);
        facts.filters.emplace_back(filter.data());
      }
      all.push_back(std::move(facts));
    }
    return all;
  });
}

std::string DescribePhasing(const SubbandHeader& header) {
  const double dec_deg = Angle::Radians(header.app_dec_rad).deg();
  if (!header.phase.sidereal) {
    return fmt::format("drift scan, fringes stopped at hour angle 0, declination {:+.5f} deg (apparent; {})", dec_deg,
                       header.phase.source);
  }
  return fmt::format(
      "phased to ICRS {:.6f} {:+.6f} deg ({}); {}", WrapPositive(Angle::Radians(header.phase.centre.ra_rad)).deg(),
      Angle::Radians(header.phase.centre.dec_rad).deg(), header.phase.source,
      header.knows_pointing
          ? fmt::format("the dishes stood on the meridian at declination {:+.5f} deg (apparent)", dec_deg)
          : std::string("where the dishes pointed is not said"));
}

AntennaPresence AntennasWithData(const SubbandHeader& header) {
  std::set<int> indices;
  for (const Baseline& b : header.baselines) indices.insert({b.antenna1, b.antenna2});
  AntennaPresence presence;
  for (const int index : indices) presence.present.push_back(header.antennas.names[static_cast<std::size_t>(index)]);
  presence.absent = header.antennas.size() - presence.present.size();
  return presence;
}

Validation ValidateSubband(const SubbandHeader& header, const ValidationLimits& limits, const RunContext& context) {
  Validation validation;
  CheckTimes(header, limits, validation);
  const TileInput tile = ReadTile({header.path}, context);
  const ReadReport& report = validation.report = tile.report;
  validation.flagged_fraction = Fraction(report.flagged, report.samples);
  validation.flagged_by_file_fraction = Fraction(report.flagged_in_file, report.samples);
  if (validation.flagged_fraction > limits.most_flagged_fraction) {
    validation.problems.push_back(
        fmt::format("expected usable samples, found {:.1f} % flagged, not finite or without data",
                    100 * validation.flagged_fraction));
  }
  if (header.tilt_rad > kMostTiltRad) {
    validation.remarks.push_back(
        fmt::format("the antennas lie in a plane tilted by {:.0f} degrees against the horizon of "
                    "latitude and longitude",
                    Angle::Radians(header.tilt_rad).deg()));
  }
  if (report.non_finite > 0)
    validation.remarks.push_back(fmt::format("{} samples are NaN or infinite", report.non_finite));
  if (report.no_samples > 0)
    validation.remarks.push_back(fmt::format("{} samples hold no data (nsamples not above 0)", report.no_samples));
  if (report.absurd_weights > 0) {
    validation.remarks.push_back(
        fmt::format("{} samples claim more than 10 000 times the usual nsamples: flagged", report.absurd_weights));
  }
  if (report.zero > 0) {
    validation.remarks.push_back(
        fmt::format("{} samples are exactly 0 although nsamples is not: never written, flagged", report.zero));
  }
  for (const DataSetFacts& facts : DescribeDataSets(header.path)) {
    if (facts.chunks_written == facts.chunks) continue;
    validation.remarks.push_back(fmt::format("{} of {} chunks of Data/{} were never written: {}",
                                             facts.chunks - facts.chunks_written, facts.chunks, facts.name,
                                             facts.name == "flags" ? "not flagged" : "flagged"));
  }
  if (report.clamped > 0) {
    validation.remarks.push_back(fmt::format("{} counts of the last integration exceed the {} of the others",
                                             report.clamped, report.max_nsamples));
  }
  return validation;
}

}  // namespace contimg::ingest
