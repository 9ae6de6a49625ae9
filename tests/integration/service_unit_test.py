#!/usr/bin/python3
"""The systemd unit, the man pages and the shell completions, asked of the tools that will use them.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/service_unit_test.py [-v]
"""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", SOURCE / "build/release/bin")).resolve()
UNIT = SOURCE / "ops/systemd/contimg-stream.service"


def run(*words, **more):
    return subprocess.run(words, capture_output=True, text=True, check=False, **more)


class ServiceUnitTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-unit-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.pages = cls.root / "man/man1"
        done = run(BIN / "contimg", "generate", "man", cls.pages)
        assert done.returncode == 0, done.stderr

    def needs(self, program):
        if shutil.which(program) is None:
            self.skipTest(f"{program} is not installed")

    def test_systemd_finds_nothing_wrong_with_the_unit(self):
        self.needs("systemd-analyze")
        unit = self.root / UNIT.name
        text = UNIT.read_text()
        self.assertIn("ExecStart=/usr/bin/contimg-stream\n", text)
        unit.write_text(text.replace("/usr/bin/contimg-stream", str(BIN / "contimg-stream")))
        done = run("systemd-analyze", "verify", unit, env={**os.environ, "MANPATH": f"{self.root}/man:"})
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_its_exposure_is_at_most_two(self):
        self.needs("systemd-analyze")
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT)
        self.assertEqual(done.returncode, 0, done.stdout)
        exposure = float(re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout).group(1))
        print(f"exposure {exposure}")
        self.assertLessEqual(exposure, 2.0)

    def test_the_service_may_stop_in_peace(self):
        """systemd must wait longer than the daemon's own limit, and ask for signs of life more slowly than they come."""
        text = UNIT.read_text()
        stop = int(re.search(r"TimeoutStopSec=(\d+)", text).group(1))
        own = run(BIN / "contimg", "generate", "environment").stdout
        self.assertGreater(stop, float(re.search(r"CONTIMG_DAEMON_STOP_LIMIT_S=(\d+)", own).group(1)))
        for word in ("Type=notify", "User=contimg", "Restart=on-failure", "StateDirectory=contimg",
                     "RequiresMountsFor=/stage /data", "RuntimeDirectory=contimg", "ExecReload=/bin/kill -HUP $MAINPID"):
            self.assertIn(word + "\n", text)

    def test_man_pages_are_clean_and_name_their_options(self):
        self.needs("man")
        pages = sorted(self.pages.glob("*.1"))
        names = {page.stem for page in pages}
        self.assertLessEqual({"contimg", "contimg-stream", "contimg-queue", "contimg-status"}, names)
        for page in pages:
            done = run("man", "--warnings", "-E", "UTF-8", "-l", page, env={**os.environ, "MANWIDTH": "100"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), page.name)
            self.assertIn("EXIT STATUS", done.stdout)
        text = run("man", "-E", "UTF-8", "-l", self.pages / "contimg-queue.1").stdout
        for word in ("queue requeue", "--reason", "--late", "audit trail"):
            self.assertIn(word, text)

    def complete(self, *words):
        """What bash would offer behind these words."""
        script = run(BIN / "contimg", "generate", "completion", "bash").stdout
        call = (f"{script}\nCOMP_WORDS=({' '.join(repr(w) for w in words)})\nCOMP_CWORD={len(words) - 1}\n"
                "_contimg\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n")
        done = run("bash", "-c", call)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.split()

    def test_bash_completes_commands_and_options(self):
        self.assertIn("status", self.complete("contimg", "st"))
        self.assertEqual(self.complete("contimg", "queue", "requ"), ["requeue"])
        self.assertIn("--reason", self.complete("contimg", "queue", "requeue", "--re"))
        self.assertIn("--watch", self.complete("contimg", "status", "--w"))

    def test_completions_of_other_shells_parse(self):
        for shell, check in (("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
            if shutil.which(shell) is None:
                continue
            script = self.root / f"completion.{shell}"
            script.write_text(run(BIN / "contimg", "generate", "completion", shell).stdout)
            done = run(*check, script)
            self.assertEqual((done.returncode, done.stderr), (0, ""), shell)


if __name__ == "__main__":
    unittest.main()
