#include "ops/job/observation.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>
#include <vector>

#include "config/robust_statistics.h"
#include "config/units.h"
#include "convert/frames.h"
#include "ops/base/json_fields.h"

namespace contimg::ops {

template <>
inline constexpr auto kJsonFields<GroupObservation> =
    std::tuple{JsonField{"mid_mjd", &GroupObservation::mid_mjd},
               JsonField{"duration_s", &GroupObservation::duration_s},
               JsonField{"ra_deg", &GroupObservation::ra_deg},
               JsonField{"dec_deg", &GroupObservation::dec_deg},
               JsonField{"longitude_deg", &GroupObservation::longitude_deg},
               JsonField{"app_dec_deg", &GroupObservation::app_dec_deg},
               JsonField{"antennas", &GroupObservation::antennas},
               JsonField{"dish_m", &GroupObservation::dish_m},
               JsonField{"baseline_deciles_m", &GroupObservation::baseline_deciles_m},
               JsonField{"integration_s", &GroupObservation::integration_s},
               JsonField{"channel_width_hz", &GroupObservation::channel_width_hz},
               JsonField{"low_hz", &GroupObservation::low_hz},
               JsonField{"high_hz", &GroupObservation::high_hz},
               JsonField{"subbands", &GroupObservation::subbands}};

namespace {

// Shortest, deciles and longest of the cross-correlations' baselines, metres.
std::vector<double> BaselineDeciles(const ingest::SubbandHeader& header) {
  std::vector<double> lengths;
  for (const Baseline& baseline : header.baselines) {
    if (baseline.antenna1 == baseline.antenna2) continue;
    const auto& a = header.antennas.positions_itrf_m[static_cast<std::size_t>(baseline.antenna1)];
    const auto& b = header.antennas.positions_itrf_m[static_cast<std::size_t>(baseline.antenna2)];
    lengths.push_back(std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]));
  }
  std::sort(lengths.begin(), lengths.end());
  std::vector<double> deciles;
  for (std::size_t i = 0; !lengths.empty() && i <= 10; ++i) deciles.push_back(lengths[(lengths.size() - 1) * i / 10]);
  return deciles;
}

}  // namespace

GroupObservation ObservationOf(const ingest::SubbandHeader& header) {
  GroupObservation row;
  const UtcTime middle = UtcTime::FromMjdSeconds(0.5 * (header.start_mjd_s() + header.end_mjd_s()));
  row.mid_mjd = middle.mjd();
  row.duration_s = header.end_mjd_s() - header.start_mjd_s();
  const convert::SkyFrame frame(middle, {});
  // Where the dishes look: on the meridian, or, of data phased to the sky without a word of it, at their phase centre.
  const convert::Vector3 direction = header.knows_pointing
                                         ? frame.ItrfOfMeridian(header.site.longitude_rad, header.app_dec_rad)
                                         : frame.ItrfOfIcrs(header.phase.centre.ra_rad, header.phase.centre.dec_rad);
  const PhaseCentre centre = frame.IcrsOfItrf(direction);
  row.ra_deg = WrapPositive(Angle::Radians(centre.ra_rad)).deg();
  row.dec_deg = Angle::Radians(centre.dec_rad).deg();
  row.longitude_deg = Angle::Radians(header.site.longitude_rad).deg();
  row.app_dec_deg =
      Angle::Radians(header.knows_pointing ? header.app_dec_rad : std::asin(std::clamp(direction[2], -1.0, 1.0))).deg();
  std::set<int> antennas;
  std::vector<double> diameters;
  for (const Baseline& baseline : header.baselines) antennas.insert({baseline.antenna1, baseline.antenna2});
  for (int antenna : antennas) diameters.push_back(header.antennas.diameters_m[static_cast<std::size_t>(antenna)]);
  row.antennas = static_cast<int>(antennas.size());
  row.dish_m = Median(std::move(diameters));
  row.baseline_deciles_m = BaselineDeciles(header);
  row.integration_s = Median(header.integration_s);
  row.channel_width_hz = header.channel_width_hz;
  row.low_hz = header.frequency_hz.front();
  row.high_hz = header.frequency_hz.back();
  row.subbands = 1;
  return row;
}

void Widen(GroupObservation& row, const GroupObservation& other) {
  row.low_hz = std::min(row.low_hz, other.low_hz);
  row.high_hz = std::max(row.high_hz, other.high_hz);
  row.subbands += other.subbands;
}

nlohmann::json ToJson(const GroupObservation& row) { return RecordToJson(row); }

GroupObservation ParseObservation(const nlohmann::json& json) { return RecordFromJson<GroupObservation>(json); }

}  // namespace contimg::ops
