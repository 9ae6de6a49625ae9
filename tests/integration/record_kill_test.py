#!/usr/bin/python3
"""Kills, and cuts the power of, whoever writes light curves at its writes to master_sources.sqlite3: what was recorded is
there whole or not at all, and complete after the next start, once.

    CONTIMG_BIN_DIR=build/release/bin CONTIMG_FAULTY_CALLS=build/release/tests/libfaulty_calls.so \\
        /usr/bin/python3 tests/integration/record_kill_test.py [-v]
"""
import csv
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

import faulty_calls
from daemon_under_test import BIN, DaemonUnderTest, simulate, wait_for

COLUMNS = "source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,flags"
SIDEREAL_DAY = 0.9972695663
CHANCE = {"uuid", "recorded_at", "made_at", "created_on", "updated_at", "imported_at", "place_version"}  # differ from run to run
KINDS = ["write", "sync"]
POINTS = 10  # of death, spread over a run

if not faulty_calls.library():
    print("needs the library of faulty calls (CONTIMG_FAULTY_CALLS)")
    sys.exit(77)


def contents(database):
    """All rows of all tables but for chance; whoever reads finds a sound database."""
    with sqlite3.connect(database) as opened:
        problems = opened.execute("PRAGMA integrity_check").fetchall() + opened.execute(
            "PRAGMA foreign_key_check").fetchall()
        if problems != [("ok",)]:
            raise AssertionError(problems)
        tables = {}
        for (name,) in opened.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%' "
                                      "AND name NOT LIKE 'sqlite_%' ORDER BY name").fetchall():
            kept = [f'"{column[1]}"' for column in opened.execute(f"PRAGMA table_info({name})") if column[1] not in CHANCE]
            tables[name] = sorted(opened.execute(f"SELECT {', '.join(kept)} FROM {name}").fetchall(), key=repr)
    opened.close()
    return tables


def points(calls):
    return sorted({1, 2, calls, *(round(1 + k * (calls - 1) / (POINTS - 3)) for k in range(POINTS - 2))})


class CommandsKilled(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-record-kill-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.state, self.kept = self.root / "state", self.root / "kept"
        self.state.mkdir()
        self.file = self.state / "master_sources.sqlite3"
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("CONTIMG_")}
        self.environment.update(CONTIMG_STATE_DIR=str(self.state), CONTIMG_SCRATCH_DIR=str(self.root))
        self.faults = faulty_calls.FaultyCalls(self.root / "faults", [self.file, f"{self.file}-wal"], program="contimg")

    def command(self, *words, status=0, **more):
        done = subprocess.run([BIN / "contimg", "lightcurve", *map(str, words)], env={**self.environment, **more},
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, status, f"{words}: {done.stdout}{done.stderr}")

    # Constant sources, more than tell a tile its flux scale; tiles that are off by some percent.
    def table(self, name, days, sources=14, factor=1.0):
        path = self.root / name
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS.split(","))
            for day in range(days):
                for tile in range(2):
                    mjd = 61065.25 + day * SIDEREAL_DAY + tile * 309 / 86400
                    off = 1 + 0.02 * ((day * 7 + tile * 3) % 5 - 2)
                    for number in range(sources):
                        flux = (0.3 + 0.05 * number) * off * factor
                        writer.writerow((number, f"s{number}", (359.6 + 0.06 * number) % 360, 16 + 0.01 * number,
                                         f"{mjd:.9f}", f"tile{day}{tile}", flux, 0.0005, 0.0003, 0.8, 1, 1.4e9, 0))
        return path

    def check(self, *words, in_steps=False):
        """Of a command: `in_steps`, when it is several transactions that begin again together."""
        shutil.copytree(self.state, self.kept)
        before = contents(self.file)
        budget = 1 << 40
        self.faults.die_before(KINDS, budget)
        self.command(*words, **self.faults.environment)
        calls = budget - self.faults.calls_left()
        self.faults.end()
        after = contents(self.file)
        self.assertNotEqual(before, after)
        self.assertGreater(calls, 5)
        seen = set()
        for power_cut in (False, True):
            for point in points(calls):
                with self.subTest(words=words, power_cut=power_cut, point=point, calls=calls):
                    shutil.rmtree(self.state)
                    shutil.copytree(self.kept, self.state)
                    self.faults.die_before(KINDS, point, power_cut)
                    self.command(*words, status=-signal.SIGKILL, **self.faults.environment)
                    self.faults.end()
                    if power_cut:
                        self.file.with_name(self.file.name + "-shm").unlink(missing_ok=True)
                    found = contents(self.file)
                    if not in_steps:
                        self.assertIn(found, (before, after))
                    self.assertEqual(found["measurements"],
                                     (after if found == after else before)["measurements"])
                    seen.add(found == after)
                    self.command(*words)
                    self.same(contents(self.file), after)
        self.assertIn(False, seen)

    def same(self, found, expected):
        """But for the numbers of versions, which count what was begun, and rounding: places are refined from where they
        are."""
        def rounded(rows):
            return [[float(f"{value:.11g}") if isinstance(value, float) else value for value in row] for row in rows]
        for name, rows in expected.items():
            if "version" not in name:
                self.assertEqual(rounded(found[name]), rounded(rows), name)

    def test_record(self):
        self.command("record", self.table("a.csv", 3))
        self.check("record", self.table("b.csv", 6, factor=1.1))

    def test_the_first_record(self):
        self.command("record", self.table("a.csv", 1, sources=1))
        with sqlite3.connect(self.file) as opened:  # nothing but the schema
            opened.execute("PRAGMA foreign_keys = ON")
            for name in ("sources", "missions"):
                opened.execute(f"DELETE FROM {name}")
        opened.close()
        self.check("record", self.table("b.csv", 2))

    def test_forget(self):
        self.command("record", self.table("a.csv", 3))
        self.check_once_only("forget", "tile10")

    def check_once_only(self, *words):
        shutil.copytree(self.state, self.kept)
        before = contents(self.file)
        self.command(*words)
        after = contents(self.file)
        for power_cut in (False, True):
            for point in range(1, 40, 3):
                shutil.rmtree(self.state)
                shutil.copytree(self.kept, self.state)
                self.faults.die_before(KINDS, point, power_cut)
                done = subprocess.run([BIN / "contimg", "lightcurve", *words], capture_output=True, check=False,
                                      env={**self.environment, **self.faults.environment})
                self.faults.end()
                self.assertIn(done.returncode, (0, -signal.SIGKILL))
                if power_cut:
                    self.file.with_name(self.file.name + "-shm").unlink(missing_ok=True)
                self.assertIn(contents(self.file), (before, after))

    def test_normalise(self):
        self.command("record", self.table("a.csv", 6))
        self.check("normalise", in_steps=True)

    def test_refine(self):
        self.command("record", self.table("a.csv", 4))
        with sqlite3.connect(self.file) as opened:
            opened.execute("INSERT INTO detections SELECT m.observation_id, m.source_id, m.source_id, s.ra_deg + 0.0003, "
                           "s.dec_deg + 0.0002, 0.5, 0.5, m.flux_jy, m.flux_error_jy, 500, m.local_rms_jy, m.response, 0, 0 "
                           "FROM measurements m JOIN sources s ON s.id = m.source_id")
        opened.close()
        self.check("refine")


class RecorderKilled(DaemonUnderTest, unittest.TestCase):
    """The daemon, while it puts a tile on record."""

    def setUp(self):
        self.begin("record-kill", CONTIMG_INGEST_STABLE_S="0.2", CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="6",
                   CONTIMG_IMAGE_MAX_ITERATIONS="100", CONTIMG_IMAGE_MIN_UV_LAMBDA="0",
                   CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        self.addCleanup(self.end)
        self.file = self.root / "state/master_sources.sqlite3"

    def stop(self, daemon):
        daemon.terminate()
        self.assertEqual(daemon.wait(60), 0, self.log())

    def recorded(self):
        opened = sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)
        try:
            return opened.execute("SELECT count(*) FROM recorded_photometry").fetchone()[0]
        finally:
            opened.close()

    def test_killed_at_its_writes(self):
        pool = self.root / "tiles"
        stamp, = simulate(pool, "--transit", "210,16.1", "--source", "210,16.1,40,-0.7", "--tiles", 1, "--antennas", 16,
                          "--integrations", 6, "--channels", 8)
        catalogue = self.root / "catalogue.csv"
        catalogue.write_text("name,ra_deg,dec_deg,flux_jy,alpha\nsource,210,16.1,40,-0.7\n")
        subprocess.run([BIN / "contimg", "catalog", "import", "csv", catalogue, "--name", "nvss"], env=self.environment,
                       check=True, stdout=subprocess.DEVNULL)
        blank = self.root / "blank"
        shutil.copy(self.file, blank)
        daemon = self.start()
        for path in pool.glob("*.hdf5"):
            shutil.copy(path, self.incoming / path.name)
        self.becomes(stamp, "done")
        wait_for(lambda: self.recorded() == 1, what=lambda: f"the tile is on record\n{self.log()}")
        self.stop(daemon)
        whole = contents(self.file)
        for name in ("measurements", "observations_drift", "fits_frames", "quality_flag_arrays", "instruments"):
            self.assertTrue(whole[name], name)

        faults = faulty_calls.FaultyCalls(self.root / "faults", [self.file, f"{self.file}-wal"])

        def begin_anew():
            for path in self.file.parent.glob("master_sources.sqlite3*"):
                path.unlink()
            shutil.copy(blank, self.file)
            return contents(self.file)

        before = begin_anew()
        budget = 1 << 40
        faults.die_before(KINDS, budget)
        daemon = self.start(**faults.environment)
        wait_for(lambda: self.recorded() == 1, what=lambda: f"the tile is on record again\n{self.log()}")
        calls = budget - faults.calls_left()
        self.stop(daemon)
        faults.end()
        self.assertEqual(contents(self.file), whole)
        killed = 0
        for power_cut in (False, True):
            for point in points(calls)[::2]:
                begin_anew()
                faults.die_before(KINDS, point, power_cut)
                daemon = self.start(wait=False, **faults.environment)
                end = time.monotonic() + 60
                while daemon.poll() is None and time.monotonic() < end and not (
                        faults.calls_left() > 0 and self.recorded() == 1):
                    time.sleep(0.02)
                killed += daemon.poll() == -signal.SIGKILL
                daemon.kill()
                daemon.wait()
                faults.end()
                if power_cut:
                    self.file.with_name(self.file.name + "-shm").unlink(missing_ok=True)
                self.assertIn(contents(self.file), (before, whole), f"point {point} of {calls}")
                daemon = self.start()
                wait_for(lambda: self.recorded() == 1, what=lambda: f"the tile is on record after all\n{self.log()}")
                self.stop(daemon)
                self.assertEqual(contents(self.file), whole, f"point {point} of {calls}")
        self.assertGreater(killed, 8)


if __name__ == "__main__":
    unittest.main()
