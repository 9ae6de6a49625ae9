#!/usr/bin/python3
"""Commands that look, run by somebody who may only read: while the daemon works and while it is down, and what they leave
behind (nothing).

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/read_only_test.py [-v]
"""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import unittest

from daemon_under_test import BIN, DaemonUnderTest, simulate

GROUP_ID = 54321  # of nobody but this test: members read, others do not
READER = ["setpriv", "--reuid=65534", f"--regid={GROUP_ID}", "--clear-groups"]


@unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "needs root and setpriv to be somebody else")
class ReadOnlyTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-read-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        (cls.stamp,) = simulate(cls.pool / "sky", "--antennas", 4, "--integrations", 2, "--channels", 2, "--subbands", 2)
        cls.pool = cls.pool / "sky"
        # The programs where the reader can reach them, whatever the modes above the build folder.
        cls.programs = pathlib.Path(tempfile.mkdtemp(prefix="contimg-read-bin-"))
        cls.addClassCleanup(shutil.rmtree, cls.programs)
        cls.programs.chmod(0o755)
        shutil.copy(BIN / "contimg", cls.programs)

    def setUp(self):
        self.begin("read", CONTIMG_INGEST_EXPECTED_SUBBANDS="2", CONTIMG_CALIBRATE_POLICY="uncalibrated",
                   CONTIMG_IMAGE_ENABLED="false", CONTIMG_INGEST_STABLE_S="0.3", CONTIMG_FLAG_ENABLED="false")
        self.addCleanup(self.end)
        self.state_directory = self.root / "state"

    def commands(self):
        return (["queue", "list"], ["queue", "show", self.stamp], ["cal", "list"], ["cal", "gaps"],
                ["cal", "why", self.stamp], ["products", "list"], ["products", "show", "1"], ["products", "lineage", "1"],
                ["catalog", "info"], ["catalog", "cone", "10", "20"], ["variables", "--json"])

    def as_reader(self, *words):
        return subprocess.run([*READER, self.programs / "contimg", *words], env=self.environment, capture_output=True,
                              text=True, check=False)

    def for_the_group(self):
        """Modes as the service leaves them under UMask=0027 in a directory of mode 2750."""
        self.root.chmod(0o755)
        for path in [self.state_directory, *self.state_directory.rglob("*")]:
            os.chown(path, 0, GROUP_ID)
            path.chmod(0o2750 if path.is_dir() else 0o640)

    def names(self):
        return {path.name for path in self.state_directory.iterdir()}

    def test_with_the_daemon_and_without(self):
        process = self.start()
        self.send(self.stamp)
        self.becomes(self.stamp, "done")
        self.answer("catalog", "import", "csv", self.catalogue(), "--name", "test")
        self.for_the_group()
        expected = {}
        for words in self.commands():
            done = self.as_reader(*words)
            self.assertEqual(done.returncode, 0, f"{words} with the daemon: {done.stderr}")
            expected[words[0], words[1]] = done.stdout
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0)
        self.for_the_group()
        before = self.names()
        self.assertFalse([name for name in before if name.endswith(("-wal", "-shm"))], before)
        for words in self.commands():
            done = self.as_reader(*words)
            self.assertEqual(done.returncode, 0, f"{words} without the daemon: {done.stderr}")
            if words[1] not in ("gaps", "why"):  # these look at the present
                self.assertEqual(done.stdout, expected[words[0], words[1]], words)
        self.assertEqual(self.names(), before)
        for words in self.commands():  # nor does somebody who could write leave anything
            self.assertEqual(self.contimg(*words).returncode, 0, words)
        self.assertEqual(self.names(), before)

    def test_after_a_crash_what_is_in_the_log_is_read(self):
        process = self.start()
        self.send(self.stamp)
        self.becomes(self.stamp, "done")
        self.for_the_group()
        process.kill()
        process.wait()
        done = self.as_reader("queue", "list")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(self.stamp, done.stdout)

    def test_one_sentence_for_what_is_not_there_or_not_allowed(self):
        self.root.chmod(0o755)
        for words in (["queue", "list"], ["cal", "list"], ["products", "list"], ["catalog", "info"]):
            done = self.contimg(*words)
            self.assertEqual((done.returncode, done.stdout), (1, ""), words)
            self.assertIn("there is no such database", done.stderr)
            self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertEqual(self.names(), set())
        self.assertEqual(self.contimg("catalog", "import", "csv", self.catalogue(), "--name", "x").returncode, 0)
        self.state_directory.chmod(0o700)
        done = self.as_reader("catalog", "info")
        self.assertEqual(done.returncode, 1)
        self.assertIn("permission denied", done.stderr.lower())
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_who_may_only_read_is_told_so_when_something_is_to_be_written(self):
        subprocess.run([BIN / "made_up_stream", self.root / "scratch", self.state_directory, "0", "1", "1"], check=True)
        self.assertEqual(self.contimg("backup").returncode, 0)  # makes the records of maintenance
        self.for_the_group()
        for words in (["pin", "1", "--reason", "x"], ["unpin", "1"], ["verify", "--local"], ["backup"]):
            done = self.as_reader(*words)
            self.assertEqual(done.returncode, 1, f"{words}: {done.stderr}")
            self.assertNotIn("SQLite", done.stderr, words)
            self.assertIn("permission denied", done.stderr, words)

    def catalogue(self):
        path = self.root / "catalogue.csv"
        path.write_text("name,ra_deg,dec_deg,flux_jy\na,10,20,1\n")
        return path


if __name__ == "__main__":
    unittest.main()
