#!/usr/bin/python3
"""What an operator meets at night: mistyped commands, output that does not fit, names with control characters, clocks that
are wrong, a queue database that is damaged.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/operator_test.py [-v]
"""
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import time
import unittest

import h5py

from daemon_under_test import BIN, DaemonUnderTest, simulate, wait_for

HOSTILE = b"3C\x1b[31m286\x07\nsecond"


class OperatorTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-operator-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        (cls.stamp,) = simulate(cls.pool / "sky", "--antennas", 4, "--integrations", 2, "--channels", 2, "--subbands", 2)
        cls.pool = cls.pool / "sky"

    def setUp(self):
        self.begin("operator", CONTIMG_INGEST_EXPECTED_SUBBANDS="2", CONTIMG_CALIBRATE_POLICY="uncalibrated",
                   CONTIMG_IMAGE_ENABLED="false", CONTIMG_INGEST_STABLE_S="0.3", CONTIMG_FLAG_ENABLED="false")
        self.addCleanup(self.end)

    def test_wrong_use_is_one_sentence_with_status_2(self):
        for words, part in ((["queue", "lst"], "unknown subcommand 'lst', did you mean 'list'?"),
                            (["quee"], "unknown command 'quee', did you mean 'queue'?"),
                            (["cal", "gap"], "unknown subcommand 'gap', did you mean 'gaps'?"),
                            (["queue"], "queue needs a subcommand: list, show"),
                            (["queue", "list", "--frm", "x"], "queue list has no option '--frm', did you mean '--from'?"),
                            (["queue", "list", "--from", "yesterdy"], "--from: expected a time (UTC) like"),
                            (["cal", "gaps", "--from", "13.10.2025"], "--from: expected a time (UTC) like"),
                            (["cal", "list", "--to", "2025-02-30"], "--to: expected a time (UTC) like"),
                            (["products", "list", "--from", "2025-13-01"], "--from: expected a time (UTC) like"),
                            (["queue", "list", "--error-kind", "oi"], "--error-kind: oi: is not an error kind"),
                            (["queue", "list", "--state", "ded"], "is no state of a group"),
                            (["catalog", "cone", "x", "2"], "ra: expected a right ascension"),
                            (["status", "--watch", "--interval", "0"], "--interval: expected 0.2 to 86400 seconds, found 0"),
                            (["config", "show", "--set", "mosaic.pixels=3"], "mosaic.pixels: is no setting (command line)")):
            done = self.contimg(*words)
            self.assertEqual(done.returncode, 2, f"{words}: {done.stdout}{done.stderr}")
            self.assertIn(part, done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_an_empty_word_does_not_mean_everything(self):
        (self.root / "backups").mkdir()
        self.environment["CONTIMG_BACKUP_DIR"] = str(self.root / "backups")
        for words, after in ((["restore", "--group", ""], "--group"), (["restore", "--all", "--to", "", "--apply"], "--to"),
                             (["restore", ""], "restore"), (["pin", "", "--reason", "x"], "pin"), (["unpin", ""], "unpin"),
                             (["cleanup", "--apply", "--explain", ""], "--explain"), (["archive", "--apply", "--group="], "--group"),
                             (["archive", "show", ""], "show"), (["backup", "--to="], "--to"), (["backup", "verify", ""], "verify"),
                             (["export", "tables", "--to", ""], "--to"), (["migrate", "state", "--from", ""], "--from"),
                             (["cal", "show", ""], "show"), (["products", "lineage", ""], "lineage"), ([""], "contimg")):
            done = self.contimg(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), f"{words}: {done.stderr}")
            self.assertEqual(done.stderr, f"contimg: expected a value after '{after}', found an empty word (a variable that is "
                             "not set?)\n")
        done = self.contimg("cleanup", "--explain", "1", "--apply")
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_numbers_that_no_record_has(self):
        subprocess.run([BIN / "made_up_stream", self.root / "scratch", self.root / "state", "0", "1", "1"], check=True)
        for words in (["pin", "9" * 20, "--reason", "x"], ["products", "show", "9" * 20], ["archive", "show", "9" * 20],
                      ["restore", "9" * 20], ["cleanup", "--explain", "9" * 20], ["pin", "-1", "--reason", "x"]):
            done = self.contimg(*words)
            self.assertEqual((done.returncode, done.stderr.count("\n")), (2, 1), f"{words}: {done.stderr}")
            self.assertNotIn("internal", done.stderr)
        self.assertEqual(self.contimg("pin").stdout, "nothing is pinned\n")

    def test_backups_of_a_clock_that_was_ahead(self):
        subprocess.run([BIN / "made_up_stream", self.root / "scratch", self.root / "state", "0", "1", "1"], check=True)
        backups = self.root / "backups"
        backups.mkdir()
        self.environment["CONTIMG_BACKUP_DIR"] = str(backups)
        done = self.contimg("backup", "--remote", "nowhere")
        self.assertEqual((done.returncode, os.listdir(backups)), (2, []), done.stderr)
        self.assertEqual(self.contimg("backup").returncode, 0)
        (made,) = backups.iterdir()
        # As if it had been made ten years from now.
        manifest = json.loads((made / "backup.json").read_text())
        manifest["made_at"] += 10 * 365 * 86400
        (made / "backup.json").write_text(json.dumps(manifest))
        made.rename(backups / "2050-01-01T000000Z")
        self.assertEqual(self.contimg("backup", "--unless-newer", "20").returncode, 0)
        self.assertEqual(len(os.listdir(backups)), 2, "the one of a time to come is no reason to make none")
        self.assertIn("there is one", self.contimg("backup", "--unless-newer", "20").stdout)
        done = self.contimg("restore-state", "latest")
        self.assertEqual(done.returncode, 2, done.stdout)
        self.assertIn("is of a time to come", done.stderr)

    def test_two_backups_of_one_second_are_two(self):
        """What changed after the first is in the second: a name taken a moment ago is not taken for the one asked for."""
        subprocess.run([BIN / "made_up_stream", self.root / "scratch", self.root / "state", "0", "1", "1"], check=True)
        backups = self.root / "backups"
        backups.mkdir()
        self.environment["CONTIMG_BACKUP_DIR"] = str(backups)
        for _ in range(3):
            self.assertEqual(self.contimg("backup").returncode, 0)
        self.assertEqual(len(os.listdir(backups)), 3)

    def test_every_command_names_a_variable_that_does_nothing_once(self):
        self.environment["CONTIMG_IMGE_SIZE"] = "512"
        nowhere = self.root / "nowhere"
        for words in (["convert", nowhere, "--out", self.root / "x.ms"], ["flag", nowhere],
                      ["solve", nowhere, "--calibrator", "3C286", "--out", nowhere],
                      ["predict", nowhere, "--calibrator", "3C286"], ["apply", nowhere, "--tables", nowhere],
                      ["image", nowhere, "--out", nowhere], ["inspect", nowhere], ["queue", "list"], ["queue", "show", "x"],
                      ["cal", "list"], ["cal", "why", "x"], ["products", "list"], ["catalog", "info"], ["status"], ["doctor"],
                      ["archive"], ["archive", "list"], ["cleanup"], ["storage"], ["verify"], ["restore", "x"], ["pin"],
                      ["backup", "list"], ["restore-state", "latest"], ["scratch", "show"], ["config", "show"], ["config", "check"]):
            done = self.contimg(*words)
            named = [line for line in done.stderr.splitlines() if "CONTIMG_IMGE_SIZE" in line]
            self.assertEqual(named, ["contimg: warning: CONTIMG_IMGE_SIZE: is no setting and does nothing (environment variable)"],
                             f"{words}: {done.stderr}")
        self.assertNotIn("CONTIMG_IMGE_SIZE", self.contimg("--quiet", "queue", "list").stderr)

    def test_times_of_the_api_are_read_alike(self):
        self.start()
        for address in ("groups?from=yesterdy", "groups?before=2025-13-01", "products?from=x", "calibration?at=13.10.2025"):
            status, text = self.get("/api/v1/" + address)
            self.assertEqual(status, 400, address)
            self.assertIn("expected a time (UTC) like 2025-10-13T13:28:03", text)
        for address in ("groups?from=yesterday&before=now", "products?from=2025-10-13", "calibration?at=today"):
            self.assertEqual(self.get("/api/v1/" + address)[0], 200, address)

    def test_output_that_does_not_arrive_is_a_failure(self):
        for words in (["config", "reference"], ["--help"], ["config", "show", "--json"]):
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run([BIN / "contimg", *words], env=self.environment, stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False)
            self.assertEqual(done.returncode, 1, words)
            self.assertIn("standard output: cannot write: No space left on device", done.stderr)
        done = subprocess.run(["bash", "-c", f"{BIN}/contimg config reference >&-"], env=self.environment,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output: cannot write", done.stderr)

    def test_man_pages_are_for_everybody(self):
        folder = self.root / "man"
        subprocess.run(["bash", "-c", f"umask 022; {BIN}/contimg generate man {folder}"], check=True)
        self.assertEqual({stat.S_IMODE(page.stat().st_mode) for page in folder.iterdir()}, {0o644})

    def hostile(self):
        files = []
        for path in sorted(self.pool.glob("*.hdf5")):
            files.append(shutil.copy(path, self.root))
            with h5py.File(files[-1], "r+") as file:
                for name in ("object_name", "telescope_name", "instrument"):
                    del file["Header"][name]
                    file["Header"][name] = HOSTILE
        return files

    def test_names_of_headers_reach_neither_terminal_nor_measurement_set(self):
        files = self.hostile()
        shown = self.answer("inspect", files[0])
        self.assertNotIn("\x1b", shown)
        self.assertNotIn("\x07", shown)
        self.assertIn(r"object 3C\x1b[31m286\x07\nsecond", shown)
        self.answer("convert", *files, "--out", self.root / "x.ms")
        for path in (self.root / "x.ms").rglob("*"):
            if path.is_file():
                self.assertNotIn(b"\x1b[31m", path.read_bytes(), path)
        self.assertNotIn("\x1b", self.answer("inspect", self.root / "x.ms"))

    def test_a_group_named_hours_off_its_data_is_told(self):
        self.start()
        wrong = "2025-10-13T19:00:00"
        for path in sorted(self.pool.glob("*.hdf5")):
            shutil.copy(path, self.incoming / path.name.replace(self.stamp, wrong))
        self.becomes(wrong, "done")
        event = next(e for e in self.read("queue", "show", wrong)[0]["events"] if e["kind"] == "stamp")
        self.assertRegex(event["detail"], r"is named 199\d\d s after its data, which begin at 2025-10-13T13:2\d:\d\dZ")
        self.assertEqual(self.log().count("check the clock of the writer"), 1)

    def test_a_damaged_queue_does_not_fill_the_log(self):
        process = self.start()
        self.send(self.stamp)
        self.becomes(self.stamp, "done")
        process.send_signal(signal.SIGSTOP)
        database = self.root / "state/ingest.sqlite3"
        # The index of the log, too: else the daemon goes on with what it remembers of the pages.
        for path in (database, pathlib.Path(f"{database}-wal"), pathlib.Path(f"{database}-shm")):
            with open(path, "r+b") as file:
                file.write(os.urandom(path.stat().st_size))
        before = len(self.log().splitlines())
        process.send_signal(signal.SIGCONT)
        for path in sorted(self.pool.glob("*.hdf5")):
            shutil.copy(path, self.incoming / path.name.replace(self.stamp, "2025-10-13T13:29:00"))
        wait_for(lambda: re.search("damaged|malformed|not a database", "\n".join(self.log().splitlines()[before:])), 60,
                 what=self.log)
        time.sleep(5)
        said = self.log().splitlines()[before:]
        self.assertLess(len(said), 40, "\n".join(said[:60]))
        self.assertIsNone(process.poll(), "the service goes on and says so")

    def test_what_the_reason_of_a_hold_is(self):
        process = self.start()
        self.send(self.stamp)
        self.becomes(self.stamp, "done")
        process.send_signal(signal.SIGTERM)  # or it would be done again before it is held
        self.assertEqual(process.wait(60), 0)
        self.answer("queue", "requeue", self.stamp)
        self.answer("queue", "hold", self.stamp, "--reason", "antenna 7 moved")
        self.assertIn("hold: antenna 7 moved", self.answer("queue", "list"))
        self.assertIn("cause      hold: antenna 7 moved", self.answer("queue", "show", self.stamp))
        self.assertEqual(self.groups()[self.stamp]["error"], "hold: antenna 7 moved")


if __name__ == "__main__":
    unittest.main()
