#!/usr/bin/env python3
"""Source finding and forced photometry on one simulated tile, compared with what was simulated and, on the same image in the same
run, with SExtractor (source-extractor) and SEP (python3-sep) where they are installed. See sources_bench.sh.

    sources_bench.py CONTIMG FOLDER      FOLDER holds im.*.fits and truth_*.json
"""
import csv
import json
import math
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS

SEED = 5.5


def spent(work):
    """The shortest wall time of three runs with its processor seconds, and the last result."""
    best = None
    for _ in range(3):
        before, start = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)], time.monotonic()
        result = work()
        wall = time.monotonic() - start
        after = [resource.getrusage(who) for who in (resource.RUSAGE_CHILDREN, resource.RUSAGE_SELF)]
        cpu = sum(a.ru_utime + a.ru_stime - b.ru_utime - b.ru_stime for a, b in zip(after, before))
        if best is None or wall < best[0]:
            best = (wall, cpu)
    return best, result


class Truth:
    """The simulated sources in the image: places in pixels, apparent and true flux densities at the image's frequency."""

    def __init__(self, folder):
        truth = json.loads(next(folder.glob("truth_*.json")).read_text())
        self.header = fits.getheader(folder / "im.image.fits")
        self.pb, smear = (fits.getdata(folder / f"im.{kind}.fits").squeeze() for kind in ("pb", "smear"))
        self.response = self.pb * smear
        sources = np.array(truth["sources"])
        flux = sources[:, 2] * (self.header["CRVAL3"] / 1.4e9) ** sources[:, 3]
        x, y = WCS(self.header).celestial.wcs_world2pix(sources[:, 0], sources[:, 1], 0)
        inside = (x > 1) & (y > 1) & (x < self.pb.shape[1] - 2) & (y < self.pb.shape[0] - 2)
        self.row, self.x, self.y, self.flux = np.flatnonzero(inside), x[inside], y[inside], flux[inside]
        self.sources = sources
        self.b = self.at(self.response, self.x, self.y)
        self.low = self.at(self.pb, self.x, self.y) < 0.12
        self.residual = fits.getdata(folder / "im.residual.fits").squeeze()
        self.sigma = 1.4826 * np.median(np.abs(self.residual[self.pb > 0.3]))
        self.snr = self.flux * self.b / self.sigma
        widths = self.widths(self.x[:, None] - self.x, self.y[:, None] - self.y)
        np.fill_diagonal(widths, 9)
        self.alone = ~((widths < 2) & (self.snr > 1.5)[None, :]).any(axis=1)
        self.pair = ((widths > 0.3) & (widths < 2) & (self.snr > 20)[None, :]).any(axis=1) & (self.snr > 20)

    @staticmethod
    def at(plane, x, y):
        return plane[np.clip(np.round(y).astype(int), 0, plane.shape[0] - 1),
                     np.clip(np.round(x).astype(int), 0, plane.shape[1] - 1)].astype(float)

    def widths(self, dx, dy):
        """Pixels as full widths of the beam."""
        east, north = -dx * self.header["CDELT2"], dy * self.header["CDELT2"]
        s, c = math.sin(math.radians(self.header["BPA"])), math.cos(math.radians(self.header["BPA"]))
        return np.hypot((east * s + north * c) / self.header["BMAJ"], (east * c - north * s) / self.header["BMIN"])


def robust(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def judge(name, truth, x, y, flux, time_s, error=None, place_error_px=None, suspect=None):
    """Prints a finder's completeness, false sources, fluxes and places."""
    widths = truth.widths(x[:, None] - truth.x, y[:, None] - truth.y)
    nearest = np.argmin(widths, axis=0)
    found = widths[nearest, np.arange(len(truth.x))] < 0.5
    seen = widths < 0.5
    false = ~(seen & (truth.snr > 2)[None, :]).any(axis=1)
    snr = flux * truth.at(truth.response, x, y) / truth.sigma  # in the rms of the whole tile: it is higher about bright sources
    high = ~truth.low
    print(f"{name}: {len(x)} sources, {time_s[0]:.2f} s wall, {time_s[1]:.2f} s of processors")
    parts = [f"{label} {found[which].mean():.3f} of {which.sum()}" for label, which in (
        ("5-6", high & truth.alone & (truth.snr > 5) & (truth.snr < 6)),
        ("6-7", high & truth.alone & (truth.snr > 6) & (truth.snr < 7)),
        (">7", high & truth.alone & (truth.snr > 7)), (">10", high & truth.alone & (truth.snr > 10)),
        ("all >10", high & (truth.snr > 10)))]
    print("  found             " + ", ".join(parts))
    print(f"  false             {false.sum()}, of them above 6 rms {(false & (snr > 6)).sum()}" +
          ("" if suspect is None else f"; not flagged as suspect {(false & ~suspect).sum()}, {(false & ~suspect & (snr > 6)).sum()} of "
           f"{(~suspect).sum()}; sources so flagged {(suspect & ~false).sum()}"))
    ratio = flux[nearest] / truth.flux
    for low, top in ((7, 10), (10, 20), (20, 1e9)):
        which = found & high & truth.alone & (truth.snr > low) & (truth.snr < top)
        away = widths[nearest, np.arange(len(truth.x))][which]
        print(f"  {low:>3} to {top:<8g}   flux ratio {np.median(ratio[which]):.4f}, offset {np.median(away):.4f} beam")
    if error is None:
        return
    which = found & high & truth.alone & (truth.snr > 10) & (truth.snr < 100)
    pull = ((flux[nearest] - truth.flux) / error[nearest])[which]
    places = [((at[nearest] - true) / place_error_px[k][nearest])[which]
              for k, (at, true) in enumerate(((x, truth.x), (y, truth.y)))]
    pair = found & high & truth.pair
    if pair.any():
        of_pairs = ((flux[nearest] - truth.flux) / error[nearest])[pair]
        print(f"  pairs, > 20       {pair.sum()} of {(high & truth.pair).sum()} found, flux ratio {np.median(ratio[pair]):.4f}, "
              f"pulls {np.median(of_pairs):+.2f} ± {robust(of_pairs):.2f}")
    print(f"  pulls, 10 to 100  fluxes {np.median(pull):+.2f} ± {robust(pull):.2f}, places ± {robust(places[0]):.2f} (ra), "
          f"± {robust(places[1]):.2f} (dec)")


def run_contimg(contimg, folder, truth, scratch):
    def find():
        done = subprocess.run([contimg, "sources", folder / "im", "--seed", str(SEED), "--json", "--log-level", "error"],
                              check=True, capture_output=True, text=True)
        return json.loads(done.stdout)
    time_s, report = spent(find)
    rows = report["sources"]
    column = {key: np.array([row[key] for row in rows], float) for key in rows[0] if key != "name"}
    x, y = WCS(truth.header).celestial.wcs_world2pix(column["ra_deg"], column["dec_deg"], 0)
    cell = truth.header["CDELT2"] * 3600
    judge("contimg sources", truth, x, y, column["flux_jy"], time_s, column["flux_error_jy"],
          (column["ra_error_arcsec"] / cell, column["dec_error_arcsec"] / cell), column["flags"].astype(int) & 8 != 0)
    for alarms in report["false_alarms"]:
        print(f"  above {alarms['threshold']:<4g} rms    {alarms['expected']:.3g} maxima of noise expected, "
              f"{alarms['negative']} on the negative side")

    catalogue = scratch / "truth.csv"
    with open(catalogue, "w") as file:
        file.write("name,ra_deg,dec_deg,flux_jy,alpha\n")
        for i, (ra, dec, flux, alpha) in enumerate(truth.sources):
            file.write(f"s{i},{ra % 360:.8f},{dec:.8f},{flux:.9f},{alpha:.5f}\n")
    out = scratch / "p.csv"

    def measure():
        subprocess.run([contimg, "photometry", folder / "im", "--catalogue", catalogue, "--out", out, "--overwrite",
                        "--log-level", "error"], check=True)
        return list(csv.DictReader(open(out)))
    time_s, rows = spent(measure)
    column = {key: np.array([row[key] for row in rows], float) for key in rows[0] if key not in ("name", "product")}
    place = {row: i for i, row in enumerate(truth.row)}
    known = np.array([int(i) - 1 in place for i in column["source_id"]])
    index = np.array([place[int(i) - 1] for i in column["source_id"][known]])
    pull = (column["flux_jy"][known] - truth.flux[index]) / column["flux_error_jy"][known]
    ratio = column["flux_jy"][known] / truth.flux[index]
    print(f"contimg photometry: {len(rows)} places, {time_s[0]:.2f} s wall, {time_s[1]:.2f} s of processors")
    for label, which in (("5 to 100", (truth.snr > 5) & (truth.snr < 100)), ("alone", truth.alone & (truth.snr > 5) & (truth.snr < 100)),
                         (">20", truth.snr > 20), ("pairs >20", truth.pair)):
        use = which[index]
        print(f"  {label:<16}  {use.sum():>4}: flux ratio {np.median(ratio[use]):.4f}, pulls {np.mean(np.clip(pull[use], -6, 6)):+.2f}"
              f" (mean) {np.median(pull[use]):+.2f} ± {robust(pull[use]):.2f}")


def run_sextractor(folder, truth, scratch):
    program = shutil.which("source-extractor") or shutil.which("sex")
    if program is None:
        print("SExtractor: not installed (source-extractor)")
        return
    (scratch / "p.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_MAX\n")
    (scratch / "s.sex").write_text("")
    words = [program, folder / "im.image.fits", "-c", scratch / "s.sex", "-PARAMETERS_NAME", scratch / "p.param", "-FILTER", "N",
             "-DETECT_THRESH", str(SEED), "-ANALYSIS_THRESH", str(SEED), "-DETECT_MINAREA", "1", "-BACK_SIZE", "256", "-CATALOG_TYPE",
             "ASCII", "-CATALOG_NAME", scratch / "s.cat", "-VERBOSE_TYPE", "QUIET"]
    time_s, _ = spent(lambda: subprocess.run([str(w) for w in words], check=True, capture_output=True))
    x, y, peak = np.loadtxt(scratch / "s.cat", unpack=True)
    x, y = x - 1, y - 1
    keep = truth.at(truth.pb, x, y) > 0.1
    x, y, peak = x[keep], y[keep], peak[keep]
    judge("SExtractor, no filter, FLUX_MAX", truth, x, y, peak / truth.at(truth.response, x, y), time_s)


def run_sep(folder, truth):
    try:
        import sep
    except ImportError:
        print("SEP: not installed (python3-sep)")
        return
    sep.set_extract_pixstack(10_000_000)

    def find():
        data = np.ascontiguousarray(fits.getdata(folder / "im.image.fits").squeeze().astype(np.float32))
        background = sep.Background(data, bw=256, bh=256)
        return sep.extract(data - background.back(), SEED, err=background.rms(), filter_kernel=None, minarea=1)
    time_s, objects = spent(find)
    objects = objects[truth.at(truth.pb, objects["x"], objects["y"]) > 0.1]
    judge("SEP, no filter, peak", truth, objects["x"], objects["y"],
          objects["peak"] / truth.at(truth.response, objects["x"], objects["y"]), time_s)


def main():
    contimg, folder = pathlib.Path(sys.argv[1]).resolve(), pathlib.Path(sys.argv[2])
    truth = Truth(folder)
    print(f"tile       {truth.pb.shape[1]} by {truth.pb.shape[0]} pixels, {len(truth.x)} simulated sources in it, "
          f"rms {1e3 * truth.sigma:.3f} mJy; seed {SEED}")
    with tempfile.TemporaryDirectory(prefix="contimg-bench-sources-") as scratch:
        run_contimg(contimg, folder, truth, pathlib.Path(scratch))
        run_sextractor(folder, truth, pathlib.Path(scratch))
        run_sep(folder, truth)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
