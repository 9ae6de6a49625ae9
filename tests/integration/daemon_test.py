#!/usr/bin/python3
"""The daemon from outside: started as a service is, fed files, disturbed, and asked what it did.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/daemon_test.py [-v] [DaemonTest.test_name…]
"""
import collections
import json
import os
import pathlib
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest
import urllib.parse
import urllib.error
import urllib.request

from daemon_under_test import BIN, DaemonUnderTest, ended, simulate, wait_for


class DaemonTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamps = simulate(cls.pool, "--tiles", 3, "--antennas", 4, "--integrations", 2, "--channels", 4)

    def setUp(self):
        self.begin("daemon", CONTIMG_INGEST_DEADLINE_S="60", CONTIMG_INGEST_QUARANTINE_AFTER_S="2",
                   CONTIMG_QUEUE_BACKOFF_FIRST_S="0.5", CONTIMG_QUEUE_BACKOFF_LIMIT_S="2",
                   CONTIMG_EXECUTOR_KILL_AFTER_S="1", CONTIMG_IMAGE_ENABLED="false", CONTIMG_FLAG_ENABLED="false",
                   CONTIMG_CALIBRATE_POLICY="uncalibrated")
        self.addCleanup(self.end)

    # --- the normal course ---------------------------------------------------------------------------------------
    def test_complete_group_becomes_a_measurement_set_within_a_second_of_its_last_file(self):
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(15))
        time.sleep(1)
        self.assertEqual(self.state(stamp), "collecting")
        self.send(stamp, [15])
        closed = time.time()
        wait_for(lambda: self.state(stamp) == "done", 60)
        database = sqlite3.connect(f"file:{self.root}/state/ingest.sqlite3?mode=ro", uri=True)
        ready = database.execute("SELECT at FROM events WHERE to_state = 'ready'").fetchone()[0]
        print(f"\nfile closed -> group ready: {ready - closed:.3f} s", file=sys.stderr)
        self.assertTrue((self.root / f"scratch/ms/science/{stamp[:10]}/{stamp}.ms/table.dat").exists())
        self.assertEqual(list(self.staging.glob("*")), [])

    def test_metrics_pass_promtool_and_status_is_json(self):
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        text = self.get("/metrics")[1]
        # Three names were agreed with the telescope before promtool was asked; all others are by its rules.
        agreed = ("contimg_scratch_disk_free_gb", "contimg_tmpfs_usage_percent", "contimg_incoming_file_count")
        for name in agreed:
            self.assertRegex(text, rf"(?m)^{name} ")
        text = "".join(line for line in text.splitlines(keepends=True) if not any(name in line for name in agreed))
        check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
        self.assertEqual((check.returncode, check.stdout + check.stderr), (0, ""))
        self.assertEqual(self.metric("contimg_files_accepted_total"), 16)
        status = json.loads(self.contimg("status", "--json").stdout)
        self.assertEqual(status["daemon"], "running")
        self.assertTrue(status["ready"])
        self.assertEqual(self.get("/readyz")[0], 200)
        self.assertEqual(self.get("/nothing")[0], 404)

    def test_prometheus_scrapes_the_right_figures(self):
        if shutil.which("prometheus") is None:
            self.skipTest("prometheus is not installed")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = self.root / "prometheus.yml"
        config.write_text(textwrap.dedent(f"""
            global: {{scrape_interval: 1s}}
            scrape_configs:
              - job_name: contimg
                static_configs: [{{targets: ['127.0.0.1:{self.port()}']}}]
            """))
        server = subprocess.Popen(["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self.root}/tsdb",
                                   f"--web.listen-address=127.0.0.1:{port}"], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
        self.processes.append(server)

        def query(expression):
            url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    result = json.load(answer)["data"]["result"]
            except (urllib.error.URLError, ConnectionError):
                return None
            return float(result[0]["value"][1]) if result else None

        self.assertEqual(wait_for(lambda: query("up{job='contimg'}"), 60), 1)
        wait_for(lambda: query("contimg_groups{state='done'}") == 1, 20)
        # One more group, one file of which is garbage.
        self.send(self.stamps[1], range(15))
        (self.incoming / f"{self.stamps[1]}_sb15.hdf5").write_bytes(b"no HDF5" * 1000)
        wait_for(lambda: query("contimg_files_rejected_total{reason='unreadable'}") == 1, 30)
        wait_for(lambda: query("contimg_groups{state='collecting'}") == 1, 20)
        bytes_sent = sum(p.stat().st_size for p in self.incoming.glob("*.hdf5"))
        disk = os.statvfs(self.root)
        for expression, value in {
                "contimg_files_seen_total": 32, "contimg_files_accepted_total": 31, "contimg_input_bytes_total": bytes_sent,
                "contimg_groups_closed_total{outcome='complete'}": 1, "contimg_groups_closed_total{outcome='incomplete'}": 0,
                "sum(contimg_jobs_total{outcome='ok'})": 1, "sum(contimg_jobs_total)": 1, "contimg_stage_duration_seconds_count{stage='convert'}": 1,
                "contimg_job_duration_seconds_count": 1, "contimg_queue_wait_seconds_count": 1, "contimg_worker_slots": 1,
                "contimg_workers_running": 0, "contimg_dispatch_allowed": 1, "contimg_watcher_polling": 0,
                "contimg_scratch_disk_size_bytes": disk.f_blocks * disk.f_frsize, "count(contimg_groups)": 9,
                "contimg_products_missing": 0, "contimg_database_failures_total": 0}.items():
            self.assertEqual(query(expression), value, expression)
        wait_for(lambda: query("contimg_incoming_files") == 31, 20)
        for expression, low, high in (
                ("contimg_oldest_unprocessed_group_age_seconds", 0.1, 120), ("contimg_seconds_since_last_file", 0, 120),
                ("contimg_tmpfs_usage_ratio", 0, 1), ("process_resident_memory_bytes", 5e6, 1e8),
                ("contimg_job_peak_memory_bytes_sum", 1e6, 8e9), ("contimg_directory_bytes{directory='incoming'}", 0, 1e9),
                ("process_open_fds", 5, 100), ("time() - process_start_time_seconds", 0.1, 300),
                ("contimg_scratch_disk_free_bytes", 1e6, disk.f_blocks * disk.f_frsize)):
            self.assertTrue(low <= query(expression) <= high, f"{expression} = {query(expression)}")

    # --- the service manager -------------------------------------------------------------------------------------
    def test_tells_the_service_manager_ready_alive_status_reloading_and_stopping(self):
        path = str(self.root / "notify")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(0.2)
            heard = []

            def listen():
                try:
                    while True:
                        heard.append(manager.recv(4096).decode())
                except TimeoutError:
                    pass
                return "\n".join(heard)

            process = self.start(wait=False, NOTIFY_SOCKET=path, WATCHDOG_USEC="400000")
            wait_for(lambda: "READY=1" in listen(), 30)
            wait_for(lambda: listen().count("WATCHDOG=1") >= 3, 10)
            self.assertIn("STATUS=", listen())
            process.send_signal(signal.SIGHUP)
            wait_for(lambda: "RELOADING=1" in listen() and listen().count("READY=1") == 2, 10)
            process.send_signal(signal.SIGTERM)
            wait_for(lambda: "STOPPING=1" in listen(), 10)
            self.assertEqual(process.wait(20), 0)

    def test_reload_takes_new_settings_and_keeps_the_old_ones_when_they_are_wrong(self):
        config = self.root / "contimg.toml"
        config.write_text("[ingest]\nmin_subbands = 12\n")
        process = self.start(CONTIMG_CONFIG=str(config))
        config.write_text("[ingest]\nmin_subbandz = 12\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the old settings stay" in self.log(), 10)
        config.write_text("[daemon]\nlog_format = 'json'\n")
        process.send_signal(signal.SIGHUP)
        wait_for(lambda: '"message":"settings reloaded' in self.log(), 10)

    def test_second_daemon_on_the_same_state_refuses(self):
        self.start()
        second = subprocess.run([self.bin / "contimg-stream"], env=self.environment, capture_output=True, text=True,
                                timeout=30, check=False)
        self.assertEqual(second.returncode, 1)
        self.assertIn("another contimg-stream", second.stderr)

    def test_sigterm_hands_work_back(self):
        self.replace_worker("trap '' TERM; sleep 100")
        process = self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "running")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(20), 0)
        self.assertLess(time.monotonic() - begun, 15)
        self.assertEqual(self.state(self.stamps[0]), "ready")

    # --- failures of workers -------------------------------------------------------------------------------------
    def test_crash_is_tried_twice_then_dead_with_a_log_that_says_why(self):
        self.replace_worker("echo last words >&2; kill -SEGV $$")
        self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "dead")
        row = self.groups()[stamp]
        self.assertEqual((row["error_kind"], row["attempts"]), ("crash", 2))
        log = (self.root / f"scratch/ms/failed/{stamp[:10]}/{stamp}.log").read_text()
        for words in ("signal 11", "peak memory", "last words", "repeat with", "worker"):
            self.assertIn(words, log)
        # The command in the log repeats the job (with the worker that does not crash).
        command = next(line.split("repeat with", 1)[1].split() for line in log.splitlines() if "repeat with" in line)
        again = subprocess.run([BIN / "contimg", *command[1:]], capture_output=True, text=True, check=False)
        self.assertEqual(again.returncode, 0, again.stderr)

    def test_what_a_group_that_fails_in_its_image_leaves_is_kept_for_a_look(self):
        """Its Measurement Set was written by then: whole, in ms/failed, on record; and the group can be made anew."""
        self.environment.update(CONTIMG_IMAGE_ENABLED="true", CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="12",
                                CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_QUEUE_MAX_ATTEMPTS="2")
        stamp = self.stamps[0]
        in_the_way = self.root / f"scratch/images/single/{stamp[:10]}"
        in_the_way.parent.mkdir(parents=True)
        in_the_way.touch()
        self.start()
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "dead")
        made, kept = (self.root / f"scratch/ms/{place}/{stamp[:10]}/{stamp}.ms" for place in ("science", "failed"))
        wait_for(kept.with_suffix(".log").exists)
        self.assertFalse(made.exists())
        looked = self.contimg("inspect", kept)
        self.assertEqual(looked.returncode, 0, looked.stderr)
        self.assertIn(str(kept), kept.with_suffix(".log").read_text())
        rows = {row["path"]: row for row in self.read("products", "list") if row["kind"] == "science_ms"}
        self.assertEqual(list(rows), [str(kept)])
        self.assertEqual(len(self.read("products", "lineage", kept)["product"]["parents"]), 16)
        self.assertIn("class failed", self.contimg("cleanup", "--explain", kept).stdout)
        in_the_way.unlink()
        self.answer("queue", "requeue", stamp)
        wait_for(lambda: self.state(stamp) == "done")
        self.assertTrue(made.exists() and kept.exists())
        states = {row["path"]: row["status"] for row in self.read("products", "list") if row["kind"] == "science_ms"}
        self.assertEqual(states, {str(made): "present", str(kept): "present"})

    def test_hanging_worker_is_ended_at_its_time_limit(self):
        self.environment["CONTIMG_EXECUTOR_JOB_LIMIT_S"] = "1"
        self.replace_worker("trap '' TERM; sleep 1000")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "dead")
        self.assertEqual(self.groups()[self.stamps[0]]["error_kind"], "timeout")

    def test_worker_over_its_memory_limit_is_ended(self):
        self.environment["CONTIMG_EXECUTOR_MEMORY_BYTES"] = "100000000"
        self.environment["CONTIMG_QUEUE_MAX_ATTEMPTS"] = "2"
        self.replace_worker("exec /usr/bin/python3 -c 'import time; x = bytearray(300000000); time.sleep(100)'")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "dead")
        row = self.groups()[self.stamps[0]]
        self.assertEqual(row["error_kind"], "resource")
        self.assertIn("may use 100 MB", row["error"])

    def test_workers_die_with_the_daemon_and_their_groups_go_on(self):
        self.replace_worker(f"echo $$ >> {self.root}/pids; [ -e {self.root}/go ] && exec $REAL \"$@\"; sleep 1000")
        process = self.start()
        self.send(self.stamps[0])
        pid = int(wait_for(lambda: (self.root / "pids").exists() and (self.root / "pids").read_text().split())[0])
        process.kill()
        process.wait()
        wait_for(lambda: ended(pid), 10)
        (self.root / "go").touch()
        self.start()
        wait_for(lambda: self.state(self.stamps[0]) == "done")

    def test_daemon_killed_between_report_and_record_takes_the_finished_work_over(self):
        self.replace_worker(f"\"$REAL\" \"$@\"; [ -e {self.root}/killed ] || {{ touch {self.root}/killed; kill -KILL $PPID; }}")
        process = self.start()
        self.send(self.stamps[0])
        self.assertEqual(process.wait(60), -signal.SIGKILL)
        self.assertEqual(self.groups()[self.stamps[0]]["state"], "running")
        self.start()
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.assertEqual(self.groups()[self.stamps[0]]["attempts"], 1)
        self.assertIn("had finished before the daemon could record it", self.log())

    # --- records and products ------------------------------------------------------------------------------------
    def test_products_that_are_gone_are_reported_after_a_start_and_made_again_on_request(self):
        process = self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "done")
        product = self.root / f"scratch/ms/science/{stamp[:10]}/{stamp}.ms"
        process.terminate()
        process.wait()
        shutil.rmtree(product)
        process = self.start()
        wait_for(lambda: self.metric("contimg_products_missing") == 1, 20)
        self.assertIn("recorded and missing on disk", self.contimg("status").stdout)
        self.assertIn("is missing", self.contimg("queue", "show", stamp).stdout)
        self.assertEqual(self.contimg("queue", "requeue", stamp).returncode, 0)
        wait_for(lambda: product.exists() and self.state(stamp) == "done")
        process.terminate()
        process.wait()
        self.start()
        wait_for(lambda: self.get("/readyz")[0] == 200)
        wait_for(lambda: self.metric("contimg_products_missing") == 0, 20)

    def test_products_without_a_record_get_one_at_the_start(self):
        process = self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "done")
        process.terminate()
        process.wait()
        for path in (self.root / "state").glob("products.sqlite3*"):
            path.unlink()
        self.start()

        def row():
            database = sqlite3.connect(f"file:{self.root}/state/products.sqlite3?mode=ro", uri=True)
            return database.execute("SELECT kind, path, status FROM products WHERE group_id = ?", (stamp,)).fetchall()
        product = str(self.root / f"scratch/ms/science/{stamp[:10]}/{stamp}.ms")
        wait_for(lambda: ("science_ms", product, "present") in row(), 20)
        self.assertIn("has one now", self.contimg("queue", "show", stamp).stdout)

    # --- the operator --------------------------------------------------------------------------------------------
    def test_operator_cancels_a_running_group_and_requeues_it(self):
        self.replace_worker(f"[ -e {self.root}/go ] && exec $REAL \"$@\"; sleep 1000")
        self.start()
        stamp = self.stamps[0]
        self.send(stamp)
        wait_for(lambda: self.state(stamp) == "running")
        self.assertEqual(self.contimg("queue", "cancel", stamp).returncode, 0)
        wait_for(lambda: self.metric("contimg_workers_running") == 0, 20)
        self.assertEqual(self.state(stamp), "cancelled")
        (self.root / "go").touch()
        self.assertEqual(self.contimg("queue", "requeue", stamp, "--reason", "by mistake").returncode, 0)
        wait_for(lambda: self.state(stamp) == "done")
        # Done groups can be made anew: still one product.
        self.assertEqual(self.contimg("queue", "requeue", stamp).returncode, 0)
        wait_for(lambda: self.groups()[stamp]["state"] == "done" and [line for line in self.get("/metrics")[1].splitlines()
                 if line.startswith('contimg_jobs_total{outcome="ok"') and not line.endswith(" 0")]
                 == ['contimg_jobs_total{outcome="ok",stage="write"} 2'], 60)
        self.assertEqual(len(list((self.root / "scratch/ms/science").glob("*/*"))), 1)
        self.assertEqual([p for p in (self.root / "scratch/ms/science").rglob(".*")], [])

    def test_hold_and_release(self):
        self.replace_worker(f"while [ ! -e {self.root}/go ]; do sleep 0.1; done; exec $REAL \"$@\"")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "running")
        self.send(self.stamps[1])
        wait_for(lambda: self.state(self.stamps[1]) == "ready")
        self.assertEqual(self.contimg("queue", "hold", self.stamps[1]).returncode, 0)
        (self.root / "go").touch()
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        time.sleep(2)
        self.assertEqual(self.state(self.stamps[1]), "held")
        self.assertEqual(self.contimg("queue", "release", self.stamps[1]).returncode, 0)
        wait_for(lambda: self.state(self.stamps[1]) == "done")

    def test_late_subbands_are_offered_and_taken_along_on_request(self):
        self.environment.update(CONTIMG_INGEST_MIN_SUBBANDS="15", CONTIMG_INGEST_DEADLINE_S="3")
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(15))
        wait_for(lambda: self.state(stamp) == "done")
        self.send(stamp, [15])
        wait_for(lambda: self.metric("contimg_late_subbands") == 1, 20)
        self.assertIn("--late", self.contimg("status").stdout)
        self.assertIn(stamp, self.contimg("queue", "list", "--late").stdout)
        self.assertEqual(self.contimg("queue", "requeue", "--late").returncode, 0)
        wait_for(lambda: (self.groups()[stamp]["state"], self.groups()[stamp]["subbands_present"]) == ("done", 16))
        wait_for(lambda: self.metric("contimg_late_subbands") == 0, 20)

    def test_asking_twice_is_no_error(self):
        self.start()
        self.send(self.stamps[0], [0])
        wait_for(lambda: self.state(self.stamps[0]) == "collecting")
        for _ in range(2):
            self.assertEqual(self.contimg("queue", "hold", self.stamps[0]).returncode, 0)
        self.assertEqual(self.state(self.stamps[0]), "held")
        for _ in range(2):
            self.assertEqual(self.contimg("queue", "cancel", self.stamps[0]).returncode, 0)
        self.assertEqual(self.state(self.stamps[0]), "cancelled")

    def test_mistyped_state_directory_is_not_an_empty_queue(self):
        done = subprocess.run([BIN / "contimg", "queue", "list"], capture_output=True, text=True, check=False,
                              env={**self.environment, "CONTIMG_STATE_DIR": str(self.root / "scratch")})
        self.assertEqual(done.returncode, 1)
        self.assertIn("is CONTIMG_STATE_DIR right?", done.stderr)
        self.assertEqual(list((self.root / "scratch").glob("*.sqlite3")), [])

    def test_wrong_requests_are_refused_with_a_sentence(self):
        self.start()
        for words in (("queue", "requeue", "2000-01-01T00:00:00"), ("queue", "cancel"), ("queue", "list", "--state", "x")):
            done = self.contimg(*words)
            self.assertEqual(done.returncode, 2, words)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)

    # --- trouble around it ---------------------------------------------------------------------------------------
    def test_locked_database_delays_and_loses_nothing(self):
        self.start()
        lock = sqlite3.connect(self.root / "state/ingest.sqlite3", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        self.send(self.stamps[0])
        time.sleep(20)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.assertEqual(self.get("/readyz")[0], 503)
        lock.execute("ROLLBACK")
        wait_for(lambda: self.state(self.stamps[0]) == "done")

    def test_unreadable_file_goes_to_quarantine_and_the_group_waits_for_a_good_one(self):
        self.start()
        stamp = self.stamps[0]
        self.send(stamp, range(15))
        name = f"{stamp}_sb15.hdf5"
        (self.incoming / name).write_bytes((self.pool / name).read_bytes()[:50000])
        wait_for(lambda: list((self.root / "scratch/quarantine").glob(f"*/{name}.reason")))
        self.assertFalse((self.incoming / name).exists())
        self.assertEqual(self.state(stamp), "collecting")
        self.send(stamp, [15])
        wait_for(lambda: self.state(stamp) == "done")

    def test_file_that_kills_its_reader_harms_no_other(self):
        poison = f"{self.stamps[2]}_sb07.hdf5"
        self.replace_worker("exec \"$REAL\" \"$@\"", checker=f"""while read -r path; do
            case $path in *{poison}) kill -SEGV $$ ;; esac
            printf '%s\\n' "$path" | "$REAL" worker --check-files
        done""")
        self.start()
        for stamp in self.stamps:
            self.send(stamp)
        for stamp in self.stamps[:2]:
            wait_for(lambda stamp=stamp: self.state(stamp) == "done")
        reason = wait_for(lambda: list((self.root / "scratch/quarantine").glob(f"*/{poison}.reason")))[0]
        self.assertRegex(reason.read_text(), r"died of signal \d+ \(.*\) at this file")
        self.assertEqual(self.state(self.stamps[2]), "collecting")
        self.assertEqual(self.groups()[self.stamps[2]]["subbands_present"], 15)

    def test_other_names_are_ignored(self):
        self.start()
        for name in (f"{self.stamps[0]}_sb00_incomplete.hdf5", f".{self.stamps[0]}_sb00.hdf5.Xy12ab", "notes.txt"):
            (self.incoming / name).write_text("x")
        time.sleep(2)
        self.assertEqual(self.metric("contimg_files_seen_total"), 0)

    def test_files_present_at_the_start_and_polling(self):
        self.environment.update(CONTIMG_INGEST_WATCH="poll", CONTIMG_INGEST_POLL_S="0.5")
        self.send(self.stamps[0])
        self.start()
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.send(self.stamps[1])
        wait_for(lambda: self.state(self.stamps[1]) == "done")
        self.assertEqual(self.metric("contimg_watcher_polling"), 1)

    def test_exhausted_inotify_watches_are_said_and_polling_serves(self):
        """The limit is that of a user name space of its own."""
        limited = ["unshare", "--user", "--map-root-user", "sh", "-c",
                   "echo 0 > /proc/sys/user/max_inotify_watches && exec \"$0\" \"$@\""]
        if subprocess.run([*limited, "true"], capture_output=True, check=False).returncode != 0:
            self.skipTest("user name spaces are not allowed here")
        self.environment["CONTIMG_INGEST_POLL_S"] = "0.5"
        self.start(prefix=limited)
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.assertEqual(self.metric("contimg_watcher_polling"), 1)
        self.assertIn("limit of inotify watches is reached (fs.inotify.max_user_watches)", self.log())

    def test_thousands_of_files_at_the_start(self):
        """CONTIMG_MANY_FILES=20000 for the full size (2 GB)."""
        n_files = int(os.environ.get("CONTIMG_MANY_FILES", "2000"))
        n_groups = n_files // 16
        many = self.root / "many"
        simulate(many, "--tiles", n_groups, "--antennas", 2, "--integrations", 1, "--channels", 1)
        self.incoming.rmdir()
        many.rename(self.incoming)
        stamps = {p.name.split("_sb")[0] for p in self.incoming.glob("*.hdf5")}
        self.assertEqual((len(stamps), len(list(self.incoming.glob("*.hdf5")))), (n_groups, n_files))
        self.replace_worker("sleep 1000")  # the intake is the matter here
        begun = time.monotonic()
        process = self.start()
        print(f"\n{n_files} files: answers after {time.monotonic() - begun:.2f} s", file=sys.stderr)

        def waiting():
            self.assertEqual(self.get("/healthz")[0], 200)
            return collections.Counter(row["state"] for row in self.groups().values())
        wait_for(lambda: waiting()["ready"] + waiting()["running"] == n_groups, 900, 1)
        print(f"{n_files} files: {n_groups} groups after {time.monotonic() - begun:.1f} s, "
              f"{self.metric('process_resident_memory_bytes') / 1e6:.0f} MB, "
              f"{self.metric('process_cpu_seconds_total'):.1f} s of processor time", file=sys.stderr)
        self.assertEqual(set(self.groups()), stamps)
        self.assertEqual(self.metric("contimg_files_accepted_total"), n_files)
        # A restart knows them all without reading them again.
        process.terminate()
        process.wait()
        self.start()
        wait_for(lambda: self.get("/readyz")[0] == 200, 120)
        self.assertEqual(self.metric("contimg_files_accepted_total"), 0)
        self.assertEqual(len(self.groups()), n_groups)

    def test_replaced_incoming_directory_is_followed(self):
        self.start()
        self.incoming.rename(self.root / "scratch/old")
        time.sleep(3)
        self.assertEqual(self.get("/healthz")[0], 200)
        self.incoming.mkdir()
        time.sleep(3)
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")

    def small_disk(self, name, size):
        """A file system of its own, below the test's folder."""
        if os.geteuid() != 0:
            self.skipTest("mounting a small file system needs root")
        place = self.root / name
        place.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place], check=False).returncode != 0:
            self.skipTest("mount is not allowed here")
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=False)
        return place

    def test_full_output_disk_is_retried_until_there_is_room(self):
        output = self.small_disk("small", "300k")
        # The disk fills up while limits still let work start.
        self.environment.update(CONTIMG_OUTPUT_DIR=str(output), CONTIMG_DISK_WARN_FREE_BYTES="2",
                                CONTIMG_DISK_CRITICAL_FREE_BYTES="1")
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.groups().get(self.stamps[0], {}).get("attempts", 0) >= 2)
        self.assertEqual(self.groups()[self.stamps[0]]["error_kind"], "resource")
        self.assertEqual(list(output.rglob("*.ms")), [])
        subprocess.run(["mount", "-o", "remount,size=200m", output], check=True)
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.assertEqual([p for p in output.rglob(".*part*")], [])

    def test_full_staging_memory_falls_back_to_the_disk(self):
        self.environment["CONTIMG_STAGING_DIR"] = str(self.small_disk("staging", "100k"))
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.assertEqual(list((self.root / "staging").glob("*")), [])
        self.assertEqual(list((self.root / "scratch/tmp/staging").glob("*")), [])

    def test_full_staging_and_full_fallback_are_retried_until_there_is_room(self):
        staging, tmp = self.small_disk("staging", "100k"), self.small_disk("tmp", "100k")
        self.environment.update(CONTIMG_STAGING_DIR=str(staging), CONTIMG_TMP_DIR=str(tmp))
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.groups().get(self.stamps[0], {}).get("attempts", 0) >= 2)
        row = self.groups()[self.stamps[0]]
        self.assertIn(row["error_kind"], ("io", "resource"), row["error"])
        self.assertEqual(list((self.root / "scratch/ms/science").rglob("*.ms")), [])
        subprocess.run(["mount", "-o", "remount,size=200m", tmp], check=True)
        wait_for(lambda: self.state(self.stamps[0]) == "done")
        self.assertEqual(list(staging.glob("*")) + list((tmp / "staging").glob("*")), [])

    def test_full_state_disk_delays_and_loses_nothing(self):
        state = self.root / "state"
        state.rmdir()
        self.small_disk("state", "8m")
        self.environment["CONTIMG_DISK_CHECK_S"] = "1"
        self.start()
        ballast = open(state / "ballast", "wb")
        self.addCleanup(ballast.close)
        try:
            while True:
                ballast.write(b"x" * 4096)
                ballast.flush()
        except OSError:
            pass
        for stamp in self.stamps[:2]:
            self.send(stamp)
        wait_for(lambda: self.get("/readyz")[0] == 503)
        wait_for(lambda: "the state disk" in self.get("/readyz")[1], 10)
        self.assertEqual(self.get("/healthz")[0], 200)
        time.sleep(2)
        os.ftruncate(ballast.fileno(), 0)
        for stamp in self.stamps[:2]:
            wait_for(lambda stamp=stamp: self.state(stamp) == "done")
        self.assertEqual(self.get("/readyz")[0], 200)
        self.assertEqual(len(self.groups()), 2)

    def test_read_only_output_stops_work_until_it_can_be_written(self):
        output = self.small_disk("small", "200m")
        self.environment.update(CONTIMG_OUTPUT_DIR=str(output), CONTIMG_DISK_CHECK_S="1")
        self.start()
        subprocess.run(["mount", "-o", "remount,ro", output], check=True)
        wait_for(lambda: self.metric("contimg_dispatch_allowed") == 0)
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "ready")
        self.assertEqual(self.groups()[self.stamps[0]]["attempts"], 0)
        subprocess.run(["mount", "-o", "remount,rw", output], check=True)
        wait_for(lambda: self.state(self.stamps[0]) == "done")

    def test_low_disk_stops_new_work_and_resumes_by_itself(self):
        output = self.small_disk("small", "100m")
        self.environment.update(CONTIMG_OUTPUT_DIR=str(output / "ms"), CONTIMG_IMAGES_DIR=str(output / "images"),
                                CONTIMG_DISK_CHECK_S="1", CONTIMG_DISK_WARN_FREE_BYTES="30000000", CONTIMG_DISK_CRITICAL_FREE_BYTES="30000000",
                                CONTIMG_DISK_WARN_USED_FRACTION="0.5", CONTIMG_DISK_CRITICAL_USED_FRACTION="0.5")
        (output / "ballast").write_bytes(b"x" * 60_000_000)
        self.start()
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "ready")
        time.sleep(3)
        self.assertEqual(self.state(self.stamps[0]), "ready")
        self.assertEqual(self.metric("contimg_dispatch_allowed"), 0)
        self.assertIn("no new work starts", self.contimg("status").stdout)
        (output / "ballast").unlink()
        wait_for(lambda: self.state(self.stamps[0]) == "done")

    def test_output_that_cannot_be_written_is_an_io_error_with_retries(self):
        self.environment["CONTIMG_QUEUE_MAX_ATTEMPTS"] = "2"
        self.start()
        science = self.root / "scratch/ms/science"
        science.rmdir()
        science.write_text("a file where a folder should be")
        self.send(self.stamps[0])
        wait_for(lambda: self.state(self.stamps[0]) == "dead")
        self.assertEqual(self.groups()[self.stamps[0]]["error_kind"], "io")
        science.unlink()
        self.assertEqual(self.contimg("queue", "requeue", "--failed").returncode, 0)
        wait_for(lambda: self.state(self.stamps[0]) == "done")


if __name__ == "__main__":
    unittest.main()
