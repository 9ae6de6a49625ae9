#include "ops/cli/simulate_options.h"

#include "ops/cli/setting_options.h"

namespace contimg::ops {
namespace {

void AddTimes(CLI::App* command, SimulateOptions& o) {
  const char* when = "Where and when";
  command->add_option("--start", o.start, "UTC start of the first tile, 2025-10-13T13:28:03 (with --realtime: now)")
      ->group(when);
  command->add_option("--dec", o.dec_deg, "Apparent declination of the pointing, degrees (16.1)")
      ->check(Between(-90, 90))
      ->group(when);
  command
      ->add_option("--transit", o.transit,
                   "RA,DEC (ICRS, degrees): start so that this point crosses the meridian in the "
                   "middle of the first tile, at the first chance after --start; sets --dec unless given")
      ->group(when);
  command->add_option("--tiles", o.tiles, "Consecutive tiles to write")
      ->check(Between(1, 1e6))
      ->capture_default_str()
      ->group(when);
  command->add_option("--hours", o.hours, "Length of the drift instead of --tiles")
      ->check(Between(0, 1e5))
      ->group(when);
  command
      ->add_option("--days", o.days,
                   "The same tiles on so many sidereal days: the same sky, other noise, gains and interference")
      ->check(Between(1, 1e4))
      ->capture_default_str()
      ->group(when);
  command->add_flag("--realtime", o.realtime, "Give files their final names when the sky has got there")->group(when);
  command->add_option("--pace", o.pace, "With --realtime: run so many times faster than the sky")
      ->check(Between(1e-6, 1e6))
      ->capture_default_str()
      ->group(when);
}

void AddArray(CLI::App* command, SimulateOptions& o) {
  const char* what = "Array and files";
  command
      ->add_option("--antennas", o.antennas,
                   "Number of antennas, or station numbers in correlator order (24,25,…); all 96")
      ->group(what);
  command->add_option("--integrations", o.integrations, "Integrations of 12.885 s in a file")
      ->check(Between(1, 100000))
      ->capture_default_str()
      ->group(what);
  command->add_option("--channels", o.channels, "Channels in a subband; fewer are wider (must divide 384)")
      ->check(Between(1, 384))
      ->capture_default_str()
      ->group(what);
  command->add_option("--subbands", o.subbands, "Subbands, from the top of the band")
      ->check(Between(1, 16))
      ->capture_default_str()
      ->group(what);
  command->add_option("--missing", o.missing, "Subbands that never come: 3,7")->group(what);
  command->add_option("--late", o.late, "With --realtime, subbands that come late: 5:40,9:120 (seconds)")->group(what);
  command
      ->add_option("--stamp-jitter", o.stamp_jitter_s, "File-name stamps of a group scatter by up to so many seconds")
      ->check(Between(0, 3600))
      ->group(what);
  command->add_option("--truth", o.truth, "Folder for the truth (default: beside the files)")->group(what);
}

void AddSky(CLI::App* command, SimulateOptions& o) {
  const char* sky = "Sky (a 5 Jy calibrator at the field centre when nothing is asked for)";
  command
      ->add_option("--catalog", o.catalog,
                   "CSV with ra_deg,dec_deg and flux_jy, flux_mjy or peak_mjy (1.4 GHz), and "
                   "spectral_index if known; '#' starts a comment")
      ->group(sky);
  command->add_option("--random-sky", o.random_mjy, "Random sources down to so many mJy, from 1.4 GHz source counts")
      ->check(Between(0, 1e9))
      ->group(sky);
  command
      ->add_option(
          "--source", o.sources,
          "RA,DEC,JY[,ALPHA][,KEY=VALUE…]: a source in every tile, degrees and Jy at 1.4 GHz, extended or variable by "
          "the keys above; repeatable")
      ->group(sky)
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      ->add_flag("--sizes", o.sizes, "Sources of --catalog have the sizes it gives (Gaussians); else they are points")
      ->group(sky);
  command->add_option("--pairs", o.pairs, "So many random pairs of neighbours")->check(Between(0, 1e6))->group(sky);
  command->add_option("--pair-widths", o.pair_widths, "MIN,MAX: how far apart, in full widths of --pair-beam (0.5,2)")
      ->check(Between(0, 1000))
      ->delimiter(',')
      ->expected(2)
      ->group(sky);
  command
      ->add_option("--pair-beam", o.pair_beam,
                   "MAJOR,MINOR,ANGLE: the beam of the image, arcsec and degrees (34.4,16.4,93)")
      ->check(Between(0, 1e5))
      ->delimiter(',')
      ->expected(3)
      ->group(sky);
  command
      ->add_option("--pair-flux", o.pair_flux,
                   "MIN,MAX: Jy of the brighter one (0.01,0.2); the other has 0.3 to 1 of it")
      ->check(Between(0, 1e9))
      ->delimiter(',')
      ->expected(2)
      ->group(sky);
  command
      ->add_option("--calibrator", o.calibrator_jy, "A flat-spectrum source of so many Jy at the first tile's centre")
      ->check(Between(0, 1e9))
      ->group(sky);
  command->add_option("--alpha", o.alpha, "Spectral index where none is given")
      ->check(Between(-10, 10))
      ->capture_default_str()
      ->group(sky);
  command
      ->add_option("--radius", o.radius_deg,
                   "Use catalogue and random sources within so many degrees of a tile's centre")
      ->check(Between(0.001, 180))
      ->capture_default_str()
      ->group(sky);
  command->add_option("--max-sources", o.max_sources, "At most so many of them, the brightest seen through the beam")
      ->check(Between(0, 1e9))
      ->capture_default_str()
      ->group(sky);
  command->add_flag("--no-beam", o.no_beam, "No primary beam: the same response everywhere")->group(sky);
}

void AddFaults(CLI::App* command, SimulateOptions& o) {
  const char* faults = "Noise and faults";
  command->add_option("--sefd", o.sefd_jy, "System equivalent flux density, Jy: noise and level of autocorrelations")
      ->check(Between(0, 1e12))
      ->capture_default_str()
      ->group(faults);
  command->add_flag("--no-noise", o.no_noise, "Neither noise nor system level")->group(faults);
  command->add_option("--gains", o.gains, "AMP,DEG: rms of antenna gains in ln amplitude and phase (180: any phase)")
      ->check(Between(0, 1000))
      ->delimiter(',')
      ->expected(1, 2)
      ->group(faults);
  command->add_option("--drift", o.drift, "AMP,DEG: how fast they drift, per hour")
      ->check(Between(0, 1000))
      ->delimiter(',')
      ->expected(1, 2)
      ->group(faults);
  command->add_option("--delays", o.delays_ns, "Rms antenna delay, ns")->check(Between(0, 1e6))->group(faults);
  command->add_option("--bandpass", o.bandpass, "Rms bandpass ripple, ln amplitude and radians")
      ->check(Between(0, 100))
      ->group(faults);
  command->add_option("--dead", o.dead, "Antennas with noise but no signal: how many, or a list of stations (24,)")
      ->group(faults);
  command->add_option("--dead-pol", o.dead_pol, "Only this receptor of theirs: X or Y")
      ->check(CLI::IsMember({"X", "Y"}))
      ->group(faults);
  command->add_option("--dead-from", o.dead_from, "They die at this UTC: 2025-10-13T13:33:12")->group(faults);
  command
      ->add_option("--rfi", o.rfi,
                   "NARROW[,BURSTS[,TRACKS]]: how many narrow-band, burst and satellite-like transmitters a tile has")
      ->group(faults);
  command->add_option("--rfi-flux", o.rfi_flux, "MIN,MAX: their flux densities, Jy (5,500)")
      ->check(Between(0, 1e12))
      ->delimiter(',')
      ->expected(2)
      ->group(faults);
  command
      ->add_flag("--rfi-mask", o.rfi_mask, "Write rfimask_<timestamp>.hdf5: samples with interference above one sigma")
      ->group(faults);
  command->add_option("--seed", o.seed, "Same seed, same files")->capture_default_str()->group(faults);
}

}  // namespace

void AddSimulateOptions(CLI::App* command, SimulateOptions& o) {
  command->add_option("--out", o.out, "Folder for the files; made when absent")->required();
  AddTimes(command, o);
  AddArray(command, o);
  AddSky(command, o);
  AddFaults(command, o);
  command->add_option("--threads", o.threads, "Threads; the result does not depend on it")
      ->check(Between(1, 1024))
      ->capture_default_str();
  command->add_flag("--json", o.json, "Print one JSON array, a record a tile");
}

}  // namespace contimg::ops
