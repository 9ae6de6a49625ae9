#!/usr/bin/python3
"""docs/operations/install.md, command by command, in a sandbox: what it installs fits together.

The commands are taken from the document. Absolute paths are moved below a temporary folder (DESTDIR for cmake's); what needs
a system of its own (adduser, systemctl, owners of directories, another user) is played by stand-ins that write down what
they were asked for.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/install_test.py [-v]
"""
import gzip
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("CONTIMG_BIN_DIR", SOURCE / "build/release/bin")).resolve()
BUILD = BIN.parent
DOCUMENT = SOURCE / "docs/operations/install.md"


def commands():
    """The indented lines of the numbered steps."""
    lines = DOCUMENT.read_text().split("\n")
    return [line.strip() for line in lines if line.startswith("       ") and line.strip()]


class InstallTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = pathlib.Path(tempfile.mkdtemp(prefix="contimg-install-"))
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.asked = cls.root / "asked"
        stubs = cls.root / "stubs"
        stubs.mkdir()
        (cls.root / "etc").mkdir()
        for name, body in (
                ("adduser", f'echo "adduser $*" >> {cls.asked}'),
                ("systemctl", f'echo "systemctl $*" >> {cls.asked}'),
                ("runuser", 'shift 3; exec "$@"'),
                ("install", '''words=(); while [ $# -gt 0 ]; do
                    case $1 in -o|-g) shift 2;; *) words+=("$1"); shift;; esac; done; exec /usr/bin/install "${words[@]}"''')):
            (stubs / name).write_text(f"#!/bin/bash\n{body}\n")
            (stubs / name).chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONTIMG_")}
        environment.update(DESTDIR=str(cls.root), PATH=f"{stubs}:{cls.root}/usr/local/bin:/usr/bin:/bin")
        cls.ran = []
        for command in commands():
            if command == "./run build":
                continue  # has been done, or this test would not run
            moved = command.replace("build/release", str(BUILD))
            if not command.startswith("cmake "):  # DESTDIR does it
                moved = re.sub(r"(?<![\w.])/(etc|stage|data|usr)/", rf"{cls.root}/\1/", moved)
                moved = re.sub(r"--home \S+", "", moved)
            done = subprocess.run(["bash", "-ec", moved], cwd=SOURCE, env=environment, capture_output=True, text=True,
                                  check=False)
            cls.ran.append((command, done.returncode, done.stdout + done.stderr))

    def test_a_log_that_is_written_is_rotated_and_none_of_it_lost(self):
        logrotate = shutil.which("logrotate", path="/usr/sbin:/usr/bin")
        if logrotate is None:
            self.skipTest("logrotate is not installed")
        logs = self.root / "log"
        logs.mkdir(mode=0o755)
        stanza = self.root / "logrotate.conf"
        installed = self.root / "usr/local/share/contimg/logrotate/contimg"
        stanza.write_text(installed.read_text().replace("/var/log/contimg", str(logs)))
        stanza.chmod(0o644)
        log = logs / "contimg.log"
        with open(log, "a") as writer:  # as systemd's append: it stays open all the time
            for turn in range(3):
                writer.write(f"line {turn}\n")
                writer.flush()
                done = subprocess.run([logrotate, "--force", "--state", self.root / "state", stanza], capture_output=True,
                                      text=True, check=False)
                self.assertEqual((done.returncode, done.stderr), (0, ""))
            writer.write("last\n")
        self.assertEqual(log.read_text(), "last\n")
        self.assertEqual((logs / "contimg.log.1").read_text(), "line 2\n")
        for n, turn in ((2, 1), (3, 0)):
            self.assertEqual(gzip.decompress((logs / f"contimg.log.{n}.gz").read_bytes()).decode(), f"line {turn}\n")

    def test_every_command_works(self):
        self.assertGreaterEqual(len(self.ran), 9)
        for command, status, output in self.ran:
            self.assertEqual(status, 0, f"{command}\n{output}")

    def unit(self):
        found = [path for path in self.root.rglob("contimg-stream.service") if path.parent.name == "system"]
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_the_unit_starts_what_was_installed(self):
        program = re.search(r"^ExecStart=(\S+)", self.unit().read_text(), re.M).group(1)
        installed = self.root / program.lstrip("/")
        self.assertTrue(os.access(installed, os.X_OK), f"{program} is not there")
        self.assertTrue(os.access(installed.with_name("contimg"), os.X_OK), "contimg is not beside it")
        self.assertEqual(subprocess.run([installed, "--version"], capture_output=True, check=False).returncode, 0)
        # systemd looks for units there
        self.assertIn(str(self.unit().parent.relative_to(self.root)),
                      ("etc/systemd/system", "usr/lib/systemd/system", "usr/local/lib/systemd/system", "lib/systemd/system"))

    def test_systemd_accepts_the_unit_where_it_was_installed(self):
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not installed")
        unit = self.root / "verified" / "contimg-stream.service"
        unit.parent.mkdir()
        unit.write_text(self.unit().read_text().replace("ExecStart=/", f"ExecStart={self.root}/"))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, ""))

    def test_the_unit_reads_the_file_of_settings_that_was_written(self):
        named = re.search(r"^EnvironmentFile=-?(\S+)", self.unit().read_text(), re.M).group(1)
        text = (self.root / named.lstrip("/")).read_text()
        for name in ("CONTIMG_SCRATCH_DIR", "CONTIMG_STATE_DIR"):
            self.assertRegex(text, rf"(?m)^{name}=.*/")

    def test_the_service_is_switched_on_under_its_name(self):
        asked = self.asked.read_text()
        self.assertIn("systemctl daemon-reload\n", asked)
        self.assertIn("systemctl enable --now contimg-stream\n", asked)
        user = re.search(r"^User=(\S+)", self.unit().read_text(), re.M).group(1)
        self.assertRegex(asked, rf"(?m)^adduser --system .*{user}$")

    def test_timers_and_cron_start_what_was_installed(self):
        folder = self.unit().parent
        for timer in (SOURCE / "ops/systemd").glob("*.timer"):
            self.assertTrue((folder / timer.name).is_file(), timer.name)
            for program in re.findall(r"^ExecStart=(\S+)", (folder / timer.with_suffix(".service").name).read_text(), re.M):
                self.assertTrue(os.access(self.root / program.lstrip("/"), os.X_OK), program)
        for script in (SOURCE / "ops/cron").iterdir():
            installed = self.root / "usr/local/share/contimg/cron" / script.name
            self.assertTrue(os.access(installed, os.X_OK), installed)
            self.assertIn(" /usr/local/bin/contimg ", installed.read_text())

    def test_everybody_may_read_man_pages_and_completions(self):
        share = self.root / "usr/local/share"
        files = [path for path in share.rglob("*") if path.is_file()]
        names = {path.name for path in files}
        self.assertLessEqual({"contimg.1", "contimg-stream.1", "contimg-queue.1", "_contimg", "contimg.fish"}, names)
        for path in files:
            self.assertGreater(path.stat().st_size, 0, path)
            self.assertTrue(path.stat().st_mode & stat.S_IROTH, f"{path} is {oct(path.stat().st_mode)}")


if __name__ == "__main__":
    os.umask(0o022)
    unittest.main()
