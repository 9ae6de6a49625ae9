#!/usr/bin/python3
"""Mosaics in the service: images of tiles on record become a mosaic when their window has passed, once; late tiles make the next
version, days are co-added; killed at any time it is made to the same bits; the record comes back from the files.

    CONTIMG_BIN_DIR=build/release/bin CONTIMG_FAULTY_CALLS=build/release/tests/libfaulty_calls.so \\
        /usr/bin/python3 tests/integration/service_mosaics_test.py [-v]
    … service_mosaics_test.py --kills 50        the same with so many kills of the worker, and a quarter as many of the service
    … --tiles FOLDER --kills 5                  the random kills alone, on tiles of any size (FOLDER/*.image.fits and what is beside them)
"""
import datetime
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import time
import unittest
import urllib.parse

import numpy as np
from astropy.io import fits

import faulty_calls
from daemon_under_test import BIN, wait_for
from mosaic_test import sky
from mosaics_under_test import DAY_S, DEC, EPOCH, FIRST, KINDS, STRIP, TILE_S, ServiceMosaics, mjd

KILLS, TILES = 8, None


class ServiceMosaicsTest(ServiceMosaics, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Six tiles one after the other, and the same six a sidereal day later, the fourth of these spoiled."""
        cls.make_pool()
        cls.days = [[cls.make_tile(FIRST + datetime.timedelta(seconds=round(day * DAY_S + i * TILE_S)), 0.25 * (i - 2.5), DEC,
                                   6 * day + i, 0.69 if (day, i) == (1, 3) else 1) for i in range(6)] for day in range(2)]

    def setUp(self):
        self.begin_service()

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
        altitude = 90 - (STRIP - 37.2334)
        north = SkyCoord(AltAz(az=0 * u.deg, alt=altitude * u.deg, obstime=when, location=place)).transform_to(ICRS())
        n = int(86164.0905 / (3 * TILE_S))
        return (north.ra.hour * 3600 * 0.9972695663) % (86164.0905 / n)

    def said(self, name):
        shown = self.answer("mosaic", "show", name)
        self.assertRegex(shown, r"figures +noise [0-9.]+ .Jy/beam, [0-9.]+ square degrees, beam")
        self.assertIn("no mosaic on record fits", self.contimg("mosaic", "list", "--strip", "-12").stderr)
        self.assertIn("version 2", shown)
        self.assertEqual(self.answer("mosaic", "show", f"mosaic/{name}_v2"), shown, "by its task")
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
        # Of records that stand the tiles alone.
        records = self.ask("SELECT * FROM mosaics")
        self.change("DELETE FROM mosaic_tiles")
        self.answer("doctor", "--rebuild", "--apply")
        self.assertEqual([self.ask(each) for each in (sql, lineage, grades)], before)
        self.assertEqual(self.ask("SELECT * FROM mosaics"), records)
        self.serve(len(self.tasks()))

    def test_days_of_one_window_are_co_added_and_a_spoiled_tile_is_refused(self):
        self.environment.update(CONTIMG_MOSAIC_DEEP_DAYS="5", CONTIMG_MOSAIC_REFINE_PLACES="false")
        self.put(self.days[0] + self.days[1])
        self.record_sources(self.days[1][3])
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
        self.assertEqual(self.read("mosaic", "list", "--references", "--strip", STRIP)[0]["name"], newest["name"])
        self.places_of_co_adds()
        self.marks_come_back(spoiled)

    def record_sources(self, group):
        """Each source of the sky becomes one of our own, 4 arcsec to the south, by what was measured in this tile."""
        path = self.root / "photometry.csv"
        path.write_text("source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,flags\n" + "".join(
            f"{i},,{ra % 360:.8f},{dec - 4 / 3600:.8f},{mjd(datetime.datetime.fromisoformat(group)):.9f},{group},{flux},0.001,0.001,1,1,1.4e9,0\n"
            for i, (ra, dec, flux) in enumerate(sky(DEC))))
        self.answer("lightcurve", "record", path)

    def places(self):
        return self.ask("SELECT mosaic, tiles FROM place_versions ORDER BY version", database="master_sources")

    def places_of_co_adds(self):
        """Where the switch is on, sources go to their places in each co-add that is deeper than those before it, and stay there."""
        self.assertEqual(self.places(), [])
        deep = [task for task in self.tasks() if task.startswith("mosaic/deep_")]
        self.environment["CONTIMG_MOSAIC_REFINE_PLACES"] = "true"
        for _ in range(2):
            for task in deep:
                self.answer("queue", "requeue", task)
            self.serve(len(self.tasks()))
            references = self.mosaics("--references")
            self.assertEqual(sorted(self.places()), sorted((row["name"], row["tiles_used"]) for row in references))
        self.assertEqual(len(self.places()), len(deep))
        version, name = len(deep), self.places()[-1][0]
        self.assertIn(f"places    of our own sources, version {version}, are from it", self.answer("mosaic", "show", name))
        self.assertEqual(self.read("mosaic", "show", name)["place_version"], version)
        trails = "".join(self.answer("queue", "show", task) for task in deep)
        self.assertRegex(trails, rf"\d+ sources at places of version {version}, moved by (3\.[5-9]|4\.[0-5])\d arcsec")
        own = np.array(self.ask("SELECT ra_deg, dec_deg, place_version, ra_error_arcsec, dec_error_arcsec FROM sources", database="master_sources"))
        truth = sky(DEC)
        east = ((own[:, None, 0] - truth[:, 0] + 180) % 360 - 180) * np.cos(np.radians(DEC)) * 3600
        off = np.hypot(east, (own[:, None, 1] - truth[:, 1]) * 3600).min(axis=1)
        moved = own[:, 2] > 0
        self.assertGreater(moved.sum(), len(own) / 2)
        self.assertLess(np.median(off[moved]), 0.5)
        self.assertLess(np.quantile(off[moved] / np.hypot(own[moved, 3], own[moved, 4]), 0.9), 3)
        self.assertLess(off[moved].max(), 3.5)  # through some goes the edge of a tile, where its beam is still 0.2
        np.testing.assert_allclose(off[~moved], 4, atol=0.01)

    def marks_come_back(self, spoiled):
        """The mark of a tile that the gate refused, when both it and what the gate said are lost."""
        flags = "SELECT flags FROM observations WHERE group_id = ?"
        before = self.ask(flags, spoiled, database="master_sources")
        self.assertEqual(before[0][0] & 16, 16)
        self.change("DELETE FROM mosaic_tiles")
        self.change("UPDATE observations SET flags = 0", "master_sources")
        self.answer("doctor", "--rebuild", "--apply")
        self.assertEqual(self.ask(flags, spoiled, database="master_sources"), before)

    def test_archived_let_go_and_brought_back(self):
        """Mosaics leave the disk by an age of their own and with their copies; then nothing is made, and all is known of them."""
        if shutil.which("rclone") is None:
            self.skipTest("needs rclone")
        self.put(self.days[0])
        self.serve(self.expected(self.days[0]))
        name = self.mosaics()[0]["name"]
        folder = self.root / "scratch/images/mosaics"
        kept = {path: path.read_bytes() for path in folder.iterdir() if ".qa." not in path.name and ".metrics." not in path.name}
        (self.root / "tape").mkdir()
        self.environment.update(
            CONTIMG_ARCHIVE_REMOTES=f'[{{name = "tape", target = "{self.root}/tape"}}]', CONTIMG_ARCHIVE_AFTER_DAYS="0",
            CONTIMG_RETENTION_MIN_AGE_S="0", CONTIMG_RETENTION_REQUIRE="none")
        classes = "SELECT DISTINCT status FROM products WHERE path LIKE '%/mosaics/%' AND kind NOT LIKE '%.qa_%'"
        by_age = {"CONTIMG_RETENTION_MOSAICS_DAYS": "0.000001"}

        def cleanup(*words, **settings):
            self.environment.update(settings)
            done = self.contimg("cleanup", "--apply", "--force", *words)
            for key in settings:
                del self.environment[key]
            return done.stdout + done.stderr
        self.assertIn("not archived", cleanup(**by_age))
        self.assertIn("not archived", cleanup("--class", "mosaics", "--max-age-days", "0.000001"))
        archived = self.read("archive", "--apply")
        self.assertEqual(archived["result"].get("failed", 0), 0, archived)
        copies = self.ask("SELECT object, state FROM archives WHERE class = 'mosaics' AND group_id = ?", name)
        self.assertEqual([state for _, state in copies], ["verified"])
        self.assertRegex(copies[0][0], r"^mosaics/2025-10-13/2025-10-13T\d{6}_2025-10-13T\d{6}_\+54\.1\.mosaics\.tar$")
        self.answer("archive", "verify", "--share", 1)
        cleanup()
        cleanup("--min-free-gb", "900000", CONTIMG_RETENTION_PRESSURE_ORDER="failed")
        self.assertEqual(self.ask(classes), [("present",)], "nobody has asked for it")
        self.assertIn("1 verified copy", cleanup(**by_age))
        self.assertEqual(self.ask(classes), [("archived",)])
        self.assertEqual([path for path in kept if path.exists()], [])
        self.assertTrue((folder / f"{name}.qa.png").exists())
        # All is known, nothing is made.
        versions, tiles = self.versions(), self.tiles(name)
        self.serve(len(self.tasks()))
        self.assertEqual((self.versions(), self.tiles(name)), (versions, tiles))
        self.assertEqual(list(folder.glob("*.image.fits")), [])
        self.assertIn(name, self.answer("mosaic", "list"))
        self.assertIn("in it", self.answer("mosaic", "why", name))
        self.assertRegex(self.answer("mosaic", "show", name), rf"mosaic +archived +\S+{name}.image.fits".replace("+54", r"\+54"))
        service = self.start()
        page = "mosaics/" + urllib.parse.quote(name)
        status, text = self.get("/" + page)
        self.assertEqual(status, 200, text)
        self.assertIn(f"{name}.image.fits", text.replace("&#43;", "+"))
        files = json.loads(self.get("/api/v1/" + page)[1])["products"]
        self.assertEqual({file["kind"]: file["file"] is None for file in files},
                         {kind: ".qa_" not in kind for kind in KINDS})
        service.terminate()
        service.wait()
        self.answer("doctor", "--rebuild", "--apply")
        self.assertEqual((self.ask(classes), self.versions()), ([("archived",)], versions))
        # It comes back as it was.
        for each in versions:
            self.answer("restore", "--group", each, "--apply")
        self.assertEqual({path: path.read_bytes() for path in kept}, kept)
        self.assertEqual(self.ask(classes), [("present",)])
        self.again_bit_for_bit(name)
        self.serve(len(self.tasks()))
        self.assertEqual(self.versions(), versions)

    def test_the_service_killed_while_co_adds_are_recorded(self):
        """At the writes to the records of products and of sources, and between a worker's end and its record."""
        if not faulty_calls.library():
            self.skipTest("needs the library of faulty calls (CONTIMG_FAULTY_CALLS)")
        self.put(self.days[0] + self.days[1])
        self.record_sources(self.days[1][3])
        n = 2 * self.expected(self.days[0])
        self.serve(n)
        self.environment.update(CONTIMG_MOSAIC_DEEP_DAYS="5", KILL=str(self.root / "kill"))
        parts = [("state", "kept-state"), ("scratch/images/mosaics", "kept-mosaics")]
        for part, kept in parts:
            shutil.copytree(self.root / part, self.root / kept)
        files = [self.root / f"state/{name}.sqlite3{log}" for name in ("products", "master_sources") for log in ("", "-wal")]
        faults = faulty_calls.FaultyCalls(self.root / "faults", files, program="contimg")
        self.replace_worker("".join(f"export {key}='{value}'\n" for key, value in faults.environment.items()) +
                            '"$REAL" "$@"; status=$?\n[ $status = 137 ] || [ -e "$KILL" ] && kill -9 $PPID\nexit $status')

        def record():
            self.assertEqual(self.leftovers(), [])
            return [self.ask("SELECT name, version, state, is_reference, n_used, n_refused, (SELECT count(*) FROM mosaic_tiles t WHERE "
                             "t.mosaic_id = m.mosaic_id) FROM mosaics m ORDER BY 1"),
                    self.ask("SELECT path, status FROM products ORDER BY 1"), self.places(),
                    self.ask("SELECT name, round(ra_deg, 8), round(dec_deg, 8), place_version FROM sources ORDER BY 1", database="master_sources"),
                    self.ask("SELECT group_id, flags FROM observations", database="master_sources"),
                    {name: self.pixels(name) for name in self.versions()}]
        budget, writes = 1 << 40, ["write", "sync"]
        faults.die_before(writes, budget)
        self.serve(n + n // 2)
        calls = budget - faults.calls_left()
        faults.end()
        whole = record()
        self.assertEqual(len(self.places()), n // 2)
        for point in sorted({round(calls * k / 6) for k in range(1, 6)} | {1, calls, budget}):
            with self.subTest(point=point, calls=calls):
                for part, kept in parts:
                    shutil.rmtree(self.root / part)
                    shutil.copytree(self.root / kept, self.root / part)
                if point == budget:
                    (self.root / "kill").touch()
                faults.die_before(writes, point)
                self.assertEqual(self.start(wait=False).wait(60), -signal.SIGKILL)
                faults.end()
                (self.root / "kill").unlink(missing_ok=True)
                self.serve(n + n // 2)
                self.assertEqual(record(), whole)


class KilledAtRandomTest(ServiceMosaics, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Six tiles, or those of --tiles and one of hours later, so that their window has passed."""
        cls.make_pool()
        if TILES is None:
            cls.days = [[cls.make_tile(FIRST + datetime.timedelta(seconds=round(i * TILE_S)), 0.25 * (i - 2.5), DEC, i) for i in range(6)]]
            return
        stamps = []
        for image in TILES.glob("*.image.fits"):
            header = fits.getheader(image)
            stamps.append((EPOCH + datetime.timedelta(seconds=round(header["MJD-BEG"] * 86400))).isoformat())
            for path in TILES.glob(image.name.replace(".image.fits", ".*.fits")):
                (cls.pool / f"{stamps[-1]}.{path.name.split('.', 1)[1]}").symlink_to(path)
        last = datetime.datetime.fromisoformat(max(stamps)) + datetime.timedelta(hours=5)
        cls.days = [sorted(stamps) + [cls.make_tile(last, 0, header["CRVAL2"], 1)]]

    def test_it_is_made_to_the_same_bits(self):
        settings = {"tiles": 3, "overlap": 0, "max_scale_error": 0.05}
        if TILES is not None:
            settings = {"tiles": 24, "overlap": 0.5, "max_scale_error": 10}  # all in one; a tile moved over the sky shows others' sources
        seconds = 90 if TILES is None else 900
        self.begin_service(**{f"CONTIMG_MOSAIC_{key.upper()}": str(value) for key, value in settings.items()})
        self.put(self.days[0])
        service = self.start()
        wait_for(lambda: set(self.tasks().values()) == {"done"}, seconds, what=lambda: f"mosaics are made: {self.tasks()}\n{self.log()}")
        service.terminate()
        service.wait()
        name = max(self.mosaics(), key=lambda row: row["tiles_used"])["name"]
        before = self.pixels(name)
        rows = self.ask("SELECT count(*) FROM products")
        job = self.root / "job"
        job.mkdir()
        words = [f"paths.scratch_dir={self.root}/scratch", f"paths.state_dir={self.root}/state", "convert.durable=false",
                 *(f"mosaic.{key}={value}" for key, value in settings.items())]
        subject = f"{name}_v1000"  # of no task: each time it is made
        (job / "job.json").write_text(json.dumps({
            "task_version": 1, "job": f"mosaic/{subject}", "attempt": 1, "threads": 2, "memory_bytes": 0,
            "work": {"subject": subject, "settings": words}}))

        def begin():
            return subprocess.Popen([BIN / "contimg", "worker", job / "job.json"], env=self.environment,
                                    stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        times = []
        for _ in range(2):
            times.append(time.monotonic())
            whole = begin()
            self.assertEqual(whole.wait(), 0, whole.stderr.read())
            times[-1] = time.monotonic() - times[-1]
        took = min(times)
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
        # The service, and its worker with it.
        task, n_services = f"mosaic/{name}", max(2, KILLS // 4)
        for _ in range(n_services):
            version = self.versions()[name]
            self.answer("queue", "requeue", task)
            service = self.start(wait=False)
            wait_for(lambda: self.tasks()[task] != "ready", step=0.02, what=lambda: f"{task} is begun\n{self.log()}")
            time.sleep(chance.uniform(0, took))
            service.kill()
            service.wait()
            self.serve(len(self.tasks()), seconds)
            self.assertEqual(self.versions()[name], version + 1, "made once")
            self.assertEqual(self.pixels(name), before)
        self.serve(len(self.tasks()), seconds)  # sweeps what the last of them has left
        self.assertEqual(self.ask("SELECT count(*) FROM products"), rows)
        self.assertEqual(self.leftovers(), [], "what the killed ones left is swept")
        self.assertEqual(self.ask("SELECT state, n_refused FROM mosaics WHERE name = ?", name), [("closed", 0)])
        self.again_bit_for_bit(name)
        print(f"{died} of {KILLS} workers killed before their end ({took:.2f} s), {n_services} services; the same bits")


if __name__ == "__main__":
    for option, kind in (("--kills", int), ("--tiles", lambda folder: pathlib.Path(folder).resolve())):
        if option in sys.argv:
            at = sys.argv.index(option)
            globals()[option[2:].upper()] = kind(sys.argv[at + 1])
            del sys.argv[at:at + 2]
    unittest.main(defaultTest="KilledAtRandomTest" if TILES else None)
