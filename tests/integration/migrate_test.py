#!/usr/bin/python3
"""contimg migrate: a made-up flat tree of 2000 things (tests/integration/flat_tree.py) finds its places and comes back.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/migrate_test.py [-v]
"""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
import time
import unittest

from daemon_under_test import BIN, DaemonUnderTest, wait_for
from flat_tree import Originals, add_troubles, grow_old, make_flat_tree


def listing(root):
    """All that there is: kind, mode, time of change, size, content, where links lead; which files are one."""
    found, sums, inodes = {}, {}, {}
    for where, folders, files in os.walk(root):
        folders.sort()
        for name in ["", *sorted(files), *(f for f in folders if os.path.islink(os.path.join(where, f)))]:
            path = os.path.join(where, name) if name else where
            status = os.lstat(path)
            entry = [stat.filemode(status.st_mode), status.st_mtime_ns]
            if stat.S_ISLNK(status.st_mode):
                entry.append(os.readlink(path))
            elif stat.S_ISREG(status.st_mode):
                if status.st_ino not in sums:
                    sums[status.st_ino] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()
                    inodes[status.st_ino] = os.path.relpath(path, root)
                entry += [status.st_size, sums[status.st_ino], inodes[status.st_ino]]
            found[os.path.relpath(path, root)] = tuple(entry)
    return found


class MigrateTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # Thousands of files that are synced one by one: in memory where there is room.
        memory = "/dev/shm" if shutil.disk_usage("/dev/shm").free > 1e9 else None
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-migrate-", dir=memory))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        cls.originals = Originals(cls.pool / "originals")
        cls.enterClassContext(temporary_files_in(cls.pool))

    def setUp(self):
        self.begin("migrate")
        self.addCleanup(self.end)
        self.old = self.pool / "old"
        self.addCleanup(shutil.rmtree, self.old, ignore_errors=True)

    def migrate(self, *words, status=0):
        done = self.contimg("migrate", "tree", *words)
        self.assertEqual(done.returncode, status, done.stdout[-3000:] + done.stderr[-3000:])
        return done

    def begun(self, *words):
        return subprocess.Popen([BIN / "contimg", "--quiet", "migrate", "tree", *map(str, words)], env=self.environment,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def journals(self):
        return sorted((self.root / "state/migrations").glob("*.jsonl"))

    def killed(self, condition, number, *words):
        """A run that gets the signal once the condition holds; false when it ended before."""
        process = self.begun(*words)
        while process.poll() is None and not condition():
            time.sleep(0.002)
        process.send_signal(number)
        errors = process.communicate(timeout=60)[1]
        if number != signal.SIGKILL and process.returncode == 1:
            self.assertRegex(errors, "cancelled on request|troubles named above")  # it may have been at its end
            self.assertFalse(list(self.root.rglob("*.part-*")))
        return process.returncode == -signal.SIGKILL

    def lines(self):
        return sum(path.read_bytes().count(b"\n") for path in self.journals())

    def rows(self, database, query):
        with sqlite3.connect(self.root / f"state/{database}.sqlite3") as connection:
            return connection.execute(query).fetchall()

    def test_two_thousand_things_there_and_back(self):
        n = make_flat_tree(self.originals, self.old, tiles=165, subband_tiles=60)
        said = add_troubles(self.originals, self.old)
        young = [str(self.old / name) for name, words in said.items() if "still be written" in words]
        grow_old(self.old, young)
        before = listing(self.old)
        self.assertGreaterEqual(n + len(said), 2000)

        # The plan: what has a place, what is in trouble; nothing is changed.
        plan = json.loads(self.migrate("--from", self.old, "--json", status=1).stdout)
        self.assertEqual(listing(self.old), before)
        self.assertFalse(self.journals())
        troubles = {os.path.relpath(item["from"], self.old): item["reason"] for item in plan["left"] if item["trouble"]}
        self.assertEqual(sorted(troubles), sorted(said))
        for name, words in said.items():
            self.assertIn(words, troubles[name])
        self.assertEqual(len(plan["items"]), n - 1, "one has a rival for its place")
        self.assertEqual(sorted(os.path.basename(item["from"]) for item in plan["left"] if not item["trouble"]),
                         [".hidden", "latest.ms", "notes.txt"])
        classes = {item["class"] for item in plan["items"]}
        self.assertEqual(classes, {"science", "calibrator", "caltable", "image", "qa", "incoming"})
        self.assertEqual(len({item["to"] for item in plan["items"]}), n - 1)
        shown = self.migrate("--from", self.old, status=1).stdout
        self.assertIn(f"{n - 1} things", shown)
        self.assertEqual(len(re.findall(r"(?m)^trouble  ", shown)), len(said), "a line each")

        # Killed and stopped again and again, it ends with everything in its place.
        generator = random.Random(7)
        kills = 0
        for i in range(10):
            begin = self.lines()
            wanted = begin + (generator.randrange(1, 900) if begin else generator.choice([0, 0, n + 5]))
            if i == 6:
                wanted = 10**9  # while records are made
            number = signal.SIGKILL if i % 3 else generator.choice([signal.SIGTERM, signal.SIGINT])
            if i == 0:
                wanted = 0  # while the plan is made
            after = time.monotonic() + (generator.uniform(0.5, 1.5) if i else 0.3)
            kills += self.killed(lambda: self.lines() > wanted or (wanted in (0, 10**9) and time.monotonic() > after),
                                 number, "--from", self.old, "--apply")
            for item in plan["items"]:
                self.assertNotEqual(os.path.lexists(item["from"]), os.path.lexists(item["to"]), "at one of two places")
        self.assertGreaterEqual(kills, 3)
        self.assertEqual(len(self.journals()), 1)
        self.contimg("migrate", "tree", "--from", self.old, "--apply")
        (journal,) = self.journals()
        done = json.loads(self.migrate("--undo", journal.stem, "--json").stdout)
        self.assertEqual({item["state"] for item in done["items"]}, {"recorded"})
        self.assertEqual({item["error"] for item in done["items"]}, {None})
        for item in plan["items"]:
            relative = os.path.relpath(item["from"], self.old)
            if os.path.isfile(item["to"]):
                self.assertEqual(hashlib.sha256(pathlib.Path(item["to"]).read_bytes()).hexdigest(), before[relative][3])
            else:
                for name, entry in listing(item["to"]).items():
                    if len(entry) == 5:
                        self.assertEqual(entry[:4], before[os.path.normpath(f"{relative}/{name}")][:4])
            if item["name"]:
                self.assertTrue(os.path.samefile(item["name"], item["to"]))
        left = listing(self.old)
        for name in said:
            for path, entry in before.items():
                if path == name or path.startswith(name + "/"):
                    self.assertEqual(left[path][:4], entry[:4])
        # On record: every product, every table; groups that are done.
        recorded = dict(self.rows("products", "SELECT path, status FROM products"))
        for item in plan["items"]:
            if item["class"] != "incoming":
                self.assertEqual(recorded.get(item["to"]), "present", item["to"])
        self.assertEqual(self.rows("cal_registry", "SELECT count(*) FROM tables")[0][0],
                         sum(item["class"] == "caltable" for item in plan["items"]))
        self.assertEqual(self.rows("ingest", "SELECT count(*) FROM groups WHERE state = 'done'")[0][0], 165)
        outcomes = [row[0] for row in self.rows(
            "operations", "SELECT outcome FROM maintenance_runs WHERE kind = 'migrate' ORDER BY id")]
        self.assertIn("cancelled", outcomes)
        self.assertIn("failed", outcomes)
        self.assertNotIn("running", outcomes, "those that were killed are closed")
        actors = self.rows("ingest", "SELECT DISTINCT actor FROM events WHERE actor <> 'reconciler'")
        self.assertEqual(actors, [("migrate",)])
        again = json.loads(self.migrate("--from", self.old, "--json", status=1).stdout)
        self.assertEqual([item["from"] for item in again["items"]], [], "what is left is in trouble")

        # The checksums on record are those of what lies there.
        verified = self.contimg("verify", "--local", "--share", "1", "--json")
        self.assertEqual(verified.returncode, 0, verified.stdout[-2000:] + verified.stderr)

        # Back, with kills on the way, bit for bit.
        for i in range(4):
            begin = self.lines()
            wanted = begin + generator.randrange(1, 700)
            self.killed(lambda: self.lines() > wanted, signal.SIGTERM if i == 1 else signal.SIGKILL, "--undo", journal.stem,
                        "--apply")
        self.migrate("--undo", journal.stem, "--apply")
        self.assertEqual(listing(self.old), before)
        self.assertFalse([path for path in (self.root / "scratch").rglob("*") if path.is_file() or path.is_symlink()])
        self.assertEqual(set(self.rows("products", "SELECT DISTINCT status FROM products WHERE kind <> 'uvh5'")), {("removed",)})
        self.assertEqual(set(self.rows("cal_registry", "SELECT DISTINCT status FROM tables WHERE status = 'active'")), set())

    def test_beside_a_running_service_input_waits(self):
        n = make_flat_tree(self.originals, self.old, tiles=3, subband_tiles=2)
        grow_old(self.old)
        before = listing(self.old)
        process = self.start(CONTIMG_INGEST_STABLE_S="0.3")
        done = self.migrate("--from", self.old, "--apply", status=1)
        self.assertIn("contimg-stream runs", done.stderr)
        self.assertEqual(list(self.incoming.glob("*.hdf5")), [])
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.migrate("--from", self.old, "--apply")
        self.assertEqual(len(list(self.incoming.glob("*.hdf5"))), 4)
        (journal,) = self.journals()
        self.assertEqual(len(json.loads(self.migrate("--undo", journal, "--json").stdout)["items"]), n)
        self.migrate("--undo", journal, "--apply")
        self.assertEqual(listing(self.old), before)

    def test_links_and_copies_leave_the_old_tree_alone(self):
        n = make_flat_tree(self.originals, self.old, tiles=2, subband_tiles=0)
        grow_old(self.old)
        before = listing(self.old)
        for mode in ("--link", "--copy"):
            self.migrate("--from", self.old, "--apply", mode)
            self.assertEqual(listing(self.old), before)
            sets = list((self.root / "scratch/ms").rglob("*.ms"))
            self.assertEqual(len(sets), 2)
            for path in sets:
                self.assertEqual((path / "table.dat").stat().st_mtime_ns // 10**9, 1_600_000_000)
            self.assertEqual(json.loads(self.migrate("--from", self.old, "--json").stdout)["items"], [], "the same is there")
            self.migrate("--undo", self.journals()[-1].stem, "--apply")
            self.assertEqual(listing(self.old), before)
            self.assertFalse(list((self.root / "scratch/ms").rglob("*.ms")))
        self.migrate("--from", self.old, "--apply", "--limit", 5)
        self.assertIn(f"{n - 5} things", self.migrate("--from", self.old).stdout)

    def test_a_state_moves_with_what_it_knows(self):
        """Ours, from the scratch disk to another place: the service goes on there."""
        process = self.start()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        before = self.status_of_databases()
        self.environment["CONTIMG_STATE_DIR"] = str(self.root / "elsewhere")
        (self.root / "elsewhere").mkdir()
        state = lambda *words: self.contimg("migrate", "state", "--from", self.root / "state", *words)
        shown = json.loads(state("--json").stdout)
        self.assertEqual(len(shown["own"]), len(before))
        self.assertEqual(sorted(path.name for path in (self.root / "elsewhere").iterdir()), [])
        for i in range(6):
            process = subprocess.Popen([BIN / "contimg", "migrate", "state", "--from", self.root / "state", "--apply"],
                                       env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.02 * i)
            process.kill()
            process.wait()
        done = state("--apply")
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in before:
            self.assertEqual(os.readlink(self.root / "state" / name), str(self.root / "elsewhere" / name))
        (self.root / "state/contimg-stream.lock").unlink()
        (self.root / "state").rename(self.root / "gone")
        (self.root / "state").symlink_to("elsewhere")  # where the helpers of these tests look
        self.start()
        self.assertLessEqual(before.items(), self.status_of_databases().items())
        self.assertEqual(state("--apply").returncode, 2)

    def status_of_databases(self):
        return {path.name: sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0]
                for path in (self.root / "state").glob("*.sqlite3")}

    def test_the_databases_of_another_pipeline(self):
        self.old.mkdir()
        with sqlite3.connect(self.old / "pipeline.sqlite3") as theirs:
            theirs.executescript("""
                CREATE TABLE ingest_queue (group_id TEXT, state TEXT, received_at REAL, error TEXT);
                INSERT INTO ingest_queue VALUES ('2025-01-01T00:00:00', 'completed', 1735689600, NULL),
                    ('2025-01-01T00:05:09', 'failed', 1735689900, 'subband missing');
                CREATE TABLE images (path TEXT, created_at REAL, type TEXT, noise_jy REAL);
                INSERT INTO images VALUES ('/gone/2025-01-01T00:00:00.image.fits', 1735689700, 'image', 0.0021);""")
        state = lambda *words: self.contimg("migrate", "state", "--from", self.old, *words)
        self.assertIn("1 row, of them 1 would become records", state().stdout.replace("of 1", "of them 1"))
        self.assertFalse(list((self.root / "state").glob("*.sqlite3")))
        done = state("--apply")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({stamp: row["state"] for stamp, row in self.groups().items()},
                         {"2025-01-01T00:00:00": "done", "2025-01-01T00:05:09": "cancelled"})
        (row,) = self.read("products", "list")
        self.assertEqual((row["status"], row["group"]), ("removed", "2025-01-01T00:00:00"))
        self.assertIn("migrated", self.answer("products", "show", row["path"]))
        self.assertIn("0 became", state("--apply").stdout)
        self.assertEqual(self.rows("operations", "SELECT kind, outcome FROM maintenance_runs"), [("migrate", "ok")] * 2)

    def test_wrong_use(self):
        self.old.mkdir()
        for words, sentence in (((), "expected one of --from DIR and --undo JOURNAL"),
                                (("--from", self.old / "no"), "expected a directory, found none"),
                                (("--from", self.root / "state"), "is this installation's own"),
                                (("--from", self.old, "--copy", "--link"), "at most one of"),
                                (("--undo", "2025"), "is no journal")):
            self.assertIn(sentence, self.migrate(*words, status=2).stderr)
        self.assertIn("0 things", self.migrate("--from", self.old).stdout)
        self.assertIn("nothing to do", self.migrate("--from", self.old, "--apply").stdout)


class temporary_files_in:
    """What `begin` makes lies there, too."""

    def __init__(self, folder):
        self.folder = folder

    def __enter__(self):
        self.before, tempfile.tempdir = tempfile.tempdir, self.folder

    def __exit__(self, *_):
        tempfile.tempdir = self.before


if __name__ == "__main__":
    unittest.main()
