#!/usr/bin/python3
"""Days of simulated sky at one sidereal time: a variable, a transient and a constant source come back from the images as the
truth's light curves have them; gains and noise are other ones each day.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/simulated_lightcurve_test.py [-v]
"""
import csv
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

BIN = pathlib.Path(os.environ["CONTIMG_BIN_DIR"])
SIDEREAL_DAY = 0.9972695663
PLACES = {"constant": (10.1, 16.0), "variable": (9.9, 16.15), "transient": (10.05, 16.2)}


class SimulatedLightCurve(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-simulated-lightcurve-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.environment = dict(os.environ, CONTIMG_STATE_DIR=str(self.root), CONTIMG_SCRATCH_DIR=str(self.root))
        del self.environment["CONTIMG_BIN_DIR"]  # no setting

    def run_program(self, *words, status=0):
        done = subprocess.run([BIN / "contimg", *map(str, words)], env=self.environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        return done.stderr if status else done.stdout

    def simulate(self, name, *words):
        self.run_program("simulate", "--out", self.root / name, "--truth", self.root / f"{name}_truth", "--quiet", "--transit",
                         "10,16.1", "--start", "2025-10-13T00:00:00", "--antennas", 32, "--channels", 4, *words)
        return json.loads(next((self.root / f"{name}_truth").glob("lightcurves_*.json")).read_text())

    def test_days_bring_back_what_was_simulated(self):
        at = {name: f"{ra},{dec}" for name, (ra, dec) in PLACES.items()}
        truth = self.simulate("in", "--days", 3, "--source", at["constant"] + ",0.1,0", "--source",
                              at["variable"] + ",0.2,-0.7,vary=sinusoid,amplitude=0.5,period=4d,at=2025-10-14", "--source",
                              at["transient"] + ",0.05,0,from=2025-10-14,to=2025-10-15")
        tiles, curves = truth["tiles"], {}
        self.assertEqual([tile["day"] for tile in tiles], [0, 1, 2])
        for before, after in zip(tiles, tiles[1:]):
            self.assertAlmostEqual(after["mid_mjd"] - before["mid_mjd"], SIDEREAL_DAY, delta=1e-6)
        for source in truth["sources"]:
            name = min(PLACES, key=lambda n: abs(PLACES[n][0] - source["ra_deg"]))
            curves[name] = source["jy"], source["spectral_index"]
        self.assertEqual(curves["constant"][0], [0.1] * 3)
        self.assertEqual(curves["transient"][0], [0, 0.05, 0])
        catalogue = self.root / "sky.csv"
        catalogue.write_text("name,ra_deg,dec_deg,flux_jy\n" +
                             "".join(f"{name},{ra},{dec},{curves[name][0][1]}\n" for name, (ra, dec) in PLACES.items()))
        for day, tile in enumerate(tiles):
            files = sorted((self.root / "in").glob(tile["stamp"] + "_sb*.hdf5"))
            self.assertEqual(len(files), 16)
            self.run_program("convert", *files, "--out", self.root / f"day{day}.ms", "--no-durable")
            prefix = self.root / f"day{day}"
            self.run_program("image", self.root / f"day{day}.ms", "--out", prefix, "--no-durable", "--set", "image.size=480", "--set",
                             "image.cell_arcsec=6", "--set", "image.max_iterations=500")
            table = self.run_program("photometry", prefix, "--catalogue", catalogue)
            rows = {row["name"]: row for row in csv.DictReader(table.splitlines())}
            for name, (jy, alpha) in curves.items():
                row = rows[name]
                self.assertAlmostEqual(float(row["mjd"]), tile["mid_mjd"], delta=1e-5)
                expected = jy[day] * (float(row["frequency_hz"]) / 1.4e9) ** alpha
                error = float(row["flux_error_jy"])
                self.assertLess(error, 0.003)
                self.assertAlmostEqual(float(row["flux_jy"]), expected, delta=5 * error + 0.01 * expected, msg=f"{name} {day}")

    def test_noise_and_gains_are_other_ones_each_day(self):
        self.simulate("in", "--days", 2, "--subbands", 1, "--gains", "0.1,20", "--integrations", 2)
        truths = [json.loads(path.read_text()) for path in sorted((self.root / "in_truth").glob("truth_*.json"))]
        gains = [truth["gains"]["gain"][0] for truth in truths]
        self.assertEqual(len(gains), 2)
        same = [one == other for a, b in zip(*gains) for one, other in zip(a, b)]
        self.assertFalse(any(same))
        # Of one day alone they are what they are without --days.
        self.simulate("alone", "--subbands", 1, "--gains", "0.1,20", "--integrations", 2)
        first = next((self.root / "alone").glob("*.hdf5"))
        self.assertEqual(first.read_bytes(), (self.root / "in" / first.name).read_bytes())

    def test_refusals_say_what_is_wrong(self):
        for words, part in ((("--days", 2, "--tiles", 300), "300 tiles are longer than a sidereal day"),
                            (("--source", "1,2,3,vary=often"), "expected vary=sinusoid, flare or step, found 'often'"),
                            (("--pairs", 3, "--pair-widths", "2,1"), "MIN <= MAX")):
            message = self.run_program("simulate", "--out", self.root / "x", *words, status=2)
            self.assertIn(part, message)
            self.assertEqual(len(message.splitlines()), 1)
        self.assertFalse((self.root / "x").exists())


if __name__ == "__main__":
    unittest.main()
