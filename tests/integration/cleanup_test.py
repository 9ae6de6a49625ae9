#!/usr/bin/python3
"""contimg cleanup, pin, storage, and the service that makes room, on made-up groups (tests/month/made_up_stream.cc).

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/cleanup_test.py [-v]
"""
import json
import os
import random
import re
import signal
import sqlite3
import subprocess
import time
import unittest

from daemon_under_test import BIN, DaemonUnderTest, wait_for


def files_below(folder):
    return sorted(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names)


class CleanupTest(DaemonUnderTest, unittest.TestCase):
    def setUp(self):
        self.begin("cleanup")
        self.addCleanup(self.end)
        self.scratch, self.state_dir = self.root / "scratch", self.root / "state"
        self.scratch.mkdir(exist_ok=True)
        self.state_dir.mkdir(exist_ok=True)

    def made_up(self, groups):
        """So many groups, the last of which was done an hour and a half ago."""
        per_day = 280
        ends = time.time() - 5400 - 1759276800
        first = int(ends / 86400 * per_day) - groups
        subprocess.run([BIN / "made_up_stream", self.scratch, self.state_dir, str(first), str(groups), "1"], check=True)

    def cleanup(self, *words, status=0):
        done = self.contimg("cleanup", *words)
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        return done

    def products(self):
        with sqlite3.connect(self.state_dir / "products.sqlite3") as database:
            return database.execute("SELECT path, status, kind FROM products").fetchall()

    def agree(self):
        for path, status, _ in self.products():
            self.assertEqual(os.path.exists(path), status == "present", (path, status))
        for folder, _, names in os.walk(self.scratch):
            self.assertFalse([name for name in names if ".purge-" in name], folder)

    def test_by_default_nothing_leaves(self):
        self.made_up(6)
        before = files_below(self.scratch)
        self.assertIn("would free 0 B", self.cleanup().stdout)
        self.cleanup("--apply")
        self.assertEqual(files_below(self.scratch), before)

    def test_the_line_of_the_operator(self):
        self.made_up(6)
        before = files_below(self.scratch)
        line = ["--incoming-retention-days", "0.01", "--science-ms-retention-days", "0.01", "--image-retention-days", "90",
                "--min-free-gb", "0"]
        kept = self.cleanup(*line).stdout
        self.assertRegex(kept, r"kept: 96 incoming \S+ \S+ \(not archived\), 6 science_ms \S+ \S+ \(not archived\)")
        self.environment["CONTIMG_RETENTION_REQUIRE_SCIENCE_MS"] = "regenerable"
        table = self.cleanup(*line).stdout
        self.assertRegex(table, r"(?m)^class +items +bytes  oldest +rule$")
        self.assertRegex(table, r"(?m)^science_ms +6 +1\.4 MB  20\S+  0\.01 d after imaging; regenerable from what is here$")
        self.assertRegex(table, r"Nothing was changed; --apply does it\.")
        self.assertEqual(files_below(self.scratch), before)
        document = json.loads(self.cleanup(*line, "--json").stdout)
        self.assertTrue(document["dry_run"])
        self.assertEqual([(c["class"], c["items"]) for c in document["classes"]], [("science_ms", 6)])
        self.assertEqual(len(document["actions"]), 6)
        self.assertRegex(self.contimg("cleanup", *line, "--explain", document["actions"][0]["path"]).stdout, "would leave now")
        # More than a quarter of the class is many, but of six it says nothing.
        self.cleanup(*line, "--apply")
        self.agree()
        self.assertEqual({status for _, status, kind in self.products() if kind == "science_ms"}, {"removed"})
        self.assertEqual({status for _, status, kind in self.products() if kind != "science_ms"}, {"present"})

    def test_pins_hold(self):
        self.made_up(3)
        path = next(path for path, _, kind in self.products() if kind == "science_ms")
        self.environment["CONTIMG_RETENTION_REQUIRE"] = "none"
        self.assertEqual(self.contimg("pin", path).returncode, 2)
        self.assertEqual(self.contimg("pin", path, "--reason", "for the paper").returncode, 0)
        self.assertIn("for the paper", self.contimg("pin").stdout)
        self.cleanup("--science-ms-retention-days", "0.01", "--apply")
        self.assertTrue(os.path.exists(path))
        self.assertEqual(self.contimg("unpin", path).returncode, 0)
        self.cleanup("--science-ms-retention-days", "0.01", "--apply")
        self.assertFalse(os.path.exists(path))
        self.agree()

    def test_wrong_use(self):
        self.made_up(1)
        for words in (["--max-age-days", "3"], ["--class", "mosaic"], ["--incoming-retention-days", "-1"],
                      ["--explain", "nothing"], ["--min-free-gb", "many"]):
            done = self.contimg("cleanup", *words)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(len(done.stderr.strip().split("\n")), 1, done.stderr)

    def test_what_cannot_be_reached_is_said(self):
        self.made_up(2)
        done = self.cleanup("--min-free-gb", "900000", status=1)
        self.assertRegex(done.stderr, r"900 TB of free space are wanted and .* can be reached: kept are .*\(not archived\)")

    def test_killed_again_and_again(self):
        self.made_up(40)
        self.environment["CONTIMG_RETENTION_REQUIRE"] = "none"
        dice, kills = random.Random(5), 0
        words = [BIN / "contimg", "cleanup", "--apply", "--force", "--incoming-retention-days", "0.001", "--limit", "60"]
        for _ in range(20):
            process = subprocess.Popen(words, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(dice.random() * 0.12)
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
                kills += 1
            process.wait()
        self.assertGreater(kills, 5)
        self.cleanup("--apply", "--force", "--incoming-retention-days", "0.001")
        self.agree()
        self.assertFalse([p for p, _, kind in self.products() if kind == "uvh5" and os.path.exists(p)])
        with sqlite3.connect(self.state_dir / "products.sqlite3") as database:
            self.assertEqual(database.execute("SELECT count(*) FROM purges WHERE state IN ('planned', 'hidden')").fetchone(), (0,))
            twice = "SELECT product_id FROM purges WHERE state = 'removed' GROUP BY product_id HAVING count(*) > 1"
            self.assertEqual(database.execute(twice).fetchall(), [])

    def test_storage(self):
        self.made_up(3)
        self.assertRegex(self.contimg("storage").stdout, r"(?m)^incoming +48 .*\n(.*\n)*scratch disk: .* free of ")
        document = json.loads(self.contimg("storage", "report", "--json").stdout)
        self.assertEqual({c["class"]: c["items"] for c in document["classes"]}["science_ms"], 3)

    def test_the_service_makes_room_when_it_may(self):
        self.made_up(3)
        before = files_below(self.scratch)
        process = self.start()
        time.sleep(3)
        self.assertFalse([path for path in before if not os.path.exists(path)], "without leave it removes nothing")
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        self.environment.update(CONTIMG_RETENTION_MIN_FREE_BYTES="900TB", CONTIMG_RETENTION_REQUIRE_SCIENCE_MS="regenerable")
        process = self.start()
        wait_for(lambda: any(key.startswith("cleanup/") and row["state"] == "done" for key, row in self.groups().items()), 60,
                 what=self.log)
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.assertEqual({status for _, status, kind in self.products() if kind == "science_ms"}, {"removed"})
        self.assertEqual({status for _, status, kind in self.products() if kind in ("image", "uvh5")}, {"present"})
        self.agree()
        with sqlite3.connect(self.state_dir / "operations.sqlite3") as database:
            kind, actor, figures = database.execute(
                "SELECT kind, actor, figures_json FROM maintenance_runs WHERE kind = 'cleanup'").fetchone()
        self.assertEqual((kind, actor), ("cleanup", "daemon"))
        self.assertEqual(json.loads(figures)["items"], 3)
        self.assertTrue(re.search(r"not archived", json.dumps(json.loads(figures)["blocked"])))


if __name__ == "__main__":
    unittest.main()
