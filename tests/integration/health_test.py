#!/usr/bin/python3
"""What goes wrong around the daemon at night, and whether status, page, /readyz and exit status say so.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/health_test.py [-v] [HealthTest.test_name…]

Small file systems are mounted in a mount name space of its own; where that is not allowed their tests are skipped.
"""
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

import own_mounts
from daemon_under_test import BIN, DaemonUnderTest, simulate, wait_for


class HealthTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamps = simulate(cls.pool, "--tiles", 3, "--antennas", 4, "--integrations", 2, "--channels", 4)

    def setUp(self):
        self.begin("health", CONTIMG_INGEST_QUARANTINE_AFTER_S="1", CONTIMG_INGEST_STABLE_S="0.1",
                   CONTIMG_QUEUE_BACKOFF_FIRST_S="0.5", CONTIMG_QUEUE_BACKOFF_LIMIT_S="1", CONTIMG_DISK_CHECK_S="1",
                   CONTIMG_IMAGE_ENABLED="false", CONTIMG_FLAG_ENABLED="false", CONTIMG_CALIBRATE_POLICY="uncalibrated")
        self.addCleanup(self.end)

    # --- helpers -------------------------------------------------------------------------------------------------
    def findings(self):
        return {each["code"]: each for each in self.status()["health"]}

    def becomes_well(self):
        wait_for(lambda: self.get("/readyz")[0] == 200 and not self.findings(), 30, what=lambda: str(self.findings()))
        done = self.contimg("status")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("all is well", done.stdout)

    def finds(self, code, severity, *words, seconds=30):
        """The finding comes, and every face of the daemon shows it."""
        def found_so():
            finding = self.findings().get(code, {"severity": "", "sentence": ""})
            # Its numbers may still grow while files arrive.
            return finding if finding["severity"] == severity and all(w in finding["sentence"] for w in words) else None

        found = wait_for(found_so, seconds, what=lambda: f"{code} {severity} {words}: {self.findings()}\n{self.log()}")
        red = severity == "red"
        wait_for(lambda: self.get("/readyz")[0] == (503 if red else 200), 10, what=lambda: self.get("/readyz")[1])
        text = self.get("/readyz")[1]
        self.assertIn(code, text)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.metric(f'contimg_health{{code="{code}"}}'), 2 if red else 1)
        self.assertEqual(self.metric("contimg_ready"), 0 if red else 1)
        done = self.contimg("status")
        self.assertEqual(done.returncode, 1 if red else 0, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stdout)
        self.assertIn("not working" if red else "needs a look", done.stdout)
        page = self.get("/")[1]
        self.assertNotIn("All is well", page)
        self.assertIn(f"health: {code}:", self.log())
        return found

    def refused(self, environment, *words):
        """contimg-stream, --check and config check refuse to start there; gives the sentence."""
        for command in ([BIN / "contimg-stream", "--check"], [BIN / "contimg", "config", "check"],
                        [BIN / "contimg-stream"]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(done.returncode, 1, f"{command}: {done.stdout}{done.stderr}")
            sentences = [line for line in done.stderr.strip().splitlines() if "warn" not in line]  # about settings
            self.assertEqual(len(sentences), 1, done.stderr)
            for word in words:
                self.assertIn(word, sentences[0])

    def tree(self, *folders):
        return sorted(str(path) for folder in folders for path in pathlib.Path(folder).rglob("*"))

    def mount(self, name, size):
        return own_mounts.mount(self, self.root / name, size)

    # --- whose tree is this --------------------------------------------------------------------------------------
    def test_a_second_state_on_one_scratch_is_refused_while_and_after_the_first_works(self):
        process = self.start()
        other = {**self.environment, "CONTIMG_STATE_DIR": str(self.root / "state2")}
        self.refused(other, f"process {process.pid} works there now", socket.gethostname(), str(self.root / "state"))
        process.terminate()
        process.wait()
        before = self.tree(self.root / "scratch")
        self.refused(other, f"last used by process {process.pid}", str(self.root / "state"))
        self.assertFalse((self.root / "state2").exists())
        self.assertEqual(self.tree(self.root / "scratch"), before)
        self.start()
        self.becomes_well()

    def test_a_check_changes_nothing_on_disk(self):
        before = self.tree(self.root)
        for command in ([BIN / "contimg-stream", "--check"], [BIN / "contimg", "config", "check"]):
            done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.tree(self.root), before)
        self.assertFalse(self.staging.exists())

    def test_a_disk_that_is_not_mounted_at_the_start_is_refused_and_left_empty(self):
        scratch = self.root / "scratch"
        process = self.start()
        process.terminate()
        process.wait()
        scratch.rename(self.root / "unmounted")
        scratch.mkdir()
        self.refused(self.environment, str(scratch), "most likely its disk is not mounted", "contimg scratch adopt")
        self.assertEqual(self.tree(scratch), [])
        # On purpose: the command of the sentence.
        self.answer("scratch", "adopt")
        self.start()
        self.becomes_well()

    def test_a_disk_that_goes_stops_work_and_one_that_returns_lets_it_go_on(self):
        self.incoming = self.root / "in"
        self.incoming.mkdir()
        self.environment["CONTIMG_INPUT_DIR"] = str(self.incoming)
        scratch = self.root / "scratch"
        self.start()
        self.becomes_well()
        scratch.rename(self.root / "away")
        scratch.mkdir()
        self.finds("tree_missing", "red", str(scratch), "no new work starts")
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "ready")
        wait_for(lambda: self.metric("contimg_dispatch_allowed") == 0)
        self.assertEqual(self.tree(scratch), [])
        self.assertEqual(self.state(self.stamps[0]), "ready")
        scratch.rmdir()
        (self.root / "away").rename(scratch)
        self.becomes(self.stamps[0], "done")
        self.becomes_well()

    def test_a_worker_whose_disk_goes_makes_nothing_there(self):
        self.incoming = self.root / "in"
        self.incoming.mkdir()
        self.environment["CONTIMG_INPUT_DIR"] = str(self.incoming)
        scratch = self.root / "scratch"
        self.replace_worker(f"touch {self.root}/runs; while [ ! -e {self.root}/go ]; do sleep 0.05; done; "
                            "exec \"$REAL\" \"$@\"")
        self.start()
        self.send(self.stamps[0])
        wait_for((self.root / "runs").exists)
        scratch.rename(self.root / "away")
        scratch.mkdir()
        (self.root / "go").touch()
        wait_for(lambda: self.groups()[self.stamps[0]]["state"] == "failed")
        row = self.groups()[self.stamps[0]]
        self.assertEqual(row["error_kind"], "io")
        self.assertIn("most likely not mounted", row["error"])
        self.assertEqual(self.tree(scratch), [])
        scratch.rmdir()
        (self.root / "away").rename(scratch)
        self.becomes(self.stamps[0], "done")

    # --- disks ---------------------------------------------------------------------------------------------------
    def test_a_read_only_disk(self):
        output = self.mount("small", "200m")
        self.environment["CONTIMG_OUTPUT_DIR"] = str(output)
        self.start()
        self.becomes_well()
        subprocess.run(["mount", "-o", "remount,ro", output], check=True)
        self.finds("tree_read_only", "red", str(output), "Read-only file system")
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "ready")
        subprocess.run(["mount", "-o", "remount,rw", output], check=True)
        self.becomes(self.stamps[0], "done")
        self.becomes_well()

    def test_a_full_disk(self):
        output = self.mount("small", "300k")
        self.environment.update(CONTIMG_OUTPUT_DIR=str(output), CONTIMG_DISK_WARN_FREE_BYTES="2",
                                CONTIMG_DISK_CRITICAL_FREE_BYTES="1")
        self.start()
        self.becomes_well()
        self.send(self.stamps[0])
        wait_for(lambda: "groups_failing" in self.findings())
        self.finds("groups_failing", "red", self.stamps[0], "attempts so far")
        subprocess.run(["mount", "-o", "remount,size=200m", output], check=True)
        self.becomes(self.stamps[0], "done")
        self.becomes_well()

    def test_a_limit_that_was_set_holds_on_a_small_disk_and_is_shown(self):
        output = self.mount("small", "100m")
        self.environment.update(CONTIMG_OUTPUT_DIR=str(output), CONTIMG_DISK_WARN_FREE_BYTES="70000000",
                                CONTIMG_DISK_CRITICAL_FREE_BYTES="60000000")
        rule = "no new work below 60.0 MB (disk.critical_free_bytes)"
        self.assertIn(rule, self.answer("config", "check"))
        self.start()
        self.becomes_well()
        self.assertIn(rule, self.status()["disks"]["scratch"]["limits"])
        self.assertIn(rule, self.contimg("status").stdout)
        (output / "ballast").write_bytes(b"x" * 40_000_000)
        self.finds("disk_full", "amber", str(output))
        (output / "more").write_bytes(b"x" * 10_000_000)
        self.finds("disk_full", "red", str(output), rule)
        (output / "ballast").unlink()
        self.becomes_well()

    # --- what comes in -------------------------------------------------------------------------------------------
    def test_an_incoming_directory_that_is_renamed(self):
        self.environment["CONTIMG_INGEST_RESCAN_S"] = "3600"
        self.start()
        self.becomes_well()
        self.incoming.rename(self.root / "scratch/renamed")
        self.finds("incoming_missing", "red", str(self.incoming), "is not there")
        (self.root / "scratch/renamed").rename(self.incoming)
        self.becomes_well()
        self.send(self.stamps[0])
        self.becomes(self.stamps[0], "done")

    def test_files_in_quarantine_and_the_cure_that_is_shown(self):
        self.start()
        self.becomes_well()
        stamp = self.stamps[0]
        self.send(stamp, range(1, 16))
        good = (self.pool / f"{stamp}_sb00.hdf5").read_bytes()
        (self.incoming / f"{stamp}_sb00.hdf5").write_bytes(good[:20000])
        found = self.finds("files_quarantined", "amber", "1 file in quarantine", f"{stamp}_sb00.hdf5")
        # The same bytes are refused again, and the only copy is nothing to remove: no command.
        self.assertEqual(found["cure"], "")
        self.assertIn("get it anew from the correlator", found["sentence"])
        # Sent again, taken: now the command shown removes the bad one and leaves the good one alone.
        (self.incoming / f"{stamp}_sb00.hdf5").write_bytes(good)
        found = self.finds("files_quarantined", "amber", "another copy has been taken")
        subprocess.run(found["cure"], shell=True, check=True)
        self.assertEqual((self.incoming / f"{stamp}_sb00.hdf5").read_bytes(), good)
        self.becomes(stamp, "done")
        self.becomes_well()
        for number in range(3):
            (self.incoming / f"{self.stamps[1]}_sb{number:02d}.hdf5").write_bytes(b"no HDF5" * 100)
        self.finds("files_quarantined", "red", "3 within the last hour")
        shutil.rmtree(self.root / "scratch/quarantine")
        self.becomes_well()

    def test_names_that_are_not_recognised(self):
        self.start()
        for number in range(15):
            (self.incoming / f"20251013T132803_sb{number:02d}.hdf5").write_bytes(b"x")
        self.finds("names_unknown", "amber", "15 files", "20251013T132803_sb00.hdf5", "2025-10-13T13:28:03_sb00.hdf5")
        (self.incoming / "20251013T132803_sb15.hdf5").write_bytes(b"x")
        self.finds("names_unknown", "red", "16 files")
        for path in self.incoming.glob("2025*"):
            path.unlink()
        self.becomes_well()

    # --- groups and workers --------------------------------------------------------------------------------------
    def test_workers_that_die_and_groups_that_are_given_up(self):
        self.replace_worker(f"[ -e {self.root}/go ] && exec \"$REAL\" \"$@\"; kill -SEGV $$")
        process = self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "dead")
        # One cause, told once.
        self.finds("groups_dead", "amber", "1 group given up", self.stamps[0], "signal 11",
                   "2 workers died at it within the last hour")
        self.assertNotIn("workers_killed", self.findings())
        for stamp in self.stamps[1:]:
            self.send(stamp)
        dead = self.finds("groups_dead", "red", "3 groups given up, the last 3 to end one after the other")
        self.finds("workers_killed", "red", "6 workers died")
        # The hour is not over because the service was started anew.
        process.terminate()
        process.wait(60)
        self.start()
        self.finds("workers_killed", "red", "6 workers died")
        (self.root / "go").touch()
        subprocess.run(dead["cure"].replace("contimg", str(BIN / "contimg"), 1), shell=True, check=True,
                       env=self.environment, capture_output=True)
        for stamp in self.stamps:
            wait_for(lambda stamp=stamp: self.state(stamp) == "done")
        wait_for(lambda: "groups_dead" not in self.findings())

    def test_held_groups_say_why(self):
        self.start()
        self.send(self.stamps[0], [0])
        wait_for(lambda: self.state(self.stamps[0]) == "collecting")
        self.answer("queue", "hold", self.stamps[0], "--reason", "the dish was moved")
        found = self.finds("groups_held", "amber", self.stamps[0], "the dish was moved")
        self.assertEqual(found["cure"], f"contimg queue release {self.stamps[0]}")

    def test_a_disk_that_is_going_to_be_full(self):
        self.environment.update(CONTIMG_DISK_WARN_FREE_BYTES="2MB", CONTIMG_DISK_CRITICAL_FREE_BYTES="1MB")
        self.let_the_disk_shrink(shutil.disk_usage(self.root).free // 24)
        process = self.start()
        found = self.finds("disk_will_fill", "amber", "the scratch disk will have no room for new work in ")
        self.assertEqual(found["cure"], "contimg storage report")
        forecast = self.metric("contimg_scratch_disk_seconds_to_critical")
        self.assertAlmostEqual(forecast / 86400, 1, delta=0.1)
        self.assertLess(forecast, self.metric("contimg_scratch_disk_forecast_limit_seconds"))
        self.assertIn("  scratch: no room for new work in ", self.contimg("status").stdout)
        self.assertAlmostEqual(self.read("storage", "report")["full_in_s"] / 86400, 1, delta=0.1)
        self.assertIn("it will have no room for new work in ", self.answer("storage"))
        self.stopped(process)
        self.start(CONTIMG_DISK_FORECAST_DAYS="0")
        self.becomes_well()

    # --- copies and damage ---------------------------------------------------------------------------------------
    def stopped(self, process):
        process.terminate()
        self.assertEqual(process.wait(60), 0, self.log())

    def test_damage_an_archive_that_refuses_and_a_backup_that_is_missing(self):
        process = self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "done", 120)
        self.becomes_well()
        self.stopped(process)
        # One byte of a product, of which there is no copy; the place for copies is none.
        path = next(pathlib.Path(row["path"]) for row in self.read("products", "list") if row["kind"] == "science_ms")
        part = max((each for each in path.iterdir() if each.is_file()), key=lambda each: each.stat().st_size)
        whole = part.read_bytes()
        part.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        self.assertEqual(self.contimg("verify", "--local", "--share", 1).returncode, 3)
        (self.root / "no_folder").write_text("")
        self.environment["CONTIMG_ARCHIVE_REMOTES"] = f'[{{name = "lake", target = "{self.root}/no_folder/x", retries = 0}}]'
        self.assertEqual(self.contimg("archive", "--apply", "--older-than", 0).returncode, 1)
        identity = self.root / "state/identity.json"
        began = json.loads(identity.read_text())
        identity.write_text(json.dumps({**began, "since": "2020-01-01T00:00:00Z"}))
        process = self.start()
        found = self.finds("integrity_damaged", "red", str(path), "of 1 there is no copy")
        self.assertEqual(found["cure"], "contimg verify --failed")
        self.assertIn(str(path), self.answer("verify", "--failed"))
        self.stopped(process)
        part.write_bytes(whole)
        self.answer("verify", "--local", "--share", 0.01)  # what is open is read, however small the share
        process = self.start()
        found = self.finds("archive_behind", "amber", "the last run of the archive failed: ", "wait for verified copies")
        self.assertEqual(found["cure"], "contimg archive --apply")
        self.finds("backup_behind", "amber", "no backup of the databases was made since the first start")
        self.stopped(process)
        self.environment["CONTIMG_ARCHIVE_REMOTES"] = f'[{{name = "lake", target = "{self.root}/lake"}}]'
        if shutil.which("rclone") is None:
            self.environment.pop("CONTIMG_ARCHIVE_REMOTES")
        else:
            self.answer("archive", "--apply", "--older-than", 0)
        self.answer("backup")
        process = self.start()
        wait_for(lambda: self.metric("contimg_integrity_open_findings") == 0, 30)
        self.becomes_well()
        if shutil.which("rclone") is None:
            return
        # A copy is gone, and the next run makes another.
        (copy,) = [each for each in (self.root / "lake").rglob("*.incoming.tar")]
        copy.unlink()
        self.assertEqual(self.contimg("archive", "verify", "--share", 1).returncode, 3)
        self.stopped(process)
        process = self.start()
        self.finds("copies_lost", "amber", f"lake:{copy.relative_to(self.root / 'lake')}")
        self.stopped(process)
        self.answer("archive", "--apply", "--older-than", 0)
        self.start()
        wait_for(lambda: self.metric("contimg_integrity_open_findings") == 0, 30)
        self.becomes_well()

    # --- the server ----------------------------------------------------------------------------------------------
    def test_silent_connections_shut_nobody_out(self):
        self.start()
        self.becomes_well()
        silent = [socket.create_connection(("127.0.0.1", self.port())) for _ in range(100)]
        self.addCleanup(lambda: [each.close() for each in silent])
        for each in silent[::2]:
            try:
                each.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow")
            except OSError:
                pass  # it had to make room already
        for path in ("/healthz", "/readyz", "/metrics", "/api/v1/status", "/"):
            self.assertEqual(self.get(path)[0], 200, path)
        self.assertEqual(self.contimg("status").returncode, 0)

    def test_foreign_names_are_refused(self):
        self.environment["CONTIMG_HTTP_ALLOWED_HOSTS"] = "pipeline.example.org, other.example.org"
        self.start()
        for host, expected in (("evil.example.org", 421), ("localhost", 200), (socket.gethostname(), 200),
                               ("other.example.org:80", 200)):
            status, _, body = self.fetch("/api/v1/status", headers={"Host": host})
            self.assertEqual(status, expected, host)
            if expected == 421:
                self.assertIn("http.allowed_hosts", json.loads(body)["error"])

    def test_listening_on_every_address_is_said_loudly(self):
        self.environment["CONTIMG_HTTP_LISTEN"] = "0.0.0.0:0"
        self.start()
        self.finds("listening_openly", "amber", "0.0.0.0:0")
        self.assertIn("HTTP LISTENS ON EVERY ADDRESS", self.log())

    # --- contimg status ------------------------------------------------------------------------------------------
    def test_exit_status_of_status(self):
        done = self.contimg("status")
        self.assertEqual(done.returncode, 1)
        self.assertIn("stopped", done.stdout)
        self.assertEqual(list((self.root / "state").iterdir()), [])  # asking makes no database
        process = self.start()
        self.becomes_well()
        process.terminate()
        process.wait()
        done = self.contimg("status", "--json")
        self.assertEqual(done.returncode, 1)
        self.assertEqual(json.loads(done.stdout)["daemon"], "stopped")

    def test_a_user_who_may_not_read_the_lock_is_told_so_and_the_daemon_is_asked(self):
        if os.geteuid() != 0 or "uid" in os.environ.get(own_mounts.ALONE, ""):
            self.skipTest("becoming another user needs root")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.environment["CONTIMG_HTTP_LISTEN"] = f"127.0.0.1:{free.getsockname()[1]}"
        (self.root / "state").chmod(0o700)
        self.root.chmod(0o755)

        def ask():
            try:
                return subprocess.run([BIN / "contimg", "status"], env=self.environment, capture_output=True, text=True,
                                      user=65534, group=65534, extra_groups=[], cwd="/", check=False)
            except PermissionError:
                self.skipTest("another user may not run the programs here")
        done = ask()
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot tell whether contimg-stream runs: Permission denied", done.stdout)
        self.start()
        self.becomes_well()
        done = ask()
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("running, all is well", done.stdout)


if __name__ == "__main__":
    own_mounts.enter()
    unittest.main()
