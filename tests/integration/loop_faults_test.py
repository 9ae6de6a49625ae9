#!/usr/bin/python3
"""Every entry of the daemon's loop (timers, signals, events of the watched folder, ends of children, requests) while
calls that read fail, or those that write: it goes on, says what it cannot do, and does it afterwards.

    CONTIMG_BIN_DIR=… CONTIMG_FAULTY_CALLS=…/libfaulty_calls.so /usr/bin/python3 tests/integration/loop_faults_test.py
"""
import errno
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import unittest

from daemon_under_test import DaemonUnderTest, simulate, wait_for
from faulty_calls import FaultyCalls, library

ROUTES = ["/healthz", "/readyz", "/metrics", "/api/v1/status", "/", "/groups", "/api/v1/groups", "/api/v1/products",
          "/api/v1/events", "/api/v1/calibration", "/nothing"]


class LoopFaultsTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = pathlib.Path(tempfile.mkdtemp(prefix="contimg-pool-"))
        cls.addClassCleanup(shutil.rmtree, folder)
        cls.pool = folder / "tiles"
        cls.stamps = simulate(cls.pool, "--tiles", 4, "--antennas", 4, "--integrations", 2, "--channels", 4)

    def setUp(self):
        self.begin("loop", CONTIMG_INGEST_QUARANTINE_AFTER_S="1", CONTIMG_INGEST_STABLE_S="0.1",
                   CONTIMG_INGEST_RESCAN_S="1", CONTIMG_QUEUE_BACKOFF_FIRST_S="0.2", CONTIMG_QUEUE_BACKOFF_LIMIT_S="1",
                   CONTIMG_QUEUE_MAX_ATTEMPTS="1000", CONTIMG_DISK_CHECK_S="1", CONTIMG_IMAGE_ENABLED="false",
                   CONTIMG_FLAG_ENABLED="false", CONTIMG_CALIBRATE_POLICY="uncalibrated")
        self.addCleanup(self.end)
        self.settings = self.root / "contimg.toml"
        self.settings.write_text("[daemon]\nlog_level = \"info\"\n")
        # A worker that ends when it is told to.
        self.replace_worker(f"\"$REAL\" \"$@\"; status=$?; while [ -e {self.root}/wait ]; do sleep 0.05; done; exit $status")
        self.calls = FaultyCalls(self.root / "faults", [self.root / "scratch", self.root / "state", self.staging,
                                                        self.settings])
        self.environment.update(CONTIMG_CONFIG=str(self.settings))

    def live_through(self, kinds, error):
        """All entries of the loop, with every call of these kinds failing; then a group that comes out whole."""
        stamps = self.stamps
        daemon = self.start(**self.calls.environment)
        self.send(stamps[0])
        self.becomes(stamps[0], "done")
        wait_for(lambda: self.status()["comparing_records"] is False, 30)
        (self.root / "wait").touch()
        self.send(stamps[1])
        wait_for(lambda: self.state(stamps[1]) == "running", 30)
        said = len(self.log())
        with self.calls.failing(kinds, error=error):
            before = self.calls.counts()
            self.send(stamps[2])                                      # events of the watched folder, header checks
            (self.root / "wait").unlink()                             # a child that ends
            daemon.send_signal(signal.SIGHUP)                         # a signal
            for route in ROUTES:                                      # requests
                self.assertIsNotNone(self.fetch(route)[0], route)
            time.sleep(2)                                             # timers of a second or two
            self.calls.skip(90000)                                    # the others: the sweep, the comparison
            time.sleep(2.5)
            after = self.calls.counts()
            self.assertIsNone(daemon.poll(), f"the daemon has ended\n{self.log()}")
            self.assertEqual(self.get("/healthz")[0], 200)
        for kind in kinds:
            self.assertGreater(after.get(kind, 0), before.get(kind, 0), f"no {kind} was made to fail")
        words = os.strerror(error)
        log = self.log()[said:]
        spoken = {errno.EIO: ["Input/output error", "disk I/O error"], errno.EACCES: ["ermission denied"],
                  errno.EMFILE: ["Too many open files"],
                  errno.ENOSPC: ["no space left", "disk is full"]}[error]
        self.assertTrue(any(word in log for word in spoken), f"nothing was said of {words}:\n{log}")
        self.assertNotIn("filesystem error", log, "raw messages of libraries")
        self.send(stamps[3])
        for stamp in stamps[1:]:
            self.becomes(stamp, "done", 60)
        self.assertEqual(self.contimg("queue", "list", "--json").returncode, 0)
        self.assertEqual(sorted(path.name for path in (self.root / "scratch").rglob("*.ms")),
                         [f"{stamp}.ms" for stamp in stamps])
        self.assertEqual(list((self.root / "scratch/quarantine").rglob("*.hdf5")), [])
        daemon.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(30), 0)

    def test_nothing_can_be_looked_at(self):
        self.live_through(["stat"], errno.EIO)

    def test_nothing_can_be_opened(self):
        self.live_through(["open"], errno.EIO)

    def test_nothing_can_be_opened_for_want_of_descriptors(self):
        self.live_through(["open"], errno.EMFILE)

    def test_nothing_can_be_written(self):
        self.live_through(["write"], errno.ENOSPC)

    def test_no_directory_can_be_listed(self):
        self.live_through(["list"], errno.EIO)

    def test_nothing_can_be_read(self):
        self.live_through(["read"], errno.EIO)

    def test_nothing_may_be_looked_at_or_opened(self):
        self.live_through(["stat", "open"], errno.EACCES)


if __name__ == "__main__":
    if library() is None:
        print("CONTIMG_FAULTY_CALLS names no library")
        sys.exit(77)
    unittest.main()
