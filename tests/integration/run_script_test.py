#!/usr/bin/python3
"""./run as a script: what it writes into pipes and terminals, and what it makes of a checkout that was moved.

The compiler is not asked: a stand-in for cmake writes down how it was called.

    /usr/bin/python3 tests/integration/run_script_test.py [-v]
"""
import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]


class RunScriptTest(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-run-"))
        self.addCleanup(shutil.rmtree, self.root)
        self.tree = self.root / "checkout"
        (self.tree / "tools").mkdir(parents=True)
        shutil.copy(SOURCE / "run", self.tree / "run")
        (self.tree / "tools/packages.txt").write_text("[build]\n[test]\n[lint]\n[fuzz]\n")
        stubs = self.root / "stubs"
        stubs.mkdir()
        (stubs / "cmake").write_text(f'#!/bin/sh\necho "cmake $*" >> {self.root}/asked\n')
        (stubs / "cmake").chmod(0o755)
        self.environment = {**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}", "TERM": "xterm"}
        self.environment.pop("NO_COLOR", None)

    def run_it(self, **more):
        return subprocess.run(["./run", "--no-install", "build"], cwd=self.tree, env={**self.environment, **more},
                              capture_output=True, text=True, check=False)

    def run_on_a_terminal(self, **more):
        master, slave = pty.openpty()
        child = subprocess.Popen(["./run", "--no-install", "build"], cwd=self.tree, env={**self.environment, **more},
                                 stdout=slave, stderr=slave, stdin=slave)
        os.close(slave)
        text = b""
        while True:
            try:
                part = os.read(master, 4096)
            except OSError:
                break
            if not part:
                break
            text += part
        child.wait()
        os.close(master)
        return text.decode()

    def test_no_terminal_no_escape_sequences(self):
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("== building (release)", done.stdout)
        self.assertNotIn("\x1b", done.stdout + done.stderr)

    def test_bold_on_a_terminal_unless_told_otherwise(self):
        self.assertIn("\x1b[1m== building", self.run_on_a_terminal())
        self.assertNotIn("\x1b", self.run_on_a_terminal(NO_COLOR="1"))
        self.assertNotIn("\x1b", self.run_on_a_terminal(TERM="dumb"))

    def test_a_moved_checkout_is_configured_anew_with_a_word(self):
        cache = self.tree / "build/release/CMakeCache.txt"
        (cache.parent / "CMakeFiles").mkdir(parents=True)
        cache.write_text("CMAKE_HOME_DIRECTORY:INTERNAL=/somewhere/else\n")
        done = self.run_it()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("build/release was configured in /somewhere/else: configuring it anew here", done.stdout)
        self.assertFalse(cache.exists())
        self.assertFalse((cache.parent / "CMakeFiles").exists())
        self.assertIn("cmake --preset release", (self.root / "asked").read_text())

    def test_a_checkout_in_its_place_is_left_alone(self):
        cache = self.tree / "build/release/CMakeCache.txt"
        cache.parent.mkdir(parents=True)
        cache.write_text(f"CMAKE_HOME_DIRECTORY:INTERNAL={self.tree}\n")
        self.assertNotIn("anew", self.run_it().stdout)
        self.assertTrue(cache.exists())


if __name__ == "__main__":
    unittest.main()
