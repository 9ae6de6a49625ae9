#!/usr/bin/python3
"""Work that is no group, and locks: backups go through the queue of a real daemon as groups do; a database that somebody
else holds for longer than a lease costs no work."""
import json
import pathlib
import shutil
import sqlite3
import tempfile
import time
import unittest

from daemon_under_test import DaemonUnderTest, simulate, wait_for


class TasksTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.stamps = simulate(cls.pool, "--tiles", 3, "--antennas", 4, "--integrations", 2, "--channels", 4)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.pool, ignore_errors=True)
        shutil.rmtree(f"{cls.pool}-truth", ignore_errors=True)

    def setUp(self):
        # 0.0003 h: a second
        self.begin("tasks", CONTIMG_BACKUP_EVERY_H="0.0003", CONTIMG_QUEUE_BACKOFF_FIRST_S="1",
                   CONTIMG_QUEUE_MAX_ATTEMPTS="2", CONTIMG_IMAGE_ENABLED="false", CONTIMG_CALIBRATE_POLICY="uncalibrated",
                   CONTIMG_QUEUE_LEASE_S="5", CONTIMG_QUEUE_HEARTBEAT_S="1")

    def tearDown(self):
        self.end()

    def tasks(self):
        return {row["id"]: row for row in json.loads(self.contimg("queue", "list", "--json").stdout or "[]")
                if row["id"].startswith("backup/")}

    def in_state(self, state):
        return [name for name, row in self.tasks().items() if row["state"] == state]

    def state(self, stamp):
        rows = {row["id"]: row for row in json.loads(self.contimg("queue", "list", "--json").stdout or "[]")}
        return rows.get(stamp, {}).get("state")

    def test_the_service_makes_backups_that_are_whole(self):
        self.start()
        self.send(self.stamps[0])
        done = wait_for(lambda: self.in_state("done"), what="a backup is done")[0]
        names = [path.name for path in (self.root / "state/backups").iterdir() if not path.name.startswith(".")]
        self.assertIn(done.removeprefix("backup/").replace(":", "") + "Z", names)
        good = self.contimg("backup", "verify")
        self.assertEqual(good.returncode, 0, good.stderr)
        self.assertRegex(good.stdout, r"^good  .*/state/backups/\S+Z  \d databases, \d+\.\d MB\n$")
        shown = self.contimg("queue", "show", done).stdout
        self.assertRegex(shown, r"running -> done +runner +\d databases, .* in .*/state/backups/")
        wait_for(lambda: self.metric('contimg_tasks{kind="backup",state="done"}') > 0, what="it is counted")
        self.assertGreater(self.metric('contimg_maintenance_last_success_timestamp_seconds{kind="backup"}'), 1.7e9)
        self.assertIn(done, [task["id"] for task in json.loads(self.get("/api/v1/tasks?kind=backup")[1])["tasks"]])
        self.assertIn("backup", self.contimg("status").stdout)
        wait_for(lambda: self.state(self.stamps[0]) == "done", what="the group is done beside it")

    def test_tiles_get_their_flux_scale_with_no_human_hand(self):
        def record(day):
            """Thirty constants of 100 mJy in a tile whose fluxes are off by some percent."""
            factor = (1, 1.04, 0.97, 1.02, 0.95)[day]
            columns = "source_id,name,ra_deg,dec_deg,mjd,product,flux_jy,flux_error_jy,sigma_jy,response,scale,frequency_hz,flags"
            rows = [f"{i},,{10 + 0.01 * i},16,{61000 + day},tile{day},{0.1 * factor},0.0005,0.0005,1,1,1.4e9,0" for i in range(30)]
            (self.root / f"{day}.csv").write_text("\n".join([columns, *rows]) + "\n")
            self.contimg("lightcurve", "record", self.root / f"{day}.csv")
            return factor

        def scales():
            with sqlite3.connect(self.root / "state/master_sources.sqlite3") as database:
                return [scale for (scale,) in database.execute("SELECT scale FROM observations ORDER BY mjd")]

        def normalised():
            shown = json.loads(self.contimg("lightcurve", "10.1,16", "--normalised", "--json").stdout)
            return [point["flux_jy"] for point in shown["points"]]

        factors = [record(day) for day in range(4)]
        self.assertEqual(scales(), [None] * 4)
        self.environment.update(CONTIMG_BACKUP_EVERY_H="0", CONTIMG_PHOTOMETRY_NORMALISE_EVERY_H="0.0003")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: None not in scales(), what="the tiles have their scales")
        found = [scale * factor for scale, factor in zip(scales(), factors)]
        for each in found:
            self.assertAlmostEqual(each, found[0], delta=1e-9)
        wait_for(lambda: max(normalised()) - min(normalised()) < 1e-9, what="light curves follow")
        # The next tile has it when it goes on record, whether or not a task looks at it; variables stand on it.
        factors.append(record(4))
        self.assertAlmostEqual(scales()[4] * factors[4], found[0], delta=1e-9)
        tasks = [task for task in json.loads(self.get("/api/v1/tasks?kind=normalise")[1])["tasks"] if task["state"] == "done"]
        shown = self.contimg("queue", "show", tasks[0]["id"]).stdout
        self.assertRegex(shown, r"running -> done +runner +(\d of \d tiles have a flux scale, by 30 sources|no tile went on record)")
        shown = json.loads(self.contimg("variables", "--level", "tile", "--eta", "0", "--json").stdout)
        self.assertEqual(len(shown["variables"]), 30)
        self.assertLess(max(source["eta"] for source in shown["variables"]), 1e-6)

    def test_one_that_fails_is_given_up_shown_and_cured(self):
        elsewhere = self.root / "disk/backups"
        self.environment["CONTIMG_BACKUP_DIR"] = str(elsewhere)
        self.start()
        self.send(self.stamps[0])
        dead = wait_for(lambda: self.in_state("dead"), what="a backup is given up")[0]
        row = self.tasks()[dead]
        self.assertEqual(row["error_kind"], "io")
        self.assertIn("mount its disk or make it (backup.dir)", row["error"])
        self.assertFalse(elsewhere.exists())
        found = wait_for(lambda: [f for f in self.status()["health"] if f["code"] == "tasks_failing"])[0]
        self.assertIn("mount its disk", found["sentence"])
        page = wait_for(lambda: self.get("/")[1])
        self.assertIn("contimg queue requeue backup/", page)
        self.assertIn("log ", self.contimg("queue", "show", dead).stdout)
        elsewhere.mkdir(parents=True)
        again = self.contimg("queue", "requeue", dead)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(again.stdout, "requeued: 1 task\n")
        wait_for(lambda: dead in self.in_state("done"), what="it is done")
        wait_for(lambda: not [f for f in self.status()["health"] if f["code"] == "tasks_failing"], what="health is well")

    def test_one_is_held_and_released(self):
        self.environment["CONTIMG_BACKUP_DIR"] = str(self.root / "not there")
        self.start()
        self.send(self.stamps[0])
        name = wait_for(lambda: self.in_state("failed") + self.in_state("dead"))[0]
        wait_for(lambda: self.contimg("queue", "hold", name, "--reason", "the disk is away").returncode == 0)
        time.sleep(7)  # longer than the service looks for tasks that are due
        self.assertEqual(self.in_state("held"), [name])
        self.assertEqual(self.in_state("ready"), [], "none is made beside one that is held")
        (self.root / "not there").mkdir()
        self.assertEqual(self.contimg("queue", "release", name).returncode, 0)
        wait_for(lambda: name in self.in_state("done"))

    def test_by_hand_without_the_service(self):
        nothing = self.contimg("backup")
        self.assertEqual(nothing.returncode, 1)
        process = self.start()
        process.terminate()
        process.wait()
        made = self.contimg("backup", "--json")
        self.assertEqual(made.returncode, 0, made.stderr)
        folder = pathlib.Path(json.loads(made.stdout)[0]["folder"])
        copy = folder / "ingest.sqlite3"
        copy.write_bytes(copy.read_bytes()[:-4096])
        bad = self.contimg("backup", "verify", folder.name)
        self.assertEqual(bad.returncode, 3)
        self.assertIn("was changed since it was made", bad.stderr)

    def test_each_database_held_for_longer_than_a_lease(self):
        """Two tiles are sent under the lock; the lease is 5 s, the lock lasts three of them."""
        self.environment["CONTIMG_BACKUP_EVERY_H"] = "0"
        process = self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        for name in ("ingest", "cal_registry", "products"):
            stamp = self.stamps[1]
            with self.subTest(name):
                lock = sqlite3.connect(self.root / f"state/{name}.sqlite3", isolation_level=None)
                lock.execute("BEGIN IMMEDIATE")
                if name == "ingest":
                    self.send(stamp)
                else:
                    self.assertEqual(self.contimg("queue", "requeue", self.stamps[0]).returncode, 0)
                time.sleep(16)
                self.assertIsNone(process.poll(), "the daemon ended")
                lock.execute("ROLLBACK")
                lock.close()
                for each in self.stamps[:2] if name == "ingest" else self.stamps[:1]:
                    wait_for(lambda each=each: self.state(each) == "done", what=f"{each} is done")
        events = json.loads(self.answer("queue", "show", self.stamps[0], "--json"))[0]["events"]
        trail = [event["to"] for event in events if event["kind"] == "state"]
        # Made once, and once more for each requeue: no attempt was lost.
        self.assertEqual(trail, ["collecting", "ready", "running", "done"] + 2 * ["ready", "running", "done"])


if __name__ == "__main__":
    unittest.main()
