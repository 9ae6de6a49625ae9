#!/usr/bin/env python3
"""Photometric truth of the pipeline's stages: simulated drift scans at three declinations, corrupted, calibrated as the
telescope is, imaged, and compared source by source with what was simulated.

    /usr/bin/python3 tests/e2e/photometry.py --bin build/release/bin [--tiles 7] [--full] [--work DIR]

At each declination the first tile holds a bright calibrator: K, BP and G of the day are solved on it. On the second tile
an hourly G is solved with a catalogue that is wrong by 3 % rms per source and knows nothing below 50 mJy; it is anchored
to the day's scale and applied to this and the further tiles. Jobs are run with `contimg worker`, as the daemon does.
"""
import argparse
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
import time

import numpy as np
from astropy.io import fits

CENTRE_JY = 12.0  # of the calibrator, flat spectrum, at the first tile's centre
START = "2025-10-13T13:28:03"
MIN_SNR = 20


def run(command, log):
    with open(log, "ab") as out:
        done = subprocess.run([str(word) for word in command], stdout=out, stderr=out)
    if done.returncode != 0:
        tail = pathlib.Path(log).read_text(errors="replace")[-600:]
        sys.exit(f"photometry: {command[1]} failed with status {done.returncode}: {tail}")


def write_sky(path, catalogue, ra0, dec, tiles, rng, first_centre):
    """Random sources about the drift's path; the pipeline's catalogue of them is incomplete and not exact."""
    width = 5 / math.cos(math.radians(dec)) + 1.3 * (tiles + 1)
    n = int(16 * width * math.cos(math.radians(dec)) * 5)
    sources = []
    for _ in range(n):
        flux = min(1.5, 0.015 * (1 - rng.random()) ** (-1 / 0.9))
        ra, place = ra0 + (rng.random() - 0.5) * width * 1.0 + 0.65 * tiles, dec + (rng.random() - 0.5) * 5
        if math.hypot((ra - first_centre[0]) * math.cos(math.radians(dec)), place - first_centre[1]) > 0.05:
            sources.append((ra % 360, place, flux, -0.7 + 0.2 * rng.gauss(0, 1)))
    with open(path, "w") as file:
        file.write("ra_deg,dec_deg,flux_jy,spectral_index\n")
        for s in sources:
            file.write("%.7f,%.7f,%.6f,%.4f\n" % s)
    with open(catalogue, "w") as file:
        file.write("name,ra_deg,dec_deg,flux_jy,alpha\n")
        file.write("cal,%.7f,%.7f,%.6f,0\n" % (first_centre[0], first_centre[1], CENTRE_JY))
        for i, s in enumerate(sources):
            if s[2] >= 0.05:
                file.write("s%d,%.7f,%.7f,%.6f,\n" % (i, s[0], s[1], s[2] * (1 + 0.03 * rng.gauss(0, 1))))


def simulated(command, work, count, waiting):
    """Groups of `count` tiles, each as soon as its files are in `work`/in; the simulator stands still while `waiting` of them
    are there that nobody has asked for: a whole array's tile is 2.2 GB."""
    simulator = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    done = []
    try:
        while len(done) < count:
            ended = simulator.poll()
            whole = [g for g in sorted(p.name[6:-5] for p in (work / "truth").glob("truth_*.json"))
                     if g not in done and len(list((work / "in").glob(g + "_sb??.hdf5"))) == 16]
            if ended is None:
                simulator.send_signal(signal.SIGSTOP if len(whole) >= waiting else signal.SIGCONT)
            if whole:
                done.append(whole[0])
                yield whole[0]
            elif ended is not None:
                sys.exit(f"photometry: the simulator ended with status {ended} before its tiles were there")
            else:
                time.sleep(0.5)
    finally:
        simulator.send_signal(signal.SIGCONT)
        simulator.kill()
        simulator.wait()


class Chain:
    def __init__(self, args, dec, work):
        self.args, self.dec, self.work = args, dec, work
        self.bin = pathlib.Path(args.bin)
        work.mkdir(parents=True)
        self.log = work / "log"

    def simulate(self, seed):
        rng = random.Random(seed)
        size = [] if self.args.full else ["--antennas", self.args.antennas, "--channels", 12]
        probe = self.work / "probe"  # where the first tile looks
        run([self.bin / "contimg", "simulate", "--out", probe, "--dec", self.dec, "--start", START, "--antennas", 4,
             "--channels", 4, "--subbands", 1, "--no-noise", "--integrations", 24], self.log)
        centre = json.loads(next(probe.glob("truth_*.json")).read_text())["centre"]
        shutil.rmtree(probe)
        sky, self.catalogue = self.work / "sky.csv", self.work / "catalogue.csv"
        write_sky(sky, self.catalogue, centre[0], centre[1], self.args.tiles + 1, rng, centre)
        command = [self.bin / "contimg", "simulate", "--out", self.work / "in", "--truth", self.work / "truth", "--dec", self.dec,
                   "--start", START, "--tiles", self.args.tiles + 1, "--calibrator", CENTRE_JY, "--catalog", sky,
                   "--max-sources", 600, "--gains", "0.2,180", "--drift", "0.02,10", "--delays", 5, "--bandpass", 0.05, "--rfi",
                   "2,2", "--seed", seed, *size]
        return simulated(command, self.work, self.args.tiles + 1, waiting=2)

    def job(self, group, tables, solve, image):
        folder = self.work / "jobs" / group
        folder.mkdir(parents=True)
        settings = {"convert": {"durable": "false"}, "image": {"size": "2048", "cell_arcsec": self.args.cell}}
        if self.args.full:
            settings["image"] = {"size": "4800", "cell_arcsec": "3"}
        stages = ["convert", "flag"] + (["solve"] if solve else []) + ["apply"]
        if image:
            stages += (["refine"] if not self.args.no_refine else []) + ["image"]
        out = self.work / "out"
        job = dict(version=2, group=group, attempt=1, stages=stages,
                   inputs=sorted(str(p) for p in (self.work / "in").glob(group + "_sb*.hdf5")), expected_subbands=16,
                   threads=self.args.threads, measurement_set=str(out / (group + ".ms")),
                   staging_root=str(self.work / "staging"), fallback_root=str(self.work / "fallback"),
                   take_existing=False, replace_existing=False, tables=tables, solve=solve,
                   sky_model=str(self.catalogue), image_prefix=str(out / group), qa_prefix=str(out / group),
                   settings=settings)
        (folder / "job.json").write_text(json.dumps(job))
        run([self.bin / "contimg", "worker", folder / "job.json"], self.log)
        report = json.loads((folder / "report.json").read_text())
        shutil.rmtree(out / (group + ".ms"))
        for path in (self.work / "in").glob(group + "_sb*.hdf5"):
            path.unlink()
        return report

    @staticmethod
    def tables(report):
        return [dict(id=0, kind=c["kind"], path=c["path"], checksum="") for c in report["calibration"]]

    def process(self, groups):
        """(group, report) of each science tile of `groups`, of which the first is the calibrator's."""
        first = next(groups)
        day = dict(kinds=["K", "BP", "G"], model="calibrator:cal", prefix=str(self.work / "cal" / first) + "_24h",
                   interval="24h", apply=[], anchor=None, previous=[], reference_antennas=[])
        report = self.job(first, [], day, False)
        self.check(report)
        k, bp, g = self.tables(report)
        second = next(groups)
        hour = dict(day, kinds=["G"], model="field", prefix=str(self.work / "cal" / second) + "_1h", interval="1h",
                    apply=[k, bp], anchor=g, previous=[g])
        report = self.job(second, [k, bp, g], hour, True)
        self.check(report)
        self.scale = report["calibration"][0]["scale_change"]
        hourly = self.tables(report)[0]
        yield second, report
        for group in groups:
            yield group, self.job(group, [k, bp, hourly], None, True)

    @staticmethod
    def check(report):
        for table in report["calibration"]:
            if not table["accepted"]:
                sys.exit(f"photometry: {table['kind']} of {report['group']} is refused: {table['failures']}")

    def measure(self, group, report):
        """Rows (ratio, its expected scatter, offset in beams) of the sources above MIN_SNR inside the half-power beam, and
        counts of detections."""
        prefix = str(self.work / "out" / group)
        with fits.open(prefix + ".image.fits") as f:
            header, image = f[0].header, np.squeeze(f[0].data).astype(float)
        pb = np.squeeze(fits.getdata(prefix + ".pb.fits")).astype(float)
        smear = np.squeeze(fits.getdata(prefix + ".smear.fits")).astype(float)
        pbcor = np.squeeze(fits.getdata(prefix + ".image.pbcor.fits")).astype(float)
        rms = report["quality"]["quality"]["rms_jy"]
        truth = json.loads((self.work / "truth" / f"truth_{group}.json").read_text())
        beam = math.sqrt(header["BMAJ"] * header["BMIN"])
        cell = header["CDELT2"]
        ra, dec = (np.radians(np.array([s[i] for s in truth["sources"]])) for i in (0, 1))
        ra0, dec0 = math.radians(header["CRVAL1"]), math.radians(header["CRVAL2"])
        l = np.cos(dec) * np.sin(ra - ra0)
        m = np.sin(dec) * math.cos(dec0) - np.cos(dec) * math.sin(dec0) * np.cos(ra - ra0)
        x = header["CRPIX1"] - 1 + np.degrees(l) / header["CDELT1"]
        y = header["CRPIX2"] - 1 + np.degrees(m) / header["CDELT2"]
        front = np.sin(dec) * math.sin(dec0) + np.cos(dec) * math.cos(dec0) * np.cos(ra - ra0) > 0
        apparent = np.array(truth["apparent_jy"])
        reach = max(2, int(math.ceil(beam / cell / 2)))
        rows, wanted, found, explained = [], 0, 0, []
        for i in range(len(apparent)):
            px, py = int(round(x[i])), int(round(y[i]))
            if not front[i] or not (reach < px < image.shape[1] - reach - 1 and reach < py < image.shape[0] - reach - 1):
                continue
            explained.append((x[i], y[i]))
            expected = apparent[i] * smear[py, px]
            # A brighter neighbour within three beams makes a peak something else than this source's flux.
            away = np.hypot(x - x[i], y - y[i])
            blended = np.any((away < 3 * beam / cell) & (away > 0) & (apparent > 0.05 * apparent[i]))
            box = image[py - reach:py + reach + 1, px - reach:px + reach + 1]
            by, bx = np.unravel_index(np.argmax(box), box.shape)
            by, bx = by + py - reach, bx + px - reach
            if expected > 10 * rms:
                wanted += 1
                found += bool(image[by, bx] > 5 * rms)
            if expected < MIN_SNR * rms or pb[py, px] < 0.5 or blended:
                continue
            c = image[by, bx]
            # Parabolas through the logarithm are exact for the restoring beam, which may lie askew to the axes.
            log = np.log(image[by - 1:by + 2, bx - 1:bx + 2].clip(1e-3 * c))
            gx, gy = (log[1, 2] - log[1, 0]) / 2, (log[2, 1] - log[0, 1]) / 2
            xx, yy = log[1, 0] - 2 * log[1, 1] + log[1, 2], log[0, 1] - 2 * log[1, 1] + log[2, 1]
            xy = (log[2, 2] - log[2, 0] - log[0, 2] + log[0, 0]) / 4
            dx, dy = np.linalg.solve([[xx, xy], [xy, yy]], [-gx, -gy])
            top = math.exp((gx * dx + gy * dy) / 2)
            flux = pbcor[by, bx] * top / smear[py, px]
            true = truth["sources"][i][2] * (header["CRVAL3"] / 1.4e9) ** truth["sources"][i][3]
            rows.append((flux / true, rms / expected, math.hypot(bx + dx - x[i], by + dy - y[i]) * cell / beam))
        residual = np.squeeze(fits.getdata(prefix + ".residual.fits")).astype(float)
        return rows, wanted, found, self.false_peaks(image, residual, explained, beam / cell)

    @staticmethod
    def local_rms(residual, box=100):
        """The rms (from the median absolute deviation) of each box, for each pixel."""
        ny, nx = (n // box * box for n in residual.shape)
        boxes = residual[:ny, :nx].reshape(ny // box, box, nx // box, box).swapaxes(1, 2).reshape(ny // box, nx // box, -1)
        middle = np.median(boxes, axis=2, keepdims=True)
        rms = 1.4826 * np.median(np.abs(boxes - middle), axis=2)
        rows, columns = (np.minimum(np.arange(n) // box, m - 1) for n, m in zip(residual.shape, rms.shape))
        return rms[np.ix_(rows, columns)]

    @classmethod
    def false_peaks(cls, image, residual, explained, beam_px):
        """Local maxima above 7 sigma of the noise about them that no simulated source explains."""
        core = image[1:-1, 1:-1]
        peaks = core > 7 * cls.local_rms(residual)[1:-1, 1:-1]
        for dy in (-1, 0, 1):
            for dx in (-1, 0, 1):
                if dx or dy:
                    peaks &= core >= image[1 + dy:image.shape[0] - 1 + dy, 1 + dx:image.shape[1] - 1 + dx]
        places = np.array(explained)
        count = 0
        for py, px in np.argwhere(peaks) + 1:
            if not len(places) or np.hypot(places[:, 0] - px, places[:, 1] - py).min() > 1.5 * beam_px:
                count += 1
        return count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--tiles", type=int, default=7, help="science tiles at each declination")
    parser.add_argument("--declinations", default="16.1,54,72")
    parser.add_argument("--antennas", default="48")
    parser.add_argument("--cell", default="4")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--full", action="store_true", help="the whole array: 2.2 GB a tile")
    parser.add_argument("--no-refine", action="store_true", help="gains as they drift (calibrate.refine = false)")
    parser.add_argument("--work", help="a folder that does not exist; kept")
    parser.add_argument("--json", help="write the figures there")
    args = parser.parse_args()
    work = pathlib.Path(args.work) if args.work else pathlib.Path(tempfile.mkdtemp(prefix="contimg-photometry-")) / "w"
    start = time.time()
    everything, failures, figures = [], [], {}
    print(f"{'declination':>11} {'tiles':>5} {'sources':>7} {'median flux':>11} {'robust scatter':>14} {'of noise':>8} "
          f"{'offset':>7} {'complete':>12} {'false':>5} {'G scale':>8} {'rms mJy':>8}")
    try:
        for k, dec in enumerate(float(d) for d in args.declinations.split(",")):
            chain = Chain(args, dec, work / f"dec{dec:+.0f}")
            groups = chain.simulate(seed=100 + k)
            rows, wanted, found, false, rms, n = [], 0, 0, 0, [], 0
            for group, report in chain.process(groups):
                more, w, f, peaks = chain.measure(group, report)
                rows, wanted, found, false, n = rows + more, wanted + w, found + f, false + peaks, n + 1
                rms.append(report["quality"]["quality"]["rms_jy"])
                for path in (chain.work / "out").glob(group + ".*"):
                    path.unlink()
            ratio, sigma, offset = np.array(rows).T
            median = float(np.median(ratio))
            scatter = float(1.4826 * np.median(np.abs(ratio - median)))
            pull = float(1.4826 * np.median(np.abs((ratio - median) / sigma)))
            off = float(np.median(offset))
            print(f"{dec:>+11.1f} {n:>5} {len(rows):>7} {median:>11.4f} {scatter:>14.4f} {pull:>8.2f} {off:>7.4f} "
                  f"{found:>5}/{wanted:<6} {false:>5} {chain.scale:>8.4f} {1e3 * np.median(rms):>8.3f}", flush=True)
            everything += rows
            figures[f"{dec:+.1f}"] = dict(tiles=n, sources=len(rows), median_ratio=median, scatter=scatter, pull=pull,
                                          offset_beams=off, wanted=wanted, found=found, false=false, scale=chain.scale)
            if abs(median - 1) > 0.01:
                failures.append(f"at {dec:+.1f} the median flux ratio is {median:.4f}, expected 1.00 +- 0.01")
            if off > 0.05:
                failures.append(f"at {dec:+.1f} the median offset is {off:.3f} beams, expected below 0.05")
            if found < 0.99 * wanted:
                failures.append(f"at {dec:+.1f} {found} of {wanted} sources above ten sigma are found, expected 99 %")
        ratio = np.array(everything)[:, 0]
        print(f"all: {len(ratio)} sources, median {np.median(ratio):.4f}, {time.time() - start:.0f} s")
    finally:
        if not args.work:
            shutil.rmtree(work.parent, ignore_errors=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(figures, indent=2))
    for failure in failures:
        print("photometry: " + failure, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
