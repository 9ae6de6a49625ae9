// `contimg simulate`: UVH5 groups of a made-up or catalogued sky, exactly as the correlator writes them.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "config/units.h"
#include "ops/cli/commands.h"
#include "ops/cli/program_options.h"
#include "ops/cli/simulate_options.h"
#include "ops/cli/simulated_source.h"
#include "tests/simulator/lightcurve_truth.h"
#include "tests/simulator/noise.h"
#include "tests/simulator/simulate.h"

namespace contimg::ops {

namespace {

namespace sim = contimg::simulator;
using Clock = std::chrono::steady_clock;

Error UsageError(const std::string& option, std::string message) {
  return Error(ErrorKind::kUsage, "simulate", option, std::move(message));
}

// Numbers separated by commas (or another separator); empty fields are skipped.
std::vector<double> Numbers(const std::string& option, const std::string& text, char separator = ',') {
  std::vector<double> values;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(separator, at), text.size());
    const std::string field = text.substr(at, end - at);
    at = end + 1;
    if (field.empty()) continue;
    double value = 0;
    const char* first = field.data() + (field[0] == '+' ? 1 : 0);
    const auto [stop, error] = std::from_chars(first, field.data() + field.size(), value);
    if (error != std::errc() || stop != field.data() + field.size() || !std::isfinite(value)) {
      throw UsageError(option, fmt::format("expected numbers, found '{}'", text));
    }
    values.push_back(value);
  }
  return values;
}

std::vector<int> Integers(const std::string& option, const std::string& text) {
  std::vector<int> values;
  for (double value : Numbers(option, text)) {
    if (value != std::floor(value)) throw UsageError(option, fmt::format("expected whole numbers, found '{}'", text));
    values.push_back(static_cast<int>(value));
  }
  return values;
}

bool IsList(const std::string& text) { return text.find(',') != std::string::npos; }

// Two values of an option, or the defaults when it was not given.
std::pair<double, double> Pair(const std::vector<double>& given, double first, double second) {
  return {!given.empty() ? given[0] : first, given.size() > 1 ? given[1] : second};
}

UtcTime ParseTime(const std::string& option, const std::string& text) { return UtcTime::FromPerson(option, text); }

sim::ArrayConfig MakeArray(const SimulateOptions& o) {
  if (o.antennas.empty()) return sim::Dsa110Array();
  const std::vector<int> numbers = Integers("--antennas", o.antennas);
  if (numbers.empty()) throw UsageError("--antennas", "expected a number or a list of stations");
  if (IsList(o.antennas)) return sim::Dsa110Array(numbers);
  return sim::Dsa110Array(numbers.at(0));
}

std::vector<int> DeadStations(const SimulateOptions& o, const sim::ArrayConfig& array) {
  if (o.dead.empty()) return {};
  std::vector<int> stations;
  for (int antenna : array.correlator_order) stations.push_back(antenna + 1);
  const std::vector<int> numbers = Integers("--dead", o.dead);
  if (numbers.empty()) throw UsageError("--dead", "expected a number or a list of stations");
  if (IsList(o.dead)) {
    for (int number : numbers) {
      if (std::find(stations.begin(), stations.end(), number) == stations.end()) {
        throw UsageError("--dead", fmt::format("station {} is not in the correlator", number));
      }
    }
    return numbers;
  }
  if (numbers[0] < 0 || numbers[0] > static_cast<int>(stations.size())) {
    throw UsageError("--dead", fmt::format("expected 0 to {} antennas, found {}", stations.size(), numbers[0]));
  }
  const auto count = static_cast<std::size_t>(numbers[0]);
  sim::Random random(sim::MixSeed({o.seed, 0xDEAD}));
  for (std::size_t i = 0; i < count; ++i) {
    const double left = static_cast<double>(stations.size() - i);
    std::swap(stations[i], stations[i + static_cast<std::size_t>(random.Uniform() * left)]);
  }
  stations.resize(count);
  std::sort(stations.begin(), stations.end());
  return stations;
}

std::vector<std::string> CommaFields(const std::string& text) {
  std::vector<std::string> fields;
  std::istringstream in(text);
  for (std::string field; std::getline(in, field, ',');) fields.push_back(field);
  return fields;
}

sim::Corruptions MakeCorruptions(const SimulateOptions& o, const sim::ArrayConfig& array) {
  sim::Corruptions c;
  c.sefd_jy = o.no_noise ? 0 : o.sefd_jy;
  std::tie(c.gain_amplitude, c.gain_phase_deg) = Pair(o.gains, 0, 0);
  std::tie(c.drift_amplitude_per_hour, c.drift_phase_deg_per_hour) = Pair(o.drift, 0, 0);
  c.delay_ns = o.delays_ns;
  c.bandpass_ripple = o.bandpass;
  c.dead_stations = DeadStations(o, array);
  c.dead_pol = o.dead_pol.empty() ? -1 : o.dead_pol == "X" ? 0 : 1;
  if (!o.dead_from.empty()) c.dead_from_mjd_s = ParseTime("--dead-from", o.dead_from).mjd_s();
  return c;
}

sim::PairRecipe Pairs(const SimulateOptions& o) {
  sim::PairRecipe recipe;
  recipe.pairs = o.pairs;
  std::tie(recipe.min_widths, recipe.max_widths) = Pair(o.pair_widths, recipe.min_widths, recipe.max_widths);
  std::tie(recipe.min_flux_jy, recipe.max_flux_jy) = Pair(o.pair_flux, recipe.min_flux_jy, recipe.max_flux_jy);
  if (recipe.max_widths < recipe.min_widths) throw UsageError("--pair-widths", "expected MIN <= MAX");
  if (!(recipe.min_flux_jy > 0 && recipe.max_flux_jy >= recipe.min_flux_jy)) {
    throw UsageError("--pair-flux", "expected 0 < MIN <= MAX");
  }
  recipe.beam = {Angle::Arcsec(o.pair_beam[0]), Angle::Arcsec(o.pair_beam[1]), Angle::Degrees(o.pair_beam[2])};
  return recipe;
}

// The sky of the whole run; SelectSources then picks each tile's.
sim::SkyModel MakeSky(const SimulateOptions& o, const sim::ArrayConfig& array, const sim::GroupSpec& first,
                      const sim::GroupSpec& last) {
  sim::SkyModel sky;
  if (!o.catalog.empty()) sky = sim::ReadCatalogue(o.catalog, o.alpha, o.sizes);
  const SkyDirection from = sim::FieldCentre(array, first), to = sim::FieldCentre(array, last);
  if (o.random_mjy > 0) {
    const sim::SkyStrip strip{from.ra, to.ra, from.dec, Angle::Degrees(o.radius_deg)};
    const sim::SkyModel random = sim::RandomSky(strip, o.random_mjy * 1e-3, o.seed);
    sky.sources.insert(sky.sources.end(), random.sources.begin(), random.sources.end());
  }
  if (o.pairs > 0) {
    const sim::SkyModel pairs =
        sim::RandomPairs({from.ra, to.ra, from.dec, Angle::Degrees(o.radius_deg)}, Pairs(o), o.seed);
    sky.sources.insert(sky.sources.end(), pairs.sources.begin(), pairs.sources.end());
  }
  return sky;
}

// Sources that every tile contains, whatever --radius says.
std::vector<sim::Source> ExplicitSources(const SimulateOptions& o, const SkyDirection& field_centre) {
  std::vector<sim::Source> sources;
  for (const std::string& text : o.sources) sources.push_back(ParseSimulatedSource(text, o.alpha));
  const bool nothing_else = o.catalog.empty() && o.random_mjy <= 0 && o.pairs == 0 && sources.empty();
  const double calibrator_jy = o.calibrator_jy > 0 ? o.calibrator_jy : nothing_else ? 5.0 : 0.0;
  if (calibrator_jy > 0) sources.push_back({field_centre, calibrator_jy, 0.0});
  return sources;
}

// Drops finished files at the pace of the sky: a subband appears when the tile's data would have ended.
class Pacer {
 public:
  Pacer(const SimulateOptions& o, UtcTime first_start) : pace_(o.pace), first_start_(first_start) {
    for (std::size_t at = 0; at < o.late.size();) {
      const std::size_t end = std::min(o.late.find(',', at), o.late.size());
      const std::vector<double> pair = Numbers("--late", o.late.substr(at, end - at), ':');
      if (pair.size() != 2) throw UsageError("--late", "expected SUBBAND:SECONDS, for example 5:40");
      late_s_[static_cast<int>(pair[0])] = pair[1];
      at = end + 1;
    }
  }

  // Gives the group's files their names in the background, late subbands after the others, and returns when the rest
  // are due. `data_end` is the end of the tile's data.
  void Publish(const sim::GroupResult& group, UtcTime data_end) {
    std::vector<std::pair<Clock::time_point, sim::SubbandFile>> schedule;
    for (const sim::SubbandFile& file : group.files) {
      const auto late = late_s_.find(file.subband);
      schedule.emplace_back(DueTime(data_end + (late == late_s_.end() ? 0.0 : late->second)), file);
    }
    std::stable_sort(schedule.begin(), schedule.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    publishing_.push_back(std::async(std::launch::async, [schedule] {
      for (const auto& [due, file] : schedule) {
        std::this_thread::sleep_until(due);
        sim::Publish(file);
      }
    }));
    std::this_thread::sleep_until(DueTime(data_end));
  }

  // Waits for every late subband; throws what went wrong with any.
  void Finish() {
    for (std::future<void>& tile : publishing_) tile.get();
  }

 private:
  Clock::time_point DueTime(UtcTime sky) const {
    return begun_ +
           std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>((sky - first_start_) / pace_));
  }

  double pace_;
  UtcTime first_start_;
  std::map<int, double> late_s_;
  Clock::time_point begun_ = Clock::now();
  std::vector<std::future<void>> publishing_;
};

// The first tile.
sim::GroupSpec MakeSpec(const SimulateOptions& o, const sim::ArrayConfig& array) {
  sim::GroupSpec spec;
  spec.out_dir = o.out;
  spec.truth_dir = o.truth;
  spec.n_integrations = o.integrations;
  spec.n_channels = o.channels;
  spec.n_subbands = o.subbands;
  spec.primary_beam = !o.no_beam;
  spec.write_mask = o.rfi_mask;
  spec.missing_subbands = Integers("--missing", o.missing);
  spec.stamp_jitter_s = o.stamp_jitter_s;
  spec.publish = !o.realtime;
  spec.seed = o.seed;
  spec.threads = o.threads;
  if (!o.start.empty()) {
    spec.start = ParseTime("--start", o.start);
  } else if (o.realtime) {
    spec.start = UtcTime::FromMjdSeconds(std::floor(UtcTime::Now().mjd_s()));
  }
  double transit_dec = 16.1 * kPi / 180;
  if (!o.transit.empty()) {
    const std::vector<std::string> fields = CommaFields(o.transit);
    if (fields.size() != 2) throw UsageError("--transit", fmt::format("expected RA,DEC, found '{}'", o.transit));
    const SkyDirection at = ParseSimulatedPlace("--transit", fields[0], fields[1]);
    const double half = sim::GroupSeconds(spec) / 2;
    const UtcTime transit =
        sim::NextTransit(at.ra.rad(), at.dec.rad(), array.site.longitude_rad, spec.start + half, transit_dec);
    spec.start = UtcTime::FromMjdSeconds(std::round((transit - half).mjd_s()));
  }
  spec.app_dec_rad = std::isnan(o.dec_deg) ? transit_dec : o.dec_deg * kPi / 180;
  for (int subband : spec.missing_subbands) {
    if (subband < 0 || subband >= spec.n_subbands) {
      throw UsageError("--missing", fmt::format("there is no subband {}", subband));
    }
  }
  return spec;
}

// The transmitters of each tile.
class Interference {
 public:
  explicit Interference(const SimulateOptions& o) : counts_(Integers("--rfi", o.rfi)), seed_(o.seed) {
    std::tie(recipe_.min_flux_jy, recipe_.max_flux_jy) = Pair(o.rfi_flux, 5, 500);
    if (!(recipe_.min_flux_jy > 0 && recipe_.max_flux_jy >= recipe_.min_flux_jy)) {
      throw UsageError("--rfi-flux", "expected 0 < MIN <= MAX");
    }
    const auto count = [&](std::size_t i) { return i < counts_.size() ? counts_[i] : 0; };
    recipe_.narrow_band = count(0);
    recipe_.bursts = count(1);
    recipe_.tracks = count(2);
  }

  std::vector<sim::RfiEmitter> Of(int tile, const sim::GroupSpec& spec) const {
    if (counts_.empty()) return {};
    const double high = sim::SubbandChannels(0, spec.n_channels).Frequency(0);
    const double low = sim::SubbandChannels(spec.n_subbands - 1, spec.n_channels)
                           .Frequency(static_cast<std::size_t>(spec.n_channels - 1));
    return sim::DrawRfi(recipe_, low, high, sim::GroupSeconds(spec),
                        sim::MixSeed({seed_, static_cast<std::uint64_t>(tile)}));
  }

 private:
  const std::vector<int> counts_;
  const std::uint64_t seed_;
  sim::RfiRecipe recipe_;
};

nlohmann::json RecordOf(const sim::GroupResult& group, std::size_t n_sources, double seconds) {
  return {{"stamp", group.stamp},
          {"files", group.files.size()},
          {"sources", n_sources},
          {"ra_deg", group.field_centre.ra.deg()},
          {"dec_deg", group.field_centre.dec.deg()},
          {"truth", group.truth_path.string()},
          {"mask", group.mask_path.string()},
          {"seconds", seconds}};
}

void Simulate(const SimulateOptions& o) {
  const sim::ArrayConfig array = MakeArray(o);
  sim::GroupSpec spec = MakeSpec(o, array);
  const int tiles =
      o.hours > 0 ? std::max(1, static_cast<int>(std::ceil(o.hours * kSecondsPerHour / sim::GroupSeconds(spec) - 1e-9)))
                  : o.tiles;
  if (o.days > 1 && tiles * sim::GroupSeconds(spec) > sim::kSiderealDayS) {
    throw UsageError("--days", fmt::format("{} tiles are longer than a sidereal day", tiles));
  }
  const UtcTime first_start = spec.start;
  sim::GroupSpec last = spec;
  last.start = first_start + (tiles - 1) * sim::GroupSeconds(spec);
  const sim::SkyModel sky = MakeSky(o, array, spec, last);
  const std::vector<sim::Source> always = ExplicitSources(o, sim::FieldCentre(array, spec));
  sim::Corruptions corruptions = MakeCorruptions(o, array);
  const Interference interference(o);

  std::filesystem::create_directories(o.out);
  if (!o.truth.empty()) std::filesystem::create_directories(o.truth);
  Pacer pacer(o, first_start);
  sim::LightCurveTruth light_curves;
  const bool terminal = isatty(STDERR_FILENO) != 0 && !o.json && !Options().quiet;
  nlohmann::json records = nlohmann::json::array();
  for (int number = 0; number < o.days * tiles; ++number) {
    const int day = number / tiles, tile = number % tiles;
    const Clock::time_point begun = Clock::now();
    spec.start = first_start + day * sim::kSiderealDayS + tile * sim::GroupSeconds(spec);
    spec.gain_seed = day == 0 ? o.seed : sim::MixSeed({o.seed, 0xDA7, static_cast<std::uint64_t>(day)});
    const std::string stamp = spec.start.Iso8601();
    spec.progress = nullptr;
    if (terminal) {
      spec.progress = [&](double fraction) { fmt::print(stderr, "\r{}  {:3.0f} %", stamp, 100 * fraction); };
    }
    sim::SkyModel here = sim::SelectSources(sky, sim::FieldCentre(array, spec), Angle::Degrees(o.radius_deg),
                                            o.max_sources, array.dish_diameter_m);
    here.sources.insert(here.sources.end(), always.begin(), always.end());
    corruptions.rfi = interference.Of(number, spec);
    const sim::GroupResult group = sim::SimulateGroup(here, array, corruptions, spec);
    light_curves.Add(group.stamp, day, sim::MiddleOf(spec), here, group.seen_jy);
    const double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    if (o.realtime) pacer.Publish(group, spec.start + sim::GroupSeconds(spec));
    if (terminal) fmt::print(stderr, "\r\033[K");
    if (o.json) {
      records.push_back(RecordOf(group, here.sources.size(), seconds));
    } else {
      fmt::print("{}  {} files, {} sources around RA {:.4f}° Dec {:+.4f}°, {:.1f} s\n", group.stamp, group.files.size(),
                 here.sources.size(), group.field_centre.ra.deg(), group.field_centre.dec.deg(), seconds);
      std::fflush(stdout);
    }
  }
  pacer.Finish();
  light_curves.Write((o.truth.empty() ? o.out : o.truth) / ("lightcurves_" + first_start.Iso8601() + ".json"));
  if (o.json) fmt::print("{}\n", records.dump(2));
}

}  // namespace

void AddSimulateCommand(CLI::App& app) {
  auto o = std::make_shared<SimulateOptions>();
  CLI::App* command = app.add_subcommand("simulate", "Write UVH5 groups of a simulated sky, with the truth as JSON");
  command->description(
      "Write UVH5 groups as the DSA-110 correlator writes them: 16 subband files a tile, drift scan, fringes stopped "
      "on\n"
      "the meridian. The sky is a direct sum over point sources with the drifting Airy beam and time and bandwidth\n"
      "smearing. truth_<timestamp>.json says what is in each tile, lightcurves_<timestamp>.json what every source had "
      "in\n"
      "each. More of a source (--source): major=, minor= (arcsec), angle=; vary=sinusoid with amplitude=, period=, "
      "at=;\n"
      "vary=flare with factor=, at=, decay=, rise=; vary=step with factor=, at=; a transient from=, to=. Times are MJD "
      "or\n"
      "UTC, durations days or with a unit.\n\n"
      "  contimg simulate --out in --transit 202.784533,30.509155 --source 202.784533,30.509155,15.09 --gains 0.2,180\n"
      "  contimg simulate --out in --dec 16.1 --catalog nvss.csv --max-sources 300 --hours 1\n"
      "  contimg simulate --out in --random-sky 20 --antennas 20 --channels 8 --realtime\n"
      "  contimg simulate --out in --days 5 --tiles 3 --transit 10,16.1 --random-sky 5 --drift 0.02,10 \\\n"
      "    --source 10,16,0.1,vary=sinusoid,amplitude=0.5,period=3d --source "
      "10.2,16.2,0.03,from=2025-10-15,to=2025-10-17");
  AddSimulateOptions(command, *o);
  command->callback([o] { Simulate(*o); });
}

}  // namespace contimg::ops
