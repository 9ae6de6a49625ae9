#!/usr/bin/env python3
"""A sidereal day of full tiles at one declination as a sequence of mosaics, twelve tiles each, half overlapping: time and memory from the
first to the last, and whether each joins the one before it. All tiles are one simulated tile moved over the sky (so their sources do not
agree, which a joint does not mind: it is of the same tiles in both). Tiles are made when their first mosaic needs them and removed
after their last, so that 10 GB of memory suffice for a day of 100 GB. How mosaics become a sequence in the service, and joints whose
tiles agree, at small size: tests/integration/mosaic_day_test.py.

    mosaic_day_bench.py CONTIMG TILE [--mosaics N] [--folder /dev/shm]
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from mosaic_bench import KINDS, plane, run
from mosaic_scaling_bench import DEC, STEP
from scipy import ndimage

TILES, A_DAY = 12, 46  # tiles of a mosaic, mosaics of a day
STAMPS, STAMP, REACH, MIN_PB = 40, 64, 16, 0.1


class Tiles:
    """Of a drift, by number; as files while they are needed."""

    def __init__(self, source, folder):
        self.folder, self.made = folder, {}
        self.planes = {kind: fits.getdata(f"{source}.{kind}.fits", header=True) for kind in KINDS}
        self.pb = self.planes["pb"][0].squeeze().copy()

    def ra(self, number):
        return STEP * number % 360

    def wcs(self, number):
        header = self.planes["image"][1].copy()
        header["CRVAL1"], header["CRVAL2"] = self.ra(number), DEC
        return WCS(header).celestial

    def prefixes(self, numbers):
        for number in set(self.made) - set(numbers):
            for kind in KINDS:
                pathlib.Path(f"{self.made[number]}.{kind}.fits").unlink()
            del self.made[number]
        for number in numbers:
            if number in self.made:
                continue
            prefix = self.folder / f"t{number}"
            for kind, (pixels, header) in self.planes.items():
                begin, end = (header[card] for card in ("MJD-BEG", "MJD-END"))
                moved, pixels = header.copy(), pixels.copy()
                moved["CRVAL1"], moved["CRVAL2"] = self.ra(number), DEC
                moved["MJD-BEG"], moved["MJD-END"] = begin + number * 309.24 / 86400, end + number * 309.24 / 86400
                pixels[..., 0, 0] += 1e-6 * (number + 1)  # the same pixels twice are refused
                fits.writeto(f"{prefix}.{kind}.fits", pixels, moved)
            self.made[number] = prefix
        return [self.made[number] for number in numbers]

    def over(self, number, sky):
        """Whether a tile is over places, and whether that is sure (no edge of it is near)."""
        x, y = self.wcs(number).wcs_world2pix(*sky, 0)
        ny, nx = self.pb.shape
        with np.errstate(invalid="ignore"):
            inside = np.minimum(np.minimum(x, nx - 1 - x), np.minimum(y, ny - 1 - y))
        far = ~(inside > 0)  # places behind the tile have no pixel
        pb = self.pb[np.where(far, 0, np.round(y)).astype(int), np.where(far, 0, np.round(x)).astype(int)]
        return (inside > 0) & (pb >= MIN_PB), far & ~(inside > -REACH) | (inside > REACH) & (np.abs(pb - MIN_PB) > 0.003)


class Mosaic:
    def __init__(self, prefix, numbers):
        self.numbers = numbers
        self.image, self.rms = (plane(f"{prefix}.{kind}.fits") for kind in ("image", "rms"))
        self.wcs = WCS(fits.getheader(f"{prefix}.image.fits")).celestial


def joint(tiles, one, other, rng):
    """95 % of pixels of the later one differ by less from the earlier one, in parts of the noise, where both have the same tiles; the
    same of their noises; how many pixels that is."""
    ny, nx = one.image.shape
    images, noises, stamps = [], [], 0
    y, x = np.mgrid[0:STAMP, 0:STAMP]
    for _ in range(100 * STAMPS):
        left, low = rng.integers(0, nx - STAMP), rng.integers(0, ny - STAMP)
        sky = one.wcs.wcs_pix2world((x + left).ravel(), (y + low).ravel(), 0)
        middle = tuple(np.array([axis[STAMP // 2 * STAMP + STAMP // 2]]) for axis in sky)
        bx, by = other.wcs.wcs_world2pix(*middle, 0)
        if not (np.isfinite(bx + by)[0] and 2 * STAMP < bx[0] < other.image.shape[1] - 2 * STAMP and 2 * STAMP < by[0] < other.image.shape[0] - 2 * STAMP):
            continue
        bx, by = other.wcs.wcs_world2pix(*sky, 0)
        x0, y0 = int(bx.min()) - REACH, int(by.min()) - REACH
        there = np.s_[y0:int(by.max()) + REACH + 2, x0:int(bx.max()) + REACH + 2]
        here = np.s_[low:low + STAMP, left:left + STAMP]
        if not (np.isfinite(one.image[here]).all() and np.isfinite(other.image[there]).all()):
            continue
        same = True
        for number in set(one.numbers) | set(other.numbers):
            over, sure = tiles.over(number, sky)
            same = same and sure.all() and (over.all() or not over.any())
            same = same and (number in one.numbers and number in other.numbers or not over.any())
        if not same:
            continue
        read, noise = (ndimage.map_coordinates(m[there].astype(float), [by - y0, bx - x0], order=order)
                       for m, order in ((other.image, 5), (other.rms, 1)))
        images.append(np.abs(read - one.image[here].ravel()) / one.rms[here].ravel())
        noises.append(np.abs(noise / one.rms[here].ravel() - 1))
        stamps += 1
        if stamps == STAMPS:
            break
    if not images:
        sys.exit("mosaic_day: two mosaics have no place of the same tiles")
    return *(np.percentile(np.concatenate(values), 95) for values in (images, noises)), stamps * STAMP**2


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("contimg")
    parser.add_argument("tile")
    parser.add_argument("--mosaics", type=int, default=A_DAY + 1, help="default: a day's, and the first of the next")
    parser.add_argument("--folder", default="/dev/shm", help="where tiles and mosaics are while they are needed (10 GB)")
    args = parser.parse_args()
    contimg = pathlib.Path(args.contimg).resolve()
    rng, before, rows, joints = np.random.default_rng(46), None, [], []
    with tempfile.TemporaryDirectory(prefix="contimg-bench-mosaic-day-", dir=args.folder) as folder:
        folder = pathlib.Path(folder)
        tiles = Tiles(args.tile, folder)
        for k in range(args.mosaics):
            numbers = range(k * TILES // 2, k * TILES // 2 + TILES)
            out = folder / f"m{k}"
            wall, cpu, rss, report, err, status = run([contimg, "--log-level", "error", "mosaic", *tiles.prefixes(numbers), "--out", out, "--no-durable",
                                                       "--max-scale-error", 10, "--json"])
            if status != 0:
                sys.exit(err)
            report = json.loads(report)
            if report["tiles_used"] != TILES:
                sys.exit(f"mosaic_day: tiles were left out: {[t['why'] for t in report['tiles']]}")
            rows.append((wall, cpu, rss))
            mosaic = Mosaic(out, numbers)
            if before:
                joints.append(joint(tiles, before, mosaic, rng))
            before = mosaic
            for path in folder.glob(f"m{k}.*"):
                path.unlink()
            print(f"mosaic {k:2d}, RA {tiles.ra(numbers[0]):5.1f} to {tiles.ra(numbers[-1]):5.1f}: {wall:5.1f} s wall, {cpu:5.1f} s of processors, "
                  f"{rss / 1024:.2f} GiB" + (f"; joint {joints[-1][0]:.4f} of the noise, noises {joints[-1][1]:.4f}, {joints[-1][2]} pixels" if joints else ""),
                  flush=True)
    wall, cpu, rss = zip(*rows)
    print(f"{len(rows)} mosaics of {TILES} tiles: wall {statistics.median(wall):.1f} s (longest {max(wall):.1f}), processors "
          f"{statistics.median(cpu):.1f} s ({max(cpu):.1f}), memory {min(rss) / 1024:.2f} to {max(rss) / 1024:.2f} GiB (first {rss[0] / 1024:.2f}, "
          f"last {rss[-1] / 1024:.2f})")
    print(f"{len(joints)} joints: 95 % of the pixels of the worst within {max(j[0] for j in joints):.4f} of the noise, its noise within "
          f"{max(j[1] for j in joints):.4f}")


if __name__ == "__main__":
    warnings.simplefilter("ignore", FITSFixedWarning)
    main()
