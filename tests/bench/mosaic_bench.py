#!/usr/bin/env python3
"""Mosaics of simulated full tiles compared with what was simulated, with the tiles themselves and with an independent co-add
(float64, splines), and, on the same tiles in the same run, with SWarp and python3-reproject where they are installed. See
mosaic_bench.sh and docs/mosaics.md.

    mosaic_bench.py CONTIMG FOLDER [--no-peers] [--only d16,d54,d72,d85,refusals]
"""
import argparse
import csv
import glob
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time
import warnings

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning
from scipy import ndimage

KINDS = ("image", "residual", "pb", "smear")


def run(words, **more):
    """Runs a program: (wall s, processor s, largest resident MiB, standard output)."""
    start = time.monotonic()
    child = subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    out, err = child.stdout.read(), child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, out, err, child.returncode


def robust(values):
    values = np.asarray(values)
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def plane(path):
    return fits.getdata(path).squeeze()


class Truth:
    """The simulated sources of all tiles: places and true flux densities at a frequency, and which stand alone."""

    def __init__(self, folder, frequency):
        sources = {}
        for path in sorted(folder.glob("truth_*.json")):
            for ra, dec, flux, alpha in json.loads(path.read_text())["sources"]:
                sources[round(ra, 7), round(dec, 7)] = (ra % 360, dec, flux * (frequency / 1.4e9) ** alpha)
        self.ra, self.dec, self.flux = np.array(list(sources.values())).T
        unit = np.radians(self.ra), np.radians(self.dec)
        self.vector = np.array([np.cos(unit[1]) * np.cos(unit[0]), np.cos(unit[1]) * np.sin(unit[0]), np.sin(unit[1])]).T
        from scipy.spatial import cKDTree
        tree = cKDTree(self.vector)
        pairs = tree.query_pairs(math.radians(150 / 3600), output_type="ndarray")
        self.beside = np.zeros(len(self.flux))  # the brightest neighbour within 150"
        for a, b in ((0, 1), (1, 0)):
            np.maximum.at(self.beside, pairs[:, a], self.flux[pairs[:, b]])

    def write(self, path):
        with open(path, "w") as file:
            file.write("name,ra_deg,dec_deg,flux_jy,alpha\n")
            for i in range(len(self.ra)):
                file.write(f"s{i},{self.ra[i]:.8f},{self.dec[i]:.8f},{self.flux[i]:.9f},0\n")


def photometry(contimg, images, catalogue, scratch):
    out = scratch / "p.csv"
    done = run([contimg, "--log-level", "error", "photometry", *images, "--catalogue", catalogue, "--out", out, "--overwrite",
                "--min-response", "0.1"])
    if done[5] != 0:
        sys.exit(done[4])
    return list(csv.DictReader(open(out)))


def accuracy(contimg, name, folder, mosaic, tiles, scratch):
    """M3, M4: fluxes and places of isolated sources against truth and against the tiles' own."""
    header = fits.getheader(f"{mosaic}.image.fits")
    truth = Truth(folder, header["RESTFRQ"])
    truth.write(scratch / "truth.csv")
    rows = photometry(contimg, [mosaic], scratch / "truth.csv", scratch)
    index = np.array([int(r["source_id"]) - 1 for r in rows])
    flux, error = (np.array([float(r[k]) for r in rows]) for k in ("flux_jy", "flux_error_jy"))
    alone = truth.beside[index] < np.maximum(0.02 * truth.flux[index], 1.5 * error)
    snr = truth.flux[index] / error
    own = {}
    for r in photometry(contimg, tiles, scratch / "truth.csv", scratch):
        if float(r["response"]) > 0.25:
            own.setdefault(int(r["source_id"]) - 1, []).append((float(r["flux_jy"]), float(r["flux_error_jy"])))
    means = np.array([np.average([f for f, _ in own[i]], weights=[e**-2 for _, e in own[i]]) if i in own else np.nan for i in index])
    bright = alone & (snr > 20) & np.isfinite(means)
    pulls = ((flux - truth.flux[index]) / error)[alone & (snr > 10) & (snr < 100)]
    print(f"{name}: M3  isolated above 20 σ ({bright.sum()}): flux over truth {np.median(flux[bright] / truth.flux[index][bright]):.4f}, "
          f"over the tiles' own {np.median(flux[bright] / means[bright]):.4f} (tiles over truth "
          f"{np.median(means[bright] / truth.flux[index][bright]):.4f}); pulls {np.median(pulls):+.2f} ± {robust(pulls):.2f}")
    _, _, _, out, err, status = run([contimg, "--log-level", "error", "sources", mosaic, "--json"])
    wall = run([contimg, "--log-level", "error", "sources", mosaic, "--out", scratch / "c.csv", "--overwrite"])
    if status != 0:
        sys.exit(err)
    found = json.loads(out)["sources"]
    print(f"{name}: C1  {len(found)} sources of the mosaic in {wall[0]:.2f} s wall, {wall[1]:.2f} s of processors, {wall[2]:.0f} MiB")
    from scipy.spatial import cKDTree
    place = np.radians([[s["ra_deg"], s["dec_deg"]] for s in found])
    vector = np.array([np.cos(place[:, 1]) * np.cos(place[:, 0]), np.cos(place[:, 1]) * np.sin(place[:, 0]), np.sin(place[:, 1])]).T
    away, nearest = cKDTree(vector).query(truth.vector[index])
    strong = alone & (snr > 50) & (away < math.radians(15 / 3600))
    i, f = index[strong], nearest[strong]
    d = vector[f] - truth.vector[i]
    ra, dec = np.radians(truth.ra[i]), np.radians(truth.dec[i])
    east = d[:, 0] * -np.sin(ra) + d[:, 1] * np.cos(ra)
    north = -np.sin(dec) * (d[:, 0] * np.cos(ra) + d[:, 1] * np.sin(ra)) + d[:, 2] * np.cos(dec)
    # In full widths of the beam in each direction, the beam taken along the map's axes.
    s, c = math.sin(math.radians(header["BPA"])), math.cos(math.radians(header["BPA"]))
    major, minor = np.radians(header["BMAJ"]), np.radians(header["BMIN"])
    offset = np.hypot((east * s + north * c) / major, (east * c - north * s) / minor)
    print(f"{name}: M4  above 50 σ ({strong.sum()}): offset {np.median(offset):.4f} beam, systematic "
          f"{math.hypot(np.median(east), np.median(north)) / math.sqrt(major * minor):.4f}")


def sigma_map(residual):
    """Local noise by medians in boxes of 256 pixels every 128, not contimg's way."""
    ny, nx = residual.shape
    grid = np.array([[1.4826 * np.median(np.abs(residual[max(y - 128, 0):y + 128:3, max(x - 128, 0):x + 128:3])) for x in range(0, nx + 1, 128)]
                     for y in range(0, ny + 1, 128)])
    return grid


def independent(mosaic, tiles, name, points=20000):
    """M5: the mosaic at random pixels against a co-add by quintic splines in float64."""
    header = fits.getheader(f"{mosaic}.image.fits")
    image, rms = plane(f"{mosaic}.image.fits"), plane(f"{mosaic}.rms.fits")
    wcs = WCS(header).celestial
    rng = np.random.default_rng(7)
    y, x = np.nonzero(np.isfinite(image))
    pick = rng.choice(len(x), points, replace=False)
    x, y = x[pick], y[pick]
    sky = wcs.pixel_to_world(x, y)
    num, den = np.zeros(points), np.zeros(points)
    for tile in tiles:
        tile_header = fits.getheader(f"{tile}.image.fits")
        tx, ty = WCS(tile_header).celestial.world_to_pixel(sky)
        residual = plane(f"{tile}.residual.fits")
        inside = (tx > 8) & (ty > 8) & (tx < residual.shape[1] - 9) & (ty < residual.shape[0] - 9)
        at = np.array([ty[inside], tx[inside]])
        pb, smear = (ndimage.map_coordinates(plane(f"{tile}.{kind}.fits").astype(np.float64), at, order=1) for kind in ("pb", "smear"))
        value = ndimage.map_coordinates(plane(f"{tile}.image.fits").astype(np.float64), at, order=5)
        sigma = ndimage.map_coordinates(sigma_map(residual), at / 128, order=1, mode="nearest")
        b = np.where(pb >= 0.1, pb * smear, 0)
        num[inside] += b * value / sigma**2
        den[inside] += b * b / sigma**2
    good = den > 0
    difference = (image[y, x][good] - num[good] / den[good]) / rms[y, x][good]
    ratio = rms[y, x][good] * np.sqrt(den[good])
    print(f"{name}: M5  against an independent co-add at {good.sum()} pixels: {robust(difference):.4f} σ robust, largest {np.abs(difference).max():.3f}; "
          f"rms map over its {np.median(ratio):.3f} (5 to 95 %: {np.percentile(ratio, 5):.3f} to {np.percentile(ratio, 95):.3f})")


def halves(contimg, tiles, scratch, name, folder, mosaic):
    """M6: mosaics of every other tile on one grid, their difference over the noise that their maps say; and whether errors of fluxes are
    right where the difference is small."""
    maps = []
    header = None
    for k in (0, 1):
        out = scratch / f"half{k}"
        done = run([contimg, "--log-level", "error", "mosaic", *tiles[k::2], "--out", out, "--no-durable", "--centre", "0,16.1"])
        if done[5] != 0:
            sys.exit(done[4])
        header = fits.getheader(f"{out}.image.fits")
        maps.append((plane(f"{out}.image.fits"), plane(f"{out}.rms.fits"), header["CRPIX1"], header["CRPIX2"]))
    (a, ra, ax, ay), (b, rb, bx, by) = maps  # one centre and one cell: whole pixels apart
    dx, dy = round(ax - bx), round(ay - by)
    x0, x1, y0, y1 = max(0, dx), min(a.shape[1], b.shape[1] + dx), max(0, dy), min(a.shape[0], b.shape[0] + dy)
    ours, theirs = np.s_[y0:y1, x0:x1], np.s_[y0 - dy:y1 - dy, x0 - dx:x1 - dx]
    d = (a[ours] - b[theirs]) / np.hypot(ra[ours], rb[theirs])
    good = d[np.isfinite(d)]
    patches, places = [], []
    for j in range(0, d.shape[0] - 511, 512):
        for i in range(0, d.shape[1] - 511, 512):
            patch = d[j:j + 512, i:i + 512]
            if np.isfinite(patch).mean() > 0.9:
                patches.append(robust(patch[np.isfinite(patch)]))
                places.append((i, j))
    print(f"{name}: M6  half-sky difference over its noise {robust(good[::37]):.3f}, patches {min(patches):.3f} to {max(patches):.3f} ({len(patches)}, "
          f"{sum(p < 0.85 for p in patches)} below 0.85)")
    truth = Truth(folder, header["RESTFRQ"])
    truth.write(scratch / "truth.csv")
    rows = photometry(contimg, [mosaic], scratch / "truth.csv", scratch)
    index = np.array([int(r["source_id"]) - 1 for r in rows])
    flux, error = (np.array([float(r[k]) for r in rows]) for k in ("flux_jy", "flux_error_jy"))
    snr = truth.flux[index] / error
    alone = (truth.beside[index] < np.maximum(0.02 * truth.flux[index], 1.5 * error)) & (snr > 5) & (snr < 100)
    x, y = WCS(fits.getheader(scratch / "half0.image.fits")).celestial.wcs_world2pix(truth.ra[index], truth.dec[index], 0)
    own = np.full(len(index), np.nan)
    for ratio, (i, j) in zip(patches, places):
        own[(x - x0 >= i) & (x - x0 < i + 512) & (y - y0 >= j) & (y - y0 < j + 512)] = ratio
    for low, high in ((0, 0.85), (0.85, 0.9), (0.9, 0.95), (0.95, 2)):
        pulls = ((flux - truth.flux[index]) / error)[alone & (own >= low) & (own < high)]
        if len(pulls) > 10:
            print(f"{name}: M6  patches of {low} to {high}: {len(pulls)} isolated sources of 5 to 100 σ, pulls {np.median(pulls):+.2f} ± {robust(pulls):.2f}")


def refusals(contimg, tiles, scratch):
    """M7: spoiled tiles are left out and named."""
    def spoil(kind, change):
        for k in KINDS:
            shutil.copy(f"{tiles[2]}.{k}.fits", scratch / f"bad.{k}.fits")
        for k in ("image", "residual"):
            with fits.open(scratch / f"bad.{k}.fits", mode="update") as file:
                change(file[0])
        done = run([contimg, "--log-level", "error", "mosaic", *tiles[:2], *tiles[3:5], scratch / "bad", "--out", scratch / "m", "--overwrite",
                    "--no-durable", "--json"])
        report = json.loads(done[3])
        left = [(t["name"], t["refusal"], t["why"]) for t in report["tiles"] if not t["used"]]
        good = left and left[0][:2] == ("bad", kind) and len(left) == 1
        print(f"refusals: M7  {kind}: {'named' if good else 'NOT NAMED'}: {left}")

    def scaled(hdu):
        hdu.data = hdu.data * np.float32(0.69)

    def blank(hdu):
        hdu.data = np.full_like(hdu.data, np.nan)

    def beam(hdu):
        hdu.header["BMAJ"] *= 1.3

    spoil("scale", scaled)
    spoil("blank", blank)
    spoil("beam", beam)
    done = run([contimg, "--log-level", "error", "mosaic", *tiles[:3], f"{tiles[2]}.image.fits", "--out", scratch / "m", "--overwrite", "--no-durable",
                "--json"])
    left = [(t["name"], t["refusal"]) for t in json.loads(done[3])["tiles"] if not t["used"]]
    print(f"refusals: M7  twice: {'named' if len(left) == 1 and left[0][1] == 'twice' else 'NOT NAMED'}: {left}")


def twelve(tiles, scratch):
    """The tiles and copies of them as many tiles further in right ascension: 12 for the clock."""
    steps = fits.getheader(f"{tiles[1]}.image.fits")["CRVAL1"] - fits.getheader(f"{tiles[0]}.image.fits")["CRVAL1"]
    copies = []
    for i, tile in enumerate(tiles):
        copy = scratch / f"copy{i}"
        for kind in KINDS:
            shutil.copy(f"{tile}.{kind}.fits", f"{copy}.{kind}.fits")
            with fits.open(f"{copy}.{kind}.fits", mode="update") as file:
                file[0].header["CRVAL1"] = (file[0].header["CRVAL1"] + len(tiles) * steps) % 360
                for card in ("MJD-OBS", "MJD-BEG", "MJD-END", "MJD-AVG"):
                    file[0].header[card] += len(tiles) * 309.24 / 86400
                file[0].data[0, 0, 0, 0] += 1e-6
        copies.append(copy)
    return [*tiles, *copies]


def swarp(tiles, mosaic, scratch, quiet=False):
    """Its (wall, processor) seconds for the same grid; nothing when it is not there or fails."""
    if shutil.which("SWarp") is None:
        return print("SWarp: not installed (swarp)", file=sys.stderr)
    header = fits.getheader(f"{mosaic}.image.fits")
    inputs = []
    for i, tile in enumerate(tiles):  # what it needs made before the clock runs: images on the sky, weights, no blanks
        base = fits.getheader(f"{tile}.image.fits")
        flat = fits.Header({k: base[k] for k in ("CTYPE1", "CRPIX1", "CRVAL1", "CDELT1", "CUNIT1", "CTYPE2", "CRPIX2", "CRVAL2", "CDELT2", "CUNIT2")})
        b = plane(f"{tile}.pb.fits") * plane(f"{tile}.smear.fits")
        use = plane(f"{tile}.pb.fits") >= 0.1
        sigma = 1.4826 * np.median(np.abs(plane(f"{tile}.residual.fits")))
        fits.writeto(scratch / f"sw{i}.fits", np.where(use, plane(f"{tile}.image.fits") / b, 0).astype(np.float32), flat)
        fits.writeto(scratch / f"sw{i}.weight.fits", np.where(use, (b / sigma) ** 2, 0).astype(np.float32), flat)
        inputs.append(scratch / f"sw{i}.fits")
    centre = WCS(header).celestial.pixel_to_world(header["NAXIS1"] / 2 - 0.5, header["NAXIS2"] / 2 - 0.5)
    words = ["SWarp", *inputs, "-IMAGEOUT_NAME", scratch / "sw.fits", "-WEIGHTOUT_NAME", scratch / "sw.w.fits", "-WEIGHT_TYPE", "MAP_WEIGHT",
             "-RESCALE_WEIGHTS", "N", "-COMBINE_TYPE", "WEIGHTED", "-FSCALASTRO_TYPE", "NONE", "-SUBTRACT_BACK", "N", "-RESAMPLING_TYPE", "LANCZOS3",
             "-PROJECTION_TYPE", "ZEA", "-CELESTIAL_TYPE", "EQUATORIAL", "-CENTER_TYPE", "MANUAL", "-CENTER", f"{centre.ra.deg},{centre.dec.deg}",
             "-PIXELSCALE_TYPE", "MANUAL", "-PIXEL_SCALE", f"{header['CDELT2'] * 3600}", "-IMAGE_SIZE", f"{header['NAXIS1']},{header['NAXIS2']}",
             "-RESAMPLE_DIR", scratch, "-NTHREADS", "2", "-VERBOSE_TYPE", "QUIET", "-WRITE_XML", "N", "-MEM_MAX", "1024", "-COMBINE_BUFSIZE", "1024"]
    wall, cpu, rss, _, err, status = run(words, cwd=scratch)
    if status != 0:
        return print(f"SWarp: failed: {err[-300:]}", file=sys.stderr)
    if not quiet:
        print(f"SWarp: {len(tiles)} tiles, image and weight alone: {wall:.1f} s wall, {cpu:.1f} s of processors, {rss:.0f} MiB")
    for path in scratch.glob("sw*"):
        path.unlink()
    return wall, cpu


def reproject(tiles, mosaic, scratch):
    try:
        import reproject as package  # noqa: F401
    except ImportError:
        return print("reproject: not installed (python3-reproject)")
    code = """
import sys, numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from reproject import reproject_interp
from reproject.mosaicking import reproject_and_coadd
header, tiles = fits.getheader(sys.argv[1]), sys.argv[2:]
flat = WCS(header).celestial
inputs, weights = [], []
for tile in tiles:
    get = lambda kind: fits.getdata(f"{tile}.{kind}.fits").squeeze().astype(float)
    b = get("pb") * get("smear")
    wcs = WCS(fits.getheader(f"{tile}.image.fits")).celestial
    inputs.append((get("image") / b, wcs))
    weights.append(b * b)
reproject_and_coadd(inputs, flat, shape_out=(header["NAXIS2"], header["NAXIS1"]), input_weights=weights, reproject_function=reproject_interp,
                    order="bilinear")
"""
    wall, cpu, rss, _, err, status = run(["/usr/bin/python3", "-c", code, f"{mosaic}.image.fits", *tiles[:2]])
    if status != 0:
        return print(f"reproject: failed: {err[-300:]}")
    print(f"reproject: 2 tiles of them, bilinear, image alone: {wall:.1f} s wall, {cpu:.1f} s of processors, {rss:.0f} MiB")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("contimg")
    parser.add_argument("folder")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--only", default="d16,d54,d72,d85,refusals,twelve")
    args = parser.parse_args()
    contimg, only = pathlib.Path(args.contimg).resolve(), args.only.split(",")
    folder = pathlib.Path(args.folder).resolve()
    sets = {name: sorted(p[: -len(".image.fits")] for p in glob.glob(str(folder / name / "*.image.fits"))) for name in ("d16", "d54", "d72", "d85")}
    with tempfile.TemporaryDirectory(prefix="contimg-bench-mosaic-", dir=folder) as temporary:
        scratch = pathlib.Path(temporary)
        for name in ("d16", "d54", "d72", "d85"):
            tiles, mosaic = sets[name], scratch / name
            if name not in only or not tiles:
                continue
            wall, cpu, rss, out, err, status = run([contimg, "--log-level", "error", "mosaic", *tiles, "--out", mosaic, "--no-durable", "--json"])
            if status != 0:
                sys.exit(err)
            report = json.loads(out)
            seconds = report["seconds"]
            print(f"{name}: {report['tiles_used']} tiles to {report['grid']['pixels'][0]} x {report['grid']['pixels'][1]} pixels, four maps: {wall:.2f} s "
                  f"wall, {cpu:.2f} s of processors, {rss:.0f} MiB; grade {report['quality']['grade']}; scales "
                  + ", ".join(f"{t['scale']:.4f}±{t['scale_error']:.4f}" for t in report["tiles"] if "scale" in t))
            print(f"{name}: M2  look {seconds['look'] / len(tiles):.2f} s and add {seconds['add'] / len(tiles):.2f} s a tile (wall); residual / rms map "
                  f"{report['quality']['residual_over_rms']:.3f}")
            accuracy(contimg, name, folder / name, mosaic, tiles, scratch)
            independent(mosaic, tiles, name)
            if name == "d16":
                if not args.no_peers:
                    peer = swarp(tiles, mosaic, scratch)
                    if peer:
                        print(f"SWarp: {peer[1] / cpu:.2f} times the processor time, {peer[0] / wall:.2f} times the wall time of contimg")
                    reproject(tiles, mosaic, scratch)
                halves(contimg, tiles, scratch, name, folder / name, mosaic)
                wide = scratch / "wide"
                wall, cpu, rss, _, err, status = run([contimg, "--log-level", "error", "mosaic", *tiles, "--out", wide, "--no-durable", "--beam",
                                                      "45,30,90"])
                if status != 0:
                    sys.exit(err)
                print(f"{name}: all tiles restored anew with 45\" x 30\": {wall:.2f} s wall, {cpu:.2f} s of processors, {rss:.0f} MiB")
                accuracy(contimg, f"{name} wide", folder / name, wide, tiles, scratch)
            for path in scratch.glob(f"{name}.*"):
                path.unlink()
        if "refusals" in only and sets["d16"]:
            refusals(contimg, sets["d16"], scratch)
        if "twelve" in only and sets["d16"]:
            tiles = twelve(sets["d16"], scratch)
            wall, cpu, rss, out, err, status = run([contimg, "--log-level", "error", "mosaic", *tiles, "--out", scratch / "all", "--no-durable", "--json"])
            if status != 0:
                sys.exit(err)
            report = json.loads(out)
            print(f"twelve: M1  {report['tiles_used']} tiles to {report['grid']['pixels'][0]} x {report['grid']['pixels'][1]} pixels: {wall:.2f} s wall, "
                  f"{cpu:.2f} s of processors, {rss:.0f} MiB; {report['seconds']}")
            sources = run([contimg, "--log-level", "error", "sources", scratch / "all", "--out", scratch / "c.csv"])
            print(f"twelve: C1  sources: {sources[0]:.2f} s wall, {sources[1]:.2f} s of processors, {sources[2]:.0f} MiB")
            if not args.no_peers:
                peer = swarp(tiles, scratch / "all", scratch)
                if peer:
                    print(f"SWarp: {peer[1] / cpu:.2f} times the processor time, {peer[0] / wall:.2f} times the wall time of contimg")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    warnings.simplefilter("ignore", FITSFixedWarning)
    main()
