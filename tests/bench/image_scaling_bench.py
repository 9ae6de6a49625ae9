#!/usr/bin/env python3
"""How imaging times grow with visibilities, pixels and sources: one of them varies, the others stay those of a full tile
(96 antennas, 768 channels, 4800 x 4800 pixels, 300 sources). Prints the table of docs/performance.md and draws its figure.

    ./run bench image_scaling [--plot docs/imaging-scaling.svg]
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from svg_plot import plot

PIXELS, CELL, ANTENNAS, SOURCES = 4800, 3, 96, 300
AXES = [("antennas", [12, 24, 48, 96]), ("pixels", [1200, 2400, 4800, 7200]), ("sources", [10, 100, 300, 1000])]


class Bench:
    def __init__(self, args):
        self.contimg = str(pathlib.Path(args.bin) / "contimg")
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="contimg-bench-", dir="/dev/shm"))
        self.sets, self.results = {}, {}

    def run(self, *words):
        """Its output and the most memory it had resident, bytes."""
        process = subprocess.Popen([self.contimg, "--log-level", "error", *map(str, words)], stdout=subprocess.PIPE,
                                   env={**os.environ, "CONTIMG_STAGING_DIR": str(self.memory / "staging")})
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        if status != 0:
            raise SystemExit(f"image_scaling: contimg {words[0]} failed")
        return output, 1024 * usage.ru_maxrss

    def measurement_set(self, antennas, sources):
        """Only one is kept at a time: a full tile is 2.1 GB of memory."""
        key = (antennas, sources)
        if key not in self.sets:
            for old in self.sets.values():
                shutil.rmtree(old)
            self.sets = {key: self.memory / "x.ms"}
            with tempfile.TemporaryDirectory(prefix="contimg-bench-") as folder:
                self.run("simulate", "--out", folder, "--quiet", "--dec", 54.6, "--random-sky", 5, "--max-sources", sources,
                         "--antennas", antennas, "--seed", 11)
                self.run("convert", *sorted(pathlib.Path(folder).glob("*.hdf5")), "--out", self.sets[key], "--no-durable")
        return self.sets[key]

    def measure(self, antennas=ANTENNAS, pixels=PIXELS, sources=SOURCES):
        key = (antennas, pixels, sources)
        if key not in self.results:
            ms, out = self.measurement_set(antennas, sources), self.memory / "out"
            common = [ms, "--out", out / "x", "--size", pixels, "--cell", CELL, "--weight", "briggs", "--robust", 0.5,
                      "--minuv", 1000, "--json", "--no-durable", "--overwrite"]
            out.mkdir(exist_ok=True)
            clean, memory = self.run("image", *common, "--niter", 10000, "--auto-mask", 5, "--auto-threshold", 1)
            clean = json.loads(clean)
            dirty = json.loads(self.run("image", *common, "--dirty-only")[0])
            shutil.rmtree(out)
            self.results[key] = dict(samples=clean["visibilities"]["used"], cycles=len(clean["clean"]["cycles"]),
                                     memory=memory, dirty=dirty["seconds"]["prepare"] + dirty["seconds"]["dirty"],
                                     clean=clean["seconds"]["clean"], total=clean["seconds"]["total"])
        return self.results[key]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="build/release/bin")
    parser.add_argument("--plot", help="draw the figure there")
    args = parser.parse_args()
    bench = Bench(args)
    series = []
    print("| | M samples used | weights, dirty image and PSF, s | CLEAN, s | major cycles | all but reading, s | memory, "
          "GiB |\n|---|---|---|---|---|---|---|")
    try:
        # By sets, so that each is made once; the full one last.
        points = [(name, value) for name, values in AXES for value in values]
        points.sort(key=lambda p: (p[0] == "pixels", p[1] == dict(antennas=ANTENNAS, sources=SOURCES).get(p[0])))
        for name, value in points:
            bench.measure(**{name: value})
        for name, values in AXES:
            rows = [(value, bench.measure(**{name: value})) for value in values]
            for value, r in rows:
                print(f"| {value} {name} | {r['samples'] / 1e6:.1f} | {r['dirty']:.2f} | {r['clean']:.2f} | {r['cycles']} "
                      f"| {r['total']:.2f} | {r['memory'] / 2**30:.2f} |", flush=True)
            full = dict(antennas=ANTENNAS, pixels=PIXELS, sources=SOURCES)[name]
            series.append((f"{name}: CLEAN", [((v / full), r["clean"]) for v, r in rows], False))
            series.append((f"{name}: dirty", [((v / full), r["dirty"]) for v, r in rows], True))
    finally:
        shutil.rmtree(bench.memory, ignore_errors=True)
    if args.plot:
        pathlib.Path(args.plot).write_text(plot(series, "number over that of a full tile", "seconds", (0.03, 4), (0.1, 30),
                                                log_y=True))


if __name__ == "__main__":
    main()
