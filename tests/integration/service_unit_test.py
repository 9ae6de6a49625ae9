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
UNITS = SOURCE / "ops/systemd"
UNIT = UNITS / "contimg-stream.service"
CRON = SOURCE / "ops/cron"


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

    def test_systemd_finds_nothing_wrong_with_the_units(self):
        self.needs("systemd-analyze")
        folder = self.root / "units"
        folder.mkdir()
        for unit in UNITS.iterdir():
            if unit.suffix in (".service", ".timer"):
                (folder / unit.name).write_text(unit.read_text().replace("=/usr/bin/contimg", f"={BIN}/contimg"))
        self.assertIn("ExecStart=/usr/bin/contimg-stream\n", UNIT.read_text())
        for unit in sorted(folder.iterdir()):
            done = run("systemd-analyze", "verify", unit, env={**os.environ, "MANPATH": f"{self.root}/man:"})
            self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""), unit.name)

    def test_their_exposure_is_at_most_one_and_a_half(self):
        self.needs("systemd-analyze")
        for unit in sorted(UNITS.glob("*.service")):
            done = run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
            self.assertEqual(done.returncode, 0, done.stdout)
            exposure = float(re.search(r"Overall exposure level for .*: ([0-9.]+)", done.stdout).group(1))
            print(f"{unit.name}: exposure {exposure}")
            self.assertLessEqual(exposure, 1.5)

    def test_what_a_timer_starts_is_there_and_is_a_command(self):
        timers = sorted(UNITS.glob("*.timer"))
        self.assertTrue(timers)
        for timer in timers:
            text = timer.read_text()
            for word in ("Persistent=yes", "RandomizedDelaySec=10min", "WantedBy=timers.target"):
                self.assertIn(word + "\n", text, timer.name)
            service = timer.with_suffix(".service").read_text()
            for line in re.findall(r"^ExecStart=/usr/bin/contimg (.*)$", service, re.M):
                self.assertEqual(run(BIN / "contimg", *line.split(), "--help").returncode, 0, line)

    def test_cron_runs_the_same_where_there_is_no_systemd(self):
        scripts = sorted(CRON.iterdir())
        self.assertTrue(scripts)
        asked = self.root / "asked"
        stubs = self.root / "stubs"
        stubs.mkdir()
        (stubs / "runuser").write_text(f'#!/bin/sh\necho "$*" >> {asked}\n')
        (stubs / "runuser").chmod(0o755)
        for script in scripts:
            self.assertRegex(script.name, r"^[A-Za-z0-9_-]+$", "run-parts takes no other name")
            self.assertTrue(os.access(script, os.X_OK), script)
            text = script.read_text()
            self.assertIn("[ -d /run/systemd/system ] && exit 0\n", text)
            moved = self.root / script.name
            moved.write_text(text.replace("/run/systemd/system", str(self.root / "none")))
            done = run("sh", moved, env={**os.environ, "PATH": f"{stubs}:{os.environ['PATH']}"})
            self.assertEqual((done.returncode, done.stderr), (0, ""), script.name)
            lines = asked.read_text().splitlines()
            asked.unlink()
            self.assertEqual(len(lines), len(re.findall("runuser ", text)), script.name)
            for line in lines:
                self.assertRegex(line, r"^-u contimg -- /usr/bin/contimg ")
                words = line.split("/usr/bin/contimg ")[1].split()
                self.assertEqual(run(BIN / "contimg", *words, "--help").returncode, 0, line)

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
