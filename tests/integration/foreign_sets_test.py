#!/usr/bin/python3
"""Measurement Sets as other programs write them: what docs/formats/measurement-set.md says is read, is read right; what is
refused, is refused in one sentence and left alone; two programs never lose each other's work.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/foreign_sets_test.py [-v]
"""
import fcntl
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

try:
    import numpy as np
    from casacore.tables import makearrcoldesc, maketabdesc, table
except ImportError:
    print("needs python3-casacore and python3-numpy")
    sys.exit(77)

BIN = pathlib.Path(os.environ.pop("CONTIMG_BIN_DIR", "build/release/bin"))  # for this test: commands would warn of it
LIBRARY_WORDS = re.compile(r"AipsError|casacore/|::|StMan|hypercube|FilebufIO|BucketFile|HDF5|cfitsio|std::")


def contimg(*words, root, **options):
    environment = dict(os.environ, CONTIMG_STAGING_DIR=str(root / "staging"), CONTIMG_STATE_DIR=str(root / "state"),
                       CONTIMG_SCRATCH_DIR=str(root), CONTIMG_IMAGE_SIZE="128", CONTIMG_IMAGE_CELL_ARCSEC="20",
                       CONTIMG_IMAGE_MIN_UV_LAMBDA="0")
    return subprocess.run([str(BIN / "contimg"), "--log-level", "info", *map(str, words)], capture_output=True, text=True,
                          env=environment, **options)


def open_set(path, subtable=""):
    return table(str(path) + ("/" + subtable if subtable else ""), readonly=False, ack=False)


def column(path, name):
    with table(str(path), ack=False) as main:
        return main.getcol(name)


def swap_rows(path, rows):
    """Turns rows round, as a program that numbers antennas otherwise would have written them."""
    with open_set(path) as main:
        first, second = main.getcol("ANTENNA1"), main.getcol("ANTENNA2")
        first[rows], second[rows] = second[rows], first[rows]
        main.putcol("ANTENNA1", first)
        main.putcol("ANTENNA2", second)
        uvw = main.getcol("UVW")
        uvw[rows] *= -1
        main.putcol("UVW", uvw)
        for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM", "WEIGHT", "SIGMA", "CORRECTED_DATA", "MODEL_DATA"):
            if name not in main.colnames():
                continue
            cells = main.getcol(name)
            turned = cells[rows][..., [0, 2, 1, 3]] if cells.shape[-1] == 4 else cells[rows]
            cells[rows] = np.conj(turned)
            main.putcol(name, cells)


def make_four_hands(path, circular):
    """Gives a set of XX, YY all four hands, each with gains of its own receptors, from sky of all four."""
    random = np.random.default_rng(5)
    with open_set(path) as main:
        data, flag, weights = main.getcol("DATA"), main.getcol("FLAG"), main.getcol("WEIGHT_SPECTRUM")
        cells = {"DATA": np.zeros(data.shape[:-1] + (4,), np.complex64), "FLAG": flag[..., [0, 0, 1, 1]] | flag[..., [0, 1, 0, 1]],
                 "WEIGHT_SPECTRUM": np.sqrt(weights[..., [0, 0, 1, 1]] * weights[..., [0, 1, 0, 1]])}
        cells["DATA"][..., [0, 3]] = data
        cross = random.normal(size=data.shape) + 1j * random.normal(size=data.shape)
        auto = main.getcol("ANTENNA1") == main.getcol("ANTENNA2")
        cross[auto, :, 1] = np.conj(cross[auto, :, 0])
        cells["DATA"][..., [1, 2]] = cross
        cells["WEIGHT"] = cells["WEIGHT_SPECTRUM"].mean(axis=1)
        cells["SIGMA"] = np.where(cells["WEIGHT"] > 0, 1 / np.sqrt(np.maximum(cells["WEIGHT"], 1e-9)), 0)
        kinds = {"DATA": (0j, 2, "complex"), "FLAG": (True, 2, "boolean"), "WEIGHT_SPECTRUM": (0.0, 2, "float"),
                 "WEIGHT": (0.0, 1, "float"), "SIGMA": (0.0, 1, "float")}
        main.removecols(list(kinds))
        for name, (value, ndim, kind) in kinds.items():
            main.addcols(maketabdesc(makearrcoldesc(name, value, ndim=ndim, valuetype=kind)))
            main.putcol(name, cells[name])
    with open_set(path, "POLARIZATION") as setup:
        setup.putcell("NUM_CORR", 0, 4)
        setup.putcell("CORR_TYPE", 0, np.arange(5, 9) if circular else np.arange(9, 13))
        setup.putcell("CORR_PRODUCT", 0, np.array([[0, 0], [0, 1], [1, 0], [1, 1]]))


class ForeignSetsTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-foreign-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        made = contimg("simulate", "--out", cls.pool / "in", "--antennas", 10, "--channels", 4, "--subbands", 2,
                       "--integrations", 6, "--calibrator", 20, "--no-beam", "--gains", "0.2,180", "--sefd", 300, "--json",
                       root=cls.pool)
        assert made.returncode == 0, made.stderr
        cls.ra, cls.dec, cls.flux = json.loads(next(iter(cls.pool.glob("in/truth*.json"))).read_text())["sources"][0][:3]
        cls.files = sorted(cls.pool.glob("in/*.hdf5"))
        converted = contimg("convert", *cls.files, "--out", cls.pool / "x.ms", root=cls.pool)
        assert converted.returncode == 0, converted.stderr
        (cls.pool / "sky.csv").write_text(f"ra_deg,dec_deg,flux_jy,alpha\n{cls.ra},{cls.dec},{cls.flux},0\n")
        solved = contimg("solve", cls.pool / "x.ms", "--out", cls.pool / "cal", "--kinds", "BP,G", "--catalog",
                         cls.pool / "sky.csv", "--minuv", 0, "--set", "telescope.beam=none", root=cls.pool)
        assert solved.returncode == 0, solved.stderr
        cls.tables = [cls.pool / "cal.bpcal", cls.pool / "cal.gpcal"]

    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-foreign-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.ms = self.copy("x.ms")

    def copy(self, name, of=None):
        shutil.rmtree(self.root / name, ignore_errors=True)
        shutil.copytree(of or self.pool / "x.ms", self.root / name)
        return self.root / name

    def run_well(self, *words):
        done = contimg(*words, root=self.root)
        self.assertEqual(done.returncode, 0, f"{words}: {done.stderr}")
        return done

    def apply(self, path, *more):
        return self.run_well("apply", path, "--tables", *self.tables, *more)

    def refused(self, status, *words, says=()):
        done = contimg(*words, root=self.root)
        errors = [line for line in done.stderr.splitlines() if line.startswith("contimg:")]
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")
        self.assertEqual(len(errors), 1, done.stderr)
        self.assertIn(str(self.root), errors[0])
        self.assertIsNone(LIBRARY_WORDS.search(errors[0]), errors[0])
        for word in says:
            self.assertIn(word, errors[0])
        self.assertEqual([name for name in os.listdir(self.root) if name.startswith(".")], [])
        return errors[0]

    def report(self, path, *more):
        return json.loads(self.run_well("flag", path, "--json", "--dry-run", *more).stdout)

    # --- flags of rows -------------------------------------------------------------------------------------------------
    def test_flag_row_counts_as_flag(self):
        by_flag = self.copy("by_flag.ms")
        with open_set(self.ms) as main, open_set(by_flag) as other:
            late = main.getcol("TIME") > np.median(main.getcol("TIME"))
            main.putcol("FLAG_ROW", main.getcol("FLAG_ROW") | late)
            flags = other.getcol("FLAG")
            flags[late] = True
            other.putcol("FLAG", flags)
        # Both readers: the set as contimg lays it out, and one that casacore copied.
        with table(str(self.ms), ack=False) as main:
            main.copy(str(self.root / "big.ms"), deep=True, valuecopy=True, endian="big").close()
        expected = self.report(by_flag)
        self.assertGreater(expected["fraction"], 0.4)
        for path in (self.ms, self.root / "big.ms"):
            got = self.report(path)
            self.assertEqual(got["fraction"], expected["fraction"], path)
            self.assertEqual(got["channels"], expected["channels"])
        inspected = json.loads(self.run_well("inspect", self.ms, "--validate", "--json").stdout)
        facts = inspected[0] if isinstance(inspected, list) else inspected
        self.assertAlmostEqual(facts["flagged_fraction"], late.mean(), places=6)
        # No command takes the flags back, and what one writes is all true in both columns.
        self.run_well("flag", self.ms)
        self.apply(self.ms)
        self.apply(self.ms, "--replace")
        self.assertTrue(column(self.ms, "FLAG_ROW")[late].all())
        self.assertTrue(column(self.ms, "FLAG")[late].all())
        self.assertFalse(column(self.ms, "FLAG_ROW")[~late].all())
        self.assertTrue((column(self.ms, "FLAG_ROW") <= column(self.ms, "FLAG").all(axis=(1, 2))).all())

    def test_flag_row_outlives_the_flags_of_an_apply(self):
        # Row flags that came between two applies: the second takes its own flags back and leaves those alone.
        self.apply(self.ms)
        with open_set(self.ms) as main:
            rows = main.getcol("TIME") == main.getcol("TIME")[0]
            main.putcol("FLAG_ROW", main.getcol("FLAG_ROW") | rows)
        self.apply(self.ms, "--replace")
        self.assertTrue(column(self.ms, "FLAG_ROW")[rows].all())
        self.assertTrue(column(self.ms, "FLAG")[rows].all())

    # --- rows turned round ---------------------------------------------------------------------------------------------
    def test_cross_hands_of_turned_rows(self):
        for circular in (False, True):
            with self.subTest(circular=circular):
                straight = self.copy(f"straight{circular}.ms")
                make_four_hands(straight, circular)
                turned = self.copy(f"turned{circular}.ms", straight)
                rows = np.flatnonzero((column(turned, "ANTENNA1") != column(turned, "ANTENNA2"))
                                      & (np.arange(len(column(turned, "ANTENNA1"))) % 3 != 0))
                swap_rows(turned, rows)
                for path in (straight, turned):
                    self.apply(path)
                    self.run_well("predict", path, "--catalog", self.pool / "sky.csv", "--set", "telescope.beam=none")
                raw = column(straight, "DATA")
                change = np.abs(column(straight, "CORRECTED_DATA") - raw)[~column(straight, "FLAG")].max()
                self.assertGreater(change, 1)  # the gains do something
                swap_rows(turned, rows)  # back again
                for name in ("CORRECTED_DATA", "MODEL_DATA", "WEIGHT_SPECTRUM", "WEIGHT", "FLAG", "UVW"):
                    np.testing.assert_array_equal(column(turned, name), column(straight, name), name)

    def test_turned_rows_with_one_cross_hand_are_refused(self):
        make_four_hands(self.ms, False)
        with open_set(self.ms) as main:
            for name in ("DATA", "FLAG", "WEIGHT_SPECTRUM", "WEIGHT", "SIGMA"):
                cells = main.getcol(name)[..., :2]
                kind = {"c": "complex", "b": "boolean", "f": "float"}[cells.dtype.kind]
                main.removecols([name])
                main.addcols(maketabdesc(makearrcoldesc(name, cells.flat[0].item(), ndim=cells.ndim - 1, valuetype=kind)))
                main.putcol(name, cells)
        with open_set(self.ms, "POLARIZATION") as setup:
            setup.putcell("NUM_CORR", 0, 2)
            setup.putcell("CORR_TYPE", 0, np.array([9, 10]))
            setup.putcell("CORR_PRODUCT", 0, np.array([[0, 0], [0, 1]]))
        self.report(self.ms)
        row = int(np.flatnonzero(column(self.ms, "ANTENNA1") != column(self.ms, "ANTENNA2"))[0])
        with open_set(self.ms) as main:
            first, second = main.getcell("ANTENNA1", row), main.getcell("ANTENNA2", row)
            main.putcell("ANTENNA1", row, second)
            main.putcell("ANTENNA2", row, first)
        self.refused(3, "flag", self.ms, says=(f"row {row}", "cross hands"))

    # --- which rows there are ------------------------------------------------------------------------------------------
    def select(self, keep, name):
        with table(str(self.ms), ack=False) as main:
            main.selectrows(np.flatnonzero(keep)).copy(str(self.root / name), deep=True).close()
        return self.root / name

    def test_absent_rows_are_not_flagged(self):
        first, second, times = (column(self.ms, c) for c in ("ANTENNA1", "ANTENNA2", "TIME"))
        antenna = np.unique(first)[3]
        # One antenna observed once in six integrations: 5/6 of its rows do not exist.
        keep = ~((times != times[0]) & ((first == antenna) | (second == antenna)))
        part = self.select(keep, "part.ms")
        whole, report = self.report(self.ms), self.report(part)
        self.assertEqual(whole["absent_samples"], 0)
        self.assertEqual(report["absent_samples"], int((~keep & (first != second)).sum()) * 4 * 2)
        self.assertEqual(report["dead_antennas"], [])
        self.assertLess(report["fraction"], 0.02)
        self.run_well("flag", part)
        self.apply(part)
        self.assertEqual(len(column(part, "FLAG")), keep.sum())
        with_all = self.copy("all.ms")
        self.apply(with_all)
        np.testing.assert_allclose(column(part, "CORRECTED_DATA")[:8], column(with_all, "CORRECTED_DATA")[keep][:8])

    def test_repeated_rows_are_refused(self):
        twice = self.select(np.ones(len(column(self.ms, "TIME")), bool), "twice.ms")
        n = len(column(twice, "TIME"))
        with open_set(twice) as main:
            main.addrows(1)
            for name in main.colnames():
                if main.iscelldefined(name, 7):
                    main.putcell(name, n, main.getcell(name, 7))
        for command in (("flag", twice), ("image", twice, "--out", self.root / "i"), ("apply", twice, "--tables", *self.tables)):
            self.refused(3, *command, says=("rows 7 and %d" % n, "delete one"))
        with open_set(twice) as main:
            main.putcell("SCAN_NUMBER", n, 9)
        self.refused(3, "flag", twice, says=("SCAN_NUMBER", "split the set"))

    def test_times_and_lengths(self):
        # Rows of other baselines half a second later are other times; nothing is mixed and nothing is flagged for it.
        with open_set(self.ms) as main:
            times, first = main.getcol("TIME"), main.getcol("ANTENNA1")
            late = first == np.unique(first)[2]
            times[late] += 0.5
            main.putcol("TIME", times)
        report = self.report(self.ms)
        self.assertEqual(report["dead_antennas"], [])
        self.assertLess(report["fraction"], 0.02)
        # Jitter far below a millisecond is no other time, wherever it falls.
        other = self.copy("jitter.ms")
        with open_set(other) as main:
            times = main.getcol("TIME")
            main.putcol("TIME", np.round(times, 3) + 5e-4 + 2e-5 * (np.arange(len(times)) % 3 - 1))
        self.assertEqual(self.report(other)["absent_samples"], 0)
        with open_set(other) as main:
            length, first = main.getcol("INTERVAL"), main.getcol("ANTENNA1")
            length[first == np.unique(first)[2]] *= 2
            main.putcol("INTERVAL", length)
        self.refused(3, "flag", other, says=("s long", "average them"))
        with open_set(other) as main:
            main.putcol("INTERVAL", 0 * main.getcol("INTERVAL"))
        self.report(other)  # EXPOSURE says it
        with open_set(other) as main:
            main.putcol("EXPOSURE", 0 * main.getcol("EXPOSURE"))
        self.refused(3, "flag", other, says=("INTERVAL",))

    def test_few_rows_over_many_times(self):
        # One baseline at each of 100 000 times: 55 baselines would fill 1.8 % of a tile.
        n = 100_000
        with open_set(self.ms) as main:
            pairs = np.unique(np.stack([main.getcol("ANTENNA1"), main.getcol("ANTENNA2")], 1), axis=0)
            more = n - main.nrows()
            main.addrows(more)
            main.putcol("ANTENNA1", np.resize(pairs[:, 0], n).astype(np.int32))
            main.putcol("ANTENNA2", np.resize(pairs[:, 1], n).astype(np.int32))
            main.putcol("TIME", main.getcell("TIME", 0) + 13.0 * np.arange(n))
            main.putcol("INTERVAL", np.full(n, 12.885))
            main.putcol("UVW", np.ones((n, 3)))
            main.putcol("DATA_DESC_ID", np.arange(n, dtype=np.int32) * 2 // n)  # row by row casacore takes a minute
            for name in ("FIELD_ID", "FEED1", "FEED2"):
                main.putcol(name, np.zeros(n, np.int32))
        self.refused(3, "flag", self.ms, says=("100000 rows", "split the set by time"))

    def test_feeds_are_not_mixed(self):
        with open_set(self.ms) as main:
            feed = main.getcol("FEED2")
            feed[-1] = 1
            main.putcol("FEED2", feed)
        self.refused(3, "flag", self.ms, says=("FEED2 0 and 1",))

    # --- tables that are views, and links -------------------------------------------------------------------------------
    def change(self, path, name, change, subtable=""):
        with open_set(path, subtable) as main:
            main.putcol(name, change(main.getcol(name)))

    def commands(self, path):
        return (("flag", path), ("apply", path, "--tables", *self.tables),
                ("predict", path, "--catalog", self.pool / "sky.csv", "--set", "telescope.beam=none"))

    def test_selections_and_concatenations_are_read_and_not_changed(self):
        part, both = self.root / "part.ms", self.root / "both.ms"
        late = column(self.ms, "TIME") > np.median(column(self.ms, "TIME"))
        deep = self.select(late, "deep.ms")
        rest = self.select(~late, "rest.ms")
        with table(str(self.ms), ack=False) as main:
            main.selectrows(np.flatnonzero(late)).copy(str(part), deep=False).close()
        table([str(rest), str(deep)], ack=False).rename(str(both))
        for path, like in ((part, deep), (both, self.ms)):
            found, expected = ({k: v for k, v in self.report(p).items() if k != "seconds"} for p in (path, like))
            self.assertEqual(found, expected)
            self.run_well("inspect", path, "--validate")
        before = {f: f.read_bytes() for f in self.ms.rglob("*") if f.is_file() and f.name != "table.lock"}
        for path, what in ((part, "selection of the rows of"), (both, "concatenation of 2 tables")):
            for words in self.commands(path):
                self.refused(3, *words, says=(what, "copy it deep"))
            self.refused(3, "image", path, "--out", self.root / "i", "--beam", "none", "--predict", says=(what,))
        for file, content in before.items():
            self.assertEqual(file.read_bytes(), content, file)

    def test_links_stay_links(self):
        (self.root / "deep").mkdir()
        real = self.root / "deep" / "real.ms"
        self.ms.rename(real)
        link = self.root / "link.ms"
        for target in ("deep/real.ms", str(real)):
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            for words in self.commands(link):
                self.run_well(*words, *(["--replace"] if target == str(real) and words[0] != "flag" else []))
                self.assertTrue(link.is_symlink(), words)
                self.assertIn(f"contimg {words[0]}", column(real / "HISTORY", "ORIGIN"))
        self.assertEqual(sorted(os.listdir(self.root / "deep")), ["real.ms"])
        self.assertIn("CORRECTED_DATA", table(str(real), ack=False).colnames())

    # --- what is said of the data and does not agree -----------------------------------------------------------------
    def test_zeros_of_corrected_data(self):
        self.apply(self.ms)
        expected = column(self.ms, "FLAG")
        rows = np.arange(len(expected)) % 5 == 0
        self.change(self.ms, "CORRECTED_DATA", lambda d: d * ~rows[:, None, None])
        report = self.run_well("flag", self.ms, "--dry-run", "--json", "--column", "CORRECTED_DATA")
        cross = column(self.ms, "ANTENNA1") != column(self.ms, "ANTENNA2")
        self.assertIn("CORRECTED_DATA are exactly 0", report.stderr)
        lost = int((rows[:, None, None] & ~expected).sum())
        self.assertIn(f"{lost} samples", report.stderr)
        self.assertGreater((rows & cross).sum(), 0)

    def test_widths_of_channels(self):
        widths = column(self.ms / "SPECTRAL_WINDOW", "CHAN_WIDTH")
        for factor, status in ((-1, 0), (2, 0), (1, 0), (3, 3), (100, 3), (-100, 3)):
            with self.subTest(factor=factor):
                self.change(self.ms, "CHAN_WIDTH", lambda d: widths * factor, "SPECTRAL_WINDOW")
                if status:
                    self.refused(3, "flag", self.ms, says=("CHAN_WIDTH", "CHAN_FREQ"))
                    self.refused(3, "image", self.ms, "--out", self.root / "i", says=("CHAN_WIDTH",))
                else:
                    said = self.run_well("flag", self.ms, "--dry-run").stderr
                    self.assertEqual("overlap" in said, factor == 2, said)

    def test_uvw_that_do_not_belong_to_the_antennas(self):
        uvw = column(self.ms, "UVW")
        wrong = {"other sign": -uvw, "0.001 times as long": uvw / 1000, "3.28 times as long": uvw * 3.28084,
                 "point elsewhere": uvw[:, [1, 0, 2]], "UVW": 0 * uvw}
        for says, values in wrong.items():
            with self.subTest(says=says):
                self.change(self.ms, "UVW", lambda _: values)
                for words in (("flag", self.ms), ("image", self.ms, "--out", self.root / "i")):
                    self.refused(3, *words, says=(says, "UVW", "row"))
        # An antenna that does not exist is the fault, not that its row has no UVW.
        self.change(self.ms, "UVW", lambda _: uvw)
        first = column(self.ms, "ANTENNA1")
        self.change(self.ms, "ANTENNA1", lambda a: np.where(np.arange(len(a)) == 0, 200, a))
        self.refused(3, "flag", self.ms, says=("antennas 200",))
        self.change(self.ms, "ANTENNA1", lambda _: first)
        # Frames that writers choose: an old equinox, no UT1, the start of an integration.
        for angle in (0.01, -0.05):
            turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
            self.change(self.ms, "UVW", lambda _: uvw @ turn)
            self.report(self.ms)
        # A few rows are enough; where POSITION says nothing of the Earth, nothing is compared.
        few = uvw.copy()
        few[column(self.ms, "TIME") == column(self.ms, "TIME")[-1]] *= -1
        self.change(self.ms, "UVW", lambda _: few)
        self.refused(3, "flag", self.ms, says=("other sign", f"row {np.flatnonzero((few != uvw).any(axis=1))[0]}"))
        self.change(self.ms, "POSITION", lambda p: p - p.mean(axis=0), "ANTENNA")
        self.report(self.ms)

    def test_flagged_rows_without_time_or_uvw(self):
        expected = self.copy("expected.ms")
        rows = np.flatnonzero(column(self.ms, "ANTENNA1") != column(self.ms, "ANTENNA2"))[20:40]
        for path in (self.ms, expected):
            self.change(path, "FLAG", lambda f: f | np.isin(np.arange(len(f)), rows)[:, None, None])
        for name, value in (("UVW", np.nan), ("UVW", 0), ("TIME", 0), ("TIME", np.nan)):
            with self.subTest(column=name, value=value):
                path = self.copy("bad.ms", self.ms)
                with open_set(path) as main:
                    cells = main.getcol(name)
                    cells[rows] = value
                    main.putcol(name, cells)
                self.assertEqual(self.report(path)["dead_antennas"], self.report(expected)["dead_antennas"])
                for ms, out in ((path, "i"), (expected, "j")):
                    self.run_well("image", ms, "--out", self.root / out, "--beam", "none", "--dirty-only", "--overwrite")
                images = [next(self.root.glob(f"{out}.dirty.fits*")).read_bytes() for out in "ij"]
                self.assertEqual(images[0][-2880 * 20:], images[1][-2880 * 20:])
                self.apply(path)
                self.assertTrue(column(path, "FLAG")[rows].all())
                with open_set(path) as main:
                    flags = main.getcol("FLAG")
                    flags[rows[3]] = False
                    main.putcol("FLAG", flags)
                    main.putcol("FLAG_ROW", main.getcol("FLAG_ROW") & ~np.isin(np.arange(len(flags)), rows))
                self.refused(3, "flag", path, says=(name, f"row {rows[3]}", "flag the row"))
                shutil.rmtree(path)

    def test_units_of_data(self):
        for keyword, value, status in (("UNIT", "Jy", 0), ("UNIT", "", 0), ("QuantumUnits", ["Jy"], 0), ("UNIT", "mJy", 3),
                                       ("QuantumUnits", ["K"], 3)):
            with self.subTest(keyword=keyword, value=value):
                path = self.copy("unit.ms", self.ms)
                with open_set(path) as main:
                    main.putcolkeyword("DATA", keyword, value)
                if not status:
                    self.run_well("flag", path)
                    continue
                for words in (*self.commands(path), ("image", path, "--out", self.root / "i")):
                    self.refused(status, *words, says=("DATA", value if isinstance(value, str) else value[0], "Jy"))

    def test_intervals_longer_than_the_time_between_rows(self):
        for factor, status in ((1, 0), (1.2, 0), (0.1, 0), (2, 3), (20, 3)):
            with self.subTest(factor=factor):
                path = self.copy("interval.ms", self.ms)
                for name in ("INTERVAL", "EXPOSURE"):
                    self.change(path, name, lambda d: d * factor)
                if status:
                    self.refused(3, "image", path, "--out", self.root / "i", says=("INTERVAL", "TIME"))
                else:
                    self.report(path)

    def test_record_of_our_own_sets(self):
        for field, value in (("app_dec_rad", np.nan), ("app_dec_rad", 2.0), ("app_dec_rad", "north"), ("latitude_rad", np.inf),
                             ("longitude_rad", None), ("pointing", "sideways"), ("pointing", 5)):
            with self.subTest(field=field, value=value):
                path = self.copy("record.ms", self.ms)
                with open_set(path) as main:
                    record = main.getkeyword("CONTIMG")
                    record.pop(field, None)
                    if value is not None:
                        record[field] = value
                    main.removekeyword("CONTIMG")
                    main.putkeyword("CONTIMG", record)
                for words in (("flag", path), ("image", path, "--out", self.root / "i")):
                    self.refused(3, *words, says=("CONTIMG", field))
        path = self.copy("record.ms", self.ms)
        with open_set(path) as main:
            main.putkeyword("CONTIMG", dict(main.getkeyword("CONTIMG"), pointing="tracking"))
        self.refused(3, "flag", path, says=("pointing_ra_rad", "no such field"))
        with open_set(path) as main:
            main.putkeyword("CONTIMG", {"x": 1})
        self.report(path)  # another program's

    def test_weights_beyond_all_others(self):
        reference = self.copy("reference.ms")
        rows = np.arange(len(column(self.ms, "TIME"))) % 31 == 0
        self.change(self.ms, "WEIGHT_SPECTRUM", lambda w: np.where(rows[:, None, None], np.float32(1e30), w))
        self.change(reference, "WEIGHT_SPECTRUM", lambda w: np.where(rows[:, None, None], np.float32(0), w))
        for path, name in ((self.ms, "i"), (reference, "j")):
            said = self.run_well("image", path, "--out", self.root / name, "--beam", "none", "--dirty-only").stderr
            self.assertEqual("times the median weight: not used" in said, name == "i", said)
        images = [next(self.root.glob(f"{name}.dirty.fits*")).read_bytes() for name in "ij"]
        self.assertEqual(images[0][-2880 * 20:], images[1][-2880 * 20:])

    # --- names of outputs ----------------------------------------------------------------------------------------------
    def test_names_are_looked_at_before_the_work(self):
        self.run_well("convert", *self.files, "--out", f"{self.root}/q.ms/")
        self.run_well("inspect", self.root / "q.ms")
        for out, says in (("", "empty word"), (f"{self.root}/q.ms/", "exists already"), ("/", "name of"),
                          (f"{self.root}/..", "name of")):
            done = contimg("convert", *self.files, "--out", out, root=self.root)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(says, done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)  # no word of any work
        self.run_well("image", self.ms, "--out", self.root / "i", "--beam", "none", "--dirty-only")
        shutil.rmtree(self.ms / "SPECTRAL_WINDOW")  # which reading would find
        self.refused(2, "image", self.ms, "--out", self.root / "i", says=("exists already",))
        self.refused(3, "image", self.ms, "--out", self.root / "new" / "i", says=("SPECTRAL_WINDOW",))
        self.assertFalse((self.root / "new").exists())

    # --- weights -------------------------------------------------------------------------------------------------------
    def test_weights_that_are_none(self):
        rows = np.arange(len(column(self.ms, "TIME")))
        reference = self.copy("reference.ms")
        with open_set(self.ms) as main, open_set(reference) as other:
            weights, flags = main.getcol("WEIGHT_SPECTRUM"), other.getcol("FLAG")
            for k, value in enumerate((np.nan, -1, np.inf, 0)):
                weights[rows % 8 == k] = value
                flags[rows % 8 == k] = True
            main.putcol("WEIGHT_SPECTRUM", weights)
            other.putcol("FLAG", flags)
        for path, name in ((self.ms, "i"), (reference, "j")):
            self.run_well("image", path, "--out", self.root / name, "--beam", "none", "--dirty-only")
        images = [next(self.root.glob(f"{name}.dirty.fits*")).read_bytes() for name in "ij"]
        self.assertEqual(images[0][-2880 * 20:], images[1][-2880 * 20:])

    # --- tables that are not there, or damaged -------------------------------------------------------------------------
    def drop(self, path, name):
        with open_set(path) as main:
            main.removekeyword(name)
        shutil.rmtree(path / name)

    def test_subtables_that_are_not_needed(self):
        expected = self.report(self.ms)
        for how in ("keyword and folder", "folder", "rows"):
            with self.subTest(how=how):
                path = self.copy(f"{how}.ms")
                for name in ("PROCESSOR", "STATE", "FLAG_CMD", "HISTORY", "FEED", "POINTING", "SOURCE", "OBSERVATION"):
                    if how == "keyword and folder":
                        self.drop(path, name)
                    elif how == "folder":
                        shutil.rmtree(path / name)
                    else:
                        with table(str(path / name), ack=False) as subtable:
                            subtable.query("rowid() < 0").copy(str(path / "empty"), deep=True).close()
                        shutil.rmtree(path / name)
                        (path / "empty").rename(path / name)
                report = self.report(path)
                self.assertEqual(report["fraction"], expected["fraction"])
                self.run_well("inspect", path, "--validate")
                self.run_well("flag", path)
                self.apply(path)
                self.assertIn("contimg apply", column(path / "HISTORY", "ORIGIN"))
                self.run_well("image", path, "--out", self.root / how.split()[0], "--beam", "none", "--dirty-only")

    def test_columns_that_are_not_needed(self):
        few = self.root / "few.ms"
        with table(str(self.ms), ack=False) as main:
            main.select("TIME,INTERVAL,ANTENNA1,ANTENNA2,DATA_DESC_ID,FIELD_ID,UVW,FLAG,DATA,WEIGHT_SPECTRUM").copy(
                str(few), deep=True).close()
        self.run_well("flag", few)
        self.apply(few)
        self.assertNotIn("FLAG_ROW", open_set(few).colnames())

    def test_what_is_needed_is_named(self):
        for name in ("ANTENNA", "FIELD", "SPECTRAL_WINDOW", "DATA_DESCRIPTION", "POLARIZATION"):
            for keep_keyword in (False, True):
                with self.subTest(subtable=name, keep_keyword=keep_keyword):
                    path = self.copy(f"{name}{keep_keyword}.ms")
                    shutil.rmtree(path / name) if keep_keyword else self.drop(path, name)
                    self.refused(3, "flag", path, says=(name, "subtable"))
                    shutil.rmtree(path)
        for name in ("TIME", "UVW", "FLAG", "DATA", "ANTENNA1", "DATA_DESC_ID", "FIELD_ID"):
            with self.subTest(column=name):
                path = self.root / f"{name}.ms"
                with table(str(self.ms), ack=False) as main:
                    main.select(",".join(c for c in main.colnames() if c != name)).copy(str(path), deep=True).close()
                self.refused(3, "flag", path, says=(name,))
                shutil.rmtree(path)

    def test_columns_of_another_kind(self):
        for name, value, ndim, kind, cells in (("FLAG", 0, 2, "int", None), ("DATA", 0j, 2, "dcomplex", None),
                                               ("UVW", 0.0, 1, "float", None), ("DATA", 0j, 2, "complex", (3, 2)),
                                               ("FLAG", True, 2, "boolean", (4, 1)), ("DATA", 0j, 2, "complex", "empty")):
            with self.subTest(column=name, kind=kind, cells=cells):
                path = self.copy("kind.ms")
                with open_set(path) as main:
                    values = main.getcol(name)
                    main.removecols([name])
                    main.addcols(maketabdesc(makearrcoldesc(name, value, ndim=ndim, valuetype=kind)))
                    if cells is None:
                        main.putcol(name, values.astype({"int": np.int32, "float": np.float32, "dcomplex": complex}[kind]))
                    elif cells != "empty":
                        main.putcol(name, values[:, :cells[0], :cells[1]])
                self.refused(3, "flag", path, says=(name, "expected", "found"))
                shutil.rmtree(path)

    def test_damaged_files(self):
        with table(str(self.ms), ack=False) as main:
            main.copy(str(self.root / "big.ms"), deep=True, valuecopy=True, endian="big").close()
        for source in (self.pool / "x.ms", self.root / "big.ms"):
            for file in sorted(source.rglob("table.*")):
                in_main = file.parent == source
                if file.name in ("table.info", "table.lock") or (not in_main and source.name != "x.ms"):
                    continue
                if file.parent.name in ("SOURCE", "FEED", "STATE", "FLAG_CMD", "POINTING"):
                    continue
                for size in (0, file.stat().st_size // 2) if in_main and source.name == "x.ms" else (file.stat().st_size // 2,):
                    with self.subTest(file=file.relative_to(source), size=size, source=source.name):
                        path = self.copy("damaged.ms", source)
                        target = path / file.relative_to(source)
                        with open(target, "r+b") as cut:
                            cut.truncate(size)
                        done = contimg("flag", path, root=self.root)
                        self.assertIn(done.returncode, (0, 1, 3), f"{done.returncode} {done.stderr}")
                        if done.returncode:
                            errors = [line for line in done.stderr.splitlines() if line.startswith("contimg:")]
                            self.assertEqual(len(errors), 1, done.stderr)
                            self.assertIsNone(LIBRARY_WORDS.search(errors[0]), errors[0])
                        shutil.rmtree(path)

    # --- two programs --------------------------------------------------------------------------------------------------
    def start(self, *words):
        environment = dict(os.environ, CONTIMG_STAGING_DIR=str(self.root / "staging"), CONTIMG_STATE_DIR=str(self.root / "state"),
                           CONTIMG_SCRATCH_DIR=str(self.root))
        child = subprocess.Popen([str(BIN / "contimg"), "--log-level", "info", *map(str, words)], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True, env=environment)
        self.addCleanup(child.stdout.close)
        self.addCleanup(child.stderr.close)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        return child

    def test_two_commands_both_have_their_effect(self):
        with open_set(self.ms) as main:  # something to flag
            data = main.getcol("DATA")
            data[::17] = 0
            main.putcol("DATA", data)
        alone = self.copy("alone.ms")
        self.run_well("flag", alone)
        self.apply(alone)
        flags = column(alone, "FLAG")
        self.assertGreater(flags.mean(), column(self.ms, "FLAG").mean())
        for attempt in range(2):
            path = self.copy(f"two{attempt}.ms")
            children = [self.start("flag", path), self.start("apply", path, "--tables", *self.tables),
                        self.start("predict", path, "--catalog", self.pool / "sky.csv", "--set", "telescope.beam=none")]
            for child in children:
                out, err = child.communicate()
                self.assertEqual(child.returncode, 0, out + err)
            with table(str(path), ack=False) as main:
                self.assertIn("CORRECTED_DATA", main.colnames())
                self.assertIn("MODEL_DATA", main.colnames())
                np.testing.assert_array_equal(main.getcol("FLAG"), flags)
            origins = column(path / "HISTORY", "ORIGIN")
            for command in ("flag", "apply", "predict"):
                self.assertIn(f"contimg {command}", origins)

    def test_the_second_waits_and_names_the_holder(self):
        folder = os.open(self.ms, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        fcntl.flock(folder, fcntl.LOCK_EX)
        child = self.start("flag", self.ms)
        line = child.stderr.readline()
        self.assertIn(f"is being changed by process {os.getpid()} (", line)
        self.assertIsNone(child.poll())
        fcntl.flock(folder, fcntl.LOCK_UN)
        self.assertEqual(child.wait(), 0)
        # A holder that is killed holds nothing.
        holder = subprocess.Popen(["flock", "-x", str(self.ms), "sleep", "600"], start_new_session=True)
        while contimg("flag", self.ms, "--dry-run", root=self.root).returncode == 0:
            probe = os.open(self.ms, os.O_RDONLY)
            try:
                fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                break
            finally:
                os.close(probe)
        os.killpg(holder.pid, signal.SIGKILL)
        holder.wait()
        self.run_well("flag", self.ms)

    def test_a_set_that_casacore_has_locked_is_refused(self):
        script = ("import sys; from casacore.tables import table; t = table(sys.argv[1], readonly=False, ack=False, "
                  "lockoptions='user'); t.lock(); print('locked', flush=True); sys.stdin.readline(); f = t.getcol('FLAG'); "
                  "f[:] = True; t.putcol('FLAG', f); t.unlock(); t.close()")
        other = subprocess.Popen([sys.executable, "-c", script, str(self.ms)], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.addCleanup(other.stdout.close)
        self.assertEqual(other.stdout.readline(), "locked\n")
        self.refused(1, "flag", self.ms, says=("locked for writing", str(other.pid)))
        other.communicate("\n")
        self.assertTrue(column(self.ms, "FLAG").all())
        self.run_well("flag", self.ms)

    # --- full disks ----------------------------------------------------------------------------------------------------
    def test_full_disks(self):
        small = self.root / "small"
        small.mkdir()
        size = sum(f.stat().st_size for f in self.ms.rglob("*") if f.is_file())
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(1.2 * size)}", "tmpfs", small], capture_output=True)
        if mounted.returncode:
            self.skipTest("cannot mount: " + mounted.stderr.decode())
        self.addCleanup(subprocess.run, ["umount", small])
        path = small / "x.ms"
        shutil.copytree(self.ms, path)
        before = {f: f.read_bytes() for f in path.rglob("*") if f.is_file() and f.name != "table.lock"}
        with open(small / "filler", "wb") as filler:
            filler.write(b"x" * (os.statvfs(small).f_bavail * os.statvfs(small).f_frsize - 65536))
        names = sorted(os.listdir(small))
        commands = (("flag", path), ("apply", path, "--tables", *self.tables),
                    ("predict", path, "--catalog", self.pool / "sky.csv", "--set", "telescope.beam=none"),
                    ("image", path, "--out", small / "i", "--beam", "none", "--size", "512"),
                    ("convert", *self.files, "--out", small / "y.ms"), ("convert", *self.files, "--out", small / "y.ms"),
                    ("solve", path, "--out", small / "cal", "--catalog", self.pool / "sky.csv", "--minuv", 0, "--set",
                     "telescope.beam=none"),
                    ("simulate", "--out", small / "in", "--antennas", 10, "--channels", 4, "--subbands", 2, "--quiet"))
        for words in commands:
            with self.subTest(command=words[0]):
                done = contimg(*words, root=self.root)
                errors = [line for line in done.stderr.splitlines() if line.startswith("contimg")]
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(len(errors), 1, done.stderr)
                self.assertIn("no space left on the disk", errors[0])
                self.assertIn(str(small), errors[0])
                self.assertRegex(errors[0], r"\d B|iB")
                self.assertIsNone(LIBRARY_WORDS.search(errors[0]), errors[0])
                for file, content in before.items():
                    self.assertEqual(file.read_bytes(), content, file)
                self.assertEqual([n for n in sorted(os.listdir(small)) if n != "in"], names)


if __name__ == "__main__":
    unittest.main()
