#include "tests/simulator/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <mutex>
#include <system_error>

#include "config/buffer.h"
#include "config/error.h"
#include "config/os.h"
#include "config/parallel.h"
#include "tests/simulator/airy_beam.h"
#include "tests/simulator/noise.h"
#include "tests/simulator/truth.h"
#include "tests/simulator/uvh5_writer.h"

namespace contimg::simulator {

namespace {

constexpr std::size_t kPols = 2;
constexpr int kRawChannelsPerSubband = 384;
constexpr double kSkipBeyondCosine = 0.5;  // sources more than 60° from the beam are not summed

Error UsageError(std::string message) { return Error(ErrorKind::kUsage, "simulate", "", std::move(message)); }

void CheckSpec(const ArrayConfig& array, const GroupSpec& spec) {
  if (array.n_antennas() < 1) throw UsageError("expected at least one antenna, found none");
  if (spec.n_integrations < 1) throw UsageError("expected at least one integration");
  if (spec.n_channels < 1 || kRawChannelsPerSubband % spec.n_channels != 0) {
    throw UsageError(fmt::format("channels per subband must divide 384, found {}", spec.n_channels));
  }
  if (spec.n_subbands < 1 || spec.n_subbands > kDsa110Subbands) {
    throw UsageError(fmt::format("expected 1 to 16 subbands, found {}", spec.n_subbands));
  }
}

// The unit vector from `position` towards position angle `pa` on the sky, ITRF; turned into it with the place itself,
// so that aberration and precession are the same for both.
Vec3 TowardsAngle(const EarthFrame& frame, const SkyDirection& position, double pa) {
  constexpr double kStep = 1e-5;
  const double dec = position.dec.rad(), north = kStep * std::cos(pa), east = kStep * std::sin(pa) / std::cos(dec);
  const Vec3 ahead = frame.FromIcrs(position.ra.rad() + east, dec + north),
             behind = frame.FromIcrs(position.ra.rad() - east, dec - north);
  Vec3 direction;
  for (std::size_t k = 0; k < 3; ++k) direction[k] = (ahead[k] - behind[k]) / (2 * kStep);
  return direction;
}

struct GaussianAxes {
  Vec3 major, minor;  // full widths (radians) times unit vectors, ITRF
};

// Everything that does not depend on the subband.
struct Observation {
  const SkyModel& sky;
  const ArrayConfig& array;
  const Corruptions& corruptions;
  const GroupSpec& spec;
  std::vector<Row> rows;
  std::vector<double> baselines_m;              // [row][3]
  std::vector<double> time_jd;                  // [time]
  Vec3 phase_centre;                            // s0, ITRF
  std::vector<std::vector<Vec3>> offsets;       // [time][source] s − s0
  std::vector<std::size_t> extended;            // sources that are Gaussians
  std::vector<std::vector<GaussianAxes>> axes;  // [time][extended]
  std::vector<bool> dead;                       // by position in the correlator order
  std::uint32_t noise_key;
  AntennaGains gains;

  Observation(const SkyModel& the_sky, const ArrayConfig& the_array, const Corruptions& the_corruptions,
              const GroupSpec& the_spec)
      : sky(the_sky),
        array(the_array),
        corruptions(the_corruptions),
        spec(the_spec),
        rows(BaselineRows(the_array)),
        phase_centre(MeridianDirection(the_array.site.longitude_rad, the_spec.app_dec_rad)),
        noise_key(static_cast<std::uint32_t>(
            MixSeed({the_spec.seed, 0x401, static_cast<std::uint64_t>(std::llround(the_spec.start.mjd_s() * 1000))}))),
        gains(the_array, the_corruptions, BandCentreHz(the_spec),
              the_spec.gain_seed != 0 ? the_spec.gain_seed : the_spec.seed) {
    for (const Row& row : rows) {
      for (std::size_t axis = 0; axis < 3; ++axis)
        baselines_m.push_back(Position(row.position2)[axis] - Position(row.position1)[axis]);
    }
    for (std::size_t i = 0; i < sky.sources.size(); ++i) {
      if (sky.sources[i].shape.extended()) extended.push_back(i);
    }
    for (int t = 0; t < spec.n_integrations; ++t) {
      time_jd.push_back(IntegrationJd(spec, t));
      const EarthFrame frame(UtcTime::FromJd(time_jd.back()));
      std::vector<Vec3>& at = offsets.emplace_back();
      for (const Source& source : sky.sources) {
        Vec3 s = frame.FromIcrs(source.position.ra.rad(), source.position.dec.rad());
        for (std::size_t axis = 0; axis < 3; ++axis) s[axis] -= phase_centre[axis];
        at.push_back(s);
      }
      axes.emplace_back();
      for (const std::size_t i : extended) axes.back().push_back(AxesOf(frame, sky.sources[i]));
    }
    for (int antenna : array.correlator_order) {
      const auto& list = corruptions.dead_stations;
      dead.push_back(std::find(list.begin(), list.end(), antenna + 1) != list.end());
    }
  }

  static GaussianAxes AxesOf(const EarthFrame& frame, const Source& source) {
    const Shape& shape = source.shape;
    GaussianAxes at{TowardsAngle(frame, source.position, shape.position_angle.rad()),
                    TowardsAngle(frame, source.position, shape.position_angle.rad() + kPi / 2)};
    for (std::size_t k = 0; k < 3; ++k) {
      at.major[k] *= shape.major.rad();
      at.minor[k] *= shape.minor.rad();
    }
    return at;
  }
  const Vec3& Position(int position) const {
    return array.positions_itrf_m[static_cast<std::size_t>(array.correlator_order[static_cast<std::size_t>(position)])];
  }
  static double BandCentreHz(const GroupSpec& s) {
    const ChannelBlock top = SubbandChannels(0, s.n_channels), bottom = SubbandChannels(s.n_subbands - 1, s.n_channels);
    return (top.Frequency(0) + bottom.Frequency(bottom.n - 1)) / 2;
  }
};

// Mean over time and channels of what one subband adds to the truth.
struct SubbandTruth {
  std::vector<double> apparent_jy;  // per source, Σ over times and channels
  std::vector<double> steady_jy;    // the same if it did not vary
  std::vector<double> intrinsic_jy;
};

class SubbandSimulator {
 public:
  SubbandSimulator(const Observation& o, int subband, std::uint8_t* mask)
      : o_(o),
        subband_(subband),
        mask_(mask),
        channels_(SubbandChannels(subband, o.spec.n_channels)),
        width_hz_(std::abs(channels_.step_hz)),
        sky_re_(o.rows.size() * channels_.n),
        sky_im_(sky_re_.size()),
        vis_(sky_re_.size() * kPols) {
    const std::size_t n_sources = o.sky.sources.size();
    truth_.apparent_jy.assign(n_sources, 0.0);
    truth_.steady_jy.assign(n_sources, 0.0);
    truth_.intrinsic_jy.assign(n_sources, 0.0);
    for (const Source& source : o.sky.sources) {
      for (std::size_t k = 0; k < channels_.n; ++k) flux_.push_back(source.FluxJy(channels_.Frequency(k)));
    }
    if (o.corruptions.has_gains()) {
      for (std::size_t a = 0; a < o.array.n_antennas(); ++a) {
        for (int pol = 0; pol < static_cast<int>(kPols); ++pol) {
          for (std::size_t k = 0; k < channels_.n; ++k) {
            response_.push_back(o.gains.Response(a, pol, channels_.Frequency(k)));
          }
        }
      }
      gain_.resize(response_.size());
    }
    const std::size_t padded = (channels_.n * kPols + 7) / 8 * 8;
    noise_re_.resize(padded);
    noise_im_.resize(padded);
  }

  // Fills vis(): [row][channel][pol] of integration `t`.
  void Integrate(std::size_t t) {
    SumSky(t);
    SumInterference(t);
    if (!gain_.empty()) {
      const double time_s = UtcTime::FromJd(o_.time_jd[t]).mjd_s();
      for (std::size_t i = 0; i < gain_.size(); i += channels_.n) {
        const std::size_t receptor = i / channels_.n;
        const std::complex<double> g = o_.gains.Gain(receptor / kPols, static_cast<int>(receptor % kPols), time_s);
        for (std::size_t k = 0; k < channels_.n; ++k) gain_[i + k] = g * response_[i + k];
      }
    }
    for (std::size_t row = 0; row < o_.rows.size(); ++row) FinishRow(t, row);
  }

  ArrayView<const std::complex<float>, 3> vis() const { return {vis_.data(), {o_.rows.size(), channels_.n, kPols}}; }
  const SubbandTruth& truth() const { return truth_; }

 private:
  std::array<std::size_t, 2> PlaneShape() const { return {o_.rows.size(), channels_.n}; }
  ArrayView<const double, 2> Baselines() const { return {o_.baselines_m.data(), {o_.rows.size(), 3}}; }

  void SumSky(std::size_t t) {
    const std::vector<Source>& sources = o_.sky.sources;
    EmitterSet emitters(sources.size(), channels_.n);
    const double mjd = o_.time_jd[t] - kMjdOfJd;
    for (std::size_t e = 0; e < o_.extended.size(); ++e) {
      emitters.Spread(o_.extended[e], o_.axes[t][e].major, o_.axes[t][e].minor);
    }
    for (std::size_t i = 0; i < sources.size(); ++i) {
      const Vec3& offset = o_.offsets[t][i];
      // |s − s0|² = 2 − 2 cos θ.
      const double half_chord2 = Dot(offset, offset) / 4;
      if (1 - 2 * half_chord2 < kSkipBeyondCosine) continue;
      const double sin_theta = 2 * std::sqrt(half_chord2 * (1 - half_chord2));
      const double level = sources[i].variation.FactorAt(mjd);
      emitters.Place(i, offset, SiderealRate(offset), width_hz_);
      for (std::size_t k = 0; k < channels_.n; ++k) {
        const double beam =
            o_.spec.primary_beam ? AiryPower(sin_theta, channels_.Frequency(k), o_.array.dish_diameter_m) : 1.0;
        const double flux = level * flux_[i * channels_.n + k];
        emitters.Amplitude(k, i) = flux * beam;
        truth_.apparent_jy[i] += flux * beam;
        truth_.steady_jy[i] += flux_[i * channels_.n + k] * beam;
        truth_.intrinsic_jy[i] += flux;
      }
    }
    SumEmitters(emitters, channels_, kDsa110IntegrationS, Baselines(), {sky_re_.data(), PlaneShape()},
                {sky_im_.data(), PlaneShape()});
  }

  void SumInterference(std::size_t t) {
    rfi_re_[0].clear();
    const double after_start_s = (static_cast<double>(t) + 0.5) * kDsa110IntegrationS;
    std::vector<const RfiEmitter*> active;
    for (const RfiEmitter& e : o_.corruptions.rfi) {
      for (std::size_t k = 0; k < channels_.n; ++k) {
        if (Occupancy(e, channels_.Frequency(k), width_hz_, after_start_s, kDsa110IntegrationS) > 0) {
          active.push_back(&e);
          break;
        }
      }
    }
    if (active.empty()) return;
    // The correlator follows the sky-fixed point c; a transmitter stays where it is or moves by itself.
    const Vec3 follow = SiderealRate(o_.phase_centre);
    for (std::size_t pol = 0; pol < kPols; ++pol) {
      EmitterSet emitters(active.size(), channels_.n);
      for (std::size_t i = 0; i < active.size(); ++i) {
        EmitterPlace place = PlaceOf(*active[i], o_.array.site, after_start_s);
        for (std::size_t axis = 0; axis < 3; ++axis) {
          place.direction[axis] -= o_.phase_centre[axis];
          place.rate[axis] -= follow[axis];
        }
        emitters.Place(i, place.direction, place.rate, std::min(width_hz_, active[i]->bandwidth_hz));
        const double flux = pol == 0 ? active[i]->flux_xx_jy : active[i]->flux_yy_jy;
        for (std::size_t k = 0; k < channels_.n; ++k) {
          emitters.Amplitude(k, i) =
              flux * Occupancy(*active[i], channels_.Frequency(k), width_hz_, after_start_s, kDsa110IntegrationS);
        }
      }
      rfi_re_[pol].resize(sky_re_.size());
      rfi_im_[pol].resize(sky_re_.size());
      SumEmitters(emitters, channels_, kDsa110IntegrationS, Baselines(), {rfi_re_[pol].data(), PlaneShape()},
                  {rfi_im_[pol].data(), PlaneShape()});
    }
  }

  void FinishRow(std::size_t t, std::size_t row) {
    const auto p1 = static_cast<std::size_t>(o_.rows[row].position1),
               p2 = static_cast<std::size_t>(o_.rows[row].position2);
    const bool is_auto = p1 == p2;
    const std::size_t n = channels_.n;
    const double sefd = o_.corruptions.sefd_jy;
    const bool dead =
        (o_.dead[p1] || o_.dead[p2]) && UtcTime::FromJd(o_.time_jd[t]).mjd_s() >= o_.corruptions.dead_from_mjd_s;
    const int dead_pol = o_.corruptions.dead_pol;
    double alive[kPols];
    for (std::size_t pol = 0; pol < kPols; ++pol) {
      alive[pol] = dead && (dead_pol < 0 || static_cast<std::size_t>(dead_pol) == pol) ? 0.0 : 1.0;
    }
    const double sigma = VisibilitySigmaJy(sefd, width_hz_, kDsa110IntegrationS);
    // An autocorrelation is real, with the radiometer's full variance; a cross-correlation shares it out to two parts.
    const double sigma_re = is_auto ? sigma * std::sqrt(2.0) : sigma;
    const double sigma_im = is_auto ? 0.0 : sigma;
    const double level = is_auto ? sefd : 0.0;
    if (sefd > 0) {
      const std::uint64_t sample =
          ((t * o_.rows.size() + row) * kDsa110Subbands + static_cast<std::size_t>(subband_)) * noise_re_.size();
      NormalPairs(o_.noise_key, sample, n * kPols, noise_re_.data(), noise_im_.data());
    }
    const bool rfi = !rfi_re_[0].empty();
    if (mask_ != nullptr && rfi) MarkInterference(t, row, sigma > 0 ? sigma : 1.0, alive);
    for (std::size_t pol = 0; pol < kPols; ++pol) {
      const std::complex<double>* const g1 = gain_.empty() ? nullptr : &gain_[(p1 * kPols + pol) * n];
      const std::complex<double>* const g2 = gain_.empty() ? nullptr : &gain_[(p2 * kPols + pol) * n];
      for (std::size_t k = 0; k < n; ++k) {
        double re = sky_re_[row * n + k], im = sky_im_[row * n + k];
        if (rfi) {
          re += rfi_re_[pol][row * n + k];
          im += rfi_im_[pol][row * n + k];
        }
        re = alive[pol] * re + sigma_re * noise_re_[pol * n + k] + level;
        im = alive[pol] * im + sigma_im * noise_im_[pol * n + k];
        if (g1 != nullptr) {
          const double gr = g1[k].real() * g2[k].real() + g1[k].imag() * g2[k].imag();
          const double gi = g1[k].real() * g2[k].imag() - g1[k].imag() * g2[k].real();
          const double product_re = re * gr - im * gi;
          im = re * gi + im * gr;
          re = product_re;
        }
        vis_[(row * n + k) * kPols + pol] = {static_cast<float>(re), static_cast<float>(im)};
      }
    }
  }

  void MarkInterference(std::size_t t, std::size_t row, double sigma, const double* alive) {
    const std::size_t n = channels_.n, all = n * static_cast<std::size_t>(o_.spec.n_subbands);
    for (std::size_t k = 0; k < n; ++k) {
      double strongest = 0;
      for (std::size_t pol = 0; pol < kPols; ++pol) {
        strongest = std::max(strongest, alive[pol] * std::hypot(rfi_re_[pol][row * n + k], rfi_im_[pol][row * n + k]));
      }
      if (strongest <= o_.spec.mask_threshold * sigma) continue;
      const std::size_t descending = static_cast<std::size_t>(subband_) * n + k;
      mask_[(t * o_.rows.size() + row) * all + (all - 1 - descending)] = 1;
    }
  }

  const Observation& o_;
  const int subband_;
  std::uint8_t* const mask_;
  const ChannelBlock channels_;
  const double width_hz_;
  std::vector<double> flux_;             // [source][channel]
  std::vector<double> sky_re_, sky_im_;  // [row][channel]
  std::vector<double> rfi_re_[kPols], rfi_im_[kPols];
  std::vector<std::complex<double>> response_, gain_;  // [antenna][pol][channel]
  std::vector<double> noise_re_, noise_im_;
  std::vector<std::complex<float>> vis_;  // [row][channel][pol]
  SubbandTruth truth_;
};

std::vector<SubbandFile> NameFiles(const GroupSpec& spec) {
  std::vector<SubbandFile> files;
  Random random(MixSeed({spec.seed, 0x57A, static_cast<std::uint64_t>(std::llround(spec.start.mjd_s()))}));
  for (int subband = 0; subband < spec.n_subbands; ++subband) {
    const double late_s = std::floor(spec.stamp_jitter_s * random.Uniform() + 0.5);
    const std::string name = fmt::format("{}_sb{:02}", (spec.start + late_s).Iso8601(), subband);
    if (std::count(spec.missing_subbands.begin(), spec.missing_subbands.end(), subband) > 0) continue;
    SubbandFile file{subband, spec.out_dir / (name + "_incomplete.hdf5"), spec.out_dir / (name + ".hdf5")};
    for (const std::filesystem::path& path : {file.path, file.incomplete}) {
      if (std::filesystem::exists(path)) {
        throw Error(ErrorKind::kUsage, "simulate", path.string(), "exists already; remove it or choose another folder");
      }
    }
    files.push_back(std::move(file));
  }
  return files;
}

// A full disk shows before the work is done. Per sample: complex64, float32 nsamples, one byte of flag.
void CheckDiskSpace(const ArrayConfig& array, const GroupSpec& spec, std::size_t n_files) {
  const std::uint64_t samples = array.n_baselines() * static_cast<std::size_t>(spec.n_integrations) *
                                static_cast<std::size_t>(spec.n_channels) * kPols;
  const std::uint64_t needed = n_files * 13 * samples;
  CheckRoom(RealOs(), spec.out_dir, needed, "simulate", spec.out_dir.string());
}

}  // namespace

double VisibilitySigmaJy(double sefd_jy, double channel_width_hz, double integration_s) {
  return sefd_jy / std::sqrt(2 * channel_width_hz * integration_s);
}

ChannelBlock SubbandChannels(int subband, int n_channels) {
  const int averaged = kRawChannelsPerSubband / n_channels;
  const double first = 1024.0 + 384.0 * subband + (averaged - 1) / 2.0;  // middle of the averaged raw channels
  return {kDsa110BandTopHz - first * kDsa110RawChannelWidthHz, -averaged * kDsa110RawChannelWidthHz,
          static_cast<std::size_t>(n_channels)};
}

double GroupSeconds(const GroupSpec& spec) { return spec.n_integrations * kDsa110IntegrationS; }

double IntegrationJd(const GroupSpec& spec, int integration) {
  return spec.start.mjd() + (integration + 0.5) * kDsa110IntegrationS / kSecondsPerDay + kMjdOfJd;
}

UtcTime MiddleOf(const GroupSpec& spec) { return spec.start + GroupSeconds(spec) / 2; }

SkyDirection FieldCentre(const ArrayConfig& array, const GroupSpec& spec) {
  return EarthFrame(MiddleOf(spec)).ToIcrs(MeridianDirection(array.site.longitude_rad, spec.app_dec_rad));
}

void Publish(const SubbandFile& file) { std::filesystem::rename(file.incomplete, file.path); }

GroupResult SimulateGroup(const SkyModel& sky, const ArrayConfig& array, const Corruptions& corruptions,
                          const GroupSpec& spec) {
  CheckSpec(array, spec);
  const Observation observation(sky, array, corruptions, spec);
  GroupResult result;
  result.stamp = spec.start.Iso8601();
  result.files = NameFiles(spec);
  result.field_centre = FieldCentre(array, spec);
  CheckDiskSpace(array, spec, result.files.size());

  const auto n_times = static_cast<std::size_t>(spec.n_integrations);
  const std::size_t n_all = static_cast<std::size_t>(spec.n_channels * spec.n_subbands);
  Buffer<std::uint8_t> mask(spec.write_mask ? n_times * observation.rows.size() * n_all : 0);
  std::vector<SubbandTruth> truths(result.files.size());
  std::mutex progress_lock;
  std::size_t done = 0;
  try {
    ParallelFor(spec.threads, result.files.size(), [&](std::size_t i) {
      const SubbandFile& file = result.files[i];
      Uvh5Header header;
      header.array = &array;
      header.app_dec_rad = spec.app_dec_rad;
      header.expected_integrations = spec.n_integrations;
      header.channels = SubbandChannels(file.subband, spec.n_channels);
      header.integration_time_s = static_cast<double>(static_cast<float>(kDsa110IntegrationS));
      header.history = "written by contimg simulate in the layout of dsa110-meridian-fringestopping";
      Uvh5Writer writer(file.incomplete, header);
      SubbandSimulator simulator(observation, file.subband, spec.write_mask ? mask.data() : nullptr);
      for (std::size_t t = 0; t < n_times; ++t) {
        simulator.Integrate(t);
        writer.Append(observation.time_jd[t], simulator.vis(), static_cast<float>(kDsa110SamplesPerIntegration));
        if (spec.progress) {
          const std::lock_guard lock(progress_lock);
          spec.progress(static_cast<double>(++done) / static_cast<double>(result.files.size() * n_times));
        }
      }
      writer.Close();
      truths[i] = simulator.truth();
    });
    TruthInput truth{sky, array, corruptions, spec, observation.gains, {}, {}};
    const double samples = static_cast<double>(n_times * static_cast<std::size_t>(spec.n_channels) * truths.size());
    for (std::size_t s = 0; s < sky.sources.size(); ++s) {
      double apparent = 0, steady = 0, intrinsic = 0;
      for (const SubbandTruth& part : truths) {
        apparent += part.apparent_jy[s];
        steady += part.steady_jy[s];
        intrinsic += part.intrinsic_jy[s];
      }
      truth.apparent_jy.push_back(apparent / samples);
      result.seen_jy.push_back(sky.sources[s].flux_jy * apparent / steady);
      truth.band_mean_jy.push_back(intrinsic / samples);
    }
    const std::filesystem::path truth_dir = spec.truth_dir.empty() ? spec.out_dir : spec.truth_dir;
    if (spec.write_truth) {
      result.truth_path = truth_dir / ("truth_" + result.stamp + ".json");
      WriteTruth(result.truth_path, truth);
    }
    if (spec.write_mask) {
      result.mask_path = truth_dir / ("rfimask_" + result.stamp + ".hdf5");
      std::vector<double> frequency;
      for (int subband = spec.n_subbands - 1; subband >= 0; --subband) {
        const ChannelBlock block = SubbandChannels(subband, spec.n_channels);
        for (std::size_t k = block.n; k-- > 0;) frequency.push_back(block.Frequency(k));
      }
      WriteMask(result.mask_path, {mask.data(), {n_times, observation.rows.size(), n_all}}, frequency);
    }
  } catch (...) {
    std::error_code ignored;
    for (const SubbandFile& file : result.files) std::filesystem::remove(file.incomplete, ignored);
    throw;
  }
  if (spec.publish) {
    for (const SubbandFile& file : result.files) Publish(file);
  }
  return result;
}

}  // namespace contimg::simulator
