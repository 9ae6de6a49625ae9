#!/usr/bin/python3
"""Light curves: tables of photometry go on record, come out in every form as astropy reads them, with its barycentric
times; light curves of others come in; what does not fit is refused in one sentence.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/lightcurve_test.py [-v]
"""
import csv
import hashlib
import io
import json
import math
import os
import pathlib
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import numpy
    from astropy import units
    from astropy.coordinates import EarthLocation, SkyCoord
    from astropy.io import fits, votable
    from astropy.table import Table
    from astropy.time import Time
    from astropy.timeseries import TimeSeries
    from astropy.utils import iers
except ImportError:
    print("needs python3-astropy")
    sys.exit(77)

iers.conf.auto_download = False
BIN = pathlib.Path(os.environ["CONTIMG_BIN_DIR"])
COLUMNS = ("source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,"
           "flags").split(",")
DSA110 = EarthLocation.from_geodetic(lon=math.degrees(-2.064427799136453), lat=math.degrees(0.6498455107238486),
                                     height=1188.0519)
SIDEREAL_DAY = 0.9972695663


class LightCurve(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-lightcurve-"))
        self.addCleanup(shutil.rmtree, self.root)
        (self.root / "state").mkdir()
        self.environment = dict(os.environ, CONTIMG_STATE_DIR=str(self.root / "state"),
                                CONTIMG_SCRATCH_DIR=str(self.root))
        del self.environment["CONTIMG_BIN_DIR"]  # no setting

    def run_program(self, *words, status=0):
        done = subprocess.run([BIN / "contimg", *map(str, words)], env=self.environment, capture_output=True, text=True,
                              check=False)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        if status:
            self.assertRegex(done.stderr, r"^contimg: .*\n$")
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            return done.stderr
        return done.stdout

    def table(self, name, rows):
        path = self.root / name
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        return path

    # Five days of three tiles; a constant, and one that doubles on day 3. Both on both sides of RA 0 h.
    def tiles(self, days=5):
        rows = []
        for day in range(days):
            for tile in range(3):
                mjd = 61065.25 + day * SIDEREAL_DAY + tile * 309 / 86400
                for number, (ra, dec, flux) in enumerate(((0.1, 16.0, 0.5), (359.95, 16.2, 0.02))):
                    if day == 3 and number == 1:
                        flux *= 2
                    rows.append(dict(zip(COLUMNS, (number + 1, f"s{number}", ra, dec, f"{mjd:.9f}",
                                                   f"tile{day}{tile}", flux + 0.0001 * tile, 0.0005, 0.0003, 0.6, 1,
                                                   1.4e9, 0))))
        return rows

    def test_photometry_goes_on_record_and_comes_out(self):
        rows = self.tiles()
        table = self.table("p.csv", rows)
        self.assertIn("2 sources met for the first time", self.run_program("lightcurve", "record", table))
        again = json.loads(self.run_program("lightcurve", "record", table, "--json"))
        self.assertEqual(len(again), 15)
        self.assertEqual(sum(tile["measurements"] for tile in again), 30)

        text = self.run_program("lightcurve", "0.1,16.0", "--csv")
        points = list(csv.DictReader(io.StringIO(text)))
        self.assertEqual(len(points), 15)
        mine = [row for row in rows if row["name"] == "s0"]
        for point, row in zip(points, mine):
            self.assertAlmostEqual(float(point["mjd"]), float(row["mjd"]), places=8)
            self.assertAlmostEqual(float(point["flux_jy"]), row["flux_jy"], places=8)
            self.assertEqual(point["product"], row["product"])
        # The barycentric times are astropy's to a millisecond.
        times = Time([float(row["mjd"]) for row in mine], format="mjd", scale="utc", location=DSA110)
        place = SkyCoord(0.1 * units.deg, 16.0 * units.deg)
        expected = times.tdb + times.light_travel_time(place, ephemeris="builtin")
        found = Time([float(point["bmjd_tdb"]) for point in points], format="mjd", scale="tdb")
        self.assertLess(numpy.abs((found - expected).to_value("s")).max(), 1e-3)

        # By name, in every form.
        variables = json.loads(self.run_program("variables", "--json"))["variables"]
        self.assertEqual([v["n"] for v in variables], [5, 5])
        self.assertAlmostEqual(variables[0]["ra_deg"], 359.95)
        self.assertGreater(variables[0]["eta"], 100)
        self.assertLess(variables[1]["eta"], 1)
        self.assertEqual(variables[0]["name"], "DSA J235948.0+161200")
        name = variables[0]["name"]
        document = json.loads(self.run_program("lightcurve", name, "--level", "transit", "--json"))
        self.assertEqual([point["tiles"] for point in document["points"]], [3] * 5)
        self.assertAlmostEqual(document["points"][3]["flux_jy"], 0.0401, places=6)
        self.assertAlmostEqual(document["points"][0]["flux_error_jy"], 0.0005 / math.sqrt(3), places=8)
        # s1 passes 0.05 deg before RA 0 h does: all tiles of a transit agree on when.
        gaps = numpy.diff([point["mjd"] for point in document["points"]])
        self.assertLess(numpy.abs(gaps - SIDEREAL_DAY).max(), 1e-6)
        for ending in ("csv", "vot", "fits"):
            self.run_program("lightcurve", name, "--out", self.root / f"out.{ending}")
        self.assertIn("exist", self.run_program("lightcurve", name, "--out", self.root / "out.fits", status=2))
        from_fits = Table.read(self.root / "out.fits", hdu=1)
        from_votable = votable.parse_single_table(self.root / "out.vot").to_table()
        for read in (from_fits, from_votable):
            self.assertEqual(len(read), 15)
            numpy.testing.assert_allclose(read["flux_jy"], [r["flux_jy"] for r in rows if r["name"] == "s1"], rtol=1e-7)
            self.assertEqual(str(read["flux_jy"].unit), "Jy")
        with fits.open(self.root / "out.fits") as opened:
            self.assertIn(name, str(opened[1].header["HISTORY"]))
        self.assertIn("15 tiles", self.run_program("lightcurve", name))
        for ending, start in (("svg", b"<?xml"), ("png", b"\x89PNG")):
            plot = self.root / f"plot.{ending}"
            self.run_program("lightcurve", name, "--level", "transit", "--plot", plot)
            self.assertTrue(plot.read_bytes().startswith(start))
            self.run_program("lightcurve", name, "--plot", plot, status=2)
            self.run_program("lightcurve", name, "--plot", plot, "--overwrite")
        self.run_program("lightcurve", name, "--plot", self.root / "plot.pdf", status=2)
        self.assertEqual(len(json.loads(self.run_program("variables", "--eta", "10", "--p", "1e-5", "--json"))["variables"]), 1)
        self.assertEqual(json.loads(self.run_program("variables", "--since", "2030-01-01", "--json"))["variables"], [])
        self.assertEqual(len(json.loads(self.run_program("lightcurve", name, "--from", "2026-01-26", "--to", "2026-01-27",
                                                         "--json"))["points"]), 3)

    def figures(self):
        return json.loads(self.run_program("variables", "--json")), json.loads(
            self.run_program("variables", "--level", "tile", "--json"))

    def test_a_tile_again_gone_and_back(self):
        rows = self.tiles()
        self.run_program("lightcurve", "record", self.table("p.csv", rows))
        before = self.figures()
        self.run_program("lightcurve", "rebuild")
        self.assertEqual(self.figures(), before)
        changed = [dict(row, flux_jy=9) if row["product"] == "tile11" else row for row in rows]
        self.run_program("lightcurve", "record", self.table("q.csv", changed))
        self.assertNotEqual(self.figures(), before)
        self.run_program("lightcurve", "record", self.root / "p.csv")
        self.assertEqual(self.figures(), before)
        self.run_program("lightcurve", "forget", "tile11", "tile42")
        self.assertEqual(self.figures()[1]["variables"][0]["n"], 13)
        message = self.run_program("lightcurve", "forget", "tile00", "tile11", status=2)
        self.assertIn("tile11", message)
        self.assertEqual(self.figures()[1]["variables"][0]["n"], 13, "half of it was taken out")
        self.run_program("lightcurve", "record", self.root / "p.csv")
        self.assertEqual(self.figures(), before)

    def test_killed_while_recording_all_is_there_or_nothing(self):
        """kill -9 at ten moments of a recording in the place of another."""
        self.run_program("lightcurve", "record", self.table("a.csv", self.tiles(40)))
        table = self.table("b.csv", [dict(row, flux_jy=9) for row in self.tiles(60)])
        state, kept = self.root / "state", self.root / "kept"
        shutil.copytree(state, kept)

        def contents():
            with sqlite3.connect(state / "master_sources.sqlite3") as opened:
                self.assertEqual(opened.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                return [opened.execute(f"SELECT * FROM {name} ORDER BY 1, 2, 3").fetchall()
                        for name in ("measurements", "transit_points", "light_curve_statistics")]

        before = contents()
        start = time.monotonic()
        self.run_program("lightcurve", "record", table)
        took, after = time.monotonic() - start, contents()
        self.assertNotEqual(before, after)
        killed = 0
        for moment in range(1, 11):
            shutil.rmtree(state)
            shutil.copytree(kept, state)
            process = subprocess.Popen([BIN / "contimg", "lightcurve", "record", table], env=self.environment,
                                       stdout=subprocess.DEVNULL)
            time.sleep(took * moment / 11)
            process.kill()
            killed += process.wait() != 0
            self.assertIn(contents(), (before, after))
        self.assertGreater(killed, 3)

    def test_a_catalogue_gives_names_and_takes_no_measurements_along(self):
        self.run_program("lightcurve", "record", self.table("p.csv", self.tiles()))
        catalogue = self.root / "c.csv"
        catalogue.write_text("name,ra_deg,dec_deg,flux_jy\nNV1,0.1001,16.0,0.5\nNV2,50,16,1\n")
        self.run_program("catalog", "import", "csv", catalogue, "--name", "nv")
        self.assertEqual(len(json.loads(self.run_program("lightcurve", "NV1", "--json"))["points"]), 15)
        self.assertIn("called so", self.run_program("lightcurve", "NV2", status=2))
        for words in ("DSA J000024.0+160000", "j000024.0+160000", "00:00:24 +16:00:00", "0.1 16.0", "nv NV1"):
            self.assertEqual(len(json.loads(self.run_program("lightcurve", words, "--json"))["points"]), 15, words)
        series = self.root / "s.csv"
        series.write_text("mjd,flux_jy,flux_error_jy\n" + "".join(f"{60000 + i},{1 + i},0.1\n" for i in range(3)))
        self.run_program("lightcurve", "import", series, "--source", "NV1", "--mission", "VLA")
        self.assertEqual(len(json.loads(self.run_program("lightcurve", "NV1", "--json"))["points"]), 15)
        # One that only the catalogue has becomes one of ours.
        self.run_program("lightcurve", "import", series, "--source", "NV2", "--mission", "VLA")
        self.assertIn("DSA J032000.0+160000", self.run_program("lightcurve", "NV2"))
        with sqlite3.connect(self.root / "state" / "master_sources.sqlite3") as database:
            database.execute("PRAGMA foreign_keys = ON")
            database.execute("DELETE FROM catalogues")
        self.assertEqual(len(json.loads(self.run_program("lightcurve", "0.1,16", "--json"))["points"]), 15)

    def test_light_curves_of_others_come_in(self):
        time = numpy.array([1683.5, 1683.75, math.nan, 1683.25])
        flux = numpy.array([1001.0, 1002.0, 1003.0, 1000.0], dtype="f4")
        columns = [fits.Column("TIME", "D", unit="BJD - 2457000, days", array=time),
                   fits.Column("SAP_FLUX", "E", unit="e-/s", array=flux * 2),
                   fits.Column("SAP_FLUX_ERR", "E", unit="e-/s", array=flux),
                   fits.Column("PDCSAP_FLUX", "E", unit="e-/s", array=flux),
                   fits.Column("PDCSAP_FLUX_ERR", "E", unit="e-/s", array=flux * 0 + 5),
                   fits.Column("QUALITY", "J", array=[0, 128, 0, 0])]
        hdu = fits.BinTableHDU.from_columns(columns)
        hdu.header.update(BJDREFI=2457000, BJDREFF=0.0, TIMESYS="TDB", TIMEREF="SOLARSYSTEM", TIMEUNIT="d")
        path = self.root / "tess.fits"
        fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
        words = ("lightcurve", "import", path, "--source", "10.5,20.5", "--mission", "TESS", "--name", "sector 14")
        done = json.loads(self.run_program(*words, "--json"))
        self.assertEqual((done["points"], done["left_out"], done["unit"], done["unchanged"]), (3, 1, "e-/s", False))
        self.assertTrue(json.loads(self.run_program(*words, "--json"))["unchanged"])
        points = json.loads(self.run_program("lightcurve", "10.5,20.5", "--dataset", "sector 14", "--json"))["points"]
        numpy.testing.assert_allclose([p["bmjd_tdb"] for p in points], [58682.75, 58683.0, 58683.25], atol=1e-9)
        self.assertEqual([p["mjd"] for p in points], [None] * 3)
        self.assertEqual([p["flux"] for p in points], [1000, 1001, 1002])
        self.assertEqual([p["flux_error"] for p in points], [5, 5, 5])
        self.assertEqual([p["flags"] for p in points], [0, 0, 16384])
        # Text of any separator; mJy; times that only the mission explains.
        text = self.root / "vla.txt"
        text.write_text("# a survey\n# mjd; flux_mjy; flux_error_mjy\n60001.5; 20; 1\n60000.5; 10; 1\n")
        self.run_program("lightcurve", "import", text, "--source", "10.5,20.5", "--mission", "VLA")
        points = json.loads(self.run_program("lightcurve", "10.5,20.5", "--dataset", "vla", "--json"))["points"]
        self.assertEqual([p["flux"] for p in points], [0.01, 0.02])
        self.assertEqual([p["mjd"] for p in points], [60000.5, 60001.5])
        self.assertAlmostEqual(points[0]["bmjd_tdb"], 60000.5, delta=0.007)
        plain = self.root / "plain.csv"
        plain.write_text("time,flux\n1683.5,1\n")
        self.assertIn("--time", self.run_program("lightcurve", "import", plain, "--source", "10.5,20.5", "--mission",
                                                 "GBT", status=2))
        self.run_program("lightcurve", "import", plain, "--source", "10.5,20.5", "--mission", "TESS")
        points = json.loads(self.run_program("lightcurve", "10.5,20.5", "--dataset", "plain", "--json"))["points"]
        self.assertEqual(points[0]["bmjd_tdb"], 58683.0)
        # Another file under a name that is taken.
        plain.write_text("time,flux\n1683.5,2\n")
        words = ("lightcurve", "import", plain, "--source", "10.5,20.5", "--mission", "TESS")
        self.assertIn("--refresh", self.run_program(*words, status=2))
        self.run_program(*words, "--refresh")
        shown = self.run_program("lightcurve", "10.5,20.5")
        for name in ("sector 14", "vla", "plain"):
            self.assertIn(f"data set {name}", shown)

    def series(self, n, seed, even=True):
        """A light curve of n points a hundredth of a day apart with a slow change, as a data set "raw" at 10,10."""
        random = numpy.random.RandomState(seed)
        times = 60000 + (numpy.arange(n) if even else numpy.cumsum(random.uniform(0.2, 1.8, n))) * 0.01
        values = 2 + 0.3 * numpy.sin(numpy.arange(n) / 90.0) + 0.01 * random.randn(n)
        path = self.root / "raw.csv"
        path.write_text("mjd,flux_jy,flux_error_jy\n" +
                        "".join(f"{t!r},{v!r},0.01\n" for t, v in zip(times.tolist(), values.tolist())))
        self.run_program("lightcurve", "import", path, "--source", "10,10", "--mission", "VLA", "--refresh")
        return times, values

    def preprocess(self, *words):
        made = json.loads(self.run_program("lightcurve", "preprocess", "10,10", "--dataset", "raw", "--json", *words))
        points = json.loads(self.run_program("lightcurve", "10,10", "--dataset", made["dataset"], "--json"))["points"]
        return made, numpy.array([p["flux"] for p in points])

    def test_preprocessing_is_scipys_and_pywts(self):
        try:
            import pywt
            from scipy.signal import savgol_filter
        except ImportError:
            self.skipTest("needs python3-scipy and python3-pywt")
        _, values = self.series(512, 1)
        plain = ("--remove_outliers", "false")
        for window, order in ((101, 2), (31, 3), (5, 0)):
            made, found = self.preprocess(*plain, "--baseline_window_length", window, "--baseline_polyorder", order)
            expected = values - savgol_filter(values, window, order, mode="interp") + numpy.median(values)
            numpy.testing.assert_allclose(found, expected / numpy.median(expected), atol=1e-7)
        for name, levels in (("db4", 6), ("db2", 3), ("haar", 4)):
            _, found = self.preprocess(*plain, "--min_points_per_segment", 1000, "--wavelet_denoising", "true",
                                       "--wavelet_type", name, "--wavelet_levels", levels)
            parts = pywt.wavedec(values, name, mode="periodization", level=levels)
            sigma = numpy.median(numpy.abs(parts[-1])) / 0.6745
            limit = sigma * math.sqrt(2 * math.log(512))
            parts[1:] = [pywt.threshold(part, limit, "soft") for part in parts[1:]]
            expected = pywt.waverec(parts, name, mode="periodization")
            numpy.testing.assert_allclose(found, expected / numpy.median(expected), atol=1e-7)

    def test_preprocessing_is_what_numpy_says(self):
        _, values = self.series(200, 2)
        plain = ("--remove_outliers", "false", "--min_points_per_segment", 1000)
        low, high = numpy.percentile(values, [5, 95])
        median = numpy.median(values)
        for method, expected in (("median", values / median), ("mean", values / values.mean()),
                                 ("robust", (values - low) / (high - low)),
                                 ("unity", 1 + (values - values.mean()) / values.std()),
                                 ("minmax", (values - values.min()) / numpy.ptp(values)),
                                 ("zscore", (values - values.mean()) / values.std()),
                                 ("quantile", (values - median) / (1.4826022185 * numpy.median(abs(values - median))))):
            made, found = self.preprocess(*plain, "--normalize_method", method)
            self.assertEqual(made["parameters"]["normalize_method"], method)
            numpy.testing.assert_allclose(found, expected, atol=2e-7)

    def test_preprocessing_is_on_record(self):
        self.series(300, 3, even=False)
        made, first = self.preprocess()
        self.assertTrue(made["made"])
        self.assertEqual(made["parameters"], {
            "quality_bitmask": 28693, "remove_outliers": True, "outlier_method": "sigma_clip", "sigma_clip_sigma": 5.0,
            "sigma_clip_maxiters": 3, "gap_threshold_hours": 0.5, "min_points_per_segment": 100,
            "baseline_window_length": 101, "baseline_polyorder": 2, "wavelet_denoising": False, "wavelet_type": "db4",
            "wavelet_levels": 6, "normalize_method": "median"})
        again, second = self.preprocess()
        self.assertFalse(again["made"])
        self.assertEqual(again["dataset"], made["dataset"])
        numpy.testing.assert_array_equal(first, second)
        self.assertIn("made of raw", self.run_program("lightcurve", "10,10", "--dataset", made["dataset"]))
        self.assertIn(made["dataset"] + " is made of it", self.run_program("lightcurve", "10,10", "--dataset", "raw"))
        other, _ = self.preprocess("--outlier_method", "ensemble")
        self.assertNotEqual(other["dataset"], made["dataset"])
        # The input changes: the same name, made anew.
        self.series(310, 4, even=False)
        anew, third = self.preprocess()
        self.assertEqual((anew["made"], anew["dataset"]), (True, made["dataset"]))
        self.assertEqual(len(third), 310 - anew["outliers"])
        self.preprocess("--name", "flat")
        words = ("lightcurve", "preprocess", "10,10", "--dataset", "raw", "--name", "flat", "--baseline_polyorder", 3)
        self.assertIn("--refresh", self.run_program(*words, status=2))
        self.run_program(*words, "--refresh")
        # Of our own measurements: views and what they are made of.
        self.run_program("lightcurve", "record", self.table("p.csv", self.tiles()))
        made = json.loads(self.run_program("lightcurve", "preprocess", "0.1,16", "--level", "night", "--normalised",
                                           "--gap_threshold_hours", 36, "--min_points_per_segment", 3, "--json"))
        self.assertEqual((made["points"], made["segments"]), (5, 1))
        with sqlite3.connect(self.root / "state" / "master_sources.sqlite3") as database:
            lineage = dict(database.execute("SELECT c.name, p.name FROM dataset_lineage JOIN datasets c ON c.id = child_id "
                                            "JOIN datasets p ON p.id = parent_id WHERE p.name LIKE 'forced%'"))
        self.assertEqual(lineage, {"forced tile normalised": "forced tile",
                                   "forced transit normalised": "forced tile normalised",
                                   "forced night normalised": "forced transit normalised",
                                   made["dataset"]: "forced night normalised"})
        self.assertIn("--level", self.run_program("lightcurve", "0.1,16", "--dataset", "forced tile", status=2))
        for words in (("--baseline_window_length", 100), ("--wavelet_type", "db9"), ("--outlier_method", "x"),
                      ("--normalize_method", "x"), ("--dataset", "x"), ("--quality_bitmask", "x"),
                      ("--dataset", "forced tile")):
            with self.subTest(words):
                self.run_program("lightcurve", "preprocess", "0.1,16", *words, status=2)

    def test_a_telescope_that_followed_its_target(self):
        table = self.table("p.csv", self.tiles(2))
        for words in (("--program", "AB1"), ("--target", ""), ("--instrument", ""), ("--exposure", "5"),
                      ("--target", "3C286", "--exposure", "-1")):
            self.run_program("lightcurve", "record", table, *words, status=2)
        self.run_program("lightcurve", "record", table, "--instrument", "VLA", "--target", "3C286", "--program", "AB1",
                         "--band", "L", "--exposure", "300")
        with sqlite3.connect(self.root / "state/master_sources.sqlite3") as opened:
            rows = set(opened.execute("SELECT t.type, i.name, k.target, k.program, k.band, k.exposure_s FROM observations t "
                                      "JOIN instruments i ON i.id = t.instrument_id JOIN observations_tracking k ON "
                                      "k.observation_id = t.id"))
            drifted = opened.execute("SELECT count(*) FROM observations_drift").fetchone()
        opened.close()
        self.assertEqual(rows, {("tracking", "VLA", "3C286", "AB1", "L", 300.0)})
        self.assertEqual(drifted, (0,))
        # The same as of a telescope that stands still, transits too.
        points = json.loads(self.run_program("lightcurve", "0.1,16", "--level", "transit", "--json"))["points"]
        self.assertEqual([point["tiles"] for point in points], [3, 3])
        self.run_program("lightcurve", "record", table)
        again = json.loads(self.run_program("lightcurve", "0.1,16", "--level", "transit", "--json"))["points"]
        self.assertEqual([point["mjd"] for point in again], [point["mjd"] for point in points])

    def test_exported_trees_are_read_by_others(self):
        catalogue = self.root / "c.csv"
        catalogue.write_text("name,ra_deg,dec_deg,flux_jy\nA 1,0.1,16,0.5\n")
        self.run_program("catalog", "import", "csv", catalogue, "--name", "My Survey")
        self.run_program("lightcurve", "record", self.table("p.csv", self.tiles()))
        self.series(300, 3, even=True)  # a data set of another source
        out = self.root / "tree"
        done = json.loads(self.run_program("lightcurve", "export", "--out", out, "--datasets", "--json"))
        files = sorted(str(path.relative_to(out / "lightcurves")) for path in out.rglob("*.fits"))
        one, two = "my_survey/DSA_J000024.0+160000.fits", "dsa-110/DSA_J235948.0+161200.fits"
        self.assertEqual(files, sorted([one, two, "vla/DSA_J004000.0+100000.raw.fits"]))
        self.assertEqual(done, {"written": 3, "unchanged": 0, "points": 330})
        # As astropy reads it, with no more than the file says.
        native = Table.read(out / "lightcurves" / one, astropy_native=True)
        self.assertEqual(native.colnames[:5], ["TIME", "FLUX", "FLUX_ERR", "QUALITY", "MJD_UTC"])
        self.assertEqual((native["TIME"].scale, native["TIME"].format), ("tdb", "mjd"))
        self.assertEqual(str(native["FLUX"].unit), "Jy")
        series = TimeSeries.read(out / "lightcurves" / one, time_column="TIME", time_format="mjd", time_scale="tdb", format="fits")
        self.assertEqual(len(series), 15)
        times = Time(native["MJD_UTC"], format="mjd", scale="utc", location=DSA110)
        expected = times.tdb + times.light_travel_time(SkyCoord(0.1 * units.deg, 16.0 * units.deg), ephemeris="builtin")
        self.assertLess(numpy.abs((series.time - expected).to_value("s")).max(), 1e-3)
        numpy.testing.assert_allclose(native["FLUX"], [0.5 + 0.0001 * (i % 3) for i in range(15)], rtol=1e-12)
        header = fits.getheader(out / "lightcurves" / one, 1)
        for key, value in (("EXTNAME", "LIGHTCURVE"), ("TIMESYS", "TDB"), ("TIMEUNIT", "d"), ("MJDREFI", 0), ("MJDREFF", 0.0),
                           ("BJDREFI", 2400000), ("BJDREFF", 0.5), ("TREFPOS", "BARYCENTER"), ("TELESCOP", "DSA-110"),
                           ("OBJECT", "DSA J000024.0+160000"), ("RADESYS", "ICRS"), ("TUCD2", "phot.flux.density")):
            self.assertEqual(header[key], value, key)
        self.assertAlmostEqual(header["RA_OBJ"], 0.1, places=9)
        self.assertTrue(any(line.startswith("level = tile") for line in header["HISTORY"]))
        with fits.open(out / "lightcurves" / one) as file:
            file[1].verify("exception")
        # The same again is left as it is; what changed is written; a folder of somebody else is not touched.
        before = {path: path.stat().st_ino for path in out.rglob("*.fits")}
        self.assertEqual(json.loads(self.run_program("lightcurve", "export", "--out", out, "--datasets", "--json"))["unchanged"], 3)
        self.assertEqual({path: path.stat().st_ino for path in out.rglob("*.fits")}, before)
        self.run_program("lightcurve", "forget", "tile00")
        done = json.loads(self.run_program("lightcurve", "export", "A 1", "--out", out, "--json"))
        self.assertEqual(done, {"written": 1, "unchanged": 0, "points": 14})
        (self.root / "theirs/lightcurves").mkdir(parents=True)
        (self.root / "theirs/lightcurves/x").write_text("mine")
        self.assertIn("no export", self.run_program("lightcurve", "export", "--out", self.root / "theirs", status=2))
        self.assertEqual([path.name for path in (self.root / "theirs/lightcurves").iterdir()], ["x"])
        # What was exported comes in again as it was.
        self.run_program("lightcurve", "import", out / "lightcurves" / two, "--source", "30,30", "--mission", "DSA", "--name", "back")
        back = json.loads(self.run_program("lightcurve", "30,30", "--dataset", "back", "--json"))["points"]
        theirs = json.loads(self.run_program("lightcurve", "359.95,16.2", "--json"))["points"]
        self.assertEqual(len(back), 15)  # with the tile that was taken out since
        for row, point in zip(back[1:], theirs):
            self.assertAlmostEqual(row["bmjd_tdb"], point["bmjd_tdb"], delta=1e-9)
            self.assertEqual((row["flux"], row["flux_error"]), (point["flux_jy"], point["flux_error_jy"]))
        # Transits as VOTable and as CSV with what its columns are.
        self.run_program("lightcurve", "export", "A 1", "--out", out, "--level", "transit", "--format", "votable")
        read = votable.parse(out / "lightcurves" / one.replace(".fits", ".vot"))
        fields = {field.name: field for field in read.get_first_table().fields}
        self.assertEqual([(f.ID, f.timescale, f.refposition) for f in read.resources[0].time_systems],
                         [("UTC", "UTC", "TOPOCENTER"), ("TDB", "TDB", "BARYCENTER")])
        self.assertEqual((fields["TIME"].ref, fields["TIME"].ucd, str(fields["FLUX"].unit)), ("TDB", "time.epoch", "Jy"))
        self.run_program("lightcurve", "export", "A 1", "--out", out, "--level", "transit", "--format", "csv")
        path = out / "lightcurves" / one.replace(".fits", ".csv")
        rows = list(csv.DictReader(io.StringIO(path.read_text())))
        about = json.loads(path.with_suffix(".json").read_text())
        self.assertEqual((len(rows), about["rows"]), (5, 5))
        self.assertEqual([column["name"] for column in about["columns"]], list(rows[0]))
        self.assertEqual(about["columns"][1], {"name": "FLUX", "datatype": "double", "unit": "Jy", "ucd": "phot.flux.density",
                                               "description": "flux density"})
        self.assertEqual(about["columns"][0]["time_scale"], "TDB")
        self.assertEqual((about["provenance"]["level"], about["provenance"]["source"]), ("transit", "DSA J000024.0+160000"))
        self.assertIn("contimg", about["provenance"]["program"])

    def test_tables_in_csv_say_beside_what_their_columns_are(self):
        self.run_program("lightcurve", "record", self.table("p.csv", self.tiles()))
        self.run_program("variables", "--out", self.root / "v.csv")
        about = json.loads((self.root / "v.json").read_text())
        columns = {column["name"]: column for column in about["columns"]}
        self.assertEqual(list(columns), next(csv.reader(io.StringIO((self.root / "v.csv").read_text()))))
        self.assertEqual((columns["ra_deg"]["unit"], columns["ra_deg"]["ucd"]), ("deg", "pos.eq.ra;meta.main"))
        self.assertEqual(about["rows"], 2)
        (self.root / "w.json").write_text("mine")
        self.assertIn("w.json", self.run_program("variables", "--out", self.root / "w.csv", status=2))
        self.assertFalse((self.root / "w.csv").exists())
        self.assertEqual((self.root / "w.json").read_text(), "mine")
        self.run_program("variables", "--out", self.root / "w.csv", "--overwrite")

    def test_originals_are_kept_as_they_came(self):
        catalogue, series = self.root / "c.csv", self.root / "s.csv"
        catalogue.write_text("name,ra_deg,dec_deg,flux_jy\nA,10,10,0.5\n")
        series.write_text("mjd,flux_jy\n60000,1\n")
        for file, name, words in ((catalogue, "My_Survey", ("catalog", "import", "csv", catalogue, "--name", "My Survey")),
                                  (series, "VLA", ("lightcurve", "import", series, "--source", "10,10", "--mission", "VLA"))):
            kept = self.root / "static/catalogs/raw" / name / hashlib.sha256(file.read_bytes()).hexdigest()
            content = file.read_bytes()
            self.run_program(*words)
            self.assertEqual((kept.read_bytes(), kept.stat().st_mode & 0o777), (content, 0o444))
            self.run_program(*words)  # known: nothing to do
            file.write_text(file.read_text() + "\n")
            self.run_program(*words, "--refresh")
            self.assertEqual(len(list(kept.parent.iterdir())), 2)
            self.assertEqual(kept.read_bytes(), content)
        shown, = json.loads(self.run_program("catalog", "info", "--json"))
        self.assertEqual(pathlib.Path(shown["original"]).name, shown["sha256"])
        # What is refused is not kept.
        (self.root / "bad.csv").write_text("mjd,flux_jy\n")
        self.run_program("lightcurve", "import", self.root / "bad.csv", "--source", "10,10", "--mission", "Bad", status=3)
        self.assertFalse((self.root / "static/catalogs/raw/Bad").exists())

    def refused(self, words, *command, status=3):
        """One sentence on the error stream that has all these words; and nothing was recorded of it."""
        message = self.run_program(*command, status=status)
        self.assertEqual(len(message.splitlines()), 1, message)
        for word in words:
            self.assertIn(word, message)

    def test_hostile_series_are_read_right_or_refused_in_a_sentence(self):
        def take(name, *more):
            return ("lightcurve", "import", self.root / name, "--source", "10,10", "--mission", "M", "--name", name, *more)

        names = "mjd,flux_jy,flux_error_jy\n"
        good = {"quotes.csv": '"mjd","flux_jy","flux_error_jy"\r\n"60000","1.5","0.1"\r\n60001,2.5,0.1\r\n',
                "mac.csv": (names + "60000,1.5,0.1\n60001,2.5,0.1\n").replace("\n", "\r"),
                "unsorted.csv": names + "60001,2.5,0.1\n60002,nan,0.1\n60000,1.5,0.1\n"}
        for name, text in good.items():
            (self.root / name).write_bytes(text.encode())
            with self.subTest(name):
                self.run_program(*take(name))
                points = json.loads(self.run_program("lightcurve", "10,10", "--dataset", name, "--json"))["points"]
                self.assertEqual([(p["mjd"], p["flux"]) for p in points], [(60000, 1.5), (60001, 2.5)])
        bad = {"nul.csv": (names + "60000,1\0,0.1\n", ("line 2", "NUL byte")),
               "utf16.csv": ((names + "60000,1,0.1\n").encode("utf-16"), ("line 1", "UTF-8")),
               "inf.csv": (names + "60000,inf,0.1\n", ("line 2", "flux_jy", "'inf'")),
               "negative.csv": (names + "\n# a comment\n60000,1,-0.1\n", ("line 4", "0 or more", "-0.1")),
               "twice.csv": (names + "60000,1,0.1\n60001,1,0.1\n60000,1,0.1\n", ("line 4", "each time once", "60000")),
               "open.csv": (names + '60000,"1,0.1\n60001,1,0.1\n', ("line 2", "never closed")),
               "behind.csv": (names + '60000,"1"3,0.1\n', ("line 2", "'3' behind a quoted field")),
               "gzip.csv": (b"\x1f\x8b\x08\0\0", ("gunzip",)), "empty.csv": ("", ("no rows",)),
               "huge.csv": (names + "60000,5e307,0.1\n", ("line 2", "up to 1e+100", "5e+307")),
               "julian.csv": (names + "2460005,1,0.1\n", ("1900 to 2100", "2460005", "--time")),
               "early.csv": (names + "5,1,0.1\n", ("1900 to 2100", "--time"))}
        for name, (text, words) in bad.items():
            (self.root / name).write_bytes(text if isinstance(text, bytes) else text.encode())
            with self.subTest(name):
                self.refused((name, *words), *take(name))
        os.mkfifo(self.root / "pipe")
        (self.root / "loop").symlink_to("loop")
        self.refused(("pipe", "is not a file"), *take("pipe"), status=1)
        self.refused(("loop", "symbolic links"), *take("loop"), status=1)
        self.refused(("/dev/zero", "is not a file"), "lightcurve", "import", "/dev/zero", "--source", "10,10", "--mission", "M",
                     status=1)
        for command in (("photometry", self.root / "x", "--catalogue"), ("catalog", "import", "csv"),
                        ("sources", self.root / "x", "--out", self.root / "o.csv", "--catalogue")):
            self.refused(("pipe", "is not a file"), *command, self.root / "pipe", *(("--name", "c") if command[0] == "catalog" else ()),
                         status=1)
        # The names of views of our own measurements are theirs.
        for name in ("forced tile", "external night normalised"):
            self.refused((name, "--name"), "lightcurve", "import", self.root / "mac.csv", "--source", "10,10", "--mission", "M",
                         "--name", name, status=2)
        self.refused(("forced transit", "--name"), "lightcurve", "preprocess", "10,10", "--dataset", "mac.csv", "--name",
                     "forced transit", status=2)

    def test_hostile_fits_tables_are_read_right_or_refused_in_a_sentence(self):
        times = numpy.array([1.0, 2.0, 3.0])
        time = fits.Column("TIME", "D", array=times, unit="d")

        def table(name, *columns, **cards):
            hdu = fits.BinTableHDU.from_columns([time, *columns])
            hdu.header.update({"MJDREF": 60000.0, "TIMESYS": "UTC", **cards})
            hdu.writeto(self.root / name)
            return (self.root / name).read_bytes()

        def take(name):
            return ("lightcurve", "import", self.root / name, "--source", "10,10", "--mission", "M", "--name", name)

        plain = table("plain.fits", fits.Column("FLUX", "D", array=times))
        table("scaled.fits", fits.Column("FLUX", "I", array=numpy.array([1, 15, 20], dtype="i2")), TSCAL2=0.1, TZERO2=5.0)
        table("unsigned.fits", fits.Column("FLUX", "J", array=numpy.array([1, 2, 4000000000], dtype="u4"), bzero=2**31))
        table("null.fits", fits.Column("FLUX", "J", array=numpy.array([1, -99, 3]), null=-99))
        table("infinite.fits", fits.Column("FLUX", "E", array=numpy.array([1, numpy.inf, 3])))
        for name, fluxes in (("scaled.fits", [5.1, 6.5, 7]), ("unsigned.fits", [1, 2, 4e9]), ("null.fits", [1, 3]),
                             ("infinite.fits", [1, 3])):
            with self.subTest(name):
                self.run_program(*take(name))
                points = json.loads(self.run_program("lightcurve", "10,10", "--dataset", name, "--json"))["points"]
                numpy.testing.assert_allclose([p["flux"] for p in points], fluxes, rtol=1e-7)
        lists = numpy.array([numpy.array([1.0]), numpy.array([2.0]), numpy.array([3.0])], dtype=object)
        table("lists.fits", fits.Column("FLUX", "PD(1)", array=lists))
        table("array.fits", fits.Column("FLUX", "2D", array=numpy.ones((3, 2))))
        table("complex.fits", fits.Column("FLUX", "C", array=numpy.ones(3, dtype="c8")))
        table("text.fits", fits.Column("FLUX", "5A", array=["1", "2", "3"]))
        table("logical.fits", fits.Column("FLUX", "D", array=times), fits.Column("QUALITY", "L", array=[True, False, False]))
        two = table("two.fits", fits.Column("FLUX", "D", array=times), fits.Column("FLUX2", "D", array=times))

        def damaged(name, content):
            (self.root / name).write_bytes(content)

        def rows(number):
            at = plain.index(b"NAXIS2  =") + 10
            return plain[:at] + b"%20d" % number + plain[at + 20:]

        damaged("twice.fits", two.replace(b"FLUX2   ", b"FLUX    "))
        damaged("cut.fits", plain[:-2880])
        damaged("headless.fits", plain[:4000])
        damaged("many.fits", rows(10**12))
        damaged("more.fits", rows(2**31 + 5))
        damaged("fewer.fits", rows(-5))
        fits.PrimaryHDU(numpy.zeros((3, 3))).writeto(self.root / "image.fits")
        for name, words in (("lists.fits", ("FLUX", "one number a row", "PD(1)")), ("array.fits", ("FLUX", "2D")),
                            ("complex.fits", ("FLUX", "found format C")), ("text.fits", ("FLUX", "5A")),
                            ("logical.fits", ("QUALITY", "found format L")), ("twice.fits", ("FLUX", "twice")),
                            ("cut.fits", ("cut short", "5808 bytes", "5760")), ("headless.fits", ("binary table",)),
                            ("many.fits", ("cut short",)), ("more.fits", ("cut short",)), ("fewer.fits", ("binary table",)),
                            ("image.fits", ("binary table",))):
            with self.subTest(name):
                self.refused((name, *words), *take(name))

    def test_what_does_not_fit_is_refused(self):
        rows = self.tiles(1)
        for change, words in (({"flux_error_jy": 0}, "error above 0"), ({"ra_deg": 360}, "line 3"),
                              ({"flux_jy": "x"}, "line 3"), ({"flags": -1}, "line 3"), ({"mjd": 61000}, "line 3"),
                              ({"response": 0}, "response above 0"), ({"scale": 0}, "line 3"),
                              ({"flux_jy": ""}, "a flux")):
            wrong = [dict(row) for row in rows]
            wrong[1].update(change)
            message = self.run_program("lightcurve", "record", self.table("w.csv", wrong), status=3)
            self.assertIn(words, message)
        self.table("p.csv", rows)
        twice = (self.root / "p.csv").read_text().splitlines()
        (self.root / "t.csv").write_text("\n".join(twice + [twice[1]]) + "\n")
        self.assertIn("twice", self.run_program("lightcurve", "record", self.root / "t.csv", status=3))
        self.run_program("lightcurve", "0,0", status=2)
        with sqlite3.connect(self.root / "state" / "master_sources.sqlite3") as database:
            for table in ("sources", "observations", "measurements", "instruments"):
                self.assertEqual(database.execute(f"SELECT count(*) FROM {table}").fetchone(), (0,), table)
        (self.root / "no.csv").write_text("name,flux_jy\na,1\n")
        self.assertIn("ra_deg", self.run_program("lightcurve", "record", self.root / "no.csv", status=3))
        bad = {"e.csv": ("", 3), "n.csv": ("mjd,flux\n", 3), "w.csv": ("mjd,flux\n1,2\n3\n", 3),
               "d.csv": ("mjd,flux\n1,2\n1,3\n", 3), "c.csv": ("a,b\n1,2\n", 3), "x.csv": ("mjd,flux,flux_err\n1,2,-1\n", 3),
               "f.fits": ("SIMPLE  = nonsense", 3), "m.csv": ("mjd,flux,flux\n1,2,3\n", 3)}
        for name, (text, status) in bad.items():
            (self.root / name).write_text(text)
            with self.subTest(name):
                self.run_program("lightcurve", "import", self.root / name, "--source", "1,1", "--mission", "M",
                                 status=status)
        self.run_program("lightcurve", "import", self.root / "absent.csv", "--source", "1,1", "--mission", "M", status=1)
        for words in (("lightcurve",), ("lightcurve", "nobody"), ("lightcurve", "1,1", "--level", "hour"),
                      ("lightcurve", "1,1", "--quality", "good"), ("variables", "--level", "night"),
                      ("lightcurve", "1,1", "--kind", "guess"), ("lightcurve", "1,1", "--csv", "--json"),
                      ("lightcurve", "1,1", "--dataset", "none"), ("variables", "--since", "soon")):
            with self.subTest(words):
                self.run_program(*words, status=2)


if __name__ == "__main__":
    unittest.main()
