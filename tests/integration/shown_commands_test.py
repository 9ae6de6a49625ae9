#!/usr/bin/python3
"""Every command that contimg shows, run: those of README and docs, of the daemon's pages, its status, its log and the logs of
failed groups. Each must do what it is shown for; none may be refused as wrong use.

The documents are read as people read them: GROUP, TABLE and FILE stand for what the sandbox holds, [--option VALUE] is tried
with and without, "a|b" one after the other.

    CONTIMG_BIN_DIR=build/release/bin /usr/bin/python3 tests/integration/shown_commands_test.py [-v]
"""
import html
import os
import pathlib
import re
import shlex
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import unittest

from daemon_under_test import BIN, SOURCE, DaemonUnderTest, simulate, wait_for

# These are followed in order, in sandboxes of their own: install_test.py, state_loss_test.py.
FOLLOWED = ("install.md", "disaster.md")
DOCUMENTS = [SOURCE / "README.md", *sorted(p for p in (SOURCE / "docs").rglob("*.md") if p.name not in FOLLOWED)]
SOURCE_3C286 = "202.7845,30.5092"
# A small array about 3C286, which is solved on at once: calibration tables, images and groups in every state.
ARRAY = ["--antennas", "16", "--integrations", "6", "--channels", "4", "--subbands", "4", "--transit", SOURCE_3C286,
         "--source", f"{SOURCE_3C286},15", "--source", "203.2,30.7,1"]
VIZIER = ("NVSS\tRAJ2000\tDEJ2000\tS1.4\te_S1.4\tMajAxis\tMinAxis\tPA\n"
          "133108+303033\t13 31 08.29\t+30 30 33.0\t14902.7\t447.1\t16.0\t16.0\t0\n")
CHANGES = re.compile(r"^contimg (queue (requeue|hold|release|cancel|priority)|cal (retire|register)|catalog import|scratch|"
                     r"restore-state|doctor --(rebuild|fix)|cleanup --apply|pin|unpin|migrate .*--apply)")


def inline_and_blocks(text):
    """The commands of a document: code spans, and indented lines that begin with one (two may share a line)."""
    for line in text.split("\n"):
        if re.match(r"^ {4,}", line):
            for part in re.split(r" {2,}|\s#\s", line.strip().removeprefix("$ ")):
                if re.match(r"contimg(-stream)? ", part):
                    yield part.strip()
        else:
            yield from (code for code in re.findall(r"`([^`]+)`", line) if re.match(r"contimg(-stream)?( |$)", code))


def variants(command):
    """What a person would type: each optional part once, each alternative."""
    command = command.replace("--from … --to …", "--from 2025-10-13 --to 2025-10-14").replace("--reason …", "--reason test")
    optional = re.findall(r"\[([^\]]+)\]", command)
    bare = re.sub(r" ?\[[^\]]+\]", "", command)
    found = [bare, *(f"{bare} {part}" for part in optional)]
    for one in list(found):
        words = re.search(r"\b(\w+(?:\|\w+)+)\b", one)
        if words:
            found.remove(one)
            found += [one.replace(words.group(1), word) for word in words.group(1).split("|")]
    for one in list(found):
        if " | --" in one:  # "requeue GROUP… | --failed"
            found.remove(one)
            head, other = one.split(" | ", 1)
            found += [head, re.sub(r"GROUP…?", "", head).strip() + " " + other]
    return found


class ShownCommandsTest(DaemonUnderTest, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pool = pathlib.Path(tempfile.mkdtemp(prefix="contimg-shown-pool-"))
        cls.addClassCleanup(shutil.rmtree, cls.pool)
        cls.done, cls.partial, cls.held = simulate(cls.pool / "sky", *ARRAY, "--tiles", 3)
        for name in ("sky",):
            for path in (cls.pool / name).glob("*.hdf5"):
                path.rename(cls.pool / path.name)

    def setUp(self):
        self.begin("shown", CONTIMG_INGEST_EXPECTED_SUBBANDS="4", CONTIMG_INGEST_DEADLINE_S="4",
                   CONTIMG_IMAGE_SIZE="256", CONTIMG_IMAGE_CELL_ARCSEC="12", CONTIMG_IMAGE_MAX_ITERATIONS="50",
                   CONTIMG_IMAGE_MIN_UV_LAMBDA="0", CONTIMG_CALIBRATE_FIELD_MIN_UV_LAMBDA="0",
                   CONTIMG_INGEST_STABLE_S="0.3", CONTIMG_BACKUP_EVERY_H="0.002")
        self.addCleanup(self.end)
        self.environment.update(CONTIMG_ARCHIVE_REMOTES=f'[{{name = "lake", target = "{self.root}/lake"}}]',
                                CONTIMG_ARCHIVE_AFTER_DAYS="0")
        self.environment["PATH"] = f"{BIN}:{os.environ['PATH']}"

    def stop(self, process):
        process.send_signal(signal.SIGTERM)
        self.assertEqual(process.wait(60), 0, self.log())

    def prepared(self):
        """A daemon with a finished group, one that was given up, and one that is held."""
        process = self.start()
        self.send(self.done, pool=self.pool)
        self.becomes(self.done, "done")
        self.send(self.partial, subbands={0, 1}, pool=self.pool)
        self.becomes(self.partial, "dead")
        self.send(self.held, subbands={0}, pool=self.pool)
        wait_for(lambda: self.state(self.held), 30, what="the third group is known")
        self.answer("queue", "hold", self.held)
        wait_for(self.backups, 60, what="the first backup is due")
        return process

    def backups(self):
        return [row for row in self.groups() if row.startswith("backup/")]

    def shell(self, command, allowed=(0,), seconds=120):
        """Runs it as somebody who pastes it; what is meant to run on and on is ended after two seconds."""
        if "--watch" in command:
            done = subprocess.run(["timeout", "2", "bash", "-c", command], cwd=self.work, env=self.environment,
                                  capture_output=True, text=True, check=False)
            self.assertEqual(done.returncode, 124, f"{command}\n{done.stdout}{done.stderr}")
            return done
        done = subprocess.run(["bash", "-c", command], cwd=self.work, env=self.environment, capture_output=True,
                              text=True, check=False, timeout=seconds)
        self.assertIn(done.returncode, allowed, f"{command}\n{done.stdout}{done.stderr}")
        return done

    @property
    def work(self):
        folder = self.root / "work"
        folder.mkdir(exist_ok=True)
        return folder

    def filled(self, command):
        table = next(row for row in self.read("cal", "list") if row["kind"] == "G")
        (self.root / "nvss.tsv").write_text(VIZIER)
        file = self.root / "nvss.tsv" if "catalog import" in command else next(self.incoming.glob("*.hdf5"))
        command = re.sub(r"\bGROUP…?", self.done, command)
        by_path = " register" in command or " inspect" in command
        command = re.sub(r"\bTABLE\b", table["path"] if by_path else str(table["id"]), command)
        command = re.sub(r"\bDEG\b", "30.5", command)
        if re.search(r"\bTASK\b", command):  # a backup of the databases
            command = re.sub(r"\bTASK\b", self.backups()[-1], command)
        command = re.sub(r"\bFORMAT\b", "nvss", command)
        if re.search(r"\bPRODUCT\b", command):
            command = re.sub(r"\bPRODUCT\b", str(self.read("products", "list")[0]["id"]), command)
        if "/tmp/look" in command:  # a folder that is to be new
            self.looks = getattr(self, "looks", 0) + 1
            command = command.replace("/tmp/look", str(self.root / f"look{self.looks}"))
        if "/data/old-state" in command:  # of another pipeline
            old = self.root / "old-state"
            old.mkdir(exist_ok=True)
            with sqlite3.connect(old / "ingest.sqlite3") as queue:
                queue.execute("CREATE TABLE IF NOT EXISTS ingest_queue (group_id TEXT, state TEXT, error TEXT)")
                queue.execute("INSERT INTO ingest_queue VALUES ('2024-10-13T13:28:03', 'failed', 'no tables')")
            command = command.replace("/data/old-state", str(old))
        elif "/data/old" in command:  # another installation's tree: a file of input that was not sent
            old = self.root / "old"
            old.mkdir(exist_ok=True)
            if not list(old.iterdir()):
                shutil.copyfile(self.pool / f"{self.held}_sb03.hdf5", old / f"{self.held}_sb03.hdf5")
                os.utime(old / f"{self.held}_sb03.hdf5", (1.6e9, 1.6e9))
            command = command.replace("/data/old", str(old))
        if re.search(r"\bJOURNAL\b", command):  # of what was moved just before
            command = re.sub(r"\bJOURNAL\b", max((self.root / "state/migrations").glob("*.jsonl")).stem, command)
        if "--config FILE" in command:
            (self.root / "contimg.toml").write_text("")
            file = self.root / "contimg.toml"
        return re.sub(r"\bFILE…?", shlex.quote(str(file)), command)

    # --- documents
    def test_documents(self):
        process = self.prepared()
        commands = {}
        for document in DOCUMENTS:
            for command in inline_and_blocks(document.read_text()):
                for variant in variants(command):
                    commands.setdefault(variant, document.name)
        self.assertGreater(len(commands), 50)
        run, helped, changes = [], [], []
        for command in commands:
            words = command.split()
            if words[0] == "contimg-stream":
                if "--check" in words:
                    run.append(command)
                continue
            if re.search(r"X\.ms|PREFIX|job\.json|in/", command):
                helped.append(" ".join(words[:2]))  # needs what the sandbox has not; in/: see test_readme
            elif len(words) == 1 or words[1] in ("simulate", "convert", "flag", "solve", "apply", "predict", "image", "lightcurve",
                                                  "variables"):  # their own tests type them
                helped.append(" ".join(words[:2]))
            elif not re.search(r"[A-Z]{2,}|--|list|gaps|status|check|reference|environment|config show", command):
                helped.append(command)  # names the command without what it works on
            elif CHANGES.match(command) and "--help" not in words:
                changes.append(command)
            else:
                run.append(command)
        for command in sorted(set(helped)):
            self.shell(command + " --help")
        for command in run:
            with self.subTest(command=command, document=commands[command]):
                # status says by its status that something needs a hand, as it does here
                # so does cleanup that cannot free as much as the sandbox's disk lacks
                allowed = (0, 1) if command.startswith("contimg status") or "--min-free-gb" in command else (0,)
                self.shell(self.filled(command), allowed)
        self.stop(process)
        for command in changes:  # without a daemon that goes on with the groups meanwhile
            with self.subTest(command=command, document=commands[command]):
                filled = self.filled(command)
                subject = shlex.split(filled)[3] if len(shlex.split(filled)) > 3 else ""
                if "queue release" in filled:
                    self.shell(f"contimg queue requeue {subject}; contimg queue hold {subject}")
                if "queue hold" in filled or "queue cancel" in filled:
                    self.shell(f"contimg queue requeue {subject}")
                # The one group that failed is incomplete, and that is no matter of trying again.
                allowed = (0, 2) if "--failed" in filled or "--state dead" in filled else (0,)
                # doctor says by its status that something is left that needs a hand
                self.shell(filled, (0, 1) if "doctor --fix" in filled else allowed)

    def test_readme(self):
        """The example of the README, line by line, and what it prints but for sizes of the moment and times."""
        block = (SOURCE / "README.md").read_text().split("## Try it")[1].split("## ")[0]
        steps = re.findall(r"^    \$ (.*)\n((?:    (?!\$).*\n)*)", block, re.M)
        self.assertGreaterEqual(len(steps), 4)
        for command, expected in steps:
            if command.startswith("python3 "):
                command = "/usr/bin/" + command
            printed = self.shell(command).stdout.split("\n")
            self.assertTrue(printed or not expected)
            for line in expected.split("\n"):
                line = line[4:]
                if not line or re.match(r"\s+\d+\.\d+ s: ", line):
                    continue
                self.assertIn(line, printed, f"{command}\n" + "\n".join(printed))

    # --- what the daemon shows
    def shown_by_pages(self):
        addresses = ["/", "/groups", *(f"/groups/{stamp}" for stamp in (self.done, self.partial, self.held))]
        for address in addresses:
            status, text = self.get(address)
            self.assertEqual(status, 200, address)
            for command in re.findall(r'<span class="command"><code>(.*?)</code>', text, re.S):
                yield address, html.unescape(command)

    def test_pages_status_and_logs(self):
        process = self.prepared()
        wait_for(lambda: any("given up" in trouble for trouble in self.status()["troubles"]), 60,
                 what=lambda: str(self.status()["troubles"]))
        wait_for(lambda: any(finding["cure"] for finding in self.status()["health"]), 60,
                 what=lambda: str(self.status()["health"]))
        shown = list(self.shown_by_pages())
        status = self.status()
        for trouble in status["troubles"]:
            shown += [("status", command) for command in re.findall(r"\((contimg [^()]+)\)", trouble)]
        shown += [("status", finding["cure"]) for finding in status["health"] if finding["cure"]]
        for line in self.log().splitlines():
            shown += [("log", command) for command in re.findall(r"`(contimg [^`]+)`", line)]
            shown += [("log", command) for command in re.findall(r"\((contimg [^()]+)\)", line)]
        logs = list((self.root / "scratch/ms/failed").rglob("*.log"))
        self.assertEqual(len(logs), 1)
        self.assertIn("what next    nothing: it goes on by itself", logs[0].read_text())
        for log in logs:
            for word, command in re.findall(r"^(try again|repeat with) +(.*)$", log.read_text(), re.M):
                shown.append((word, command))
        sources = {source for source, _ in shown}
        self.assertLessEqual({"/", f"/groups/{self.held}", "status"}, sources, shown)
        self.stop(process)
        for source, command in dict.fromkeys(shown):
            with self.subTest(source=source, command=command):
                self.assertNotIn("worker", command)  # nobody failed in a worker here: nothing is to be repeated
                if "queue release" in command:
                    self.shell(f"contimg queue requeue {shlex.split(command)[3]}", (0, 2))
                    self.shell(f"contimg queue hold {shlex.split(command)[3]}", (0, 2))
                self.shell(self.filled(command))

    def test_the_welcome_page_leads_to_an_image(self):
        self.environment.pop("CONTIMG_INGEST_EXPECTED_SUBBANDS")
        self.environment["CONTIMG_INGEST_DEADLINE_S"] = "120"
        self.start()
        (command,) = [command for address, command in self.shown_by_welcome()]
        self.shell(command)
        stamp = wait_for(lambda: next(iter(self.groups()), None), 30, what="a group")
        self.becomes(stamp, "done")
        kinds = {row["kind"] for row in self.read("products", "list", "--group", stamp)}
        self.assertLessEqual({"science_ms", "caltable", "image", "image.pbcor", "qa_picture"}, kinds)

    def shown_by_welcome(self):
        text = self.get("/")[1]
        for command in re.findall(r'<span class="command"><code>(.*?)</code>', text, re.S):
            yield "/", html.unescape(command)


if __name__ == "__main__":
    unittest.main()
