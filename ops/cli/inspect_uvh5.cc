// What a UVH5 subband file holds, for a person and for scripts.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <numeric>
#include <optional>
#include <string_view>

#include "config/text.h"
#include "config/time.h"
#include "config/units.h"
#include "ingest/uvh5_inspect.h"
#include "ingest/uvh5_reader.h"
#include "ops/cli/inspector.h"

namespace contimg::ops {
namespace {

using nlohmann::json;

double SwappedFraction(const ingest::SubbandHeader& header) {
  const auto swapped = std::count(header.conjugated.begin(), header.conjugated.end(), std::uint8_t{1});
  return static_cast<double>(swapped) / static_cast<double>(header.conjugated.size());
}

json HeaderFacts(const ingest::SubbandHeader& header) {
  const ingest::AntennaPresence antennas = ingest::AntennasWithData(header);
  json polarisations = json::array();
  for (const Polarisation p : header.polarisations) polarisations.push_back(PolarisationName(p));
  const auto autos =
      std::count_if(header.baselines.begin(), header.baselines.end(), [](const Baseline& b) { return b.is_auto(); });
  json facts = {{"kind", "uvh5"},
                {"path", header.path.string()},
                {"bytes", header.file_size},
                {"telescope", header.telescope_name},
                {"instrument", header.instrument},
                {"object", header.object_name},
                {"start", UtcTime::FromMjdSeconds(header.start_mjd_s()).Stamp(3)},
                {"end", UtcTime::FromMjdSeconds(header.end_mjd_s()).Stamp(3)},
                {"start_mjd", header.start_mjd_s() / kSecondsPerDay},
                {"end_mjd", header.end_mjd_s() / kSecondsPerDay},
                {"integrations", header.time_mjd_s.size()},
                {"integration_s", header.integration_s.front()},
                {"declination_deg", header.knows_pointing ? json(Angle::Radians(header.app_dec_rad).deg()) : json()},
                {"phases", header.phase.sidereal ? "sidereal" : "drift"},
                {"phases_said_by", header.phase.source},
                {"channels", header.frequency_hz.size()},
                {"channel_width_hz", header.channel_width_hz},
                {"lowest_frequency_hz", header.frequency_hz.front()},
                {"highest_frequency_hz", header.frequency_hz.back()},
                {"frequencies_descend", header.descending},
                {"polarisations", polarisations},
                {"baselines", header.baselines.size()},
                {"autocorrelations", autos},
                {"rows", header.n_rows()},
                {"antennas_present", antennas.present},
                {"antennas_in_table", header.antennas.size()},
                {"swapped_fraction", SwappedFraction(header)},
                {"latitude_deg", Angle::Radians(header.site.latitude_rad).deg()},
                {"longitude_deg", Angle::Radians(header.site.longitude_rad).deg()},
                {"height_m", header.site.height_m},
                {"site_from", header.site.source},
                {"history", header.history},
                {"extra_keywords", header.extra_keywords}};
  facts["subband"] = header.subband ? json(*header.subband) : json();
  facts["subband_in_name"] = header.subband_in_name;
  if (header.phase.sidereal) {
    facts["phase_centre_ra_deg"] = WrapPositive(Angle::Radians(header.phase.centre.ra_rad)).deg();
    facts["phase_centre_dec_deg"] = Angle::Radians(header.phase.centre.dec_rad).deg();
  }
  return facts;
}

json StorageFacts(const std::filesystem::path& path) {
  json all = json::object();
  for (const ingest::DataSetFacts& facts : ingest::DescribeDataSets(path)) {
    all[facts.name] = {{"type", facts.type},
                       {"shape", facts.shape},
                       {"chunk", facts.chunk},
                       {"filters", facts.filters},
                       {"stored_bytes", facts.stored_bytes}};
  }
  return all;
}

std::string HeaderText(const ingest::SubbandHeader& header) {
  const ingest::AntennaPresence antennas = ingest::AntennasWithData(header);
  std::vector<std::string> polarisations;
  for (const Polarisation p : header.polarisations) polarisations.push_back(PolarisationName(p));
  std::string text =
      fmt::format("{}: UVH5, {:.1f} MB", Printable(header.path.string()), static_cast<double>(header.file_size) / 1e6);
  text += !header.subband          ? std::string(", no subband number in the name (…_sbNN.hdf5)\n")
          : header.subband_in_name ? fmt::format(", subband {}\n", *header.subband)
                                   : fmt::format(", subband {} by its frequencies\n", *header.subband);
  text += fmt::format("  telescope     {} (instrument {}), object {}\n", header.telescope_name, header.instrument,
                      header.object_name);
  text += fmt::format(
      "  times         {} to {}, {} integrations of {:.6f} s\n", UtcTime::FromMjdSeconds(header.start_mjd_s()).Stamp(),
      UtcTime::FromMjdSeconds(header.end_mjd_s()).Stamp(), header.time_mjd_s.size(), header.integration_s.front());
  text += fmt::format("  phases        {}\n", ingest::DescribePhasing(header));
  text += fmt::format("  frequencies   {:.4f} to {:.4f} MHz, {} channels of {:.6g} kHz, {} in the file\n",
                      header.frequency_hz.front() / 1e6, header.frequency_hz.back() / 1e6, header.frequency_hz.size(),
                      header.channel_width_hz / 1e3, header.descending ? "descending" : "ascending");
  text += fmt::format("  polarisations {}\n", fmt::join(polarisations, ", "));
  text += fmt::format("  baselines     {}, {:.1f} % with the antennas in falling order\n", header.baselines.size(),
                      100 * SwappedFraction(header));
  text += fmt::format("  antennas      {} of {} with data: {}\n", antennas.present.size(), header.antennas.size(),
                      fmt::join(antennas.present, " "));
  text += fmt::format("  site          {:.7f} {:+.7f} deg, {:.2f} m (from the {})\n",
                      Angle::Radians(header.site.latitude_rad).deg(), Angle::Radians(header.site.longitude_rad).deg(),
                      header.site.height_m, header.site.source);
  return text;
}

std::string StorageText(const std::filesystem::path& path) {
  std::string text;
  for (const ingest::DataSetFacts& facts : ingest::DescribeDataSets(path)) {
    text += fmt::format("  {:<13} {} ({}), {:.1f} MB", facts.name, facts.type, fmt::join(facts.shape, ", "),
                        static_cast<double>(facts.stored_bytes) / 1e6);
    if (!facts.chunk.empty()) text += fmt::format(", chunks ({})", fmt::join(facts.chunk, ", "));
    if (!facts.filters.empty()) text += fmt::format(", {}", fmt::join(facts.filters, " + "));
    text += "\n";
  }
  return text;
}

void Validate(const ingest::SubbandHeader& header, double stamp_tolerance_s, const RunContext& context,
              Inspection& inspection) {
  ingest::ValidationLimits limits;
  limits.stamp_tolerance_s = stamp_tolerance_s;
  const ingest::Validation validation = ingest::ValidateSubband(header, limits, context);
  inspection.problems.insert(inspection.problems.end(), validation.problems.begin(), validation.problems.end());
  inspection.facts["samples"] = validation.report.samples;
  inspection.facts["non_finite"] = validation.report.non_finite;
  inspection.facts["no_samples"] = validation.report.no_samples;
  inspection.facts["absurd_weights"] = validation.report.absurd_weights;
  inspection.facts["zero"] = validation.report.zero;
  inspection.facts["flagged_in_file"] = validation.report.flagged_in_file;
  inspection.facts["flagged_fraction"] = validation.flagged_fraction;
  inspection.facts["max_nsamples"] = validation.report.max_nsamples;
  inspection.facts["remarks"] = validation.remarks;
  inspection.text += fmt::format(
      "  samples       {}, {:.2f} % flagged ({:.2f} % in the file), {} not finite, {} without data, {} exactly 0\n",
      validation.report.samples, 100 * validation.flagged_fraction, 100 * validation.flagged_by_file_fraction,
      validation.report.non_finite, validation.report.no_samples, validation.report.zero);
  for (const std::string& remark : validation.remarks) inspection.text += "  remark        " + remark + "\n";
}

// A file of another kind, given to a command that takes four. One with a name of HDF5 is the reader's to complain of.
void RefuseOtherKinds(const std::filesystem::path& path) {
  const std::string extension = path.extension().string();
  if (extension == ".hdf5" || extension == ".h5" || extension == ".uvh5") return;
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error) || error) return;
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::array<char, kSignature.size()> head{};
  std::ifstream file(path, std::ios::binary);
  if (!file) return;
  file.read(head.data(), head.size());
  if (file.bad() || std::string_view(head.data(), static_cast<std::size_t>(file.gcount())) == kSignature) return;
  throw Error(ErrorKind::kBadInput, "inspect", path.string(),
              "expected a UVH5 file, a Measurement Set, a calibration table or an image, found a file that is none of "
              "them");
}

std::vector<Inspection> Inspect(const InspectRequest& request, const RunContext& context) {
  std::vector<Inspection> inspections;
  std::vector<ingest::SubbandHeader> headers;
  for (const std::filesystem::path& path : request.files) {
    Inspection inspection;
    inspection.path = path;
    inspection.facts = {{"kind", "uvh5"}, {"path", path.string()}};
    try {
      RefuseOtherKinds(path);
      ingest::SubbandHeader header = ingest::ReadSubbandHeader(path);
      inspection.facts = HeaderFacts(header);
      inspection.facts["data"] = StorageFacts(path);
      inspection.text = HeaderText(header) + StorageText(path);
      if (request.validate) Validate(header, request.stamp_tolerance_s, context, inspection);
      headers.push_back(std::move(header));
    } catch (const Error& error) {
      if (!request.validate || error.kind() != ErrorKind::kBadInput) throw;
      if (inspection.text.empty()) inspection.text = Printable(path.string()) + ":\n";
      inspection.problems.push_back(error.message());
    }
    inspections.push_back(std::move(inspection));
  }
  if (request.validate && headers.size() > 1) {
    try {
      ingest::CheckGroup(headers);
    } catch (const Error& error) {
      for (Inspection& inspection : inspections) {
        if (inspection.path.string() == error.subject()) inspection.problems.push_back(error.message());
      }
    }
  }
  return inspections;
}

// Anything that is a file: the reader says what is wrong with one that is no UVH5.
bool IsFile(const std::filesystem::path& path) {
  std::error_code ignored;
  return !std::filesystem::is_directory(path, ignored);
}

}  // namespace

std::string PolarisationName(Polarisation polarisation) {
  switch (polarisation) {
    case Polarisation::kXX:
      return "XX";
    case Polarisation::kYY:
      return "YY";
    case Polarisation::kXY:
      return "XY";
    case Polarisation::kYX:
      return "YX";
    case Polarisation::kRR:
      return "RR";
    case Polarisation::kLL:
      return "LL";
    case Polarisation::kRL:
      return "RL";
    case Polarisation::kLR:
      return "LR";
    case Polarisation::kI:
      return "I";
  }
  return "?";
}

const Inspector& Uvh5Inspector() {
  static const Inspector inspector{"uvh5", IsFile, Inspect};
  return inspector;
}

}  // namespace contimg::ops
