#!/usr/bin/env python3
"""Antennas that have noise and no sky, with calibration tables that are older than the failure: fluxes of an image with
the search off and on; and how many antennas of good tiles are found wrongly.

    /usr/bin/python3 tests/e2e/lost_sky.py --bin build/release/bin [--good-tiles 50] [--antennas 96] [--lost 15]

Two tiles of one array with raw gains (20 %, any phase) and delays of 10 ns. The tables are solved on the first; antennas
lose the sky as the second begins. It is flagged, calibrated and imaged with flag.lost_sky_fraction 0 and with its default, and
once more with nothing lost. Fluxes are those at the places of three sources, over what the simulator put there times the
images' own beam. Prints the two tables of docs/flagging.md; exit status 1 when an antenna is found wrongly or missed, or a
flux with the search on is off by more than --most.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import tempfile

import numpy as np
from astropy.io import fits

from image_truth import peak, plane

START = "2025-10-13T13:28:03"


class Work:
    def __init__(self, contimg, folder):
        self.program, self.folder = contimg, folder
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update(CONTIMG_STAGING_DIR=str(folder / "staging"), CONTIMG_SCRATCH_DIR=str(folder),
                                CONTIMG_STATE_DIR=str(folder / "state"))

    def contimg(self, *words):
        done = subprocess.run([self.program, *map(str, words)], cwd=self.folder, env=self.environment,
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(f"lost_sky: contimg {' '.join(map(str, words))}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def simulate(self, name, *words):
        """Measurement Sets and truths of the tiles, in order."""
        tiles = self.folder / name
        self.contimg("simulate", "--out", tiles / "in", "--truth", tiles, "--start", START, "--quiet", *words)
        made = []
        for truth in sorted(tiles.glob("truth_*.json")):
            stamp, ms = truth.stem[len("truth_"):], tiles / f"{truth.stem[len('truth_'):]}.ms"
            self.contimg("convert", "--group", tiles / "in", stamp, "--out", ms, "--no-durable")
            made.append((ms, json.loads(truth.read_text())))
        shutil.rmtree(tiles / "in")
        return made

    def flag(self, ms, *setting):
        """What the search for the sky says of the set, whose flags are then made."""
        return json.loads(self.contimg("--log-level", "error", *setting, "flag", ms, "--json"))["sky"]


def fluxes(prefix, truth):
    """Fluxes at the places of the sources, the brightest first, over what is there."""
    header, image = fits.getheader(f"{prefix}.image.fits"), plane(f"{prefix}.image.fits")
    attenuation = plane(f"{prefix}.pb.fits") * plane(f"{prefix}.smear.fits")
    ra0, dec0 = np.radians([header["CRVAL1"], header["CRVAL2"]])
    ratios = []
    for ra, dec, jy, *_ in sorted(truth["sources"], key=lambda source: -source[2]):
        ra, dec = np.radians([ra, dec])
        l = np.cos(dec) * np.sin(ra - ra0)
        m = np.sin(dec) * np.cos(dec0) - np.cos(dec) * np.sin(dec0) * np.cos(ra - ra0)
        x = int(round(header["CRPIX1"] - 1 + np.degrees(l) / header["CDELT1"]))
        y = int(round(header["CRPIX2"] - 1 + np.degrees(m) / header["CDELT2"]))
        ratios.append(peak(image, y, x)[0] / (jy * attenuation[y, x]))
    return ratios


def measure_fluxes(work, args):
    shape = ["--antennas", args.antennas, "--channels", args.channels, "--integrations", args.integrations]
    probe = work.simulate("probe", "--antennas", 2, "--channels", 1, "--integrations", args.integrations, "--tiles", 2)
    # Seen by both tiles: about the middle between their centres.
    ra, dec = np.mean([truth["centre"] for _, truth in probe], axis=0)
    sources = []
    for d_ra, d_dec, jy in ((0, 0, 10), (0.12, 0.1, 5), (-0.05, -0.2, 2)):
        sources += ["--source", f"{ra + d_ra:.6f},{dec + d_dec:.6f},{jy},0"]
    sky = [*shape, "--tiles", 2, "--gains", "0.2,180", "--delays", 10, "--seed", args.seed, *sources]
    second = probe[1][1]["t0"]
    failing = work.simulate("failing", *sky, "--dead", args.lost, "--dead-from", second)
    whole = work.simulate("whole", *sky)
    catalogue = work.folder / "sky.csv"
    catalogue.write_text("ra_deg,dec_deg,flux_jy,alpha\n" +
                         "".join(word + "\n" for word in sources if word != "--source"))
    work.flag(failing[0][0])
    work.contimg("solve", failing[0][0], "--catalog", catalogue, "--out", work.folder / "cal", "--minuv", 0)
    tables = sorted(str(path) for path in work.folder.glob("cal.*cal"))
    dead = sorted(map(str, failing[1][1]["dead_stations"]))
    wrong = []

    def image(ms, truth, setting, label):
        found = sorted(each["name"] for each in work.flag(ms, *setting).get("antennas", []))
        work.contimg("apply", ms, "--replace", "--tables", *tables)
        prefix = work.folder / label
        report = json.loads(work.contimg("image", ms, "--out", prefix, "--size", args.size, "--cell", 4, "--minuv", 0,
                                         "--niter", 3000, "--no-durable", "--overwrite", "--json"))
        ratios = fluxes(prefix, truth)
        named = report.get("antennas_without_sky", [])
        print(f"| {label.replace('_', ' ')} | {len(found)} of {len(dead) if ms is failing[1][0] else 0} | " +
              " | ".join(f"{ratio:.3f}" for ratio in ratios) + " |", flush=True)
        return found, named, ratios

    print(f"| {args.lost} of {args.antennas} antennas | found | 10 Jy | 5 Jy | 2 Jy |\n|---|---|---|---|---|", flush=True)
    image(*failing[1], ("--set", "flag.lost_sky_fraction=0"), "search_off")
    found, named, ratios = image(*failing[1], (), "search_on")
    if found != dead or sorted(named) != dead:
        wrong.append(f"found {found}, named by the image {named}, lost {dead}")
    if max(abs(ratio - 1) for ratio in ratios) > args.most:
        wrong.append(f"fluxes {ratios}")
    found, named, ratios = image(*whole[1], (), "nothing_lost")
    if found or named:
        wrong.append(f"found {found} where nothing is lost")
    return wrong


def count_false_positives(work, args):
    """Tiles of different declination, sky, brightness, gains, delays and interference; none has lost antennas."""
    draw = random.Random(args.seed)
    told = unknown = 0
    wrong = []
    for tile in range(args.good_tiles):
        words = ["--antennas", draw.choice((20, 40, args.antennas)), "--channels", draw.choice((1, 2, 4)),
                 "--integrations", draw.choice((4, 8, 12)), "--dec", f"{draw.uniform(-20, 75):.1f}",
                 "--seed", args.seed + tile, "--gains", f"{draw.choice((0.1, 0.2, 0.4))},180",
                 "--delays", draw.choice((0, 10, 40)), "--max-sources", 60]
        kind = draw.choice(("field", "field", "source", "both"))
        if kind != "source":
            words += ["--random-sky", draw.choice((50, 100, 300))]
        if kind != "field":
            words += ["--calibrator", f"{10 ** draw.uniform(-0.5, 1.5):.2f}"]
        if draw.random() < 0.5:
            words += ["--rfi", "2,4,1"]
        ms, _ = work.simulate(f"good{tile}", *words)[0]
        sky = work.flag(ms)
        told += sky["seen"]
        unknown += sky["cannot_tell"]
        if sky["antennas"]:
            wrong.append(f"{' '.join(map(str, words))}: {sky['antennas']}")
        shutil.rmtree(work.folder / f"good{tile}")
    print(f"{args.good_tiles} good tiles: {told} receptors seen to see the sky, {unknown} of which there is no telling, "
          f"found wrongly: {len(wrong)} tiles", flush=True)
    return wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, default="build/release/bin")
    parser.add_argument("--work", help="where the data go (default: memory)")
    parser.add_argument("--antennas", type=int, default=96)
    parser.add_argument("--lost", type=int, default=15)
    parser.add_argument("--channels", type=int, default=2, help="of each of the 16 subbands")
    parser.add_argument("--integrations", type=int, default=12)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--most", type=float, default=0.02, help="error of a flux that is allowed")
    parser.add_argument("--good-tiles", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-lost-sky-", dir=args.work or "/dev/shm"))
    try:
        work = Work(args.bin.resolve() / "contimg", folder)
        wrong = measure_fluxes(work, args) + count_false_positives(work, args)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for each in wrong:
        print(f"WRONG: {each}")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
