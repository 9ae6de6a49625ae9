#!/usr/bin/env python3
"""Images against the sky that was simulated, beside wsclean: a full tile, once without noise, once with it.

    /usr/bin/python3 tests/e2e/image_truth.py --bin build/release/bin [--no-wsclean] [--small] [--ms CLEAN.ms NOISY.ms]

Without noise both clean deeply: the largest and the median error of the fluxes, of positions. With noise both stop at the
same threshold: (measured - truth)/sigma, residual rms, dynamic range. Truth is what the simulator put there times drift
beam times smearing, averaged with the imaging weights (mean frequency from the header, the beam and its colour from .pb);
sources count that have no neighbour of 2 % of their flux within three beams. The catalogue that contimg gets is the sky:
sources beyond the edges are then out of its way, which wsclean has no means for.
"""
import argparse
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import numpy as np
from astropy.io import fits

BAND = np.linspace(-0.5, 0.5, 192) * 187.5e6 * 767 / 768


def plane(path):
    return np.squeeze(fits.getdata(path)).astype(float)


def robust_rms(values):
    values = values[np.isfinite(values)]
    return 1.4826 * np.median(np.abs(values - np.median(values)))


class Truth:
    """The sky as it is in images of one tile."""

    def __init__(self, path, prefix):
        truth = json.loads(path.read_text())
        self.sources = np.array(truth["sources"])
        self.apparent = np.array(truth["apparent_jy"])
        self.pb, self.smear = plane(f"{prefix}.pb.fits"), plane(f"{prefix}.smear.fits")
        self.hz = fits.getheader(f"{prefix}.image.fits")["CRVAL3"]

    def expected(self, i, y, x):
        _, _, flux, alpha = self.sources[i]
        middle = 1.4050152587890625e9
        weight = 1 + (self.hz - middle) * BAND / BAND.var()  # the simplest that has the header's mean
        beam = weight * self.pb[y, x] ** (((middle + BAND) / self.hz) ** 2)
        spectrum = flux * ((middle + BAND) / 1.4e9) ** alpha
        return (spectrum * beam).sum() / beam.sum() * self.pb[y, x] * self.smear[y, x]


def peak(image, y, x):
    """Flux and place of the maximum near (y, x): parabolas through the logarithm."""
    y, x = (a + b - 2 for a, b in zip((y, x), np.unravel_index(np.argmax(image[y - 2:y + 3, x - 2:x + 3]), (5, 5))))
    log = np.log(image[y - 1:y + 2, x - 1:x + 2].clip(1e-9))
    gx, gy = (log[1, 2] - log[1, 0]) / 2, (log[2, 1] - log[0, 1]) / 2
    xx, yy = log[1, 0] - 2 * log[1, 1] + log[1, 2], log[0, 1] - 2 * log[1, 1] + log[2, 1]
    xy = (log[2, 2] - log[2, 0] - log[0, 2] + log[0, 0]) / 4
    dx, dy = np.linalg.solve([[xx, xy], [xy, yy]], [-gx, -gy])
    return image[y, x] * math.exp((gx * dx + gy * dy) / 2), y + dy, x + dx


def compare(name, image_path, residual_path, truth, least_jy, noisy):
    header, image, residual = fits.getheader(image_path), plane(image_path), plane(residual_path)
    ra, dec = np.radians(truth.sources[:, 0]), np.radians(truth.sources[:, 1])
    ra0, dec0 = math.radians(header["CRVAL1"]), math.radians(header["CRVAL2"])
    l = np.cos(dec) * np.sin(ra - ra0)
    m = np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(ra - ra0)
    xs = header["CRPIX1"] - 1 + np.degrees(l) / header["CDELT1"]
    ys = header["CRPIX2"] - 1 + np.degrees(m) / header["CDELT2"]
    beam = math.sqrt(header["BMAJ"] * header["BMIN"]) / header["CDELT2"]
    rms, rows = robust_rms(residual), []
    for i, apparent in enumerate(truth.apparent):
        x, y = int(round(xs[i])), int(round(ys[i]))
        away = np.hypot(xs - xs[i], ys - ys[i])
        if not (9 < x < image.shape[1] - 10 and 9 < y < image.shape[0] - 10) or np.any(
                (away < 3 * beam) & (away > 0) & (truth.apparent > 0.02 * apparent)):
            continue
        expected = truth.expected(i, y, x)
        if expected < least_jy:
            continue
        flux, py, px = peak(image, y, x)
        box = residual[max(0, y - 100):y + 101, max(0, x - 100):x + 101]
        rows.append((flux / expected - 1, (flux - expected) / robust_rms(box), math.hypot(px - xs[i], py - ys[i]) / beam))
    error, pull, offset = np.array(rows).T
    print(f"{name:<22} residual rms {1e3 * rms:.4f} mJy, peak over it {np.nanmax(image) / rms:.0f}; {len(rows)} sources above "
          f"{1e3 * least_jy:.0f} mJy: " + (
              f"(measured - truth)/sigma mean {pull.mean():+.2f}, rms {pull.std():.2f}" if noisy else
              f"worst flux error {100 * np.abs(error).max():.2f} %, median {100 * np.median(error):+.3f} %, worst offset "
              f"{offset.max():.4f} beam"), flush=True)
    return dict(rms_jy=rms, worst=np.abs(error).max(), median=np.median(error), offset=offset.max(), pull_mean=pull.mean(),
                pull_rms=pull.std())


def run(command, where, log):
    start = time.time()
    with open(log, "w") as out:
        done = subprocess.run([str(w) for w in command], cwd=where, stdout=out, stderr=out,
                              env={**os.environ, "OPENBLAS_NUM_THREADS": "1"})
    if done.returncode != 0:
        sys.exit(f"image_truth: {command[0]} failed: {pathlib.Path(log).read_text()[-500:]}")
    return time.time() - start


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default="build/release/bin")
    parser.add_argument("--work", help="where the data go; default: memory, about 5 GB at a time")
    parser.add_argument("--small", action="store_true", help="48 antennas, 192 channels, 2400 pixels")
    parser.add_argument("--no-wsclean", action="store_true")
    args = parser.parse_args()
    contimg = args.bin.resolve() / "contimg"
    work = pathlib.Path(tempfile.mkdtemp(prefix="contimg-truth-", dir=args.work or "/dev/shm"))
    pixels, cell = (2400, 6) if args.small else (4800, 3)
    try:
        for noisy in (False, True):
            data = pathlib.Path(tempfile.mkdtemp(prefix="contimg-truth-"))
            run([contimg, "simulate", "--out", data / "in", "--truth", data / "truth", "--dec", 54.6, "--random-sky", 5,
                 "--max-sources", 300, "--seed", 11, "--start", "2025-10-13T13:28:03"] + ([] if noisy else ["--no-noise"]) +
                (["--antennas", 48, "--channels", 12] if args.small else []), work, work / "log")
            ms = work / "x.ms"
            run([contimg, "convert", *sorted((data / "in").glob("*.hdf5")), "--out", ms, "--no-durable"], work, work / "log")
            truth_file = next((data / "truth").glob("truth_*.json"))
            catalogue = work / "sky.csv"
            with open(catalogue, "w") as file:
                file.write("ra_deg,dec_deg,flux_jy,alpha\n")
                for source in json.loads(truth_file.read_text())["sources"]:
                    file.write("%.8f,%.8f,%.8f,%.5f\n" % tuple(source[:4]))
            depth = ["--niter", 10000] if noisy else ["--niter", 60000, "--threshold", 1e-4]
            common = [contimg, "image", ms, "--size", pixels, "--cell", cell, "--weight", "briggs", "--robust", 0.5, "--minuv",
                      1000, "--auto-mask", 5, "--auto-threshold", 1, "--no-durable", *depth]
            print("with noise" if noisy else "without noise")
            least = 0.01 if noisy else 0.03
            for name, extra in (("contimg, catalogue", ["--catalogue", catalogue]), ("contimg", [])):
                seconds = run([*common, "--out", work / "c", "--overwrite", *extra], work, work / "log")
                truth = Truth(truth_file, work / "c")
                compare(f"{name} ({seconds:.0f} s)", work / "c.image.fits", work / "c.residual.fits", truth, least, noisy)
            if not args.no_wsclean:
                level = ["-niter", "10000", "-auto-threshold", "1"] if noisy else ["-niter", "60000", "-threshold", "1e-4"]
                seconds = run(["wsclean", "-j", os.cpu_count(), "-name", "w", "-size", pixels, pixels, "-scale", f"{cell}asec",
                               "-weight", "briggs", "0.5", "-minuv-l", "1000", "-auto-mask", "5", "-mgain", "0.8", "-reorder",
                               "-baseline-averaging", "12", "-no-update-model-required", *level, ms], work, work / "wsclean.log")
                compare(f"wsclean ({seconds:.0f} s)", work / "w-image.fits", work / "w-residual.fits", truth, least, noisy)
            shutil.rmtree(data)
            shutil.rmtree(ms)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
