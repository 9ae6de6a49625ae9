#!/usr/bin/python3
"""Mosaics in the service: images of tiles on record become a mosaic when their window has passed, once; late tiles make the next
version, days are co-added; killed at any time it is made to the same bits; the record comes back from the files.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/service_mosaics_test.py [-v]
    … service_mosaics_test.py --kills 50        the same with so many kills
"""
import datetime
import hashlib
import json
import pathlib
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import unittest

from astropy.io import fits

from daemon_under_test import BIN, DaemonUnderTest, wait_for
from mosaic_test import make_tile, sky

TILE_S, DEC, DAY_S = 309.2376, 54.0, 86164.0905
FIRST = datetime.datetime(2025, 10, 13, 12, 0, 0)
KINDS = ["mosaic", "mosaic.photometry", "mosaic.qa_metrics", "mosaic.qa_picture", "mosaic.residual", "mosaic.sources", "rms", "tiles", "weight"]
KILLS = 8


def mjd(time):
    return (time - datetime.datetime(1858, 11, 17)).total_seconds() / 86400


class ServiceMosaicsTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Six tiles one after the other, and the same six a sidereal day later, the fourth of these spoiled."""
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-mosaics-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        sources = sky(DEC)
        cls.days = [[], []]
        for day in range(2):
            for i in range(6):
                start = FIRST + datetime.timedelta(seconds=round(day * DAY_S + i * TILE_S))
                stamp = start.isoformat()
                make_tile(cls.pool / stamp, 0.25 * (i - 2.5), DEC, sources, 6 * day + i, 0.69 if (day, i) == (1, 3) else 1,
                          **{"MJD-BEG": mjd(start), "MJD-END": mjd(start) + (TILE_S - 12.9) / 86400})
                cls.days[day].append(stamp)

    def setUp(self):
        self.begin("mosaics", CONTIMG_MOSAIC_ENABLED="true", CONTIMG_MOSAIC_TILES="3", CONTIMG_MOSAIC_OVERLAP="0",
                   CONTIMG_PHOTOMETRY_ENABLED="false", CONTIMG_CONVERT_DURABLE="false", CONTIMG_BACKUP_EVERY_H="0",
                   CONTIMG_INTEGRITY_EVERY_H="0")
        self.addCleanup(self.end)

    # --- tools -----------------------------------------------------------------------------------------------------
    def put(self, stamps):
        """Their images into the tree, and on record: as if they had been made here."""
        for stamp in stamps:
            folder = self.root / f"scratch/images/single/{stamp[:10]}"
            folder.mkdir(parents=True, exist_ok=True)
            for path in self.pool.glob(f"{stamp}.*"):
                shutil.copy(path, folder)
        self.answer("doctor", "--rebuild", "--apply")

    def ask(self, sql, *values):
        database = sqlite3.connect(f"file:{self.root}/state/products.sqlite3?mode=ro", uri=True)
        try:
            return database.execute(sql, values).fetchall()
        finally:
            database.close()

    def mosaics(self, *words):
        return self.read("mosaic", "list", "--limit", 0, *words)

    def tiles(self, name):
        return {tile["group"]: tile for tile in self.read("mosaic", "why", name)["tiles"]}

    def tasks(self):
        return {row["id"]: row["state"] for row in json.loads(self.contimg("queue", "list", "--json").stdout or "[]")
                if row["id"].startswith("mosaic/")}

    def serve(self, n_tasks):
        """The service runs until so many tasks of mosaics are done, and some longer: no other comes."""
        process = self.start()
        wait_for(lambda: list(self.tasks().values()).count("done") == n_tasks, 90,
                 what=lambda: f"{n_tasks} mosaics are made: {self.tasks()}\n{self.log()}")
        time.sleep(2)
        self.assertEqual(list(self.tasks().values()), ["done"] * n_tasks)
        process.terminate()
        process.wait()

    def pixels(self, name):
        """What is in its images, without their headers: their dates differ."""
        found = {}
        for path in sorted((self.root / "scratch/images/mosaics").glob(f"{name}.*.fits")):
            with fits.open(path) as file:
                found[path.name] = [hashlib.sha256(hdu.data.tobytes()).hexdigest() for hdu in file if hdu.data is not None]
        return found

    # --- tests -----------------------------------------------------------------------------------------------------
    def test_windows_become_mosaics_once_and_late_tiles_the_next_version(self):
        day = self.days[0]
        late = day[2]
        self.put([stamp for stamp in day if stamp != late])
        self.serve(self.expected([stamp for stamp in day if stamp != late]))
        made = {row["name"]: row for row in self.mosaics()}
        seen = []
        for name, row in made.items():
            self.assertEqual((row["state"], row["kind"], row["version"], row["tiles_refused"]), ("closed", "hourly", 1, 0))
            self.assertIn(row["grade"], "ABC")
            tiles = self.tiles(name)
            self.assertGreaterEqual(len(tiles), 2)
            for tile in tiles.values():
                self.assertTrue(tile["used"])
                self.assertTrue(row["start"] <= tile["middle"] < row["end"], (row, tile))
            seen += tiles
            # Products as others, made of the tiles' images.
            kinds = self.ask("SELECT kind, status, length(checksum) FROM products WHERE group_id = ? ORDER BY kind", name)
            self.assertEqual(kinds, [(kind, "present", 16) for kind in KINDS])
            parents = self.ask("SELECT parent.group_id FROM products p JOIN lineage l ON l.child_id = p.id JOIN products parent ON "
                               "parent.id = l.parent_id WHERE p.kind = 'mosaic' AND p.group_id = ? ORDER BY 1", name)
            self.assertEqual([group for (group,) in parents], sorted(tiles))
        self.assertEqual(len(seen), len(set(seen)), "without overlap each tile is in one")
        self.assertNotIn(late, seen)
        # Another start makes nothing; the late tile makes its own window anew.
        self.put([late])
        middle = (datetime.datetime.fromisoformat(late) + datetime.timedelta(seconds=TILE_S / 2)).isoformat()
        changed, = [name for name, row in made.items() if row["start"] <= middle < row["end"]]
        before = self.pixels(changed)
        self.serve(len(made) + 1)
        self.assertEqual(self.tasks().get(f"mosaic/{changed}_v2"), "done")
        for row in self.mosaics():
            self.assertEqual(row["version"], 2 if row["name"] == changed else 1)
        self.assertIn(late, self.tiles(changed))
        self.assertNotEqual(self.pixels(changed), before)
        self.assertEqual(self.ask("SELECT count(*) FROM products WHERE group_id = ?", changed), [(len(KINDS),)])
        self.again_bit_for_bit(changed)
        self.said(changed)
        self.lost_and_found()

    def expected(self, stamps):
        # Sidereal time moves on by a window of three tiles; two tiles of one window make a mosaic.
        step = 86164.0905 / int(86164.0905 / (3 * TILE_S))
        starts = [(datetime.datetime.fromisoformat(stamp) - FIRST).total_seconds() for stamp in stamps]
        phase = self.phase()
        counts = {}
        for start in starts:
            window = int((start + (TILE_S - 12.9) / 2 + phase) // step)
            counts[window] = counts.get(window, 0) + 1
        return sum(1 for n in counts.values() if n >= 2)

    def phase(self):
        """Seconds from the beginning of a window to FIRST, by astropy: sidereal time is the ICRS right ascension overhead."""
        from astropy.coordinates import EarthLocation, SkyCoord, AltAz, ICRS
        from astropy import units as u
        from astropy.time import Time
        from astropy.utils import iers
        iers.conf.auto_download = False
        iers.conf.iers_degraded_accuracy = "warn"
        place = EarthLocation(lon=-118.2830 * u.deg, lat=37.2334 * u.deg)
        when = Time(FIRST.isoformat())
        altitude = 90 - (DEC - 37.2334)
        north = SkyCoord(AltAz(az=0 * u.deg, alt=altitude * u.deg, obstime=when, location=place)).transform_to(ICRS())
        n = int(86164.0905 / (3 * TILE_S))
        return (north.ra.hour * 3600 * 0.9972695663) % (86164.0905 / n)

    def again_bit_for_bit(self, name):
        product, = self.ask("SELECT id FROM products WHERE kind = 'rms' AND group_id = ?", name)[0]
        again = self.read("products", "reproduce", product)
        self.assertTrue(again["equal"], again)
        self.assertEqual(sorted(p["kind"] for p in again["products"]), [k for k in KINDS if "qa" not in k])
        image, = self.ask("SELECT id FROM products WHERE kind = 'mosaic' AND group_id = ?", name)[0]
        self.assertIn(self.days[0][0][:10], self.answer("products", "lineage", image))
        self.answer("verify", "--share", 1)

    def said(self, name):
        shown = self.answer("mosaic", "show", name)
        self.assertRegex(shown, r"figures +noise [0-9.]+ .Jy/beam, [0-9.]+ square degrees, beam")
        self.assertIn("no mosaic on record fits", self.contimg("mosaic", "list", "--strip", "-12").stderr)
        self.assertIn("version 2", shown)
        self.assertIn(f"{name}.image.fits", shown)
        self.assertIn("in it", self.answer("mosaic", "why", name))
        self.assertIn(name, self.answer("mosaic", "list", "--tile", self.days[0][2]))
        self.assertEqual(self.mosaics("--kind", "deep"), [])
        done = self.contimg("mosaic", "show", "nothing")
        self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), done.stderr)
        self.assertIn("contimg mosaic list", done.stderr)
        for words in (["--state"], ["--lst", "1,2"], ["--state", "--lst", "1"], ["--state", "--lst", "1,25"], ["--days", "3"], [],
                      ["x"], ["--state", "--lst", "1,2", "--out", "y"]):
            self.assertEqual(self.contimg("mosaic", *words).returncode, 2, words)
        self.assertEqual(self.contimg("mosaic", "--state", "--lst", "1,1.01").returncode, 3, "no tiles there")
        done = self.contimg("mosaic", "--state", "--lst", "1,2", "--days", "x")
        self.assertEqual(done.returncode, 2)
        self.assertIn("--days", done.stderr)
        # Made again when an operator asks, to the same bits.
        before = self.pixels(name)
        self.answer("queue", "requeue", f"mosaic/{name}_v2")
        self.serve(len(self.tasks()))
        self.assertEqual(next(row["version"] for row in self.mosaics() if row["name"] == name), 3)
        self.assertEqual(self.pixels(name), before)

    def lost_and_found(self):
        """Without the database of products the records come back from the files."""
        sql = ("SELECT m.name, m.kind, m.strip_deg, round(m.lst_start_h, 2), m.grade, m.n_used, t.group_id, t.checksum, t.used, "
               "t.refusal, round(t.scale, 6), t.n_references FROM mosaics m JOIN mosaic_tiles t USING (mosaic_id) ORDER BY 1, 7")
        lineage = ("SELECT p.path, parent.path FROM products p JOIN lineage l ON l.child_id = p.id JOIN products parent ON "
                   "parent.id = l.parent_id WHERE p.path LIKE '%/mosaics/%' ORDER BY 1, 2")
        grades = "SELECT path, qa_grade FROM products WHERE path LIKE '%/mosaics/%' ORDER BY 1"
        before = [self.ask(each) for each in (sql, lineage, grades)]
        for path in (self.root / "state").glob("products.sqlite3*"):
            path.unlink()
        self.answer("doctor", "--rebuild", "--apply")
        self.assertEqual([self.ask(each) for each in (sql, lineage, grades)], before)
        self.serve(len(self.tasks()))

    def test_days_of_one_window_are_co_added_and_a_spoiled_tile_is_refused(self):
        self.environment["CONTIMG_MOSAIC_DEEP_DAYS"] = "5"
        self.put(self.days[0] + self.days[1])
        n = 2 * self.expected(self.days[0])
        process = self.start()
        wait_for(lambda: len([r for r in self.mosaics() if r["state"] == "closed" and r["kind"] == "hourly"]) == n, 90,
                 what=lambda: f"{n} mosaics: {self.tasks()}\n{self.log()}")
        wait_for(lambda: len([r for r in self.mosaics("--kind", "deep") if r["state"] == "closed"]) == n / 2, 150,
                 what=lambda: f"deep ones: {self.tasks()}\n{self.log()}")
        process.terminate()
        process.wait()
        spoiled = self.days[1][3]
        of_spoiled = [row for row in self.mosaics() if spoiled in self.tiles(row["name"])]
        deep, = [row for row in of_spoiled if row["kind"] == "deep"]
        tile = self.tiles(deep["name"])[spoiled]
        self.assertEqual((tile["used"], tile["refusal"]), (False, "scale"))
        self.assertAlmostEqual(tile["scale"], 0.69, delta=0.01)
        self.assertTrue(deep["is_reference"])
        for row in self.mosaics("--kind", "deep"):
            self.assertEqual(len({group[:10] for group in self.tiles(row["name"])}), 2, "of two days")
        told = [line for line in self.answer("mosaic", "why", deep["name"]).split("\n") if "left out (scale)" in line]
        self.assertEqual([line.count("fluxes") for line in told], [1], "said once")
        # By hand the same: of both days, then of the newest, and since a time.
        lst = f"{deep['lst_start_h']},{deep['lst_end_h']}"
        by_hand = self.read("mosaic", "--state", "--lst", lst)
        self.assertEqual((by_hand["name"], by_hand["version"]), (deep["name"], 2))
        newest = self.read("mosaic", "--state", "--lst", lst, "--days", 1)
        self.assertTrue(all(tile["group"] >= self.days[1][0] for tile in newest["tiles"]), newest)
        self.assertEqual(self.read("mosaic", "--state", "--lst", lst, "--since", self.days[1][0])["name"], newest["name"])
        self.assertEqual(self.read("mosaic", "list", "--references", "--strip", DEC)[0]["name"], newest["name"])

    def test_killed_at_random_it_is_made_to_the_same_bits(self):
        self.put(self.days[0])
        self.serve(self.expected(self.days[0]))
        name = max(self.mosaics(), key=lambda row: row["tiles_used"])["name"]
        before = self.pixels(name)
        rows = self.ask("SELECT count(*) FROM products")
        job = self.root / "job"
        job.mkdir()
        settings = [f"{key}={value}" for key, value in (
            ("paths.scratch_dir", self.root / "scratch"), ("paths.state_dir", self.root / "state"),
            ("convert.durable", "false"), ("mosaic.tiles", 3), ("mosaic.overlap", 0))]
        (job / "job.json").write_text(json.dumps({
            "task_version": 1, "job": f"mosaic/{name}", "attempt": 1, "threads": 2, "memory_bytes": 0,
            "work": {"subject": name, "settings": settings}}))

        def begin():
            return subprocess.Popen([BIN / "contimg", "worker", job / "job.json"], env=self.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        begun = time.monotonic()
        whole = begin()
        self.assertEqual(whole.wait(), 0, whole.stderr.read())
        took = time.monotonic() - begun
        chance, died = random.Random(15), 0
        for _ in range(KILLS):
            worker = begin()
            time.sleep(chance.uniform(0, took))
            worker.send_signal(signal.SIGKILL)
            died += worker.wait() == -signal.SIGKILL
            worker.stderr.close()
        self.assertGreater(died, KILLS / 4, "some were killed before their end")
        last = begin()
        self.assertEqual(last.wait(), 0, last.stderr.read())
        self.assertEqual(self.pixels(name), before)
        self.assertEqual(self.ask("SELECT count(*) FROM products"), rows)
        self.serve(len(self.tasks()))
        self.assertEqual([p.name for p in (self.root / "scratch/images/mosaics").iterdir() if p.name.startswith(".")], [],
                         "what the killed ones left is swept")
        self.assertEqual(self.ask("SELECT state, n_refused FROM mosaics WHERE name = ?", name), [("closed", 0)])
        self.again_bit_for_bit(name)
        print(f"{died} of {KILLS} killed before their end ({took:.2f} s); the same bits")


if __name__ == "__main__":
    if "--kills" in sys.argv:
        at = sys.argv.index("--kills")
        KILLS = int(sys.argv[at + 1])
        del sys.argv[at:at + 2]
    unittest.main()
