// CheckGroup: do these subbands belong together?
#include <algorithm>
#include <cmath>
#include <numeric>

#include "config/telescope.h"
#include "config/units.h"
#include "ingest/hdf5_access.h"
#include "ingest/uvh5_header_parts.h"
#include "ingest/uvh5_reader.h"

namespace contimg::ingest {
namespace {

constexpr double kSameTimeS = 1e-3;      // see the header
constexpr double kSamePositionM = 1e-4;  // antenna tables are copies of each other
constexpr double kSameAngleRad = 1e-8;
constexpr double kSamePlaceRad = 1e-6;   // of rotation: 3 mm on 3 km
constexpr double kEdgeTolerance = 0.01;  // of a channel: neighbours may touch
// Of a channel. Half a raw channel (1/16) passes: some simulators take 1.53 GHz for the edge of the first raw channel,
// where the correlator has its centre.
constexpr double kGridTolerance = 0.1;

void CheckSamePhases(const SubbandHeader& first, const SubbandHeader& other) {
  const std::string reference = first.path.filename().string();
  const PhaseReference &a = first.phase, &b = other.phase;
  const auto name = [](const PhaseReference& phase) { return phase.sidereal ? "sidereal" : "drift-scan"; };
  if (a.sidereal != b.sidereal) {
    throw BadFile(other.path, fmt::format("expected {} phases as in {}, found {} ones", name(a), reference, name(b)));
  }
  if (a.sidereal && SeparationRad(a.centre, b.centre) > kSameAngleRad) {
    throw BadFile(other.path,
                  fmt::format("expected the phase centre of {}, {:.7f} {:+.7f} rad, found {:.7f} {:+.7f} rad",
                              reference, a.centre.ra_rad, a.centre.dec_rad, b.centre.ra_rad, b.centre.dec_rad));
  }
  bool same = a.place.size() == b.place.size();
  for (std::size_t t = 0; same && t < a.place.size(); ++t) {
    same = SeparationRad({a.place[t].hour_angle_rad, a.place[t].dec_rad},
                         {b.place[t].hour_angle_rad, b.place[t].dec_rad}) <= kSamePlaceRad;
  }
  if (!same) {
    throw BadFile(other.path, fmt::format("expected the apparent places of the phase centre (lst_array, "
                                          "phase_center_app_ra, phase_center_app_dec) of {}, found others",
                                          reference));
  }
}

void CheckSameAxes(const SubbandHeader& first, const SubbandHeader& other) {
  const std::string reference = first.path.filename().string();
  if (other.time_mjd_s.size() != first.time_mjd_s.size()) {
    throw BadFile(other.path, fmt::format("expected the time axis of {} with {} times, found {}", reference,
                                          first.time_mjd_s.size(), other.time_mjd_s.size()));
  }
  for (std::size_t t = 0; t < first.time_mjd_s.size(); ++t) {
    const double difference = other.time_mjd_s[t] - first.time_mjd_s[t];
    if (std::abs(difference) > kSameTimeS) {
      throw BadFile(other.path, fmt::format("expected the time axis of {}, found time {} {:+.3f} s away", reference, t,
                                            difference));
    }
    if (std::abs(other.integration_s[t] - first.integration_s[t]) > kSameTimeS) {
      throw BadFile(other.path, fmt::format("expected the integration time of {}, {} s, found {} s", reference,
                                            first.integration_s[t], other.integration_s[t]));
    }
  }
  const auto same_baseline = [](const Baseline& a, const Baseline& b) {
    return a.antenna1 == b.antenna1 && a.antenna2 == b.antenna2;
  };
  if (!std::equal(first.baselines.begin(), first.baselines.end(), other.baselines.begin(), other.baselines.end(),
                  same_baseline)) {
    throw BadFile(other.path, fmt::format("expected the {} baselines of {}, found {} that differ",
                                          first.baselines.size(), reference, other.baselines.size()));
  }
  if (other.polarisations != first.polarisations) {
    throw BadFile(other.path, fmt::format("expected the polarisations of {}, found others", reference));
  }
  if (other.knows_pointing != first.knows_pointing || std::abs(other.app_dec_rad - first.app_dec_rad) > kSameAngleRad) {
    throw BadFile(other.path, fmt::format("expected the declination of {}, {:.7f} rad, found {:.7f} rad", reference,
                                          first.app_dec_rad, other.app_dec_rad));
  }
  if (other.vis_units != first.vis_units) {
    const auto name = [](const std::string& units) { return units.empty() ? std::string("uncalib") : units; };
    throw BadFile(other.path, fmt::format("expected the vis_units of {}, {}, found {}", reference,
                                          name(first.vis_units), name(other.vis_units)));
  }
  if (other.dut1_s && first.dut1_s && !(std::abs(*other.dut1_s - *first.dut1_s) <= kSameTimeS)) {
    throw BadFile(other.path,
                  fmt::format("expected the dut1 of {}, {} s, found {} s", reference, *first.dut1_s, *other.dut1_s));
  }
  CheckSamePhases(first, other);
}

void CheckSameAntennas(const SubbandHeader& first, const SubbandHeader& other) {
  const std::string reference = first.path.filename().string();
  const AntennaTable& a = first.antennas;
  const AntennaTable& b = other.antennas;
  if (a.names != b.names || a.numbers != b.numbers) {
    throw BadFile(other.path, fmt::format("expected the antenna table of {}, found other names or numbers", reference));
  }
  for (std::size_t i = 0; i < a.size(); ++i) {
    double distance = 0;
    for (std::size_t axis = 0; axis < 3; ++axis) {
      distance = std::max(distance, std::abs(a.positions_itrf_m[i][axis] - b.positions_itrf_m[i][axis]));
    }
    if (distance > kSamePositionM) {
      throw BadFile(other.path, fmt::format("expected the antenna table of {}, found antenna {} {:.4f} m away",
                                            reference, a.names[i], distance));
    }
    if (std::abs(a.diameters_m[i] - b.diameters_m[i]) > kSamePositionM) {
      throw BadFile(other.path,
                    fmt::format("expected the antenna table of {}, found antenna {} with a diameter of {} m, not {} m",
                                reference, a.names[i], b.diameters_m[i], a.diameters_m[i]));
    }
  }
}

double LowerEdge(const SubbandHeader& header) { return header.frequency_hz.front() - header.channel_width_hz / 2; }
double UpperEdge(const SubbandHeader& header) { return header.frequency_hz.back() + header.channel_width_hz / 2; }

bool IsWholeNumber(double x) { return x >= 0.5 && std::abs(x - std::round(x)) < 1e-6 * x; }

// True for widths that the DSA-110 correlator could make: others belong to other arrays.
bool OnDsa110Grid(double channel_width_hz) {
  return IsWholeNumber(channel_width_hz / kDsa110ChannelWidthHz) ||
         IsWholeNumber(kDsa110ChannelWidthHz / channel_width_hz);
}

// A writer on a host that the correlator's configuration does not know writes the middle of the band as "subband 0".
void CheckDsa110Grid(const SubbandHeader& header) {
  if (!header.subband || *header.subband >= kDsa110Subbands || !OnDsa110Grid(header.channel_width_hz)) return;
  const double width = header.channel_width_hz;
  const double subband_top = Dsa110ChannelFrequencyHz(*header.subband, 0) + kDsa110ChannelWidthHz / 2;
  const double subband_bottom = subband_top - kDsa110ChannelsPerSubband * kDsa110ChannelWidthHz;
  const double steps = (subband_top - UpperEdge(header)) / width;
  const bool inside = UpperEdge(header) <= subband_top + kGridTolerance * width &&
                      LowerEdge(header) >= subband_bottom - kGridTolerance * width;
  if (!inside || std::abs(steps - std::round(steps)) > kGridTolerance) {
    throw BadFile(
        header.path,
        fmt::format(
            "subband number contradicts the frequencies: expected channels of {} Hz in subband {} of the DSA-110, "
            "{:.4f} to {:.4f} MHz, found {:.4f} to {:.4f} MHz",
            width, *header.subband, subband_bottom / 1e6, subband_top / 1e6, LowerEdge(header) / 1e6,
            UpperEdge(header) / 1e6));
  }
}

}  // namespace

std::optional<int> SubbandOfFrequencies(const SubbandHeader& header) {
  const double width = header.channel_width_hz;
  if (!OnDsa110Grid(width)) return std::nullopt;
  const double span = kDsa110ChannelsPerSubband * kDsa110ChannelWidthHz;
  const double top = Dsa110ChannelFrequencyHz(0, 0) + kDsa110ChannelWidthHz / 2;
  const double position = (top - UpperEdge(header)) / span;
  const double number = std::round(position);
  const bool fills = std::abs(position - number) * span <= kGridTolerance * width &&
                     std::abs(UpperEdge(header) - LowerEdge(header) - span) <= kGridTolerance * width;
  if (!fills || number < 0 || number >= kDsa110Subbands) return std::nullopt;
  return static_cast<int>(number);
}

std::vector<std::size_t> CheckGroup(const std::vector<SubbandHeader>& headers) {
  if (headers.empty()) throw Error(ErrorKind::kUsage, "ingest", "", "expected at least one subband file, found none");
  const SubbandHeader& first = headers.front();
  for (const SubbandHeader& other : headers) {
    CheckSameAxes(first, other);
    CheckSameAntennas(first, other);
    CheckDsa110Grid(other);
  }
  std::vector<std::size_t> order(headers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return headers[a].frequency_hz.front() < headers[b].frequency_hz.front();
  });
  for (std::size_t i = 0; i < headers.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (headers[i].subband && headers[i].subband == headers[j].subband) {
        throw BadFile(headers[i].path, fmt::format("is a duplicate: expected one file of subband {}, found {} too",
                                                   *headers[i].subband, headers[j].path.filename().string()));
      }
    }
  }
  for (std::size_t i = 1; i < order.size(); ++i) {
    const SubbandHeader& low = headers[order[i - 1]];
    const SubbandHeader& high = headers[order[i]];
    const std::string low_name = low.path.filename().string();
    const double width = low.channel_width_hz;
    if (std::abs(high.channel_width_hz - width) > 1e-6 * width || high.frequency_hz.size() != low.frequency_hz.size()) {
      throw BadFile(high.path,
                    fmt::format("expected {} channels of {} Hz as in {}, found {} of {} Hz", low.frequency_hz.size(),
                                width, low_name, high.frequency_hz.size(), high.channel_width_hz));
    }
    if (low.subband && high.subband && *low.subband < *high.subband) {
      throw BadFile(
          high.path,
          fmt::format(
              "subband number contradicts the frequencies: expected them to fall as the number rises, found subband {} "
              "at {:.4f} MHz above subband {} at {:.4f} MHz",
              *high.subband, high.frequency_hz.front() / 1e6, *low.subband, low.frequency_hz.front() / 1e6));
    }
    if (LowerEdge(high) < UpperEdge(low) - kEdgeTolerance * width) {
      throw BadFile(
          high.path,
          fmt::format(
              "expected frequencies above those of {}, which end at {:.4f} MHz, found an overlap from {:.4f} MHz",
              low_name, UpperEdge(low) / 1e6, LowerEdge(high) / 1e6));
    }
  }
  return order;
}

}  // namespace contimg::ingest
