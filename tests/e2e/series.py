#!/usr/bin/env python3
"""Fluxes and light curves of full-size tiles against what was simulated: what docs/performance.md has in "Light curves of
whole tiles". One tile at a time; its files and images go when it is measured.

    /usr/bin/python3 tests/e2e/series.py --bin build/release/bin [--work DIR] drift --ra 357 --dec 16.1 [--tiles 6]
    /usr/bin/python3 tests/e2e/series.py --bin build/release/bin [--work DIR] depths
    /usr/bin/python3 tests/e2e/series.py --bin build/release/bin [--work DIR] pairs [--tiles 3]
    /usr/bin/python3 tests/e2e/series.py --bin build/release/bin [--work DIR] days [--tiles 12] [--days 5]
    /usr/bin/python3 tests/e2e/series.py --bin build/release/bin [--work DIR] deep [--days 10]

`drift`, `depths` (one tile, cleaned with 3000, 10 000 and 60 000 components), `pairs` and `deep` have noise alone; `days` has gains
that drift, interference, a day's K, BP and G from a calibrator in the first tile and an hour's G on the field, and sources that
vary: the same tiles on sidereal days. Light curves go on record and are normalised as those of the telescope are. `deep` co-adds
one tile of many days: how noise falls, fluxes and places, and a day of a wrong scale.
"""
import argparse
import csv
import json
import math
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

warnings.simplefilter("ignore", FITSFixedWarning)
sys.path.insert(0, str(pathlib.Path(__file__).parent))
import photometry  # noqa: E402

FLOOR = 0.01  # of a flux, in the errors that statistics of variability use
CALIBRATOR_JY = 6.0


def robust(values):
    return 1.4826 * np.median(np.abs(values - np.median(values))) if len(values) else math.nan


def write_catalogue(path, truth):
    """The simulated sources, named by their places in the truth's list."""
    with open(path, "w") as file:
        file.write("name,ra_deg,dec_deg,flux_jy,alpha\n")
        for i, (ra, dec, flux, alpha) in enumerate(truth["sources"]):
            file.write(f"s{i},{ra % 360:.8f},{dec:.8f},{flux:.9f},{alpha:.5f}\n")


class Measured:
    """Forced fluxes of one image's catalogue beside the truth; one entry a source measured."""

    def __init__(self, table, image, truth, index):
        """`index`: a row's place in the truth's list, None when it is not there."""
        rows = [row for row in csv.DictReader(open(table)) if index(row) is not None]
        self.source = np.array([index(row) for row in rows])
        self.flux, self.error, frequency = (np.array([float(row[key]) for row in rows])
                                            for key in ("flux_jy", "flux_error_jy", "frequency_hz"))
        self.flags = np.array([int(row["flags"]) for row in rows])
        sources = np.array(truth["sources"])
        self.true = sources[self.source, 2] * (frequency / 1.4e9) ** sources[self.source, 3]
        self.snr = self.true / self.error
        self.pull = (self.flux - self.true) / self.error
        header = fits.getheader(image)
        x, y = WCS(header).celestial.wcs_world2pix(sources[self.source, 0], sources[self.source, 1], 0)
        east, north = -(x[:, None] - x) * header["CDELT2"], (y[:, None] - y) * header["CDELT2"]
        s, c = math.sin(math.radians(header["BPA"])), math.cos(math.radians(header["BPA"]))
        widths = np.hypot((east * s + north * c) / header["BMAJ"], (east * c - north * s) / header["BMIN"])
        np.fill_diagonal(widths, 9)
        self.alone = ~((widths < 2) & (self.snr > 1.5)).any(axis=1)
        self.near = widths.min(axis=1)
        self.nearest = widths.argmin(axis=1)


def join(parts, name):
    return np.concatenate([getattr(part, name) for part in parts])


def tell_pulls(label, parts, extra=None):
    """(S - truth)/sigma: mean with its error, median, scatter."""
    snr, pull, ratio = join(parts, "snr"), join(parts, "pull"), join(parts, "flux") / join(parts, "true")
    for low, top in ((5, 100), (5, 10), (10, 20), (20, 100), (100, 1e9)):
        use = (snr > low) & (snr < top)
        if extra is not None:
            use &= extra
        if use.sum() < 5:
            continue
        mean = np.mean(np.clip(pull[use], -6, 6))
        print(f"{label}  {low:>3} to {top:<5g} sigma: {use.sum():>5}, mean {mean:+.3f} +- {np.std(pull[use]) / math.sqrt(use.sum()):.3f}, "
              f"median {np.median(pull[use]):+.3f}, scatter {robust(pull[use]):.3f}, flux ratio {np.median(ratio[use]):.4f}", flush=True)


class Curves:
    """Fluxes of constants over tiles and days about their own means. Keys are sources' places; fluxes over truth, so that a
    flux that a step of frequency changes does not count as one that varies."""

    def __init__(self):
        self.points = {}

    def add(self, part, truth, scale=1.0, use=None):
        for i, source in enumerate(part.source):
            if (part.alone if use is None else use)[i]:
                ra, dec = truth["sources"][source][:2]
                self.points.setdefault((ra, dec), []).append((part.flux[i] * scale / part.true[i], part.error[i] / part.true[i]))

    def tell(self, label, floor):
        chi, dof, above, count, bright = 0.0, 0, {4: 0, 5: 0}, 0, []
        each = []
        for points in self.points.values():
            if len(points) < 2:
                continue
            ratio, error = np.array(points).T
            sigma = np.hypot(error, floor)
            snr = 1 / np.median(error)
            weight = 1 / sigma**2
            mean = np.sum(weight * ratio) / weight.sum()
            off = (ratio - mean) / sigma / np.sqrt(1 - weight / weight.sum())
            if 5 < snr < 100:
                chi += np.sum(weight * (ratio - mean) ** 2)
                dof += len(ratio) - 1
                each.append(np.sum(weight * (ratio - mean) ** 2) / (len(ratio) - 1))
            if snr > 5:
                count += len(ratio)
                for limit in above:
                    above[limit] += np.sum(np.abs(off) > limit)
            if snr > 200:
                bright.append((np.sum((ratio - ratio.mean()) ** 2) / (len(ratio) - 1), np.mean(error**2)))
        print(f"{label}, floor {100 * floor:.0f} %: chi2/dof of constants, 5 to 100 sigma: {chi / max(dof, 1):.3f} ({len(each)} sources); "
              f"beyond 4, 5 sigma: {above[4]}, {above[5]} of {count} points", end="")
        if bright and floor == 0:
            variance, noise = np.mean(bright, axis=0)
            print(f"; beyond noise above 200 sigma: {100 * math.copysign(math.sqrt(abs(variance - noise)), variance - noise):.2f} % "
                  f"({len(bright)} sources)", end="")
        print(flush=True)


class Noise:
    """Tiles with noise alone."""

    def __init__(self, args, work):
        self.args, self.work, self.contimg = args, work, pathlib.Path(args.bin) / "contimg"
        work.mkdir(parents=True)

    def run(self, *words):
        photometry.run([self.contimg, *words], self.work / "log")

    def tiles(self, tiles, *words):
        """Truths of simulated tiles, each with its Measurement Set in x.ms."""
        incoming = self.work / "in"
        self.run("simulate", "--out", incoming, "--quiet", "--channels", 12, "--tiles", tiles, *words)
        for path in sorted(incoming.glob("truth_*.json")):
            group = path.stem[len("truth_"):]
            files = sorted(incoming.glob(group + "_sb*.hdf5"))
            self.run("convert", *files, "--out", self.work / "x.ms", "--no-durable")
            for file in files:
                file.unlink()
            truth = json.loads(path.read_text())
            self.catalogue = self.work / "sky.csv"
            write_catalogue(self.catalogue, truth)
            yield group, truth
            shutil.rmtree(self.work / "x.ms")
        shutil.rmtree(incoming)

    def measure(self, truth, *words):
        prefix = self.work / "im"
        self.run("image", self.work / "x.ms", "--out", prefix, "--no-durable", "--catalogue", self.catalogue, *words)
        self.run("photometry", prefix, "--catalogue", self.catalogue, "--out", self.work / "p.csv", "--overwrite")
        part = Measured(self.work / "p.csv", f"{prefix}.image.fits", truth, lambda row: int(row["name"][1:]))
        for path in self.work.glob("im.*"):
            path.unlink()
        return part

    def sky(self):
        return ("--random-sky", 0.6, "--max-sources", 2500, "--radius", 3.5, "--seed", self.args.seed)


def drift(args, work):
    chain, parts, curves = Noise(args, work), [], Curves()
    for group, truth in chain.tiles(args.tiles, "--transit", f"{args.ra},{args.dec}", *chain.sky()):
        parts.append(chain.measure(truth))
        curves.add(parts[-1], truth)
        tell_pulls(group, parts[-1:])
    tell_pulls(f"dec {args.dec:+.1f}, all", parts)
    tell_pulls(f"dec {args.dec:+.1f}, alone", parts, join(parts, "alone"))
    curves.tell(f"dec {args.dec:+.1f}", 0)


def depths(args, work):
    chain = Noise(args, work)
    for _, truth in chain.tiles(1, "--transit", f"{args.ra},{args.dec}", *chain.sky()):
        for number in (3000, 10000, 60000):
            tell_pulls(f"{number} components", [chain.measure(truth, "--set", f"image.max_iterations={number}")])


def pairs(args, work):
    chain, both = Noise(args, work), []
    for group, truth in chain.tiles(args.tiles, "--transit", f"{args.ra},{args.dec}", "--random-sky", 3, "--max-sources", 1500, "--radius",
                                    3, "--seed", args.seed, "--pairs", 250 * args.tiles, "--pair-flux", "0.015,0.2"):
        part = chain.measure(truth)
        mutual = part.nearest[part.nearest] == np.arange(len(part.source))
        part.pair = mutual & (part.snr > 20) & (part.snr[part.nearest] > 20)
        both.append(part)
    near, pair, pull = (join(both, name) for name in ("near", "pair", "pull"))
    ratio = join(both, "flux") / join(both, "true")
    for low, top in ((0.5, 0.8), (0.8, 1.2), (1.2, 1.6), (1.6, 2), (0.8, 2)):
        use = pair & (near > low) & (near < top)
        print(f"{low} to {top} beams apart, both above 20 sigma: {use.sum()} fluxes, median ratio {np.median(ratio[use]):.4f}, "
              f"pulls {np.median(pull[use]):+.2f} +- {robust(pull[use]):.2f}")


def deep(args, work):
    chain, images = Noise(args, work), []
    for group, truth in chain.tiles(1, "--days", args.days, "--transit", f"{args.ra},{args.dec}", *chain.sky()):
        prefix = work / group
        chain.run("image", work / "x.ms", "--out", prefix, "--no-durable", "--catalogue", chain.catalogue)
        for path in work.glob(group + ".*"):
            if path.name[len(group):] not in (".image.fits", ".residual.fits", ".pb.fits", ".smear.fits", ".metrics.json"):
                path.unlink()
        images.append(prefix)
        if len(images) in (1, 2, 5, args.days):
            tell_deep(chain, images, truth)
    half = len(images) // 2
    maps = []
    for name, some in (("a", images[:half]), ("b", images[half:2 * half])):
        chain.run("mosaic", *some, "--out", work / name, "--no-durable")
        maps.append(fits.getdata(f"{work / name}.residual.fits").squeeze())
    rms = fits.getdata(f"{work / 'deep'}.rms.fits").squeeze()
    difference = (maps[0] - maps[1]) / 2
    middle = rms < 1.2 * np.nanmin(rms)
    print(f"{len(images)} days, half of the difference of two halves: {1e3 * robust(difference[middle]):.4f} mJy where the rms map has "
          f"{1e3 * np.median(rms[middle]):.4f}")
    spoiled = images[half]
    for kind in ("image", "residual"):
        with fits.open(f"{spoiled}.{kind}.fits", mode="update") as file:
            file[0].data *= 0.69
    chain.run("mosaic", *images, "--out", work / "spoiled", "--no-durable")
    tiles = fits.getdata(f"{work / 'spoiled'}.tiles.fits")
    print("a day of 0.69 times its fluxes among them: " + ", ".join(
        f"{tile['name']} {tile['refusal']}, scale {tile['scale']:.3f}"
        for tile in tiles if not tile["used"]))


def tell_deep(chain, images, truth):
    """Noise, fluxes and places of a co-add of all days so far."""
    out, work = chain.work / "deep", chain.work
    chain.run("mosaic", *images, "--out", out, "--no-durable", "--overwrite")
    chain.run("photometry", out, "--catalogue", chain.catalogue, "--out", work / "deep.csv", "--overwrite")
    chain.run("sources", out, "--out", work / "found.csv", "--overwrite")
    part = Measured(work / "deep.csv", f"{out}.image.fits", truth, lambda row: int(row["name"][1:]))
    use, ratio = part.alone & (part.snr > 20), part.flux / part.true
    rms, residual = (fits.getdata(f"{out}.{kind}.fits").squeeze() for kind in ("rms", "residual"))
    middle, header = rms < 1.2 * np.nanmin(rms), fits.getheader(f"{out}.image.fits")
    rows = [row for row in csv.DictReader(open(work / "found.csv")) if float(row["snr"]) > 50]
    ra, dec = (np.array([float(row[key]) for row in rows]) for key in ("ra_deg", "dec_deg"))
    sources = np.array(truth["sources"])[part.source[part.alone]]
    east = ((ra[:, None] - sources[:, 0] + 180) % 360 - 180) * np.cos(np.radians(dec))[:, None]
    north = dec[:, None] - sources[:, 1]
    near = np.hypot(east, north).argmin(axis=1)
    east, north = (d[np.arange(len(rows)), near] / math.sqrt(header["BMAJ"] * header["BMIN"]) for d in (east, north))
    close = np.hypot(east, north) < 0.3
    print(f"{len(images)} days: rms map {1e3 * np.median(rms[middle]):.4f} mJy in the middle, of the residual "
          f"{1e3 * robust(residual[middle]):.4f}; {use.sum()} isolated above 20 sigma: flux ratio {np.median(ratio[use]):.4f}, pulls {np.median(part.pull[use]):+.2f} +- "
          f"{robust(part.pull[use]):.2f}; {close.sum()} places above 50 sigma: {np.median(np.hypot(east, north)[close]):.4f} beams off, "
          f"in common {np.median(east[close]):+.4f}, {np.median(north[close]):+.4f}", flush=True)
    tell_pulls(f"{len(images)} days", [part], part.alone)


class Days(photometry.Chain):
    """The telescope's stages on the same tiles day after day; the simulator waits while tiles wait to be processed."""
    WAITING = 4  # tiles, half a gigabyte each

    def __init__(self, args, work):
        super().__init__(args, args.dec, work)
        self.contimg = self.bin / "contimg"
        self.state = work / "state"
        self.state.mkdir()
        self.environment = dict(os.environ, CONTIMG_STATE_DIR=str(self.state), CONTIMG_SCRATCH_DIR=str(work))

    def write_sky(self, centre):
        """Sources about the tiles' path. `names`: of each place, with 'v' for those that vary; words for the simulator."""
        rng = random.Random(self.args.seed)
        cos_dec, length = math.cos(math.radians(self.dec)), 309.24 * 15.041 / 3600 * self.args.tiles
        constants = []
        for _ in range(int(16 * (4 / 15) ** -0.9 * 5 * (length * cos_dec + 6))):
            flux = min(1.5, 0.004 * (1 - rng.random()) ** (-1 / 0.9))
            ra, dec = centre[0] - 3 / cos_dec + rng.random() * (length + 6 / cos_dec), centre[1] + (rng.random() - 0.5) * 5
            if math.hypot((ra - centre[0]) * cos_dec, dec - centre[1]) > 0.05:
                constants.append((ra % 360, dec, flux, -0.7 + 0.2 * rng.gauss(0, 1)))
        words, variables, start = [], [], self.start_mjd
        for i in range(3 * self.args.tiles):
            ra, dec = (centre[0] + (0.6 + rng.random() * (self.args.tiles - 0.2)) * length / self.args.tiles) % 360, centre[1] + rng.uniform(-1.2, 1.2)
            flux = 10 ** rng.uniform(-2, -0.8)
            change = 0.0004 * 10 ** rng.uniform(0.7, 1.7) / flux  # 5 to 50 times the noise
            span, at = self.args.days * 0.99727, start + rng.uniform(0.5, self.args.days - 1)
            vary = (f"vary=sinusoid,amplitude={min(0.95, 1.4 * change):.4f},period={rng.uniform(0.4, 1.3) * span:.3f},at={at:.4f}",
                    f"vary=step,factor={1 + 2 * change:.4f},at={at:.4f}",
                    f"vary=flare,factor={1 + 3 * change:.4f},at={at:.4f},rise=0.3,decay={rng.uniform(0.4, 1.5):.3f}")[i % 3]
            variables.append((ra, dec, flux, -0.7))
            words += ["--source", f"{ra:.7f},{dec:.7f},{flux:.6f},-0.7,{vary}"]
        sky, everything = self.work / "sky.csv", self.work / "everything.csv"
        self.catalogue = self.work / "catalogue.csv"
        line = "%s,%.7f,%.7f,%.6f,%.4f\n"
        with open(sky, "w") as one, open(everything, "w") as two, open(self.catalogue, "w") as three:
            for file in (one, two, three):
                file.write("name,ra_deg,dec_deg,flux_jy,alpha\n")
            three.write("cal,%.7f,%.7f,%.6f,0\n" % (*centre, CALIBRATOR_JY))
            two.write("cal,%.7f,%.7f,%.6f,0\n" % (*centre, CALIBRATOR_JY))
            for i, (ra, dec, flux, alpha) in enumerate(constants + variables):
                name = f"c{i}" if i < len(constants) else f"v{i}"
                two.write(line % (name, ra, dec, flux, alpha))
                if i < len(constants):
                    one.write(line % (name, ra, dec, flux, alpha))
                if flux >= 0.05:
                    three.write("%s,%.7f,%.7f,%.6f,\n" % (name, ra, dec, flux * (1 + 0.03 * rng.gauss(0, 1))))
        self.everything = everything
        return sky, words

    def tiles(self):
        """(day, number in the day, group) of every tile, when its files are there."""
        args, size = self.args, ["--antennas", 32] if self.args.small else []
        probe = self.work / "probe"  # where the first tile looks
        photometry.run([self.contimg, "simulate", "--out", probe, "--dec", self.dec, "--start", photometry.START, "--antennas", 4, "--channels", 4,
                        "--subbands", 1, "--no-noise", "--integrations", 24], self.log)
        first = json.loads(next(probe.glob("truth_*.json")).read_text())
        shutil.rmtree(probe)
        self.start_mjd = first["t_mid_mjd"]
        sky, words = self.write_sky(first["centre"])
        command = [self.contimg, "simulate", "--out", self.work / "in", "--truth", self.work / "truth", "--dec", self.dec, "--start",
                   photometry.START, "--tiles", args.tiles + 1, "--days", args.days, "--calibrator", CALIBRATOR_JY, "--catalog", sky,
                   "--radius", 3.2, "--max-sources", 1500, "--gains", "0.2,180", "--drift", "0.02,10", "--delays", 5, "--bandpass", 0.05,
                   "--rfi", "2,2", "--seed", args.seed, "--threads", 1, "--channels", 12, *words, *size]
        for i, group in enumerate(photometry.simulated(command, self.work, args.days * (args.tiles + 1), self.WAITING)):
            yield divmod(i, args.tiles + 1) + (group,)

    def measure_tile(self, group):
        truth = json.loads((self.work / "truth" / f"truth_{group}.json").read_text())
        places = {(round(ra % 360, 6), round(dec, 6)): i for i, (ra, dec, *_) in enumerate(truth["sources"])}
        prefix, table = self.work / "out" / group, self.work / f"{group}.csv"
        subprocess.run([str(w) for w in (self.contimg, "photometry", prefix, "--catalogue", self.everything, "--out", table, "--log-level",
                                         "error")], check=True)
        part = Measured(table, f"{prefix}.image.fits", truth, lambda row: places.get((round(float(row["ra_deg"]), 6),
                                                                                      round(float(row["dec_deg"]), 6))))
        self.command("lightcurve", "record", table)
        for path in (self.work / "out").glob(group + ".*"):
            path.unlink()
        return part, truth

    def command(self, *words):
        return subprocess.run([str(w) for w in (self.contimg, "--log-level", "error", *words)], check=True, env=self.environment,
                              capture_output=True, text=True).stdout

    def parts(self):
        """(group, Measured, truth) of every science tile."""
        for day, number, group in self.tiles():
            if number == 0:
                day_solve = dict(kinds=["K", "BP", "G"], model="calibrator:cal", prefix=str(self.work / "cal" / group) + "_24h",
                                 interval="24h", apply=[], anchor=None, previous=[], reference_antennas=[])
                report = self.job(group, [], day_solve, False)
                self.check(report)
                k, bp, g = self.tables(report)
                continue
            if number == 1:
                solve = dict(day_solve, kinds=["G"], model="field", prefix=str(self.work / "cal" / group) + "_1h", interval="1h",
                             apply=[k, bp], anchor=g, previous=[g])
                report = self.job(group, [k, bp, g], solve, True)
                self.check(report)
                hourly = self.tables(report)[0]
            else:
                report = self.job(group, [k, bp, hourly], None, True)
            part, truth = self.measure_tile(group)
            tell_pulls(f"day {day} tile {number} {group}", [part])
            yield group, part, truth


def days(args, work):
    chain, found = Days(args, work), []
    for group, part, truth in chain.parts():
        found.append((group, part, truth))
        if len(found) % args.tiles == 0 and len(found) > args.tiles:
            tell_days(chain, found)


def tell_days(chain, found):
    """Constants about their means, raw and normalised, and what is found to vary."""
    parts = [part for _, part, _ in found]
    tell_pulls(f"{len(found)} tiles", parts)
    scale = {tile["product"]: tile["scale"] for tile in json.loads(chain.command("lightcurve", "normalise", "--json"))}
    print("scales of tiles: " + " ".join(f"{value:.4f}" for value in scale.values() if value))
    for label, use in (("raw", lambda group: 1.0), ("normalised", lambda group: scale.get(group) or 1.0)):
        curves = Curves()
        for group, part, truth in found:
            steady = np.array([truth["sources"][i][:2] not in [truth["sources"][v["source"]][:2] for v in truth["varying"]]
                               for i in part.source])
            part.steady = steady
            curves.add(part, truth, use(group), steady & part.alone)
        for floor in (0, FLOOR):
            curves.tell(label, floor)
    tell_variables(chain, found)


def tell_variables(chain, found):
    """Is every source that changes by 8 sigma rms above the 99.5 % of the constants in eta, by the product's own figures?"""
    listed = json.loads(chain.command("variables", "--level", "tile", "--limit", 0, "--json"))["variables"]
    eta = {}
    for source in listed:
        eta[round(source["ra_deg"], 5), round(source["dec_deg"], 5)] = source["eta"]
    truth_of, error_of = {}, {}
    for _, part, truth in found:
        varying = {v["source"] for v in truth["varying"]}
        for i, source in enumerate(part.source):
            ra, dec = truth["sources"][source][:2]
            truth_of.setdefault((round(ra % 360, 5), round(dec, 5), source in varying), []).append(part.true[i])
            error_of.setdefault((round(ra % 360, 5), round(dec, 5)), []).append(part.error[i])
    constants, variables = [], []
    for (ra, dec, varies), fluxes in truth_of.items():
        if (ra, dec) not in eta or len(fluxes) < 2:
            continue
        if not varies:
            if np.mean(fluxes) > 5 * np.median(error_of[ra, dec]):
                constants.append(eta[ra, dec])
        else:
            variables.append((np.std(fluxes) / np.median(error_of[ra, dec]), eta[ra, dec]))
    limit = np.quantile(constants, 0.995)
    print(f"eta of {len(constants)} constants: median {np.median(constants):.2f}, 99.5 % {limit:.2f}, largest {max(constants):.1f}")
    for low, top in ((8, 1e9), (4, 8), (0, 4)):
        some = [value > limit for change, value in variables if low <= change < top]
        if some:
            print(f"variables that change by {low} to {top:g} sigma rms: {sum(some)} of {len(some)} above")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--work", help="a folder that does not exist; kept")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--no-refine", action="store_true", help="days: gains as they drift (calibrate.refine = false)")
    parser.add_argument("--small", action="store_true", help="days: 32 antennas and small images, to see that it runs")
    parts = parser.add_subparsers(dest="part", required=True)
    for name, run, tiles, seed in (("drift", drift, 6, 21), ("depths", depths, 1, 5), ("pairs", pairs, 3, 31), ("days", days, 12, 41),
                                   ("deep", deep, 1, 51)):
        part = parts.add_parser(name)
        part.set_defaults(run=run)
        part.add_argument("--dec", type=float, default=16.1)
        part.add_argument("--ra", type=float, default=0.0)
        part.add_argument("--tiles", type=int, default=tiles)
        part.add_argument("--seed", type=int, default=seed)
        part.add_argument("--days", type=int, default=10 if name == "deep" else 5)
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the simulator ends with this
    args.full, args.cell, args.antennas = not args.small, "5", 32  # of photometry.Chain, as no_refine
    work = pathlib.Path(args.work) if args.work else pathlib.Path(tempfile.mkdtemp(prefix="contimg-series-")) / "w"
    try:
        args.run(args, work)
    finally:
        if not args.work:
            shutil.rmtree(work.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
