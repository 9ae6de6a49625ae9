#!/usr/bin/python3
"""Kills the worker, and then the daemon, in every stage of a group's job: each group is done after that, once, with each
of its products once, valid and the same as of a run that nobody disturbs.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/kill_stages_test.py [-v]
"""
import collections
import os
import pathlib
import shutil
import signal
import sqlite3
import tempfile
import unittest

from daemon_under_test import SOURCE, DaemonUnderTest, ended, simulate, wait_for

RA, DEC = 210.0, 16.1
# The first tile calibrates the others; each of them is disturbed at another point of its job.
POINTS = ["solve", "convert", "flag", "apply", "refine", "image", "measure", "write", "ended"]
IMAGES = ["image.pbcor", "image", "residual", "model", "psf", "pb", "smear", "dirty"]
KINDS = collections.Counter(["science_ms", "qa_picture", "qa_metrics", "photometry", "sources", *IMAGES] + 16 * ["uvh5"])
TABLES = collections.Counter(3 * ["caltable"])


class KillStagesTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-kill-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamps = simulate(cls.pool, "--transit", f"{RA},{DEC}", "--source", f"{RA},{DEC},40,-0.7", "--tiles",
                              len(POINTS), "--antennas", 16, "--integrations", 6, "--channels", 8, "--gains", "0.2,180",
                              "--delays", 3, "--bandpass", 0.05)
        cls.catalogue = folder / "catalogue.csv"
        cls.catalogue.write_text(f"name,ra_deg,dec_deg,flux_jy,alpha\nsource,{RA},{DEC},40,-0.7\n")

    def setUp(self):
        self.begin("kill", CONTIMG_QUEUE_BACKOFF_FIRST_S="0.2", CONTIMG_QUEUE_BACKOFF_LIMIT_S="1",
                   CONTIMG_QUEUE_ORDER="oldest", CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="6",
                   CONTIMG_IMAGE_MAX_ITERATIONS="50", CONTIMG_IMAGE_MIN_UV_LAMBDA="0",
                   CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0")
        self.addCleanup(self.end)
        self.pause = self.root / "pause"
        self.pause.mkdir()
        self.environment["PAUSE_FOLDER"] = str(self.pause)
        self.replace_worker(f'exec /usr/bin/python3 {SOURCE}/tests/integration/pausing_worker.py "$REAL" "$@"')
        self.answer("catalog", "import", "csv", self.catalogue, "--name", "nvss")

    # --- tools -----------------------------------------------------------------------------------------------------
    def database(self, name):
        database = sqlite3.connect(f"file:{self.root}/state/{name}.sqlite3?mode=ro", uri=True)
        self.addCleanup(database.close)
        return database

    def stop_in(self, point, stamp):
        """Sends the tile and waits until its worker stands still at this point; gives the process to be killed."""
        (self.pause / "plan").write_text(point)
        self.send(stamp)
        paused = self.pause / "paused"
        wait_for(paused.exists, what=lambda: f"the worker of {stamp} is in {point}\n{self.log()}")
        stage = point if point != "ended" else "write"
        wait_for(lambda: [job["stage"] for job in self.status()["jobs"]] == [stage],
                 what=lambda: f"the daemon knows that {stamp} is in {stage}; status {self.status()['jobs']}")
        self.assertEqual(self.state(stamp), "running")
        pid = int(paused.read_text())
        paused.unlink()
        return pid

    def trail(self, stamp):
        """(from, to, words) of each change of state, each beginning where the one before ended."""
        trail = self.database("ingest").execute("SELECT from_state, to_state, detail FROM events WHERE group_id = ? AND "
                                                "kind = 'state' ORDER BY id", (stamp,)).fetchall()
        for (_, before, _), (after, _, _) in zip(trail, trail[1:]):
            self.assertEqual(before, after, trail)
        return trail

    def check_products(self, kills):
        wait_for(lambda: self.status()["comparing_records"] is False, what="records and products are compared")
        status = self.status()
        self.assertEqual((status["products_missing"], self.metric("contimg_products_unknown")), (0, 0), self.log())
        self.assertEqual((set(self.groups()), {row["state"] for row in self.groups().values()}),
                         (set(self.stamps), {"done"}))
        rows = self.database("products").execute("SELECT group_id, kind, path, status FROM products").fetchall()
        self.assertEqual({status for *_, status in rows}, {"present"})
        paths = collections.Counter(path for _, _, path, _ in rows)
        self.assertEqual({path: n for path, n in paths.items() if n != 1 or not pathlib.Path(path).exists()}, {})
        for stamp in self.stamps:
            kinds = collections.Counter(kind for group, kind, _, _ in rows if group == stamp)
            wanted = KINDS + TABLES if stamp == self.stamps[0] else KINDS
            self.assertEqual((kinds - wanted, wanted - kinds), (collections.Counter(), collections.Counter()), stamp)
        # What lies in the folders of products is what is recorded, and nothing is left in those of work.
        scratch = self.root / "scratch"
        on_disk = {str(path) for folder in ("ms/science", "ms/calibrators", "images/single", "images/qa")
                   for path in (scratch / folder).glob("*/*") if not path.is_symlink()}
        self.assertEqual(on_disk, {path for path in paths if not path.endswith(".hdf5")})
        left = [path for folder in (self.staging, scratch / "tmp/staging", scratch / "ms/failed")
                for path in folder.rglob("*") if path.is_file()]
        self.assertEqual((left, list(scratch.rglob(".*.part*"))), ([], []))
        self.answer("inspect", "--validate", *(path for path in paths if path.endswith((".ms", ".fits"))))
        for group, kind, path, _ in rows:
            if kind == "image":
                self.answer("products", "reproduce", path)
        # The measurements of every tile are on record, once.
        wait_for(lambda: len(self.database("master_sources").execute("SELECT * FROM recorded_photometry").fetchall()) ==
                 len(self.stamps), what=lambda: self.log())
        for (n,) in self.database("master_sources").execute("SELECT count(*) FROM measurements GROUP BY observation_id"):
            self.assertEqual(n, 1)
        # One set of tables, in use, and no solve that nobody ended.
        tables = self.read("cal", "list")
        self.assertEqual(sorted((table["kind"], table["status"]) for table in tables),
                         [("BP", "active"), ("G", "active"), ("K", "active")])
        solves = [row[0] for row in self.database("cal_registry").execute("SELECT outcome FROM solves ORDER BY id")]
        self.assertEqual(solves, ["abandoned", "passed"])
        for stamp in self.stamps:
            self.assertEqual([to for _, to, _ in self.trail(stamp)].count("done"), 1, self.trail(stamp))
        self.assertEqual(kills, len(POINTS))

    # --- tests -----------------------------------------------------------------------------------------------------
    def test_worker_killed_in_every_stage(self):
        self.start()
        kills = 0
        for stamp, point in zip(self.stamps, POINTS):
            pid = self.stop_in(point, stamp)
            os.kill(pid, signal.SIGKILL)
            (self.pause / "plan").unlink()
            kills += 1
            self.becomes(stamp, "done")
            trail = self.trail(stamp)
            self.assertEqual([to for _, to, _ in trail],
                             ["collecting", "ready", "running", "failed", "ready", "running", "done"])
            self.assertIn("died of signal 9", trail[3][2])
            self.assertIn(f"in stage {'write' if point == 'ended' else point}", trail[3][2])
            self.assertEqual(self.groups()[stamp]["attempts"], 2)
        self.check_products(kills)

    def test_daemon_killed_in_every_stage(self):
        daemon = self.start()
        kills = 0
        for stamp, point in zip(self.stamps, POINTS):
            pid = self.stop_in(point, stamp)
            daemon.kill()
            daemon.wait()
            wait_for(lambda pid=pid: ended(pid), 10, what="the worker dies with it")
            (self.pause / "plan").unlink()
            kills += 1
            daemon = self.start()
            self.becomes(stamp, "done")
            trail = self.trail(stamp)
            if point == "ended":  # its report is found
                self.assertEqual([to for _, to, _ in trail], ["collecting", "ready", "running", "done"])
            else:
                self.assertEqual([to for _, to, _ in trail],
                                 ["collecting", "ready", "running", "ready", "running", "done"])
                self.assertIn("owner is gone", trail[3][2])
        self.check_products(kills)


if __name__ == "__main__":
    unittest.main()
