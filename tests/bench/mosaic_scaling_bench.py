#!/usr/bin/env python3
"""How time and memory of mosaics grow with tiles, their size and their declination; SWarp beside them where it is installed. All tiles
are one simulated tile moved over the sky (so their sources do not agree, which costs nothing). Prints the table of docs/performance.md
and draws its figure.

    mosaic_scaling_bench.py CONTIMG TILE [--plot docs/mosaic-scaling.svg] [--no-peers]
"""
import argparse
import json
import math
import pathlib
import sys
import tempfile
import warnings

from astropy.io import fits
from astropy.wcs import FITSFixedWarning
from mosaic_bench import KINDS, run, swarp
from svg_plot import plot

TILES, SIZE, DEC = 6, 4800, 16.1
STEP = 309.24 * 360.9856 / 86400  # degrees of hour angle from one tile to the next
AXES = [("tiles", [1, 2, 3, 6, 12]), ("size", [1200, 2400, 3600, 4800]), ("dec", [16.1, 54.0, 72.0, 85.0])]


def make(tile, folder, tiles, size, dec):
    """Copies of a tile: its middle, moved on by a tile each."""
    prefixes = [folder / f"t{k}" for k in range(tiles)]
    for kind in KINDS:
        pixels, header = fits.getdata(f"{tile}.{kind}.fits", header=True)
        cut = (pixels.shape[-1] - size) // 2
        pixels = pixels[..., cut:pixels.shape[-2] - cut, cut:pixels.shape[-1] - cut].copy()
        header["CRPIX1"] -= cut
        header["CRPIX2"] -= cut
        begin, end = header["MJD-BEG"], header["MJD-END"]
        for k, prefix in enumerate(prefixes):
            header["CRVAL1"], header["CRVAL2"] = (STEP * (k - (tiles - 1) / 2)) % 360, dec
            header["MJD-BEG"], header["MJD-END"] = begin + k * 309.24 / 86400, end + k * 309.24 / 86400
            pixels[..., 0, 0] += 1e-6 * (k + 1)  # the same pixels twice are refused
            fits.writeto(f"{prefix}.{kind}.fits", pixels, header)
    return prefixes


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("contimg")
    parser.add_argument("tile")
    parser.add_argument("--plot", help="draw the figure there")
    parser.add_argument("--no-peers", action="store_true")
    args = parser.parse_args()
    contimg, tile = pathlib.Path(args.contimg).resolve(), pathlib.Path(args.tile).resolve()
    full, results = {"tiles": TILES, "size": SIZE, "dec": DEC}, {}
    print("| | megapixels of tiles, of the mosaic | wall, processor s | memory, GiB | SWarp, two maps: wall, processor s |\n|---|---|---|---|---|")
    series = []
    for axis, values in AXES:
        rows = []
        for value in values:
            what = {**full, axis: value}
            key = tuple(what.values())
            if key not in results:
                with tempfile.TemporaryDirectory(prefix="contimg-bench-mosaic-", dir=tile.parent) as folder:
                    folder = pathlib.Path(folder)
                    tiles = make(tile, folder, **what)
                    wall, cpu, rss, out, err, status = run([contimg, "--log-level", "error", "mosaic", *tiles, "--out", folder / "m", "--no-durable",
                                                            "--max-scale-error", 10, "--json"])
                    if status != 0:
                        sys.exit(err)
                    report = json.loads(out)
                    if report["tiles_used"] != what["tiles"]:
                        sys.exit(f"mosaic_scaling: tiles were left out: {[t['why'] for t in report['tiles']]}")
                    peer = None
                    if not args.no_peers and axis == "tiles":
                        peer = swarp(tiles, folder / "m", folder, quiet=True)
                    results[key] = (what["tiles"] * what["size"] ** 2 / 1e6, math.prod(report["grid"]["pixels"]) / 1e6, wall, cpu, rss / 1024, peer)
            mega, out_mega, wall, cpu, memory, peer = results[key]
            rows.append((mega, cpu, memory, peer))
            name = {"tiles": f"{value} tile{'s' if value > 1 else ''}", "size": f"6 tiles of {value} pixels a side",
                    "dec": f"6 tiles at dec {value:g}"}[axis]
            print(f"| {name} | {mega:.0f}, {out_mega:.0f} | {wall:.1f}, {cpu:.1f} | {memory:.2f} | "
                  f"{f'{peer[0]:.1f}, {peer[1]:.1f}' if peer else ''} |", flush=True)
        if axis != "dec":
            series.append((f"more {axis}" if axis == "tiles" else "larger tiles", [(r[0], r[1]) for r in rows], False))
        if axis == "tiles" and rows[-1][3]:
            series.append(("SWarp", [(r[0], r[3][1]) for r in rows if r[3]], True))
    if args.plot:
        pathlib.Path(args.plot).write_text(plot(series, "megapixels of all tiles", "processor seconds", (5, 400), (0.3, 100), log_y=True))


if __name__ == "__main__":
    warnings.simplefilter("ignore", FITSFixedWarning)
    main()
