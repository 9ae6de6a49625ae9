#include "tests/simulator/truth.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "config/error.h"
#include "config/parallel.h"
#include "tests/simulator/airy_beam.h"

namespace contimg::simulator {

namespace {

using nlohmann::json;

// Seven digits are enough for what is compared with float data and keep a full tile's bandpasses readable.
json Rounded(std::complex<double> value) {
  return json::array({std::round(value.real() * 1e7) / 1e7, std::round(value.imag() * 1e7) / 1e7});
}

json GainsJson(const TruthInput& in) {
  const std::size_t n_antennas = in.array.n_antennas();
  json gains;
  gains["convention"] = "V_observed = conj(g1) g2 V, g = gain(t) * bandpass(nu) * exp(2 pi i delay (nu - reference))";
  gains["reference_hz"] = in.gains.reference_hz();
  json times = json::array(), gain = json::array(), delay = json::array(), bandpass = json::array();
  for (int t = 0; t < in.spec.n_integrations; ++t) {
    const UtcTime time = UtcTime::FromJd(IntegrationJd(in.spec, t));
    times.push_back(time.mjd());
    json at = json::array();
    for (std::size_t a = 0; a < n_antennas; ++a) {
      at.push_back(
          json::array({Rounded(in.gains.Gain(a, 0, time.mjd_s())), Rounded(in.gains.Gain(a, 1, time.mjd_s()))}));
    }
    gain.push_back(std::move(at));
  }
  std::vector<double> frequency;
  for (int subband = in.spec.n_subbands - 1; subband >= 0; --subband) {
    const ChannelBlock block = SubbandChannels(subband, in.spec.n_channels);
    for (std::size_t k = block.n; k-- > 0;) frequency.push_back(block.Frequency(k));
  }
  for (std::size_t a = 0; a < n_antennas; ++a) {
    delay.push_back({in.gains.DelayS(a, 0) * 1e9, in.gains.DelayS(a, 1) * 1e9});
    json both = json::array();
    for (int pol = 0; pol < AntennaGains::kPols; ++pol) {
      json one = json::array();
      for (double f : frequency) one.push_back(Rounded(in.gains.Bandpass(a, pol, f)));
      both.push_back(std::move(one));
    }
    bandpass.push_back(std::move(both));
  }
  gains["time_mjd"] = std::move(times);
  gains["gain"] = std::move(gain);
  gains["delay_ns"] = std::move(delay);
  gains["frequency_hz"] = frequency;
  gains["bandpass"] = std::move(bandpass);
  return gains;
}

json RfiJson(const RfiEmitter& e) {
  return {{"kind", ToString(e.kind)},
          {"azimuth_deg", e.azimuth_deg},
          {"elevation_deg", e.elevation_deg},
          {"azimuth_rate_deg_s", e.azimuth_rate_deg_s},
          {"elevation_rate_deg_s", e.elevation_rate_deg_s},
          {"frequency_hz", e.frequency_hz},
          {"frequency_rate_hz_s", e.frequency_rate_hz_s},
          {"bandwidth_hz", e.bandwidth_hz},
          {"start_s", e.start_s},
          {"duration_s", e.duration_s},
          {"flux_xx_jy", e.flux_xx_jy},
          {"flux_yy_jy", e.flux_yy_jy}};
}

json LimitJson(double mjd) { return std::isfinite(mjd) ? json(mjd) : json(); }

json VariationJson(std::size_t index, const Source& source) {
  const Variation& v = source.variation;
  return {{"source", index},
          {"kind", ToString(v.kind)},
          {"at_mjd", v.at_mjd},
          {"amplitude", v.amplitude},
          {"period_d", v.period_d},
          {"factor", v.factor},
          {"rise_d", v.rise_d},
          {"decay_d", v.decay_d},
          {"from_mjd", LimitJson(v.from_mjd)},
          {"to_mjd", LimitJson(v.to_mjd)},
          {"steady_jy", source.flux_jy}};
}

}  // namespace

double MeanSmearing(const ArrayConfig& array, const GroupSpec& spec, const Source& source) {
  const Vec3 s0 = MeridianDirection(array.site.longitude_rad, spec.app_dec_rad);
  const ChannelBlock top = SubbandChannels(0, spec.n_channels),
                     bottom = SubbandChannels(spec.n_subbands - 1, spec.n_channels);
  const double high = top.Frequency(0), low = bottom.Frequency(bottom.n - 1);
  const double gauss = 0.5 / std::sqrt(3.0);
  const std::vector<Row> rows = BaselineRows(array);
  double sum = 0, weight = 0;
  for (double place : {0.5 - gauss, 0.5 + gauss}) {
    const EarthFrame frame(spec.start + place * GroupSeconds(spec));
    Vec3 offset = frame.FromIcrs(source.position.ra.rad(), source.position.dec.rad());
    for (std::size_t axis = 0; axis < 3; ++axis) offset[axis] -= s0[axis];
    const Vec3 rate = SiderealRate(offset);
    const double half_chord2 = Dot(offset, offset) / 4;
    const double sin_theta = 2 * std::sqrt(half_chord2 * std::max(0.0, 1 - half_chord2));
    std::vector<double> delays, rates;  // per antenna
    for (int antenna : array.correlator_order) {
      const Vec3& position = array.positions_itrf_m[static_cast<std::size_t>(antenna)];
      delays.push_back(Dot(position, offset) / kSpeedOfLight);
      rates.push_back(Dot(position, rate) / kSpeedOfLight);
    }
    for (double f : {low + (0.5 - gauss) * (high - low), low + (0.5 + gauss) * (high - low)}) {
      const double beam = spec.primary_beam ? AiryPower(sin_theta, f, array.dish_diameter_m) : 1.0;
      const double flux = source.FluxJy(f) * beam;
      for (const Row& row : rows) {
        const auto p1 = static_cast<std::size_t>(row.position1), p2 = static_cast<std::size_t>(row.position2);
        if (p1 == p2) continue;
        sum += flux * TimeSmearing(f, rates[p2] - rates[p1], kDsa110IntegrationS) *
               BandwidthSmearing(std::abs(top.step_hz), delays[p2] - delays[p1]);
        weight += flux;
      }
    }
  }
  return weight > 0 ? sum / weight : 1.0;
}

void WriteTruth(const std::filesystem::path& path, const TruthInput& in) {
  const std::size_t n_sources = in.sky.sources.size();
  std::vector<double> smeared(n_sources);
  ParallelFor(in.spec.threads, n_sources, [&](std::size_t i) {
    smeared[i] = in.apparent_jy[i] * MeanSmearing(in.array, in.spec, in.sky.sources[i]);
  });
  const SkyDirection centre = FieldCentre(in.array, in.spec);
  const double width_hz = std::abs(SubbandChannels(0, in.spec.n_channels).step_hz);
  const double middle_mjd = MiddleOf(in.spec).mjd();
  json truth;
  truth["t0"] = in.spec.start.Iso8601();
  truth["t_mid_mjd"] = middle_mjd;
  truth["dec_app_deg"] = in.spec.app_dec_rad * 180 / kPi;
  truth["centre"] = {centre.ra.deg(), centre.dec.deg()};
  truth["nobeam"] = !in.spec.primary_beam;
  json stations = json::array(), sources = json::array(), varying = json::array(), extended = json::array(),
       rfi = json::array();
  for (int antenna : in.array.correlator_order) stations.push_back(antenna + 1);
  for (std::size_t i = 0; i < n_sources; ++i) {
    const Source& s = in.sky.sources[i];
    const double jy = s.flux_jy * s.variation.FactorAt(middle_mjd);
    sources.push_back({s.position.ra.deg(), s.position.dec.deg(), jy, s.spectral_index});
    if (s.variation.varies()) varying.push_back(VariationJson(i, s));
    if (s.shape.extended()) {
      extended.push_back({{"source", i},
                          {"major_arcsec", s.shape.major.arcsec()},
                          {"minor_arcsec", s.shape.minor.arcsec()},
                          {"angle_deg", s.shape.position_angle.deg()}});
    }
  }
  for (const RfiEmitter& e : in.corruptions.rfi) rfi.push_back(RfiJson(e));
  truth["ants"] = std::move(stations);
  truth["sources"] = std::move(sources);
  truth["varying"] = std::move(varying);
  truth["extended"] = std::move(extended);
  truth["apparent_jy"] = in.apparent_jy;
  truth["apparent_smeared_jy"] = smeared;
  truth["band_mean_jy"] = in.band_mean_jy;
  truth["seed"] = in.spec.seed;
  truth["gain_seed"] = in.spec.gain_seed != 0 ? in.spec.gain_seed : in.spec.seed;
  truth["sefd_jy"] = in.corruptions.sefd_jy;
  truth["sigma_jy"] = VisibilitySigmaJy(in.corruptions.sefd_jy, width_hz, kDsa110IntegrationS);
  truth["dead_stations"] = in.corruptions.dead_stations;
  truth["dead_pol"] = in.corruptions.dead_pol < 0 ? json() : json(in.corruptions.dead_pol == 0 ? "X" : "Y");
  truth["dead_from"] = in.corruptions.dead_from_mjd_s > 0
                           ? json(UtcTime::FromMjd(in.corruptions.dead_from_mjd_s / kSecondsPerDay).Iso8601())
                           : json();
  truth["missing_subbands"] = in.spec.missing_subbands;
  truth["rfi"] = std::move(rfi);
  if (in.corruptions.has_gains()) truth["gains"] = GainsJson(in);
  std::ofstream file(path);
  file << truth.dump() << '\n';
  file.close();
  if (!file) throw Error(ErrorKind::kIo, "simulate", path.string(), "cannot write the truth");
}

}  // namespace contimg::simulator
